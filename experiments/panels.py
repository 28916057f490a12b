"""What the figures of the study show: data only, a panel for each pair or each teacher.

Values are as a reader sees them: nats, per cent, points. n is the number of student seeds. A spread
is the range over seeds, on the ladder the joint interval; of one seed there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from goodteacher.records.evidence import CurvePoint
from goodteacher.records.results import TrajectoryRecord
from goodteacher.sweet_spot.choice import converged
from goodteacher.verdicts.rule import RUNGS
from measures import LATE
from pairs import NAMES, Pair
from reading import (
    NotMeasuredError,
    Recipes,
    Seeds,
    best_recipe,
    checkpoint_students,
    label_students,
    mean,
    recoverable,
    similarity_at,
    temperatures,
    trajectories,
    tuned_smoothing,
)

MAP_COLORS, STAR_COLOR = "cividis", "#F0C419"
"""Of maps, and of the star that marks the best cell of one."""

Look = Literal["line", "dashed", "path", "points", "hollow", "level"]


@dataclass(frozen=True)
class Series:
    """One line or one set of marks.

    Attributes:
        label: What the legend calls it; the same label has the same colour in every panel.
        x: Positions; of a level, none.
        y: Values; of a level, one.
        low: Lower ends of the spread, if there is one.
        high: Upper ends.
        look: How it is drawn.
        last: Whether the last point is a trajectory's end and marked so.
        run: The batch size of the run that it shows; None where it shows no run. Runs have an
            ordered scale of colours and marks.
        named: Whether the run's name stands at the end of the line.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    look: Look = "line"
    last: bool = False
    run: int | None = None
    named: bool = False


@dataclass(frozen=True)
class Grid:
    """Values over batch size and epoch.

    Attributes:
        rows: Batch sizes.
        columns: Epochs.
        values: ``[rows][columns]``; None where nothing was trained.
        star: Row and column of the sweet spot, if it is on the grid.
    """

    rows: Sequence[int]
    columns: Sequence[int]
    values: Sequence[Sequence[float | None]]
    star: tuple[int, int] | None


@dataclass(frozen=True)
class Panel:
    """One small picture.

    Attributes:
        title: Which pair or teacher, and n.
        series: Lines and marks.
        grid: A map in their place.
    """

    title: str
    series: Sequence[Series] = field(default=())
    grid: Grid | None = None


Panels = Callable[[Sequence[Pair]], list[Panel]]


def teacher_panels(
    *curves: tuple[str, Look, Callable[[Pair], Callable[[TrajectoryRecord], float]]],
) -> Panels:
    """Return what draws quantities of teachers over epochs, a line for each batch size.

    Args:
        *curves: Words after the batch size in the legend, how it is drawn, and the quantity.
    """

    def panels(study: Sequence[Pair]) -> list[Panel]:
        return [
            Panel(
                _teacher_title(pair),
                [
                    Series(
                        f"batch {size}{words}",
                        [record.epoch for record in records],
                        [of(pair)(record) for record in records],
                        look=look,
                        run=size,
                        named=not words,
                    )
                    for words, look, of in curves
                    for size, records in trajectories(pair).items()
                ],
            )
            for pair in _teachers(study)
        ]

    return panels


similarity = teacher_panels(
    ("", "line", lambda pair: similarity_at(1.0)),
    (", at the T that shows most", "dashed", recoverable),
)
"""Similarity information over epochs."""

effective_classes = teacher_panels(
    ("", "line", lambda pair: lambda record: record.at("transfer").effective_classes)
)
"""Effective classes of an example over epochs."""


def of_pairs(panel: Callable[[Pair], Panel | None]) -> Panels:
    """Return what draws a panel for each pair of which there is something to show."""

    def panels(study: Sequence[Pair]) -> list[Panel]:
        return [found for pair in study if (found := _or_none(panel, pair)) is not None]

    return panels


def _or_none(panel: Callable[[Pair], Panel | None], pair: Pair) -> Panel | None:
    try:
        return panel(pair)
    except NotMeasuredError:
        return None


def grid(pair: Pair) -> Panel:
    """Map students' gain over cross-entropy, in points, each teacher at its best T and alpha."""
    students, labels = checkpoint_students(pair), mean(label_students(pair))
    rows, columns = (sorted({key[axis] for key in students}) for axis in (0, 1))
    values = [
        [
            100 * (mean(_best(students[size, epoch])) - labels)
            if (size, epoch) in students
            else None
            for epoch in columns
        ]
        for size in rows
    ]
    teacher = pair.exhaustive.teacher if pair.exhaustive else None
    raw = teacher is not None and teacher.variant == "raw"
    spot = (teacher.batch_size, teacher.epoch) if raw else None
    star = (rows.index(spot[0]), columns.index(spot[1])) if spot and spot in students else None
    return Panel(_title(pair), grid=Grid(rows, columns, values, star))


def teacher_accuracy(pair: Pair) -> Panel:
    """Set students' accuracy against their teacher's, both on the selection split, in per cent."""
    students = checkpoint_students(pair)

    def series(size: int, records: Sequence[TrajectoryRecord]) -> Series:
        known = [record for record in records if (size, record.epoch) in students]
        own = [_best(students[size, record.epoch]) for record in known]
        accuracies = [100 * record.selection_accuracy for record in known]
        found = _with_spread(f"batch {size}", accuracies, own, look="path", last=True)
        return replace(found, run=size, named=True)

    return Panel(_title(pair), [series(*one) for one in trajectories(pair).items()])


