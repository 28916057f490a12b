"""Checkpoints of other trainers become recorded runs, or it is said why not."""

import json
from argparse import Namespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from goodteacher import ConfigError, Recorder, StudyError, record_checkpoints
from goodteacher.cli import app
from tests import made

DATA = made.dataset()


def network(num_classes=4):
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, num_classes))


def weights(seed=0, begin="", model=None):
    torch.manual_seed(seed)
    return {begin + name: value for name, value in (model or network()).state_dict().items()}


def save(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(content, path) if path.suffix == ".safetensors" else torch.save(content, path)


def record(folder, pattern="runs/*/*", **options):
    return record_checkpoints(
        DATA,
        **{
            "model": network,
            "checkpoints": folder / pattern,
            "out": folder / "recorded",
            **options,
        },
    )


def epochs(run):
    return [record.epoch for record in run.records()]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("epoch-2.safetensors", weights()),
        ("epoch-2.pt", weights()),
        ("epoch-2.pth", {"state_dict": weights(begin="module."), "epoch": 9}),
        ("epoch_2.bin", {"model": weights(begin="_orig_mod.")}),
        ("epoch2.pt", {"net": weights(begin="module._orig_mod."), "optimizer": {"state": {}}}),
        ("model-2.pt", weights(begin="backbone.encoder.")),
        ("last.pt", {"epoch": 2, "model_state_dict": weights()}),
        (
            "epoch=1-step=9.ckpt",
            {"epoch": 1, "pytorch-lightning_version": "2.6", "state_dict": weights(begin="model.")},
        ),
        ("2.pt", {"model": weights(), "model_ema": weights(5)}),
        ("2.pt", {"state_dict": {**weights(begin="model."), **weights(7, begin="ema_model.")}}),
    ],
)
def test_weights_and_epoch_are_found_in_what_trainers_write(tmp_path, name, content):
    save(tmp_path / "runs/night" / name, content)
    (run,) = record(tmp_path, model=network, prepare=lambda x: x)
    expected = Recorder(tmp_path / "plain", DATA)
    model = network()
    model.load_state_dict(weights())
    assert run.notes.name == "night"
    assert run.records()[0].measurements == expected.record(model, 2).measurements
    assert epochs(run) == [2]


def test_a_folder_of_a_hugging_face_trainer_is_a_checkpoint(tmp_path):
    for step, epoch in ((500, 1.0), (1000, 2.0)):
        folder = tmp_path / f"runs/bert/checkpoint-{step}"
        save(folder / "model.safetensors", weights(step))
        state = {"epoch": epoch, "train_batch_size": 16}
        (folder / "trainer_state.json").write_text(json.dumps(state))
        (folder / "optimizer.pt").touch()
    (run,) = record(tmp_path, "runs/*/checkpoint-*")
    assert epochs(run) == [1, 2]
    assert run.notes.attributes == {"batch_size": 16}


