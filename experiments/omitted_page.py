"""The page about omitted classes, made of the committed results.

    python experiments/omitted_page.py

Writes the tables and sentences of `docs/study-omitted.md` and its map.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from docs_pages import DOCS, FIGURES, ResultsPage, spread
from goodteacher.maths.statistics import Interval
from goodteacher.records.words import fixed, listed
from omitted_classes import DATA_SETS, FULL, FURTHER, LOWER_RUNGS, SECOND_LOOKS
from omitted_figure import draw
from omitted_results import FILE, SHARES, Grid, Spot
from omitted_rules import (
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
from pairs import NAMES
from summaries import in_points, table

SINCE = 4
"""From this epoch on a teacher has more than begun."""

Grids = Mapping[str, Grid]


def grids_of(found: Mapping[str, Any]) -> dict[str, Grid]:
    """Return every case of which at least two classes were omitted, by name."""
    made = {name: Grid(result) for name, result in found.items() if len(result["classes"]) > 1}
    return {name: grid for name, grid in made.items() if 1.0 in grid.temperatures}


def _main(grids: Grids) -> dict[str, Grid]:
    """Return the data sets, without the second looks at some of them."""
    return {name: grid for name, grid in grids.items() if name in DATA_SETS}


def answers(grids: Grids) -> str:
    """Return the answers to the questions, a paragraph each."""
    parts = [_answer_a(grids), _answer_b(grids), _answer_c(grids), _answer_d(grids)]
    return "\n\n".join(filter(None, parts))


def _answer_a(grids: Grids) -> str:
    found = {name: sweet_spot(grid, "corrected") for name, grid in grids.items()}
    plain = {name: sweet_spot(grid, "trained") for name, grid in grids.items()}
    over = {name: each.over_last for name, each in found.items() if each.over_last is not None}
    return (
        f"**At T = 1 there is a sweet spot of epochs on {_with(found, 'epochs')}.** Of a class "
        "that they never saw, students of the best teacher recognise more than students of the "
        f"last epoch of the same run by {_each(over)}, after the correction. There is a sweet spot "
        f"of batch size on {_with(found, 'batch_size')}. Without the correction there is one of "
        f"epochs on {_with(plain, 'epochs')}, and one of batch size on "
        f"{_with(plain, 'batch_size')}."
    )


def _with(found: Mapping[str, Sweet], kind: str) -> str:
    return _of([name for name, each in found.items() if getattr(each, kind)], found)


def _each(found: Mapping[str, Interval]) -> str:
    said = [f"{_points(each)} points on {_data(name)}" for name, each in found.items()]
    return listed(said) if said else "nothing"


def _data(name: str) -> str:
    """Return what a reader calls a data set; of a second look, its name."""
    return NAMES.get(name, f"`{name}`" if "_" in name else name)


def _answer_b(grids: Grids) -> str:
    fates = [loss.fate for grid in grids.values() for loss in losses(grid)]
    lost, open_ = fates.count("lost"), fates.count("open")
    at_one = {name: shortfall(grid, t=1.0) for name, grid in grids.items()}
    at_best = {name: shortfall(grid) for name, grid in grids.items()}
    return (
        "**Does temperature give back what a long training lost?** Averaged over runs, the last "
        f"epoch lies below the best teacher by {_each(at_one)} at T = 1, and by {_each(at_best)} "
        f"at a temperature of its own. Of these {len(fates)} runs {lost} lost something that no "
        f"temperature gives back, {len(fates) - lost - open_} lost nothing that matters, and "
        f"{open_} are undecided."
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
        "**Does it predict how good ordinary students become, where S does not?** By the rule, on "
        f"{_of(governs(found), found)}. Over all teachers, each at its best T, its rank "
        f"correlation with the accuracy of ordinary students is {early[0]} (range over data sets); "
        f"that of S at T = 1 is {early[1]}, that of the held-out likelihood {early[2]}. From epoch "
        f"{SINCE} on these are {since[0]}, {since[1]} and {since[2]}. The correlation of S at "
        f"T = 1 with what students know of an omitted class at T = 1 is {same} from epoch {SINCE} "
        f"on. As a cheap score (probe students of one epoch that miss a class) it ranks "
        f"teachers better than the held-out likelihood on {_of(ranks_better(found, PROBES), found)}"
        f"; from epoch {SINCE} on its correlation is {_probed(late)}."
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
        "**Is it similarity?** At T = 1 students of the best teacher's response recognise more of "
        f"the class than students of its confidence alone, by {_each(confidence)}, and than "
        f"students of the mean similarity of each class, by {_each(alike_classes)}, after the "
        "correction."
    )


def _of(names: Sequence[str], every: Mapping[str, Any]) -> str:
    some = 0 < len(names) < len(every)
    which = f" ({listed([_data(name) for name in names])})" if some else ""
    return f"{len(names)} of {len(every)} data sets{which}"


def _range(values: Sequence[float]) -> str:
    known = [value for value in values if not math.isnan(value)]
    return spread(known, "+.2f") if known else "not defined"


def sweet_spots(grids: Grids) -> str:
    """Return the table of question (a)."""
    rows = [
        _sweet_row(name, grid, sweet_spot(grid, share))
        for name, grid in grids.items()
        for share in SHARES
    ]
    head = [
        "data", "share", "students of hard labels, %", "best teacher", "its students, %",
        "over the last epoch, points", "over the smallest and the largest batch size, points",
        "sweet spot of",
    ]  # fmt: skip
    return table(head, rows)


def _sweet_row(name: str, grid: Grid, found: Sweet) -> list[str]:
    floor = statistics.fmean(each for seed in grid.result["floor"][found.share] for each in seed)
    own = share_of(grid, found.spot, 1.0, found.share)
    kinds = [kind for kind in ("epochs", "batch_size") if getattr(found, kind)]
    return [
        _data(name),
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
        "data", "last epoch of", "its students at T = 1, %", "T that it needs", "its best T",
        "its students there, %", "best teacher of all", "lost for good, points", "by the rule",
    ]  # fmt: skip
    return table(head, rows)


def _loss_row(name: str, grid: Grid, loss: Loss) -> list[str]:
    spot, t = loss.best
    return [
        _data(name),
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
            _data(name),
            f"{each.t:g}",
            _called(grid, each.spot),
            *(_percent(each.shares[rung]) if rung in each.shares else "-" for rung in _SHOWN),
            *(_points(each.over[rung]) if rung in each.over else "-" for rung in LOWER_RUNGS),
        ]
        for name, grid in grids.items()
        for each in rungs_of(grid)
    ]
    head = [
        "data", "T", "best teacher", "its confidence, %", "class similarity, %", "response, %",
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
            rows.append([_data(name), at, f"from {since} ({teachers})", *cells, same])
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
        _data(name),
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
    main = _main(grids)
    parts = {
        "data sets": [name for name in DATA_SETS if name not in grids],
        "second looks": [name for name in SECOND_LOOKS if name not in grids],
        "classes": [
            name
            for name, grid in main.items()
            if len(grid.result["classes"]) < len(DATA_SETS[name].classes)
        ],
        f"temperatures {', '.join(f'{t:g}' for t in FURTHER)}": [
            name for name, grid in grids.items() if not {*FURTHER} <= {*grid.temperatures}
        ],
        "lower rungs": [name for name, grid in grids.items() if not rungs_of(grid)],
        f"all {wanted} seeds of students": [
            name
            for name, grid in main.items()
            if any(known["seeds"] < wanted for known in grid.result["omitted"].values())
        ],
    }
    said = [f"- {what}: {listed(list(map(_data, each)))}." for what, each in parts.items() if each]
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


PAGE = ResultsPage(
    DOCS / "study-omitted.md",
    FILE,
    {
        "answers": lambda grids: answers(_main(grids)),
        "sweet_spots": sweet_spots,
        "temperatures": temperatures,
        "rungs": rungs,
        "ranks": rank_table,
        "runs": runs,
        "missing": missing,
    },
    FIGURES / "all_omitted.svg",
    lambda grids, path: draw(_main(grids), path),
    read=grids_of,
)

if __name__ == "__main__":
    PAGE.write()
