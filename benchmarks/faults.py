"""Faults in the files of a study, and how commands end: named, the same, or wrong.

A tiny study is searched, verified and exported. Then, for each kind of file, each fault and each
command, a copy of the study gets the fault and the command is run on it. It may refuse the study by
the file's name, or end with the same numbers; nothing else is right.

    python -m benchmarks.faults --quick                     # a sample, a minute or two
    python -m benchmarks.faults --out benchmarks/results/faults.json

How each case ended is a line of ``faults.jsonl`` beside it: the same command goes on after a stop,
and tries again only what was wrong. Remove that file to begin anew, as after a change of the code.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import shutil
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import goodteacher
from goodteacher.errors import GoodteacherError
from goodteacher.report import write_report
from goodteacher.studies import Store, health_of, require_whole
from goodteacher.studies.checksums import NOTES_FILE

SETTINGS: Mapping[str, Any] = {
    "teacher": "mlp:8",
    "student": "mlp:3",
    "batch_sizes": (32,),
    "epochs": 2,
    "student_epochs": 2,
    "student_batch_size": 64,
    "temperatures": (2.0,),
    "smoothings": (0.1,),
    "shortlist": 2,
    "search_seeds": 1,
    "seeds": 2,
    "patience": 0,
    "rungs": 1,
    "extend": False,
    "precision": "float32",
    "device": "cpu",
    "selection_fraction": 0.2,
    "threads": 1,
    "workers": 1,
    "keep_examples": 2,
    "ema_epochs": 1.0,
}
JUDGED: Mapping[str, Any] = {"seeds": 3, "evidence_seeds": 3, "curve_temperatures": (2.0,)}
_TIMES = re.compile(r"seconds|latency|cost|savings|task|folder|created|time")
_OFTEN_OTHER = re.compile(r"-[0-9a-f]{8}|\d+")


def write_data(path: Path) -> Path:
    """Write a small data set: bumps around the corners of a square."""
    rng, arrays = np.random.default_rng(0), {}
    for name, size in (("train", 160), ("test", 80)):
        labels = np.arange(size) % 4
        corners = np.stack([labels % 2, labels // 2], axis=1) * 2.0
        arrays[f"x_{name}"] = (corners + rng.normal(size=(size, 2))).astype(np.float32)
        arrays[f"y_{name}"] = labels
    np.savez(path, **arrays)
    return path


# --- commands: what each returns is compared with what it returns of the whole study --------------


def _plain(value: Any) -> Any:
    """Return a result without what depends on the time that it took."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if not _TIMES.search(k)}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return round(value, 6) if isinstance(value, float) else value


def _results(folder: Path) -> Any:
    """Return what a study says, and what its student does."""
    study = goodteacher.Study(folder)
    student = study.student()
    found = {
        "spot": study.sweet_spot.model_dump(mode="json"),
        "rows": [row.model_dump(mode="json") for row in study.students()],
        "teachers": [record.model_dump(mode="json") for record in study.trajectories()],
        "weights": {k: v.tolist() for k, v in student.network.module.state_dict().items()},
    }
    return _plain(found)


def _search(folder: Path) -> Any:
    goodteacher.search(str(folder.parent / "data.npz"), out=folder, **SETTINGS)
    left = [n for n in _wrong(folder) if "verif" not in n and "-seed-2" not in n]
    own = ("verdict.json", "evidence.json", "export.json", "model_card.md")
    assert [n for n in left if n not in own and "-seed-3" not in n] == [], left
    return _results(folder)


def _verify(folder: Path) -> Any:
    verdict = goodteacher.verify(folder, **JUDGED)
    evidence = goodteacher.Study(folder).evidence
    return _plain([verdict.model_dump(mode="json"), evidence.model_dump(mode="json")])


def _report(folder: Path) -> Any:
    require_whole(Store(folder))
    page = Path(str(write_report(Store.open(folder)))).read_text(encoding="utf-8")
    return re.findall(r"<h[123][^>]*>(.*?)</h[123]>", page)


