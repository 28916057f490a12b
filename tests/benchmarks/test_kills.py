"""A dozen kills at random moments: `benchmarks/kills.py` in short, and what it calls a fault."""

import json
import random
import signal
import sys

import pytest
from benchmarks.same_numbers import differences, numbers_of

from benchmarks import kills

COMMANDS = ("search", "verify", "distill", "respond", "report")


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory):
    """A folder whose inputs are made once; Ctrl-C is heard, as it is not in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = tmp_path_factory.mktemp("kills")
    kills.inputs_in(folder / "inputs")
    yield folder
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_that_is_killed_anywhere_ends_with_the_same_numbers(command, campaigns):
    campaign = kills.Campaign(command, "plain", campaigns, seed=1)
    campaign.run(3 if command in ("search", "verify") else 2)
    own = [each for each in kills.rounds_of(campaigns) if each.command == command]
    assert own
    for each in own:
        assert [kill.fault for kill in each.kills if kill.fault] == []
        assert (each.code, each.differing, each.rubbish) == (0, (), ())


def ended(**changed):
    plain = {"signal": "SIGTERM", "seconds": 0.1, "code": 143, "message": True}
    return kills.Ended(**{"traceback": False, "left": 0, **plain, **changed})


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({}, None),
        ({"traceback": True}, "traceback"),
        ({"left": 1}, "processes left"),
        ({"seconds": 5.1}, "slow"),
        ({"code": 1}, "exit code or message"),
        ({"message": False}, "exit code or message"),
        ({"signal": "SIGINT"}, "exit code or message"),
        ({"signal": "SIGINT", "code": -2, "message": False}, None),
        ({"signal": "SIGTERM", "code": -2, "message": False}, "exit code or message"),
        ({"signal": "SIGKILL", "code": -9, "message": False, "seconds": 9.0}, None),
    ],
)
def test_what_a_kill_must_not_do_is_a_fault(changed, fault):
    assert ended(**changed).fault == fault


def test_rounds_add_up():
    kill = ended(traceback=True, seconds=2.0)
    first = kills.Round(
        command="search", way="plain", kills=(kill, ended()), code=0, differing=(), rubbish=()
    )
    second = first.model_copy(update={"differing": ("sweet_spot.json",), "code": 1})
    assert kills.summed_up([first, second]) == {
        "search, plain": {
            "kills": 4,
            "studies": 2,
            "other numbers": 1,
            "not finished": 1,
            "files left over": 0,
            "faults": {"traceback": 2},
            "longest wait": 2.0,
        }
    }


def test_process_that_stays_behind_is_counted_and_ended():
    code = (
        "import subprocess, sys, time; "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], "
        "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); time.sleep(60)"
    )
    found = kills.killed([sys.executable, "-c", code], signal.SIGKILL, after=2.0)
    assert (found.left, found.fault) == (1, "processes left")


def test_numbers_are_compared_without_what_belongs_to_the_machine(tmp_path):
    chance = random.Random(0)
    for name, accuracy in (("a", 0.5), ("b", 0.5), ("c", 0.6)):
        (tmp_path / name).mkdir()
        content = {"accuracy": accuracy, "seconds": chance.random(), "deep": [{"time": name}]}
        (tmp_path / name / "verdict.json").write_text(json.dumps(content))
    a, b, c = (numbers_of(tmp_path / name) for name in "abc")
    assert differences(a, b) == []
    assert differences(a, c) == ["verdict.json"]
