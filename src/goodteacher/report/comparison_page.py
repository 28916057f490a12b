"""The page of a comparison: the table, the gains by study, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from goodteacher.config import Recipe
from goodteacher.records import (
    FAMILY,
    VERDICTS,
    Answer,
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
    "selection split, and its test split was opened after all choices.",
    "A gain is the accuracy of the sweet spot's students minus that of students of a reference "
    "that was tuned in the same study, over paired seeds and the same test examples. A gain can "
    "be read without the other studies. Accuracies can only be compared on the same data.",
    "Each interval is for its own study only. Among many studies, some show a gain by chance: if "
    "20 studies have no gain, about one of their 95 % intervals excludes zero.",
)
_FIXED = "\N{NO-BREAK SPACE}"
_SORTED_FROM = 8
"""Studies from which a table can be sorted and filtered."""
_MOST_NAMED = 4
"""Studies that the answer names; more are counted only."""
_LONGEST = 24
"""Characters of a name beside an interval on the narrowest screen."""
_TITLES = {
    "cross_entropy": "hard labels",
    "label_smoothing": "label smoothing",
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
    total = len(studies)
    by_answer: dict[Answer | None, list[str]] = {"yes": [], "no": [], "undecided": [], None: []}
    for study in studies:
        by_answer[study.answer].append(study.name)
    unfinished = by_answer.pop(None)
    if len(unfinished) == total:
        return f"None of these {total} studies has finished."
    parts = [
        f"{answer} in {len(names)} of {total}{_in_brackets(names)}"
        for answer, names in by_answer.items()
        if names
    ]
    if unfinished:
        parts.append(f"{len(unfinished)} of {total} not finished{_in_brackets(unfinished)}")
    return f"Distill: {'; '.join(parts)}."


def _in_brackets(names: Sequence[str]) -> str:
    return f" ({listed(names)})" if len(names) <= _MOST_NAMED else ""


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
        title = "Students on the same test examples"
        yield Section("pairs", title, (), (panel,), table, columns=1)
    if differing:
        yield Section("settings", "Settings that differ", (), (), (settings(studies, differing),))
    yield Section("data", "Data, versions and cost", (), (), (data_table(studies),))


def studies_table(studies: Sequence[ComparedStudy]) -> Table:
    """Return a row for each study."""
    head = (
        "study",
        "data",
        "teacher and student",
        "sweet spot",
        "student, test %",
        *(f"gain over {_TITLES[over]}" for over in COMPARED),
        "distill",
        "verdict",
    )
    levels = listed(sorted({confidence(study.level) for study in studies}))
    caption = (
        "Accuracy of the sweet spot's students on the test split of their study, mean over n "
        f"seeds; brackets: {levels} intervals over seeds and test examples. Gains are paired "
        "differences in points. Label smoothing was tuned in the same way as the sweet spot."
    )
    rows = tuple(_cells(study) for study in studies)
    return Table(caption, head, rows, sortable=len(rows) >= _SORTED_FROM)


def _cells(study: ComparedStudy) -> tuple[str, ...]:
    return (
        study.name,
        study.data,
        f"{study.teacher} to{_FIXED}{study.student}",
        shown_sweet_spot(study) or "not found yet",
        shown_accuracy(study),
        *(shown_gain(study.gain(over)) for over in COMPARED),
        study.answer or "-",
        VERDICTS[study.verdict],
    )


def shown_sweet_spot(study: ComparedStudy) -> str:
    """Say which teacher and recipe were chosen; nothing before the search has finished."""
    if study.sweet_spot is None or study.recipe is None:
        return ""
    # What belongs together is not broken over lines.
    recipe = shown_recipe(study.recipe).replace(" = ", f"{_FIXED}={_FIXED}")
    teacher = study.sweet_spot.replace(" ", _FIXED).replace(f",{_FIXED}", ", ")
    return f"{teacher}; {recipe}"


def shown_recipe(recipe: Recipe) -> str:
    """Write a recipe as a sentence does."""
    loss = f"{recipe.loss} of standardized logits" if recipe.standardize else recipe.loss
    return f"{loss}, T = {recipe.temperature:g}, alpha = {recipe.alpha:g}"


def shown_accuracy(study: ComparedStudy) -> str:
    """Write the accuracy of the sweet spot's students with interval and n."""
    if study.accuracy is None or study.interval is None:
        return "-"
    shown = f"{percent(study.accuracy)} {shown_range(study.interval, percent)}"
    return f"{shown}, n{_FIXED}={_FIXED}{study.num_seeds}"


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
    teachers = "teachers not timed" if timed is None else f"teachers{_FIXED}{timed:,.0f}{_FIXED}s"
    return f"{teachers}, students{_FIXED}{study.student_seconds:,.0f}{_FIXED}s"


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
        f"Test accuracy of the sweet spot's students minus that of students of {_TITLES[over]}, "
        f"in points, each in its own study: mean over n seeds, {share} interval (thick) and "
        f"{share} joint interval over the four references of its study (thin, with caps). Right "
        "of the dashed line, the sweet spot is better; an interval that crosses the line shows no "
        "clear difference."
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
            _short(f"{each.study} minus {each.minus}"),
            100 * each.difference,
            in_points(each.interval),
            in_points(each.joint_interval),
            f"{points(each.difference)} {shown_range(each.interval, points)}",
        )
        for each in differences
    )
    caption = (
        "Test accuracy of a study's delivered students minus that of the delivered students of "
        "the first study on the same data, in points, over the seeds and test examples that both "
        "studies have: mean, interval (thick) and joint interval over all rows (thin, with caps)."
    )
    ends = ("low", "high", "joint low", "joint high")
    head = ("study", "minus", "points", *ends, "seeds", "test examples")
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
    figure = Intervals("gain over the first study's delivered students, points", rows)
    return Panel("paired", "Paired differences", (View("", figure, caption, table),))


def settings(studies: Sequence[ComparedStudy], differing: Mapping[str, Sequence[Any]]) -> Table:
    """Return the settings that differ, a column for each study."""
    head = ("setting", *(study.name for study in studies))
    rows = tuple(
        (name, *("default" if value is None else str(value) for value in values))
        for name, values in differing.items()
    )
    return Table("Settings that differ between the studies.", head, rows)


def data_table(studies: Sequence[ComparedStudy]) -> Table:
    """Return the data, the delivered student, the cost and the version of each study."""
    head = (
        "study",
        "fingerprint",
        "classes",
        "transfer set",
        "selection split",
        "test split",
        "delivered student of",
        "training time",
        "version",
        "folder or URL",
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
            shown_cost(study),
            ", ".join(study.versions) or "unknown",
            study.place,
        )
        for study in studies
    )
    caption = (
        "Sizes are numbers of examples. Equal fingerprints mean equal data. Training times depend "
        "on the machine that each study ran on."
    )
    return Table(caption, head, rows)


def _ends(interval: tuple[float, float] | None) -> tuple[str, str]:
    return ("-", "-") if interval is None else (points(interval[0]), points(interval[1]))


def _short(name: str) -> str:
    """Return a name that has room beside an interval; its end tells more than its beginning."""
    return name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"