def _load(folder: Path) -> Any:
    study = goodteacher.Study(folder)
    verdict, evidence = study.verdict, study.evidence
    both = _plain([verdict.model_dump(mode="json"), evidence.model_dump(mode="json")])
    return [_results(folder), both, study.config.model_dump(mode="json"), study.data.fingerprint]


def _export(folder: Path) -> Any:
    out = folder.parent / "shipped"
    shutil.rmtree(out, ignore_errors=True)
    found = goodteacher.export(folder, out=out, format="safetensors")
    return _plain(found.model_dump(mode="json")), sorted(p.name for p in out.rglob("*"))


def _wrong(folder: Path) -> tuple[str, ...]:
    health = health_of(folder)
    return (*health.damaged, *health.missing, *health.unknown)


COMMANDS: Mapping[str, Callable[[Path], Any]] = {
    "search": _search,
    "verify": _verify,
    "report": _report,
    "load": _load,
    "doctor": _wrong,
    "export": _export,
}

# --- faults ---------------------------------------------------------------------------------------


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flipped(share: float) -> Callable[[bytes], bytes]:
    def flip(content: bytes) -> bytes:
        place = min(len(content) - 1, int(share * len(content)))
        return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]

    return flip


DAMAGE: Mapping[str, Callable[[bytes], bytes]] = {
    "truncated": _cut,
    "emptied": lambda _: b"",
    "bit flipped, first": _flipped(0.0),
    "bit flipped, middle": _flipped(0.5),
    "bit flipped, last": _flipped(1.0),
}
FOLDER_DELETED = "folder deleted"
FAULTS = (*DAMAGE, "deleted", FOLDER_DELETED, "replaced", "later schema")


def kind_of(name: str) -> str:
    """Return which kind of file a name is of."""
    return _OFTEN_OTHER.sub("#", name)


def kinds_of(folder: Path) -> dict[str, list[str]]:
    """Return the files of a study by kind."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != ".lock":
            name = path.relative_to(folder).as_posix()
            found.setdefault(kind_of(name), []).append(name)
    return found


def inject(folder: Path, name: str, fault: str, others: list[str]) -> bool:
    """Do something to a file of a study; False where that fault does not fit it."""
    path, store = folder / name, Store(folder)
    if fault == "deleted":
        path.unlink()
    elif fault == FOLDER_DELETED:
        if path.parent == folder:
            return False
        shutil.rmtree(path.parent)
    elif fault == "replaced":
        content = path.read_bytes()
        other = next((o for o in others if (folder / o).read_bytes() != content), None)
        if other is None:
            return False
        path.write_bytes((folder / other).read_bytes())
    elif fault == "later schema":
        text = path.read_text(errors="replace")
        later = re.sub(r'("?schema_version"?\s*[:=]\s*)\d+', r"\g<1>99", text, count=1)
        if later == text:
            return False
        store.write_text(name, later)
    else:
        content = path.read_bytes()
        if not content:
            return False
        path.write_bytes(DAMAGE[fault](content))
    return True


@dataclass(frozen=True)
class Case:
    """A fault, and a command that meets it."""

    kind: str
    name: str
    fault: str
    command: str

    def is_named(self, text: str) -> bool:
        """Say whether a message names what is damaged; that of notes is told by their files."""
        path = Path(self.name)
        if self.fault == FOLDER_DELETED:
            return re.search(rf"/{re.escape(str(path.parent))}\b", text) is not None
        return path.name == NOTES_FILE or path.name in text


@dataclass(frozen=True)
class Ended:
    """How a command ended: refused, same, different, unnamed, missed, left or traceback.

    Where the fault fits no file, it is none.
    """

    case: Case
    how: str
    said: str = ""


_NONE = "none"
_RIGHT = ("refused", "same", _NONE)


class Bench:
    """A finished study, of which copies are damaged.

    Args:
        folder: Where all of it lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_data(folder / "data.npz")
        self.whole = folder / "study"
        with _quiet():
            _search(self.whole)
            _verify(self.whole)
            _export(self.whole)
            self.expected = {name: self._on_copy(run) for name, run in COMMANDS.items()}

    def _on_copy(self, run: Callable[[Path], Any]) -> Any:
        return run(self._copied())

    def _copied(self) -> Path:
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.whole, copy)
        return copy

    def cases(self) -> Iterator[Case]:
        """Yield every kind of file with every fault and every command."""
        for kind, names in kinds_of(self.whole).items():
            for fault in FAULTS:
                for command in COMMANDS:
                    yield Case(kind, names[-1], fault, command)

    def run(self, case: Case) -> Ended:
        """Return how a command ends on a copy with a fault."""
        copy, others = self._copied(), kinds_of(self.whole)[case.kind]
        if not inject(copy, case.name, case.fault, others):
            return Ended(case, _NONE)
        try:
            with _quiet():
                found = COMMANDS[case.command](copy)
        except GoodteacherError as error:
            how = "refused" if case.is_named(str(error)) else "unnamed"
            return Ended(case, how, str(error)[:300])
        except AssertionError as error:
            return Ended(case, "left", str(error)[:300])
        except Exception as error:
            return Ended(case, "traceback", f"{type(error).__name__}: {error}"[:300])
        if case.command == "doctor":
            free = case.name == "events.jsonl" or case.fault == "later schema"
            ok = bool(found) or free or NOTES_FILE in case.name
            return Ended(case, "same" if ok else "missed")
        return Ended(case, "same" if found == self.expected[case.command] else "different")


