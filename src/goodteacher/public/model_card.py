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
    told_classes,
    told_covered,
)
from goodteacher.public.distillation import Distillation
from goodteacher.public.exported import Export
from goodteacher.records import DataSummary, SweetSpot, Verdict, points
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
    parts = [_title(card), *_evidence(store), *_data(store, card), *_quality(export)]
    parts += [*_files(export), LIMITS]
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


def _title(card: StudentCard) -> str:
    classes = ", ".join(card.class_names[:12])
    more = f" and {len(card.class_names) - 12} more" if len(card.class_names) > 12 else ""
    return (
        f"# {escaped(card.architecture)}, a distilled classifier\n\n"
        f"It takes {card.inputs} and tells {len(card.class_names)} classes apart: "
        f"{escaped(classes)}{more}."
    )


def _evidence(store: Store) -> Iterator[str]:
    if store.exists(SWEET_SPOT_FILE):
        found = store.read_json(SWEET_SPOT_FILE, SweetSpot)
        yield f"## Did a teacher help?\n\n{escaped(found.summary)}"
        yield (
            f"The sweet spot is {escaped(found.teacher.described)}; its students learned with "
            f"{found.recipe}. All comparisons are of {found.student.num_seeds} paired seeds."
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
        yield f"**Verdict: {verdict.verdict}.** {escaped(verdict.explanation)}"


def _teacher_time(found: SweetSpot) -> str:
    seconds = found.cost.teacher_seconds
    return "" if seconds is None else f", teachers in {seconds:,.0f} s"


def _data(store: Store, card: StudentCard) -> Iterator[str]:
    data = store.read_json("data.json", DataSummary)
    yield (
        f"## Data\n\n`{_name_of(store)}` (fingerprint {card.fingerprint[:12]}): {data.transfer:,} "
        f"examples to learn from, {data.selection:,} on which every choice was made, {data.test:,} "
        "to test on, opened when all choices were made."
    )


def _quality(export: Export) -> Iterator[str]:
    rows = [("this student", export.student), ("student of hard labels", export.hard_labels)]
    known = [(name, quality) for name, quality in rows if quality is not None]
    yield "## How good it is\n\n" + quality_table(known)
    yield (
        f"On {export.student.num_examples:,} test examples, with 95 % intervals over examples. "
        f"Probabilities are calibrated: logits are divided by {export.temperature:.3g}, which was "
        "found on the selection split; without it the NLL is "
        f"{export.student.uncalibrated_nll:.3f} and the calibration error "
        f"{export.student.uncalibrated_calibration_error:.3f}."
    )
    yield told_covered(export.student)
    yield told_classes(export.hard_labels, export.changed_classes)


def _files(export: Export) -> Iterator[str]:
    lines = [
        f"- `{each.file}` ({each.format}): {each.num_bytes:,} bytes; no prediction differs from "
        "the student's"
        for each in export.files
    ]
    if export.int8 is not None and export.int8.delivered:
        lines.append(f"- `model.int8.onnx`: {export.int8.num_bytes:,} bytes; {_int8(export)}")
    yield "## Files\n\n" + "\n".join(lines)
    times = [
        f"{timed.runtime} {' and '.join(f'{1000 * one.median:.3g}' for one in timed.latencies)} ms"
        for timed in export.timed
    ]
    sizes = " and ".join(str(one.batch_size) for one in export.timed[0].latencies)
    yield (
        f"{export.size.parameters:,} parameters, {export.size.multiply_adds:,} multiply-adds for "
        f"one example. Median time for a batch of {sizes} on one thread "
        f"({export.machine}): {'; '.join(times)}."
    )


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
