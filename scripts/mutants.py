"""Change the code in small ways, one at a time, and see whether the tests notice.

A mutant is one file with one change: a comparison turned, a sum made a difference, a number raised.
Its tests run in a copy of the repository, in a process forked from one that has imported PyTorch
already, so a mutant takes seconds. One that no test notices survives: either a test is missing, or
the change makes no difference.

    python scripts/mutants.py --out mutants.jsonl                   # all of TESTS; goes on
    python scripts/mutants.py --out mutants.jsonl --only losses.py  # files whose names end so
    python scripts/mutants.py --out mutants.jsonl --survivors       # what survived, with its line
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

ROOT = Path(__file__).parent.parent
PACKAGE = Path("src/goodteacher")
MATHS, STATISTICS = PACKAGE / "maths", PACKAGE / "maths/statistics"

_LOSSES = ["tests/maths/test_losses.py", "tests/maths/test_extremes.py"]
_MEASURES = ["tests/maths/test_similarity.py", "tests/maths/test_extremes.py"]
_STATISTICS = [
    f"tests/maths/test_{name}.py" for name in ("statistics", "by_class", "folds", "looks")
]

TESTS: dict[Path, list[str]] = {
    MATHS / "losses.py": _LOSSES,
    MATHS / "_stacked.py": _LOSSES,
    MATHS / "targets.py": ["tests/maths/test_targets.py", *_MEASURES],
    MATHS / "_off_class.py": [*_MEASURES, "tests/maths/test_targets.py"],
    MATHS / "_sums.py": [*_MEASURES, "tests/responses/test_large.py"],
    MATHS / "similarity.py": [*_MEASURES, "tests/responses/test_large.py"],
    STATISTICS / "decisions.py": _STATISTICS,
    STATISTICS / "intervals.py": _STATISTICS,
    STATISTICS / "sequential.py": _STATISTICS,
    STATISTICS / "by_class.py": _STATISTICS,
    STATISTICS / "folds.py": _STATISTICS,
    STATISTICS / "ranks.py": _STATISTICS,
    PACKAGE / "verdicts/rule.py": ["tests/verdicts/test_rule.py"],
    PACKAGE / "sweet_spot/choice.py": ["tests/sweet_spot/test_choice.py"],
    MATHS / "calibration.py": ["tests/maths/test_calibration.py", "tests/maths/test_extremes.py"],
    MATHS / "class_order.py": ["tests/maths/test_class_order.py"],
    MATHS / "blends.py": [*_LOSSES, "tests/maths/test_targets.py"],
    MATHS / "rows.py": ["tests/responses/test_large.py", "tests/maths/test_checks.py"],
    MATHS / "_checks.py": ["tests/maths/test_checks.py", *_LOSSES],
    STATISTICS / "_checks.py": _STATISTICS,
}
"""The tests that must notice a change of a file; its own examples come last."""

_PREIMPORTED = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]

LONGEST = 120.0
"""Seconds after which a mutant counts as noticed: it does not end."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        file: Below the root.
        line: Where.
        was: What stood there.
        now: What stands there instead.
        begin: Place of the first byte that changes.
        end: Place behind the last.
    """

    file: Path
    line: int
    was: str
    now: str
    begin: int
    end: int

    @property
    def key(self) -> str:
        """What names it, as long as the file stays as it is."""
        return f"{self.file}:{self.line}:{self.begin}:{self.was} -> {self.now}"


_COMPARED: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
_CALCULATED: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.Pow: ("**", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}


def mutants_of(file: Path) -> list[Mutant]:
    """Return every mutant of a file, in the order of its text."""
    text = (ROOT / file).read_bytes()
    starts = [0]
    for each in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(each))
    found = {}
    for node in _looked_at(ast.parse(text)):
        for begin, end, now in _changes(node, text, starts):
            line = next(number for number, start in enumerate(starts[1:], 1) if begin < start)
            was = text[begin:end].decode()
            found[begin, now] = Mutant(file, line, was, now, begin, end)
    return [found[place] for place in sorted(found)]


def _looked_at(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield nodes whose change can change what code does, but for its messages and types."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.AnnAssign):
            if node.value is not None:
                yield node.value
                yield from _looked_at(node.value)
            continue
        if isinstance(node, ast.FunctionDef):
            for part in (*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body):
                yield part
                yield from _looked_at(part)
            continue
        if isinstance(node, ast.ClassDef):  # but for its decorators
            for part in node.body:
                yield part
                yield from _looked_at(part)
            continue
        yield node
        yield from _looked_at(node)


def _changes(node: ast.AST, text: bytes, starts: Sequence[int]) -> Iterator[tuple[int, int, str]]:
    """Yield what may change at a node: from where, to where, into what."""

    def place(part: Any, *, end: bool = False) -> int:
        line, column = (
            (part.end_lineno, part.end_col_offset) if end else (part.lineno, part.col_offset)
        )
        return int(starts[line - 1] + column)

    def between(left: Any, right: Any, was: str, now: str) -> Iterator[tuple[int, int, str]]:
        begin = text.find(was.encode(), place(left, end=True), place(right))
        if begin >= 0:
            yield begin, begin + len(was), now

    match node:
        case ast.Compare():
            sides = [node.left, *node.comparators]
            for left, right, kind in zip(sides, sides[1:], node.ops, strict=False):
                yield from between(left, right, *_COMPARED[type(kind)])
        case ast.BinOp() if type(node.op) in _CALCULATED:
            yield from between(node.left, node.right, *_CALCULATED[type(node.op)])
        case ast.BoolOp():
            both = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from between(left, right, *both)
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            yield place(node), place(node.operand), ""
        case ast.If() | ast.IfExp():
            begin, end = place(node.test), place(node.test, end=True)
            yield begin, end, f"(not ({text[begin:end].decode()}))"
        case ast.Constant(value=bool() | int() | float()):
            yield place(node), place(node, end=True), _other(node.value)


def _other(value: Any) -> str:
    if isinstance(value, bool):
        return str(not value)
    return str(value + 1) if isinstance(value, int) or not value else repr(value * 2)


def _copy() -> Path:
    """Return a copy of what tests need, in a new folder."""
    folder = Path(tempfile.mkdtemp(prefix="mutants-"))
    for name in ("src", "tests", "pyproject.toml", "conftest.py"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)
    return folder


def _is_noticed(folder: Path, file: Path) -> str:
    """Run the tests of a file in a forked process; ``noticed``, ``survived`` or ``too long``."""
    pid = os.fork()
    if not pid:
        _run_and_exit(folder, file)
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return "survived" if status == 0 else "noticed"
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "too long"


def _run_and_exit(folder: Path, file: Path) -> None:
    code = 1
    with contextlib.suppress(BaseException):
        import pytest

        os.chdir(folder)
        sys.dont_write_bytecode = True
        sys.path[:0] = [str(folder / "src"), str(folder)]
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", *_PREIMPORTED]
        code = int(pytest.main([*options, *TESTS[file], str(file)]))
    os._exit(code)


def _work(file: Path, chosen: Sequence[Mutant], out: Path, processes: int) -> None:
    """Try the mutants of one file, and write down how each ended."""
    folders: SimpleQueue[Path] = SimpleQueue()
    for _ in range(processes):
        folders.put(_copy())
    first = folders.get()
    if _is_noticed(first, file) != "survived":
        raise SystemExit(f"The tests of {file} fail without any change.")
    folders.put(first)

    def try_one(mutant: Mutant) -> None:
        folder = folders.get()
        text = (ROOT / file).read_bytes()
        try:
            changed = text[: mutant.begin] + mutant.now.encode() + text[mutant.end :]
            (folder / file).write_bytes(changed)
            end = _is_noticed(folder, file)
        finally:
            (folder / file).write_bytes(text)
            folders.put(folder)
        row = {"key": mutant.key, "file": str(file), "line": mutant.line, "end": end}
        with out.open("a") as lines:
            lines.write(json.dumps(row) + "\n")

    with ThreadPoolExecutor(processes) as pool:
        list(pool.map(try_one, chosen))
    while not folders.empty():
        shutil.rmtree(folders.get())


def _rows(out: Path) -> dict[str, dict[str, Any]]:
    lines = out.read_text().splitlines() if out.exists() else []
    return {row["key"]: row for row in map(json.loads, lines)}


def summary(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return how many mutants of each file were noticed, and of all."""
    ends: dict[str, Counter[str]] = {}
    for row in rows.values():
        ends.setdefault(row["file"], Counter())[row["end"]] += 1
    files = {
        file: {"mutants": sum(c.values()), "survived": c["survived"]} for file, c in ends.items()
    }
    total = sum(each["mutants"] for each in files.values())
    survived = sum(each["survived"] for each in files.values())
    share = round(1 - survived / total, 4) if total else None
    return {"mutants": total, "survived": survived, "noticed": share, "files": files}


def main() -> None:
    """Try every mutant that has not been tried."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="a line of JSON for each mutant")
    parser.add_argument("--only", default="", help="files whose names end so")
    parser.add_argument("--every", type=int, default=1, help="every so many mutants")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--survivors", action="store_true", help="show those that survived")
    given = parser.parse_args()
    if given.survivors:
        for row in _rows(given.out).values():
            if row["end"] == "survived" and row["file"].endswith(given.only):
                text = (ROOT / row["file"]).read_text().splitlines()[row["line"] - 1]
                print(f"{row['key']}\n    {text.strip()}")
        return
    import hypothesis.extra.numpy  # noqa: F401 - imported once, for all forks
    import pytest  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import torch  # noqa: F401

    for file in TESTS:
        known = _rows(given.out)
        chosen = [m for m in mutants_of(file)[:: given.every] if m.key not in known]
        if str(file).endswith(given.only) and chosen:
            _work(file, chosen, given.out, given.processes)
            print(file, json.dumps(summary(_rows(given.out))["files"][str(file)]), flush=True)
    print(json.dumps(summary(_rows(given.out)), indent=1))


if __name__ == "__main__":
    main()
