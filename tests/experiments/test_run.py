"""The study's runner: which pairs it runs, and that it runs each step once."""

import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import run
from assemble import assemble
from goodteacher.cli import app
from goodteacher.config import StudyConfig, VerifyConfig, parse, read_toml
from goodteacher.data import load_dataset
from packed import pack
from pairs import all_pairs
from study_page import TABLES
from tests.made import SETTINGS, arrays

EXPERIMENTS = Path(run.__file__).parent
FILES = sorted(EXPERIMENTS.glob("[cg]pu/*.toml"))

STUDY = {
    "data": "circle",
    "pairs": ["large--wide--full", "large--wide--tenth"],
    "settings": {
        **{k: v for k, v in SETTINGS.items() if k not in ("teacher", "student")},
        "search_seeds": 1,
        "seeds": 2,
        "threads": 1,
    },
    "teachers": {"large": "mlp:12"},
    "students": {"wide": "mlp:3"},
    "transfers": {"full": {}, "tenth": {"transfer_fraction": 0.5, "teacher_seeds": [0, 2]}},
    "search": {"patience": 1},
    "verdicts": {"tenth": {"seeds": 3}},
    "variations": {
        "steps": {"pairs": ["large--wide--tenth"], "budget": "steps"},
        "blend": {
            "pairs": ["large--wide--tenth"],
            "variants": ["blend"],
            "verdict": {"seeds": 3},
        },
    },
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_setting_of_a_study_file_is_one_that_goodteacher_takes(path):
    study = read_toml(path)
    plans = list(run.plans_of(study))
    assert len({plan.pair.folder for plan in plans}) == len(plans) >= len(study["pairs"])
    assert study["data"] == path.stem
    for plan in plans:
        for further in ({"exhaustive": True}, plan.default or {}):
            parse(StudyConfig, data="digits", **plan.search, **further)
        if plan.verdict is not None:
            parse(VerifyConfig, data="digits", student="mlp:2", **plan.verdict)


def test_both_sets_cover_every_data_set():
    assert {path.stem for path in FILES} == run.HUB.keys()
    assert len(FILES) == 2 * len(run.HUB)


def test_variation_is_a_pair_under_other_settings_and_has_teachers_of_its_own():
    plans = {plan.pair.folder: plan for plan in run.plans_of(STUDY)}
    varied = plans["circle/large--wide--tenth--steps"]
    assert varied.search == {**plans["circle/large--wide--tenth"].search, "budget": "steps"}
    assert varied.own_teachers
    assert varied.default is varied.verdict is None
    students_only = {**STUDY, "variations": {"hot": {**STUDY["variations"]["steps"]}}}
    students_only["variations"]["hot"] = {"pairs": ["large--wide--tenth"], "temperatures": [8]}
    assert not list(run.plans_of(students_only))[-1].own_teachers


def test_variation_is_repeated_with_teachers_of_other_seeds():
    study = {**STUDY, "variations": {"again": {**STUDY["variations"]["steps"]}}}
    study["variations"]["again"] |= {"teacher_seeds": [0, 3]}
    first, second = list(run.plans_of(study))[-2:]
    assert first.pair.folder == "circle/large--wide--tenth--again"
    assert second.pair.folder == "circle/large--wide--tenth--again--seed3"
    assert second.search == {**first.search, "teacher_seeds": [3]}
    assert second.own_teachers


def test_pairs_are_run_again_with_teachers_of_other_seeds_after_all_were_run_once():
    plans = list(run.plans_of(STUDY))
    names = [plan.pair.folder for plan in plans]
    assert names[:3] == [
        "circle/large--wide--full",
        "circle/large--wide--tenth",
        "circle/large--wide--tenth--seed2",
    ]
    first, again = plans[1:3]
    assert "teacher_seeds" not in first.search
    assert again.search == {**first.search, "teacher_seeds": [2]}
    assert again.default is again.verdict is None
    assert not again.own_teachers


def test_what_tells_most_for_its_time_comes_first():
    names = [plan.pair.folder for plan in sorted(run.plans_of(STUDY), key=run.cheapest_first)]
    assert [name.partition("/large--wide--")[2] for name in names] == [
        "tenth", "tenth--seed2", "full", "tenth--steps", "tenth--blend"
    ]  # fmt: skip


def test_what_a_study_file_has_struck_is_not_run_and_named_with_its_reason():
    rates = {"pairs": ["large--wide--tenth"], "teacher_seeds": [0, 2]}
    study = {**STUDY, "rates": rates}
    every = {plan.pair.folder for plan in run.plans_of(study)}
    struck = {"rates": "asked elsewhere", "large--wide--tenth": "too long", "blend": "known"}
    left = {plan.pair.folder for plan in run.plans_of({**study, "struck": struck})}
    assert left == {"circle/large--wide--full"}
    found = run.struck_of({**study, "struck": struck})
    assert list(found) == list(struck.values())
    assert {key.folder for keys in found.values() for key in keys} == every - left
    assert {key.variation for key in found["asked elsewhere"]} == set(run.RATES)
    names = [key.folder for key in found["too long"]]
    assert names[:2] == ["circle/large--wide--tenth", "circle/large--wide--tenth--seed2"]
    assert run.struck_of(study) == {}


def test_rates_are_every_budget_and_rule_but_for_the_pair_itself():
    rates = {"pairs": ["large--wide--tenth"], "teacher_seeds": [0, 2], "alphas": [0.5]}
    plans = {plan.pair.folder: plan for plan in run.plans_of({**STUDY, "rates": rates})}
    base = "circle/large--wide--tenth"
    for name, changes in run.RATES.items():
        again = plans[f"{base}--{name}--seed2"]
        assert again.search == {
            **plans[base].search, **changes, "alphas": [0.5], "teacher_seeds": [2]
        }  # fmt: skip
        assert again.own_teachers
    assert f"{base}--constant" not in plans
    assert f"{base}--steps-linear" in plans


def in_this_process(arguments):
    """Run goodteacher without the seconds that a process takes to start."""
    outcome = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    root = tmp_path_factory.mktemp("ran")
    folder, made = root / "data" / "circle", arrays()
    folder.mkdir(parents=True)
    for name in ("train", "test"):
        columns = {f"x{i}": values for i, values in enumerate(made[f"x_{name}"].T)}
        table = pd.DataFrame({**columns, "label": made[f"y_{name}"]})
        table.to_parquet(folder / f"{name}.parquet")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GOODTEACHER_DATA", str(root / "data"))
        runner = run.Runner(root / "out", root / "results", {"threads": 1}, in_this_process)
        plans = list(run.plans_of(STUDY))
        for plan in plans:
            runner.run(plan)
        assert not any(pair.mixtures for pair in all_pairs(root / "results"))
        for plan in plans:
            runner.mix(plan)
    return root


def test_pairs_leave_their_small_files(ran):
    pairs = {p.name: p for p in all_pairs(ran / "results", variations=True)}
    assert pairs.keys() == {plan.pair.folder for plan in run.plans_of(STUDY)}
    assert pairs["circle/large--wide--tenth"].verdict.num_seeds == 3
    assert pairs["circle/large--wide--tenth"].search is not None
    assert len(pairs["circle/large--wide--full"].probes) > 0
    assert pairs["circle/large--wide--full"].mixtures["blend"].members
    assert pairs["circle/large--wide--tenth--steps"].mixtures == {}
    taught = pairs["circle/large--wide--full"].pair.taught
    assert taught.keys() == {r.batch_size for r in pairs["circle/large--wide--full"].teachers}
    assert sum(taught.values()) == (
        pairs["circle/large--wide--full"].search.cost.teacher_epochs_run
    )
    assert pairs["circle/large--wide--tenth--steps"].pair.taught == {}
    assert pairs["circle/large--wide--full"].verdict is None
    assert pairs["circle/large--wide--tenth--steps"].search is None
    assert pairs["circle/large--wide--tenth--steps"].verdict is None
    assert pairs["circle/large--wide--tenth--blend"].verdict.teacher.startswith("blend of ")


def test_every_claim_can_be_asked_of_what_was_run(ran):
    found = assemble(ran / "results")
    assert all(render(found) for render in TABLES.values())


def test_pairs_of_one_teacher_train_it_once(ran):
    seconds = {
        pair.name: [teacher.seconds for teacher in pair.teachers]
        for pair in all_pairs(ran / "results", variations=True)
    }
    assert seconds["circle/large--wide--tenth"] == seconds["circle/large--wide--full"]
    for other in ("steps", "seed2"):
        assert seconds[f"circle/large--wide--tenth--{other}"] != seconds["circle/large--wide--full"]


def test_what_is_finished_is_not_run_again(ran, monkeypatch):
    def refuse(arguments):
        pytest.fail(f"ran {arguments} again")

    runner = run.Runner(ran / "out", ran / "results", {"threads": 1}, refuse)
    monkeypatch.setattr(run, "Mixer", refuse)
    for plan in run.plans_of(STUDY):
        runner.run(plan)
        runner.mix(plan)


def test_mixtures_come_after_all_pairs(monkeypatch, tmp_path):
    steps = []
    monkeypatch.setattr(run.Runner, "run", lambda runner, plan: steps.append("pair"))
    monkeypatch.setattr(run.Runner, "mix", lambda runner, plan: steps.append("mixtures"))
    file = str(EXPERIMENTS / "cpu/mnist.toml")
    monkeypatch.setattr("sys.argv", ["run.py", file, "--out", str(tmp_path), "--only", "narrow"])
    run.main()
    assert len(set(steps)) == 2
    assert steps == sorted(steps, reverse=True)


def test_a_command_is_stopped_when_the_time_is_up():
    started = time.monotonic()
    slow = [
        "search",
        "digits",
        "--teacher",
        "mlp:64",
        "--student",
        "mlp:8",
        "--out",
        "/dev/null/no",
    ]
    with pytest.raises(run.TimeIsUpError):
        run.run_command(slow, until=started + 0.1)
    assert time.monotonic() - started < 60


def test_without_time_left_nothing_is_begun(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(run.TimeIsUpError):
        run.run_command(["search"], until=time.monotonic() - 1)


def test_a_command_that_fails_is_an_error():
    with pytest.raises(subprocess.CalledProcessError):
        run.run_command(["no-such-command"])


def test_the_study_says_that_the_same_command_goes_on(monkeypatch, tmp_path):
    def times_up(runner, plan):
        assert runner.command.keywords["until"] <= time.monotonic() + 60
        raise run.TimeIsUpError

    monkeypatch.setattr(run.Runner, "run", times_up)
    file = str(EXPERIMENTS / "gpu/cifar100.toml")
    monkeypatch.setattr("sys.argv", ["run.py", file, "--out", str(tmp_path), "--minutes", "1"])
    with pytest.raises(SystemExit, match="The same command goes on"):
        run.main()


def test_a_packed_data_set_is_the_same(tmp_path):
    made = arrays(num_train=40, num_test=20)
    made["x_train"], made["x_test"] = (
        np.random.default_rng(size).integers(0, 256, (size, 6, 6, 3), dtype=np.uint8)
        for size in (40, 20)
    )
    np.savez(tmp_path / "made.npz", **made, class_names=np.array(["a", "b", "c", "d"]))
    pack(str(tmp_path / "made.npz"), tmp_path / "packed")
    first, packed = (load_dataset(tmp_path / name) for name in ("made.npz", "packed"))
    assert packed.class_names == first.class_names
    assert packed.input_shape == first.input_shape
    for one, other in ((first.train, packed.train), (first.test, packed.test)):
        assert one.labels.equal(other.labels)
        assert one.ids.equal(other.ids)
        rows = torch.arange(len(one))
        assert one.stored.rows(rows).equal(other.stored.rows(rows))


def test_packing_twice_writes_once(tmp_path, monkeypatch):
    (tmp_path / "x_train.npy").touch()
    monkeypatch.setattr("packed.load_dataset", None)
    pack("mnist", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x_train.npy"]
