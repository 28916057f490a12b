"""Teaching that stops at the sweet spot: the rules, and studies that stop and go on."""

from itertools import product

import pytest

from goodteacher import search
from goodteacher.config import TeacherConfig
from goodteacher.errors import RunError
from goodteacher.report.findings import read_findings
from goodteacher.report.page import render
from goodteacher.students import running
from goodteacher.studies.store import Store
from goodteacher.sweet_spot.choice import converged
from goodteacher.sweet_spot.probing import PROBE_SEED, has_declined, outdone_by, probe_recipes
from tests.made import SETTINGS, dataset
from tests.report import build
from tests.test_study import Interrupter, without_seconds

PATIENT = {
    **SETTINGS,
    "epochs": 6,
    "record_epochs": tuple(range(1, 7)),
    "learning_rates": (0.05,),
    "student_learning_rate": 0.03,
    "shortlist": 2,
    "search_seeds": 1,
    "seeds": 2,
    "patience": 1,
    "lead_after": 0,
}
LEADING = {**PATIENT, "patience": 9, "lead_after": 2}
BY_PROBE = {**SETTINGS, "shortlist_by": "probe", "shortlist": 2, "search_seeds": 1, "seeds": 2}

DECLINING = (0.5, 0.6, 0.7, 0.65, 0.8, 0.9)
RISING = (0.3, 0.65, 0.68, 0.7, 0.75, 0.8)
"""Declines first at the fourth epoch; outdone at the third by what declines, from then on led."""


def plant_probes(patched, by_run):
    """Let probe students reach planted accuracies: when they stop a teacher is what is tested.

    Args:
        patched: A monkeypatch.
        by_run: For each run, accuracies at the recorded epochs; the better recipe's.
    """
    row_of = running.row_of

    def planted(task, arm, *measured, **how):
        row = row_of(task, arm, *measured, **how)
        if task.stage != "probe" or arm.source.variant != "raw":
            return row
        value = by_run[arm.source.run][arm.source.epoch - 1]
        worse = 0.05 * (arm.recipe != task.arms[0].recipe)
        return row.model_copy(update={"selection_accuracy": value - worse})

    patched.setattr(running, "row_of", planted)


PROBES = {
    "study": {"batch 16": DECLINING, "batch 64": RISING},
    "raced": {"batch 16": RISING, "batch 64": DECLINING},
    "ranked_by_probe": {"batch 16": (0.9, 0.4, 0.0, 0.3), "batch 64": (0.8, 0.5, 0.0, 0.2)},
}
"""Early teachers rank first by probes, late ones by NLL."""


def searched(name, folder, settings):
    with pytest.MonkeyPatch.context() as patched:
        plant_probes(patched, PROBES[name])
        return search(dataset(), out=folder, **settings)


def reference(accuracies, patience):
    """Count how many recorded epochs the best one lies back, a value equal to it renewing it."""
    best, since = float("-inf"), 0
    for value in accuracies:
        best, since = (value, 0) if value >= best else (best, since + 1)
    return since >= patience


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_decline_is_that_of_a_plain_count(patience):
    for length in range(1, 6):
        for accuracies in product((0.1, 0.2, 0.3), repeat=length):
            assert has_declined(accuracies, patience) == reference(accuracies, patience)


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_dear_trajectory_must_lead_every_cheaper_one(after):
    values = (0.1, 0.2, 0.3)
    for own in product(values, repeat=2):
        for first, second in product(product(values, repeat=2), repeat=2):
            as_well = {"batch 8": max(first), "batch 16": max(second)}
            best = max(as_well.values())
            rivals = [run for run, reached in as_well.items() if best == reached >= max(own)]
            found = outdone_by(own, {"batch 8": first, "batch 16": second}, after)
            assert found == (rivals[0] if rivals and 0 < after <= 2 else None)


def test_nothing_outdoes_the_cheapest_trajectory_or_one_whose_rivals_all_diverged():
    assert outdone_by([0.1], {}, 1) is None
    assert outdone_by([0.1], {"batch 16": []}, 1) is None


