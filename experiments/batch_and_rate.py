"""Is there a best batch size of the teacher once the learning rate is tuned for each?

    python experiments/batch_and_rate.py DATA [DATA ...] --out rates
    python experiments/batch_and_rate.py --collect rates    # keeps small rows of what is done
    python experiments/batch_and_rate_page.py               # makes docs/study-batch-and-rate.md

Teachers of every batch size at every learning rate (Adam, constant), of which four epochs teach,
each at three temperatures; students learn from a tenth of the training examples and from the
response alone (alpha = 1). A *repetition* has teachers of a seed of its own, a split of its own and
students of its own seeds; three of them are a *group*.

1. *Grid.* One student of each batch size, learning rate, epoch and temperature, with the learning
   rate that is tuned on hard labels and three times the default number of epochs.
2. *Choices* are made on the selection split, in four ways: everything tuned; one learning rate
   (0.001, the default); T = 1; T = 1 and one learning rate. For each repetition and way each batch
   size gets the learning rate, epoch and temperature that are best in the mean over the *other two*
   repetitions of the group, and the best and the worst batch size are those of the other two.
   So no choice has seen the teachers, the students or the split that judge it.
3. *Judged* are these choices in the repetition itself: number of epochs and learning rate of the
   students are tuned for each as the package does, then students with three fresh seeds are
   measured on the test split. Beside them: hard labels; the best of everything with the epoch held
   at the last; and the converged teacher, of the highest accuracy of all that were taught to the
   end, at the temperature that is best for it - both chosen on the other two repetitions, too.

Rules, fixed before any result was seen. Intervals are 95 %, crossed over repetitions (each the
mean of its students) and test examples; those of one way's batch sizes are joint.

1. The *loss* of a batch size is what choosing it always costs against the batch size that the other
   two repetitions call best. It is *worse* if the interval lies above 0, *as good* if the interval
   lies below 0.2 points (the package's margin of practical equivalence), else *undecided*.
2. A way has a *best batch size* if all but one are worse; *no best batch size* if all are as good;
   *some are worse* if one at least is worse; else it is *undecided*. It is a *sweet spot* only if
   the best one is neither the smallest nor the largest that was tried.
3. The *spread* of a way is the accuracy with the best batch size minus that with the worst one. The
   learning rate *explains* the effect of the batch size if the spread is above 0 with one learning
   rate, its interval lies below 0.2 points with everything tuned, and the difference of the two
   spreads is above 0.
4. Of claim C4: with every axis tuned, does the best teacher still lead the converged one, and does
   the epoch still matter (the lead over the best last epoch)? *Yes* if the interval lies above 0
   and the mean is at least 0.2 points; *no* if it lies below 0.2 points; else undecided.
5. *How many teacher seeds would decide?* The fewest repetitions with which a true spread of 0.2
   points would be told from 0, with a power of 80 %, by the spread of the repetitions seen.

Cheap data sets come first, one group after another. Run again, it goes on where it stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from command_line import parser_of
from goodteacher import tuned_cpu
from goodteacher.config import Recipe, StudyConfig, parse, read_toml
from goodteacher.engines import engine_of
from goodteacher.records import CROSS_ENTROPY, Arm, Checkpoint, TrajectoryRecord
from goodteacher.students import LONGER, StudentTask, all_rows, correct_by_arm, tune
from goodteacher.studies import name_of_data, prepare_context
from goodteacher.studies.progress import Silent
from goodteacher.sweet_spot.search import CONFIRM_SEED, Search
from goodteacher.training import borrowed
from run import pair_of, settings_of, where

GROUP = 3
REPETITIONS = 4 * GROUP
RATES = (2.5e-4, 1e-3, 4e-3, 1.6e-2)
ONE_RATE = 1e-3
TEMPERATURES = (1.0, 4.0, 16.0)
SEEDS = 3
STACK_WIDTH = 16
"""Students of a stack: named, since trials of widths on a busy machine find anything."""
TUNE_SEED = 7_000_000
"""Seeds with which judged students are tuned count from here: the package's own are other ones."""


@dataclass(frozen=True)
class Axes:
    """The pair of a data set in `experiments/cpu`, and what varies of its teachers."""

    pair: str
    sizes: tuple[int, ...]
    epochs: tuple[int, ...]


