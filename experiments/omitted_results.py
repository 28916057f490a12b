"""The small results of `omitted_classes.py`, and what its rules say of them.

`collect` keeps of each case what its teachers are, and shares and accuracies of their students in
whole per mille, in `results/omitted_classes.json`. `Grid` reads one case; the rules are in
`omitted_rules.py`.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from goodteacher.errors import StudyError
from omitted_classes import CASES, FULL, LOWER_RUNGS, TEMPERATURES, Piece, pieces_of

FILE = Path(__file__).resolve().parent / "results/omitted_classes.json"

Share = Literal["trained", "corrected"]
SHARES: tuple[Share, Share] = ("trained", "corrected")


@dataclass(frozen=True, order=True)
class Spot:
    """A teacher but for its seed."""

    batch_size: int
    learning_rate: float
    epoch: int


def collect(folder: Path, file: Path = FILE) -> None:
    """Keep the results of every case that has some; those of others stay as they are.

    Args:
        folder: Where `omitted_classes.py` has put them.
        file: Where they are kept.
    """
    found = json.loads(file.read_text()) if file.exists() else {}
    for name in CASES:
        if (folder / name / "case.json").exists():
            found[name] = collected(name, folder / name)
    known = {name: found[name] for name in CASES if name in found}
    file.write_text(short_json(known) + "\n")


def collected(name: str, folder: Path) -> dict[str, Any]:
    """Return the small result of one case.

    Args:
        name: The case.
        folder: Its own, below that of the runs.

    Raises:
        StudyError: A piece is of other teachers than the case names.
    """
    case, about = CASES[name], json.loads((folder / "case.json").read_text())
    everything = {
        piece: json.loads((folder / piece.file).read_text())
        for piece in pieces_of(case, 99)
        if (folder / piece.file).exists()
    }
    for piece, found in everything.items():
        _check_teachers(found, about["teachers"], folder / piece.file)
    rows = {piece: found for piece, found in everything.items() if piece.rung == FULL}
    single = len(case.teacher_seeds) == 1
    temperatures = sorted({t for piece in rows for t in piece.temperatures})
    classes = _complete([p for p in rows if not p.probe and p.omitted is not None], case.classes)
    names = about.pop("class_names")
    return {
        **about,
        "class_examples": about["class_examples"][: len(classes)],
        "classes": [names[c] for c in classes],
        "floor": _floor(rows, classes),
        "omitted": {f"{t:g}": _omitted(rows, classes, t, single=single) for t in temperatures},
        "ordinary": {f"{t:g}": _ordinary(rows, t, probe=False) for t in temperatures},
        "rungs": {rung: _rung(everything, rung, classes) for rung in LOWER_RUNGS},
        "probe": {f"{t:g}": _probes(rows, t) for t in temperatures if _probes(rows, t)},
    }


def _check_teachers(
    rows: Sequence[Mapping[str, Any]], teachers: Sequence[Mapping[str, Any]], file: Path
) -> None:
    """Refuse rows that are not of all teachers, in their order."""
    taught = [(row["run"], row["epoch"]) for row in rows if row["run"] is not None]
    if list(dict.fromkeys(taught)) != [(each["run"], each["epoch"]) for each in teachers]:
        raise StudyError(
            f"{file} is not of the teachers that case.json names. Delete it and run "
            "omitted_classes.py again."
        )


Rows = Mapping[Piece, Sequence[Mapping[str, Any]]]


def _complete(pieces: Iterable[Piece], classes: Sequence[int]) -> tuple[int, ...]:
    """Return the classes that were omitted with the first seed and the first temperatures."""
    seen = {piece.omitted for piece in pieces if piece.seed == 0 and 1.0 in piece.temperatures}
    return tuple(number for number in classes if number in seen)


def _seeds(rows: Rows, classes: Sequence[int | None], t: float, *, probe: bool) -> list[int]:
    """Return the seeds with which every one of some classes was omitted at a temperature."""
    seen: dict[int, set[int | None]] = defaultdict(set)
    for piece in rows:
        if piece.probe == probe and t in piece.temperatures:
            seen[piece.seed].add(piece.omitted)
    return sorted(seed for seed, found in seen.items() if set(classes) <= found)


def _at(rows: Rows, piece: tuple[int | None, int, bool], t: float) -> list[Mapping[str, Any]]:
    """Return the rows of every teacher at a temperature, in the order of the teachers."""
    omitted, seed, probe = piece
    of_piece = next(
        found
        for key, found in rows.items()
        if (key.omitted, key.seed, key.probe) == (omitted, seed, probe) and t in key.temperatures
    )
    return [row for row in of_piece if row["temperature"] == t]


def _omitted(rows: Rows, classes: Sequence[int], t: float, *, single: bool) -> dict[str, Any]:
    seeds = _seeds(rows, classes, t, probe=False)
    if not seeds or not classes:
        return {"seeds": 0}
    cells = [[_at(rows, (c, seed, False), t) for c in classes] for seed in seeds]
    found: dict[str, Any] = {"seeds": len(seeds)}
    for share in SHARES:
        test = np.array([[[row[f"test_{share}"] for row in c] for c in each] for each in cells])
        chosen = np.array([[[r[f"selection_{share}"] for r in c] for c in each] for each in cells])
        test = test.transpose(2, 0, 1)  # teacher, seed, class
        found[share] = _mille(test if single else test.mean(1, keepdims=True))
        found[f"selection_{share}"] = _mille(chosen.mean((0, 1)))
    return found


def _ordinary(rows: Rows, t: float, *, probe: bool) -> dict[str, Any]:
    seeds = _seeds(rows, [None], t, probe=probe)
    if not seeds:
        return {"seeds": 0}
    cells = [_at(rows, (None, seed, probe), t) for seed in seeds]
    means = {
        name: _ten_thousandths(np.mean([[row[name] for row in each] for each in cells], 0))
        for name in ("selection", "test")
    }
    return {"seeds": len(seeds), **means}


def _probes(rows: Rows, t: float) -> dict[str, Any]:
    classes = [p.omitted for p in rows if p.probe and p.omitted is not None and p.seed == 0]
    if not classes or not _seeds(rows, [None, *classes], t, probe=True):
        return {}
    cells = [_at(rows, (c, 0, True), t) for c in classes]
    shares = np.mean([[row["selection_corrected"] for row in each] for each in cells], 0)
    ordinary = _ordinary(rows, t, probe=True)["selection"]
    return {
        "classes": len(classes),
        "selection_corrected": _mille(shares),
        "selection": ordinary,
    }


def _rung(rows: Rows, rung: str, classes: Sequence[int]) -> dict[str, Any]:
    """Return the corrected shares of students of a lower rung, by temperature, with one seed."""
    own = {piece: found for piece, found in rows.items() if piece.rung == rung}
    known = {t: _omitted(own, classes, t, single=True) for t in TEMPERATURES}
    return {f"{t:g}": each["corrected"] for t, each in known.items() if each["seeds"]}


def _floor(rows: Rows, classes: Sequence[int]) -> dict[str, Any]:
    """Return what students of hard labels know of the classes, [seed][class]."""
    seeds = _seeds(rows, classes, 1.0, probe=False)
    pieces = {(p.omitted, p.seed): r for p, r in rows.items() if 1.0 in p.temperatures}
    return {
        share: _mille(
            np.array([[pieces[c, s][0][f"test_{share}"] for c in classes] for s in seeds])
        )
        for share in SHARES
    }


def _mille(values: np.ndarray) -> Any:
    return np.rint(1000 * values).astype(int).tolist()


def _ten_thousandths(values: np.ndarray) -> Any:
    return np.rint(10_000 * values).astype(int).tolist()


_TIGHT = (",", ":")


def short_json(value: Any, depth: int = 0) -> str:
    """Return JSON with a line for each teacher and each list of numbers."""
    flat = json.dumps(value, separators=_TIGHT)
    if not isinstance(value, dict | list) or not value or len(flat) < 100:
        return flat
    pad, end = " " * (depth + 1), " " * depth
    if isinstance(value, dict):
        inner = [f"{pad}{json.dumps(k)}: {short_json(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(inner) + f"\n{end}}}"
    if isinstance(value[0], int | str):
        return flat
    return "[\n" + ",\n".join(pad + json.dumps(v, separators=_TIGHT) for v in value) + f"\n{end}]"


class Grid:
    """One case as the rules look at it.

    Args:
        result: Its part of the results.
    """

    def __init__(self, result: Mapping[str, Any]) -> None:
        self.result = result
        self.teachers: Sequence[Mapping[str, Any]] = result["teachers"]

    @property
    def temperatures(self) -> list[float]:
        """Those of which there are students that missed classes, and ordinary ones."""
        both = self.result["omitted"], self.result["ordinary"]
        return [float(t) for t in both[0] if all(found[t]["seeds"] for found in both)]

    @cached_property
    def members(self) -> Mapping[Spot, list[int]]:
        """Numbers of the teachers of each spot, one for each teacher seed."""
        found: dict[Spot, list[int]] = defaultdict(list)
        for number, each in enumerate(self.teachers):
            spot = Spot(each["batch_size"], each["learning_rate"], each["epoch"])
            found[spot].append(number)
        return dict(sorted(found.items()))

    def values(self, spot: Spot, t: float, share: Share) -> np.ndarray:
        """Return shares of the omitted classes on the test split, [teachers or seeds, classes]."""
        known = self.result["omitted"][f"{t:g}"][share]
        return np.concatenate([np.array(known[n]) for n in self.members[spot]]) / 1000

    def lower(self, spot: Spot, t: float, rung: str) -> np.ndarray | None:
        """Return corrected shares of students of a lower rung, [teachers, classes], if known."""
        known = self.result["rungs"].get(rung, {}).get(f"{t:g}")
        return known and np.concatenate([np.array(known[n]) for n in self.members[spot]]) / 1000

    def chosen_by(self, spot: Spot, t: float, share: Share) -> float:
        """Return the mean share on the selection split, by which choices are made."""
        known = self.result["omitted"][f"{t:g}"][f"selection_{share}"]
        return statistics.fmean(known[n] for n in self.members[spot]) / 1000

    def best_temperature(self, spot: Spot, share: Share = "corrected") -> float:
        """Return the temperature at which a teacher's students know most, the first of equals."""
        return max(self.temperatures, key=lambda t: (self.chosen_by(spot, t, share), -t))

    def accuracy(self, number: int, t: float, split: str = "test") -> float:
        """Return the accuracy of a teacher's ordinary students, mean over seeds."""
        return float(self.result["ordinary"][f"{t:g}"][split][number]) / 10_000

    def best_accuracy(self, number: int) -> float:
        """Return the same at the temperature that the selection split chooses."""
        best = max(self.temperatures, key=lambda t: (self.accuracy(number, t, "selection"), -t))
        return self.accuracy(number, best)

    def last(self, spot: Spot) -> Spot:
        """Return the last epoch of a spot's run."""
        runs = (each for each in self.members if each.batch_size == spot.batch_size)
        return max(each for each in runs if each.learning_rate == spot.learning_rate)

    @property
    def ends(self) -> list[Spot]:
        """The last epoch of each run."""
        return list(dict.fromkeys(self.last(spot) for spot in self.members))
