"""The teacher as an export measures it: in the same runtimes, and in 8 bits as a competitor.

It is the study's most accurate teacher, whoever the delivered student learned from: it is what its
owner would run if there were no student. Nothing of it is delivered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from goodteacher.config import StudyConfig, in_words
from goodteacher.data import Split, StudyData
from goodteacher.delivery import (
    INT8_FILE,
    ONNX_FILE,
    Answers,
    Classifier,
    Onnx,
    StudentCard,
    in_8_bits,
    logits_on,
    quality_of,
    read_onnx,
    size_of,
)
from goodteacher.errors import GoodteacherError
from goodteacher.maths.statistics import paired_interval
from goodteacher.records import ExportedTeacher, QuantizedTeacher, Timed
from goodteacher.studies import DamagedError, Store, settings_of
from goodteacher.teachers import KeptTeacher, most_accurate_teacher

TORCH, FLOATS, EIGHT = "PyTorch", "ONNX Runtime", "ONNX Runtime, 8 bits"
"""Names of runtimes, in the order in which they are told."""


@dataclass(frozen=True)
class Beside:
    """A teacher that a student is measured beside.

    Attributes:
        record: What is known of it so far.
        runtimes: What runs it, by name; of none where it cannot be run.
        logits: On the test split, [N, C]; None where they are not known.
        temperature: By which they are divided for probabilities.
        folder: Where its ONNX files are for the time of the export.
    """

    record: ExportedTeacher
    runtimes: Mapping[str, Answers]
    logits: Tensor | None
    temperature: float
    folder: Path

    def measured(
        self, timed: Sequence[Timed], test: Split, ours: Ours, our_times: Sequence[Timed]
    ) -> ExportedTeacher:
        """Return what is known of it in the end.

        Args:
            timed: How long it takes in each of its runtimes.
            test: The test split, open.
            ours: The student.
            our_times: How long that takes in each of its own.
        """
        found: dict[str, object] = {"timed": tuple(timed)}
        if self.logits is not None:
            found["quality"] = quality_of(self.logits, test.labels, temperature=self.temperature)
        if EIGHT in self.runtimes:
            found["quantized"] = self._quantized(timed, test, ours, our_times)
        return self.record.model_copy(update=found)

    def _quantized(
        self, timed: Sequence[Timed], test: Split, ours: Ours, our_times: Sequence[Timed]
    ) -> QuantizedTeacher:
        logits = logits_on(self.runtimes[EIGHT], test)
        right, other = (
            (each.argmax(-1) == test.labels).numpy()[None] for each in (ours.logits, logits)
        )
        difference, size = paired_interval(right, other), (self.folder / INT8_FILE).stat().st_size
        return QuantizedTeacher(
            num_bytes=size,
            quality=quality_of(logits, test.labels, temperature=self.temperature),
            difference=difference.mean,
            interval=(difference.low, difference.high),
            student_smaller=ours.smallest_file < size,
            student_faster=_is_faster(our_times, timed),
        )


@dataclass(frozen=True)
class Ours:
    """The student that is compared.

    Attributes:
        logits: On the test split, [N, C].
        smallest_file: Bytes of its smallest ONNX file.
    """

    logits: Tensor
    smallest_file: int


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """In which files the teacher is to run.

    Attributes:
        onnx: In an ONNX file, as the student is in one.
        int8: In one of 8 bits, too.
    """

    onnx: bool
    int8: bool


def _is_faster(ours: Sequence[Timed], theirs: Sequence[Timed]) -> bool:
    """Say whether quartiles show an ONNX file of the student to be faster, at some batch size."""
    (eight,) = (each for each in theirs if each.runtime == EIGHT)
    return any(
        own.quartiles[1] < other.quartiles[0]
        for each in ours
        if each.runtime != TORCH
        for own, other in zip(each.latencies, eight.latencies, strict=True)
    )


def teacher_beside(
    store: Store,
    data: StudyData,
    test: Split,
    wanted: Wanted,
    scratch: Path,
) -> Beside:
    """Find the teacher, and make it run as the student does, where that can be done.

    Args:
        store: The study.
        data: Its data.
        test: The test split, open.
        wanted: In which files it is to run.
        scratch: An empty folder for its files.
    """
    found, config = most_accurate_teacher(store), settings_of(store)
    if found is None:
        name = "the teacher of the given response"
        record = ExportedTeacher(name=name, why_not_run=_GIVEN, why_not_quantized=_GIVEN)
        return Beside(record, {}, None, 1.0, scratch)
    spec = config.teacher if isinstance(config, StudyConfig) else None
    if spec is None or found.weights is None:
        return _not_run(found, _RECORDED, found.recorded_logits(test), scratch)
    try:
        model = _as_delivered(found, spec, data)
    except DamagedError:  # which is not to be overlooked
        raise
    except GoodteacherError as error:
        return _not_run(found, f"It cannot be loaded again: {error}", None, scratch)
    record = ExportedTeacher(
        name=_name(found),
        architecture=spec,
        size=size_of(model.network, model.card),
        num_bytes=found.store.num_bytes(found.weights),
    )
    return _running(record, model, data, test, wanted, scratch)


_GIVEN = "Only its response was given, and a response does not contain the model."
_RECORDED = "Only its responses were recorded, so the study has no checkpoint of it."


def _name(teacher: KeptTeacher) -> str:
    return f"the teacher of {in_words(teacher.record.run)} after epoch {teacher.record.epoch}"


def _not_run(found: KeptTeacher, why: str, logits: Tensor | None, scratch: Path) -> Beside:
    record = ExportedTeacher(name=_name(found), why_not_run=why, why_not_quantized=why)
    return Beside(record, {}, logits, found.temperature, scratch)


def _as_delivered(found: KeptTeacher, spec: str, data: StudyData) -> Classifier:
    card = StudentCard(
        architecture=spec,
        class_names=data.class_names,
        inputs=data.spec,
        arm="labels",
        seed=0,
        selection_accuracy=found.record.selection_accuracy,
        test_accuracy=0.0,
        temperature=found.temperature,
        fingerprint=data.fingerprint,
    )
    return Classifier(found.network(spec, data), card).eval()


def _running(
    record: ExportedTeacher,
    model: Classifier,
    data: StudyData,
    test: Split,
    wanted: Wanted,
    scratch: Path,
) -> Beside:
    runtimes: dict[str, Answers] = {TORCH: model}
    why: str | None = None
    if not wanted.onnx:
        why = "This needs the student as an ONNX file, too: --format onnx."
    elif not wanted.int8:
        why = "It was switched off (--no-teacher-int8)."
    try:
        if wanted.onnx:
            Onnx().write(Store(scratch.parent), scratch.name, model.network, model.card)
            runtimes[FLOATS] = read_onnx(scratch / ONNX_FILE, threads=1)
        if wanted.onnx and wanted.int8:
            in_8_bits(scratch, data.transfer)
            runtimes[EIGHT] = read_onnx(scratch / INT8_FILE, threads=1)
    except GoodteacherError as error:
        why = f"It could not be written in 8 bits: {error}"
    told = record.model_copy(update={"why_not_quantized": why})
    return Beside(told, runtimes, logits_on(model, test), model.card.temperature, scratch)
