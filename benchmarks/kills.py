"""Commands that are ended at random moments: do they end as they should, and lose nothing?

    python -m benchmarks.kills --kills 100 --out kills        # about an hour on two cores

A command is begun, and after a random part of the time that it takes undisturbed it gets SIGKILL,
SIGTERM or Ctrl-C's SIGINT, in turn. The same command is then given again, and is ended again, up to
three times; after that it may finish. What a folder then holds must be the numbers of a run that
nobody disturbed, to the last bit, since it is the same machine. SIGTERM and SIGINT must end the
command within five seconds, with its exit code, a message and no traceback. No process may be left.

Ways: `plain`; `measured` (widths of stacks are measured and bfloat16 is used wherever it may be);
`processes` (two of them). Finished rounds are in `OUT/rounds.jsonl`: the same command goes on after
a stop. `--table` prints what they add up to, which is `results/kills.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from benchmarks.same_numbers import differences, numbers_of
from tests.made import SETTINGS, arrays, as_options

from goodteacher.config import Frozen

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
AT_MOST = 3
"""Kills of one folder, after which its command may finish."""
PATIENCE = 5.0
"""Seconds in which a command must have ended that was asked to."""

SEARCH = as_options(SETTINGS)
"""Of a search of a few seconds."""
WAYS = {
    "plain": ("--threads=1", "--stack-width=4", "--precision=float32"),
    "measured": ("--threads=1", "--precision=bfloat16"),
    "processes": ("--threads=1", "--workers=2", "--stack-width=4", "--precision=float32"),
}


@dataclass(frozen=True)
class Case:
    """A command whose interruption is tried.

    Attributes:
        arguments: Of the command line, made of the folder with the inputs, the folder of results
            and the settings of the way.
        given: Name of the inputs that the folder of results begins as; None: it is new.
        ways: Of running it that differ.
        starts_again: Whether a command that was ended begins from nothing, in a new folder.
    """

    arguments: Callable[[Path, Path, Sequence[str]], list[str]]
    given: str | None = None
    ways: tuple[str, ...] = ("plain",)
    starts_again: bool = False


CASES: Mapping[str, Case] = {
    "search": Case(
        lambda inputs, out, way: [
            "search", f"{inputs}/circle.npz", f"--out={out}", *SEARCH, *way
        ],
        ways=tuple(WAYS),
    ),
    "verify": Case(
        lambda inputs, out, way: [
            "verify", str(out), "--seeds=3", *[each for each in way if "precision" not in each]
        ],
        given="study",
        ways=tuple(WAYS),
    ),
    "distill": Case(
        lambda inputs, out, way: [
            "distill", f"{inputs}/circle.npz", f"--responses={inputs}/logits.npy",
            "--student=mlp:3", "--student-epochs=40", "--seeds=3", f"--out={out}", *way,
        ],
    ),
    "respond": Case(
        lambda inputs, out, way: [
            "respond", f"{inputs}/circle.npz", "--model=mlp:12",
            f"--checkpoints={inputs}/study/teachers/*/checkpoints/*", f"--out={out}",
        ],
    ),
    "export": Case(
        lambda inputs, out, way: ["export", f"{inputs}/study", f"--out={out}"],
        starts_again=True,
    ),
    "report": Case(lambda inputs, out, way: ["report", str(out)], given="study"),
}  # fmt: skip


class Ended(Frozen):
    """One kill.

    Attributes:
        signal: What the process got.
        seconds: From there to its end.
        code: Its exit code; below 0: the signal that ended it.
        traceback: Whether one was shown.
        message: Whether the last lines say that it was interrupted.
        left: Processes of its group that were alive five seconds later.
    """

    signal: str
    seconds: float
    code: int
    traceback: bool
    message: bool
    left: int

    @property
    def fault(self) -> str | None:
        """What is wrong; None if nothing is."""
        if self.traceback:
            return "traceback"
        if self.left:
            return "processes left"
        number = signal.Signals[self.signal]
        if self.code == -number:  # of SIGKILL always; else before Python itself listens
            return None
        if self.seconds > PATIENCE:
            return "slow"
        return None if self.code == 128 + number and self.message else "exit code or message"


class Round(Frozen):
    """A folder whose command was ended a few times, and then finished.

    Attributes:
        command: Which.
        way: How it ran.
        kills: Those that met the command at work.
        code: Exit code of the last run.
        differing: Files whose numbers differ from those of an undisturbed run.
        rubbish: Files of an undisturbed run's folder that are too many: half-written ones.
    """

    command: str
    way: str
    kills: tuple[Ended, ...]
    code: int
    differing: tuple[str, ...]
    rubbish: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("commands", nargs="*", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--kills", type=int, default=100, help="of each command and way")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="write what the rounds add up to")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    # Who is started in the background ignores Ctrl-C's signal, and so would the commands.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for command in options.commands or CASES:
        for way in CASES[command].ways:
            Campaign(command, way, options.out.resolve(), options.seed).run(options.kills)
    table = summed_up(rounds_of(options.out))
    if options.table:
        options.table.write_text(json.dumps(table, indent=1) + "\n")
    print(json.dumps(table, indent=1))


class Campaign:
    """One command, in one way, ended again and again.

    Args:
        command: Which.
        way: How it runs.
        out: Where everything goes.
        seed: Of the moments.
    """

    def __init__(self, command: str, way: str, out: Path, seed: int) -> None:
        self.command, self.way, self.out = command, way, out
        self.case, self.seed = CASES[command], seed
        self.inputs = inputs_in(out / "inputs")

    def run(self, kills: int) -> None:
        """Go on until the command was ended so often at work."""
        own = [r for r in rounds_of(self.out) if (r.command, r.way) == (self.command, self.way)]
        count = sum(len(each.kills) for each in own)
        if count >= kills:
            return
        took, wanted = self.undisturbed()
        while count < kills:
            chance = random.Random(f"{self.seed} {self.command} {self.way} {len(own)}")
            own.append(self.round(chance, took, wanted, number=count))
            count += len(own[-1].kills)
            with (self.out / "rounds.jsonl").open("a") as file:
                file.write(own[-1].model_dump_json() + "\n")
            faults = [each.fault for each in own[-1].kills if each.fault]
            print(self.command, self.way, count, faults, own[-1].differing, own[-1].rubbish)

    def undisturbed(self) -> tuple[float, Path]:
        """Return how long the command takes, and the folder that it leaves."""
        folder = self.begun("undisturbed")
        began = time.perf_counter()
        ended = subprocess.run(self.line(folder), capture_output=True, text=True, check=False)
        if ended.returncode:
            sys.exit(f"{self.command}: {ended.stderr}")
        return time.perf_counter() - began, folder

    def round(self, chance: random.Random, took: float, wanted: Path, number: int) -> Round:
        """End the command a few times in a folder, then let it finish there."""
        folder, kills = self.begun("killed"), list[Ended]()
        code: int | None = None
        for _ in range(chance.randint(1, AT_MOST)):
            which = SIGNALS[(number + len(kills)) % len(SIGNALS)]
            ended = killed(self.line(folder), which, after=chance.uniform(0.0, took))
            if isinstance(ended, int):
                code = ended
                break
            kills.append(ended)
            if self.case.starts_again:
                break
        if code is None:
            if self.case.starts_again and folder.exists():
                shutil.rmtree(folder)
            last = subprocess.run(self.line(folder), capture_output=True, text=True, check=False)
            code = last.returncode
            if code:
                print(last.stderr, file=sys.stderr)
        return Round(
            command=self.command,
            way=self.way,
            kills=tuple(kills),
            code=code,
            differing=tuple(differences(numbers_of(wanted), numbers_of(folder))),
            rubbish=tuple(sorted(files_of(folder) - files_of(wanted))),
        )

    def line(self, folder: Path) -> list[str]:
        """Return the command line for a folder of results."""
        given = self.case.arguments(self.inputs, folder, WAYS[self.way])
        return [sys.executable, "-m", "goodteacher", *given]

    def begun(self, name: str) -> Path:
        """Return a folder of results as it is before the command."""
        folder = self.out / f"{self.command}-{self.way}-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        if self.case.given is not None:
            shutil.copytree(self.inputs / self.case.given, folder)
        return folder


def killed(command: Sequence[str], which: signal.Signals, after: float) -> Ended | int:
    """Begin a command and send it a signal; return how it ended.

    Returns:
        The kill; or the exit code of a command that had ended before.
    """
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        pass
    else:
        return process.returncode
    began = time.perf_counter()
    process.send_signal(which)
    try:
        _, said = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _, said = process.communicate()
    seconds = time.perf_counter() - began
    if process.returncode == 0:
        return 0
    return Ended(
        signal=which.name,
        seconds=round(seconds, 3),
        code=process.returncode,
        # What Python says of a signal before it has read the first line of ours is its own.
        traceback="Traceback" in said and "goodteacher" in said,
        message="Interrupted" in said,
        left=left_of(process.pid),
    )


def left_of(group: int) -> int:
    """Return how many processes of a group are alive after a while, and end them."""
    for _ in range(int(PATIENCE / 0.1)):
        alive = [each for each in psutil.process_iter() if _is_alive_in(group, each)]
        if not alive:
            return 0
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    return len(alive)


def _is_alive_in(group: int, process: psutil.Process) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ProcessLookupError):  # it has ended meanwhile
        return False


def files_of(folder: Path) -> set[str]:
    """Return the names of all files of a folder, but for the pieces of a log."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def rounds_of(out: Path) -> list[Round]:
    """Return the rounds that are done."""
    path = out / "rounds.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [Round.model_validate_json(line) for line in lines]


