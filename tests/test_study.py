"""The main job from end to end, on data that take a second."""

import json
import math
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from goodteacher import Study, search
from goodteacher.errors import ConfigError, DataError, ModelError, RunError, StudyError
from goodteacher.records.arms import CROSS_ENTROPY, Arm
from goodteacher.records.results import StudentRow
from goodteacher.sweet_spot.choice import converged, most_accurate, shortlist
from goodteacher.sweet_spot.search import CONFIRM_SEED
from tests.made import SETTINGS, arrays, as_options, dataset, signalled

SECONDS = {"student_seconds"}
TIMES = {"seconds", "recording_seconds"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return search(dataset(), out=tmp_path_factory.mktemp("study") / "made", **SETTINGS)


def without_seconds(study):
    """Everything a study found, but for how long it took."""
    rows = [row.model_dump(exclude=SECONDS) for row in study.students()]
    answer = study.sweet_spot.model_dump(mode="json")
    for name in ("teacher_seconds", "student_seconds", "variants"):
        del answer["cost"][name]
    records = [record.model_dump(exclude=TIMES) for record in study.trajectories()]
    return rows, answer, records


def test_every_file_of_the_design_is_there(study):
    expected = {
        "study.toml",
        "data.json",
        "environment.json",
        "events.jsonl",
        "teachers",
        "students",
        "students.parquet",
        "confirmed.safetensors",
        "sweet_spot.json",
        "student",
        "report.html",
    }
    assert expected <= {path.name for path in study.folder.iterdir()}
    assert not list(study.folder.rglob("*.part"))


def test_sweet_spot_is_a_recorded_teacher_and_a_recipe_of_the_grid(study):
    spot, config = study.sweet_spot, study.config
    assert spot.teacher.batch_size in config.batch_sizes
    assert spot.teacher.epoch in config.recorded_epochs
    assert spot.recipe in config.recipes


def test_each_batch_size_has_a_record_for_each_recorded_epoch(study):
    found = [(record.batch_size, record.epoch) for record in study.trajectories()]
    assert found == [(b, e) for b in (16, 64) for e in (1, 2, 4)]
    assert all(
        record.passes == pytest.approx(record.epoch, rel=0.4) for record in study.trajectories()
    )


def test_similarity_parts_add_up_in_every_measurement(study):
    for record in study.trajectories():
        for m in record.measurements:
            assert m.similarity == pytest.approx(m.class_part + m.instance_part, abs=1e-9)


def test_confirmation_uses_fresh_paired_seeds(study):
    rows = study.students()
    confirm = {row.seed for row in rows if row.stage == "confirm"}
    assert confirm == {CONFIRM_SEED + i for i in range(3)}
    assert {row.seed for row in rows if row.stage == "search"} == {0, 1}
    arms = {s: {r.arm for r in rows if r.stage == "confirm" and r.seed == s} for s in confirm}
    assert len({frozenset(names) for names in arms.values()}) == 1


def test_answer_agrees_with_the_table_of_students(study):
    spot, rows = study.sweet_spot, study.students()
    ours = [r for r in rows if r.stage == "confirm" and r.arm == spot.student.arm]
    assert spot.student.test_accuracy == pytest.approx(np.mean([r.test_accuracy for r in ours]))
    plain = [r for r in rows if r.stage == "confirm" and r.arm == CROSS_ENTROPY.key]
    reference = spot.references.cross_entropy
    assert reference.test_accuracy == pytest.approx(np.mean([r.test_accuracy for r in plain]))
    assert reference.difference == pytest.approx(
        spot.student.test_accuracy - reference.test_accuracy
    )
    low, high = reference.interval
    wide_low, wide_high = reference.adjusted_interval
    assert wide_low <= low <= reference.difference <= high <= wide_high


def means_of_round(study, number):
    """Mean selection accuracy of every arm of a round of the search."""
    found = {}
    for row in study.students():
        if (row.stage, row.rung) == ("search", number):
            found.setdefault(row.arm, []).append(row.selection_accuracy)
    return {arm: math.fsum(values) / len(values) for arm, values in found.items()}


def test_winner_is_the_best_arm_of_its_last_rung(study):
    """Successive halving, replayed on what the students reached."""
    teachers = [record.source for record in shortlist(study.trajectories(), 3)]
    alive = [Arm(source=t, recipe=r).key for t in teachers for r in study.config.recipes]
    for number in range(3):
        means = means_of_round(study, number)
        assert set(alive) <= set(means)
        order = sorted(alive, key=lambda arm: -means[arm])
        alive = order[: math.ceil(len(order) / 3)]
    assert study.sweet_spot.student.arm == order[0]
    assert study.sweet_spot.student.training.epochs == SETTINGS["student_epochs"]


def test_losers_are_dropped_from_rung_to_rung(study):
    counts = {}
    for row in study.students():
        if row.stage == "search" and row.seed == 0:
            counts[row.rung] = counts.get(row.rung, 0) + 1
    assert sorted(counts) == [0, 1, 2]
    assert counts[0] > counts[1] >= counts[2]


def test_no_choice_saw_the_test_split(study):
    names = [event["event"] for event in study.store.events()]
    opened = names.index("test_split_opened")
    last_training = max(i for i, name in enumerate(names) if name == "task_done")
    assert opened > last_training
    searched = [row for row in study.students() if row.stage == "search"]
    assert all(row.test_accuracy is None for row in searched)


def test_delivered_student_runs_without_the_study(study, tmp_path):
    from goodteacher import load_student

    copied = tmp_path / "student"
    copied.mkdir()
    for path in (study.folder / "student").iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    classifier = load_student(copied)
    test = dataset().test
    hits = (classifier(test.inputs).argmax(1) == test.labels).double().mean()
    assert float(hits) == pytest.approx(classifier.card.test_accuracy)
    assert set(classifier.predict(test.inputs)) <= set("abcd")
    torch.testing.assert_close(study.student()(test.inputs), classifier(test.inputs))


def test_same_study_again_changes_nothing(study):
    before = without_seconds(study)
    again = search(dataset(), out=study.folder, **SETTINGS)
    assert without_seconds(again) == before


def test_same_study_elsewhere_finds_the_same(study, tmp_path):
    other = search(dataset(), out=tmp_path / "other", **SETTINGS)
    assert without_seconds(other) == without_seconds(study)


class Interrupter:
    """A progress that stops the work at its n-th step, as Ctrl-C would."""

    def __init__(self, after):
        self.left = after

    def begin(self, stage, total):
        pass

    def advance(self, units, stage=None):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def note(self, text):
        pass


@pytest.mark.parametrize("after", [1, 5, 12, 31])
def test_study_interrupted_anywhere_ends_with_the_same_numbers(study, tmp_path, after):
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        search(dataset(), out=out, progress=Interrupter(after), **SETTINGS)
    assert not (out / "sweet_spot.json").exists()
    resumed = search(dataset(), out=out, **SETTINGS)
    assert without_seconds(resumed) == without_seconds(study)


def test_study_killed_without_warning_ends_with_the_same_numbers(study, tmp_path):
    made = tmp_path / "circle.npz"
    np.savez(made, **arrays())
    out = tmp_path / "killed"
    # One thread, as the tests have: the order of sums, and so the last bit, depends on it.
    given = ["search", str(made), f"--out={out}", *as_options(SETTINGS), "--threads=1"]
    killed = signalled(given, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list(out.glob("students/*/rows.parquet"))) == 2
    assert not (out / "sweet_spot.json").exists()
    command = [sys.executable, "-m", "goodteacher", *given, "--json"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    answer = json.loads(finished.stdout)
    rows, expected, _ = without_seconds(study)
    for name in ("teacher_seconds", "student_seconds", "variants"):
        del answer["cost"][name]
    assert answer == expected
    assert [r.model_dump(exclude=SECONDS) for r in Study(out).students()] != []
    assert len(Study(out).students()) == len(rows)


def test_exhaustive_search_trains_every_candidate_to_the_end(tmp_path):
    settings = {**SETTINGS, "exhaustive": True, "student_epochs": 2, "search_seeds": 1}
    study = search(dataset(), out=tmp_path / "all", **settings)
    rows = [r for r in study.students() if r.stage == "search" and r.source == "checkpoint"]
    grid = 2 * 3 * len(study.config.recipes)
    assert len(rows) == grid
    assert {row.student_epochs for row in rows} == {2}
    cost = study.sweet_spot.cost
    assert cost.student_epochs_run >= cost.student_epochs_exhaustive == grid * 2


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A study whose axes grow: few values, so that winners lie on edges."""
    few = {"temperatures": (2.0,), "alphas": (0.5,), "smoothings": (0.1,), "extend": True}
    folder = tmp_path_factory.mktemp("extended") / "made"
    return search(dataset(), out=folder, **{**SETTINGS, **few, "rungs": 1})


def test_no_winner_lies_on_an_edge_that_may_grow(extended):
    """Of what was tried; and what lies on a limit is named."""
    spot, rows = extended.sweet_spot, extended.students()
    searched = [row for row in rows if row.stage == "search"]
    limits = {(edge.family, edge.axis) for edge in spot.edges}
    taught = [row for row in searched if row.source == "checkpoint"]
    for axis in ("temperature", "alpha"):
        tried = {getattr(row, axis) for row in taught}
        assert len(tried) > 1, "an axis of one value has two edges"
        ends = {min(tried), max(tried)} - ({1.0} if axis == "alpha" else set())
        value = getattr(spot.recipe, axis)
        assert value not in ends or ("sweet_spot", axis) in limits


def test_axes_that_grow_do_so_for_every_teacher_and_not_where_they_may_not(extended, study):
    """Each temperature was tried with the sweet spot's teachers and with the references'."""
    rows = [row for row in extended.students() if row.stage == "search"]
    teachers = converged(extended.trajectories()), most_accurate(extended.trajectories())
    for temperature in {row.temperature for row in rows if row.source == "checkpoint"}:
        taught = {(r.run, r.epoch) for r in rows if r.temperature == temperature}
        assert {(r.run, r.epoch) for r in teachers} <= taught
    kept = [row for row in study.students() if row.source == "checkpoint"]
    assert {row.temperature for row in kept} == set(SETTINGS["temperatures"])


def test_stack_split_to_fit_memory_finds_the_same(study, tmp_path):
    narrow = search(dataset(), out=tmp_path / "narrow", **SETTINGS, memory_gib=1e-5)
    wide_rows, narrow_rows = study.students(), narrow.students()
    assert [r.arm for r in narrow_rows] == [r.arm for r in wide_rows]
    for ours, theirs in zip(narrow_rows, wide_rows, strict=True):
        assert ours.selection_accuracy == pytest.approx(theirs.selection_accuracy, abs=0.03)
        assert ours.training_loss == pytest.approx(theirs.training_loss, rel=1e-2)


def test_budget_of_steps_gives_batch_sizes_equal_steps(tmp_path):
    study = search(
        dataset(),
        out=tmp_path / "steps",
        **{**SETTINGS, "budget": "steps", "reference_batch_size": 32, "seeds": 2},
    )
    by_epoch = {}
    for record in study.trajectories():
        by_epoch.setdefault(record.epoch, set()).add(record.steps)
    assert all(len(steps) == 1 for steps in by_epoch.values())


def test_teacher_that_diverges_is_a_record_with_a_status(tmp_path):
    settings = {**SETTINGS, "optimizer": "sgd", "learning_rates": (1e25,)}
    with pytest.raises(RunError, match=r"every teacher diverged.*Lower learning_rates"):
        search(dataset(), out=tmp_path / "diverged", **settings)
    records = Study(tmp_path / "diverged").trajectories()
    assert {record.status for record in records} == {"diverged"}
    assert all(record.measurements == () for record in records)


def test_student_that_diverges_is_a_row_with_a_status(tmp_path):
    settings = {**SETTINGS, "student_optimizer": "sgd", "student_learning_rate": 1e25}
    with pytest.raises(RunError, match=r"3 of 3 students of .*Lower --student-learning-rate"):
        search(dataset(), out=tmp_path / "wild", **settings)
    study = Study(tmp_path / "wild")
    tables = study.store.matching("students/*/rows.parquet")
    rows = [row for table in tables for row in study.store.read_table(table, StudentRow)]
    assert {row.status for row in rows} == {"diverged"}
    assert all(row.training_loss is None and row.selection_accuracy == 0 for row in rows)
    assert not study.finished
    assert not (study.folder / "student").exists()


BAD = {
    "batch size beyond the data": (
        {"batch_sizes": (16, 4096)},
        ConfigError,
        "batch_sizes holds 4096",
    ),
    "student batch beyond the data": (
        {"student_batch_size": 512},
        ConfigError,
        "student_batch_size holds 512",
    ),
    "unknown setting": ({"epoch": 3}, ConfigError, "Did you mean epochs"),
    "unknown teacher": ({"teacher": "mpl:3"}, ModelError, "mlp"),
    "malformed student": ({"student": "mlp:x"}, ModelError, "mlp:x"),
    "image network on features": ({"teacher": "cnn:4"}, ModelError, "image"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_before_training_and_leaves_nothing(tmp_path, case):
    changes, error, message = BAD[case]
    out = tmp_path / "out"
    with pytest.raises(error, match=message):
        search(dataset(), out=out, **{**SETTINGS, **changes})
    assert not out.exists()


def test_other_data_in_the_same_folder_are_refused(study):
    with pytest.raises(StudyError, match="holds a study of other data"):
        search(dataset(seed=1), out=study.folder, **SETTINGS)


def test_missing_data_are_refused(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        search(tmp_path / "nowhere.npz", out=tmp_path / "out", **SETTINGS)
    assert not (tmp_path / "out").exists()


def test_unfinished_study_says_so(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        search(dataset(), out=tmp_path / "s", progress=Interrupter(3), **SETTINGS)
    unfinished = Study(tmp_path / "s")
    assert not unfinished.finished
    with pytest.raises(StudyError, match="Has the study finished"):
        _ = unfinished.sweet_spot


def test_student_rows_name_every_column_of_the_table(study):
    import pyarrow.parquet as pq

    names = pq.read_schema(study.folder / "students.parquet").names
    assert names == list(StudentRow.model_fields)
