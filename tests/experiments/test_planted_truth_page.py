"""What planted verdicts come to, on made rows; and the page is that of the committed ones."""

import json

import pytest

import planted_truth_page as page
from planted_responses import CASES, FAINT, KINDS
from planted_truth import SHARES


def row(kind, rule, gain=0.0, *, seeds=20, group=0, refused=False):
    return {
        "kind": kind,
        "seeds": seeds,
        "group": group,
        "verdict": "undertrained" if refused else rule,
        "rule": rule,
        "knowledge": gain,
        "gain": gain,
        "over_labels": gain,
    }


def short(kind, share, patience, verdict="undertrained"):
    rule = "no_gain" if verdict == "undertrained" else verdict
    return {"kind": kind, "share": share, "verdict": verdict, "rule": rule, "patience": patience}


def draw(number, verdicts, early=()):
    return {"draw": number, "teacher": 0.8, "verdicts": list(verdicts), "early": list(early)}


def found(*draws, data="banking77"):
    return {name: list(draws) if name == data else [] for name in CASES}


def test_page_is_that_of_the_results():
    text = page.PAGE.read_text()
    made = page.page_of(text, json.loads(page.FILE.read_text()))
    assert made == text, "run python experiments/planted_truth_page.py"


def test_committed_verdicts_are_whole_draws():
    """The faint nulls came after the first draw."""
    for name, draws in json.loads(page.FILE.read_text()).items():
        for each in draws:
            kinds = {r["kind"] for r in each["verdicts"]}
            assert kinds in (set(KINDS), set(KINDS) - set(FAINT)), name
            assert {r["share"] for r in each["early"]} == set(SHARES)
            for seeds, groups in ((20, 2), (8, 5)):
                assert len(page.verdicts({name: [each]}, seeds)) == groups * len(kinds)


@pytest.mark.parametrize(
    "count, of, limit, expected",
    [
        (0, 72, {"at_most": 0.05}, "holds"),
        (0, 60, {"at_most": 0.05}, "does not decide yet"),
        (12, 60, {"at_most": 0.05}, "fails"),
        (36, 36, {"at_least": 0.9}, "holds"),
        (30, 36, {"at_least": 0.9}, "does not decide yet"),
        (20, 36, {"at_least": 0.9}, "fails"),
        (0, 0, {"at_least": 0.9}, "does not decide yet"),
    ],
)
def test_a_share_is_ruled_by_its_exact_interval(count, of, limit, expected):
    assert page.Share(count, of).ruling(**limit) == expected


def test_exact_interval_is_clopper_and_pearsons():
    low, high = page.Share(0, 10).interval
    assert low == 0
    assert high == pytest.approx(1 - 0.025**0.1)


def test_knowledge_of_a_null_is_false_even_where_it_was_refused():
    rows = [row("other_map", "knowledge", refused=True), row("permuted", "no_gain")]
    rows.append(row("whole", "knowledge", 0.01))
    assert page.false_knowledge(rows) == page.Share(1, 2)


def test_knowledge_is_to_be_found_from_half_a_point_on():
    rows = [row("less", "inconclusive", 0.004), row("more", "knowledge", 0.005)]
    rows.append(row("whole", "inconclusive", 0.02))
    assert page.found_knowledge(rows) == page.Share(1, 2)
    assert page.found_knowledge(rows, *page.NEAR) == page.Share(1, 2)


def test_only_who_gains_by_patience_is_undertrained():
    rows = [short("whole", 9, 0.02), short("whole", 3, 0.012, "knowledge")]
    rows.append(short("whole", 3, 0.001, "knowledge"))
    assert page.judged_all_the_same(rows, page.CLEARLY) == page.Share(1, 2)


def test_the_answer_says_what_holds():
    nulls = [row("other_map", "no_gain", group=n) for n in range(70)]
    nulls += [row("faint_other_map", "no_gain", group=n) for n in range(10)]
    wholes = [row("whole", "knowledge", 0.02, group=n) for n in range(40)]
    made = found(draw(1, nulls + wholes, [short("whole", 9, 0.03)]))
    said = page.answer(made)
    assert "at most 5 %: holds" in said
    assert "at least 90 %: holds" in said
    assert "never judged: holds so far" in said
    assert "knowledge in 0 of 80, 0.0 % [0.0, 4.5]" in said
    assert "of faint ones 0 of 10, 0.0 % [0.0, 30.8]" in said


def test_the_answer_says_what_fails():
    nulls = [row("other_map", "knowledge", group=n) for n in range(20)]
    missed = [row("whole", "inconclusive", 0.02, group=n) for n in range(20)]
    made = found(draw(1, nulls + missed, [short("whole", 9, 0.03, "knowledge")]))
    said = page.answer(made)
    assert "at most 5 %: fails" in said
    assert "at least 90 %: fails" in said
    assert "never judged: fails" in said
    assert "0 of 0; 20 of 20, 100.0 %" in said


def test_seeds_of_a_verdict_are_told_apart():
    made = found(draw(1, [row("whole", "knowledge"), row("whole", "no_gain", seeds=8)]))
    assert [r["rule"] for r in page.verdicts(made, 20)] == ["knowledge"]
    assert [r["rule"] for r in page.verdicts(made, 8)] == ["no_gain"]
    assert page.verdicts(made, 20, "fashion_mnist") == []


def test_tables_have_a_line_for_each_kind_and_budget():
    rows = [row(kind, "no_gain") for kind in KINDS]
    made = found(draw(1, rows, [short(kind, share, 0.02) for kind in KINDS for share in SHARES]))
    assert len(page.planted(made).splitlines()) == 2 + len(KINDS)
    lines = page.budgets(made).splitlines()[2:]
    assert len(lines) == len(SHARES)
    assert f"| 8 (1/3) | {len(KINDS)} | {len(KINDS)} |" in lines[0]


def test_nothing_run_is_said():
    made = found()
    assert page.answer(made) == page.planted(made) == page.budgets(made) == "*Not run yet.*"
    assert "Banking77 0 of 12 draws" in page.missing(made)


def test_figure_bins_verdicts_by_their_true_gain(tmp_path, monkeypatch):
    rows = [row("less", "no_gain", 0.003), row("more", "knowledge", 0.005)]
    rows += [row("more", "inconclusive", 0.0055), row("whole", "knowledge", 0.02)]
    made = found(draw(1, rows))
    (panel,) = page.panels_of(made)
    assert panel.title == "Banking77"
    twenty, eight = panel.series
    assert twenty.y == [0.0, 50.0, 100.0]
    assert twenty.x == pytest.approx([0.3, 0.525, 2.0])
    assert twenty.low[2] == pytest.approx(2.5)
    assert eight.x == []


def test_the_figure_is_drawn(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    (tmp_path / "kept.json").write_text(
        json.dumps(found(draw(1, [row("whole", "knowledge", 0.02)])))
    )
    (tmp_path / "page.md").write_text("<!-- missing -->\n<!-- end -->\n")
    for name, file in {"FILE": "kept.json", "PAGE": "page.md", "FIGURE": "figure.svg"}.items():
        monkeypatch.setattr(page, name, tmp_path / file)
    page.main()
    assert "Banking77 1 of 12 draws" in (tmp_path / "page.md").read_text()
    assert "true gain, points" in (tmp_path / "figure.svg").read_text()
