"""Run the study: every teacher-student pair of every data set, as far as there is time.

    GOODTEACHER_DATA=... python experiments/run.py experiments/cpu/*.toml --out study

`GOODTEACHER_DATA` is a folder with the data sets that the files name; without it they are hub names
as in `HUB`. Small transfer sets come first and variations last. For each pair:

1. an exhaustive search: every checkpoint, every recipe, every student to the end; and students of
   one epoch of every checkpoint, which are one of the scores, and such as watch teachers;
2. the default search on the same grid, confirmed with the same fresh seeds;
3. the verdict on what that found;
4. after all pairs, students of mixtures of the exhaustive search's responses;

and `collect.py` keeps small files of it, below `OUT/results` if nothing else is named. Pairs of
one teacher train it once. Whatever is finished is not run again, so the same command goes on where
it was stopped; `--minutes 9` stops it, for a machine that one has for ten. `taking.py` then puts
the finished pairs in the place of the committed ones: an earlier run of a pair and a later one are
never in one folder.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tomli_w

from collect import collect
from goodteacher.config import TeacherConfig, read_toml
from goodteacher.studies.files import EVIDENCE_FILE, SWEET_SPOT_FILE
from mixtures import Mixer
from pairs import MIXTURES_FILE, PROBES_FILE, WATCHING_PROBES_FILE, PairKey
from probe import probe

HUB = {
    "mnist": "hf:ylecun/mnist",
    "fashion_mnist": "hf:zalando-datasets/fashion_mnist",
    "cifar10": "hf:uoft-cs/cifar10",
    "cifar100": "hf:uoft-cs/cifar100",
    "banking77": "hf:PolyAI/banking77",
}

Settings = Mapping[str, Any]

TEACHING = TeacherConfig.model_fields.keys() - {"teachers_of", "variants", "cooldown_epochs"}
"""Settings that make other teachers; the variant `ema` does too, which is kept while training."""


SEEDS = "teacher_seeds"
"""Seeds of teachers: a setting of a search, and of the study that of the searches it makes."""

RATES: Mapping[str, Settings] = {
    "constant": {},
    "sqrt": {"lr_rule": "sqrt"},
    "linear": {"lr_rule": "linear"},
    "steps": {"budget": "steps"},
    "steps-sqrt": {"budget": "steps", "lr_rule": "sqrt"},
    "steps-linear": {"budget": "steps", "lr_rule": "linear"},
}
"""What a study file's `rates` are: variations of what teachers of a larger batch get more of."""


@dataclass(frozen=True)
class Plan:
    """What is run for one pair.

    Attributes:
        pair: Which pair.
        search: Settings of both of its searches.
        default: Further settings of the default search; None where there is none.
        verdict: Settings of the verdict; None where there is none.
        own_teachers: Whether its teachers train in a way of their own.
    """

    pair: PairKey
    search: Settings
    default: Settings | None
    verdict: Settings | None
    own_teachers: bool = False


def plans_of(study: Settings) -> Iterator[Plan]:
    """Yield the pairs of a study file, then its variations, but for what it has struck.

    A verdict's settings are those of the pair or, if it has none, of its transfer set. A transfer
    set's `teacher_seeds` are those of its pairs: each pair is run once more with teachers of every
    further seed, by an exhaustive search alone, after all pairs have been run once. A variation is
    a pair under other settings, for each of its `teacher_seeds`: an exhaustive search, and where it
    has a `verdict`, one on what that found. `struck` names what is not run any more - a pair, a
    variation or all `rates` - with the reason.

    Args:
        study: The content of a file such as `cpu/mnist.toml`.
    """
    struck = {pair.folder for pairs in struck_of(study).values() for pair in pairs}
    yield from (plan for plan in _all_plans(study) if plan.pair.folder not in struck)


def struck_of(study: Settings) -> dict[str, list[PairKey]]:
    """Return the pairs and variations that a study file has struck, by the reason."""
    found: dict[str, list[PairKey]] = {}
    for name, reason in study.get("struck", {}).items():
        names = set(RATES) if name == "rates" else {name}
        found[reason] = [
            plan.pair
            for plan in _all_plans(study)
            if plan.pair.variation in names or plan.pair.first.folder.partition("/")[2] in names
        ]
    return found


