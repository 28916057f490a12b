"""Change the code in small ways, one at a time, and see whether the tests notice.

A mutant is one file with one change: a comparison turned, a sum made a difference, a number raised.
The tests of a file are collected once. For each mutant a forked process gives the functions their
changed code and runs the tests that call the changed one, those that noticed others first. What
stands outside functions is changed before the import. A mutant that no test notices survives:
either a test is missing, or the change makes no difference, and an answer says why.

    python scripts/mutants.py --out mutants.jsonl                   # all of TESTS; goes on
    python scripts/mutants.py --out mutants.jsonl --only losses.py  # files whose names end so
    python scripts/mutants.py --out mutants.jsonl --again           # once more what survived
    python scripts/mutants.py --out mutants.jsonl --survivors       # shows what survived
    python scripts/mutants.py --out mutants.jsonl --table           # writes RESULTS, keeps answers

RESULTS names each survivor with its answer, which is written there by hand.
"""

from __future__ import annotations

import argparse
import ast
import bisect
import dataclasses
import functools
import gc
import importlib
import importlib.machinery
import itertools
import json
import os
import resource
import signal
import sys
import time
import types
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path("src/goodteacher")
MATHS, STATISTICS = PACKAGE / "maths", PACKAGE / "maths/statistics"

_LARGE = [
    f"tests/responses/test_large.py::test_{name}"
    for name in (
        "pieces_measure_what_the_whole_does",
        "masses_of_any_size_are_added_up_in_pieces",
        "the_best_temperature_of_many_is_that_of_all",
        "limits_are_told_of_large_responses_too",
        "rows_are_taken_by_id_from_the_file",
        "responses_one_after_another",
        "classes_that_nobody_names_do_not_count_in_an_order",
    )
]
_EXTREMES = ["tests/maths/test_extremes.py", "tests/maths/test_numbers.py"]
_LOSSES = ["tests/maths/test_losses.py", *_EXTREMES]
_MEASURES = ["tests/maths/test_similarity.py", *_EXTREMES]


def _tests_of(*names: str) -> list[str]:
    return [f"tests/maths/test_{name}.py" for name in names]


TESTS: dict[Path, list[str]] = {
    MATHS / "losses.py": _LOSSES,
    MATHS / "_stacked.py": _LOSSES,
    MATHS / "targets.py": ["tests/maths/test_targets.py", *_MEASURES],
    MATHS / "_off_class.py": [*_MEASURES, "tests/maths/test_targets.py"],
    MATHS / "_sums.py": [*_MEASURES, *_LARGE],
    MATHS / "similarity.py": [*_MEASURES, *_LARGE],
    STATISTICS / "decisions.py": _tests_of("decisions", "statistics"),
    STATISTICS / "intervals.py": _tests_of("intervals", "statistics", "decisions"),
    STATISTICS / "sequential.py": _tests_of("looks", "decisions"),
    STATISTICS / "by_class.py": _tests_of("by_class", "decisions"),
    STATISTICS / "folds.py": _tests_of("folds", "intervals", "decisions"),
    STATISTICS / "ranks.py": _tests_of("ranks", "statistics", "decisions"),
    PACKAGE / "verdicts/rule.py": ["tests/verdicts/test_rule.py"],
    PACKAGE / "sweet_spot/choice.py": ["tests/sweet_spot/test_choice.py"],
    MATHS / "calibration.py": ["tests/maths/test_calibration.py", *_EXTREMES, *_LARGE],
    MATHS / "class_order.py": ["tests/maths/test_class_order.py"],
    MATHS / "blends.py": [*_LOSSES, "tests/maths/test_targets.py"],
    MATHS / "rows.py": ["tests/maths/test_checks.py", *_LARGE],
    MATHS / "_checks.py": ["tests/maths/test_checks.py", *_LOSSES],
    STATISTICS / "_checks.py": _tests_of("statistics", "intervals", "ranks"),
}
"""The tests that must notice a change of a file; its own examples come last."""

