"""The page of the study is what the committed results say."""

import dataclasses
import json
import math
import re

import pytest

from assemble import BEHIND, PAGES, RESULTS, STORY, assemble, page_of, results_of
from claims import CLAIMS, FEWEST_PAIRS, LEVEL, MARGIN
from goodteacher.records.words import points
from measures import BLOCK, LATE
from pages import places
from pairs import all_pairs
from study_page import TABLES
from tests.experiments.planted import Planted, write
from tests.experiments.test_claims import write_grid

NAME = "made/large--narrow--tenth"


@pytest.fixture(scope="module")
def committed():
    return assemble()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_holds_the_tables_of_the_results(committed, page):
    text = page.read_text()
    assert places(text), "no table is held to the results"
    made = page_of(text, committed)
    assert words_of(made) == words_of(text), "run python experiments/assemble.py"
    assert numbers_of(made) == pytest.approx(numbers_of(text), rel=1e-6, abs=1e-9)


def test_committed_results_are_those_of_the_pairs(committed):
    for name, text in results_of(committed).items():
        assert_alike(json.loads((RESULTS / name).read_text()), json.loads(text), name)


NUMBER = re.compile(r"[+-]?\d[\d,]*\.?\d*(?:e[+-]?\d+)?")


def words_of(text):
    return NUMBER.sub("0", text)


def numbers_of(text):
    return [float(number.replace(",", "")) for number in NUMBER.findall(text)]


def assert_alike(kept, made, where):
    """Both hold the same: words exactly, numbers but for what differs between machines."""
    if isinstance(kept, dict) and isinstance(made, dict):
        assert list(kept) == list(made), where
        for name in kept:
            assert_alike(kept[name], made[name], f"{where} {name}")
    elif isinstance(kept, list) and isinstance(made, list):
        assert len(kept) == len(made), where
        for number, both in enumerate(zip(kept, made, strict=True)):
            assert_alike(*both, f"{where} {number}")
    elif isinstance(kept, float) or isinstance(made, float):
        assert kept == pytest.approx(made, rel=1e-6, abs=1e-9), where
    else:
        assert kept == made, where


def test_results_are_alike_only_if_words_are_the_same_and_numbers_nearly():
    """The comparison above: what it lets pass, and what it does not."""
    kept = {"rows": [1.0, "one", None], "mean": 0.5}
    assert_alike(kept, {"rows": [1.0 + 1e-12, "one", None], "mean": 0.5 - 1e-12}, "")
    for other in (
        {"rows": [1.0, "two", None], "mean": 0.5},
        {"rows": [1.0, "one", 0.0], "mean": 0.5},
        {"rows": [1.0, "one"], "mean": 0.5},
        {"rows": [1.0, "one", None], "mean": 0.5001},
        {"rows": [1.0, "one", None]},
    ):
        with pytest.raises(AssertionError):
            assert_alike(kept, other, "")
    assert words_of("batch 32, +1.00") == words_of("batch 64, -2.5") != words_of("epoch 32, 1")
    assert numbers_of("n = 1,024: +0.5 [-0.1, 2e-3]") == [1024.0, 0.5, -0.1, 0.002]


def test_every_table_has_a_place_and_every_place_a_table():
    shown = {name for page in PAGES for name in places(page.read_text())}
    others = {"student_tuning", "curves"}
    assert shown - others == set(TABLES)
    for page in PAGES:
        assert len(places(page.read_text())) == len(set(places(page.read_text())))


def test_thresholds_on_the_page_are_those_of_the_rules():
    text = " ".join(BEHIND.read_text().split())
    assert f"The *margin* is {100 * MARGIN:g} points" in text
    assert f"*Late* is from epoch {LATE} on" in text
    assert f"runs of up to {BLOCK} of them" in text
    assert f"Fewer than {FEWEST_PAIRS} pairs" in text
    assert f"(Sidak, {LEVEL:g} together" in text
    rules = {part.name: part.rule for claim in CLAIMS for part in claim.parts}
    assert math.tanh(rules["same_temperature"].matters) == pytest.approx(0.5)
    assert "is positive and at least 0.5" in text
    assert (rules["lost"].nothing, rules["lost"].matters) == (0.2, 0.5)
    assert "more than a fifth, by the estimate at least half" in text
    assert 2 ** -rules["large"].matters == pytest.approx(0.8)
    assert "below the small teacher's, by the estimate by a fifth" in text


