"""Models of transformers that were trained elsewhere are asked with their own head and classes."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import goodteacher
from goodteacher import record_checkpoints
from goodteacher.cli import app
from goodteacher.errors import ConfigError, DataError, ModelError, ResponseError
from goodteacher.studies import Store
from goodteacher.teachers import HuggingFaceTeacher, RecordedRun
from tests.tiny_models import bert_configuration, write_model, write_tokenizer

pytest.importorskip("transformers", reason="needs goodteacher[hf]")

NAMES = ("card", "cash", "loan")
TEXTS = [f"my {NAMES[n % 3]} number {n} is late" for n in range(60)]
LABELS = [n % 3 for n in range(60)]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def given(names=NAMES, texts=TEXTS):
    train, test = texts[:45], texts[45:]
    arrays = {"x_train": train, "y_train": LABELS[:45], "x_test": test, "y_test": LABELS[45:]}
    return {**arrays, "class_names": list(names)}


def write(folder, names=None, *, num_labels=3, texts=TEXTS, **settings):
    """A model with weights whose classes have names, in their order."""
    if names is not None:
        settings |= {
            "id2label": dict(enumerate(names)),
            "label2id": {name: n for n, name in enumerate(names)},
        }
    else:
        settings |= {"num_labels": num_labels}
    return write_model(folder, texts, weights=True, **settings)


def expected(folder, texts):
    """What transformers itself says."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(
        texts, padding=True, truncation=True, max_length=32, return_tensors="pt"
    )
    with torch.inference_mode():
        return model(**tokens).logits


def logits_of(folder, part="transfer"):
    run = RecordedRun.open(folder)
    (path,) = run.store.root.glob(f"responses/*.{part}.*")
    found = Store(path.parent).read_tensors(path.name)
    return found["logits"], list(getattr(run.splits, part))


def ask(folder, out, data=None, **settings):
    return goodteacher.respond(f"hf:{folder}", data or given(), out=out / "run", **settings)


@pytest.mark.parametrize(
    "names",
    [
        ("card", "cash", "loan"),
        ("loan", "card", "cash"),
        ("LOAN", " Card", "cash"),
        ("spam", "loan", "card", "cash"),
    ],
    ids=["same", "turned", "capitals", "more"],
)
def test_classes_are_matched_by_name_and_the_head_is_the_folders(tmp_path, names, caplog):
    folder = write(tmp_path / "bert", names)
    with caplog.at_level("INFO"):
        said = ask(folder, tmp_path)
    found, rows = logits_of(said.folder)
    plain = [name.strip().casefold() for name in names]
    whole = expected(folder, [TEXTS[row] for row in rows])[:, [plain.index(n) for n in NAMES]]
    assert torch.allclose(found, whole.float(), atol=1e-5)
    assert "no names" not in caplog.text
    assert ("has 1 more classes than the data (spam)" in caplog.text) == (len(names) == 4)


def test_default_names_are_positions_and_the_doubt_is_told(tmp_path, caplog):
    folder = write(tmp_path / "bert")
    with caplog.at_level("INFO"):
        said = ask(folder, tmp_path)
    found, rows = logits_of(said.folder)
    assert torch.allclose(found, expected(folder, [TEXTS[row] for row in rows]), atol=1e-5)
    assert "calls its classes LABEL_0 to LABEL_2, which are not real names" in caplog.text
    assert "in the order of the data's classes (card, cash, loan)" in caplog.text
    assert "taken as" not in caplog.text  # that they are logits is known


def test_who_names_the_classes_is_believed(tmp_path, caplog):
    folder = write(tmp_path / "bert")
    with caplog.at_level("INFO"):
        said = ask(folder, tmp_path, classes=["loan", "cash", "card"])
    found, rows = logits_of(said.folder)
    whole = expected(folder, [TEXTS[row] for row in rows])
    assert torch.allclose(found, whole[:, [2, 1, 0]], atol=1e-5)
    assert "no names" not in caplog.text