_SLOW = [
    "tests/maths/test_losses.py::test_a_compiled_loss_is_one_graph_with_the_same_result",
    "tests/maths/test_statistics.py::test_every_interval_is_finite_and_holds_its_mean",
    "tests/maths/test_statistics.py::test_intervals_cover_a_planted_difference_about_as_often_as_they_say",
    "tests/maths/test_statistics.py::test_pigeonhole_resamples_have_the_moments_that_theory_gives",
    "tests/maths/test_statistics.py::test_the_bootstrap_is_the_same_for_the_same_seed_and_not_for_another",
    "tests/maths/test_statistics.py::test_the_interval_of_spearman_covers_a_known_correlation",
    "tests/maths/test_by_class.py::test_joint_intervals_hold_for_all_classes_as_often_as_they_say",
    "tests/maths/test_looks.py::test_planned_looks_err_no_more_than_the_level_and_unplanned_ones_do",
    "tests/maths/test_numbers.py::test_the_calibrated_nll_of_many_classes_is_that_of_float64",
    "tests/maths/test_numbers.py::test_a_loss_over_a_hundred_thousand_classes_is_that_of_float64",
]
"""Tests that are left out from the beginning, since they would take longer than LONGEST_TEST."""

RESULTS = ROOT / "benchmarks/results/mutants.json"

LONGEST_TEST = 0.6
"""Seconds of processor time; a test that takes more is left out."""
LONGEST_MUTANT = 1.5
"""Seconds of processor time for the tests of one mutant, the shortest that call what changed."""
MEMORY = 8 * 2**30
"""Bytes that a mutant's process may have."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        file: Below the root.
        line: Where.
        now: What stands there instead.
        begin: Place of the first byte that changes.
        end: Place behind the last.
        key: Names it, by the text of its line: as long as that stays, wherever it moves to.
    """

    file: Path
    line: int
    now: str
    begin: int
    end: int
    key: str


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
    found: dict[tuple[int, str], Mutant] = {}
    for node in _looked_at(ast.parse(text)):
        for begin, end, now in _changes(node, text, starts):
            line = bisect.bisect_right(starts, begin)
            key = f"{file}: {_shown(text, starts[line - 1], begin, end, now)}"
            found[begin, now] = Mutant(file, line, now, begin, end, key)
    return _told_apart([found[place] for place in sorted(found)])


def _shown(text: bytes, start: int, begin: int, end: int, now: str) -> str:
    """Return the line of a change with it: ``return a {+ => -} b``."""
    stop = text.find(b"\n", end)
    parts = text[start:begin].decode(), text[begin:end].decode(), text[end:stop].decode()
    before, was, after = (" ".join(part.split()) for part in parts)
    return f"{before} {{{was} => {now}}} {after}".strip()


