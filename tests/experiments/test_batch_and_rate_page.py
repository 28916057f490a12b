"""What batch sizes lose: intervals of planted students, the rules, and the page that shows them."""

import json

import numpy as np
import pytest

import batch_and_rate_page as page
import batch_and_rate_results as results
from batch_and_rate import COLD, COLD_ONE, LABELS, ONE, TUNED, WAYS, Cell, Choices, Judged
from pages import places
from summaries import json_text

EXAMPLES = 4000
SIZES = (32, 128, 512)
LAST, CONVERGED = Cell(32, 1e-3, 40, 1.0), Cell(128, 1e-3, 40, 4.0)


def right(accuracy, shared, rng):
    """Share of three students that are right about each example; examples are hard for all."""
    return (shared + 0.05 * rng.standard_normal((3, EXAMPLES)) < accuracy).mean(0)


def cell(way, size):
    return Cell(
        size, 1e-3 if way in (ONE, COLD_ONE) else 4e-3, 4, 1.0 if way in (COLD, COLD_ONE) else 4.0
    )


def judged(number, accuracies, *, best, noise=0.0):
    """A repetition whose students are as accurate as planted, by way and batch size."""
    rng = np.random.default_rng(number)
    shared = np.random.default_rng(99).random(EXAMPLES)  # the test split is the same for all
    cells = {way: {size: cell(way, size) for size in SIZES} for way in WAYS}
    planted = {
        cells[way][size]: accuracies.get(way, accuracies[TUNED])[place] + noise * rng.normal()
        for way in WAYS
        for place, size in enumerate(SIZES)
    }
    planted |= {LAST: 0.80, CONVERGED: 0.78, LABELS: 0.70}
    worst = {way: SIZES[int(np.argmin(accuracies.get(way, accuracies[TUNED])))] for way in WAYS}
    choices = Choices(cells, best, worst, LAST, CONVERGED)
    return Judged(choices, {key: right(value, shared, rng) for key, value in planted.items()})


FLAT_WHEN_TUNED = {TUNED: (0.85, 0.85, 0.85), ONE: (0.81, 0.84, 0.79)}
BEST = {TUNED: 128, ONE: 128, COLD: 128, COLD_ONE: 128}


def row(accuracies=FLAT_WHEN_TUNED, repetitions=3, best=BEST, noise=0.0):
    found = [judged(n, accuracies, best=best, noise=noise) for n in range(repetitions)]
    made = {"data": "banking77", "repetitions": list(range(repetitions)), **results.row_of(found)}
    return json.loads(json_text(made))


def test_losses_are_what_was_planted():
    lost = results.losses([judged(n, FLAT_WHEN_TUNED, best=BEST) for n in range(3)], ONE)
    assert [lost[size].mean for size in SIZES] == pytest.approx([0.03, 0.0, 0.05], abs=0.006)
    assert lost[128].low == lost[128].high == 0.0
    assert lost[32].low > 0.01


def test_losses_of_a_way_are_joint():
    every = [judged(n, FLAT_WHEN_TUNED, best=BEST) for n in range(3)]
    assert all(each.level < 0.05 for each in results.losses(every, ONE).values())
    assert results.spread_of(every, ONE).level == 0.05


def test_a_choice_that_was_wrong_costs_what_it_costs():
    wrong = results.losses(
        [judged(n, FLAT_WHEN_TUNED, best={**BEST, ONE: 32}) for n in range(3)], ONE
    )
    assert wrong[128].mean == pytest.approx(-0.03, abs=0.006)


def test_the_rate_explains_what_vanishes_once_it_is_tuned():
    found = row({TUNED: (0.85, 0.85, 0.8495), ONE: (0.81, 0.84, 0.79)})
    found["ways"][TUNED]["spread"] = [0.0, -0.001, 0.001]
    assert page.rate_explains(found) == "yes"
    assert found["rate_takes_away"][0] == pytest.approx(0.05, abs=0.008)


def test_the_rate_does_not_explain_what_stays():
    kept = {TUNED: (0.82, 0.85, 0.80), ONE: (0.81, 0.84, 0.79)}
    assert page.rate_explains(row(kept)) == "no"


@pytest.mark.parametrize(
    ("accuracies", "best", "said"),
    [
        ((0.80, 0.85, 0.80), 128, "sweet spot: 128"),
        ((0.80, 0.82, 0.85), 512, "best batch size: 512"),
        ((0.80, 0.8501, 0.85), 128, "some are worse"),
    ],
)
def test_what_a_way_comes_to(accuracies, best, said):
    found = row({TUNED: accuracies}, best=dict.fromkeys(WAYS, best))
    assert page.way_status(found, TUNED) == said


