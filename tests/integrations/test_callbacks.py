"""Callbacks record each epoch as a plain loop does, and leave the training as it was."""

import importlib
import logging
import os
import sys

import numpy as np
import pytest
import torch
from torch import nn

from goodteacher import ConfigError, Dataset, Recorder, Split
from goodteacher.teachers import RecordedRun
from tests import made

# Their imports and fits give warnings of their own, which are not ours to judge.
pytestmark = pytest.mark.filterwarnings("ignore")
DATA = made.dataset()
WORDS = ("red", "green", "blue", "warm", "cold", "dark")


def kept(recorder):
    return [(record.epoch, record.status) for record in recorder.records]


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("transformers", "transformers", "hf"),
        ("lightning", "pytorch_lightning", "lightning"),
        ("keras", "keras", "keras"),
    ],
)
def test_a_missing_package_is_named_with_its_install_command(monkeypatch, module, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"goodteacher.integrations.{module}", raising=False)
    with pytest.raises(ImportError, match=rf"pip install 'goodteacher\[{extra}\]'"):
        importlib.import_module(f"goodteacher.integrations.{module}")


# --- Lightning -----------------------------------------------------------------------------------


def lightning_module():
    lightning = pytest.importorskip("pytorch_lightning", reason="pytorch-lightning is missing")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layers = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2))
            self.head = nn.Linear(16, 4)

        def forward(self, x):
            return self.head(self.layers(x))

        def training_step(self, batch, _):
            loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
            self.log("train_loss", loss, on_step=False, on_epoch=True)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 0.03)

    return Module()


