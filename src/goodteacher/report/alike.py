"""What the teachers say: which classes they call alike."""

from __future__ import annotations

from collections.abc import Sequence

from goodteacher.report.chart import Cell, Matrix
from goodteacher.report.classes import matrix_table
from goodteacher.report.parts import Panel, Section, View
from goodteacher.report.recorded import Alike, Said


def said_sections(said: Said | None, names: Sequence[str]) -> tuple[Section, ...]:
    """Return the part of the page on what the teachers say; none where nothing could be read."""
    if said is None:
        return ()
    lead = (
        "A teacher's response does not only name a class: it also says which other classes an "
        "example resembles. This is what a student can learn beyond the label, and long training "
        f"makes it fade. Measured on the transfer set (n = {said.num_examples:,} examples); the "
        "class of an example is the one that the last teacher of the run finds most probable."
    )
    panels = alike_panels(said, names)
    return (Section("said", "What the teachers say about other classes", (lead,), panels),)


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
            f"{100 * each.off_class:.1f} %. Similar classes stand next to each other; all "
            "matrices have the same order and colours."
        )
        figure = draw_alike(rows, shown, highest)
        view = View("", figure, caption, matrix_table(rows, shown))
        panels.append(Panel(f"alike-{number}", f"Which classes are similar {each.role}", (view,)))
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
        across="class that it resembles",
        down="class",
        columns=tuple(names),
        rows=tuple(names),
        cells=cells,
        unit="%",
        limits=(0.0, highest or 1.0),
        row_height=max(14, min(30, 600 // len(names))),
    )


def _ordered(each: Alike, order: Sequence[int]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(each.rows[i][j] for j in order) for i in order)