def _told_apart(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Return mutants with a number at each key that occurred before."""
    seen: Counter[str] = Counter()
    named = []
    for each in mutants:
        seen[each.key] += 1
        number = seen[each.key]
        key = f"{each.key} #{number}" if number > 1 else each.key
        named.append(dataclasses.replace(each, key=key))
    return named


def _looked_at(node: ast.AST) -> Iterator[ast.AST]:
    """Yield nodes whose change can change what code does, but for its messages and types."""
    parts: Iterable[ast.AST | None] = ast.iter_child_nodes(node)
    match node:
        case ast.Raise() | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return
        case ast.AnnAssign():
            parts = [node.value]
        case ast.FunctionDef():
            parts = [*node.args.defaults, *node.args.kw_defaults, *node.body]
        case ast.ClassDef():  # but for its decorators
            parts = node.body
    yield node
    for part in filter(None, parts):
        yield from _looked_at(part)


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
            begin = place(node)
            yield begin, begin + len("-" if isinstance(node.op, ast.USub) else "not "), ""
        case ast.If() | ast.IfExp():
            begin, end = place(node.test), place(node.test, end=True)
            yield begin, end, f"(not ({text[begin:end].decode()}))"
        case ast.Constant(value=bool() | int() | float()):
            yield place(node), place(node, end=True), _other(node.value)


def _other(value: Any) -> str:
    if isinstance(value, bool):
        return str(not value)
    return str(value + 1) if isinstance(value, int) or not value else repr(value * 2)


@dataclass(frozen=True)
class _Place:
    """The function around a mutant, by its lines; ``None`` at the level of a module or class."""

    first: int
    body: int
    last: int


def _function_around(tree: ast.Module, line: int) -> _Place | None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if node.lineno <= line <= (node.end_lineno or node.lineno):
                last = node.end_lineno or node.lineno
                return _Place(first, node.body[0].lineno, last)  # walk is outermost first
    return None


def mutated(mutant: Mutant) -> bytes:
    text = (ROOT / mutant.file).read_bytes()
    return text[: mutant.begin] + mutant.now.encode() + text[mutant.end :]


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield a code object and all inside it, in the order of the text."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _codes(inner)


def _name_of(file: Path) -> str:
    return ".".join(file.relative_to("src").with_suffix("").parts)


def _live_functions(file: Path) -> list[types.FunctionType]:
    """Return every function that a file has made, those inside classes and tables too."""
    name = sys.modules[_name_of(file)].__file__
    everything = (each for each in gc.get_objects() if type(each) is types.FunctionType)
    return [each for each in everything if each.__code__.co_filename == name]


def _exchange(file: Path, changed: bytes, live: Sequence[types.FunctionType]) -> None:
    """Give every function of a file the code and defaults that it has in a changed text."""
    module = sys.modules[_name_of(file)]
    name = str(module.__file__)
    old, new = compile((ROOT / file).read_bytes(), name, "exec"), compile(changed, name, "exec")
    codes = dict(zip(_codes(old), _codes(new), strict=True))
    fresh = {key: module.__dict__[key] for key in ("__name__", "__package__", "__file__")}
    exec(new, fresh)
    inside = [vars(each) for each in fresh.values() if isinstance(each, type)]
    made = {
        (each.__qualname__, each.__code__.co_firstlineno): each
        for space in (fresh, *inside)
        for each in space.values()
        if type(each) is types.FunctionType and each.__code__.co_filename == name
    }
    for function in live:
        twin = made.get((function.__qualname__, function.__code__.co_firstlineno))
        if twin is not None:
            function.__defaults__ = twin.__defaults__
            function.__kwdefaults__ = twin.__kwdefaults__
        function.__code__ = codes[function.__code__]


@dataclass(frozen=True)
class _Ran:
    """What a test did without any change: its processor time, and the lines of functions called."""

    seconds: float
    called: frozenset[int]


class _Loop:
    """A plugin of pytest that runs the tests of a file once for each mutant, in forks."""

    def __init__(self, file: Path, chosen: Sequence[Mutant], out: Path) -> None:
        self.file, self.chosen, self.out = file, chosen, out
        self.failed: str | None = None
        self.kills: Counter[str] = Counter()
        self.live: list[types.FunctionType] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed = report.nodeid

    def pytest_runtestloop(self, session: Any) -> bool:
        self.live = _live_functions(self.file)
        _exchange(self.file, (ROOT / self.file).read_bytes(), self.live)  # can it be done?
        ran = self._baseline(session.items)
        tree = ast.parse((ROOT / self.file).read_bytes())
        for mutant in self.chosen:
            around = _function_around(tree, mutant.line)
            if around is not None and mutant.line < around.body:
                around = _Place(0, 0, sys.maxsize)  # a default: who looks at it need not call it
            items = self._chosen(session.items, ran, around)
            if around is None or not items:
                continue  # changed before the import instead
            longest = 10 + 5 * sum(ran[each.nodeid].seconds for each in items)
            end, by = _forked(functools.partial(self._try, mutant, items), longest)
            self.kills[by] += 1
            _note(self.out, mutant, end, by)
        return True

    def _chosen(
        self, items: Sequence[Any], ran: Mapping[str, _Ran], around: _Place | None
    ) -> list[Any]:
        """Return the shortest tests that call a function, those that noticed others first."""
        calling = [each for each in items if _calls(ran[each.nodeid], around)]
        calling.sort(key=lambda each: ran[each.nodeid].seconds)
        spent = itertools.accumulate(ran[each.nodeid].seconds for each in calling)
        within = [
            each for each, until in zip(calling, spent, strict=True) if until <= LONGEST_MUTANT
        ]
        chosen = within or calling[:1]
        return sorted(chosen, key=lambda each: -self.kills[each.nodeid])

    def _baseline(self, items: Sequence[Any]) -> dict[str, _Ran]:
        """Run every test once and give what it did; a slow one is left out."""
        ran: dict[str, _Ran] = {}
        name = str(ROOT / self.file)
        called: set[int] = set()

        def profile(frame: types.FrameType, event: str, _: Any) -> None:
            if event == "call" and frame.f_code.co_filename == name:
                called.add(frame.f_code.co_firstlineno)

        def all_of_them() -> str:
            for item in items:
                called.clear()
                begin = time.process_time()
                sys.setprofile(profile)
                self._run(item)
                sys.setprofile(None)
                seconds = time.process_time() - begin
                ran[item.nodeid] = _Ran(seconds, frozenset(called))
                if self.failed:
                    return self.failed
            return json.dumps({key: (each.seconds, [*each.called]) for key, each in ran.items()})

        end, found = _forked(all_of_them)
        if not found.startswith("{"):
            raise SystemExit(f"The tests of {self.file} fail without any change: {end} {found}")
        rows = json.loads(found).items()
        return {key: _Ran(seconds, frozenset(lines)) for key, (seconds, lines) in rows}

    def _try(self, mutant: Mutant, items: Sequence[Any]) -> str:
        _exchange(self.file, mutated(mutant), self.live)
        for item in items:
            self._run(item)
            if self.failed:
                return self.failed
        return ""

    def _run(self, item: Any) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


def _calls(ran: _Ran, around: _Place | None) -> bool:
    return (
        around is not None
        and ran.seconds <= LONGEST_TEST
        and (not around.first or any(around.first <= n <= around.last for n in ran.called))
    )


def _forked(work: Callable[[], str], longest: float | None = None) -> tuple[str, str]:
    """Run in a forked process; how it ended (survived, noticed, too long) and what it returned."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        said = "error"
        try:
            if longest is not None:
                seconds = int(longest) + 1
                resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
                resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
                signal.alarm(20 * seconds)  # a busy machine gives less than a processor
            said = work()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        with os.fdopen(writing, "w") as pipe:
            pipe.write(said)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return "too long", f"signal {os.WTERMSIG(status)}"
    return ("noticed" if said else "survived"), said


def _note(out: Path, mutant: Mutant, end: str, by: str) -> None:
    row = {"key": mutant.key, "file": str(mutant.file), "line": mutant.line, "end": end, "by": by}
    with out.open("a") as lines:
        lines.write(json.dumps(row) + "\n")


class _First:
    """A plugin of pytest that says which test failed first."""

    failed = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid


def _pytest(file: Path, plugin: object) -> int:
    import hypothesis
    import pytest

    few = hypothesis.settings(
        max_examples=25, derandomize=True, database=None, deadline=None,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    )  # fmt: skip
    hypothesis.settings.register_profile("few", few)
    hypothesis.settings.load_profile("few")
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT / "src"), str(ROOT)]
    importlib.import_module(_name_of(file))  # as it is: pytest would rewrite its assertions
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    slow = [f"--deselect={each}" for each in _SLOW]
    options = [
        *slow,
        "-x",
        "-q",
        "--capture=sys",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    ]
    without = [f"-pno:{name}" for name in ("cacheprovider", "randomly", "xdist")]
    return int(pytest.main([*options, *without, *TESTS[file], str(file)], plugins=[plugin]))


