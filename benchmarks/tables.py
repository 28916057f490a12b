"""Write the tables of the documentation anew from `benchmarks/results`.

    python benchmarks/tables.py

`docs/benchmarks.md` and `docs/verdict.md` hold them, each between the lines `<!-- NAME -->` and
`<!-- end -->`; a test compares each with its result, so that a figure is never typed by hand. A
result that is missing says so in its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pages import filled
from peers.table import figure
from peers.table import render as render_peers
from verdicts import read as read_verdicts
from verdicts import table as verdict_table

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "verdict.md"]
RESULTS = ROOT / "benchmarks" / "results"

Result = Mapping[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out rows as a Markdown table.

    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "|" + "|".join(cells) + "|" if cells[0] == "---" else f"| {' | '.join(cells)} |"
        for cells in lines
    )


def machine_of(result: Result) -> str:
    machine = result["environment"]
    return f"{machine['processor']}, {machine['threads']} threads, {machine['device']}"


def step_cost(result: Result) -> str:
    """What a step costs, and the ratios that the targets are about."""
    cost = result["milliseconds_per_student_step"]
    steps = table(
        ["what is timed", "ms per student-step"],
        [[name, figure(value, ".1f")] for name, value in cost.items()],
    )
    ratios = table(
        ["ratio", "median (lowest-highest)"],
        [[name, figure(value, ".2f")] for name, value in result["ratios"].items()],
    )
    return f"{machine_of(result)}; n = {result['n']}.\n\n{ratios}\n\n{steps}"


def teacher_step(result: Result) -> str:
    """A teacher's step beside its floors."""
    rows = [
        [
            f"`{row['teacher']}`",
            str(row["batch_size"]),
            *(figure(row["milliseconds"][k], ".2f") for k in ("step", "passes", "optimizer")),
            f"{row['floor_products']:.2f}",
            f"{row['floor_optimizer']:.2f}",
        ]
        for row in result["teachers"]
    ]
    head = ["teacher", "batch", "step, ms", "forward and backward", "optimizer"]
    rate, speed = result["product_gflops"], result["copy_gb_per_second"]
    return (
        f"{machine_of(result)}; n = {result['n']}. In the same run a large matrix product reached "
        f"{rate:.0f} GFLOP/s and a large copy {speed:.1f} GB/s: the floors.\n\n"
        + table([*head, "floor of the products", "floor of the optimizer"], rows)
    )


def stack_profile(result: Result) -> str:
    """Where the time of a stack goes."""
    kinds = result["by_kind"]
    total = sum(kinds.values())
    rows = [[kind, f"{ms:.2f}", f"{100 * ms / total:.0f} %"] for kind, ms in kinds.items()]
    return (
        f"{result['width']} stacked `{result['student']}`, batch size {result['batch_size']}: "
        f"{result['milliseconds_per_student_step']:.1f} ms per student-step. {machine_of(result)}; "
        f"n = 1 profile.\n\n{table(['operations', 'ms', 'share'], rows)}\n\n"
        f"A student-step multiplies {result['gflop_per_student_step']:.2f} GFLOP: "
        f"{result['floor_milliseconds']:.1f} ms at the rate of a large matrix product measured in "
        f"the same run ({result['product_gflops']:.0f} GFLOP/s). The convolutions run at "
        f"{result['convolution_gflops']:.0f}."
    )


def scaling(result: Result) -> str:
    """How cost grows."""
    rows = [
        [
            name.replace("over", "over the number of"),
            f"{curve['points'][0]['size']:,} to {curve['points'][-1]['size']:,}",
            f"{figure(curve['points'][0]['seconds'], '.3g')}",
            f"{figure(curve['points'][-1]['seconds'], '.3g')}",
            f"{curve['growth']:.2f}",
            f"{curve['steepest']:.2f}",
        ]
        for name, curve in result["curves"].items()
    ]
    head = ["students", "from-to", "s an epoch at the first", "at the last", "growth", "steepest"]
    return f"{machine_of(result)}; n = {result['n']}.\n\n{table(head, rows)}"