def test_larger_batches_are_cheaper_by_the_epoch_and_smaller_ones_by_the_step():
    by_epoch = build.settings(batch_sizes=[32, 512, 128])
    runs = ["batch 32", "batch 128", "batch 512"]
    assert [by_epoch.cheaper_than(run) for run in runs] == [(runs[2], runs[1]), (runs[2],), ()]
    by_step = build.settings(batch_sizes=[32, 512, 128], budget="steps")
    assert [by_step.cheaper_than(run) for run in runs] == [(), (runs[0],), (runs[1], runs[0])]


def test_probes_learn_at_middle_temperatures_and_the_largest_alpha():
    config = build.settings(temperatures=[8, 1, 4], alphas=[0.5, 1])
    assert [(r.temperature, r.alpha) for r in probe_recipes(config)] == [(4.0, 1.0)]
    both = build.settings(losses=["mse", "kl"])
    assert [r.loss for r in probe_recipes(both)] == ["mse"]


def test_exhaustive_search_teaches_to_the_end_whatever_patience():
    assert build.settings(patience=1).stops_teachers
    assert not build.settings(patience=1, exhaustive=True).stops_teachers
    assert not build.settings(patience=0).stops_teachers


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return searched("study", tmp_path_factory.mktemp("probed") / "made", PATIENT)


@pytest.fixture(scope="module")
def raced(tmp_path_factory):
    return searched("raced", tmp_path_factory.mktemp("raced") / "made", LEADING)


def probed(study):
    """What the probe students of each trajectory reached, by batch size and epoch."""
    found = {}
    for row in study.students():
        if row.stage == "probe":
            reached = found.setdefault(row.run, {})
            reached[row.epoch] = max(row.selection_accuracy, reached.get(row.epoch, 0.0))
    return found


def test_trajectory_stops_where_its_probe_students_have_declined(study):
    probes, stopped = probed(study), 0
    for size in PATIENT["batch_sizes"]:
        records = [r for r in study.trajectories() if r.batch_size == size]
        reached = [probes[f"batch {size}"][r.epoch] for r in records if r.epoch < 6]
        ends = [n for n in range(1, len(reached) + 1) if reference(reached[:n], 1)]
        assert [r.stopped for r in records[:-1]] == [False] * (len(records) - 1)
        assert records[-1].stopped == bool(ends)
        assert len(records) == (ends[0] if ends else 6)
        stopped += records[-1].stopped
    assert stopped, "no trajectory of this study stopped: it tests nothing"


def stops_where_outdone(study, *, dear, cheap):
    """Whether the dear trajectory stops at the first epoch that the rule names, the cheap never."""
    probes = probed(study)
    dear, cheap = f"batch {dear}", f"batch {cheap}"
    ours, theirs = (list(probes[run].values()) for run in (dear, cheap))
    behind = (n for n in range(2, 6) if max(theirs[:n]) >= max(ours[:n]))
    end = next(behind, None)
    assert end is not None, "no trajectory of this study stopped: it tests nothing"
    records = {run: [r for r in study.trajectories() if r.run == run] for run in probes}
    assert [r.epoch for r in records[dear]] == list(range(1, end + 1))
    assert (records[dear][-1].stopped, records[dear][-1].outdone_by) == (True, cheap)
    assert len(records[cheap]) == 6
    assert not records[cheap][-1].stopped


def test_trajectory_stops_where_a_cheaper_one_has_done_as_well(raced):
    dear, cheap = sorted(LEADING["batch_sizes"])
    stops_where_outdone(raced, dear=dear, cheap=cheap)


def test_by_steps_it_is_the_larger_batch_that_must_lead(tmp_path):
    settings = {**LEADING, "budget": "steps"}
    study = searched("study", tmp_path / "by steps", settings)
    cheap, dear = sorted(settings["batch_sizes"])
    stops_where_outdone(study, dear=dear, cheap=cheap)


def test_dear_trajectory_goes_on_when_its_cheaper_rival_diverges(tmp_path, monkeypatch):
    dear, cheap = sorted(LEADING["batch_sizes"])
    rate = TeacherConfig.learning_rate_for
    monkeypatch.setattr(
        TeacherConfig,
        "learning_rate_for",
        lambda self, size, peak: rate(self, size, peak) * (1, 1e30)[size == cheap],
    )
    study = search(dataset(), out=tmp_path / "diverged", **LEADING)
    records = {
        size: [r for r in study.trajectories() if r.batch_size == size] for size in (dear, cheap)
    }
    assert records[cheap][-1].status == "diverged", "nothing diverged: it tests nothing"
    assert len(records[dear]) == 6
    assert not records[dear][-1].stopped


