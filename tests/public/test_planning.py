"""A plan of a search: what it says there is to do is what a search does."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import goodteacher
from goodteacher import plan, search
from goodteacher.cli import app
from goodteacher.cli.planning import plan_remarks
from goodteacher.config import StudyConfig, parse
from goodteacher.errors import ConfigError, InputError, StudyError
from goodteacher.public import planning
from goodteacher.public.planning import cost, enough, worker_counts
from goodteacher.records import OnWorkers, SearchPlan
from goodteacher.students import StudentTask
from goodteacher.studies import Store
from goodteacher.sweet_spot.rehearsing import no_time
from goodteacher.training import Trainer
from tests.made import SETTINGS, dataset

CERTAIN = {
    **SETTINGS,
    "exhaustive": True,
    "rungs": 1,
    "epochs": 2,
    "student_epochs": 2,
    "search_seeds": 1,
    "threads": 1,
    "stack_width": 64,
}
"""Settings under which nothing that a search does depends on what it finds, but who wins."""

UNCERTAIN = {
    **SETTINGS,
    "rungs": 2,
    "student_epochs": None,
    "patience": 1,
    "lead_after": 2,
    "extend": True,
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return search(dataset(), out=tmp_path_factory.mktemp("study") / "s", **CERTAIN)


@pytest.fixture(scope="module")
def planned():
    return plan(dataset(), workers_up_to=4, price_per_hour=3600.0, **CERTAIN)


def done(study):
    """What a search noted of its tasks, as (stage, key, seconds)."""
    events = Store(study.folder).events()
    return [(e["stage"], e["task"], e["seconds"]) for e in events if e["event"] == "task_done"]


def rehearsed(name, **settings):
    """The tasks of a rehearsal under an assumption."""
    config = parse(StudyConfig, data="made", **settings)
    with planning._begun(config, dataset(), None) as begun:
        return list(begun.rehearsed("here", name, no_time, None).simulated)


def test_the_tasks_of_a_rehearsal_are_those_of_the_search(study):
    stages = [(each.stage, each.task.key) for each in rehearsed("likely", **CERTAIN)]
    real = [(stage, key) for stage, key, _ in done(study)]
    unsure = ("confirmation", "are students trained enough?")
    assert {e for e in stages if e[0] not in unsure} == {e for e in real if e[0] not in unsure}
    confirmed = [[stage for stage, _ in each].count("confirmation") for each in (stages, real)]
    assert confirmed == [CERTAIN["seeds"]] * 2


def test_a_plan_counts_what_the_search_did(study, planned):
    rows = Store(study.folder).path("students")
    assert rows.is_dir()
    found, real = planned.amounts.likely, done(study)
    expected = [each for each in real if each[0] != "are students trained enough?"]
    assert found.tasks == len(expected)
    assert found.teacher_epochs == len(CERTAIN["batch_sizes"]) * 2
    assert planned.times == "measured"
    assert planned.done == 0


def test_amounts_and_times_are_in_order(planned):
    least, likely, most = (getattr(planned.amounts, n) for n in ("at_least", "likely", "at_most"))
    assert least.tasks <= likely.tasks <= most.tasks
    assert 0 < least.seconds <= likely.seconds <= most.seconds
    assert 0 < likely.least_seconds <= likely.seconds
    assert planned.on_workers[0].seconds == pytest.approx(likely.seconds)
    assert planned.on_workers[0].utilisation == pytest.approx(1.0)
    assert [row.workers for row in planned.on_workers] == [1, 2, 4]
    assert sum(link.seconds for link in planned.chain) == pytest.approx(likely.least_seconds)


def test_money_is_workers_times_hours_times_the_price(planned):
    for row in planned.on_workers:
        assert row.money == pytest.approx(row.workers * row.seconds)


def test_bytes_are_about_what_the_search_wrote(study, planned):
    written = planning.bytes_of(Store(study.folder))
    assert 0.5 * written < planned.amounts.likely.bytes < 2 * written


def test_a_plan_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    plan(dataset(), workers_up_to=1, **CERTAIN)
    assert list(tmp_path.iterdir()) == []


def test_a_rehearsal_trains_nothing(monkeypatch):
    def refuse(*args, **more):
        raise AssertionError("something is trained")

    with planning._begun(parse(StudyConfig, data="made", **CERTAIN), dataset(), None) as begun:
        monkeypatch.setattr(Trainer, "run_until", refuse)
        assert begun.rehearsed("here", "at_most", no_time, None).simulated


@pytest.mark.parametrize(("assumed", "longest"), [("at_least", 3), ("likely", 9), ("at_most", 27)])
def test_students_train_as_long_as_is_assumed(assumed, longest):
    tasks = [each.task for each in rehearsed(assumed, **UNCERTAIN)]
    students = [task for task in tasks if isinstance(task, StudentTask)]
    first = min(task.student_epochs for task in students if task.stage == "tune")
    confirmed = [task for task in students if task.stage == "search"]
    assert max(task.student_epochs for task in confirmed) == longest * first


@pytest.mark.parametrize(
    ("assumed", "stopped"),
    [
        ("at_least", {"batch 16": 2, "batch 64": 2}),
        ("likely", {"batch 16": 2, "batch 64": 4}),
        ("at_most", {"batch 16": 4, "batch 64": 4}),
    ],
)
def test_teachers_stop_as_is_assumed(assumed, stopped):
    reached = {}
    for each in rehearsed(assumed, **UNCERTAIN):
        if each.stage.startswith("teachers"):
            reached[each.task.run.name] = each.task.until
    assert reached == stopped


def test_a_finished_study_is_planned_with_its_own_times_and_left_as_it_is(
    tmp_path, circle, monkeypatch
):
    made = search(str(circle), out=tmp_path / "s", **CERTAIN)
    before = contents(made.folder)
    monkeypatch.setattr(planning, "measure_costs", None)  # nothing is measured
    found = plan(made.folder, workers_up_to=2)
    assert found.times == "noted"
    real = done(made)
    assert found.amounts.likely.tasks == len(real)
    assert found.amounts.likely.seconds == pytest.approx(sum(seconds for *_, seconds in real))
    assert found.amounts.likely.bytes == planning.bytes_of(Store(made.folder))
    assert found.amounts.at_least == found.amounts.at_most
    assert contents(made.folder) == before
    assert "The times come from the study itself." in plan_remarks(found)


def test_of_a_begun_study_what_remains_is_planned(tmp_path, circle):
    made = search(str(circle), out=tmp_path / "s", **CERTAIN)
    whole = plan(made.folder, workers_up_to=1)
    (made.folder / "sweet_spot.json").unlink()
    for folder in (made.folder / "students").glob("confirm-*"):
        shutil.rmtree(folder)
    before = contents(made.folder)
    left = plan(made.folder, workers_up_to=1)
    assert left.times == "measured"
    assert left.done > 0
    checks = sum(stage == "are students trained enough?" for stage, *_ in done(made))
    assert left.amounts.likely.tasks == CERTAIN["seeds"]
    assert left.done == whole.amounts.likely.tasks - CERTAIN["seeds"] - checks
    assert left.amounts.likely.teacher_epochs == 0
    assert contents(made.folder) == before


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def circle(tmp_path_factory):
    import numpy as np

    from tests.made import arrays

    path = tmp_path_factory.mktemp("data") / "circle.npz"
    np.savez(path, **arrays())
    return path


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"price_per_hour": -1.0}, "price_per_hour must be a number of at least 0"),
        ({"price_per_hour": float("nan")}, "price_per_hour"),
        ({"workers_up_to": 0}, "workers_up_to must be a whole number of at least 1"),
        ({"workers_up_to": 2.5}, "workers_up_to"),
        ({"student": ["mlp:3", "mlp:4"]}, "A plan is for one student"),
        ({"teacher": "forest"}, "cannot estimate how long a classifier takes"),
        ({"epoch": 3}, "epoch"),
        ({"student": None}, "student is missing"),
    ],
)
def test_what_cannot_be_planned_is_refused_before_anything_is_done(changed, told, monkeypatch):
    monkeypatch.setattr(planning, "prepare_context", None)
    with pytest.raises(InputError, match=told):
        plan(dataset(), **{**CERTAIN, **changed})


def test_a_folder_that_is_no_study_is_refused(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        plan(tmp_path, teacher="mlp:4", student="mlp:2")


def test_a_folder_of_several_studies_is_refused_with_their_names(tmp_path):
    (tmp_path / "students.toml").write_text('[students]\n"mlp:3" = "mlp-3"\n\n[settings]\n')
    with pytest.raises(InputError, match="mlp-3"):
        plan(tmp_path)


def test_settings_beside_a_study_are_refused(study):
    with pytest.raises(
        ConfigError, match="is a study, which already has settings: leave out epochs"
    ):
        plan(study.folder, epochs=3)


def test_data_given_in_python_are_to_be_given_again(study):
    with pytest.raises(ConfigError, match="were given in Python"):
        plan(study.folder)


def test_a_study_of_data_that_have_changed_is_refused(tmp_path, circle):
    copied = tmp_path / "circle.npz"
    shutil.copy(circle, copied)
    made = search(str(copied), out=tmp_path / "s", **CERTAIN)
    import numpy as np

    from tests.made import arrays

    np.savez(copied, **arrays(seed=1))
    with pytest.raises(StudyError, match="a study of other data"):
        plan(made.folder)


def test_counts_of_workers_cost_and_what_is_enough():
    assert worker_counts(1) == (1,)
    assert worker_counts(1000)[-2:] == (512, 1000)
    assert cost(10, 7200.0, 2.5) == 50.0
    tried = [
        OnWorkers(workers=w, seconds=s, utilisation=1.0) for w, s in ((1, 9), (2, 5), (4, 4.95))
    ]
    assert enough(tried) == 2


def test_the_command_prints_a_table_of_80_columns(circle):
    options = ["plan", str(circle), "--teacher=mlp:12", "--student=mlp:3", "--student-epochs=2"]
    more = ["--epochs=2", "--patience=0", "--seeds=2", "--price-per-hour=2", "--workers-up-to=2"]
    result = CliRunner().invoke(app, [*options, *more], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == [
        "work",
        "in",
        "total",
        "at",
        "least",
        "likely",
        "at",
        "most",
    ]
    assert any(line.split()[:3] == ["workers", "time,", "likely"] for line in lines)


def test_the_command_takes_a_file_of_settings_and_gives_json(circle, tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(
        f'data = "{circle}"\nteacher = "mlp:12"\nstudent = "mlp:3"\nepochs = 2\n'
        "student_epochs = 2\npatience = 0\nseeds = 2\n"
    )
    result = CliRunner().invoke(app, ["plan", str(file), "--workers-up-to=1", "--json"])
    assert result.exit_code == 0, result.stderr
    found = SearchPlan.model_validate(json.loads(result.stdout))
    assert found.teacher == "mlp:12"
    assert list(tmp_path.iterdir()) == [file]


def test_the_command_says_what_is_wrong_in_one_line(circle):
    result = CliRunner().invoke(app, ["plan", str(circle), "--price-per-hour=-1"])
    assert result.exit_code == 2
    result = CliRunner().invoke(app, ["plan", str(circle), "--no-such-option"])
    assert result.exit_code == 2


def test_the_public_names_are_there():
    assert goodteacher.plan is plan
    assert goodteacher.SearchPlan is SearchPlan
