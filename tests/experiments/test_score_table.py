"""The score table on made pairs of which it is known what foretells their students."""

import json
import sys

import numpy as np
import pytest
from scipy.stats import rankdata

import combined_score
import score_table
from cases import Case, case_of, partial_correlation
from combined_score import GROUPS, METHODS, choices_without, combined, fit, folds_of
from goodteacher.sweet_spot.scores import SCORES
from pairs import all_pairs
from summaries import summarize


def made(number, *, data="one", teachers=24, **scores):
    """A pair; each score is a function of (the accuracies, a random generator)."""
    rng = np.random.default_rng(number)
    accuracies = rng.normal(0.9, 0.01, teachers)
    every = {"best_nll": noise, "accuracy": noise, **scores}
    found = {name: list(make(accuracies, rng)) for name, make in every.items()}
    return Case(f"{data}/{number}", data, list(accuracies), found, probe_seconds=2.5)


def noise(accuracies, rng):
    return rng.normal(size=len(accuracies))


def truth(accuracies, rng):
    return accuracies


def blurred(accuracies, rng):
    return accuracies + rng.normal(0, 0.01, len(accuracies))


def halves():
    """Two scores of which each holds half of what makes a teacher good."""
    parts = {}

    def first(accuracies, rng):
        parts["x"] = rng.normal(0, 0.02, len(accuracies))
        return accuracies + parts["x"]

    def second(accuracies, rng):
        return accuracies - parts["x"]

    return {"cmi": first, "entropy": second}


def mean_regret(folds, method, k=3):
    return float(np.mean([fold.rows[method].regret[k] for fold in folds]))


def test_score_that_foretells_is_chosen_alone_and_loses_nothing():
    cases = [made(n, cmi=truth, ace=noise) for n in range(6)]
    assert fit(cases) == ("cmi",)
    folds = folds_of(cases, GROUPS["pair"])
    assert [fold.choices["combined"] for fold in folds] == [("cmi",)] * 6
    assert mean_regret(folds, "combined", 1) == mean_regret(folds, "best single", 1) == 0
    assert mean_regret(folds, "best_nll", 1) > 0
    assert all(fold.rows["combined"].rho == pytest.approx(1) for fold in folds)


def test_two_halves_of_the_truth_are_combined_and_win_out_of_sample():
    cases = [made(n, ace=noise, **halves()) for n in range(12)]
    assert set(fit(cases)) >= {"cmi", "entropy"}
    folds = folds_of(cases, GROUPS["pair"])
    assert mean_regret(folds, "combined", 1) < mean_regret(folds, "best single", 1) / 2


def test_choice_for_a_pair_does_not_depend_on_that_pair():
    cases = [made(n, cmi=blurred, ace=blurred, entropy=blurred) for n in range(8)]
    before = folds_of(cases, GROUPS["pair"])[3]
    spoiled = Case(cases[3].name, "one", cases[3].accuracies[::-1], cases[3].scores)
    after = folds_of([*cases[:3], spoiled, *cases[4:]], GROUPS["pair"])[3]
    assert after.choices == before.choices
    assert after.rows["combined"] != before.rows["combined"]


def test_choice_for_a_data_set_depends_on_none_of_its_pairs():
    """All but one pair of each data set tells what works there: only leaving out all hides it."""
    one = [made(n, data="one", cmi=truth, ace=noise) for n in range(4)]
    two = [made(n, data="two", cmi=noise, ace=truth) for n in range(10, 14)]
    assert choices_without([*one, *two], GROUPS["data set"], "one")["combined"][0] == "ace"
    folds = folds_of([*one, *two], GROUPS["data set"])
    assert [fold.choices["best single"] for fold in folds] == [("ace",)] * 4 + [("cmi",)] * 4
    assert mean_regret(folds, "best single") > 0


def test_scores_without_use_look_good_where_they_were_chosen_and_not_elsewhere():
    names = [name for name in SCORES if name != "probe"]
    cases = [made(n, teachers=24, **dict.fromkeys(names, noise)) for n in range(8)]
    choice = fit(cases)
    inside = np.mean([combined_score.loss(case, choice) for case in cases])
    folds = folds_of(cases, GROUPS["pair"])
    outside = np.mean(
        [combined_score.loss(c, f.choices["combined"]) for c, f in zip(cases, folds, strict=True)]
    )
    chance = np.mean([combined_score.loss(case, (name,)) for case in cases for name in names])
    assert inside < chance / 2
    assert abs(outside - chance) < chance / 2