def fit_lightning(folder, recorder=None, epochs=3, more=(), **options):
    module = lightning_module()
    from pytorch_lightning import Trainer

    from goodteacher.integrations.lightning import RecorderCallback

    callbacks = [*more, *([RecorderCallback(recorder, **options)] if recorder else [])]
    trainer = Trainer(
        max_epochs=epochs,
        callbacks=callbacks,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    train = DATA.train
    pairs = torch.utils.data.TensorDataset(train.inputs, train.labels)
    torch.manual_seed(1)
    trainer.fit(module, torch.utils.data.DataLoader(pairs, batch_size=32, shuffle=True))
    return module, trainer


def test_lightning_records_every_epoch_and_trains_as_without(tmp_path):
    recorder = Recorder(tmp_path / "run", DATA, learning_rate=0.03)
    module, _ = fit_lightning(tmp_path, recorder)
    plain, _ = fit_lightning(tmp_path)
    assert kept(recorder) == [(1, "ok"), (2, "ok"), (3, "ok")]
    for name, value in plain.state_dict().items():
        assert torch.equal(value, module.state_dict()[name])
    last = recorder.records[-1]
    assert (last.steps, last.learning_rate) == (24, 0.03)
    assert last.seconds > 0
    assert last.training_loss > 0
    module.eval()
    said = module(recorder.selection.examples()).argmax(1)
    assert last.selection_accuracy == float((said == recorder.selection.labels).double().mean())


def test_lightning_stops_where_the_recorder_says_so(tmp_path, monkeypatch):
    recorder = Recorder(tmp_path / "run", DATA)
    monkeypatch.setattr(Recorder, "should_stop", property(lambda self: len(self.records) > 1))
    fit_lightning(tmp_path, recorder, epochs=6, stop=True)
    assert len(recorder.records) == 2


def test_lightning_warns_where_nothing_was_recorded(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="goodteacher"):
        fit_lightning(tmp_path, Recorder(tmp_path / "run", DATA), epochs=2, every=5)
    assert "no epoch was recorded" in caplog.text
    assert not (tmp_path / "run").exists()


def averaging(**settings):
    callbacks = pytest.importorskip("pytorch_lightning.callbacks", reason="needs Lightning")
    if not hasattr(callbacks, "EMAWeightAveraging"):
        pytest.skip("this version of Lightning has no EMAWeightAveraging")
    return callbacks.EMAWeightAveraging(decay=0.9, **settings)


def said_of(recorder, epoch=3):
    run = RecordedRun.open(recorder.folder)
    return run.response(epoch, "selection", recorder.selection.split)


@torch.no_grad()
def answers(module, recorder):
    return module.eval()(recorder.selection.examples())


def test_lightning_records_the_average_where_that_is_asked_for(tmp_path):
    recorder = Recorder(tmp_path / "average", DATA)
    # Lightning gives the module the weights of the average when the training ends.
    module, _ = fit_lightning(tmp_path, recorder, more=[averaging()], weights="ema")
    averaged = answers(module, recorder)
    assert torch.equal(said_of(recorder), averaged)

    raw = Recorder(tmp_path / "raw", DATA)
    same, _ = fit_lightning(tmp_path, raw, more=[averaging()])
    plain, _ = fit_lightning(tmp_path)
    assert torch.equal(answers(same, raw), averaged)  # recording the average trained no other way
    assert torch.equal(said_of(raw), answers(plain, raw))
    assert not torch.allclose(said_of(raw), averaged, atol=1e-2)


def test_lightning_records_no_average_that_has_not_begun(tmp_path, caplog):
    recorder = Recorder(tmp_path / "run", DATA)
    late = averaging(update_starting_at_step=12)  # there are 8 in an epoch
    with caplog.at_level(logging.WARNING, logger="goodteacher"):
        fit_lightning(tmp_path, recorder, more=[late], weights="ema")
    assert "the average has not started yet: epoch 1 is not recorded" in caplog.text
    assert kept(recorder) == [(2, "ok"), (3, "ok")]


def test_lightning_needs_a_callback_that_keeps_the_average(tmp_path):
    with pytest.raises(ConfigError, match=r"add EMAWeightAveraging\(\) of pytorch_lightning"):
        fit_lightning(tmp_path, Recorder(tmp_path / "run", DATA), weights="ema")
    with pytest.raises(ConfigError, match="weights must be 'raw' or 'ema', but is 'swa'"):
        fit_lightning(tmp_path, Recorder(tmp_path / "run", DATA), weights="swa")
    assert not (tmp_path / "run").exists()


# --- Keras ---------------------------------------------------------------------------------------


def keras_model(softmax=False, **of_optimizer):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="keras is missing")
    keras.utils.set_random_seed(0)
    last = "softmax" if softmax else None
    model = keras.Sequential(
        [
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(4, activation=last),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not softmax)
    model.compile(keras.optimizers.Adam(0.03, **of_optimizer), loss)
    return model


def fit_keras(recorder, epochs=3, softmax=False, of_optimizer=None, **options):
    model = keras_model(softmax, **(of_optimizer or {}))
    from goodteacher.integrations.keras import RecorderCallback

    x, y = DATA.train.inputs.numpy(), DATA.train.labels.numpy()
    callbacks = [RecorderCallback(recorder, **options)]
    model.fit(x, y, epochs=epochs, batch_size=32, verbose=0, callbacks=callbacks)
    return model


@pytest.mark.parametrize("softmax", [False, True])
def test_keras_records_every_epoch(tmp_path, softmax):
    recorder = Recorder(tmp_path / "run", DATA, probabilities=softmax)
    model = fit_keras(recorder, softmax=softmax)
    assert kept(recorder) == [(1, "ok"), (2, "ok"), (3, "ok")]
    last = recorder.records[-1]
    said = model.predict(recorder.selection.examples().numpy(), verbose=0).argmax(1)
    assert last.selection_accuracy == (said == recorder.selection.labels.numpy()).mean()
    assert last.learning_rate == pytest.approx(0.03)
    assert last.training_loss > 0


def test_keras_stops_where_the_recorder_says_so(tmp_path, monkeypatch):
    recorder = Recorder(tmp_path / "run", DATA)
    monkeypatch.setattr(Recorder, "should_stop", property(lambda self: len(self.records) > 1))
    fit_keras(recorder, epochs=6, stop=True)
    assert len(recorder.records) == 2


AVERAGE = {"use_ema": True, "ema_momentum": 0.9}


def test_keras_records_the_average_where_that_is_asked_for(tmp_path):
    recorder = Recorder(tmp_path / "average", DATA)
    # Keras gives the model the weights of the average when the training ends.
    model = fit_keras(recorder, of_optimizer=AVERAGE, weights="ema")
    averaged = model.predict(recorder.selection.examples().numpy(), verbose=0)
    assert np.allclose(said_of(recorder), averaged, atol=1e-5)

    raw = Recorder(tmp_path / "raw", DATA)
    same = fit_keras(raw, of_optimizer=AVERAGE)
    plain = fit_keras(Recorder(tmp_path / "plain", DATA))
    examples = raw.selection.examples().numpy()
    assert np.allclose(same.predict(examples, verbose=0), averaged, atol=1e-5)
    assert np.allclose(said_of(raw), plain.predict(examples, verbose=0), atol=1e-5)
    assert not np.allclose(said_of(raw), averaged, atol=1e-2)


def test_keras_swaps_the_average_in_by_a_callback_of_its_own(tmp_path):
    recorder = Recorder(tmp_path / "run", DATA)
    model = keras_model(**AVERAGE)
    import keras

    from goodteacher.integrations.keras import RecorderCallback

    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    x, y = DATA.train.inputs.numpy(), DATA.train.labels.numpy()
    callbacks = [swap, RecorderCallback(recorder)]
    model.fit(x, y, epochs=3, batch_size=32, verbose=0, callbacks=callbacks)
    averaged = model(recorder.selection.examples().numpy(), training=False)
    assert np.allclose(said_of(recorder), keras.ops.convert_to_numpy(averaged), atol=1e-5)


def test_keras_needs_an_optimizer_that_keeps_the_average(tmp_path):
    with pytest.raises(ConfigError, match=r"Adam\(use_ema=True\)"):
        fit_keras(Recorder(tmp_path / "run", DATA), weights="ema")
    assert not (tmp_path / "run").exists()


# --- transformers --------------------------------------------------------------------------------


def texts(count):
    chosen = [[WORDS[(n * k + k) % 6] for k in range(1, 4)] for n in range(count)]
    return Split.from_texts([" ".join(words) for words in chosen], [n % 2 for n in range(count)])


def fit_transformers(folder, recorder, data, epochs=2, **options):
    transformers = pytest.importorskip("transformers", reason="transformers is missing")
    pytest.importorskip("accelerate", reason="accelerate is missing")
    from tokenizers import Tokenizer, models, pre_tokenizers

    from goodteacher.integrations.transformers import RecorderCallback

    known = {word: n for n, word in enumerate(("[PAD]", "[UNK]", *WORDS))}
    words = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", model_max_length=8
    )
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.BertConfig(
        vocab_size=len(known), intermediate_size=16, max_position_embeddings=16, **sizes
    )
    model = transformers.BertForSequenceClassification(config)
    split = recorder.training.split
    rows = [
        {**tokenizer(text), "labels": label}
        for text, label in zip(split.texts, split.labels.tolist(), strict=True)
    ]
    arguments = transformers.TrainingArguments(
        output_dir=str(folder / "hf"),
        num_train_epochs=epochs,
        per_device_train_batch_size=8,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(
        model,
        arguments,
        train_dataset=rows,
        processing_class=tokenizer,
        callbacks=[RecorderCallback(recorder, **options)],
    )
    trainer.train()
    return model, tokenizer


def test_transformers_records_texts_through_its_tokenizer(tmp_path):
    data = Dataset("colours", texts(60), texts(20), ("even", "odd"))
    recorder = Recorder(tmp_path / "run", data, learning_rate=5e-5)
    model, tokenizer = fit_transformers(tmp_path, recorder, data)
    assert kept(recorder) == [(1, "ok"), (2, "ok")]
    last = recorder.records[-1]
    assert last.steps == 14
    assert last.training_loss > 0
    model.eval()
    batch = tokenizer(recorder.selection.examples(), padding=True, return_tensors="pt")
    said = model(**batch).logits.argmax(1)
    assert last.selection_accuracy == float((said == recorder.selection.labels).double().mean())


def test_transformers_stops_where_the_recorder_says_so(tmp_path, monkeypatch):
    data = Dataset("colours", texts(60), texts(20), ("even", "odd"))
    recorder = Recorder(tmp_path / "run", data)
    monkeypatch.setattr(Recorder, "should_stop", property(lambda self: len(self.records) > 0))
    fit_transformers(tmp_path, recorder, data, epochs=5, stop=True)
    assert len(recorder.records) == 1
