"""Render a result of `run.py` as Markdown: `python benchmarks/peers/table.py FILE.json`.

One table for each pair of networks; every figure is a median with the lowest and highest of n runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Figure = Mapping[str, float] | None
Column = tuple[str, Callable[[Mapping[str, Any]], str]]


def render(result: Mapping[str, Any]) -> str:
    """Return the whole page: how it was measured, then a table for each pair."""
    parts = [_method(result), *(_pair(pair, result) for pair in result["pairs"])]
    return "\n\n".join(parts)


def _method(result: Mapping[str, Any]) -> str:
    settings, machine = result["settings"], result["environment"]
    return (
        f"{settings['examples']:,} images, {settings['epochs']} epochs, batch size "
        f"{settings['batch_size']}, SGD (Nesterov momentum {settings['momentum']:g}, rate "
        f"{settings['learning_rate']:g}, weight decay {settings['weight_decay']:g}), "
        f"{settings['schedule']} schedule, T = {settings['temperature']:g}, alpha = "
        f"{settings['alpha']:g}, augmentation: {settings['augmentation']}. {machine['processor']}, "
        f"{machine['threads']} threads, {machine['device']}. Median (lowest-highest) of n runs; "
        "tools took turns. A student-epoch is one student's pass over the images; plain: the plain "
        "PyTorch loop. Teacher's pass ahead: computing the stored response, once for the run; the "
        "other tools run the teacher on every batch."
    )


def _pair(pair: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    columns = [*COLUMNS[:-1], *(GPU_COLUMNS if _used_gpu(result) else []), COLUMNS[-1]]
    title = (
        f"**`{pair['teacher']}` -> `{pair['student']}`** (teacher's test accuracy "
        f"{100 * pair['teacher_test_accuracy']:.1f} %)"
    )
    head = [f"| {' | '.join(name for name, _ in columns)} |", "|" + "---|" * len(columns)]
    rows = [_row(tool, columns) for tool in pair["tools"]]
    failures = [f"{tool['title']}: {tool['failure']}" for tool in pair["tools"] if tool["failure"]]
    table = "\n".join([*head, *rows])
    notes = ["Not measured:\n\n" + "\n".join(f"- {line}" for line in failures)] if failures else []
    return "\n\n".join([title, table, *notes])


def _row(tool: Mapping[str, Any], columns: list[Column]) -> str:
    if tool["failure"] or tool["figures"] is None:
        return f"| {tool['title']} | " + " | ".join(["not measured"] * (len(columns) - 1)) + " |"
    return f"| {' | '.join(cell(tool) for _, cell in columns)} |"


def _used_gpu(result: Mapping[str, Any]) -> bool:
    return bool(result["settings"]["device"] == "cuda")


def figure(value: Figure, pattern: str, *, scale: float = 1.0) -> str:
    """Write a median with its lowest and highest.

    >>> figure({"median": 0.5, "low": 0.25, "high": 1.0}, ".1f", scale=100)
    '50.0 (25.0-100.0)'
    """
    if value is None:
        return "-"
    median, low, high = (format(scale * value[name], pattern) for name in ("median", "low", "high"))
    return f"{median} ({low}-{high})"


def _figure_cell(name: str, pattern: str, *, scale: float = 1.0) -> Callable:
    return lambda tool: figure(tool["figures"][name], pattern, scale=scale)


def _times_cell(name: str) -> Callable:
    return lambda tool: figure(tool["times_cheaper_than_plain"][name], ".2f")


def _tool_cell(tool: Mapping[str, Any]) -> str:
    figures = tool["figures"]
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    return f"{tool['title']} ({versions}; {figures['precision']})"


COLUMNS: list[Column] = [
    ("tool", _tool_cell),
    ("n", lambda tool: str(tool["figures"]["n"])),
    ("student images/s", _figure_cell("images_per_second", ",.0f")),
    ("s per student-epoch", _figure_cell("seconds_per_student_epoch", ".3g")),
    ("times cheaper than plain", _times_cell("training")),
    ("teacher's pass ahead, s", _figure_cell("teacher_pass_seconds", ".2f")),
    (
        "s per student-epoch with it",
        _figure_cell("seconds_per_student_epoch_with_teacher_pass", ".3g"),
    ),
    ("times cheaper with it", _times_cell("with_teacher_pass")),
    ("peak memory, MiB", _figure_cell("peak_rss_mib", ",.0f")),
    ("test accuracy, %", _figure_cell("test_accuracy", ".1f", scale=100)),
]
GPU_COLUMNS: list[Column] = [("peak GPU memory, MiB", _figure_cell("peak_gpu_mib", ".0f"))]


def main() -> None:
    print(render(json.loads(Path(sys.argv[1]).read_text())))


if __name__ == "__main__":
    main()