def test_classes_that_are_called_like_the_defaults_are_matched_by_name(tmp_path, caplog):
    names = [f"LABEL_{n}" for n in (2, 0, 1)]  # an order that a source gave
    folder = write(tmp_path / "bert")
    with caplog.at_level("INFO"):
        said = ask(folder, tmp_path, given(names))
    found, rows = logits_of(said.folder)
    whole = expected(folder, [TEXTS[row] for row in rows])
    assert torch.allclose(found, whole[:, [2, 0, 1]], atol=1e-5)
    assert "no names" not in caplog.text


def test_a_pipeline_with_default_names_is_understood_by_position_too(tmp_path, caplog):
    from transformers import pipeline

    folder = write(tmp_path / "bert")
    pipe = pipeline("text-classification", str(folder), device="cpu")
    with caplog.at_level("INFO"):
        said = goodteacher.respond(pipe, given(), out=tmp_path / "run")
    found, rows = logits_of(said.folder)
    whole = expected(folder, [TEXTS[row] for row in rows])
    assert torch.allclose(found.softmax(1), whole.softmax(1), atol=1e-4)
    assert "which are not real names" in caplog.text


@pytest.mark.parametrize(
    ("names", "settings", "error", "message"),
    [
        (
            ("card", "cash"),
            {},
            ResponseError,
            r"does not have all classes of the data: only the data have 'l",
        ),
        (("a", "b", "c"), {}, ResponseError, "only the response has 'a', 'b', 'c'"),
        (None, {"num_labels": 4}, ConfigError, "returns 4 columns, but the data have 3 classes"),
        (None, {"num_labels": 1}, ModelError, "gives 1 output for regression"),
        (
            NAMES,
            {"problem_type": "multi_label_classification"},
            ModelError,
            "gives 3 outputs for multi_label_classification",
        ),
    ],
)
def test_classes_that_cannot_be_matched_are_refused(tmp_path, names, settings, error, message):
    folder = write(tmp_path / "bert", names, **settings)
    with pytest.raises(error, match=message):
        ask(folder, tmp_path)
    assert not (tmp_path / "run" / "run.json").exists()


def test_another_number_of_names_is_refused(tmp_path):
    folder = write(tmp_path / "bert", NAMES)
    with pytest.raises(ConfigError, match=r"classes names 2 classes, but 'hf:.*' has 3"):
        ask(folder, tmp_path, classes=["a", "b"])


def test_a_folder_without_a_trained_head_is_refused(tmp_path):
    from transformers import BertModel

    with pytest.raises(ModelError, match="has no weights, so the model cannot predict"):
        HuggingFaceTeacher(f"hf:{write_model(tmp_path / 'new', TEXTS)}")
    write_tokenizer(tmp_path / "base", TEXTS)
    BertModel(bert_configuration()).save_pretrained(tmp_path / "base")
    with pytest.raises(ModelError, match=r"no weights of classifier\.bias, classifier\.weight: it"):
        HuggingFaceTeacher(f"hf:{tmp_path}/base")
    with pytest.raises(ModelError, match="was not found: there is no folder"):
        HuggingFaceTeacher(f"hf:{tmp_path}/nowhere")


def test_examples_that_are_no_texts_are_refused(tmp_path):
    teacher = HuggingFaceTeacher(f"hf:{write(tmp_path, NAMES)}")
    with pytest.raises(DataError, match="classifies texts, but the examples are not texts"):
        teacher(np.zeros((2, 4)))


def test_the_share_of_cut_texts_is_told(tmp_path, caplog):
    folder = write(tmp_path / "bert", NAMES)
    texts = [text + " late" * (40 if n % 9 == 0 else 0) for n, text in enumerate(TEXTS)]
    with caplog.at_level("INFO"):
        ask(folder, tmp_path, given(texts=texts), selection_fraction=0.2)
    assert "reads 32 tokens: " in caplog.text
    assert "transfer examples" in caplog.text
    teacher = HuggingFaceTeacher(f"hf:{folder}@tokens:5")
    assert teacher.limit == 5
    assert "reads 5 tokens: 45 of 45 test examples (100.0%)" in teacher.note_of(TEXTS[:45], "test")
    assert teacher.note_of(["my card"], "test") is None
    with pytest.raises(ModelError, match="'@raw' has no meaning"):
        HuggingFaceTeacher(f"hf:{folder}@raw")


