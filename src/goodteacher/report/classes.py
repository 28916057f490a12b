"""Which classes gain, where the confusions move, and which test examples flip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from goodteacher.records import (
    Association,
    ClassGain,
    Confusion,
    Evidence,
    Flip,
    Flips,
    Shown,
    percent,
    points,
)
from goodteacher.report.chart import Cell, Matrix
from goodteacher.report.headline import Difference, confidence, draw_differences, in_points
from goodteacher.report.parts import Exhibit, Gallery, Panel, Table, View

MOST_BARS = 30
"""Classes in the figure; the table has all."""

Rows = tuple[tuple[float, ...], ...]


def differences_by_class(gains: Sequence[ClassGain]) -> tuple[Difference, ...]:
    """Return what similarity does for each measured class in points, the largest gain first.

    Of many classes, the ones that gain most and the ones that lose most.
    """
    known = sorted(
        (
            Difference(
                name=found.name,
                arm="",
                mean=100 * found.gain.mean,
                interval=in_points(found.gain.interval),
                joint_interval=in_points(found.gain.adjusted_interval),
            )
            for found in gains
            if found.gain is not None
        ),
        key=lambda difference: -difference.mean,
    )
    if len(known) > MOST_BARS:
        known = [*known[: MOST_BARS // 2], *known[-MOST_BARS // 2 :]]
    return tuple(known)


def class_panel(evidence: Evidence) -> Panel:
    """Return the gains by class with their caption and numbers."""
    differences = differences_by_class(evidence.classes)
    measured = sum(found.gain is not None for found in evidence.classes)
    some = f" The figure shows {len(differences)} of them." if len(differences) < measured else ""
    caption = (
        "Test accuracy on each class: full response minus rung 2 (confidence smoothing), which is "
        f"what similarity adds. Thick: {confidence(evidence.level)} interval over "
        f"{evidence.num_seeds} seeds and the class's test examples; thin, with caps: joint "
        f"interval over {measured} classes.{some}"
    )
    head = ("class", "test examples", "confidence smoothing, %", "full response, %", "gain, points")
    table = Table("", (*head, "low", "high", "joint low", "joint high"), _class_rows(evidence))
    title = "full response minus confidence smoothing, points"
    view = View("", draw_differences(differences, title=title), caption, table)
    return Panel("class-gains", "Which classes gain", (view,))


def confusion_panels(evidence: Evidence) -> tuple[Panel, ...]:
    """Return the change of the confusion matrix beside the similarity matrix."""
    found, names = evidence.confusion, evidence.class_names
    if not found.change:
        return ()
    moved = (
        "Change of the confusion matrix, full response minus rung 2, in points of the true "
        f"class's test examples; mean of {evidence.num_seeds} seeds. Red: confused more often. The "
        "diagonal is left out. " + associations(found)
    )
    alike = (
        "Similarity matrix of the response on the transfer set at the recipe's temperature, T = "
        f"{evidence.recipe.temperature:g}: how the probability of the wrong classes is divided "
        "among them, in %."
    )
    change = View(
        "",
        draw_matrix(found.change, names, diverging=True),
        moved,
        matrix_table(found.change, names),
    )
    similarity = View(
        "",
        draw_matrix(found.similarity, names, diverging=False),
        alike,
        matrix_table(found.similarity, names),
    )
    return (
        Panel("confusion-change", "Which confusions change", (change,)),
        Panel("confusion-similarity", "Which classes the response calls similar", (similarity,)),
    )


def draw_matrix(rows: Rows, names: Sequence[str], *, diverging: bool) -> Matrix:
    """Draw a class-by-class matrix of shares, in %, without its diagonal.

    Args:
        rows: ``[C, C]``; true classes down, other classes across.
        names: Names of the classes.
        diverging: Whether 0 is in the middle of the colours rather than at their end.
    """
    return Matrix(
        across="other class",
        down="true class",
        columns=tuple(names),
        rows=tuple(names),
        cells=tuple(
            tuple(
                Cell(None, "", "")
                if i == j
                else _share_cell(100 * value, (names[i], names[j]), signed=diverging)
                for j, value in enumerate(row)
            )
            for i, row in enumerate(rows)
        ),
        unit="points" if diverging else "%",
        diverging=diverging,
        row_height=max(16, min(30, 720 // max(len(names), 1))),
    )


def _share_cell(value: float, pair: tuple[str, str], *, signed: bool) -> Cell:
    shown = f"{value:+.1f}" if signed else f"{value:.0f}"
    return Cell(value, shown, f"{pair[0]}, taken for {pair[1]}: {value:.2f}")


def matrix_table(rows: Rows, names: Sequence[str]) -> Table:
    """Return the numbers of a class-by-class matrix, in % or points."""
    cells = (
        (name, *("-" if i == j else f"{100 * value:.2f}" for j, value in enumerate(row)))
        for i, (name, row) in enumerate(zip(names, rows, strict=True))
    )
    return Table("", ("true class", *names), tuple(cells))


def pairs_table(found: Confusion, names: Sequence[str]) -> Table:
    """Return the pairs whose confusion changes most."""
    rows = tuple(
        (
            f"{names[pair.true]} taken for {names[pair.predicted]}",
            percent(pair.similarity),
            percent(pair.confidence_smoothing),
            percent(pair.full_response),
            points(pair.change),
        )
        for pair in found.pairs
    )
    head = (
        "pair",
        "similarity, %",
        ("confidence smoothing, %"),
        "full response, %",
        "change, points",
    )
    return Table("The pairs of classes whose confusion changes most, up or down.", head, rows)


def associations(found: Confusion) -> str:
    """Say how the confusions go with the similarity matrix."""
    base, change = found.confused_with_similarity, found.change_with_similarity
    if base is None or change is None:
        return (
            "No correlation is reported: there are too few classes or changes for it, or more "
            "than 4,000 classes."
        )
    return (
        "Rank correlation with the similarity matrix, over the cells off the diagonal: "
        f"{_association(change)} for this change, {_association(base)} for the confusions of rung "
        f"2. n = {change.num_pairs:,} pairs of {change.num_classes} classes; p comes from random "
        "orders of the classes."
    )


def flips_lead(found: Flips, level: float) -> tuple[str, ...]:
    """Say how many examples flip, and how many of them beyond chance."""
    counts = (
        f"Each kind of student was trained with {found.num_seeds} seeds. Of "
        f"{found.num_examples:,} test examples, more students of the full response than of rung 2 "
        f"are right on {found.gained:,}, and fewer on {found.lost:,}. Of these, "
        f"{found.resolved_gained:,} and {found.resolved_lost:,} cannot be explained by chance "
        "(sign test over the seeds, Holm's correction over the examples)."
    )
    if 2.0 ** (1 - found.num_seeds) * found.num_examples > level:
        counts += (
            f" With {found.num_seeds} seeds, chance can explain every change of a single example."
        )
    warning = (
        "The examples below are the most extreme of many, so some of them would look like this by "
        "chance."
    )
    return (counts, warning)


def flip_galleries(found: Flips, names: Sequence[str]) -> tuple[Gallery, ...]:
    """Return pictures of the examples that flip most; none where the data are no images."""
    titled = {
        "Right with the full response, wrong with rung 2": found.most_gained,
        "Wrong with the full response, right with rung 2": found.most_lost,
    }
    galleries = (
        Gallery(title, tuple(_pictures(shown, names, found.num_seeds)))
        for title, shown in titled.items()
    )
    return tuple(gallery for gallery in galleries if gallery.exhibits)


def flips_table(found: Flips, names: Sequence[str]) -> Table:
    """Return the examples that flip most, the gained first; with how they begin, if texts."""
    shown = (*found.most_gained, *found.most_lost)
    is_text = any(flip.text is not None for flip in shown)
    rows = tuple(
        (
            str(flip.id),
            *((flip.text or "",) if is_text else ()),
            names[flip.label],
            f"{flip.confidence_smoothing_right} of {found.num_seeds}",
            names[flip.confidence_smoothing_says],
            f"{flip.full_response_right} of {found.num_seeds}",
            names[flip.full_response_says],
        )
        for flip in shown
    )
    head = ("rung 2 right", "rung 2 says", "full response right", "full response says")
    first = ("test id", "text", "class") if is_text else ("test id", "class")
    return Table(
        "The examples by id." if is_text else ("The same examples by id."), (*first, *head), rows
    )


def _class_rows(evidence: Evidence) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            found.name,
            f"{found.num_examples:,}",
            percent(found.confidence_smoothing),
            percent(found.full_response),
            *_gain_cells(found),
        )
        for found in evidence.classes
    )


def _gain_cells(found: ClassGain) -> tuple[str, ...]:
    if found.gain is None:
        return ("-",) * 5
    values = (found.gain.mean, *found.gain.interval, *found.gain.adjusted_interval)
    return tuple(points(value) for value in values)


def _association(found: Association) -> str:
    return f"{found.rho:+.2f} (p = {found.p_value:.3f})"


def _pictures(shown: Sequence[Flip], names: Sequence[str], seeds: int) -> Iterator[Exhibit]:
    for flip in shown:
        if flip.picture is not None:
            before = names[flip.confidence_smoothing_says]
            after = names[flip.full_response_says]
            lines = (
                names[flip.label],
                f"rung 2: {flip.confidence_smoothing_right}/{seeds} right, says {before}",
                f"full: {flip.full_response_right}/{seeds} right, says {after}",
            )
            yield Exhibit(Shown(picture=flip.picture), "; ".join(lines), lines)
