"""Defaults are decided on data sets that had no part in choosing, on planted outcomes."""

import dataclasses
import json
import math

import pytest

import defaults
from defaults import Regret, choose, cost_of, decide, losses, regret_of
from pairs import RESULTS, Pair
from replays import DEFAULTS, Outcome

SETS = ("a", "b", "c")


def found(*, old=0.8, new=0.8, cost=1.0, sets=SETS, pairs=3, **of_set):
    """Outcomes of two alternatives, alike in every pair, but for a data set's own `new`."""
    return {
        f"{data}/{n}": {
            "old": Outcome(old, 1.0),
            "new": Outcome(of_set.get(data, new), cost),
        }
        for data in sets
        for n in range(pairs)
    }


def test_page_is_that_of_the_results():
    text = defaults.PAGE.read_text()
    made = defaults.page_of(text, json.loads(defaults.FILE.read_text()))
    assert made == text, "run python experiments/defaults.py"


def test_results_are_of_the_committed_pairs():
    """One pair replayed anew; all of them take a quarter of a minute."""
    kept = json.loads(defaults.FILE.read_text())
    pair = Pair(RESULTS / "banking77/large--narrow--tenth")
    assert kept["tuned"][pair.name] == pair.tuned, "run python experiments/defaults.py"
    for default in DEFAULTS:
        here = {name: [o.accuracy, o.cost] for name, o in default.replay(pair).items()}
        assert here, default.name
        for name, values in kept["defaults"][default.name][pair.name].items():
            assert values == pytest.approx(here[name], abs=1e-9), (default.name, name)


def test_todays_default_is_among_the_alternatives():
    kept = json.loads(defaults.FILE.read_text())
    for default in DEFAULTS:
        for pair, each in kept["defaults"][default.name].items():
            assert each[default.today][1] == pytest.approx(1.0), (default.name, pair)


def test_a_better_alternative_changes_the_default():
    decided = decide(found(new=0.81), "old")
    assert set(decided.chosen.values()) == {"new"}
    assert decided.regret.mean == pytest.approx(-0.01)
    assert decided.decision == "changed"


def test_an_equal_and_cheaper_one_does_too_and_an_equal_and_costlier_one_not():
    assert decide(found(cost=0.5), "old").decision == "changed"
    assert decide(found(cost=2.0), "old").decision == "kept"


def test_a_loss_within_a_tenth_of_a_point_is_close_and_one_beyond_is_not():
    assert choose(found(new=0.7995, cost=0.5), "old") == "new"
    assert choose(found(new=0.798, cost=0.5), "old") == "old"


def test_what_wins_on_one_data_set_alone_is_judged_on_the_others():
    """Better by far on a, worse on b and c: chosen without b or c, where it loses."""
    made = found(a=0.85, b=0.79, c=0.79)
    decided = decide(made, "old")
    assert decided.chosen == {"a": "old", "b": "new", "c": "new"}
    assert decided.regret.mean == pytest.approx(0.01 * 2 / 3)
    assert decided.decision == "kept"


def test_a_choice_that_differs_and_may_win_much_is_not_told_apart():
    """Better on three data sets and as much worse on the fourth."""
    decided = decide(found(new=0.81, sets=("a", "b", "c", "d"), a=0.79), "old")
    assert set(decided.chosen.values()) == {"new"}
    assert decided.regret.low < -0.001 < 0 < decided.regret.high
    assert decided.decision == "cannot be told apart"


def test_each_data_set_counts_alike_in_the_choice():
    made = found(sets=("a",), pairs=9, new=0.802) | found(sets=("b",), pairs=1, new=0.79)
    assert choose(made, "old") == "old"


def test_interval_is_over_data_sets_and_pairs():
    spread = regret_of({"a/1": 0.0, "a/2": 0.0, "b/1": 0.02, "b/2": 0.02})
    assert spread.mean == pytest.approx(0.01)
    assert (spread.low, spread.high) == pytest.approx((0.0, 0.02))
    alone = regret_of({"a/1": 0.0, "a/2": 0.02})
    assert math.isnan(alone.low)
    assert alone.text() == "+1.00"


def test_costs_are_geometric_means_and_losses_are_paired():
    made = {
        "a/1": {"old": Outcome(0.8, 1.0), "new": Outcome(0.7, 0.5)},
        "b/1": {"old": Outcome(0.6, 1.0), "new": Outcome(0.65, 2.0)},
    }
    assert cost_of(made, "new") == pytest.approx(1.0)
    assert losses(made, "new", "old") == pytest.approx({"a/1": 0.1, "b/1": -0.05})


def test_one_data_set_decides_nothing():
    one = found(sets=("a",))
    lines = defaults.rows_of(dataclasses.replace(DEFAULTS[0], today="old"), one)
    assert lines[-1][-1] == "not known: one data set"
    assert defaults.rows_of(DEFAULTS[0], {})[0][2] == "not measured"


def test_decisions_of_untuned_students_are_provisional():
    result = json.loads(defaults.FILE.read_text())
    untuned = {**result, "tuned": dict.fromkeys(result["tuned"], False)}
    tuned = {**result, "tuned": dict.fromkeys(result["tuned"], True)}
    assert "provisional" in defaults.answer(untuned)
    assert "provisional" not in defaults.answer(tuned)
    assert "**changed** (provisional)" in defaults.decisions(untuned)
    assert "provisional" not in defaults.decisions(tuned)


def test_what_is_struck_has_its_reason():
    said = defaults.struck({})
    assert "`cifar10/large--narrow--full`: 1 struck: a search on a tenth" in said
    assert "banking77/small--wide--tenth` under other" in said


def test_regrets_are_told_in_points():
    assert Regret(0.005, -0.001, 0.01).text() == "+0.50 [-0.10, +1.00]"