class _quiet(warnings.catch_warnings):  # noqa: N801 - a context manager
    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")


def main() -> None:
    """Run the table, or a sample of it, and print how commands ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="60 cases of all")
    parser.add_argument("--minutes", type=float, default=600.0, help="stop after these")
    options = parser.parse_args()
    lines = None if options.out is None else options.out.with_suffix(".jsonl")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        cases = list(bench.cases())
        random.Random(0).shuffle(cases)
        chosen = cases[: 60 if options.quick else None]
        ended = run_all(bench, chosen, lines, until=time.monotonic() + 60 * options.minutes)
    result = {"of": len(cases), **summed_up(ended)}
    print(json.dumps({k: v for k, v in result.items() if k != "wrong"}, indent=2))
    if options.out is not None:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def run_all(
    bench: Bench, cases: Sequence[Case], lines: Path | None, *, until: float
) -> list[Ended]:
    """Run the cases that have not ended well before; return how all have ended so far.

    Args:
        bench: Runs them.
        cases: All of them.
        lines: The file of how they ended; None keeps nothing.
        until: When to stop, by the monotonic clock.
    """
    known = {} if lines is None else read_ended(lines)
    for case in cases:
        before = known.get(case)
        if before is not None and before.how in _RIGHT:
            continue
        if time.monotonic() > until:
            break
        known[case] = bench.run(case)
        if known[case].how not in _RIGHT:
            print(known[case], flush=True)
        if lines is not None:
            with lines.open("a") as file:
                file.write(json.dumps(asdict(known[case])) + "\n")
    return [known[case] for case in cases if case in known]


def read_ended(lines: Path) -> dict[Case, Ended]:
    """Return how cases ended, by a file of lines; one that is torn is left out."""
    found = {}
    for line in lines.read_text().splitlines() if lines.exists() else ():
        with contextlib.suppress(ValueError):
            values = json.loads(line)
            case = Case(**values.pop("case"))
            found[case] = Ended(case, **values)
    return found


def summed_up(ended: Sequence[Ended]) -> dict[str, Any]:
    """Return what operations add up to; those whose fault fits no file are none."""
    ended = [each for each in ended if each.how != _NONE]

    def counted(name: str, values: Iterable[str]) -> dict[str, dict[str, int]]:
        of = {v: Counter(e.how for e in ended if getattr(e.case, name) == v) for v in values}
        return {value: dict(sorted(each.items())) for value, each in of.items()}

    return {
        "operations": len(ended),
        "kinds_of_file": len({each.case.kind for each in ended}),
        "ended": dict(sorted(Counter(each.how for each in ended).items())),
        "by_command": counted("command", COMMANDS),
        "by_fault": counted("fault", FAULTS),
        "wrong": [asdict(each) for each in ended if each.how not in _RIGHT],
    }


if __name__ == "__main__":
    main()