def test_pages_show_every_figure_and_the_story_has_four():
    figures = pytest.importorskip("figures", reason="needs Matplotlib")
    behind, story = (
        re.findall(r"\]\(figures/(\w+)\.svg\)", p.read_text()) for p in (BEHIND, STORY)
    )
    assert set(behind) == {f"all_{name}" for name in figures.KINDS}
    lines = ["worth", "lead", *figures.IN_THE_STORY]
    assert story == [f"study_{name}" for name in lines]
    captions = [name for name in places(STORY.read_text()) if name.startswith("caption_")]
    assert captions == [f"caption_{name}" for name in lines]


def test_the_story_is_short_and_opens_with_whose_students_it_is_about(committed):
    text = re.sub(r"<!-- \w+ -->|\(\S+\)", "", STORY.read_text())
    words = [word for word in text.split() if re.search("[A-Za-z]", word)]
    assert len(words) <= 1100, "numbers aside"
    untuned = len(committed.tuned) < len(committed.study)
    assert ("tuned" in TABLES["first"](committed).partition("**")[2].partition("**")[0]) == untuned


def test_every_heading_of_the_tables_is_in_their_contents():
    text = BEHIND.read_text()
    contents = text[: text.index("\n## ")]
    for heading in re.findall(r"^##+ (.+)$", text, re.MULTILINE):
        anchor = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        assert f"(#{anchor})" in contents, heading


def test_every_table_is_made_of_nothing(tmp_path):
    found = assemble(tmp_path)
    assert all(render(found) for render in TABLES.values())
    unplanned = dataclasses.replace(found, planned=())
    assert TABLES["runs"](found) == "*Not run.*"
    assert TABLES["coverage"](unplanned).startswith(
        "No pair has been run. Nothing that was planned"
    )


def test_parts_that_were_not_run_are_named_in_their_pair(tmp_path):
    pair = write(tmp_path, Planted(verdict=None))
    (row,) = [line for line in TABLES["runs"](assemble(tmp_path)).splitlines() if NAME in line]
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[5:9] == [f"{_searched(pair)} (3)", "not run", "5", "not run"]
    assert "not measured: the sweet spot was not verified" in TABLES["pairs_C5"](assemble(tmp_path))


def _searched(pair):
    return sum(row.stage == "search" for row in pair.students)


def test_cells_hold_the_estimate_and_what_it_decides(tmp_path):
    write(tmp_path, Planted())
    (row,) = [line for line in TABLES["pairs_C4"](assemble(tmp_path)).splitlines() if NAME in line]
    assert f"{points(0.01)} [" in row
    assert "holds; batch 128 (inside), epoch 4 of 32" in row
    assert row.endswith("**holds** |")


def test_undecided_cells_name_the_seeds_that_would_decide(tmp_path):
    write(tmp_path, Planted(over_converged=(0.003, 0.003)))
    (row,) = [line for line in TABLES["pairs_C4"](assemble(tmp_path)).splitlines() if NAME in line]
    assert "undecided (" in row
    assert "student seeds)" in row


def test_answers_are_counted_over_pairs_and_data_sets(tmp_path):
    write_grid(tmp_path)
    found = assemble(tmp_path)
    assert len(found.study) == len(all_pairs(tmp_path)) == 8
    lines = TABLES["claims"](found).splitlines()
    (verdict,) = [line for line in lines if "| the verdict decides |" in line]
    assert "8 / 0 / 0 / 0" in verdict
    assert "told apart from a regularization effect? Yes.**" in TABLES["answers"](found)
    assert "The verdict decides in 8 of 8 pairs (knowledge 8)." in TABLES["answers"](found)
    assert "| C5 | holds 4 | holds 4 |" in TABLES["by_data"](found)


def test_variations_are_in_no_claim_and_share_a_line_of_what_was_run(tmp_path):
    write(tmp_path, Planted())
    for seed in (1, 2):
        write(tmp_path, Planted(variation="steps", budget="steps", teacher_seed=seed))
    found = assemble(tmp_path)
    assert all(set(answer.by_pair) == {NAME} for answer in found.answers)
    assert f"| `{NAME}--steps` (2 teacher seeds) |" in TABLES["runs"](found)
    assert "steps" not in TABLES["pairs_C4"](found)


def test_pair_in_short_names_the_sweet_spot_its_rivals_and_the_verdict(tmp_path):
    write(tmp_path, Planted(spot=(128, 4), over_converged=(0.01, 0.001)))
    (row,) = [line for line in TABLES["in_short"](assemble(tmp_path)).splitlines() if NAME in line]
    assert f"| `{NAME}` | tuned | batch 128 epoch 4, T = 1 |" in row
    assert f"| {points(0.01)} [" in row
    assert row.endswith("| knowledge |")
