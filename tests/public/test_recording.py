"""A recorded run: made by anybody's loop, whole or not at all, and gone on with."""

import json
import logging

import pytest
import torch
from torch import nn

import goodteacher
from goodteacher import ConfigError, ModelError, Recorder, ResponseError, StudyError
from goodteacher.responses import read_recorded
from tests import made

DATA = made.dataset()


def recorder(folder, data=DATA, **options):
    return Recorder(folder / "night", data, **{"batch_size": 16, **options})


def model(scale=1.0):
    torch.manual_seed(0)
    network = nn.Linear(6, 4)
    with torch.no_grad():
        network.weight *= scale
    return network


def logits_of(part, scale=1.0):
    wrong = torch.randn(len(part), 4, generator=torch.Generator().manual_seed(len(part)))
    return scale * (wrong + 2 * torch.eye(4)[part.labels])


def given(found, scale=1.0):
    return {
        "transfer": logits_of(found.transfer, scale),
        "selection": logits_of(found.selection, scale),
    }


def test_the_folder_holds_what_a_study_keeps_of_a_run(tmp_path):
    found = recorder(tmp_path, record_test=True, run="the night", note="warm")
    found.record(model(), 3, learning_rate=0.1, training_loss=0.5, seconds=2)
    names = sorted(
        p.relative_to(found.folder).as_posix() for p in found.folder.rglob("*") if p.is_file()
    )
    assert [name for name in names if name != ".lock"] == [
        "responses/epoch-00003.selection.view-0.safetensors",
        "responses/epoch-00003.test.view-0.safetensors",
        "responses/epoch-00003.transfer.view-0.safetensors",
        "run.json",
        "splits.json",
        "trajectory.jsonl",
    ]
    notes = json.loads((found.folder / "run.json").read_text())
    assert (notes["name"], notes["attributes"]) == ("the night", {"batch_size": 16, "note": "warm"})
    assert notes["fingerprint"] == DATA.fingerprint
    record = json.loads((found.folder / "trajectory.jsonl").read_text())
    assert (record["epoch"], record["learning_rate"], record["steps"]) == (3, 0.1, None)
    assert {m["split"] for m in record["measurements"]} == {"transfer", "selection"}


def test_responses_are_what_the_model_says_by_id(tmp_path):
    found, network = recorder(tmp_path), model()
    found.record(network, 1)
    kept = read_recorded(found.folder / "responses/epoch-00001.selection.view-0.safetensors")
    expected = network(found.selection.examples()).detach()
    torch.testing.assert_close(kept.aligned_to(found.selection.ids), expected)
    assert torch.equal(kept.ids, found.selection.ids)


def test_parts_are_those_of_a_study_and_know_their_rows(tmp_path):
    found = recorder(tmp_path, selection_fraction=0.25, split_seed=3)
    assert len(found.training) + len(found.selection) == len(DATA.train)
    assert not set(found.training.ids.tolist()) & set(found.selection.ids.tolist())
    assert torch.equal(DATA.train.inputs[found.training.rows], found.training.examples())
    assert torch.equal(DATA.train.labels[found.selection.rows], found.selection.labels)


def test_a_recorder_that_is_never_used_leaves_nothing(tmp_path):
    recorder(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("network", "error"),
    [(nn.Linear(5, 4), ModelError), (nn.Sequential(model(), nn.Softmax(-1)), ResponseError)],
)
def test_nothing_is_written_where_the_model_is_refused(tmp_path, network, error):
    with pytest.raises(error, match=r"prepare|probabilities"):
        recorder(tmp_path).record(network, 1)
    assert not list(tmp_path.iterdir())


def test_probabilities_are_taken_where_they_are_said_to_be(tmp_path):
    network = model()
    found = recorder(tmp_path, probabilities=True)
    record = found.record(nn.Sequential(network, nn.Softmax(-1)), 1)
    plain = Recorder(tmp_path / "plain", DATA).record(network, 1)
    assert record.best_nll == pytest.approx(plain.best_nll, rel=1e-4)


def test_a_model_that_diverged_is_recorded_without_a_response(tmp_path):
    found = recorder(tmp_path)
    record = found.record(model(float("nan")), 1)
    assert (record.status, found.should_stop) == ("diverged", True)
    assert not (found.folder / "responses").exists()
    assert found.record(model(float("nan")), 1) == record


def test_numbers_of_a_diverged_teacher_are_recorded_as_such(tmp_path):
    found = recorder(tmp_path)
    numbers = {name: logits.numpy() for name, logits in given(found).items()}
    numbers["selection"][3, 1] = float("nan")
    assert found.record(logits=numbers, epoch=1).status == "diverged"


