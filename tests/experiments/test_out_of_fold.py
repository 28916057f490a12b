"""What out-of-fold responses are worth: the page holds what was measured, as it says."""

import json

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

import out_of_fold as experiment
from goodteacher.integrations.sklearn.teaching import Table, Teaching


def noise(count=90):
    rng = np.random.default_rng(0)
    codes = np.arange(count) % 2
    return Table(rng.normal(size=(count, 3)), codes, np.array(["a", "b"]))


def test_page_holds_the_table_of_the_results():
    text, found = experiment.PAGE.read_text(), json.loads(experiment.RESULTS.read_text())
    assert experiment.page_of(text, found) == text, "run python experiments/out_of_fold.py --page"


def test_the_results_are_of_at_least_six_tables_and_every_pair():
    found = json.loads(experiment.RESULTS.read_text())
    assert len(found["tables"]) >= 6
    for name, pairs in found["tables"].items():
        assert set(pairs) == set(experiment.PAIRS), name
    settings = (experiment.FOLDS, experiment.REPEATS, experiment.TREES)
    assert (found["folds"], found["repeats"], found["trees"]) == settings


@pytest.mark.parametrize(
    "kind, low, high", [(experiment.InSample, 0.999, 1.0), (Teaching, 0.3, 0.7)]
)
def test_extra_trees_know_their_own_rows_by_heart_and_others_not(kind, low, high):
    table = noise()
    teaching = kind(ExtraTreesClassifier(10), folds=3, prefit="auto", seed=0).within(table)
    said = teaching.out_of_fold(table).logits.softmax(1).numpy()
    assert low <= said[np.arange(90), table.codes].mean() <= high


def test_a_row_says_who_reached_what(monkeypatch):
    monkeypatch.setattr(experiment, "REPEATS", 1)
    table = noise()
    found = experiment.row(ExtraTreesClassifier(5), experiment.TREE, table.inputs, table.labels)
    assert found["n"] == 90
    assert found["accuracy"]["in sample"] == found["accuracy"]["hard labels"]
    assert found["saved"][0] > 0, "soft targets of noise are softer than its labels"
    assert found["saved"][0] == pytest.approx(
        found["log_loss"]["in sample"] - found["log_loss"]["out of fold"]
    )