@pytest.mark.parametrize("count", [2, 3])
def test_several_texts_are_encoded_as_a_pair(tmp_path, count):
    folder = write(tmp_path, NAMES)
    rows = [(text, f"it is {n}", "late")[:count] for n, text in enumerate(TEXTS[:6])]
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    firsts, seconds = [row[0] for row in rows], [" [SEP] ".join(row[1:]) for row in rows]
    tokens = AutoTokenizer.from_pretrained(folder)(
        firsts, seconds, padding=True, return_tensors="pt"
    )
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    said = HuggingFaceTeacher(f"hf:{folder}")(rows)
    with torch.inference_mode():
        whole = model(**tokens).logits
    assert said.names == NAMES
    assert np.allclose(said.values, whole.numpy(), atol=1e-5)


def test_examples_alone_get_the_classes_of_the_model(tmp_path):
    from transformers import AutoModelForSequenceClassification

    folder = write(tmp_path / "bert", ("no", "yes"))
    rows = [(text, f"it is {n % 7}") for n, text in enumerate(TEXTS)]
    values = HuggingFaceTeacher(f"hf:{folder}")(rows).values
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():  # so that half of them are "yes"
        model.classifier.bias[1] -= float(np.median(values[:, 1] - values[:, 0]))
    model.save_pretrained(folder)
    said = HuggingFaceTeacher(f"hf:{folder}")(rows).values.argmax(1)
    assert 25 <= said.sum() <= 35
    found = ask(folder, tmp_path, rows)
    assert found.data.class_names == ("no", "yes")
    assert found.data.spec.columns == ("text1", "text2")
    assert found.data.train.labels.tolist() == said[found.data.train.ids].tolist()


# The command line, and checkpoints ---------------------------------------------------------------


def save_table(folder, names=NAMES):
    import pandas as pd

    folder.mkdir()
    data = given()
    for split in ("train", "test"):
        labels = [names[label] for label in data[f"y_{split}"]]
        table = pd.DataFrame({"sentence": data[f"x_{split}"], "intent": labels})
        table.to_csv(folder / f"{split}.csv", index=False)
    return folder


def run(*arguments):
    done = CliRunner().invoke(app, ["respond", *map(str, arguments), "--json"])
    return done, json.loads(done.stdout) if done.exit_code == 0 else None


def test_the_command_asks_a_model_as_it_is(tmp_path):
    folder, table = (
        write(tmp_path / "bert", ("loan", "CARD", "cash")),
        save_table(tmp_path / "data"),
    )
    done, found = run(table, "--model", f"hf:{folder}", "--out", tmp_path / "recorded")
    assert done.exit_code == 0, done.output
    assert found == {str(tmp_path / "recorded" / "bert"): [1]}
    logits, rows = logits_of(tmp_path / "recorded" / "bert")
    whole = expected(folder, [TEXTS[row] for row in rows])
    assert torch.allclose(logits, whole[:, [1, 2, 0]], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["--model", "mlp:4"],
            "checkpoints is missing, and the network 'mlp:4' has no trained weights",
        ),
        (["--model", "hf:nowhere/at/all"], "was not found: there is no folder"),
    ],
)
def test_the_command_says_what_cannot_be_asked(tmp_path, settings, message):
    table = save_table(tmp_path / "data")
    done, _ = run(table, *settings, "--out", tmp_path / "recorded")
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
    assert not (tmp_path / "recorded").exists()


