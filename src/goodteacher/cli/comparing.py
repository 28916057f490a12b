"""The command that lays several studies side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from goodteacher.cli.display import print_json, stderr, stdout
from goodteacher.cli.door import door
from goodteacher.cli.options import AsJson
from goodteacher.records import VERDICTS, ComparedStudy, PairedDifference, listed, percent, points

if TYPE_CHECKING:
    from goodteacher.report import Comparison

_OVER = {
    "cross_entropy": "hard labels",
    "label_smoothing": "smoothing",
    "converged_teacher": "converged",
}


def compare(
    studies: Annotated[
        list[str], typer.Argument(help="folders or URLs of studies, at least two", metavar="STUDY")
    ],
    out: Annotated[
        Path | None, typer.Option(help="also write a page with the figures, such as compare.html")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare several studies: students, gains, verdicts, and the settings and data that differ.

    Only result files are read. A study may be unfinished; what is missing is named.
    """
    with door(as_json):
        from goodteacher.report import check_page
        from goodteacher.report import compare as lay_out

        if out is not None:
            check_page(out)
        found = lay_out(*studies)
        page = None if out is None else found.write(out)
        if as_json:
            print_json(found.model_dump(mode="json"))
        else:
            print_comparison(found)
        if page is not None:
            stderr.print(f"Page: {page}", markup=False, soft_wrap=True)


def print_comparison(found: Comparison) -> None:
    """Print a row of a few lines for each study, and what keeps them from being compared."""
    from goodteacher.report import answer_of_all

    stdout.print(f"\n{answer_of_all(found.studies)}\n", markup=False, style="bold")
    stdout.print(_table(found.studies))
    shares = sorted({f"{100 * (1 - study.level):g} %" for study in found.studies})
    stdout.print(
        "\nStudent: test accuracy of the sweet spot's students in %, mean over n seeds. Gain: "
        "this accuracy minus that of the reference's students, paired, in points. Brackets: "
        f"{' and '.join(shares)} intervals, each for its own study. Trained: training time of "
        "teachers and students together.",
        markup=False,
    )
    for line in map(_paired, found.differences):
        stdout.print(f"\n{line}", markup=False)
    if found.notes or _lacking(found.studies):
        stdout.print("\nBefore you compare them:", style="bold")
    for note in found.notes:
        stdout.print(f"- {note}", markup=False)
    for lacking, names in _lacking(found.studies).items():
        stdout.print(f"- {listed(names)}: {lacking}.", markup=False)


def _lacking(studies: tuple[ComparedStudy, ...]) -> dict[str, list[str]]:
    """Return which studies lack what."""
    found: dict[str, list[str]] = {}
    for study in studies:
        for each in study.lacking:
            found.setdefault(each, []).append(study.name)
    return found


def _table(studies: tuple[ComparedStudy, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 1, 0))
    table.add_column("study", width=17, overflow="fold")
    table.add_column("student and sweet spot", width=23, overflow="fold")
    table.add_column("gain over", no_wrap=True)
    for study in studies:
        # Text, since names of folders and data are no markup.
        cells = ("\n".join(lines) for lines in (_named(study), _student(study), _gains(study)))
        table.add_row(*map(Text, cells))
    return table


def _named(study: ComparedStudy) -> list[str]:
    return [study.name, f"data: {study.data}", f"{study.teacher} to", study.student]


def _student(study: ComparedStudy) -> list[str]:
    if study.accuracy is None or study.interval is None or study.recipe is None:
        return ["not finished"]
    low, high = map(percent, study.interval)
    recipe = study.recipe
    return [
        f"{percent(study.accuracy)} [{low}, {high}]",
        f"{study.sweet_spot}",
        f"{recipe.loss}, T={recipe.temperature:g}, alpha={recipe.alpha:g}",
        f"n = {study.num_seeds}; trained {_seconds(study)}",
    ]


def _gains(study: ComparedStudy) -> list[str]:
    if not study.finished:
        return ["-"]
    lines = []
    for over, words in _OVER.items():
        gain = study.gain(over)
        if gain is None:
            continue
        shown = "the same students"
        if gain.interval is not None:
            low, high = map(points, gain.interval)
            shown = f"{points(gain.difference)} [{low}, {high}]"
        lines.append(f"{words:12}{shown}")
    return [*lines, f"distill: {study.answer}", f"verdict: {VERDICTS[study.verdict]}"]


def _seconds(study: ComparedStudy) -> str:
    known = [each for each in (study.teacher_seconds, study.student_seconds) if each is not None]
    return f"{sum(known):,.0f} s"


def _paired(found: PairedDifference) -> str:
    low, high = map(points, found.interval)
    seeds = "1 seed" if found.num_seeds == 1 else f"{found.num_seeds} seeds"
    return (
        f"Delivered students of {found.study} minus delivered students of {found.minus}: "
        f"{points(found.difference)} points [{low}, {high}], paired over {seeds} and the same "
        f"{found.num_test:,} test examples."
    )
