"""The amount of data: who learns from what, and that a point is run once and read back."""

import json

import numpy as np
import pytest
import torch

import amount_of_data as experiment
from goodteacher.data import UNLABELLED, Dataset, load_dataset
from goodteacher.maths.statistics import paired_interval
from goodteacher.studies.files import VERDICT_FILE
from tests.made import arrays, dataset

QUICK = {
    "teacher": "mlp:12",
    "student": "mlp:3",
    "batch_sizes": (16,),
    "epochs": 1,
    "student_epochs": 1,
    "student_batch_size": 16,
    "temperatures": (4.0,),
    "alphas": (1.0,),
    "smoothings": (0.1,),
    "extend": False,
    "search_seeds": 1,
    "seeds": 1,
    "patience": 0,
    "rungs": 1,
    "precision": "float32",
    "device": "cpu",
}

OWN, PARTLY, EVERY = (experiment.Point("mnist", k, 0.1) for k in ("own", "unlabelled", "all"))


@pytest.fixture(scope="module")
def made():
    return dataset(num_train=480)


@pytest.fixture(scope="module")
def out(made, tmp_path_factory):
    """Two points of a labelled tenth, alone and with the rest."""
    folder = tmp_path_factory.mktemp("amounts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "SEEDS", 3)
        for point in (OWN, PARTLY):
            experiment.run(point, folder, made, **QUICK)
    return folder


def ids_of(split):
    return set(split.ids.tolist())


def test_teacher_and_students_of_a_share_learn_from_the_same_examples(made):
    data = experiment.data_of(made, OWN)
    assert len(data.train) == 43
    assert data.train.labels.ge(0).all()
    assert experiment.settings_at(OWN, 43, 43)["transfer_fraction"] == 1.0


def test_the_unlabelled_rest_keeps_the_labels_of_the_same_tenth(made):
    data, tenth = experiment.data_of(made, PARTLY), experiment.data_of(made, OWN)
    labelled = data.train.labels != UNLABELLED
    assert set(data.train.ids[labelled].tolist()) == ids_of(tenth.train)
    assert len(data.train) == 432
    known = dict(zip(tenth.train.ids.tolist(), tenth.train.labels.tolist(), strict=True))
    for number, label in zip(data.train.ids.tolist(), data.train.labels.tolist(), strict=True):
        assert label == known.get(number, UNLABELLED)


def test_a_teacher_of_all_data_has_students_of_the_same_share(made):
    data, tenth = experiment.data_of(made, EVERY), experiment.data_of(made, OWN)
    settings = experiment.settings_at(EVERY, 432, 432)
    found = experiment.prepare(
        data, transfer_fraction=settings["transfer_fraction"], seed=settings["split_seed"]
    )
    assert ids_of(found.training) == ids_of(data.train)
    assert ids_of(found.transfer) == ids_of(tenth.train)


@pytest.mark.parametrize("point", [OWN, PARTLY, EVERY], ids=lambda point: point.kind)
def test_choices_are_made_on_the_same_examples_at_every_point(made, point):
    data = experiment.data_of(made, point)
    whole = experiment.data_of(made, experiment.Point("mnist", "own", 1.0))
    assert ids_of(data.validation) == ids_of(whole.validation)
    assert not ids_of(data.validation) & ids_of(data.train)
    assert data.test is made.test


def test_repetitions_draw_other_examples_and_teachers(made):
    other = experiment.Point("mnist", "own", 0.1, repetition=1)
    assert ids_of(experiment.data_of(made, other).train) != ids_of(
        experiment.data_of(made, OWN).train
    )
    assert experiment.settings_at(other, 43, 43)["teacher_seeds"] == (1,)


@pytest.mark.parametrize("labelled, epochs", [(540, 200), (5_400, 32), (54_000, 32)])
def test_few_examples_are_learned_from_for_more_epochs(labelled, epochs):
    assert experiment.settings_at(OWN, labelled, labelled)["epochs"] == epochs


@pytest.mark.parametrize(
    "kind, labelled, examples, size",
    [("own", 540, 540, 32), ("all", 54_000, 54_000, 128), ("unlabelled", 5_400, 54_000, 256)],
)
def test_batches_of_students_have_the_default_size_of_what_they_learn_from(
    kind, labelled, examples, size
):
    point = experiment.Point("mnist", kind, 0.1)
    settings = experiment.settings_at(point, labelled, examples)
    assert settings["student_batch_size"] == size


def test_teachers_of_all_data_are_trained_once(tmp_path):
    assert experiment.teachers_of(EVERY, tmp_path) == {}
    first = tmp_path / "mnist/all-0.01-0"
    first.mkdir(parents=True)
    (first / "sweet_spot.json").write_text("{}")
    assert experiment.teachers_of(EVERY, tmp_path) == {"teachers_of": str(first)}
    assert experiment.teachers_of(OWN, tmp_path) == {}


def test_the_pairs_are_those_of_the_study():
    found = {data: experiment.settings_of_pair(data) for data in experiment.PAIRS}
    assert found["mnist"]["teacher"] == "mlp:800,800"
    assert found["mnist"]["student"] == "mlp:64"
    assert found["cifar10"]["student"] == "cnn:8,16"
    assert {each["transfer_fraction"] for each in found.values()} == {0.1}


def test_cheap_points_come_first_and_repetitions_last():
    points = list(experiment.points_of(["mnist", "cifar10"], 2))
    assert [(p.data, p.share) for p in points[:3]] == [
        ("mnist", 0.01),
        ("cifar10", 0.01),
        ("mnist", 0.02),
    ]
    assert len(set(points)) == len(points) == 2 * 2 * len(experiment.ORDER)
    repetitions = [p.repetition for p in points]
    assert repetitions == sorted(repetitions)


def test_only_the_first_points_of_each_repetition_are_asked_for():
    points = experiment.points_of(["mnist"], 2, first=2)
    assert [point.share for point in points] == [0.01, 0.02, 0.01, 0.02]


def test_a_finished_point_is_not_run_again(out, made):
    file = out / OWN.folder / VERDICT_FILE
    before = file.stat().st_mtime_ns
    experiment.run(OWN, out, made, **QUICK)
    assert file.stat().st_mtime_ns == before


def test_a_share_that_leaves_a_class_without_an_example_is_impossible(tmp_path):
    small = dataset(num_train=60)
    point = experiment.Point("mnist", "own", 0.01)
    experiment.run(point, tmp_path, small, **QUICK)
    (row,) = experiment.collected(tmp_path)
    assert row == {
        "data": "mnist",
        "kind": "own",
        "share": 0.01,
        "repetition": 0,
        "impossible": True,
    }


def test_rows_hold_what_the_verdict_says(out, made):
    own, partly = experiment.collected(out, lambda name: made)
    verdict = json.loads((out / OWN.folder / VERDICT_FILE).read_text())
    assert own["over_labels"] == [verdict["gain"]["mean"], *verdict["gain"]["interval"]]
    assert own["students"] - own["labels"] == pytest.approx(own["over_labels"][0])
    assert own["students"] - own["smoothing"] == pytest.approx(own["over_smoothing"][0])
    assert (own["teacher_learns_from"], own["students_learn_from"]) == (43, 43)
    assert (partly["teacher_learns_from"], partly["students_learn_from"]) == (43, 432)
    assert own["seeds"] == partly["seeds"] == 3


def test_what_the_unlabelled_add_is_paired_by_seed_and_example(out, made):
    _, partly = experiment.collected(out, lambda name: made)
    labels = made.test.labels.numpy()
    ours, tenth = (experiment.distilled(out / p.folder, labels) for p in (PARTLY, OWN))
    assert ours.shape == tenth.shape == (3, 120)
    assert ours.mean() == pytest.approx(partly["students"])
    more = paired_interval(ours, tenth)
    assert partly["over_tenth"] == pytest.approx([more.mean, more.low, more.high])


def test_a_data_set_of_texts_keeps_its_texts_where_labels_are_missing(tmp_path):
    words = np.array(["a b c", "b c d", "c d e", "d e f"] * 40)
    made = arrays(num_train=160, num_test=40)
    texts = load_dataset(
        {
            "x_train": words,
            "y_train": made["y_train"],
            "x_test": words[:40],
            "y_test": made["y_test"],
        }
    )
    data = experiment.data_of(texts, experiment.Point("banking77", "unlabelled", 0.1))
    assert isinstance(data, Dataset)
    assert len(data.train) == 144
    assert int(torch.ge(data.train.labels, 0).sum()) == 14


def test_the_command_runs_points_in_order(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(experiment, "run", lambda point, out, **s: asked.append((point, out, s)))
    words = ["amount_of_data.py", "mnist", "--out", str(tmp_path), "--repetitions", "1"]
    monkeypatch.setattr("sys.argv", [*words, "--first", "2"])
    experiment.main()
    assert [(point.kind, point.share) for point, _, _ in asked] == [("own", 0.01), ("own", 0.02)]
    assert {out for _, out, _ in asked} == {tmp_path}
    assert all(settings == {"threads": 1} for _, _, settings in asked)


def test_the_command_keeps_rows(monkeypatch, tmp_path, out):
    monkeypatch.setattr(experiment, "FILE", tmp_path / "rows.json")
    monkeypatch.setattr(experiment, "collected", lambda folder: [{"folder": folder.name}])
    monkeypatch.setattr("sys.argv", ["amount_of_data.py", "--collect", str(out)])
    experiment.main()
    assert json.loads((tmp_path / "rows.json").read_text()) == [{"folder": out.name}]