@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
def test_training_data_without_labels_are_for_python(tmp_path):
    folder, table = write(tmp_path / "bert", NAMES), save_table(tmp_path / "data")
    text = (table / "train.csv").read_text()
    for name in NAMES:
        text = text.replace(f",{name}\n", ",\n")
    (table / "train.csv").write_text(text)
    done, _ = run(table, "--model", f"hf:{folder}", "--out", tmp_path / "recorded")
    assert done.exit_code == 2
    assert "Use Python instead: goodteacher.respond" in " ".join(done.output.split())


def trained(folder, names):
    """Checkpoints of a run as Trainer leaves them, whose head has its classes in an order."""
    for step in (10, 20):
        write(folder / f"checkpoint-{step}", names)
        (folder / f"checkpoint-{step}" / "trainer_state.json").write_text(
            json.dumps({"epoch": step / 10})
        )
    return folder / "checkpoint-20"


def record(tmp_path, last, **settings):
    return record_checkpoints(
        given(),
        model=f"hf:{last}",
        checkpoints=tmp_path / "run" / "checkpoint-*",
        out=tmp_path / "recorded",
        **settings,
    )


def test_checkpoints_have_their_classes_in_the_order_of_their_config(tmp_path, caplog):
    last = trained(tmp_path / "run", ("cash", "loan", "card"))
    (found,) = record(tmp_path, last)
    assert [each.epoch for each in found.records()] == [1, 2]
    path = next(found.store.root.glob("responses/*2*.transfer.*"))
    logits = Store(path.parent).read_tensors(path.name)["logits"]
    whole = expected(last, [TEXTS[row] for row in found.splits.transfer])
    assert torch.allclose(logits, whole[:, [2, 0, 1]], atol=1e-4)


@pytest.mark.parametrize(
    ("names", "settings", "order"),
    [(None, {}, [0, 1, 2]), (None, {"classes": "loan,card,cash"}, [1, 2, 0])],
)
def test_checkpoints_without_names_are_in_the_order_of_the_data_unless_somebody_says(
    tmp_path, caplog, names, settings, order
):
    last = trained(tmp_path / "run", names)
    with caplog.at_level("INFO"):
        (found,) = record(tmp_path, last, **settings)
    path = next(found.store.root.glob("responses/*2*.transfer.*"))
    logits = Store(path.parent).read_tensors(path.name)["logits"]
    whole = expected(last, [TEXTS[row] for row in found.splits.transfer])
    assert torch.allclose(logits, whole[:, order], atol=1e-4)
    assert ("which are not real names" in caplog.text) == (not settings)


def test_checkpoints_of_other_classes_are_refused_before_anything_is_written(tmp_path):
    last = trained(tmp_path / "run", ("cash", "loan", "spam"))
    with pytest.raises(ResponseError, match="only the response has 'spam', only the data have 'c"):
        record(tmp_path, last)
    assert not (tmp_path / "recorded").exists()


def test_the_callback_gives_pairs_to_the_trainers_tokenizer(tmp_path):
    from transformers import AutoModelForSequenceClassification

    from goodteacher.integrations.transformers import RecorderCallback

    folder = write(tmp_path / "bert", NAMES)
    tokenizer = write_tokenizer(folder, TEXTS)
    arrays = given()
    for split in ("train", "test"):
        texts = arrays[f"x_{split}"]
        arrays[f"x_{split}"] = {"premise": texts, "hypothesis": texts[::-1]}
    recorder = goodteacher.Recorder(tmp_path / "recorded", arrays)
    callback = RecorderCallback(recorder)
    model = AutoModelForSequenceClassification.from_pretrained(folder)

    class State:
        epoch, global_step, log_history = 1.0, 5, ()

    callback.on_train_begin(None, State, None)
    callback.on_epoch_end(None, State, None, model=model, processing_class=tokenizer)
    logits, rows = logits_of(tmp_path / "recorded")
    texts = arrays["x_train"]
    tokens = tokenizer(
        [texts["premise"][row] for row in rows],
        [texts["hypothesis"][row] for row in rows],
        padding=True,
        return_tensors="pt",
    )
    with torch.inference_mode():
        whole = model.eval()(**tokens).logits
    assert torch.allclose(logits, whole, atol=1e-4)