PAIRS: Mapping[str, Axes] = {
    "banking77": Axes("small--wide--tenth", (32, 128, 512), (1, 4, 12, 40)),
    "fashion_mnist": Axes("small--wide--tenth", (32, 256, 2048), (1, 3, 10, 32)),
    "cifar100": Axes("small--narrow--tenth", (64, 256, 1024), (1, 4, 8, 16)),
}


class Cell(NamedTuple):
    """A teacher by its batch size, learning rate and epoch; and the temperature of its students."""

    size: int
    rate: float
    epoch: int
    temperature: float


Grid = Mapping[Cell, float]
"""Selection accuracy of each cell's student."""

Way = str
WAYS: Mapping[Way, Callable[[Cell], bool]] = {
    "tuned": lambda cell: True,
    "one_rate": lambda cell: cell.rate == ONE_RATE,
    "cold": lambda cell: cell.temperature == 1,
    "cold_one_rate": lambda cell: cell.temperature == 1 and cell.rate == ONE_RATE,
}
TUNED, ONE, COLD, COLD_ONE = WAYS


@dataclass(frozen=True)
class Point:
    """A repetition of a data set."""

    data: str
    repetition: int

    def folder(self, out: Path) -> Path:
        """Return the folder of its study."""
        return out / self.data / str(self.repetition)

    @property
    def others(self) -> tuple[Point, ...]:
        """The other repetitions of its group."""
        first = self.repetition // GROUP * GROUP
        group = range(first, first + GROUP)
        return tuple(Point(self.data, each) for each in group if each != self.repetition)


GRID, JUDGED, RIGHT = "grid.json", "judged.json", "judged.npz"


def main() -> None:
    parser = parser_of(
        __doc__.partition("\n")[0],
        data=PAIRS,
        out="rates",
        repetitions=REPETITIONS,
        pieces="groups of repetitions",
    )
    options = parser.parse_args()
    if options.collect:
        from batch_and_rate_results import FILE, collected
        from summaries import json_text

        FILE.write_text(json_text(collected(options.collect)))
    for points in groups_of(options.data, options.repetitions, options.first):
        for piece in (fill_grid, judge):
            for point in points:
                print(time.strftime("%H:%M"), point.data, point.repetition, piece.__name__)
                piece(point, options.out, where(point.data), threads=options.threads)