def test_sharded_weights_are_joined(tmp_path):
    folder = tmp_path / "runs/big/checkpoint-3"
    halves = list(weights().items())
    save(folder / "a.safetensors", dict(halves[:2]))
    save(folder / "b.safetensors", dict(halves[2:]))
    index = {"weight_map": {n: f"{'ab'[k > 1]}.safetensors" for k, (n, _) in enumerate(halves)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (run,) = record(tmp_path)
    assert epochs(run) == [3]


def test_runs_have_the_names_and_attributes_of_their_folders(tmp_path):
    for run in ("lr-0.1_seed1", "lr-0.01_seed1/checkpoints"):
        for epoch in (1, 2):
            save(tmp_path / "runs" / run / f"epoch-{epoch}.pt", weights(epoch))
    found = record_checkpoints(
        DATA,
        model=network,
        checkpoints=[tmp_path / "runs/*/*.pt", tmp_path / "runs/*/checkpoints/*.pt"],
        out=tmp_path / "recorded",
    )
    assert [(run.notes.name, run.notes.attributes) for run in found] == [
        ("lr-0.01_seed1", {"learning_rate": 0.01, "seed": 1}),
        ("lr-0.1_seed1", {"learning_rate": 0.1, "seed": 1}),
    ]


def test_averages_are_taken_where_they_are_asked_for(tmp_path):
    save(tmp_path / "runs/x/1.pt", {"model": weights(), "model_ema": weights(5)})
    (plain,) = record(tmp_path)
    (averaged,) = record(tmp_path, section="model_ema", out=tmp_path / "other")
    assert plain.records()[0].best_nll != averaged.records()[0].best_nll
    with pytest.raises(ConfigError, match=r"section = 'swa' is not in .* 'model', 'model_ema'"):
        record(tmp_path, section="swa", out=tmp_path / "third")


def test_the_same_call_goes_on_where_it_stopped(tmp_path):
    save(tmp_path / "runs/x/epoch-1.pt", weights())
    record(tmp_path)
    save(tmp_path / "runs/x/epoch-2.pt", weights(1))
    (run,) = record(tmp_path)
    assert epochs(run) == [1, 2]


@pytest.mark.parametrize(
    ("names", "pattern", "expected"),
    [
        (("s100-e3.pt", "s200-e6.pt"), r"-e(\d+)", [3, 6]),
        (("0.pt", "1.pt"), None, [1, 2]),
        (("0.pt", "1.pt"), r"(\d+)\.pt", [1, 2]),
    ],
)
def test_epochs_are_read_from_names(tmp_path, names, pattern, expected):
    for number, name in enumerate(names):
        save(tmp_path / "runs/x" / name, weights(number))
    (run,) = record(tmp_path, epoch_from=pattern)
    assert epochs(run) == expected


def _cut(path):
    path.write_bytes(path.read_bytes()[:-500])


BROKEN = [
    ("a-1.pt", weights(), lambda p: _cut(p), r"a-1.pt is not a complete file of torch.save"),
    ("a-1.safetensors", weights(), lambda p: _cut(p), r"a-1.safetensors does not hold tensors"),
    ("a-1.pt", weights(), lambda p: p.write_bytes(b""), "a-1.pt"),
    ("a-1.pt", weights(model=nn.Linear(6, 4)), None, r"another network: missing are 0.weight"),
    ("a-1.pt", weights(model=network(5)), None, r"2.weight is \[5, 8\] instead of \[4, 8\]"),
    ("a-1.pt", {"config": Namespace(a=1), "model": weights()}, None, "argparse.Namespace"),
    ("a-1.pt", [weights()], None, "holds a list, not a dictionary of weights"),
    ("last.pt", weights(), None, r"epoch of .* is unknown.*--epoch-from 'checkpoint-\(\\d\+\)'"),
]


@pytest.mark.parametrize(("name", "content", "damage", "told"), BROKEN)
def test_what_cannot_be_read_is_named_and_nothing_is_written(tmp_path, name, content, damage, told):
    save(tmp_path / "runs/x" / name, content)
    if damage:
        damage(tmp_path / "runs/x" / name)
    with pytest.raises((StudyError, ConfigError), match=told):
        record(tmp_path)
    assert not (tmp_path / "recorded").exists()


def test_nothing_is_ever_unpickled(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "evil"), "w"))

    save(tmp_path / "runs/x/1.pt", {"model": weights(), "extra": Evil()})
    with pytest.raises(StudyError, match="never loaded"):
        record(tmp_path)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"pattern": "runs/*.pt"}, "No checkpoint matches"),
        ({"epoch_from": "(x"}, "is not a regular expression"),
        ({"epoch_from": r"\d+"}, "must have one group"),
        ({"epoch_from": r"x(\d+)x"}, "epoch of .* is unknown"),
        ({"epoch_from": r"run(s)"}, "not a whole number"),
        ({"epoch_from": r"-(\d)"}, "are both from epoch 1"),
    ],
)
def test_calls_that_name_nothing_are_refused(tmp_path, options, told):
    for name in ("a-10.pt", "b-11.pt"):
        save(tmp_path / "runs/x" / name, weights())
    with pytest.raises((StudyError, ConfigError), match=told):
        record(tmp_path, **options)


def _trained(rows, steps=150):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 4))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(DATA.train.inputs[rows]), DATA.train.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("honest", [True, False])
def test_a_teacher_that_knows_the_selection_split_is_told(tmp_path, honest, caplog):
    recorder = Recorder(tmp_path / "ids", DATA, selection_fraction=0.3)
    rows = recorder.training.rows if honest else torch.arange(len(DATA.train))
    model = _trained(rows)
    save(tmp_path / "runs/x/epoch-1.pt", model.state_dict())
    with caplog.at_level("INFO", logger="goodteacher"):
        record(tmp_path, model=model, prepare=lambda x: x, selection_fraction=0.3)
    assert ("which is almost the same" in caplog.text) == (not honest)


def test_it_is_done_from_the_command_line(tmp_path):
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
    save(tmp_path / "runs/x/epoch-4.pt", layers.state_dict())
    command = ["respond", "digits", "--model=mlp:8", f"--checkpoints={tmp_path}/runs/*/*"]
    done = CliRunner().invoke(app, [*command, f"--out={tmp_path}/rec", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {f"{tmp_path}/rec/x": [4]}
    missing = CliRunner().invoke(app, ["respond", "digits", f"--out={tmp_path}/rec"])
    assert missing.exit_code == 2
    assert "model is missing" in missing.output