def test_batch_sizes_that_are_all_as_good_are_no_sweet_spot():
    found = row()
    for of in found["ways"][TUNED]["sizes"].values():
        of["loss"] = [0.0, -0.001, 0.001]
    assert page.way_status(found, TUNED) == "no best batch size"
    found["ways"][TUNED]["sizes"]["32"]["loss"] = [0.001, -0.001, 0.003]
    assert page.way_status(found, TUNED) == "undecided"


def test_with_fewer_than_a_group_nothing_is_decided():
    found = row({TUNED: (0.80, 0.85, 0.80), ONE: (0.70, 0.84, 0.79)}, repetitions=2)
    assert page.way_status(found, TUNED) == "undecided"
    assert page.rate_explains(found) == "undecided"
    text = page.answer([found])
    assert "not known yet" in text
    assert "Banking77: 2 of 3 repetitions are judged." in text
    assert "| undecided |" in page.sizes_table([found])


def test_leads_are_over_the_converged_teacher_and_the_last_epoch():
    found = row()
    assert found["over"]["converged"][0] == pytest.approx(0.07, abs=0.006)
    assert found["over"]["last"][0] == pytest.approx(0.05, abs=0.006)
    assert found["over"]["labels"][0] == pytest.approx(0.15, abs=0.006)


def test_teachers_that_differ_more_need_more_seeds():
    needs = [
        results.needed(
            results.spread_of(
                [judged(n, FLAT_WHEN_TUNED, best=BEST, noise=noise) for n in range(6)], ONE
            )
        )
        for noise in (0.003, 0.01)
    ]
    assert None in needs or needs[0] < needs[1]
    assert results.needed(results.spread_of([judged(0, FLAT_WHEN_TUNED, best=BEST)], ONE)) is None


def test_the_answer_names_both_spreads_and_what_is_left_of_the_sweet_spot():
    found = row()
    text = page.answer([found])
    assert text.startswith("- **Banking77: with the learning rate tuned for each batch size")
    spread, lead = page._points(found["ways"][ONE]["spread"]), page._lead(found, "converged")
    assert f"with one learning rate for all it is {spread} (sweet spot: 128)" in text
    assert f"leads the converged one by {lead}, the best last epoch by +" in text
    assert lead.endswith("points (yes)")
    assert text.endswith("n = 3 teacher seeds.")


def test_tables_have_a_line_for_each_batch_size_and_name_what_was_chosen():
    lines = page.sizes_table([row()]).splitlines()[2:]
    assert len(lines) == len(WAYS) * len(SIZES)
    assert "| lr 0.004, epoch 4, T 4 |" in lines[0]
    assert lines[1].startswith("|  |  | 128 |")
    assert len(page.spreads_table([row()]).splitlines()) == 3


def test_what_was_not_run_is_said():
    assert page.missing([row()]) == (
        "Repetitions of Banking77 (9 of 12), Fashion-MNIST (12 of 12) and CIFAR-100 (12 of 12)."
    )
    assert page.sizes_table([]) == page.spreads_table([]) == page.NOT_RUN
    assert "not known yet" in page.answer([])


def test_lines_fall_below_the_best_batch_size():
    (panel,) = page.panels_of([row()])
    assert [series.label for series in panel.series] == list(page.NAMES.values())
    tuned, one = panel.series[:2]
    assert one.y == pytest.approx([-3.0, 0.0, -5.0], abs=0.6)
    assert all(low <= y <= high for low, y, high in zip(one.low, one.y, one.high, strict=True))
    assert (tuned.look, one.look) == ("line", "dashed")


def test_rows_are_collected_of_what_is_judged(monkeypatch, tmp_path):
    of = {0: judged(0, FLAT_WHEN_TUNED, best=BEST), 2: judged(2, FLAT_WHEN_TUNED, best=BEST)}
    monkeypatch.setattr(
        results,
        "read_judged",
        lambda point, out: of.get(point.repetition) if point.data == "banking77" else None,
    )
    (found,) = results.collected(tmp_path)
    assert (found["data"], found["repetitions"], found["test"]) == ("banking77", [0, 2], EXAMPLES)
    assert set(found["ways"]) == set(WAYS)


def test_the_page_is_that_of_the_committed_rows():
    text = page.PAGE.read_text()
    assert set(places(text)) == set(page.PLACES)
    assert page.page_of(text, json.loads(page.FILE.read_text())) == text


def test_one_command_makes_page_and_figure(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    rows = [row()]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "page.md").write_text("<!-- answer -->\nold\n<!-- end -->\n")
    monkeypatch.setattr(page, "FILE", tmp_path / "rows.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(page, "FIGURE", tmp_path / "figure.svg")
    page.main()
    assert page.answer(rows) in (tmp_path / "page.md").read_text()
    svg = (tmp_path / "figure.svg").read_text()
    assert "Banking77" in svg
    assert all(name in svg for name in page.NAMES.values())
