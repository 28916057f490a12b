"""The page about omitted classes, made of the committed results.

    python experiments/omitted_page.py

Writes the tables and sentences of `docs/study-omitted.md` and the map, `docs/figures/omitted.svg`.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from goodteacher.maths.statistics import Interval  # noqa: E402
from goodteacher.records.words import fixed, listed  # noqa: E402
from omitted_classes import DATA_SETS, FULL, FURTHER, LOWER_RUNGS, SECOND_LOOKS  # noqa: E402
from omitted_figure import draw  # noqa: E402
from omitted_results import FILE, SHARES, Grid, Spot  # noqa: E402
from omitted_rules import (  # noqa: E402
    CALIBRATED,
    LIKELIHOOD,
    OMITTED,
    ORDINARY_PROBES,
    PROBES,
    SIMILARITY,
    Loss,
    Ranked,
    Sweet,
    alike,
    governs,
    losses,
    needed,
    ranks,
    ranks_better,
    rungs_of,
    share_of,
    shortfall,
    sweet_spot,
)
from pages import filled  # noqa: E402
from summaries import in_points, table  # noqa: E402

PAGE = ROOT / "docs/study-omitted.md"
FIGURE = ROOT / "docs/figures/omitted.svg"
SINCE = 4
"""From this epoch on a teacher has more than begun."""

Grids = Mapping[str, Grid]


def grids_of(found: Mapping[str, Any]) -> dict[str, Grid]:
    """Return every case of which at least two classes were omitted, by name."""
    made = {name: Grid(result) for name, result in found.items() if len(result["classes"]) > 1}
    return {name: grid for name, grid in made.items() if 1.0 in grid.temperatures}


def page_of(text: str, grids: Grids) -> str:
    """Return the page with everything that stands for results made anew."""
    main = {name: grid for name, grid in grids.items() if name in DATA_SETS}
    places: Mapping[str, Callable[[], str]] = {
        "answers": lambda: answers(main),
        "sweet_spots": lambda: sweet_spots(grids),
        "temperatures": lambda: temperatures(grids),
        "rungs": lambda: rungs(grids),
        "ranks": lambda: rank_table(grids),
        "runs": lambda: runs(grids),
        "missing": lambda: missing(grids),
    }
    return filled(text, lambda name: places[name]())


def answers(grids: Grids) -> str:
    """Return the answers to the questions, a paragraph each."""
    parts = [_answer_a(grids), _answer_b(grids), _answer_c(grids), _answer_d(grids)]
    return "\n\n".join(filter(None, parts))


def _answer_a(grids: Grids) -> str:
    found = {name: sweet_spot(grid, "corrected") for name, grid in grids.items()}
    plain = {name: sweet_spot(grid, "trained") for name, grid in grids.items()}
    over = {name: each.over_last for name, each in found.items() if each.over_last is not None}
    return (
        f"**At T = 1 there is a sweet spot of epochs on {_with(found, 'epochs')}: students of the "
        "best teacher recognise more of a class that they never saw than students of the last "
        f"epoch of the same run, after the correction by {_each(over)} (points).** There is a "
        f"sweet spot of batch size on {_with(found, 'batch_size')}. As trained, without "
        f"the correction, there is one of epochs on {_with(plain, 'epochs')}, and of batch size on "
        f"{_with(plain, 'batch_size')}."
    )


def _with(found: Mapping[str, Sweet], kind: str) -> str:
    return _of([name for name, each in found.items() if getattr(each, kind)], found)


def _each(found: Mapping[str, Interval]) -> str:
    return ", ".join(f"{_points(each)} on `{name}`" for name, each in found.items()) or "nothing"


def _answer_b(grids: Grids) -> str:
    fates = [loss.fate for grid in grids.values() for loss in losses(grid)]
    lost, open_ = fates.count("lost"), fates.count("open")
    at_one = {name: shortfall(grid, t=1.0) for name, grid in grids.items()}
    at_best = {name: shortfall(grid) for name, grid in grids.items()}
    return (
        "**Does temperature give it back?** The last epochs of all runs fall short of the best "
        f"teacher, on average, by {_each(at_one)} (points) at T = 1, and with a temperature of "
        f"their own by {_each(at_best)}. By the rule {lost} of these {len(fates)} runs lost "
        f"something that no temperature gives back, {len(fates) - lost - open_} lost nothing that "
        f"matters, and of {open_} it is open."
    )


def _answer_c(grids: Grids) -> str:
    found = {name: ranks(grid) for name, grid in grids.items()}
    late = {name: ranks(grid, since=SINCE) for name, grid in grids.items()}
    same = _range([alike(grid, 1.0, SINCE) for grid in grids.values()])
    compared = (OMITTED, SIMILARITY, LIKELIHOOD)
    early, since = (
        [_range([each[score].rho for each in part.values()]) for score in compared]
        for part in (found, late)
    )
    return (
        "**Does it govern the student where S does not?** By the rule on "
        f"{_of(governs(found), found)}. Its correlation with the accuracy of ordinary students, "
        f"each teacher at its best T, is {early[0]} over all teachers; that of S at T = 1 is "
        f"{early[1]}, that of held-out likelihood {early[2]}. From epoch {SINCE} on these are "
        f"{since[0]}, {since[1]} and {since[2]} (the range over data sets). S at T = 1 follows "
        f"what students know of an omitted class at T = 1: from epoch {SINCE} on the two correlate "
        f"by {same}. As a score (probe students of one epoch that miss a class) it ranks teachers "
        f"better than held-out likelihood on {_of(ranks_better(found, PROBES), found)}; from epoch "
        f"{SINCE} on its correlation is {_probed(late)}."
    )


def _probed(found: Mapping[str, Mapping[str, Ranked]]) -> str:
    return _range([each[PROBES].rho for each in found.values() if PROBES in each])


def _answer_d(grids: Grids) -> str:
    """Say what the response teaches at T = 1 beyond lower rungs; nothing where none were run."""
    found = {name: each for name, grid in grids.items() for each in rungs_of(grid) if each.t == 1.0}
    confidence, alike_classes = (
        {name: each.over[rung] for name, each in found.items() if rung in each.over}
        for rung in LOWER_RUNGS
    )
    if not confidence or not alike_classes:
        return ""
    return (
        "**Is it similarity?** At T = 1 the response of the best teacher teaches more of the class "
        f"than its own confidence alone does, by {_each(confidence)}, and than the mean similarity "
        f"of each class does, by {_each(alike_classes)} (points, after the correction)."
    )


def _of(names: Sequence[str], every: Mapping[str, Any]) -> str:
    some = 0 < len(names) < len(every)
    which = f" ({listed([f'`{name}`' for name in names])})" if some else ""
    return f"{len(names)} of {len(every)} data sets{which}"


def _range(values: Sequence[float], form: str = "+.2f") -> str:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return "not defined"
    low, high = fixed(min(known), form), fixed(max(known), form)
    return low if low == high else f"{low} to {high}"


def sweet_spots(grids: Grids) -> str:
    """Return the table of question (a)."""
    rows = [
        _sweet_row(name, grid, sweet_spot(grid, share))
        for name, grid in grids.items()
        for share in SHARES
    ]
    head = [
        "data", "share", "labels alone, %", "best teacher", "its share, %",
        "over the last epoch, points", "over the smallest and the largest batch, points",
        "sweet spot",
    ]  # fmt: skip
    return table(head, rows)


def _sweet_row(name: str, grid: Grid, found: Sweet) -> list[str]:
    floor = statistics.fmean(each for seed in grid.result["floor"][found.share] for each in seed)
    own = share_of(grid, found.spot, 1.0, found.share)
    kinds = [kind for kind in ("epochs", "batch_size") if getattr(found, kind)]
    return [
        f"`{name}`",
        {"trained": "as trained", "corrected": "corrected"}[found.share],
        fixed(floor / 10, ".1f"),
        _called(grid, found.spot),
        _percent(own),
        "it is the last" if found.over_last is None else _points(found.over_last),
        "; ".join(_points(each) for each in found.over_ends) or "it is one of them",
        ", ".join(kinds).replace("_", " ") or "none",
    ]


def temperatures(grids: Grids) -> str:
    """Return the table of question (b): a row for the end of each run."""
    rows = [_loss_row(name, grid, loss) for name, grid in grids.items() for loss in losses(grid)]
    head = [
        "data", "last epoch of", "its share at T = 1, %", "T that it needs", "its best T",
        "share there, %", "best teacher of all", "lost for good, points", "by the rule",
    ]  # fmt: skip
    return table(head, rows)


def _loss_row(name: str, grid: Grid, loss: Loss) -> list[str]:
    spot, t = loss.best
    return [
        f"`{name}`",
        _called(grid, loss.spot),
        _percent(share_of(grid, loss.spot, 1.0, "corrected")),
        f"{needed(grid, loss.spot):g}",
        f"{loss.at:g}",
        _percent(share_of(grid, loss.spot, loss.at, "corrected")),
        f"{_called(grid, spot)}, T = {t:g}",
        "-" if loss.lost is None else _points(loss.lost),
        loss.fate,
    ]


def rungs(grids: Grids) -> str:
    """Return the table of question (d)."""
    rows = [
        [
            f"`{name}`",
            f"{each.t:g}",
            _called(grid, each.spot),
            *(_percent(each.shares[rung]) if rung in each.shares else "-" for rung in _SHOWN),
            *(_points(each.over[rung]) if rung in each.over else "-" for rung in LOWER_RUNGS),
        ]
        for name, grid in grids.items()
        for each in rungs_of(grid)
    ]
    head = [
        "data", "T", "best teacher", "own confidence, %", "class similarity, %", "response, %",
        "response over confidence, points", "response over class similarity, points",
    ]  # fmt: skip
    return table(head, rows)


_SHOWN = (*LOWER_RUNGS, FULL)

_SCORES = (OMITTED, SIMILARITY, CALIBRATED, LIKELIHOOD, PROBES, ORDINARY_PROBES)
_RANKED_AT = ((None, 1), (None, SINCE), (1.0, SINCE), (16.0, SINCE))
"""Rows of the table: the temperature, or each teacher's best, and the first epoch that counts."""


