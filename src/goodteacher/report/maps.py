"""Maps: runs x epochs, of students and of their teachers, on the same axes."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from goodteacher.config import Recipe, StudyConfig, in_words
from goodteacher.records import Checkpoint, Estimate, OmittedCell, OmittedClass
from goodteacher.report.chart import Cell, Matrix
from goodteacher.report.findings import Findings
from goodteacher.report.parts import Panel, Table, View
from goodteacher.report.quantities import QUANTITIES, Quantity
from goodteacher.report.rungs import ArmScore, RungScores
from goodteacher.report.runs import RunAxis, place_of

TEACHER_QUANTITIES = (
    "similarity",
    "similarity_best_temperature",
    "similarity_selection",
    "effective_classes",
    "best_nll",
    "accuracy",
)
CHOSEN = "★"
_MOST_RECIPES = 12
"""That have a map of their own."""


@dataclass(frozen=True)
class Grid:
    """A map.

    Attributes:
        unit: Title of the colour bar.
        epoch_title: Title of the epoch axis.
        axis: Rows: the runs, grouped.
        epochs: Columns, ascending.
        cells: One row for each run.
        chosen: The sweet spot's teacher, outlined.
    """

    unit: str
    epoch_title: str
    axis: RunAxis
    epochs: tuple[int, ...]
    cells: tuple[tuple[Cell, ...], ...]
    chosen: Checkpoint | None


def student_grid(findings: Findings, rung: RungScores, recipe: Recipe | None = None) -> Grid:
    """Return the map of student accuracy after the first round.

    Args:
        findings: The study.
        rung: Its first round: every checkpoint's students at equal epochs.
        recipe: Show this recipe's students; by default each checkpoint's best recipe.
    """
    scores = rung.best_by_checkpoint(recipe)
    trained = findings.trained

    def cell(checkpoint: Checkpoint) -> Cell:
        if checkpoint not in scores:
            return _untried(findings, checkpoint)
        return _student_cell(findings, checkpoint, scores[checkpoint], trained[checkpoint])

    return _grid(findings, "%", cell)


def teacher_grid(findings: Findings, quantity: Quantity) -> Grid:
    """Return the map of something measured of the teachers."""

    def cell(checkpoint: Checkpoint) -> Cell:
        record = findings.record_of(checkpoint)
        value = None if record is None else quantity.of(record)
        if value is None:
            return _absent(findings, checkpoint)
        star = CHOSEN if checkpoint == findings.chosen else ""
        shown = quantity.shown(value)
        return Cell(value, _lines(shown, star), f"{checkpoint}\n{quantity.title}: {shown}")

    return _grid(findings, quantity.unit, cell)


def draw_grid(grid: Grid) -> Matrix:
    """Draw a map with the number in each cell and the sweet spot outlined."""
    outlined = None
    if grid.chosen is not None:
        row = place_of(grid.axis.runs, grid.chosen.run)
        outlined = (row, grid.epochs.index(grid.chosen.epoch))
    return Matrix(
        across=grid.epoch_title,
        down=f"teacher {grid.axis.title}",
        columns=tuple(map(str, grid.epochs)),
        rows=tuple(grid.axis.label(run) for run in grid.axis.runs),
        cells=grid.cells,
        unit=grid.unit,
        outlined=outlined,
        breaks=grid.axis.breaks,
    )


def student_panel(findings: Findings, rung: RungScores) -> Panel:
    """Return the map of students: best recipe first, then each recipe alone.

    Of more than twelve recipes those have a map of their own whose best students were best.
    """
    recipes: tuple[Recipe | None, ...] = (None, *_best_recipes(findings, rung))
    views = tuple(_student_view(findings, rung, recipe) for recipe in recipes)
    return Panel("map-students", "Student accuracy, first round", views)


def teacher_panel(findings: Findings) -> Panel:
    """Return the map of teachers: similarity information first, other quantities to select."""
    views = tuple(_teacher_view(findings, QUANTITIES[name]) for name in TEACHER_QUANTITIES)
    return Panel("map-teachers", "What the teacher's response contains", views)


def omitted_panel(findings: Findings, found: OmittedClass, level: float) -> Panel | None:
    """Return the map of what students know of a class they never saw; None if not measured.

    Args:
        findings: The study.
        found: What was measured of the class.
        level: Of the intervals.
    """
    if found.map is None:
        return None
    kinds: Mapping[str, Callable[[OmittedCell], Estimate]] = {
        "as trained": lambda cell: cell.class_accuracy,
        "after the bias correction": lambda cell: cell.corrected_class_accuracy,
    }
    views = tuple(
        _omitted_view(findings, found, (temperature, kind), of, level)
        for kind, of in kinds.items()
        for temperature in found.map.temperatures
    )
    return Panel("map-omitted", f"Students that never saw class {found.class_name}", views)


def omitted_grid(
    findings: Findings,
    found: OmittedClass,
    temperature: float,
    of: Callable[[OmittedCell], Estimate],
) -> Grid:
    """Return the map of accuracy on an omitted class at one temperature.

    Args:
        findings: The study.
        found: The class; it has a map.
        temperature: One of the map's.
        of: Which accuracy.
    """
    cells = () if found.map is None else found.map.cells
    by_teacher = {(c.run, c.epoch): of(c) for c in cells if c.temperature == temperature}

    def cell(checkpoint: Checkpoint) -> Cell:
        known = by_teacher.get((checkpoint.run, checkpoint.epoch))
        if known is None:
            return _absent(findings, checkpoint)
        star = CHOSEN if checkpoint == findings.chosen else ""
        low, high = (100 * end for end in known.interval)
        note = (
            f"{checkpoint}, T = {temperature:g}\n{100 * known.mean:.1f} % [{low:.1f}, {high:.1f}]"
        )
        return Cell(100 * known.mean, _lines(f"{100 * known.mean:.1f}", star), note)

    return _grid(findings, "%", cell)


def grid_table(grid: Grid) -> Table:
    """Return a map's numbers."""
    head = (*grid.axis.columns, *(f"epoch {epoch}" for epoch in grid.epochs))
    rows = tuple(
        (*grid.axis.cells(run), *(cell.text.replace("\n", " ") for cell in row))
        for run, row in zip(grid.axis.runs, grid.cells, strict=True)
    )
    return Table("", head, rows)


