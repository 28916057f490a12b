"""The model card of an exported student: what hubs of models show, from the records alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from goodteacher.delivery import StudentCard
from goodteacher.public.card_parts import (
    LIMITS,
    escaped,
    front_matter,
    metrics,
    quality_table,
    title,
    told_classes,
    told_covered,
)
from goodteacher.public.distillation import Distillation
from goodteacher.records import (
    VERDICTS,
    DataSummary,
    Export,
    SweetSpot,
    Timed,
    Verdict,
    listed,
    points,
    repetitions_of,
)
from goodteacher.studies import RESULT_FILE, SWEET_SPOT_FILE, VERDICT_FILE, Store, settings_of

_TASKS = {"images": "image-classification", "texts": "text-classification"}
_OTHER = "tabular-classification"


def model_card(store: Store, card: StudentCard, export: Export) -> str:
    """Return a model card in Markdown, with metadata that the Hugging Face hub reads.

    Args:
        store: The study.
        card: What the student is.
        export: What was written, and how good it is.
    """
    parts = [
        title(card.architecture, str(card.inputs), card.class_names),
        *_evidence(store),
        *_data(store, card),
        *_quality(export),
    ]
    parts += [*_files(export), *_teacher(export), LIMITS]
    return _metadata(store, card, export) + "\n\n".join(parts) + "\n"


def _metadata(store: Store, card: StudentCard, export: Export) -> str:
    data = store.read_json("data.json", DataSummary)
    result = {
        "task": {"type": _TASKS.get(card.inputs.kind, _OTHER)},
        "dataset": {"name": _name_of(store), "type": data.fingerprint[:12], "split": "test"},
        "metrics": metrics(export.student),
    }
    found: dict[str, Any] = {
        "library_name": "goodteacher",
        "tags": ["knowledge-distillation"],
        "pipeline_tag": _TASKS.get(card.inputs.kind, _OTHER),
        "model-index": [{"name": card.architecture, "results": [result]}],
    }
    return front_matter(found)


def _evidence(store: Store) -> Iterator[str]:
    if store.exists(SWEET_SPOT_FILE):
        found = store.read_json(SWEET_SPOT_FILE, SweetSpot)
        yield f"## Did a teacher help?\n\n{escaped(found.summary)}"
        yield (
            f"The sweet spot is {escaped(found.teacher.described)}; its students learned with "
            f"{found.recipe}. All comparisons use {found.student.num_seeds} paired seeds."
        )
        yield (
            f"{found.cost.num_students:,} students were trained in "
            f"{found.cost.student_seconds:,.0f} s{_teacher_time(found)}. Energy was not measured."
        )
    elif store.exists(RESULT_FILE):
        single = store.read_json(RESULT_FILE, Distillation)
        low, high = single.gain_interval
        yield (
            f"## Did the teacher's response help?\n\nDistill: {single.answer}. Students of "
            f"{escaped(single.arm)} gain {points(single.gain)} points [{points(low)}, "
            f"{points(high)}] over those of hard labels ({single.num_seeds} paired seeds)."
        )
    if store.exists(VERDICT_FILE):
        verdict = store.read_json(VERDICT_FILE, Verdict)
        yield f"**Verdict: {VERDICTS[verdict.verdict]}.** {escaped(verdict.explanation)}"


def _teacher_time(found: SweetSpot) -> str:
    seconds = found.cost.teacher_seconds
    return "" if seconds is None else f", teachers in {seconds:,.0f} s"


def _data(store: Store, card: StudentCard) -> Iterator[str]:
    data = store.read_json("data.json", DataSummary)
    yield (
        f"## Data\n\n`{_name_of(store)}` (fingerprint {card.fingerprint[:12]}): {data.transfer:,} "
        f"examples to learn from, {data.selection:,} for all choices, and {data.test:,} for the "
        "test, which was opened when all choices were made."
    )


def _quality(export: Export) -> Iterator[str]:
    eight = export.teacher.quantized
    rows = [
        ("this student", export.student),
        ("student of hard labels", export.hard_labels),
        ("teacher", export.teacher.quality),
        ("teacher in 8 bits", None if eight is None else eight.quality),
    ]
    known = [(name, quality) for name, quality in rows if quality is not None]
    yield "## How good it is\n\n" + quality_table(known)
    yield (
        f"On {export.student.num_examples:,} test examples, with 95 % intervals over examples. "
        f"Probabilities are calibrated: logits are divided by {export.temperature:.3g}, which was "
        "found on the selection split; without it the NLL is "
        f"{export.student.uncalibrated_nll:.3f} and the calibration error "
        f"{export.student.uncalibrated_calibration_error:.3f}. {_which_teacher(export)}"
    )
    yield told_covered(export.student)
    yield told_classes(export.hard_labels, export.changed_classes)


def _which_teacher(export: Export) -> str:
    name = escaped(export.teacher.name)
    if export.teacher.quality is None:
        return (
            f"The teacher, {name}, is not in the table: its answers to the test split are unknown."
        )
    return (
        f"The teacher is the most accurate one of the study, {name}; its probabilities are "
        "calibrated in the same way."
    )


def _files(export: Export) -> Iterator[str]:
    lines = [
        f"- `{each.file}` ({each.format}): {each.num_bytes:,} bytes; no prediction differs from "
        "the student's"
        for each in export.files
    ]
    if export.int8 is not None and export.int8.delivered:
        lines.append(f"- `model.int8.onnx`: {export.int8.num_bytes:,} bytes; {_int8(export)}")
    yield "## Files\n\n" + "\n".join(lines)


def _teacher(export: Export) -> Iterator[str]:
    """Say how large and how fast the student and its teacher are, and who wins in 8 bits."""
    sizes = [one.batch_size for one in export.timed[0].latencies]
    heads = [f"batch of {size}, ms" for size in sizes]
    table = [f"| | {' | '.join(heads)} |", f"|{'---|' * (len(sizes) + 1)}"]
    for who, timed in (("student", export.timed), ("teacher", export.teacher.timed)):
        table += [f"| {who}, {each.runtime} | {' | '.join(_times(each))} |" for each in timed]
    larger = ""
    if export.teacher.size is not None and export.teacher.num_bytes is not None:
        larger = (
            f" The teacher has {export.teacher.size.parameters:,} parameters "
            f"({export.teacher.num_bytes:,} bytes) and {export.teacher.size.multiply_adds:,} "
            "multiply-adds."
        )
    yield "## How large and how fast it is\n\n" + (
        f"The student has {export.size.parameters:,} parameters and takes "
        f"{export.size.multiply_adds:,} multiply-adds for one example.{larger}"
    )
    counted = repetitions_of(one for each in export.timed for one in each.latencies)
    yield "\n".join(table)
    yield (
        f"Medians of {counted} repetitions for the student; in brackets, the time that 19 of 20 "
        f"repetitions stay below. All models took turns on one thread ({export.machine})."
    )
    if export.teacher.why_not_run is not None:
        yield f"The teacher is not timed. {escaped(export.teacher.why_not_run)}"
    yield _against_8_bits(export)


def _times(timed: Timed) -> list[str]:
    return [f"{1000 * one.median:.3g} ({1000 * one.p95:.3g})" for one in timed.latencies]


def _against_8_bits(export: Export) -> str:
    found = export.teacher.quantized
    if found is None:
        return (
            "The teacher in 8 bits was not measured. "
            f"{escaped(export.teacher.why_not_quantized or '')}".strip()
        )
    low, high = found.interval
    differs = f"{points(found.difference)} points [{points(low)}, {points(high)}]"
    facts = (
        "The teacher in 8 bits, made by the same code from the same transfer examples, is a file "
        f"of {found.num_bytes:,} bytes. Accuracy of the student minus that of this teacher: "
        f"{differs}."
    )
    if found.wins:
        return (
            f"**The teacher in 8 bits is the better choice.** {facts} The student's file is not "
            "smaller, and the student is not shown to be faster or more accurate."
        )
    for_it = {
        "smaller": found.student_smaller,
        "faster": found.student_faster,
        "more accurate": found.student_more_accurate,
    }
    shown = listed([name for name, holds in for_it.items() if holds])
    others = [name for name, holds in for_it.items() if not holds]
    rest = f", and not shown to be {listed(others)}" if others else ""
    return f"{facts} The student is {shown}{rest}."


def _int8(export: Export) -> str:
    found = export.int8
    if found is None or found.interval is None or found.test_difference is None:
        return "not measured"
    low, high = found.interval
    lost = f"{points(found.test_difference)} points [{points(low)}, {points(high)}]"
    return f"{lost} on the test split"


def _name_of(store: Store) -> str:
    config = settings_of(store)
    return config.data.rstrip("/").rpartition("/")[2] or config.data