def summed_up(rounds: Sequence[Round]) -> dict[str, dict[str, object]]:
    """Return what rounds add up to, for each command and way."""
    table: dict[str, dict[str, object]] = {}
    for name, way in dict.fromkeys((each.command, each.way) for each in rounds):
        own = [each for each in rounds if (each.command, each.way) == (name, way)]
        kills = [kill for each in own for kill in each.kills]
        asked = [kill.seconds for kill in kills if kill.signal != "SIGKILL"]
        faults = [kill.fault for kill in kills if kill.fault]
        table[f"{name}, {way}"] = {
            "kills": len(kills),
            "studies": len(own),
            "other numbers": sum(bool(each.differing) for each in own),
            "not finished": sum(each.code != 0 for each in own),
            "files left over": sum(bool(each.rubbish) for each in own),
            "faults": {fault: faults.count(fault) for fault in sorted(set(faults))},
            "longest wait": max(asked, default=0.0),
        }
    return table


def inputs_in(folder: Path) -> Path:
    """Return a folder with data, logits and a finished study; made where it is not."""
    if (folder / "study" / "report.html").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    examples = arrays()
    np.savez(folder / "circle.npz", **examples)
    np.save(folder / "logits.npy", 4.0 * np.eye(4, dtype=np.float32)[examples["y_train"]])
    made = [sys.executable, "-m", "goodteacher", "search", str(folder / "circle.npz")]
    subprocess.run([*made, f"--out={folder / 'study'}", *SEARCH, *WAYS["plain"]], check=True)
    return folder


if __name__ == "__main__":
    main()
