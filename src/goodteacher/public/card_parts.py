"""What model cards are made of, whoever wrote the student."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from goodteacher.records import ClassChange, Pair, Quality, percent, points

LIMITS = """## Limits

- It was measured only on data like those that it was trained on.
- Each answer is one of the classes above, even for an input that belongs to none of them."""


def front_matter(found: Mapping[str, Any]) -> str:
    """Return metadata as hubs of models read them, before the page.

    Args:
        found: By name, each a value that JSON holds.
    """
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in found.items()]
    return "\n".join(["---", *lines, "---", "", ""])


def title(name: str, takes: str, class_names: Sequence[str]) -> str:
    """Return the heading of a page, and what the student is in a sentence.

    Args:
        name: Of the student.
        takes: What it takes, in words.
        class_names: Its classes; the first twelve are named.
    """
    classes = ", ".join(class_names[:12])
    more = f" and {len(class_names) - 12} more" if len(class_names) > 12 else ""
    return (
        f"# {escaped(name)}, a distilled classifier\n\nIt takes {takes} and predicts one of "
        f"{len(class_names)} classes: {escaped(classes)}{more}."
    )


def metrics(quality: Quality) -> list[dict[str, Any]]:
    """Return what was measured, for the metadata."""
    found = (
        ("accuracy", quality.accuracy),
        ("nll", quality.nll),
        ("brier_score", quality.brier),
    )
    return [_metric(kind, each.value, each.interval, quality) for kind, each in found]


def quality_table(rows: Sequence[tuple[str, Quality]]) -> str:
    """Return a table of how good several students are.

    Args:
        rows: Their names and what was measured.
    """
    table = ["| | accuracy, % | NLL, nats | Brier | calibration error |", "|---|---|---|---|---|"]
    for name, found in rows:
        cells = (
            _cell(found.accuracy.value, found.accuracy.interval, 100, 2),
            _cell(found.nll.value, found.nll.interval, 1, 3),
            _cell(found.brier.value, found.brier.interval, 1, 3),
            _cell(found.calibration_error.value, found.calibration_error.interval, 1, 3),
        )
        table.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(table)


def told_covered(quality: Quality) -> str:
    """Say how often a student is right where unsure answers may be left out."""
    surest = ", ".join(
        f"{percent(each.accuracy)} % of the surest {100 * each.coverage:g} %"
        for each in quality.covered[1:]
    )
    return f"If unsure answers may be left out, it is right on {surest}."


def told_classes(hard_labels: Quality | None, changes: Sequence[ClassChange]) -> str:
    """Say which classes a student loses or gains beside that of hard labels.

    Args:
        hard_labels: How good that one is; None where it is the student itself.
        changes: Of which classes a difference is shown.
    """
    if hard_labels is None:
        return (
            "It is the best student of hard labels itself, so there is nothing to compare "
            "class by class."
        )
    if not changes:
        return (
            "No class has a clearly lower or higher accuracy than with the student of hard labels."
        )
    told = [
        f"{escaped(each.name)} {points(each.difference)} [{points(each.interval[0])}, "
        f"{points(each.interval[1])}] (n = {each.num_examples:,})"
        for each in changes
    ]
    return (
        "Classes whose accuracy differs from that of the student of hard labels, in points, with "
        f"intervals that hold for all classes together: {'; '.join(told)}."
    )


def escaped(text: str) -> str:
    """Return text in which Markdown and HTML are only text."""
    for sign in "\\`*_[]<>|#":
        text = text.replace(sign, f"\\{sign}" if sign not in "<>" else f"&{'lg'[sign == '>']}t;")
    return text


def _metric(kind: str, value: float, interval: Pair, of: Quality) -> dict[str, Any]:
    low, high = (round(end, 6) for end in interval)
    about = {"interval_95": [low, high], "test_examples": of.num_examples}
    return {"type": kind, "value": round(value, 6), "args": about}


def _cell(value: float, interval: Pair, scale: float, digits: int) -> str:
    low, high = (f"{scale * end:.{digits}f}" for end in interval)
    return f"{scale * value:.{digits}f} [{low}, {high}]"