def _imported_changed(mutant: Mutant) -> str:
    """Run the tests of a file that is imported with its change; the first that fails, or ''."""
    changed, path = mutated(mutant), str(ROOT / mutant.file)
    loader = importlib.machinery.SourceFileLoader
    plain = loader.get_code

    def get_code(self: Any, fullname: str) -> types.CodeType | None:
        if str(self.path) == path:
            return compile(changed, path, "exec")
        return plain(self, fullname)

    loader.get_code = get_code  # type: ignore[method-assign]
    plugin = _First()
    code = _pytest(mutant.file, plugin)
    return plugin.failed or (f"exit {code}" if code else "")


def work(file: Path, chosen: Sequence[Mutant], out: Path) -> None:
    """Try mutants of one file, and write down how each ended."""

    def loop() -> str:
        try:
            _pytest(file, _Loop(file, chosen, out))
        except SystemExit as error:
            return str(error)
        return ""

    before = len(out.read_text().splitlines()) if out.exists() else 0
    _, said = _forked(loop)
    if said:
        raise SystemExit(said)
    tried = {json.loads(line)["key"] for line in out.read_text().splitlines()[before:]}
    for mutant in chosen:
        if mutant.key not in tried:
            _note(out, mutant, *_forked(functools.partial(_imported_changed, mutant), 120))


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    """Return the last line of a file of results about each mutant, by its key."""
    lines = out.read_text().splitlines() if out.exists() else []
    return {row["key"]: row for row in map(json.loads, lines)}