def groups_of(
    data: Sequence[str], repetitions: int = REPETITIONS, first: int | None = None
) -> Iterator[list[Point]]:
    """Yield groups of repetitions in the order in which they are run.

    Args:
        data: Keys of `PAIRS`.
        repetitions: Their number; a group that would not be whole is left out.
        first: Only as many groups of each data set.
    """
    for group in range(repetitions // GROUP)[:first]:
        for name in data:
            yield [Point(name, group * GROUP + each) for each in range(GROUP)]


# --- one repetition ------------------------------------------------------------------------------


def config_of(point: Point, data: Any, settings: Mapping[str, Any]) -> StudyConfig:
    """Return the settings of a repetition's study.

    Args:
        point: Which.
        data: The data set, or where it is.
        settings: Beside those of the experiment.
    """
    axes = PAIRS[point.data]
    study = read_toml(Path(__file__).parent / f"cpu/{point.data}.toml")
    pair = settings_of(study, pair_of(point.data, axes.pair))
    own = {
        "batch_sizes": axes.sizes,
        "learning_rates": RATES,
        "epochs": axes.epochs[-1],
        "record_epochs": axes.epochs,
        "temperatures": TEMPERATURES,
        "alphas": (1.0,),
        "seeds": SEEDS,
        "patience": 0,
        "stack_width": STACK_WIDTH,
        "split_seed": point.repetition,
        "teacher_seeds": (point.repetition,),
    }
    kept = {name: pair[name] for name in ("teacher", "student", "transfer_fraction")}
    return parse(StudyConfig, data=name_of_data(data), **{**kept, **own, **settings})


def fill_grid(point: Point, out: Path, data: Any, **settings: Any) -> None:
    """Train the teachers of a repetition and a student of each cell, as far as that is not done.

    Args:
        point: Which.
        out: Folder of all studies.
        data: The data set, or where it is.
        **settings: Of the study, beside those of the experiment.
    """

    def fill(search: Search) -> None:
        records = search.train_teachers()
        cells = cells_of(search.config, records)
        plan = search.plan.training
        tasks = search.students.tasks(
            cells,
            plan.model_copy(update={"epochs": LONGER * plan.epochs}),
            stage="search",
            seeds=[point.repetition],
            keep_state=False,
        )
        rows = all_rows(search.context.store, search.students.train("grid", tasks))
        found = {row.arm: row.selection_accuracy for row in rows}
        students = [[*cell, found[arm.key]] for arm, cell in cells.items()]
        teachers = [[*cell_of(record, 1.0)[:3], record.selection_accuracy] for record in records]
        _write(point.folder(out) / GRID, {"students": students, "teachers": teachers})

    if not (point.folder(out) / GRID).exists():
        _with_search(point, out, data, settings, fill)


def _with_search(
    point: Point, out: Path, data: Any, settings: Mapping[str, Any], work: Callable[[Search], None]
) -> None:
    """Do some work in a repetition's study, with its folder locked."""
    config = config_of(point, data, settings)
    with borrowed(config):
        context = prepare_context(config, point.folder(out), data=data, progress=Silent())
        config = context.store.config(StudyConfig)
        with context.store.lock(Silent()):
            work(Search(config, context, engine_of(config, context)))


def _write(path: Path, content: Any) -> None:
    """Write a file whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content) + "\n")
    part.replace(path)


def cell_of(record: TrajectoryRecord, temperature: float) -> Cell:
    """Return the cell of a recorded teacher at a temperature."""
    size, rate = (record.attributes[name] for name in ("batch_size", "learning_rate"))
    return Cell(int(size), float(rate), record.epoch, temperature)


def cells_of(config: StudyConfig, records: Iterable[TrajectoryRecord]) -> dict[Arm, Cell]:
    """Return what students learn from, and its cell.

    Args:
        config: The study's settings.
        records: Its teachers.
    """
    return {
        Arm(source=record.source, recipe=recipe): cell_of(record, recipe.temperature)
        for record in records
        for recipe in config.recipes
    }


def arm_of(config: StudyConfig, cell: Cell) -> Arm:
    """Return what students of a cell learn from.

    Args:
        config: The study's settings.
        cell: One of its cells.
    """
    (run,) = (
        run.name
        for run in config.runs
        if (run.batch_size, run.learning_rate) == (cell.size, cell.rate)
    )
    recipe = Recipe(temperature=cell.temperature, alpha=1.0)
    return Arm(source=Checkpoint(run=run, epoch=cell.epoch), recipe=recipe)


# --- choices -------------------------------------------------------------------------------------


class Choices(NamedTuple):
    """What the other repetitions of a group choose for one.

    Attributes:
        cells: For each way and batch size, the cell.
        best: For each way, the best batch size.
        worst: For each way, the worst one.
        last: The best cell of a last epoch.
        converged: The most accurate teacher of a last epoch, at its students' best temperature.
    """

    cells: dict[Way, dict[int, Cell]]
    best: dict[Way, int]
    worst: dict[Way, int]
    last: Cell
    converged: Cell

    @property
    def every(self) -> list[Cell]:
        """Every cell that is judged, once."""
        sized = [cell for of in self.cells.values() for cell in of.values()]
        return list(dict.fromkeys([*sized, self.last, self.converged]))


def choose(students: Sequence[Grid], teachers: Sequence[Grid]) -> Choices:
    """Choose cells by means over repetitions; a cell that one of them lacks cannot be chosen.

    Args:
        students: Selection accuracy of students, a grid for each repetition.
        teachers: The same of teachers, each at temperature 1.
    """
    found, taught = _means(students), _means(teachers)
    sizes = sorted({cell.size for cell in found})
    cells = {
        way: {
            size: _best(found, lambda c, s=size, a=allowed: c.size == s and a(c)) for size in sizes
        }
        for way, allowed in WAYS.items()
    }
    ranked = {way: sorted(sizes, key=lambda s, of=of: found[of[s]]) for way, of in cells.items()}
    end = max(cell.epoch for cell in found)
    top = _best(taught, lambda cell: cell.epoch == end)
    return Choices(
        cells=cells,
        best={way: order[-1] for way, order in ranked.items()},
        worst={way: order[0] for way, order in ranked.items()},
        last=_best(found, lambda cell: cell.epoch == end),
        converged=_best(found, lambda cell: cell[:3] == top[:3]),
    )


def _means(grids: Sequence[Grid]) -> dict[Cell, float]:
    common = [cell for cell in grids[0] if all(cell in grid for grid in grids)]
    return {cell: fmean(grid[cell] for grid in grids) for cell in common}


def _best(values: Grid, allowed: Callable[[Cell], bool]) -> Cell:
    """Return the best of the cells that are allowed; of equals the first."""
    return max(filter(allowed, values), key=values.__getitem__)


def read_grid(point: Point, out: Path) -> tuple[dict[Cell, float], dict[Cell, float]]:
    """Return the selection accuracies of a repetition's students and teachers."""
    kept = json.loads((point.folder(out) / GRID).read_text())
    students = {Cell(*row[:4]): row[4] for row in kept["students"]}
    teachers = {Cell(*row[:3], 1.0): row[3] for row in kept["teachers"]}
    return students, teachers


# --- judging them --------------------------------------------------------------------------------

LABELS = "labels"


def judge(point: Point, out: Path, data: Any, **settings: Any) -> None:
    """Train and measure the students of what the other repetitions chose, unless that is done.

    Args:
        point: Whose teachers; the grids of its group are there.
        out: Folder of all studies.
        data: The data set, or where it is.
        **settings: Of the study, beside those of the experiment.
    """

    def measure(search: Search) -> None:
        choices = choose(*zip(*(read_grid(other, out) for other in point.others), strict=True))
        arms = {name_of(cell): [arm_of(search.config, cell)] for cell in choices.every}
        found = tune(
            search.students,
            {LABELS: [CROSS_ENTROPY], **arms},
            first_seed=TUNE_SEED + 10 * point.repetition,
        )
        tasks = _confirmed(search, found.winners.values(), point.repetition)
        correct = correct_by_arm(search.context, tasks)
        right = {name: correct[arm] for name, arm in found.winners.items()}
        np.savez_compressed(point.folder(out) / RIGHT, **right)
        trained = {n: arm.training.model_dump() for n, arm in found.winners.items() if arm.training}
        kept = {**choices._asdict(), "trained": trained, "improving": found.improving}
        _write(point.folder(out) / JUDGED, kept)

    if not (point.folder(out) / JUDGED).exists():
        _with_search(point, out, data, settings, measure)


def _confirmed(search: Search, arms: Iterable[Arm], repetition: int) -> tuple[StudentTask, ...]:
    first = CONFIRM_SEED + 100 * repetition
    tasks = search.students.tasks(
        arms, search.plan.training, stage="confirm", seeds=range(first, first + SEEDS)
    )
    return search.students.train("judged", tasks)


def name_of(cell: Cell) -> str:
    """Return how a cell is called in the file of who is right.

    Example:
        >>> name_of(Cell(32, 0.001, 4, 16.0))
        'batch 32 lr 0.001 epoch 4 T 16'
    """
    return f"batch {cell.size} lr {cell.rate:g} epoch {cell.epoch} T {cell.temperature:g}"


@dataclass(frozen=True)
class Judged:
    """What was measured of a repetition.

    Attributes:
        choices: What was judged.
        right: For each cell, and hard labels, the share of students that are right about each test
            example, [N].
    """

    choices: Choices
    right: Mapping[Cell | str, npt.NDArray[np.float64]]


def read_judged(point: Point, out: Path) -> Judged | None:
    """Read a repetition; None before it is judged."""
    folder = point.folder(out)
    if not (folder / JUDGED).exists():
        return None
    kept = json.loads((folder / JUDGED).read_text())
    choices = Choices(
        cells={
            way: {int(size): Cell(*cell) for size, cell in of.items()}
            for way, of in kept["cells"].items()
        },
        best=kept["best"],
        worst=kept["worst"],
        last=Cell(*kept["last"]),
        converged=Cell(*kept["converged"]),
    )
    with np.load(folder / RIGHT) as right:
        shares = {cell: right[name_of(cell)].mean(0) for cell in choices.every}
        return Judged(choices, {**shares, LABELS: right[LABELS].mean(0)})


if __name__ == "__main__":
    with tuned_cpu():
        main()
