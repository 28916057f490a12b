"""What synthetic rows are worth: the page holds what was measured, as it says."""

import json

import numpy as np
import pytest

import synthetic_rows as experiment
from goodteacher.integrations.sklearn.comparing import SyntheticArm

FOUND = json.loads(experiment.RESULTS.read_text())
ROWS = [each for students in FOUND["tables"].values() for each in students.values()]
BETTER, WORSE = (lambda ends: ends[1] > 0), (lambda ends: ends[2] < 0)


def test_page_holds_the_table_of_the_results():
    text = experiment.PAGE.read_text()
    again = experiment.page_of(text, FOUND)
    assert again == text, "run python experiments/synthetic_rows.py --page"


def test_the_results_are_of_at_least_six_tables_and_every_student():
    assert len(FOUND["tables"]) >= 6
    for name, students in FOUND["tables"].items():
        assert set(students) == set(experiment.STUDENTS), name
    settings = (experiment.FOLDS, experiment.REPEATS, experiment.TREES, experiment.PER_ROW)
    assert (FOUND["folds"], FOUND["repeats"], FOUND["trees"], FOUND["per_row"]) == settings


@pytest.mark.parametrize(
    ("what", "kind", "better", "worse"),
    [
        ("gain", "munge", 1, 0),
        ("gain", "spunge", 2, 0),
        ("gain", "chosen", 2, 1),
        ("saved", "munge", 4, 0),
        ("saved", "spunge", 3, 2),
    ],
)
def test_the_page_counts_what_is_resolved(what, kind, better, worse):
    assert len(ROWS) == 16
    assert sum(BETTER(row[what][kind]) for row in ROWS) == better
    assert sum(WORSE(row[what][kind]) for row in ROWS) == worse


def test_arms_differ_in_synthetic_rows_alone():
    arms = experiment.ARMS
    assert not isinstance(arms["none"], SyntheticArm)
    assert [arms[kind].synthetic for kind in ("munge", "spunge")] == ["munge", "spunge"]
    assert len({arm.recipe for arm in arms.values()}) == 1


def test_a_row_says_who_reached_what(monkeypatch):
    monkeypatch.setattr(experiment, "REPEATS", 1)
    monkeypatch.setattr(experiment, "TREES", 3)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    found = experiment.row(experiment.TREE, x, (x[:, 0] > 0).astype(int))
    assert set(found["accuracy"]) == {"hard_labels", "none", "munge", "spunge", "chosen"}
    for kind in ("munge", "spunge"):
        apart = found["accuracy"][kind] - found["accuracy"]["none"]
        assert found["gain"][kind][0] == pytest.approx(apart)
        less = found["log_loss"]["none"] - found["log_loss"][kind]
        assert found["saved"][kind][0] == pytest.approx(less)