def summary(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return how many mutants of each file were noticed, and of all, with today's code."""
    files = {}
    for file in TESTS:
        keys = [each.key for each in mutants_of(file)]
        tried = [rows[key]["end"] for key in keys if key in rows]
        if tried:
            survived = tried.count("survived")
            files[str(file)] = {"mutants": len(keys), "tried": len(tried), "survived": survived}
    total, tried, survived = (
        sum(each[name] for each in files.values()) for name in ("mutants", "tried", "survived")
    )
    share = round(1 - survived / tried, 4) if tried else None
    counted = {"mutants": total, "tried": tried, "survived": survived, "noticed": share}
    return {**counted, "files": files}


def write_table(rows: dict[str, dict[str, Any]], results: Path = RESULTS) -> None:
    """Write what was found, with the answers that the file has; a new survivor has none."""
    known = json.loads(results.read_text())["survivors"] if results.exists() else {}
    found = summary(rows)
    keys = [each.key for file in TESTS for each in mutants_of(file)]
    survivors = [key for key in keys if rows.get(key, {}).get("end") == "survived"]
    found["survivors"] = {key: known.get(key, "") for key in survivors}
    results.write_text(json.dumps(found, indent=1) + "\n")


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="a line of JSON for each mutant")
    parser.add_argument("--only", default="", help="files whose names end so")
    parser.add_argument("--every", type=int, default=1, help="every so many mutants")
    parser.add_argument("--again", action="store_true", help="try once more what survived")
    parser.add_argument("--survivors", action="store_true", help="show those that survived")
    parser.add_argument("--table", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    return parser.parse_args()


def main() -> None:
    """Try every mutant that has not been tried."""
    given = _given()
    out = given.out.resolve()
    rows = rows_of(out)
    if given.survivors:
        print("\n".join(key for key, row in rows.items() if row["end"] == "survived"))
        return
    if given.table:
        write_table(rows)
        return
    import hypothesis.extra.numpy  # noqa: F401 - imported once, for all forks
    import pytest  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import torch  # noqa: F401

    settled = {key for key, row in rows.items() if not given.again or row["end"] != "survived"}
    for file in TESTS:
        chosen = [each for each in mutants_of(file)[:: given.every] if each.key not in settled]
        if str(file).endswith(given.only) and chosen:
            work(file, chosen, out)
            print(file, json.dumps(summary(rows_of(out))["files"][str(file)]), flush=True)
    print(json.dumps(summary(rows_of(out))))


if __name__ == "__main__":
    main()