def rank_table(grids: Grids) -> str:
    """Return the table of question (c)."""
    rows = []
    for name, grid in grids.items():
        for t, since in _RANKED_AT:
            if t is not None and t not in grid.temperatures:
                continue
            found = ranks(grid, t, since)
            teachers = sum(each["epoch"] >= since for each in grid.teachers)
            cells = [_ranked(found.get(score)) for score in _SCORES]
            same = "-" if t is None else fixed(alike(grid, t, since), "+.2f")
            at = "best" if t is None else f"{t:g}"
            rows.append([f"`{name}`", at, f"from {since} ({teachers})", *cells, same])
    return table(["data", "T", "epochs (teachers)", *_SCORES, "S with omitted classes"], rows)


def _ranked(found: Ranked | None) -> str:
    if found is None:
        return "-"
    rho = "-" if math.isnan(found.rho) else fixed(found.rho, "+.2f")
    return f"{rho} ({fixed(100 * found.lost)})"


def runs(grids: Grids) -> str:
    """Return the table of what was run."""
    head = [
        "data", "examples students see", "students", "classes omitted", "test examples of a class",
        "teachers", "temperatures", "student seeds",
    ]  # fmt: skip
    return table(head, [_run_row(name, grid) for name, grid in grids.items()])


def _run_row(name: str, grid: Grid) -> list[str]:
    result = grid.result
    return [
        f"`{name}`",
        f"{result['transfer']:,}",
        result["training"],
        str(len(result["classes"])),
        f"{min(result['class_examples'])} to {max(result['class_examples'])}",
        str(len(grid.teachers)),
        ", ".join(f"{t:g}" for t in grid.temperatures),
        _seeds(grid),
    ]


