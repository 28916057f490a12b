"""What the teachers say: which classes they call alike, and one example epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from goodteacher.report.chart import Cell, Matrix
from goodteacher.report.classes import matrix_table
from goodteacher.report.parts import Panel, Section, Table, View
from goodteacher.report.recorded import Alike, Fading, Said

_MOST_COLUMNS = 10


def said_sections(said: Said | None, names: Sequence[str]) -> tuple[Section, ...]:
    """Return the part of the page on what the teachers say; none where nothing could be read."""
    if said is None:
        return ()
    lead = (
        "A teacher's response does not only name a class: it says which other classes an example "
        "resembles. This is what a student can learn beyond the label, and long training makes "
        f"it fade. Transfer set, n = {said.num_examples:,} examples; an example's class is the one "
        "that the last teacher of the run finds most probable."
    )
    panels = (*alike_panels(said, names), *fading_panels(said, names))
    return (Section("said", "What the teachers say", (lead,), panels),)


def alike_panels(said: Said, names: Sequence[str]) -> tuple[Panel, ...]:
    """Return the similarity matrix of each teacher, side by side on one scale."""
    shown = [names[place] for place in said.order]
    highest = max(
        (
            100 * v
            for each in said.alike
            for i, row in enumerate(each.rows)
            for j, v in enumerate(row)
            if i != j
        ),
        default=1.0,
    )
    panels = []
    for number, each in enumerate(said.alike):
        rows = _ordered(each, said.order)
        caption = (
            f"The teacher of {each.teacher}: mean probability in % of each other class, at the "
            f"recipe's T = {said.temperature:g}. All other classes together get "
            f"{100 * each.off_class:.1f} %. Classes that are alike stand together; all matrices "
            "have the same order and colours."
        )
        figure = draw_alike(rows, shown, highest)
        view = View("", figure, caption, matrix_table(rows, shown))
        panels.append(Panel(f"alike-{number}", f"Which classes are alike {each.role}", (view,)))
    return tuple(panels)


def draw_alike(rows: Sequence[Sequence[float]], names: Sequence[str], highest: float) -> Matrix:
    """Draw a similarity matrix without its diagonal, on a scale that others share.

    Args:
        rows: Probabilities ``[C, C]``.
        names: Of the classes.
        highest: End of the scale, in %.
    """
    cells = tuple(
        tuple(
            Cell(None, "", "")
            if i == j
            else Cell(
                100 * v, f"{100 * v:.1f}", f"{names[i]} resembles {names[j]}: {100 * v:.2f} %"
            )
            for j, v in enumerate(row)
        )
        for i, row in enumerate(rows)
    )
    return Matrix(
        across="what else it resembles",
        down="class",
        columns=tuple(names),
        rows=tuple(names),
        cells=cells,
        unit="%",
        limits=(0.0, highest or 1.0),
        row_height=max(14, min(30, 600 // len(names))),
    )


def fading_panels(said: Said, names: Sequence[str]) -> tuple[Panel, ...]:
    """Return a figure for each example: one example, many classes, fading to one."""
    return tuple(_fading_panel(each, said.run, names) for each in said.fading)


def draw_fading(fading: Fading, names: Sequence[str]) -> Matrix:
    """Draw an example's probabilities, an epoch a row."""
    classes = shown_classes(fading)
    cells = tuple(
        tuple(
            Cell(
                100 * row[place],
                f"{100 * row[place]:.0f}",
                f"epoch {epoch}, {names[place]}: {100 * row[place]:.2f} %",
            )
            for place in classes
        )
        for epoch, row in zip(fading.epochs, fading.rows, strict=True)
    )
    return Matrix(
        across="class",
        down="teacher epoch",
        columns=tuple(names[place] for place in classes),
        rows=tuple(f"{epoch}" for epoch in fading.epochs),
        cells=cells,
        unit="%",
        limits=(0.0, 100.0),
        row_height=28,
    )


def shown_classes(fading: Fading) -> tuple[int, ...]:
    """Return the classes that an example was ever said to resemble most, in their order."""
    count = len(fading.rows[0])
    peaks = sorted(range(count), key=lambda place: -max(row[place] for row in fading.rows))
    return tuple(sorted(peaks[:_MOST_COLUMNS]))


def _fading_panel(fading: Fading, run: str, names: Sequence[str]) -> Panel:
    name = names[fading.number]
    caption = (
        f"Probability in %, at T = 1, that the teacher of {run} gives each class for transfer "
        f"example {fading.id}, at each recorded epoch: many classes at first, at last one. Of all "
        "examples of its class it loses most; others fade less."
    )
    rows = tuple(
        (str(epoch), *(f"{100 * value:.2f}" for value in row))
        for epoch, row in zip(fading.epochs, fading.rows, strict=True)
    )
    view = View("", draw_fading(fading, names), caption, Table("", ("epoch", *names), rows))
    return Panel(f"fading-{fading.id}", f"One example, epoch by epoch: {name}", (view,))


def _ordered(each: Alike, order: Sequence[int]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(each.rows[i][j] for j in order) for i in order)