def test_rows_in_another_order_are_warned_of_once(tmp_path, caplog):
    found = recorder(tmp_path)
    numbers = given(found)
    for epoch in (1, 2):
        numbers["selection"] = numbers["selection"].roll(1, 0)
        found.record(logits=numbers, epoch=epoch)
    told = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert len(told) == 1
    assert "in another order" in told[0]


def test_what_is_noted_of_the_numbers_is_told(tmp_path, caplog):
    found = recorder(tmp_path, probabilities=True)
    hundredths = {name: (logits.softmax(1) * 100).round() for name, logits in given(found).items()}
    with caplog.at_level(logging.INFO, logger="goodteacher"):
        found.record(logits={name: n / 100 for name, n in hundredths.items()}, epoch=1)
    assert "do not sum to exactly 1" in caplog.text


def test_an_epoch_recorded_twice_must_say_the_same(tmp_path):
    found = recorder(tmp_path)
    first = found.record(model(), 1)
    assert found.record(model(), 1) == first
    with pytest.raises(StudyError, match=r"Epoch 1 was recorded .* with other numbers"):
        found.record(model(2.0), 1)
    assert found.records == (first,)
    second = found.record(model(2.0), 1, overwrite=True)
    assert found.records == (second,)
    assert second.best_nll != first.best_nll


def test_a_response_to_the_test_split_does_not_outlive_its_epoch(tmp_path):
    recorder(tmp_path, record_test=True).record(model(), 1)
    found = recorder(tmp_path)
    found.record(model(2.0), 1, overwrite=True)
    assert not list(found.folder.glob("responses/*test*"))


def test_another_recorder_of_the_folder_goes_on(tmp_path):
    recorder(tmp_path).record(model(), 2)
    found = recorder(tmp_path)
    found.record(model(2.0), 1)
    assert [record.epoch for record in found.records] == [1, 2]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"batch_size": 32}, "batch_size was 16, is 32 here"),
        ({"seed": 1}, "seed was not noted, is 1 here"),
        ({"run": "day"}, "name was 'night' and is 'day'"),
        ({"split_seed": 1}, r"selection split|split_seed was 0, is 1 here"),
        ({"selection_fraction": 0.3}, "selection_fraction was 0.1, is 0.3 here"),
        ({"data": made.dataset(seed=1)}, "recorded on other data or on another version"),
        ({"data": made.dataset(num_classes=3)}, "its classes differ .only the run has 'd'"),
    ],
)
def test_a_run_of_something_else_is_refused_and_the_difference_named(tmp_path, options, told):
    recorder(tmp_path).record(model(), 1)
    with pytest.raises(StudyError, match=told):
        recorder(tmp_path, **options)


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "thesis.tex").touch()
    with pytest.raises(StudyError, match="is not a recorded run"):
        recorder(tmp_path)
    with pytest.raises(StudyError, match="is a file"):
        Recorder(tmp_path / "night" / "thesis.tex", DATA)


def test_numbers_are_recorded_as_a_model_that_says_them(tmp_path):
    found = recorder(tmp_path)
    record = found.record(logits=given(found), epoch=1)
    table = {0: given(found)["transfer"], 1: given(found)["selection"]}
    again = Recorder(tmp_path / "again", DATA)
    order = torch.randperm(len(found.transfer), generator=torch.Generator().manual_seed(0))
    shuffled = {"logits": table[0][order], "ids": found.transfer.ids[order]}
    other = again.record(logits={"transfer": shuffled, "selection": table[1].numpy()}, epoch=1)
    assert other.measurements == record.measurements


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda x: x[:-1], "1 are missing: was the last, smaller batch dropped"),
        (lambda x: torch.cat([x, x[:3]]), "The last 3 repeat the first"),
        (lambda x: x.T, "the transpose|has 24 classes"),
        (lambda x: x[:, :3], "has 3 classes, but the data have 4"),
        (lambda x: x.argmax(1), "one for each class is needed"),
        (lambda x: x.softmax(1), "probabilities=True"),
        (lambda x: torch.zeros(240, 4), "the number of all training examples"),
        (lambda x: {"logits": x, "ids": torch.arange(1000, 1024)}, "no row for 24 of 24 examples"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(tmp_path, change, told):
    found = recorder(tmp_path)
    numbers = {**given(found), "selection": change(logits_of(found.selection))}
    with pytest.raises(ResponseError, match=told):
        found.record(logits=numbers, epoch=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ({"model": model()}, "epoch must be a whole number from 1, but is None"),
        ({"model": model(), "epoch": 0}, "pass epoch \\+ 1"),
        ({"model": model(), "epoch": 1.5}, "but is 1.5"),
        ({"epoch": 1}, "a model or logits="),
        ({"epoch": 1, "logits": {"transfer": 1}}, "must hold transfer and selection"),
        ({"epoch": 1, "logits": {"train": 1}}, "it holds train"),
    ],
)
def test_a_call_that_means_nothing_is_refused(tmp_path, call, told):
    with pytest.raises(ConfigError, match=told):
        recorder(tmp_path).record(**call)


