"""A class that students never saw, in examples: who is recognised, and what taught them."""

from __future__ import annotations

from collections.abc import Sequence

from goodteacher.records import (
    Evidence,
    OmittedClass,
    RecognisedExample,
    ResemblingExample,
)
from goodteacher.report.chart import Strips
from goodteacher.report.parts import Exhibit, Gallery, Panel, Section, Table, View

NONE_KEPT = "No examples of the class are shown, because the folder keeps none (keep_examples = 0)."


def recognised_lead(found: OmittedClass) -> str:
    """Say how many test examples of the class are recognised by most students."""
    if found.examples is None:
        return NONE_KEPT
    return (
        f"No student here has seen an example of class {found.class_name}, neither as input nor as "
        f"label. Of its {found.num_class_examples:,} test examples, "
        f"{found.examples.num_recognised:,} are recognised by more than half of the "
        f"{found.num_seeds} students of the teacher's full response, as trained."
    )


def recognised_galleries(found: OmittedClass, names: Sequence[str]) -> tuple[Gallery, ...]:
    """Return test examples of the class: those recognised, then those missed.

    Args:
        found: The omitted class.
        names: Of the classes.
    """
    if found.examples is None:
        return ()
    shown, name = found.examples, found.class_name
    missed = found.num_class_examples - shown.num_recognised
    galleries = (
        _gallery(
            f"Class {name}, recognised by most students",
            shown.recognised,
            shown.num_recognised,
            found,
            names,
        ),
        _gallery(f"Class {name}, not recognised by most", shown.missed, missed, found, names),
    )
    return tuple(gallery for gallery in galleries if gallery.exhibits)


def resembling_sections(
    found: OmittedClass, evidence: Evidence, names: Sequence[str]
) -> tuple[Section, ...]:
    """Return the part of the page on what the students learned the class from.

    Args:
        found: The omitted class.
        evidence: All of the evidence, for its recipe.
        names: Of the classes.
    """
    if found.examples is None or not found.examples.resembling:
        return ()
    name, temperature = found.class_name, evidence.recipe.temperature
    shown = found.examples.resembling
    lead = (
        f"The students learned from {found.num_transfer:,} examples of other classes. All that "
        f"they know about class {name} is what the teacher says about these examples. Shown are "
        f"the {len(shown)} examples to which the teacher gives the highest probability of class "
        f"{name} (at T = 1; the students learned at T = {temperature:g})."
    )
    panels = tuple(_resembling_panel(each, temperature, names) for each in shown)
    title = f"What the students learned class {name} from"
    return (Section("resembling", title, (lead,), panels, columns=3),)


def draw_resembling(each: ResemblingExample, temperature: float, names: Sequence[str]) -> Strips:
    """Draw what the teacher says of one example, a temperature a row."""
    said = ((1.0, each.plain), (temperature, each.softened))
    shown = said if temperature != 1 else said[:1]
    whole = len(each.classes) == len(names)
    return Strips(
        down="T",
        rows=tuple(f"{at:g}" for at, _ in shown),
        columns=("",),
        names=(*(names[place] for place in each.classes), *(() if whole else ("others",))),
        shares=tuple(
            (shares if whole else (*shares, max(0.0, 1 - sum(shares))),) for _, shares in shown
        ),
        rest=not whole,
    )


def _gallery(
    title: str,
    examples: Sequence[RecognisedExample],
    count: int,
    found: OmittedClass,
    names: Sequence[str],
) -> Gallery:
    some = f"{len(examples)} of {count:,} shown" if len(examples) < count else f"all {count:,}"
    exhibits = (
        Exhibit(each.shown, f"Class {found.class_name}: {'; '.join(lines)}", lines)
        for each in examples
        for lines in [_told(each, found, names)]
    )
    return Gallery(f"{title}: {some}", tuple(exhibits))


def _told(each: RecognisedExample, found: OmittedClass, names: Sequence[str]) -> tuple[str, ...]:
    others = () if each.says == found.class_number else (f"most say {names[each.says]}",)
    right = f"{each.right} of {found.num_seeds} say {found.class_name}"
    return (right, *others, f"test example {each.id}")


def _resembling_panel(each: ResemblingExample, temperature: float, names: Sequence[str]) -> Panel:
    name = names[each.classes[0]]
    said = f"At T = 1, the teacher gives {100 * each.plain[0]:.1f} % to class {name}"
    if temperature != 1:
        said += f", and {100 * each.softened[0]:.1f} % at T = {temperature:g}"
    caption = f"Transfer example {each.id}. {said}."
    figure = draw_resembling(each, temperature, names)
    rows = tuple(
        (row, *(f"{100 * share:.2f}" for share in shares))
        for row, (shares,) in zip(figure.rows, figure.shares, strict=True)
    )
    table = Table("Probabilities in %.", ("T", *figure.names), rows)
    exhibit = Exhibit(each.shown, f"Class {names[each.label]}. {said}.")
    view = View("", figure, caption, table)
    return Panel(f"resembling-{each.id}", f"Class {names[each.label]}", (view,), exhibit)
