"""What the objectives of boosted trees save: the page holds what was measured."""

import json
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FOUND = json.loads((ROOT / "benchmarks/results/soft_objectives.json").read_text())


def ratio(package, way, unit):
    """Median over the runs, each beside the objective's of the same turn."""
    pairs = zip(FOUND[package][way], FOUND[package]["objective"], strict=True)
    return statistics.median(one[unit] / other[unit] for one, other in pairs)


@pytest.mark.parametrize(
    ("way", "unit", "sentence"),
    [
        ("weighted rows", "seconds", "weighted rows take {} and {} times the processor's time of"),
        ("weighted rows", "bytes", "the objective, and {} and {} times the memory"),
        ("labels", "seconds", "on plain labels {} and {} times its time"),
    ],
)
def test_ratios_on_the_page_are_those_of_the_results(way, unit, sentence):
    page = " ".join((ROOT / "docs/tables-and-scikit-learn.md").read_text().split())
    both = [f"{ratio(package, way, unit):.2f}" for package in ("lightgbm", "xgboost")]
    assert sentence.format(*both) in page


def test_every_way_was_run_as_often():
    counts = {len(runs) for ways in FOUND.values() for runs in ways.values()}
    assert counts == {3}


def test_copies_cost_more_in_every_run():
    for ways in FOUND.values():
        for copied, ours in zip(ways["weighted rows"], ways["objective"], strict=True):
            assert copied["seconds"] > ours["seconds"]
            assert copied["bytes"] > ours["bytes"]