def test_teacher_epochs_run_are_counted_against_those_planned(study):
    cost = study.sweet_spot.cost
    last = {record.batch_size: record.epoch for record in study.trajectories()}
    assert cost.teacher_epochs_run == sum(last.values()) < cost.teacher_epochs_full == 12
    probes = [row for row in study.students() if row.stage == "probe"]
    assert cost.probe_epochs_run == len(probes) * probes[0].student_epochs
    assert {row.seed for row in probes} == {PROBE_SEED}


def test_nothing_to_go_on_from_is_left_of_a_trajectory_that_stopped(study):
    """One taught to the end keeps its last state: a longer study may go on from it."""
    left = [path.stem for path in study.folder.glob("teachers/*/resume-*")]
    assert left == ["resume-epoch-00006"]
    assert sorted((r.stopped, r.batch_size) for r in study.trajectories())[-1] == (True, 16)


def test_records_before_the_stop_are_those_of_a_teacher_taught_to_the_end(study, tmp_path):
    settings = {**PATIENT, "student_epochs": 1, "seeds": 1, "search_seeds": 1, "patience": 0}
    whole = search(dataset(), out=tmp_path / "whole", **settings)
    full = {r.checkpoint: r for r in whole.trajectories()}
    for record in study.trajectories():
        same = full[record.checkpoint]
        assert record.training_loss == same.training_loss
        assert record.measurements == same.measurements


@pytest.mark.parametrize("after", [1, 5, 11])
@pytest.mark.parametrize("name", ["study", "raced"])
def test_probed_study_interrupted_anywhere_decides_the_same(
    request, tmp_path, monkeypatch, name, after
):
    whole, settings = request.getfixturevalue(name), {"study": PATIENT, "raced": LEADING}[name]
    plant_probes(monkeypatch, PROBES[name])
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        search(dataset(), out=out, progress=Interrupter(after), **settings)
    assert without_seconds(search(dataset(), out=out, **settings)) == without_seconds(whole)


def test_report_says_which_teachers_stopped(study):
    page = render(read_findings(study.store))
    stopped = [record for record in study.trajectories() if record.stopped]
    for record in stopped:
        text = f"teacher of batch size {record.batch_size} was stopped after epoch {record.epoch}"
        assert text in page
    assert "its probe students had become worse for 1 recorded epochs" in page
    assert "by probe students" in page
    assert "training had stopped" in page


def test_report_says_who_outdid_a_teacher(raced):
    page = render(read_findings(raced.store))
    dear, cheap = sorted(LEADING["batch_sizes"])
    assert f"The teacher of batch size {dear} was stopped" in page
    assert f"probe students of the cheaper batch size {cheap} were as good" in page


def test_patience_beyond_the_epochs_changes_no_answer(tmp_path):
    settings = {**SETTINGS, "student_epochs": 3, "seeds": 2}
    plain = search(dataset(), out=tmp_path / "plain", **settings).sweet_spot
    settings = {**settings, "patience": 9, "lead_after": 0}
    patient = search(dataset(), out=tmp_path / "patient", **settings).sweet_spot
    assert patient.model_dump(exclude={"cost"}) == plain.model_dump(exclude={"cost"})
    assert patient.cost.probe_epochs_run > 0 == plain.cost.probe_epochs_run


@pytest.fixture(scope="module")
def ranked_by_probe(tmp_path_factory):
    return searched("ranked_by_probe", tmp_path_factory.mktemp("ranked") / "made", BY_PROBE)


def test_shortlist_by_probe_is_that_of_the_best_one_epoch_students(ranked_by_probe):
    rows = ranked_by_probe.students()
    probes = [row for row in rows if row.stage == "probe"]
    best = {}
    for row in probes:
        key = row.run, row.epoch
        best[key] = max(best.get(key, 0.0), row.selection_accuracy)
    order = [(r.run, r.epoch) for r in ranked_by_probe.trajectories()]
    assert set(best) == set(order)
    expected = sorted(order, key=lambda key: -best[key])[:2]
    first = [row for row in rows if row.stage == "search" and row.rung == 0]
    tried = {(r.run, r.epoch) for r in first if r.source == "checkpoint"}
    findings = read_findings(ranked_by_probe.store)
    listed = {(c.run, c.epoch) for c in findings.shortlisted}
    references = {
        (d.teachers[0].run, d.teachers[0].epoch)
        for d in findings.decisions
        if d.what in ("converged_teacher", "most_accurate_teacher")
    }
    assert listed == set(expected)
    assert tried == listed | references
    by_nll = sorted(ranked_by_probe.trajectories(), key=lambda r: r.best_nll)[:2]
    assert listed != {(r.run, r.epoch) for r in by_nll}, "by NLL the same: it tests nothing"