def test_one_data_set_alone_is_not_judged_by_leaving_it_out():
    cases = [made(n, cmi=truth) for n in range(3)]
    assert folds_of(cases, GROUPS["data set"]) == []
    assert folds_of(cases[:1], GROUPS["pair"]) == []


def test_score_that_some_pair_lacks_cannot_be_chosen():
    cases = [made(n, probe=truth) for n in range(3)]
    assert fit(cases) == ("probe",)
    assert "probe" not in fit([*cases, made(9)])


def test_easy_and_hard_data_count_alike():
    """Ten times the spread of accuracies does not make a pair count ten times."""
    small = made(1, cmi=truth, ace=noise)
    wide = [0.9 + 10 * (a - 0.9) for a in small.accuracies]
    large = Case("one/large", "one", wide, small.scores)
    assert combined_score.loss(large, ("ace",)) == pytest.approx(
        combined_score.loss(small, ("ace",))
    )


def test_combined_score_is_the_mean_of_ranks():
    case = made(5, cmi=blurred, ace=noise)
    ranks = [(rankdata(case.scores[name]) - 1) / 23 for name in ("cmi", "ace")]
    assert combined(case, ("cmi", "ace")) == pytest.approx(list(np.mean(ranks, axis=0)))


def test_partial_correlation_is_that_of_what_the_fixed_ranks_leave():
    rng = np.random.default_rng(0)
    fixed = rng.normal(size=40)
    one, other = fixed + rng.normal(size=40), fixed + rng.normal(size=40)
    ranks = [rankdata(values) for values in (one, other, fixed)]
    left = [r - np.polyval(np.polyfit(ranks[2], r, 1), ranks[2]) for r in ranks[:2]]
    expected = np.corrcoef(*left)[0, 1]
    assert partial_correlation(one, other, fixed) == pytest.approx(expected)


def test_partial_correlation_of_the_fixed_one_itself_is_none():
    values = [1.0, 3.0, 2.0, 5.0, 4.0]
    assert partial_correlation(values, [2.0, 1.0, 3.0, 4.0, 5.0], values) is None
    assert partial_correlation([1.0] * 5, values, [2.0, 1.0, 3.0, 4.0, 5.0]) is None


def test_interval_over_pairs_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    found = [summarize(rng.normal(size=30)) for _ in range(200)]
    covered = np.mean([low <= 0 <= high for low, high in (one.interval for one in found)])
    assert 0.88 <= covered <= 0.99


def test_mean_of_one_pair_has_no_interval_and_of_none_is_none():
    assert summarize([2.0]).interval is None
    assert summarize([2.0]).text() == "2.00"
    assert summarize([]) is None


def test_table_of_collected_pairs_is_printed_and_kept(results, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["score_table.py", "--results", str(results)])
    score_table.main()
    printed = capsys.readouterr().out
    kept = json.loads((results / score_table.FILE).read_text())
    assert score_table.rendered(kept) in printed
    assert "| `best_nll` | 1 |" in printed
    row = kept["all recorded epochs"]["pairs"]["made/small--narrow--full"]["best_nll"]
    assert row["teachers"] == 6
    assert row["seconds"] == 0
    late = kept["from epoch 4 on"]
    assert late["left_out"] == ["made/small--narrow--full"], "two teachers are too few"
    assert "**Teachers: from epoch 4 on.** *Not measured.*" in printed


def test_tables_of_several_pairs_say_what_was_chosen(monkeypatch):
    made_cases = {f"pair {n}": made(n, data=d, cmi=truth) for n, d in enumerate("aabbb")}
    monkeypatch.setattr(score_table, "case_of", lambda pair, since: made_cases[pair.name])
    pairs = [type("P", (), {"name": name}) for name in made_cases]
    text = score_table.rendered(score_table.result_of(pairs))
    assert text.count("Chosen without the pair that it ranks, n = 5 pairs:") == 2
    assert text.count("Chosen without the data set that it ranks, n = 5 pairs:") == 2
    assert "| combined | cmi (5 x) | 1.00 [1.00, 1.00] | 0.00" in text
    assert "| combined minus best single |" in text
    assert set(METHODS) == {"best_nll", "best single", "combined"}


def test_teachers_before_the_first_epoch_that_counts_are_left_out(results):
    (pair,) = all_pairs(results)
    assert len(case_of(pair, 1).accuracies) == 6
    assert len(case_of(pair, 2).accuracies) == 4
    assert case_of(pair, 4) is None
