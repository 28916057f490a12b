"""The most telling examples: what each teacher says of the same one, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from goodteacher.config import in_words
from goodteacher.records import EpochSaid, Examples, TellingExample
from goodteacher.report.chart import Strips
from goodteacher.report.parts import Exhibit, Panel, Section, Table, View

NOT_THERE = (
    "This study has no file examples.json, which holds a few examples and what each epoch's "
    "teacher says about them. Run the same goodteacher search again: it writes the file without "
    "training anything."
)


def example_sections(found: Examples | None, names: Sequence[str]) -> tuple[Section, ...]:
    """Return the part of the page on single examples.

    Args:
        found: The examples; None where the study has no file of them.
        names: Of the classes.
    """
    faded = found is not None and found.fading
    title = "One example, many classes, fading to one" if faded else "One example, many classes"
    if found is None:
        return (Section("examples", title, (NOT_THERE,)),)
    if not found.examples:
        return (Section("examples", title, (found.missing,)),)
    panels = tuple(example_panel(each, found, names) for each in found.examples)
    return (Section("examples", title, _lead(found), panels, columns=3),)


def _lead(found: Examples) -> tuple[str, ...]:
    several = len(found.examples[0].epochs) > 1
    said = (
        f"What the teacher of {in_words(found.run)} says about the same example, epoch by epoch: "
        "each bar shows how the probability is divided among the classes."
        if several
        else (
            f"What the teacher {found.run} says about single examples: each bar shows how the "
            "probability is divided among the classes."
        )
    )
    if found.fading:
        said += (
            " Early in training, several classes share it; later, one class has nearly all of it."
        )
    said += " The probability of the other classes is what a student can learn beyond the label."
    if found.temperature != 1:
        said += f" The students learned at T = {found.temperature:g}, the recipe's temperature."
    shown, every = len(found.examples), f"{found.num_examples:,}"
    said += (
        f" Chosen class by class: the {shown} of {every} transfer examples whose other classes "
        f"{'lose most probability' if found.fading else 'are most probable'}. Most examples "
        f"{'lose' if found.fading else 'have'} less."
    )
    return (said + (_star(found) if several else ""),)


def _star(found: Examples) -> str:
    return f" Star: the sweet spot, epoch {found.chosen_epoch}."


def example_panel(each: TellingExample, found: Examples, names: Sequence[str]) -> Panel:
    """Return the card of one example: itself, the bars of each epoch, and their numbers."""
    name = names[each.number if each.label is None else each.label]
    label = "no label" if each.label is None else f"class {name}"
    caption = f"Transfer example {each.id}, {label}. {summary(each, names)}"
    figure = draw_example(each, found, names)
    view = View("", figure, caption, example_table(each, found, names))
    exhibit = Exhibit(each.shown, f"{name}. {summary(each, names)}")
    title = f"Class {name}" if each.label is not None else f"No label; last prediction {name}"
    return Panel(f"example-{each.id}", title, (view,), exhibit)


def summary(each: TellingExample, names: Sequence[str]) -> str:
    """Say what the first epoch's teacher and the last one's give the example at T = 1."""
    first, last = each.epochs[0], each.epochs[-1]
    if first is last:
        return f"The teacher: {said_of(last.plain, each.classes, names)}."
    return (
        f"Epoch {first.epoch}: {said_of(first.plain, each.classes, names)}. Epoch {last.epoch}: "
        f"{said_of(last.plain, each.classes, names)}."
    )


def said_of(shares: Sequence[float], classes: Sequence[int], names: Sequence[str]) -> str:
    """Name the most probable of some classes, with what they get in %.

    Example:
        >>> said_of((0.6, 0.3, 0.01), (2, 0, 1), ("cat", "dog", "fox"))
        'fox at 60 %, cat at 30 %'
    """
    ordered = sorted(zip(shares, classes, strict=True), key=lambda pair: -pair[0])
    shown = [f"{names[place]} at {100 * share:.0f} %" for share, place in ordered if share >= 0.05]
    return ", ".join(shown[:3]) or "no class above 5 %"


def draw_example(each: TellingExample, found: Examples, names: Sequence[str]) -> Strips:
    """Draw the bars of an example: an epoch a row, a temperature a column."""
    whole = len(each.classes) == len(names)
    softened = found.temperature != 1

    def divided(epoch: EpochSaid) -> tuple[tuple[float, ...], ...]:
        bars = (epoch.plain, epoch.softened) if softened else (epoch.plain,)
        return tuple(bar if whole else (*bar, max(0.0, 1 - sum(bar))) for bar in bars)

    epochs = [epoch.epoch for epoch in each.epochs]
    star = len(epochs) > 1 and found.chosen_epoch in epochs
    return Strips(
        down="epoch",
        rows=tuple(map(str, epochs)),
        columns=("T = 1", f"T = {found.temperature:g}") if softened else ("T = 1",),
        names=(*(names[place] for place in each.classes), *(() if whole else ("others",))),
        shares=tuple(map(divided, each.epochs)),
        marked=epochs.index(found.chosen_epoch) if star else None,
        rest=not whole,
    )


def example_table(each: TellingExample, found: Examples, names: Sequence[str]) -> Table:
    """Return the probabilities behind the bars, in %."""
    classes = tuple(names[place] for place in each.classes)
    softened = found.temperature != 1
    at = tuple(f"{name}, T = {found.temperature:g}" for name in classes) if softened else ()
    rows = tuple(
        (
            str(epoch.epoch),
            *(f"{100 * value:.2f}" for value in epoch.plain),
            *(f"{100 * value:.2f}" for value in epoch.softened if softened),
        )
        for epoch in each.epochs
    )
    head = ("epoch", *(f"{name}, T = 1" for name in classes), *at)
    return Table("Probabilities in %.", head, rows)