def gain(pair: Pair) -> Panel:
    """Set the gain over cross-entropy, in points, against S in nats, from epoch 4 on."""
    students, labels = checkpoint_students(pair), label_students(pair)
    known = [
        record
        for records in trajectories(pair).values()
        for record in records
        if record.epoch >= LATE and (record.batch_size, record.epoch) in students
    ]

    def series(label: str, temperature: float | None, look: Look) -> Series:
        own = [students[record.batch_size, record.epoch] for record in known]
        recipes = [best_recipe(of, temperature) for of in own]
        gains = [
            {seed: value - labels[seed] for seed, value in of[recipe].items() if seed in labels}
            for of, recipe in zip(own, recipes, strict=True)
        ]
        scores = [
            similarity_at(recipe[0])(record) for record, recipe in zip(known, recipes, strict=True)
        ]
        return _with_spread(label, scores, gains, look=look)

    return Panel(
        _title(pair),
        [series("T = 1", 1.0, "points"), series("each teacher's best T", None, "hollow")],
    )


def temperature(pair: Pair) -> Panel:
    """Draw students' accuracy over T for the converged and the sweet-spot teacher, in per cent."""
    students = checkpoint_students(pair)
    last = converged([r for records in trajectories(pair).values() for r in records])
    teachers = {"converged teacher": (last.batch_size, last.epoch)}
    if pair.exhaustive is not None:
        spot = pair.exhaustive.teacher
        teachers["sweet spot"] = (spot.batch_size, spot.epoch)
    lines = [
        _over_temperatures(label, students[key], temperatures(pair))
        for label, key in teachers.items()
        if key in students
    ]
    levels = {"cross-entropy": label_students(pair), "label smoothing": tuned_smoothing(pair)}
    references = [
        Series(label, [], [100 * mean(seeds)], look="level")
        for label, seeds in levels.items()
        if seeds
    ]
    return Panel(_title(pair), [*lines, *references])


def _over_temperatures(label: str, recipes: Recipes, grid_of: Sequence[float]) -> Series:
    known = [t for t in grid_of if any(recipe[0] == t for recipe in recipes)]
    return _with_spread(label, known, [recipes[best_recipe(recipes, t)] for t in known])


LADDER = {RUNGS[2]: "rung 2: confidence alone", RUNGS[4]: "rung 4: the full response"}


def ladder(pair: Pair) -> Panel | None:
    """Draw the gain over cross-entropy of rungs 2 and 4 over T, in points, test split."""
    if pair.evidence is None or pair.evidence.curve is None:
        return None
    curve = pair.evidence.curve
    lines = [_rung(name, label, curve.points) for name, label in LADDER.items()]
    return Panel(f"{_short(pair)}, n = {curve.num_seeds}", lines)


def _rung(name: str, label: str, points: Sequence[CurvePoint]) -> Series:
    found = [(p.temperature, arm.gain) for p in points for arm in p.arms if arm.name == name]
    return Series(
        label,
        [at for at, _ in found],
        [100 * effect.mean for _, effect in found],
        [100 * effect.adjusted_interval[0] for _, effect in found],
        [100 * effect.adjusted_interval[1] for _, effect in found],
    )


def _with_spread(
    label: str,
    x: Sequence[float],
    students: Sequence[Seeds],
    *,
    look: Look = "line",
    last: bool = False,
) -> Series:
    """Return means over seeds as hundredths, with their range where there are several."""
    several = bool(students) and all(len(seeds) > 1 for seeds in students)
    return Series(
        label,
        x,
        [100 * mean(seeds) for seeds in students],
        [100 * min(seeds.values()) for seeds in students] if several else (),
        [100 * max(seeds.values()) for seeds in students] if several else (),
        look,
        last,
    )


def _best(recipes: Recipes) -> Seeds:
    return recipes[best_recipe(recipes)]


_SEEN = {"tenth": "a tenth", "full": "all"}


def _teachers(study: Sequence[Pair]) -> Iterator[Pair]:
    """Yield one pair of each teacher: its students make no difference to it."""
    seen = set()
    for pair in study:
        key = (pair.pair.data, pair.pair.teacher_role, pair.pair.transfer)
        if trajectories(pair) and key not in seen:
            seen.add(key)
            yield pair


def one_of_each(study: Sequence[Pair]) -> list[Pair]:
    """Return one pair of each data set: a tenth, the large teacher, the wide student if there is.

    Tuned students come before untuned ones.
    """

    def place(pair: Pair) -> tuple[bool, ...]:
        info = pair.pair
        wanted = (info.transfer == "tenth", info.teacher_role == "large")
        return (not pair.tuned, *(not each for each in wanted), info.student_role != "wide")

    order = [*NAMES, *(pair.pair.data for pair in study)]
    found: dict[str, Pair] = {}
    for pair in sorted(study, key=place):
        found.setdefault(pair.pair.data, pair)
    return sorted(found.values(), key=lambda pair: order.index(pair.pair.data))


def _teacher_title(pair: Pair) -> str:
    info = pair.pair
    return f"{pair.called}, {info.teacher_role},\n{_SEEN[info.transfer]} of the data"


def _title(pair: Pair) -> str:
    return f"{_short(pair)}, n = {len(label_students(pair))}"


def _short(pair: Pair) -> str:
    info = pair.pair
    untuned = "" if pair.tuned else ", untuned"
    return f"{pair.called} {info.teacher_role}-{info.student_role}\n{info.transfer}{untuned}"
