"""The page of a comparison: the table, the gains by study, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from goodteacher.config import Recipe
from goodteacher.records import (
    FAMILY,
    VERDICTS,
    ComparedStudy,
    Gain,
    PairedDifference,
    listed,
    percent,
    points,
)
from goodteacher.report.chart import Interval, Intervals
from goodteacher.report.compared import COMPARED
from goodteacher.report.headline import confidence, in_points, shown_range
from goodteacher.report.parts import Page, Panel, Section, Table, View

DEFINITIONS = (
    "Each study is a search of its own: its teacher, recipe and student were chosen on its own "
    "selection split, and its test split was opened after every choice.",
    "A gain is the accuracy of the sweet spot's students minus that of students of a reference "
    "that was tuned in the same study, over paired seeds and the same test examples. So it can be "
    "read without knowing the other studies; accuracies can be compared on the same data only.",
    "Each interval holds for its study by itself. Among many studies some show a gain by chance: "
    "with 20 studies of no gain, about one 95 % interval lies beside zero.",
)
_SORTED_FROM = 5
"""Studies from which a table can be sorted and filtered."""
_LONGEST = 24
"""Characters of a name beside an interval on the narrowest screen."""
_TITLES = {
    "cross_entropy": "hard labels",
    "label_smoothing": "tuned label smoothing",
    "converged_teacher": "the converged teacher",
}


def comparison_page(
    studies: Sequence[ComparedStudy],
    notes: Sequence[str],
    differences: Sequence[PairedDifference],
    differing: Mapping[str, Sequence[Any]],
) -> Page:
    """Return what is said about several studies.

    Args:
        studies: What each found.
        notes: What keeps them from being compared.
        differences: Of their delivered students, where they are paired.
        differing: Settings that differ, by name: the value of each study.
    """
    lacking = [f"{study.name} is {each}." for study in studies for each in _open(study)]
    return Page(
        name="comparison",
        title=f"{len(studies)} studies side by side",
        answer=answer_of_all(studies),
        notes=(*notes, *lacking),
        sections=tuple(_sections(studies, differences, differing)),
        definitions=DEFINITIONS,
    )


def answer_of_all(studies: Sequence[ComparedStudy]) -> str:
    """Say in one sentence what the studies answer."""
    groups = {
        "yes": "Distill: yes in",
        "no": "no in",
        "undecided": "undecided in",
        None: "not finished",
    }
    found = {
        answer: [study.name for study in studies if study.answer == answer] for answer in groups
    }
    if len(found[None]) == len(studies):
        return f"None of these {len(studies)} studies has finished."
    parts = [
        f"{words.removeprefix('Distill: ')} {_counted(found[answer], len(studies))}"
        for answer, words in groups.items()
        if found[answer]
    ]
    return f"Distill: {'; '.join(parts)}."


def _counted(names: Sequence[str], total: int) -> str:
    shown = f" ({listed(names)})" if len(names) <= 4 else ""
    return f"{len(names)} of {total}{shown}"


def _open(study: ComparedStudy) -> Iterator[str]:
    if not study.finished:
        yield study.lacking[0]


def _sections(
    studies: Sequence[ComparedStudy],
    differences: Sequence[PairedDifference],
    differing: Mapping[str, Sequence[Any]],
) -> Iterator[Section]:
    finished = any(study.finished for study in studies)
    panels = (gains_panel(studies),) if finished else ()
    yield Section("answer", "The studies", (), panels, (studies_table(studies),), columns=1)
    if differences:
        panel, table = pairs_panel(differences), ()
        title = "Their students on the same test examples"
        yield Section("pairs", title, (), (panel,), table, columns=1)
    if differing:
        yield Section("settings", "Settings that differ", (), (), (settings(studies, differing),))
    yield Section("data", "Data and versions", (), (), (data_table(studies),))


def studies_table(studies: Sequence[ComparedStudy]) -> Table:
    """Return a row for each study."""
    head = (
        "study",
        "data",
        "teacher and student",
        "sweet spot",
        "student, test %",
        *(f"gain over {_TITLES[over]}, points" for over in COMPARED),
        "distill",
        "verdict",
        "training time",
    )
    levels = listed(sorted({confidence(study.level) for study in studies}))
    caption = (
        "Accuracy of the sweet spot's students on the test split of their study, mean over its n "
        f"seeds; brackets: {levels} intervals over seeds and test examples. Gains are paired."
    )
    rows = tuple(_cells(study) for study in studies)
    return Table(caption, head, rows, sortable=len(rows) >= _SORTED_FROM)


def _cells(study: ComparedStudy) -> tuple[str, ...]:
    return (
        study.name,
        study.data,
        f"{study.teacher} to {study.student}",
        shown_sweet_spot(study) or "not found yet",
        shown_accuracy(study),
        *(shown_gain(study.gain(over)) for over in COMPARED),
        study.answer or "-",
        VERDICTS[study.verdict],
        shown_cost(study),
    )


def shown_sweet_spot(study: ComparedStudy) -> str:
    """Say which teacher and recipe were chosen; nothing before the search has finished."""
    if study.sweet_spot is None or study.recipe is None:
        return ""
    return f"{study.sweet_spot}; {shown_recipe(study.recipe)}"


def shown_recipe(recipe: Recipe) -> str:
    """Write a recipe as a sentence does."""
    loss = f"{recipe.loss} of standardized logits" if recipe.standardize else recipe.loss
    return f"{loss}, T = {recipe.temperature:g}, alpha = {recipe.alpha:g}"


def shown_accuracy(study: ComparedStudy) -> str:
    """Write the accuracy of the sweet spot's students with interval and n."""
    if study.accuracy is None or study.interval is None:
        return "-"
    shown = f"{percent(study.accuracy)} {shown_range(study.interval, percent)}"
    return f"{shown}, n = {study.num_seeds}"


