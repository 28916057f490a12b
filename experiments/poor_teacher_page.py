"""What `poor_teacher.py` found: docs/study-poor-teacher.md and its figure.

python experiments/poor_teacher_page.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs_pages import DOCS, FIGURES, NOT_RUN, ResultsPage
from goodteacher.records.words import percent
from pairs import NAMES
from poor_teacher import BETTER, FILE, KINDS, MOST, Json
from summaries import in_points, table

TEACHERS = {
    "one_epoch": "one epoch",
    "converged": "converged",
    "own_self": "the student's own self",
    "sweet_spot": "sweet spot",
}
RUNGS = {
    "mean_smoothing": "label smoothing",
    "confidence_smoothing": "the teacher's confidence",
    "class_similarity": "mean similarity of classes",
    "full_response": "full response",
}


def data_name(name: str) -> str:
    """Return how a case is called on the page.

    Example:
        >>> data_name("same/mnist"), data_name("tenfold/mnist")
        ('MNIST', 'MNIST, teacher with ten times the data')
    """
    setting, _, data = name.partition("/")
    more = ", teacher with ten times the data" if setting == "tenfold" else ""
    return NAMES.get(data, data) + more


def says(share_of: list[float] | None) -> str:
    """Return what rule 1 makes of a share.

    Example:
        >>> says([0.8, 0.6, 1.0]), says([0.4, 0.3, 0.45]), says([0.6, 0.4, 0.8]), says(None)
        ('most', 'not most', 'undecided', 'no share')
    """
    if share_of is None:
        return "no share"
    _, low, high = share_of
    if low > MOST:
        return "most"
    return "not most" if high < MOST else "undecided"


def _share(shared: Sequence[float]) -> str:
    mean, low, high = (f"{100 * value:.0f}" for value in shared)
    return f"{mean} % [{low}, {high}]"


# --- the page ------------------------------------------------------------------------------------


def answer(found: Json) -> str:
    """Return the sentences that open the page."""
    said = [_answer(name, each) for name, each in found.items() if "one_epoch" in each["teachers"]]
    return "\n".join(said) or NOT_RUN


def _answer(name: str, each: Json) -> str:
    """Say of one case what a teacher of one epoch gives, beside the sweet spot if that is there."""
    poor, best = each["teachers"]["one_epoch"], each["teachers"].get("sweet_spot")
    given = (
        f"- **{data_name(name)}**: students of a teacher that trained for one epoch (it is right "
        f"on {percent(poor['teacher_accuracy'])} % of the test split) gain "
        f"{in_points(*poor['gain'])} points over students of hard labels (verdict: "
        f"{_word(poor['verdict'])})"
    )
    if best is None:
        return f"{given}; the sweet spot, which they are compared with, has not been run yet."
    shared = each["shares"]["one_epoch"]["sweet_spot"]
    told = (
        "no share of that can be told, since it is not above 0"
        if shared is None
        else f"the poor teacher gives {_share(shared)} of that ({says(shared)})"
    )
    return (
        f"{given}, those of the sweet spot {in_points(*best['gain'])} ({_word(best['verdict'])}): "
        f"{told}."
    )


def teachers_table(found: Json) -> str:
    """Return a row for each data set and teacher."""
    head = [
        "data",
        "teacher",
        "its test accuracy, %",
        "recipe",
        "students of hard labels, %",
        "of its response, %",
        "gain, points",
        "over its confidence alone (rung 2)",
        "over the best regularizer",
        "verdict (seeds)",
    ]
    rows = [
        [
            data_name(name),
            f"{TEACHERS[kind]}: {each['teacher']}",
            percent(each["teacher_accuracy"]),
            each["recipe"],
            *(percent(each["ladder"][rung]) for rung in ("one_hot", "full_response")),
            *(in_points(*each[effect]) for effect in ("gain", "knowledge", "over_best")),
            f"{_word(each['verdict'])} ({each['seeds']})",
        ]
        for name, kind, each in _rows(found)
    ]
    return table(head, rows) if rows else NOT_RUN


def shares_table(found: Json) -> str:
    """Return the share of each poor teacher in the gains of the better ones."""
    rows = [
        [
            data_name(name),
            TEACHERS[kind],
            *(_share_cell(shared[better]) if better in shared else "-" for better in BETTER),
        ]
        for name, each in found.items()
        for kind, shared in each["shares"].items()
    ]
    head = ["data", "poor teacher", "of the sweet spot's gain", "of the converged teacher's"]
    return table(head, rows) if rows else NOT_RUN


def _share_cell(shared: list[float] | None) -> str:
    return "no gain to share" if shared is None else f"{_share(shared)} ({says(shared)})"


def errors_table(found: Json) -> str:
    """Return error transfer by rung, for each data set and teacher."""
    rows = [[data_name(name), *_errors(kind, each)] for name, kind, each in _rows(found)]
    head = ["data", "teacher (errors)", "students of hard labels repeat, %", *RUNGS.values()]
    return table(head, rows) if rows else NOT_RUN


def _errors(kind: str, each: Json) -> list[str]:
    if "errors" not in each:
        return [TEACHERS[kind], each["errors_missing"], *("" for _ in RUNGS)]
    arms = each["errors"]["rungs"]
    return [
        f"{TEACHERS[kind]} ({each['errors']['errors']:,})",
        percent(arms["one_hot"]["repeated"][0]),
        *(in_points(*arms[rung]["transfer"]) for rung in RUNGS),
    ]


def crossed_table(found: Json) -> str:
    """Return the shares repeated, whose errors by whose students, and the difference to others."""
    columns = ("labels", *KINDS)
    rows = []
    for name, kind, _ in _rows(found):
        each = found[name]["crossed"][kind]
        repeated, minus = each["repeated"], each["minus"]
        other = "converged" if kind == "own_self" else "own_self"
        rows.append(
            [
                data_name(name),
                TEACHERS[kind],
                *(percent(repeated[one]) if one in repeated else "-" for one in columns),
                in_points(*minus[other]) if other in minus else "-",
            ]
        )
    students = [f"students of: {TEACHERS.get(kind, 'hard labels')}" for kind in columns]
    last = "own minus an independent teacher's students, points"
    return table(["data", "errors of", *students, last], rows) if rows else NOT_RUN


def _rows(found: Json) -> Iterator[tuple[str, str, Json]]:
    for name, each in found.items():
        for kind in KINDS:
            if kind in each["teachers"]:
                yield name, kind, each["teachers"][kind]


def _word(verdict: str) -> str:
    return verdict.replace("_", " ")


# --- the figure ----------------------------------------------------------------------------------

ORDER = ("sweet_spot", "converged", "own_self", "one_epoch")
"""From below to above: the poorest teacher is on top."""


@dataclass(frozen=True)
class Marks:
    """Differences of one kind, one for each teacher: mean and interval in points.

    Attributes:
        label: What the legend calls them.
        teachers: Whose they are.
        values: (mean, low, high) of each.
    """

    label: str
    teachers: Sequence[str]
    values: Sequence[tuple[float, ...]]


def gains(each: Json) -> tuple[Marks, Marks]:
    """Return the gain over hard labels and over rung 2 of a data set's teachers."""
    return (
        _marks("over hard labels", each, lambda teacher: teacher["gain"]),
        _marks(
            "beyond the teacher's\nconfidence (rung 2)", each, lambda teacher: teacher["knowledge"]
        ),
    )