def epoch_title(config: StudyConfig) -> str:
    """Return the title of an epoch axis; under a budget of steps, epochs are only nominal."""
    if config.budget == "epochs":
        return "teacher epoch"
    return f"teacher epoch (in steps of batch size {config.reference_batch_size})"


def _grid(findings: Findings, unit: str, cell: Callable[[Checkpoint], Cell]) -> Grid:
    axis, epochs = findings.axis, findings.epochs
    cells = tuple(
        tuple(cell(Checkpoint(run=run.name, epoch=epoch)) for epoch in epochs) for run in axis.runs
    )
    return Grid(unit, epoch_title(findings.config), axis, epochs, cells, findings.chosen)


def _student_cell(
    findings: Findings,
    checkpoint: Checkpoint,
    score: ArmScore,
    trained: int,
) -> Cell:
    value = 100 * score.mean
    listed = checkpoint in findings.shortlisted
    marks = CHOSEN if checkpoint == findings.chosen else ""
    spread = "" if score.deviation is None else f" ± {100 * score.deviation:.2f} (SD)"
    status = "" if listed else "\nnot shortlisted: a reference teacher"
    note = (
        f"{checkpoint}\n{value:.2f} %{spread}, n = {score.n}\n{score.recipe}\nlongest training of "
        f"its students: {_count(trained, 'epoch')}{status}"
    )
    return Cell(value, _lines(f"{value:.2f}", marks), note)


def _untried(findings: Findings, checkpoint: Checkpoint) -> Cell:
    cell = _absent(findings, checkpoint)
    if cell.text:
        return cell
    return dataclasses.replace(cell, text="not tried", note=f"{checkpoint}\nno students trained")


def _absent(findings: Findings, checkpoint: Checkpoint) -> Cell:
    """Return the cell of a teacher without a number: diverged, or not there (yet)."""
    earlier = [r for r in findings.records if r.run == checkpoint.run]
    if any(r.status == "diverged" and r.epoch <= checkpoint.epoch for r in earlier):
        return Cell(None, "diverged", f"{checkpoint}\nthe teacher diverged")
    if any(r.stopped and r.epoch < checkpoint.epoch for r in earlier):
        return Cell(None, "stopped", f"{checkpoint}\ntraining had stopped")
    planned = {each.name for each in findings.config.runs}
    of_ours = checkpoint.run in planned and checkpoint.epoch in findings.config.recorded_epochs
    if findings.record_of(checkpoint) is None and of_ours:
        return Cell(None, "not yet", f"{checkpoint}\nnot recorded yet")
    return Cell(None, "", str(checkpoint))


