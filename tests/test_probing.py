"""Teaching that stops at the sweet spot: the rule, and studies that stop and go on."""

import pytest

from goodteacher import search
from goodteacher.errors import ConfigError
from goodteacher.probing import PROBE_SEED, has_declined, probe_recipes
from goodteacher.report.findings import read_findings
from goodteacher.report.page import render
from tests.made import SETTINGS, dataset
from tests.report import build
from tests.test_study import Interrupter, without_seconds

PATIENT = {
    **SETTINGS,
    "epochs": 6,
    "record_epochs": tuple(range(1, 7)),
    "learning_rate": 0.05,
    "student_learning_rate": 0.03,
    "shortlist": 2,
    "search_seeds": 1,
    "seeds": 2,
    "patience": 1,
}


def reference(accuracies, patience):
    """Count how many recorded epochs the best one lies back, a value equal to it renewing it."""
    best, since = float("-inf"), 0
    for value in accuracies:
        best, since = (value, 0) if value >= best else (best, since + 1)
    return since >= patience


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_decline_is_that_of_a_plain_count(patience):
    from itertools import product

    for length in range(1, 6):
        for accuracies in product((0.1, 0.2, 0.3), repeat=length):
            assert has_declined(accuracies, patience) == reference(accuracies, patience)


def test_probes_learn_at_middle_temperatures_and_the_largest_alpha():
    config = build.settings(temperatures=[8, 1, 4], alphas=[0.5, 1])
    assert [(r.temperature, r.alpha) for r in probe_recipes(config)] == [(4.0, 1.0)]
    both = build.settings(losses=["mse", "kl"])
    assert [r.loss for r in probe_recipes(both)] == ["mse"]


def test_patience_and_exhaustive_contradict_each_other():
    with pytest.raises(ConfigError, match="exhaustive trains students of every teacher"):
        build.settings(patience=2, exhaustive=True)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return search(dataset(), out=tmp_path_factory.mktemp("probed") / "made", **PATIENT)


def test_trajectory_stops_where_its_probe_students_have_declined(study):
    probes = {}
    for row in study.students():
        if row.stage == "probe":
            found = probes.setdefault(row.batch_size, {})
            found[row.epoch] = max(row.selection_accuracy, found.get(row.epoch, 0.0))
    stopped = 0
    for size in PATIENT["batch_sizes"]:
        records = [r for r in study.trajectories() if r.batch_size == size]
        reached = [probes[size][r.epoch] for r in records if r.epoch < 6]
        ends = [n for n in range(1, len(reached) + 1) if reference(reached[:n], 1)]
        assert [r.stopped for r in records[:-1]] == [False] * (len(records) - 1)
        assert records[-1].stopped == bool(ends)
        assert len(records) == (ends[0] if ends else 6)
        stopped += records[-1].stopped
    assert stopped, "no trajectory of this study stopped: it tests nothing"


def test_teacher_epochs_run_are_counted_against_those_planned(study):
    cost = study.sweet_spot.cost
    last = {record.batch_size: record.epoch for record in study.trajectories()}
    assert cost.teacher_epochs_run == sum(last.values()) < cost.teacher_epochs_full == 12
    probes = [row for row in study.students() if row.stage == "probe"]
    assert cost.probe_epochs_run == len(probes) * probes[0].student_epochs
    assert {row.seed for row in probes} == {PROBE_SEED}


def test_nothing_to_go_on_from_is_left_of_a_trajectory_that_ended(study):
    assert not list(study.folder.glob("teachers/*/resume-*"))


def test_records_before_the_stop_are_those_of_a_teacher_taught_to_the_end(study, tmp_path):
    settings = {**PATIENT, "student_epochs": 1, "seeds": 1, "search_seeds": 1}
    del settings["patience"]
    whole = search(dataset(), out=tmp_path / "whole", **settings)
    full = {r.checkpoint: r for r in whole.trajectories()}
    for record in study.trajectories():
        same = full[record.checkpoint]
        assert record.training_loss == same.training_loss
        assert record.measurements == same.measurements


@pytest.mark.parametrize("after", [1, 3, 5, 8, 11])
def test_probed_study_interrupted_anywhere_decides_the_same(study, tmp_path, after):
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        search(dataset(), out=out, progress=Interrupter(after), **PATIENT)
    assert without_seconds(search(dataset(), out=out, **PATIENT)) == without_seconds(study)


def test_report_says_which_teachers_stopped(study):
    page = render(read_findings(study.store))
    stopped = [record for record in study.trajectories() if record.stopped]
    for record in stopped:
        text = f"Teaching at batch size {record.batch_size} stopped after epoch {record.epoch}"
        assert text in page
    assert "by probe students" in page
    assert "teaching had stopped" in page


def test_patience_beyond_the_epochs_changes_no_answer(tmp_path):
    settings = {**SETTINGS, "student_epochs": 3, "seeds": 2}
    plain = search(dataset(), out=tmp_path / "plain", **settings).sweet_spot
    patient = search(dataset(), out=tmp_path / "patient", patience=9, **settings).sweet_spot
    assert patient.model_dump(exclude={"cost"}) == plain.model_dump(exclude={"cost"})
    assert patient.cost.probe_epochs_run > 0 == plain.cost.probe_epochs_run