def transfers(each: Json) -> tuple[Marks, Marks]:
    """Return the error transfer of the full response and of rung 2."""

    def of(rung: str) -> Callable[[Json], Any]:
        return lambda teacher: (
            teacher["errors"]["rungs"][rung]["transfer"] if "errors" in teacher else None
        )

    return (
        _marks("full response", each, of("full_response")),
        _marks("the teacher's\nconfidence (rung 2)", each, of("confidence_smoothing")),
    )


def _marks(label: str, each: Json, effect_of: Callable[[Json], Any]) -> Marks:
    told = each["teachers"]
    effects = {kind: effect for kind in ORDER if kind in told and (effect := effect_of(told[kind]))}
    values = [tuple(100 * value for value in effect) for effect in effects.values()]
    return Marks(label, list(effects), values)


COLUMNS = ((gains, "gain, points"), (transfers, "error transfer, points"))


def draw(found: Json, path: Path) -> None:
    """Draw two panels for each data set, side by side.

    Args:
        found: The results by data set.
        path: The SVG file.
    """
    from figures import FONT, STYLE, matplotlib, pyplot, save  # needs Matplotlib

    with matplotlib.rc_context(STYLE | FONT):
        rows = max(1, len(found))
        size, share = (5.2, 1.7 * rows + 0.9), {"sharey": True, "squeeze": False}
        figure, axes = pyplot.subplots(rows, 2, figsize=size, layout="constrained", **share)
        for line, (name, each) in zip(axes, found.items(), strict=False):
            line[0].set_title(data_name(name).replace(", ", ",\n"), loc="left", fontweight="bold")
            for axis, (marks_of, words) in zip(line, COLUMNS, strict=True):
                for number, marks in enumerate(marks_of(each)):
                    _draw_marks(axis, marks, number)
                axis.axvline(0, color="#343A40", linewidth=0.9, zorder=0)
                axis.set_ylim(-0.5, len(ORDER) - 0.5)
                axis.set_yticks(range(len(ORDER)), [TEACHERS[kind] for kind in ORDER])
                axis.set_xlabel(words if line[0] is axes[-1, 0] else "")
        for axis in axes[0] if found else ():
            axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.1), frameon=False)
        save(figure, path)


def _draw_marks(axis: Any, marks: Marks, number: int) -> None:
    from figures import COLORS

    places = [ORDER.index(kind) + (0.12, -0.12)[number] for kind in marks.teachers]
    middle = [value[0] for value in marks.values]
    reach = [
        [mean - low for mean, low, _ in marks.values],
        [high - mean for mean, _, high in marks.values],
    ]
    color = COLORS[number]
    look = {"color": color, "markerfacecolor": (color, "white")[number], "linewidth": 1.0}
    axis.errorbar(middle, places, xerr=reach, fmt="os"[number], label=marks.label, **look)


PAGE = ResultsPage(
    DOCS / "study-poor-teacher.md",
    FILE,
    {
        "answer": answer,
        "teachers": teachers_table,
        "shares": shares_table,
        "errors": errors_table,
        "crossed": crossed_table,
    },
    FIGURES / "poor_teacher.svg",
    draw,
)

if __name__ == "__main__":
    PAGE.write()