def _all_plans(study: Settings) -> Iterator[Plan]:
    for name in study["pairs"]:
        pair = pair_of(study["data"], name)
        verdicts = study.get("verdicts", {})
        verdict = verdicts.get(name, verdicts.get(pair.transfer))
        yield Plan(pair, settings_of(study, pair), study.get("search", {}), verdict)
    yield from _with_other_teachers(study)
    for variation, changes in variations_of(study).items():
        changed = dict(changes)
        names, seeds = changed.pop("pairs"), changed.pop("teacher_seeds", [0])
        verdict = changed.pop("verdict", None)
        for name, seed in itertools.product(names, seeds):
            plain = pair_of(study["data"], f"{name}--{variation}")
            pair = plain.model_copy(update={"teacher_seed": seed})
            other = {**changed, "teacher_seeds": [seed]} if seed else changed
            search = {**settings_of(study, pair), **other}
            own = bool(TEACHING & other.keys()) or "ema" in other.get("variants", ())
            yield Plan(pair, search, None, verdict, own_teachers=own)


def _with_other_teachers(study: Settings) -> Iterator[Plan]:
    """Yield the pairs again, with teachers of other seeds."""
    pairs = [pair_of(study["data"], name) for name in study["pairs"]]
    seeds = {pair: study["transfers"][pair.transfer].get(SEEDS, [0]) for pair in pairs}
    for seed in sorted({seed for each in seeds.values() for seed in each} - {0}):
        for pair in pairs:
            if seed in seeds[pair]:
                again = pair.model_copy(update={"teacher_seed": seed})
                settings = {**settings_of(study, pair), SEEDS: [seed]}
                yield Plan(again, settings, None, None)


def variations_of(study: Settings) -> dict[str, Settings]:
    """Return the variations of a study file by name; its `rates` are several of them."""
    found = dict(study.get("variations", {}))
    if "rates" in study:
        shared = study["rates"]
        for name, changes in RATES.items():
            # With the pair's own seed and rates it would be the pair itself.
            seeds = [seed for seed in shared["teacher_seeds"] if seed or changes]
            found[name] = {**shared, **changes, "teacher_seeds": seeds}
    return found


def pair_of(data: str, name: str) -> PairKey:
    """Return the pair of a name such as `large--narrow--tenth--steps`."""
    fields = ("teacher_role", "student_role", "transfer", "variation")
    return PairKey(data=data, **dict(zip(fields, name.split("--"), strict=False)))


def settings_of(study: Settings, pair: PairKey) -> Settings:
    """Return a pair's settings of a search."""
    return {
        **study["settings"],
        **{name: v for name, v in study["transfers"][pair.transfer].items() if name != SEEDS},
        "teacher": study["teachers"][pair.teacher_role],
        "student": study["students"][pair.student_role],
    }


