"""How the command line prints results on stdout, and errors on stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from goodteacher.records import (
    VERDICTS,
    Cost,
    Effect,
    Evidence,
    Export,
    Front,
    Int8,
    Reference,
    SweetSpot,
    Verdict,
    called,
    percent,
    points,
    repetitions_of,
    target_name,
    verdict_remarks,
    what_omission_showed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from goodteacher.data import Dataset, Finding
    from goodteacher.public.distillation import Distillation
    from goodteacher.public.scoring import Score


def _console(*, stderr: bool = False) -> Console:
    """Return a console that writes plain text unless it is a terminal that may have colours.

    With ``NO_COLOR`` or on a terminal that knows no control codes there are none of any kind.
    """
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") in ("dumb", "unknown")
    if plain:
        return Console(stderr=stderr, highlight=False, force_terminal=False, color_system=None)
    return Console(stderr=stderr, highlight=False)


stdout = _console()
stderr = _console(stderr=True)


def print_json(value: Any) -> None:
    """Print a machine-readable result on stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def print_error(text: str) -> None:
    """Print why the command ends."""
    stderr.print(f"[bold red]error:[/] {_escaped(text)}", soft_wrap=True)


def print_sweet_spot(found: SweetSpot, folder: str) -> None:
    """Print the answer as a table and a few sentences."""
    teacher, cost = found.teacher, found.cost
    stdout.print(f"\n[bold]Distill: {found.answer}.[/]", highlight=False)
    for doubt in found.doubts:
        stdout.print(doubt, markup=False)
    stdout.print(f"\nSweet spot: {_escaped(teacher.described)}, distilled with {found.recipe}\n")
    stdout.print(_students_table(found))
    share = f"{100 * (1 - found.level):g} %"
    stdout.print(
        f"Test accuracy in %, differences in points; n = {found.student.num_seeds} paired seeds.\n"
        f"Brackets: {share} interval over seeds and test examples.\n"
        f"*: clear even when all four comparisons are taken together.\n\n{_without_lead(found)}\n"
        f"\nTraining: {cost.num_students} students in {cost.student_seconds:.0f} s; "
        f"{_teacher_time(cost)}.",
        markup=False,
    )
    # A path broken over lines could not be copied.
    stdout.print(
        f"Student: {folder}/student (hard labels: {folder}/baseline)\nReport: {folder}/report.html",
        markup=False,
        soft_wrap=True,
    )


def _teacher_time(cost: Cost) -> str:
    if cost.teacher_seconds is None:
        return "the training time of the recorded teachers is unknown"
    were = "run was" if cost.untimed_runs == 1 else "runs were"
    untimed = f" ({cost.untimed_runs} recorded {were} not timed)" * (cost.untimed_runs > 0)
    return f"teachers in {cost.teacher_seconds:.0f} s{untimed}"


def print_front(found: Front, folder: str) -> None:
    """Print what each student gains and what it costs, and who is on the front."""
    first = found.rows[0]
    stdout.print()
    stdout.print(_gains_table(found))
    stdout.print(
        "Test accuracy of the delivered students in %, gain of the sweet spot in points; n = "
        f"{first.num_seeds} paired seeds.\nBrackets: {100 * (1 - found.level):g} % interval over "
        "seeds and test examples.\n",
        markup=False,
    )
    stdout.print(_costs_table(found))
    stdout.print(
        "*: on the front, so no other student is as accurate with fewer parameters or less time. "
        f"Latency: medians of {repetitions_of(found.latencies)} repetitions,\non {found.machine}, "
        f"one thread.\n\n{found.summary}\n\n{found.teacher_time}",
        markup=False,
    )
    folders = ", ".join(f"{folder}/{row.folder}" for row in found.rows)
    stdout.print(f"Studies: {folders}\nReport: {folder}/report.html", markup=False, soft_wrap=True)