def shown_gain(gain: Gain | None) -> str:
    """Write a gain in points with its interval."""
    if gain is None:
        return "-"
    if gain.interval is None:
        return "the same students"
    return f"{points(gain.difference)} {shown_range(gain.interval, points)}"


def shown_cost(study: ComparedStudy) -> str:
    """Write what a study took."""
    if study.student_seconds is None:
        return "-"
    timed = study.teacher_seconds
    teachers = "teachers not timed" if timed is None else f"teachers {timed:,.0f} s"
    return f"{teachers}, students {study.student_seconds:,.0f} s"


def gains_panel(studies: Sequence[ComparedStudy]) -> Panel:
    """Return the gains by study, a view for each reference; at least one study has finished."""
    views = tuple(_gains_view(studies, over) for over in COMPARED)
    return Panel("gains", "Gain by study", views)


def _gains_view(studies: Sequence[ComparedStudy], over: str) -> View:
    known = [(study, gain) for study in studies if (gain := study.gain(over)) is not None]
    rows = tuple(
        Interval(
            _short(study.name),
            100 * gain.difference,
            gain.interval and in_points(gain.interval),
            gain.joint_interval and in_points(gain.joint_interval),
            shown_gain(gain),
        )
        for study, gain in known
    )
    share = listed(sorted({confidence(study.level) for study, _ in known}))
    caption = (
        f"Test accuracy of the sweet spot's students minus that of students of {_TITLES[over]}, in "
        f"points, each in its own study: mean over n seeds, {share} interval (thick) and {share} "
        "joint interval over the four references of its study (thin, with caps). Right of the "
        "dashed line the sweet spot is better; an interval that crosses it leaves that open."
    )
    head = ("study", "points", "low", "high", "joint low", "joint high", "seeds", "test examples")
    table = Table(
        "",
        head,
        tuple(
            (
                study.name,
                points(gain.difference),
                *_ends(gain.interval),
                *_ends(gain.joint_interval),
                str(study.num_seeds),
                f"{study.test:,}",
            )
            for study, gain in known
        ),
    )
    figure = Intervals(f"gain over {_TITLES[over]}, points", rows)
    return View(f"over {_TITLES[over]}", figure, caption, table)


def pairs_panel(differences: Sequence[PairedDifference]) -> Panel:
    """Return the paired differences of delivered students."""
    rows = tuple(
        Interval(
            _short(f"{each.study} - {each.minus}"),
            100 * each.difference,
            in_points(each.interval),
            in_points(each.joint_interval),
            f"{points(each.difference)} {shown_range(each.interval, points)}",
        )
        for each in differences
    )
    caption = (
        "Test accuracy of a study's delivered students minus that of the delivered students of the "
        "first study on the same data, in points, over the seeds and test examples that both have: "
        "mean, interval (thick) and joint interval over all rows (thin, with caps)."
    )
    head = ("study", "minus", "points", "low", "high", "joint low", "joint high", "seeds", "tests")
    table = Table(
        "",
        head,
        tuple(
            (
                each.study,
                each.minus,
                points(each.difference),
                *_ends(each.interval),
                *_ends(each.joint_interval),
                str(each.num_seeds),
                f"{each.num_test:,}",
            )
            for each in differences
        ),
    )
    figure = Intervals("delivered students minus those of the first study, points", rows)
    return Panel("paired", "Paired differences", (View("", figure, caption, table),))


def settings(studies: Sequence[ComparedStudy], differing: Mapping[str, Sequence[Any]]) -> Table:
    """Return the settings that differ, a column for each study."""
    head = ("setting", *(study.name for study in studies))
    rows = tuple(
        (name, *("default" if value is None else str(value) for value in values))
        for name, values in differing.items()
    )
    return Table("Settings that are not the same in all studies.", head, rows)


def data_table(studies: Sequence[ComparedStudy]) -> Table:
    """Return the data, the delivered student and the version of each study."""
    head = (
        "study",
        "fingerprint",
        "classes",
        "transfer set",
        "selection split",
        "test split",
        "delivered student of",
        "version",
        "where it is",
    )
    rows = tuple(
        (
            study.name,
            study.fingerprint[:12],
            f"{study.num_classes:,}",
            f"{study.transfer:,}",
            f"{study.selection:,}",
            f"{study.test:,}",
            "-" if study.delivered is None else FAMILY[study.delivered],
            ", ".join(study.versions) or "unknown",
            study.place,
        )
        for study in studies
    )
    return Table("Numbers of examples. One fingerprint is one content.", head, rows)


def _ends(interval: tuple[float, float] | None) -> tuple[str, str]:
    return ("-", "-") if interval is None else (points(interval[0]), points(interval[1]))


def _short(name: str) -> str:
    """Return a name that has room beside an interval; its end tells more than its beginning."""
    return name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"