def test_attributes_are_numbers_or_words(tmp_path):
    with pytest.raises(ConfigError, match="cannot be an attribute of a run"):
        recorder(tmp_path, milestones=[1, 2])


def test_it_says_stop_after_as_many_epochs_without_a_better_nll(tmp_path):
    found = recorder(tmp_path, patience=2)
    noise = torch.randn(len(found.selection), 4, generator=torch.Generator().manual_seed(1))
    for epoch, worse in enumerate([1.0, 0.0, 3.0, 2.0], start=1):
        assert not found.should_stop
        numbers = given(found)
        numbers["selection"] = numbers["selection"] + worse * noise
        found.record(logits=numbers, epoch=epoch)
    assert found.should_stop
    assert recorder(tmp_path, patience=2).should_stop
    assert not recorder(tmp_path, patience=3).should_stop


def test_probe_students_decide_where_they_are_wanted(tmp_path):
    found = recorder(tmp_path, patience=1, probe_student="mlp:4", selection_fraction=0.3)
    state = torch.random.get_rng_state()
    found.record(logits=given(found, 3.0), epoch=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not found.should_stop
    nonsense = {name: -logits for name, logits in given(found, 3.0).items()}
    found.record(logits=nonsense, epoch=2)
    kept = [json.loads(line) for line in (found.folder / "probes.jsonl").read_text().splitlines()]
    assert [(probe["epoch"], probe["student"]) for probe in kept] == [(1, "mlp:4"), (2, "mlp:4")]
    assert kept[0]["accuracy"] > kept[1]["accuracy"]
    assert found.should_stop
    found.record(logits=given(found, 3.0), epoch=1)
    assert len((found.folder / "probes.jsonl").read_text().splitlines()) == 2


def test_every_epoch_is_told(tmp_path, caplog):
    class Watcher:
        def __init__(self):
            self.notes, self.units = [], 0.0

        def begin(self, stage, total):
            self.total = total

        def advance(self, units, stage=None):
            self.units += units

        def note(self, text):
            self.notes.append(text)

    watcher = Watcher()
    with caplog.at_level(logging.INFO, logger="goodteacher"):
        recorder(tmp_path, progress=watcher).record(model(), 1)
    (note,) = watcher.notes
    assert caplog.messages == [note]
    assert "night, epoch 1: " in note
    assert "held-out NLL" in note
    assert "similarity information" in note
    assert watcher.units == watcher.total


def test_split_writes_the_ids_that_a_recorder_takes(tmp_path):
    ids = goodteacher.split(DATA, out=tmp_path / "night", selection_fraction=0.25)
    found = recorder(tmp_path, selection_fraction=0.25)
    assert list(ids.training) == found.training.ids.tolist()
    found.record(model(), 1)
    with pytest.raises(StudyError, match=r"selection_fraction was 0\.25, is 0.1 here"):
        recorder(tmp_path)
    assert goodteacher.split(DATA, out=tmp_path / "night", selection_fraction=0.25) == ids


def test_texts_are_recorded_through_prepare(tmp_path):
    train = goodteacher.Split.from_texts([f"{n} {'ab'[n % 2]}" for n in range(40)], [0, 1] * 20)
    data = goodteacher.Dataset("words", train, train, ("even", "odd"))

    def prepare(texts):
        return torch.tensor([[float(text.endswith("a")), len(text)] for text in texts])

    record = Recorder(tmp_path / "x", data, prepare=prepare).record(nn.Linear(2, 2), 1)
    assert record.status == "ok"


def test_a_preparation_that_is_no_function_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match=r"prepare must be a function .* but is 'pixels:96'"):
        recorder(tmp_path, prepare="pixels:96")
    assert not [*tmp_path.iterdir()]


def test_unlabelled_transfer_examples_are_responded_to(tmp_path):
    arrays = made.arrays()
    arrays["y_train"][:100] = -1
    found = Recorder(tmp_path / "x", arrays)
    found.record(model(), 1)
    kept = read_recorded(found.folder / "responses/epoch-00001.transfer.view-0.safetensors")
    assert len(kept.ids) == len(found.transfer) > len(found.training)