def _gains_table(found: Front) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("student", "distill"):
        table.add_column(title, no_wrap=True)
    for title in ("test", "gain over hard labels"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in found.rows:
        low, high = row.interval
        gain = "the same students"
        if row.gain_interval is not None:
            gain = f"{points(row.gain)} [{', '.join(map(points, row.gain_interval))}]"
        test = f"{percent(row.test_accuracy)} [{percent(low)}, {percent(high)}]"
        table.add_row(*map(_escaped, (row.student, row.answer, test, gain)))
    return table


def _costs_table(found: Front) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("student", no_wrap=True)
    sizes = [latency.batch_size for latency in found.rows[0].latencies]
    for title in ("parameters ", "weights, KiB", *(f"ms, batch {size} " for size in sizes)):
        table.add_column(title, justify="right", no_wrap=True)
    for row in found.rows:
        table.add_row(
            _escaped(row.student),
            f"{row.parameters:,}{'*' if row.on_front else ' '}",
            f"{row.weight_bytes / 1024:,.1f}",
            *(f"{1e3 * e.median:.3g}{'*' if e.on_front else ' '}" for e in row.latencies),
        )
    return table


def _without_lead(found: SweetSpot) -> str:
    """Return the summary without what stands above the table already."""
    lead = " ".join([f"Distill: {found.answer}.", *found.doubts])
    return found.summary.removeprefix(lead).strip()


def _students_table(found: SweetSpot) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("students of", no_wrap=True)
    for title in ("teacher", "student", "gain of the sweet spot"):
        table.add_column(title, justify="right", no_wrap=True)
    low, high = found.student.interval
    table.add_row(
        "sweet spot",
        "-" if (own := found.teacher.test_accuracy) is None else percent(own),
        f"{percent(found.student.test_accuracy)} [{percent(low)}, {percent(high)}]",
    )
    for name, reference in found.references:
        table.add_row(*_reference_cells(name, reference))
    return table


def _reference_cells(name: str, reference: Reference) -> tuple[str, ...]:
    teacher = reference.teacher_test_accuracy
    return (
        called(name, reference),
        "" if teacher is None else percent(teacher),
        percent(reference.test_accuracy),
        _difference(reference),
    )


def _difference(reference: Reference) -> str:
    if reference.interval is None or reference.adjusted_interval is None:
        return "the same students "
    low, high = reference.interval
    wide_low, wide_high = reference.adjusted_interval
    star = "*" if wide_low > 0 or wide_high < 0 else " "
    return f"{points(reference.difference)} [{points(low)}, {points(high)}]{star}"


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")


def print_distillation(result: Distillation) -> None:
    """Print what a recipe reached, and what it added to the labels alone."""
    low, high = result.interval
    gain_low, gain_high = result.gain_interval
    stdout.print(f"[bold]Distill: {result.answer}.[/]")
    for doubt in result.doubts:
        stdout.print(doubt, markup=False)
    stdout.print(
        f"Student of {result.arm}: {percent(result.test_accuracy)} % of the test split "
        f"[{percent(low)}, {percent(high)}], trained {result.training}\n"
        f"The same student with hard labels: {percent(result.cross_entropy_test_accuracy)} % of "
        f"the test split, trained {result.hard_labels_training}\n"
        f"Choose between recipes by the selection split: {percent(result.selection_accuracy)} % "
        f"against {percent(result.hard_labels_selection_accuracy)} % with hard labels\n"
        f"Gain: {points(result.gain)} points [{points(gain_low)}, {points(gain_high)}]",
        markup=False,
    )
    if result.covers_seeds:
        stdout.print(f"n = {result.num_seeds} paired seeds")
    else:
        stdout.print(
            "n = 1 seed: the interval covers the test examples only. Another seed may give "
            "another result; train more with --seeds."
        )
    delivered = "the recipe" if result.delivered == "recipe" else "hard labels"
    stdout.print(
        f"Student (of {delivered}, the best on the selection split): {result.folder}/student; of "
        f"hard labels: {result.folder}/baseline",
        markup=False,
        soft_wrap=True,
    )


def print_export(found: Export, folder: str) -> None:
    """Print what was written, how it compares with the student, and how long it takes."""
    for each in found.files:
        stdout.print(
            f"{folder}/{each.file}: {each.num_bytes:,} bytes; on {each.agreement.examples:,} "
            "test examples, every prediction agrees with the student's, and logits differ by at "
            f"most {each.agreement.largest_difference:.1g}",
            markup=False,
            soft_wrap=True,
        )
    if found.int8 is not None:
        stdout.print(_told_of_int8(found.int8), markup=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("median ms (95th percentile), one thread")
    for latency in found.timed[0].latencies:
        table.add_column(f"batch of {latency.batch_size}", justify="right")
    for who, all_timed in (("student", found.timed), ("teacher", found.teacher.timed)):
        for timed in all_timed:
            cells = (f"{1000 * one.median:.3g} ({1000 * one.p95:.3g})" for one in timed.latencies)
            table.add_row(f"{who}, {timed.runtime}", *cells)
    stdout.print(table)
    stdout.print(_told_of_teacher(found), markup=False, soft_wrap=True)
    stdout.print(
        f"Probabilities are calibrated: logits are divided by {found.temperature:.3g}.",
        markup=False,
    )


def _told_of_teacher(found: Export) -> str:
    teacher, eight = found.teacher, found.teacher.quantized
    if eight is None:
        return f"Teacher: {teacher.name}. In 8 bits: not measured. {teacher.why_not_quantized}"
    low, high = eight.interval
    better = " The teacher in 8 bits is the better choice." if eight.wins else ""
    return (
        f"Teacher: {teacher.name}. In 8 bits, its file has {eight.num_bytes:,} bytes. Accuracy of "
        f"the student minus that of the teacher in 8 bits: {points(eight.difference)} points "
        f"[{points(low)}, {points(high)}].{better}"
    )


def _told_of_int8(found: Int8) -> str:
    lost = f"8 bits cost {percent(found.selection_loss)} points of accuracy on the selection split"
    if not found.delivered or found.interval is None or found.test_difference is None:
        return (
            f"{lost}, more than the {percent(found.max_loss)} allowed (--max-loss), so the file in "
            "8 bits is not delivered."
        )
    low, high = found.interval
    return (
        f"model.int8.onnx: {found.num_bytes:,} bytes; {lost}; on the test split, accuracy changes "
        f"by {points(found.test_difference)} points [{points(low)}, {points(high)}], and "
        f"{found.changed:,} of {found.examples:,} predictions differ"
    )


def print_verdict(found: Verdict, evidence: Evidence) -> None:
    """Print the verdict, its ladder, its controls and what an omitted class showed."""
    stdout.print(f"\n[bold]Verdict: {VERDICTS[found.verdict]}.[/] {_escaped(found.explanation)}\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("students of", no_wrap=True)
    table.add_column("test", justify="right", no_wrap=True)
    table.add_column("gain over the rung before", justify="right", no_wrap=True)
    for rung in found.ladder:
        step = _shown_effect(rung.step) if rung.step else ""
        table.add_row(f"{rung.rung} {target_name(rung.name)}", percent(rung.test_accuracy), step)
    table.add_section()
    table.add_row("[bold]controls[/]", "", "[bold]gain of full response[/]")
    for control in found.controls:
        effect = _shown_effect(control.full_response_minus_it)
        table.add_row(target_name(control.name), percent(control.test_accuracy), effect)
    stdout.print(table)
    stdout.print(
        f"Teacher: {found.teacher}, {found.recipe}. Test accuracy in %, differences in points; "
        f"n = {found.num_seeds} paired seeds; {100 * (1 - found.level):.4g} % intervals; margin "
        f"{100 * found.margin:g} points.",
        markup=False,
    )
    for line in verdict_remarks(found):
        stdout.print(line, markup=False)
    if evidence.omitted is not None:
        stdout.print(f"\n{what_omission_showed(evidence.omitted)}", markup=False)


def _shown_effect(effect: Effect) -> str:
    low, high = effect.interval
    return f"{points(effect.mean)} [{points(low)}, {points(high)}]"


_MEASURES = {
    "similarity S, nats": "similarity",
    "  class part": "class_part",
    "  instance part": "instance_part",
    "effective classes": "effective_classes",
    "share one-hot": "share_one_hot",
    "off-class mass": "off_class_mass",
    "NLL, nats": "nll",
    "Brier score": "brier",
    "calibration error (ACE)": "ace",
}


def print_score(result: Score) -> None:
    """Print a response's measurements, a column for each temperature."""
    for note in result.notes:
        stderr.print(f"note: {note}", markup=False)
    stdout.print(
        f"{result.num_examples} examples, {result.num_classes} classes, "
        f"accuracy {percent(result.measurements[0].accuracy)} %"
    )
    for table in _score_tables(result, stdout.width):
        stdout.print(table)
    limit = result.optimal_temperature_limit
    if limit is None:
        stdout.print("* the temperature that minimises the negative log-likelihood")
    else:
        stdout.print(_NO_BEST_TEMPERATURE[limit], markup=False)
    if result.num_classes == 2:
        stdout.print("With two classes there is only one wrong class, so S is 0 by definition.")


def _score_tables(result: Score, width: int) -> Iterator[Table]:
    """Yield tables with a column for each temperature, as many in each as fit into a width."""
    columns = []
    for m in result.measurements:
        star = "*" if m.temperature == result.optimal_temperature else ""
        cells = [f"{getattr(m, name):.4g}" for name in _MEASURES.values()]
        columns.append([f"T={m.temperature:.3g}{star}", *cells])
    while columns:
        room, shown = width - max(map(len, _MEASURES)), 0
        while shown < len(columns) and (room := room - 2 - max(map(len, columns[shown]))) >= 0:
            shown += 1
        part, columns = columns[: max(1, shown)], columns[max(1, shown) :]
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("", no_wrap=True)
        for title, *_ in part:
            table.add_column(title, justify="right", no_wrap=True)
        for row, title in enumerate(_MEASURES, start=1):
            table.add_row(title, *(column[row] for column in part))
        yield table


_NO_BEST_TEMPERATURE = {
    "zero": "* no finite temperature minimises the negative log-likelihood: every prediction is "
    "right, so it falls as T goes to 0; measured close to that limit",
    "infinity": "* no finite temperature minimises the negative log-likelihood: the response is no "
    "better than a uniform one, so it falls as T grows without bound; measured close to that limit",
}


def plain_findings(dataset: Dataset, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return what the doctor found, for JSON."""
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "num_classes": dataset.num_classes,
        "input_shape": dataset.spec.shapes,
        "train": len(dataset.train),
        "validation": 0 if dataset.validation is None else len(dataset.validation),
        "test": len(dataset.test),
        "findings": [
            {"severity": f.severity, "code": f.code, "message": f.message} for f in findings
        ],
    }


def print_findings(dataset: Dataset, findings: Sequence[Finding]) -> None:
    """Print what the doctor found."""
    own = dataset.validation
    validation = "" if own is None else f", {len(own)} validation"
    stdout.print(
        f"{dataset.name}: {len(dataset.train)} training{validation} and {len(dataset.test)} test "
        f"examples, {dataset.num_classes} classes, inputs "
        f"{dataset.spec}",
        markup=False,
    )
    for finding in findings:
        stdout.print(f"{finding.severity}: {finding.message}", markup=False)
    if not findings:
        stdout.print("No problems were found.")