def test_probes_for_the_shortlist_have_one_epoch_and_a_seed_of_their_own(ranked_by_probe):
    probes = [row for row in ranked_by_probe.students() if row.stage == "probe"]
    assert {(row.student_epochs, row.seed) for row in probes} == {(1, PROBE_SEED)}
    assert {(row.temperature, row.alpha) for row in probes} == {(1.0, 1.0), (4.0, 1.0)}
    cost = ranked_by_probe.sweet_spot.cost
    assert cost.probe_epochs_run == len(probes) == 2 * len(ranked_by_probe.trajectories())
    seconds = sum(row.student_seconds for row in ranked_by_probe.students())
    assert cost.student_seconds == pytest.approx(seconds)


@pytest.mark.parametrize("after", [2, 3, 4])
def test_study_ranked_by_probe_and_interrupted_decides_the_same(
    ranked_by_probe, tmp_path, monkeypatch, after
):
    plant_probes(monkeypatch, PROBES["ranked_by_probe"])
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        search(dataset(), out=out, progress=Interrupter(after), **BY_PROBE)
    render(read_findings(Store(out)))  # what there is of it, also before the probes have run
    again = search(dataset(), out=out, **BY_PROBE)
    assert without_seconds(again) == without_seconds(ranked_by_probe)


def test_probe_with_patience_and_means_ranks_every_teacher_that_competes(tmp_path):
    settings = {**BY_PROBE, "patience": 1, "epochs": 6, "variants": ("raw", "average", "blend")}
    study = search(dataset(), out=tmp_path / "both", **settings)
    ranking = [r for r in study.students() if r.stage == "probe" and r.rung == 4]
    variants = {row.variant for row in ranking}
    assert variants == {"raw", "average"}, "a blend is not ranked, it always joins"
    raw = {(row.run, row.epoch) for row in ranking if row.variant == "raw"}
    assert raw == {(r.run, r.epoch) for r in study.trajectories()}
    earlier = {row.rung for row in study.students() if row.stage == "probe"} - {4}
    assert earlier, "patience probed nothing: it tests nothing"


def test_exhaustive_search_probes_nothing(tmp_path):
    settings = {**BY_PROBE, "exhaustive": True, "student_epochs": 1}
    rows = search(dataset(), out=tmp_path / "all", **settings).students()
    assert "probe" not in {row.stage for row in rows}


def test_converged_teacher_is_one_taught_to_the_end_where_there_is_one(study):
    """A stopped one is taken only where no other is there, however accurate it is."""

    def made(size, accuracy, stopped):
        (first, *_) = (r for r in study.trajectories() if r.status == "ok")
        measured = tuple(m.model_copy(update={"accuracy": accuracy}) for m in first.measurements)
        changes = {"run": f"batch {size}", "stopped": stopped, "measurements": measured}
        return first.model_copy(update=changes)

    finished, stopped = made(1, 0.1, stopped=False), made(2, 0.9, stopped=True)
    assert converged([finished, stopped]) == finished
    assert converged([stopped]) == stopped


@pytest.mark.parametrize("name", ["study", "raced"])
def test_reference_says_whether_its_teacher_was_stopped(name, request):
    whole = request.getfixturevalue(name)
    healthy = [record for record in whole.trajectories() if record.status == "ok"]
    reference = whole.sweet_spot.references.converged_teacher
    last = converged(healthy)
    assert str(last.checkpoint) in reference.arm
    assert reference.stopped == last.stopped
    assert not whole.sweet_spot.references.cross_entropy.stopped


def test_search_without_a_teacher_to_compete_says_so(tmp_path):
    settings = {**SETTINGS, "variants": ("average",), "epochs": 1}
    with pytest.raises(RunError, match="no teacher of variants = average is left"):
        search(dataset(), out=tmp_path / "none", **settings)