def large_response(result: Result) -> str:
    """A response as large as ImageNet's, from its file."""
    scored, training = result["score"], result["training"]
    told = (
        f"{result['examples']:,} x {result['classes']:,} in float16, {result['file_gb']:.2f} GB; "
        f"threads: {result['threads']}. `score` at T = 1 and at the best T owned at most "
        f"{scored['peak_mib']:,.0f} MiB and took {scored['seconds']:,.0f} s "
        f"({scored['cpu_seconds']:,.0f} s of CPU time)."
    )
    share = "file as a share of memory"
    rows = [
        [f"`{student}`", *(figure(found[name], form) for name, form in _RATES.items())]
        for student, found in training.items()
        if isinstance(found, dict)
    ]
    head = ["student", "examples/s, memory", "examples/s, file", f"rate from {share}"]
    batches = f"Batches of {training['batch_size']}, n = {training['n']}"
    return f"{told}\n\n{batches} stretches of {training['steps']} steps.\n\n{table(head, rows)}"


_RATES = {
    "examples/s, memory": ",.0f",
    "examples/s, file": ",.0f",
    "file as a share of memory": ".2f",
}


def student_epoch(result: Result) -> str:
    """A student-epoch of a small perceptron, beside plain loops."""
    widths = result["stacked_seconds"]
    rows = [
        [
            width,
            figure(seconds, ".3f"),
            figure(result["times_cheaper_than_plain"][width], ".1f"),
            figure(result["times_cheaper_than_lean"][width], ".1f"),
        ]
        for width, seconds in widths.items()
    ]
    head = ["students in the stack", "s per student-epoch", "times cheaper than plain", "than lean"]
    plain, lean = (figure(result[f"{k}_seconds"], ".2f") for k in ("plain", "lean"))
    return (
        f"{result['examples']:,} examples; plain loop {plain} s, lean loop {lean} s. "
        f"{machine_of(result)}; n = {result['n']}.\n\n{table(head, rows)}"
    )


def of_json(render: Callable[[Result], str]) -> Callable[[Path], str]:
    """Render the JSON of a file."""
    return lambda path: render(json.loads(path.read_text()))


def verdicts(path: Path) -> str:
    """How often the verdict is right."""
    return "\n".join(verdict_table(read_verdicts(path)[1]))


def targets(result: Result) -> str:
    """The targets for a CPU, beside what was measured."""
    ratios = {name: figure(value, ".2f") for name, value in result["ratios"].items()}
    loop = "times cheaper: one, plain loop, teacher resnet:56"
    many = "times cheaper: 16, plain loop, teacher "
    teachers = [name.removeprefix(many) for name in ratios if name.startswith(many)]
    rows = [
        [
            "one `resnet:20` student from a response costs at most 1.05 plain supervised steps",
            f"{ratios['cost of one / one, labels alone']} in the same loop; "
            f"{ratios['cost of one / one, labels alone, by hand, channels last']} by hand",
        ],
        [
            "one student is at least 4 times cheaper than the plain loop, `resnet:56` online",
            ratios[loop],
        ],
        [
            "16 stacked `cnn:16,32,64` are at least 10 times cheaper, each, than the plain loop",
            "; ".join(f"{ratios[many + teacher]} with teacher {teacher}" for teacher in teachers),
        ],
    ]
    return table(["target", "measured"], rows)


TABLES: Mapping[str, tuple[str, Callable[[Path], str]]] = {
    "targets": ("step_cost.json", of_json(targets)),
    "peers": ("peers.json", of_json(render_peers)),
    "peers_small": ("peers_small.json", of_json(render_peers)),
    "step_cost": ("step_cost.json", of_json(step_cost)),
    "stack_profile": ("stack_profile.json", of_json(stack_profile)),
    "student_epoch": ("student_epoch.json", of_json(student_epoch)),
    "teacher_step": ("teacher_step.json", of_json(teacher_step)),
    "scaling": ("scaling.json", of_json(scaling)),
    "large_response": ("large_response.json", of_json(large_response)),
    "verdicts_mixture": ("verdicts_mixture.jsonl", verdicts),
    "verdicts_images": ("verdicts_images.jsonl", verdicts),
}
"""Name of a place on a page to the result that it shows, and what renders it."""


def body_of(name: str) -> str:
    """Return what stands on the page for a result."""
    file, render = TABLES[name]
    path = RESULTS / file
    return render(path) if path.exists() else "*Not measured.*"


def page_of(text: str) -> str:
    """Return the page with every table made anew."""
    return filled(text, body_of)


def main() -> None:
    for page in PAGES:
        page.write_text(page_of(page.read_text()))


if __name__ == "__main__":
    main()
