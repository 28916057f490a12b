"""The benchmarks of plans: what they make of a small finished study."""

import json
import sys

import numpy as np
import pytest

from benchmarks import plan_check, schedule
from goodteacher import search
from goodteacher.studies import Store
from tests.made import SETTINGS, arrays

SHORT = {**SETTINGS, "epochs": 2, "student_epochs": 2, "search_seeds": 1, "seeds": 2, "threads": 1}


@pytest.fixture(scope="module")
def circle(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "circle.npz"
    np.savez(path, **arrays())
    return path


def test_the_schedule_of_a_study_ends_where_its_longest_chain_does(circle, tmp_path):
    study = search(str(circle), out=tmp_path / "s", **SHORT)
    found = schedule.summary(study.folder, "a note")
    noted = [e["seconds"] for e in Store(study.folder).events() if e["event"] == "task_done"]
    assert found["seconds"] == pytest.approx(sum(noted), abs=0.06)
    assert found["tasks"] == len(noted)
    rows = found["on_workers"]
    assert [row["workers"] for row in rows][-2:] == [512, 1000]
    many = [row["seconds"] for row in rows if row["workers"] >= max(2, found["at_once"])]
    assert len(set(many)) == 1, "once each task has a worker, more of them change nothing"
    assert many[0] >= found["longest_chain_seconds"]
    assert found["note"] == "a note"


def test_a_study_that_is_not_finished_has_no_schedule(circle, tmp_path):
    study = search(str(circle), out=tmp_path / "s", **SHORT)
    (study.folder / "sweet_spot.json").unlink()
    with pytest.raises(SystemExit, match="is not finished"):
        schedule.summary(study.folder)


def test_a_check_of_plans_is_kept_and_not_done_again(circle, tmp_path, monkeypatch):
    monkeypatch.setenv("GOODTEACHER_DATA", str(circle.parent))
    monkeypatch.setattr(plan_check, "STUDIES", {circle.name: {**SHORT, "stack_width": 64}})
    monkeypatch.setattr(plan_check, "COMMON", {})
    monkeypatch.setattr(sys, "argv", ["plan_check.py", circle.name, "--out", str(tmp_path)])
    plan_check.main()
    kept = json.loads((tmp_path / "summary.json").read_text())[circle.name]
    assert kept["ratios"]["all"] > 0
    assert kept["ratios"]["lengths"] == pytest.approx(kept["lengths"] / kept["real"], abs=0.001)
    assert kept["at_least"] <= kept["planned"] <= kept["at_most"]
    monkeypatch.setattr(plan_check, "compared", None)  # would fail if it were asked for
    plan_check.main()
    assert json.loads((tmp_path / "summary.json").read_text())[circle.name] == kept
