"""Teachers do not wait for one another, and which goes first changes no number."""

import pytest

from goodteacher import search
from goodteacher.engines import ENGINES, LocalEngine
from goodteacher.engines.going import Going
from goodteacher.studies import Store
from tests.made import SETTINGS, dataset
from tests.sweet_spot.test_probing import BY_PROBE, LEADING, PATIENT, plant_probes
from tests.test_study import without_seconds

BRANCHED = {**SETTINGS, "variants": ("raw", "ema"), "search_seeds": 1, "seeds": 2}
TUNED = {
    name: value
    for name, value in BRANCHED.items()
    if name not in ("student_epochs", "student_batch_size")
}


class LastFirst(LocalEngine):
    """Always goes on with the flow that was given last."""

    def together(self, *flows):
        with Going(flows) as going:
            while going.begun:
                last = going.begun[-1]
                self.run(last.needs.stage, last.needs.tasks)
                going.end(last)
            return going.results


def found(monkeypatch, folder, engine, settings):
    monkeypatch.setitem(ENGINES, "local", lambda config, context: engine(context))
    return search(dataset(), out=folder, **settings)


def begun(study):
    return [
        (e["stage"], e["task"])
        for e in Store(study.folder).events()
        if e["event"] == "task_started"
    ]


@pytest.mark.parametrize(
    "settings", [PATIENT, LEADING, BY_PROBE, BRANCHED], ids=["patient", "leading", "probe", "ema"]
)
def test_the_order_of_flows_changes_no_number(settings, tmp_path, monkeypatch):
    first = found(monkeypatch, tmp_path / "first", LocalEngine, settings)
    last = found(monkeypatch, tmp_path / "last", LastFirst, settings)
    assert begun(first) != begun(last)
    assert sorted(begun(first)) == sorted(begun(last))
    assert without_seconds(first) == without_seconds(last)
    decided = [(s.folder / "decisions.jsonl").read_text() for s in (first, last)]
    assert decided[0] == decided[1]


def test_a_run_waits_for_no_other_but_those_that_cost_less(tmp_path, monkeypatch):
    declining = {"batch 16": (0.5, 0.6, 0.7, 0.65, 0.8, 0.9)}
    rising = {"batch 64": (0.4, 0.55, 0.72, 0.75, 0.76, 0.77)}
    plant_probes(monkeypatch, {**declining, **rising})
    study = found(monkeypatch, tmp_path / "s", LastFirst, LEADING)
    stages = [stage for stage, task in begun(study) if "batch-00064" in task]
    other = begun(study).index(next(e for e in begun(study) if "batch-00016" in e[1]))
    assert len(stages) == 6
    large = [n for n, (_, task) in enumerate(begun(study)) if "batch-00064" in task]
    assert max(large) < other, "the run of larger batches was trained to its end first"
    ends = {record.run: record for record in study.trajectories()}
    assert ends["batch 16"].epoch == 3
    assert ends["batch 16"].outdone_by == "batch 64", "by what that had reached at this epoch"


def test_what_others_reach_later_stops_no_run(tmp_path, monkeypatch):
    led = {"batch 16": (0.5, 0.6, 0.7, 0.75, 0.8, 0.85)}
    late = {"batch 64": (0.4, 0.5, 0.6, 0.65, 0.7, 0.95)}
    plant_probes(monkeypatch, {**led, **late})
    study = found(monkeypatch, tmp_path / "s", LastFirst, LEADING)
    assert {r.run: r.epoch for r in study.trajectories()} == {"batch 16": 6, "batch 64": 6}


def test_the_student_is_tuned_beside_its_teachers(tmp_path, monkeypatch):
    study = found(monkeypatch, tmp_path / "s", LastFirst, {**TUNED, "epochs": 1})
    stages = list(dict.fromkeys(stage for stage, _ in begun(study)))
    assert stages.index("the student's learning rate") < stages.index("teachers")


def test_what_branches_off_a_run_does_not_wait_for_others(tmp_path, monkeypatch):
    study = found(monkeypatch, tmp_path / "s", LastFirst, BRANCHED)
    stages = [stage for stage, _ in begun(study) if stage in ("teachers", "moving averages")]
    assert stages.index("moving averages") == 1
    assert stages.count("teachers") == 2