class Runner:
    """Runs pairs, one step after another.

    Args:
        out: Where the studies go.
        results: Where their small files go.
        runtime: Settings of every command that move the work, not the answer.
        command: Runs goodteacher with the arguments given; a process of its own, so that no
            study holds memory for the next.
    """

    def __init__(
        self,
        out: Path,
        results: Path,
        runtime: Settings,
        command: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        self.command = command or run_command
        self.out = out
        self.results = results
        self.runtime = runtime

    def run(self, plan: Plan) -> None:
        """Do what is missing of a pair but its mixtures, and keep the small files of each step."""
        self._search(plan, "exhaustive", {"exhaustive": True})
        kept = self.results / plan.pair.folder
        probed = all((kept / name).exists() for name in (PROBES_FILE, WATCHING_PROBES_FILE))
        if plan.default is not None and not probed:
            probe(self.folder(plan.pair, "exhaustive"), kept)
        if plan.default is not None:
            self._search(plan, "search", plan.default)
        if plan.verdict is not None:
            self._verify(plan)
        self.keep(plan.pair)

    def mix(self, plan: Plan) -> None:
        """Train students of mixtures of a finished pair's responses, unless that is done."""
        if plan.default is None or (self.results / plan.pair.folder / MIXTURES_FILE).exists():
            return
        print(f"{time.strftime('%H:%M')} {plan.pair.folder}: mixtures", flush=True)
        Mixer(self.folder(plan.pair, "exhaustive")).run(self.results / plan.pair.folder)
        self.keep(plan.pair)

    def folder(self, pair: PairKey, step: str) -> Path:
        """Return the study folder of a step."""
        return self.out / pair.folder / step

    def _search(self, plan: Plan, step: str, further: Settings) -> None:
        folder = self.folder(plan.pair, step)
        if (folder / SWEET_SPOT_FILE).exists():
            return
        lender = None if plan.own_teachers else self._lender(plan.pair)
        borrowed = {} if lender is None else {"teachers_of": str(lender)}
        config = folder.with_suffix(".toml")
        config.parent.mkdir(parents=True, exist_ok=True)
        settings = {**plan.search, **further, **self.runtime, **borrowed}
        config.write_text(tomli_w.dumps(settings))
        data = where(plan.pair.data)
        self._command(plan, step, "search", data, f"--config={config}", f"--out={folder}")

    def _verify(self, plan: Plan) -> None:
        folder = self.folder(plan.pair, "exhaustive" if plan.default is None else "search")
        if (folder / EVIDENCE_FILE).exists():  # the last file of a verification
            return
        settings = {**(plan.verdict or {}), **self.runtime}
        options = [f"--{k.replace('_', '-')}={_as_option(v)}" for k, v in settings.items()]
        self._command(plan, "verify", "verify", str(folder), *options)

    def _command(self, plan: Plan, step: str, *arguments: str) -> None:
        """Run a command of goodteacher; note how long it took, and keep the pair's files."""
        print(f"{time.strftime('%H:%M')} {plan.pair.folder}: {step}", flush=True)
        started = time.perf_counter()
        self.command(arguments)
        self._note(plan.pair, step, (time.perf_counter() - started) / 60)
        self.keep(plan.pair)

    def keep(self, pair: PairKey) -> None:
        """Write the pair's small files from what there is."""
        if not (self.folder(pair, "exhaustive") / SWEET_SPOT_FILE).exists():
            return
        search = self.folder(pair, "search")
        collect(
            pair,
            exhaustive=self.folder(pair, "exhaustive"),
            search=search if (search / SWEET_SPOT_FILE).exists() else None,
            into=self.results / pair.folder,
            minutes=self._minutes(pair),
        )

    def _lender(self, pair: PairKey) -> Path | None:
        """Return a finished study of the same data and teachers, if there is one."""
        same = sorted(self.out.glob(f"{pair.data}/{pair.teacher_role}--*/exhaustive"))
        seed = [f"seed{pair.teacher_seed}"] if pair.teacher_seed else []
        plain = [folder for folder in same if folder.parent.name.split("--")[3:] == seed]
        return next((folder for folder in plain if (folder / SWEET_SPOT_FILE).exists()), None)

    def _minutes(self, pair: PairKey) -> dict[str, float]:
        path = self.out / pair.folder / "minutes.json"
        found: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def _note(self, pair: PairKey, step: str, minutes: float) -> None:
        noted = self._minutes(pair)
        noted[step] = round(noted.get(step, 0.0) + minutes, 2)
        (self.out / pair.folder / "minutes.json").write_text(json.dumps(noted))


class TimeIsUpError(Exception):
    """A command was stopped; the same one goes on."""


def run_command(arguments: Sequence[str], until: float | None = None) -> None:
    """Run goodteacher in a process of its own; progress stays visible on stderr.

    Args:
        arguments: The command's.
        until: When it is stopped, by `time.monotonic`; None: never.

    Raises:
        CalledProcessError: It failed.
        TimeIsUpError: It was stopped, or there was no time left to begin.
    """
    command = [sys.executable, "-m", "goodteacher", *arguments]
    left = None if until is None else until - time.monotonic()
    if left is not None and left <= 0:
        raise TimeIsUpError
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            code = process.wait(left)
        except subprocess.TimeoutExpired:
            process.terminate()  # not Ctrl-C's signal, to which commands in the background are deaf
            raise TimeIsUpError from None
    if code:
        raise subprocess.CalledProcessError(code, command)


def where(data: str) -> str:
    """Return what a command takes for a data set: a folder, or its name on the hub."""
    root = os.environ.get("GOODTEACHER_DATA")
    return HUB[data] if root is None else str(Path(root) / data)


def _as_option(value: Any) -> str:
    return ",".join(str(item) for item in value) if isinstance(value, list) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", type=Path, help="files such as cpu/mnist.toml")
    parser.add_argument("--out", type=Path, required=True, help="folder of the studies")
    parser.add_argument("--results", type=Path, default=None, help="folder of the small files")
    parser.add_argument("--only", default="", help="pairs whose name holds this text")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads")
    parser.add_argument("--minutes", type=float, help="stop after so long; the same goes on then")
    given = parser.parse_args()
    runtime = {} if given.threads is None else {"threads": given.threads}
    until = None if given.minutes is None else time.monotonic() + 60 * given.minutes
    command = partial(run_command, until=until)
    runner = Runner(given.out, given.results or given.out / "results", runtime, command)
    plans = [plan for path in given.studies for plan in plans_of(read_toml(path))]
    wanted = [plan for plan in plans if given.only in plan.pair.folder]
    try:
        for step in (runner.run, runner.mix):
            for plan in sorted(wanted, key=cheapest_first):
                step(plan)
    except TimeIsUpError:
        sys.exit("The time is up. The same command goes on.")


def cheapest_first(plan: Plan) -> tuple[bool, bool, int]:
    """Return where a pair is in line, so that a study that is stopped has told most by then."""
    pair = plan.pair
    return pair.variation is not None, pair.transfer == "full", pair.teacher_seed


if __name__ == "__main__":
    main()