def _lines(number: str, marks: str) -> str:
    return f"{number}\n{marks}" if marks else number


def _best_recipes(findings: Findings, rung: RungScores) -> tuple[Recipe, ...]:
    """Return the recipes that have a map of their own, in the order of the settings."""
    known = findings.config.recipes
    if len(known) <= _MOST_RECIPES:
        return known
    best: dict[Recipe, float] = {}
    for score in rung.scores:
        if score.checkpoint is not None:
            best[score.recipe] = max(score.mean, best.get(score.recipe, 0.0))
    kept = sorted(best, key=lambda recipe: best[recipe], reverse=True)[:_MOST_RECIPES]
    return tuple(recipe for recipe in known if recipe in kept)


def _student_view(findings: Findings, rung: RungScores, recipe: Recipe | None) -> View:
    grid = student_grid(findings, rung, recipe)
    label = "each checkpoint's best recipe" if recipe is None else str(recipe)
    caption = f"{_student_caption(findings, rung, label)}{_spread(rung, recipe)}"
    return View(label, draw_grid(grid), caption, grid_table(grid))


def _omitted_view(
    findings: Findings,
    found: OmittedClass,
    what: tuple[float, str],
    of: Callable[[OmittedCell], Estimate],
    level: float,
) -> View:
    (temperature, kind), seeds = what, found.map.num_seeds if found.map else 0
    grid = omitted_grid(findings, found, temperature, of)
    figure = dataclasses.replace(draw_grid(grid), limits=(0.0, 100.0))
    caption = (
        f"Students of every recorded teacher, distilled at T = {temperature:g} from "
        f"{found.num_transfer:,} examples without class {found.class_name}: share in % of the "
        f"{found.num_class_examples:,} test examples of this class that they recognise, {kind}; "
        f"mean of {_count(seeds, 'seed')}. Each map has the same colours, from 0 to 100 %. The "
        f"table of numbers has {100 * (1 - level):g} % intervals over seeds and test examples."
    )
    return View(
        f"{kind}, T = {temperature:g}",
        figure,
        caption,
        _omitted_table(findings, found, of, temperature),
    )


def _spread(rung: RungScores, recipe: Recipe | None) -> str:
    scores = rung.best_by_checkpoint(recipe).values()
    known = [score.deviation for score in scores if score.deviation is not None]
    if not known:
        return " One seed, so no spread."
    return (
        f" Standard deviation over seeds: {100 * statistics.median(known):.2f} points (median "
        "over cells). Cells share their seeds, so differences between cells are more certain than "
        "this."
    )


def _student_caption(findings: Findings, rung: RungScores, label: str) -> str:
    optimism = (
        (" The best of several recipes looks slightly better than it is.")
        if "best" in label
        else ""
    )
    chosen = ""
    if findings.chosen:
        chosen = (
            " Star and outline: the sweet spot, chosen after longer training of the best cells."
        )
    return (
        f"Accuracy in % on the selection split (n = {findings.data.selection:,} examples) of "
        f"students with {label}, mean of {_count(rung.num_seeds, 'seed')} after "
        f"{_count(rung.student_epochs, 'student epoch')}: the first round, the only one in which "
        f"all students were trained in the same way. Yellow is best.{chosen}{optimism}"
    )


def _teacher_view(findings: Findings, quantity: Quantity) -> View:
    grid = teacher_grid(findings, quantity)
    caption = (
        f"{quantity.meaning} {quantity.setting(findings.data)} One teacher run for each "
        f"{findings.axis.title} (n = 1, so no spread)."
    )
    if findings.chosen:
        caption += " Star and outline: the sweet spot."
    return View(quantity.label, draw_grid(grid), caption, grid_table(grid))


def _omitted_table(
    findings: Findings,
    found: OmittedClass,
    of: Callable[[OmittedCell], Estimate],
    temperature: float,
) -> Table:
    """Return the numbers of a map of an omitted class, a teacher a row."""
    cells = () if found.map is None else found.map.cells
    rows = tuple(
        (
            in_words(c.run),
            str(c.epoch),
            *(f"{100 * value:.1f}" for value in (of(c).mean, *of(c).interval)),
        )
        for c in cells
        if c.temperature == temperature
    )
    return Table("", (findings.axis.title, "epoch", "recognised, %", "low", "high"), rows)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
