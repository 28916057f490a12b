"""Finished pairs of a running study replace the committed ones whole; others stay out."""

import json

import pytest

import outcomes
from outcomes import before, updated
from pairs import EXHAUSTIVE_FILE, SEARCH_FILE, Pair, all_pairs
from summaries import json_text
from taking import missing, take
from tests.experiments.planted import Planted, write

NAME = "made/large--narrow--tenth"


@pytest.fixture
def places(tmp_path):
    """The results of a running study, and the committed ones with an untuned pair."""
    running, results = tmp_path / "running", tmp_path / "results"
    write(results, Planted(tuned=False))
    (results / NAME / "probes.csv").write_text("of the old run\n")
    found = updated(before(results), all_pairs(results))
    (results / outcomes.FILE).write_text(json_text(json.loads(found.model_dump_json())))
    return running, results


def finished(running, **plan):
    pair = write(running, Planted(**plan))
    (pair.folder / SEARCH_FILE).write_text((pair.folder / EXHAUSTIVE_FILE).read_text())
    return pair


def test_finished_pair_replaces_the_old_one_with_all_of_its_files(places):
    running, results = places
    finished(running, over_converged=(0.003, 0.001))
    assert take(running, results) == ([NAME], {})
    pair = Pair(results / NAME)
    assert pair.tuned
    assert pair.exhaustive.references.converged_teacher.difference == pytest.approx(0.003)
    assert not (results / NAME / "probes.csv").exists(), "the old run's"
    assert before(results).pairs[NAME].leads["converged_teacher"].mean == pytest.approx(0.01)
    assert [path.name for path in (results / "made").iterdir()] == ["large--narrow--tenth"]


@pytest.mark.parametrize("name", ["exhaustive.json", "search.json", "verdict.json"])
def test_partial_pair_stays_out_and_what_it_lacks_is_named(places, name):
    running, results = places
    (finished(running).folder / name).unlink()
    assert take(running, results) == ([], {NAME: [name]})
    assert not Pair(results / NAME).tuned


def test_replicate_waits_for_its_pair_and_needs_no_verdict(places):
    running, results = places
    again = write(running, Planted(teacher_seed=1, verdict=None))
    (lack,) = missing(again, results)
    assert "its pair large--narrow--tenth" in lack
    assert take(running, results)[0] == []
    finished(running)
    assert take(running, results) == ([NAME, f"{NAME}--seed1"], {})


def test_pair_that_nobody_has_noted_is_not_overwritten(places):
    running, results = places
    (results / outcomes.FILE).unlink()
    finished(running)
    taken, waiting = take(running, results)
    assert taken == []
    assert "outcomes.py" in waiting[NAME][0]
    assert not Pair(results / NAME).tuned


def test_variation_needs_its_search_alone(places):
    running, results = places
    write(running, Planted(variation="blend", verdict=None))
    assert take(running, results) == ([f"{NAME}--blend"], {})


def test_taking_again_changes_nothing(places):
    running, results = places
    finished(running)
    take(running, results)
    kept = {path: path.read_text() for path in (results / NAME).iterdir()}
    assert take(running, results) == ([NAME], {})
    assert {path: path.read_text() for path in (results / NAME).iterdir()} == kept
