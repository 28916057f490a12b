"""A search over batch sizes, learning rates and seeds, from its teachers to its verdict."""

import pytest

from goodteacher import search, verify
from goodteacher.report.findings import read_findings
from goodteacher.report.page import render
from goodteacher.studies.store import Store
from tests.made import SETTINGS, dataset
from tests.sweet_spot.test_probing import plant_probes
from tests.test_study import Interrupter, without_seconds

GRID = {
    **SETTINGS,
    "batch_sizes": (32, 64),
    "learning_rates": (0.01, 0.03),
    "teacher_seeds": (0, 1),
    "variants": ("raw", "average", "blend"),
    "student_epochs": 2,
    "shortlist": 2,
    "search_seeds": 1,
    "seeds": 2,
    "rungs": 1,
    "patience": 9,
    "lead_after": 1,
}
AHEAD, BEHIND, FAR_AHEAD = (0.6, 0.7, 0.8), (0.5, 0.6, 0.7), (0.7, 0.8, 0.9)
PROBES = {
    # The smaller batch leads its own rival, and need not lead those of another rate or seed.
    "batch 32 lr 0.01 seed 0": AHEAD,
    "batch 64 lr 0.01 seed 0": BEHIND,
    # Here it is outdone.
    "batch 32 lr 0.01 seed 1": BEHIND,
    "batch 64 lr 0.01 seed 1": AHEAD,
    "batch 32 lr 0.03 seed 0": FAR_AHEAD,
    "batch 64 lr 0.03 seed 0": AHEAD,
    "batch 32 lr 0.03 seed 1": FAR_AHEAD,
    "batch 64 lr 0.03 seed 1": FAR_AHEAD,
}


def searched(out, **more):
    with pytest.MonkeyPatch.context() as patched:
        by_epoch = {run: dict(zip((1, 2, 4), p, strict=True)) for run, p in PROBES.items()}
        plant_probes(patched, {r: [e.get(n + 1, 0) for n in range(4)] for r, e in by_epoch.items()})
        return search(dataset(), out=out, **GRID, **more)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("several") / "study")


def test_there_is_a_run_for_each_combination_and_each_is_another_teacher(study):
    first = {r.run: r for r in study.trajectories() if r.epoch == 1}
    assert set(first) == set(PROBES)
    assert len({record.training_loss for record in first.values()}) == 8
    assert first["batch 64 lr 0.03 seed 1"].attributes == {
        "batch_size": 64,
        "learning_rate": 0.03,
        "seed": 1,
    }
    assert study.sweet_spot.cost.teacher_epochs_full == 8 * 4


def test_costly_run_must_lead_only_the_cheaper_ones_of_its_learning_rate_and_seed(study):
    stopped = {r.run: r.outdone_by for r in study.trajectories() if r.stopped}
    assert stopped == {
        "batch 32 lr 0.01 seed 1": "batch 64 lr 0.01 seed 1",
        "batch 32 lr 0.03 seed 1": "batch 64 lr 0.03 seed 1",
    }
    last = {r.run: r.epoch for r in study.trajectories()}
    assert {run for run, epoch in last.items() if epoch < 4} == set(stopped)


def test_averages_run_along_one_run_and_the_blend_may_mix_several(study):
    blends = read_findings(study.store).blends
    averages = [found.source for found in blends if found.source.variant == "average"]
    assert averages
    assert all(len(average.runs) == 1 for average in averages)
    assert {str(average) for average in averages} >= {"batch 64 lr 0.03 seed 1 average to epoch 4"}
    (blend,) = (found.source for found in blends if found.source.variant == "blend")
    assert blend.runs <= set(PROBES)


def test_students_name_the_run_of_their_teacher(study):
    rows = [row for row in study.students() if row.source == "checkpoint"]
    assert {row.run for row in rows} <= set(PROBES)
    assert all(row.teacher == f"{row.run} epoch {row.epoch}" for row in rows)


def test_references_are_chosen_over_all_runs(study):
    healthy = [r for r in study.trajectories() if r.status == "ok"]
    best = max(r.selection_accuracy for r in healthy)
    chosen = next(
        d.teachers[0]
        for d in read_findings(study.store).decisions
        if d.what == "most_accurate_teacher"
    )
    assert next(r for r in healthy if r.checkpoint == chosen).selection_accuracy == best


def test_report_shows_every_run(study):
    page = render(read_findings(study.store))
    for run in PROBES:
        assert run in page
    assert "cheaper batch size 64 lr 0.01 seed 1 were as good" in page


def test_search_of_several_runs_that_is_interrupted_ends_with_the_same_numbers(study, tmp_path):
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        searched(out, progress=Interrupter(5))
    render(read_findings(Store(out)))
    assert without_seconds(searched(out)) == without_seconds(study)


def test_verdict_on_several_runs_has_an_independent_teacher_of_another_seed(study):
    verdict = verify(study, data=dataset(), seeds=3, smoothings=[0.1])
    assert verdict.teacher == str(study.sweet_spot.teacher.source)
    source = study.sweet_spot.teacher.source
    seeds = {int(run.rpartition(" ")[2]) for run in source.runs}
    if len(seeds) == 1:
        (other,) = {0, 1} - seeds
        assert f"seed {other} epoch" in study.evidence.fidelity.independent


def test_a_study_of_several_runs_reuses_the_one_run_of_a_smaller_study(tmp_path):
    """Its name there, which says less, has no part in it."""
    few = {**GRID, "batch_sizes": (64,), "variants": ("raw",), "patience": 0, "epochs": 2}
    one = search(
        dataset(), out=tmp_path / "one", **{**few, "learning_rates": 0.01, "teacher_seeds": 1}
    )
    both = search(dataset(), out=tmp_path / "both", teachers_of=str(one.folder), **few)
    (name,) = {record.run for record in one.trajectories()}
    assert name == "batch 64"
    seconds = {r.run: r.seconds for r in both.trajectories() if r.epoch == 2}
    assert seconds["batch 64 lr 0.01 seed 1"] == one.trajectories()[-1].seconds, "trained again"
    assert len(seconds) == 4
