"""Rules that stop teachers, replayed, stop them where a search does."""

from types import SimpleNamespace

import numpy as np
import pytest

import stopping
from collect import collect, last_epochs
from goodteacher import search
from goodteacher.config import StudyConfig, parse
from goodteacher.sweet_spot.scores import probe_accuracies, student_accuracies
from pairs import PairKey, all_pairs
from probe import probe
from stopping import DEFAULT, Rule
from tests.made import SETTINGS, arrays
from tests.sweet_spot.test_probing import plant_probes

KEY = PairKey(data="made", teacher_role="small", student_role="narrow", transfer="full")
WATCHED = {
    **SETTINGS,
    "batch_sizes": (8, 16, 64),
    "epochs": 6,
    "record_epochs": tuple(range(1, 7)),
    "search_seeds": 1,
    "seeds": 2,
    "rungs": 1,
}

PROBES = {
    "batch 8": (0.3, 0.5, 0.4, 0.3, 0.2, 0.1),
    "batch 16": (0.5, 0.65, 0.7, 0.72, 0.75, 0.8),
    "batch 64": (0.6, 0.62, 0.64, 0.66, 0.68, 0.7),
}
"""Planted: the dearest decline from the second epoch on, and are outdone from the first."""
SECONDS = {8: 5.0, 16: 3.0, 64: 1.0}
NAIVE = [
    {
        "data": "made",
        "teacher": SETTINGS["teacher"],
        "teacher_epoch": {str(b): {"here": {"median": s}} for b, s in SECONDS.items()},
    }
]


def truth_of(pair):
    return student_accuracies(pair.students)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("watched") / "made.npz"
    np.savez(path, **arrays())
    return path


@pytest.fixture(scope="module")
def pair(data):
    out, results = data.parent / "all", data.parent / "results"
    with pytest.MonkeyPatch.context() as patched:
        plant_probes(patched, PROBES)
        search(data, out=out, exhaustive=True, **WATCHED)
        probe(out, results / KEY.folder)
    collect(KEY, exhaustive=out, search=None, into=results / KEY.folder)
    (found,) = all_pairs(results)
    return found


@pytest.mark.parametrize(("patience", "lead_after"), [(1, 0), (2, 0), (9, 1), (9, 3), (1, 2)])
def test_replay_stops_every_teacher_where_a_search_stops_it(
    pair, data, monkeypatch, patience, lead_after
):
    plant_probes(monkeypatch, PROBES)
    settings = {**WATCHED, "patience": patience, "lead_after": lead_after}
    out = data.parent / f"{patience}-{lead_after}"
    study = search(data, out=out, **settings)
    expected = last_epochs(study)
    probes = probe_accuracies(pair.watching_probes)
    found = stopping.replay(pair, Rule(patience, lead_after), probes, truth_of(pair), NAIVE)
    assert found.taught == expected
    stopped = [record for record in study.trajectories() if record.stopped]
    assert stopped, "no trajectory of this study stopped: it tests nothing"


def test_probes_of_the_last_epoch_are_not_there_since_nothing_is_left_to_stop(pair):
    assert {row.epoch for row in pair.watching_probes} == set(range(1, 6))
    assert {row.rung for row in pair.watching_probes} == set(range(5))


def test_to_the_end_takes_all_the_time_and_loses_what_a_shortlist_loses(pair):
    found = stopping.replays(pair, NAIVE)[Rule()]
    assert (found.time, found.found) == (1.0, True)
    assert set(found.taught.values()) == {6}
    truth = student_accuracies(pair.students)
    listed = sorted(pair.teachers, key=lambda record: record.best_nll)[: stopping.SHORTLIST]
    best = max(truth[str(record.source)] for record in listed)
    assert found.loss == pytest.approx(max(truth.values()) - best)


def test_time_is_that_of_the_epochs_taught(pair):
    for found in stopping.replays(pair, NAIVE).values():
        ours = sum(SECONDS[size] * epoch for size, epoch in found.taught.items())
        assert found.time == pytest.approx(ours / (6 * sum(SECONDS.values())))
    assert {found.time for found in stopping.replays(pair, []).values()} == {None}


@pytest.mark.parametrize(
    ("first", "rule", "spared"),
    [
        # The dearest leads: alone it goes on, and under the default rule all others do as well,
        # since nobody cheaper than they has done as well as they.
        ({8: 0.9, 16: 0.7, 64: 0.5}, Rule(0, 1, over_all=True), {8}),
        ({8: 0.9, 16: 0.7, 64: 0.5}, Rule(0, 1), {8, 16, 64}),
        # The cheapest leads: under both rules it alone goes on.
        ({8: 0.5, 16: 0.7, 64: 0.9}, Rule(0, 1, over_all=True), {64}),
        ({8: 0.5, 16: 0.7, 64: 0.9}, Rule(0, 1), {64}),
        # Two lead: over all none of them stops, under the default rule the dear one does.
        ({8: 0.9, 16: 0.9, 64: 0.5}, Rule(0, 1, over_all=True), {8, 16}),
        ({8: 0.9, 16: 0.9, 64: 0.5}, Rule(0, 1), {16, 64}),
    ],
)
def test_who_must_lead_goes_on_only_while_it_does(pair, first, rule, spared):
    raw = [record for record in pair.teachers if record.variant == "raw"]
    probes = {str(record.source): first[record.batch_size] for record in raw}
    settings = {**pair.pair.settings, "data": pair.pair.data}
    taught = stopping.last_taught(raw, rule, probes, parse(StudyConfig, **settings))
    assert taught == {f"batch {size}": 6 if size in spared else 1 for size in first}


def test_pair_without_these_probes_is_left_out(results):
    (plain,) = all_pairs(results)
    assert stopping.replays(plain, NAIVE) == {}
    assert stopping.rendered([plain], NAIVE) == "*Not run.*"


def test_students_of_a_search_seed_stand_in_for_probes_under_other_rates(pair):
    first = [r for r in pair.students if r.stage == "search" and r.seed == 0]
    lower = [row.model_copy(update={"seed": 1, "selection_accuracy": 0.1}) for row in first]

    def varied(students):
        return SimpleNamespace(
            pair=pair.pair.model_copy(update={"variation": "sqrt"}),
            exhaustive=pair.exhaustive,
            students=students,
            teachers=pair.teachers,
            sizes=pair.sizes,
        )

    other = varied([*first, *lower])
    found, truth = stopping.stand_ins(other)
    assert found.keys() == truth.keys() >= {str(record.source) for record in pair.teachers}
    of_one = [r.selection_accuracy for r in first if (r.run, r.epoch) == ("batch 16", 3)]
    assert found["batch 16 epoch 3"] == max(of_one)
    assert set(truth.values()) == {0.1}, "who stands in for a probe is not the truth as well"
    text = stopping.rendered([], NAIVE, [other])
    loss = 100 * stopping.replay(other, DEFAULT, found, truth, ()).loss
    assert "| made |" not in stopping.rendered([], NAIVE, [varied(first)])
    assert f"| {loss:.2f} |" in text
    assert "| made | 1 |" in text
    assert stopping.rendered([], NAIVE, [pair]) == "*Not run.*"


def test_table_has_a_line_for_each_rule_and_marks_the_default(pair):
    text = stopping.rendered([pair], NAIVE)
    assert text.startswith("n = 1 pairs;")
    assert text.count("\n| ") == 1 + len(stopping.RULES)
    assert f"| **{DEFAULT}** |" in text
    assert DEFAULT in stopping.RULES