def _seeds(grid: Grid) -> str:
    """Say with how many seeds classes were omitted: one number, or one for each temperature."""
    counts = {t: known["seeds"] for t, known in grid.result["omitted"].items()}
    if len(set(counts.values())) == 1:
        return str(next(iter(counts.values())))
    return ", ".join(f"T = {t}: {count}" for t, count in counts.items())


def missing(grids: Grids, wanted: int = 5) -> str:
    """Say what has not been run yet.

    Args:
        grids: What there is.
        wanted: Seeds of students that are planned.
    """
    absent = [f"`{name}`" for name in DATA_SETS if name not in grids]
    few = [
        f"`{name}` ({_seeds(grid)} of {wanted})"
        for name, grid in grids.items()
        if name in DATA_SETS
        and any(known["seeds"] < wanted for known in grid.result["omitted"].values())
    ]
    partial = [
        f"`{name}` ({len(grid.result['classes'])} of {len(DATA_SETS[name].classes)} classes)"
        for name, grid in grids.items()
        if name in DATA_SETS and len(grid.result["classes"]) < len(DATA_SETS[name].classes)
    ]
    looks = [f"`{name}`" for name in SECOND_LOOKS if name not in grids]
    colder = [f"`{name}`" for name, grid in grids.items() if not {*FURTHER} <= {*grid.temperatures}]
    rungless = [f"`{name}`" for name, grid in grids.items() if not rungs_of(grid)]
    parts = {
        "data sets": absent,
        "second looks": looks,
        "classes": partial,
        f"temperatures {', '.join(f'{t:g}' for t in FURTHER)}": colder,
        "lower rungs": rungless,
        "seeds": few,
    }
    said = [f"- {what}: {', '.join(each)}." for what, each in parts.items() if each]
    return "\n".join(said) or "Nothing of what was planned."


def _called(grid: Grid, spot: Spot) -> str:
    several = len({each.learning_rate for each in grid.members}) > 1
    rate = f", learning rate {spot.learning_rate:g}" if several else ""
    return f"batch {spot.batch_size}, epoch {spot.epoch}{rate}"


def _percent(found: Interval) -> str:
    low, high = max(found.low, 0.0), min(found.high, 1.0)
    return "{} [{}, {}]".format(*(fixed(100 * each, ".1f") for each in (found.mean, low, high)))


def _points(found: Interval) -> str:
    return in_points(found.mean, found.low, found.high)


def main() -> None:
    grids = grids_of(json.loads(FILE.read_text()))
    PAGE.write_text(page_of(PAGE.read_text(), grids))
    draw({name: grid for name, grid in grids.items() if name in DATA_SETS}, FIGURE)


if __name__ == "__main__":
    main()
