"""``export``: the delivered student in files that other runtimes read, each checked before it is.

Everything is written beside the folder asked for, and becomes it once all checks hold. What is
compared there are two ways of running one student, so the test split may be opened; whether 8 bits
cost too much is decided on the selection split.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypedDict

from torch import Tensor

from goodteacher.config import StudyConfig
from goodteacher.data import Split, StudyData
from goodteacher.delivery import (
    FORMATS,
    INT8_FILE,
    ONNX_FILE,
    Answers,
    Classifier,
    Format,
    StudentCard,
    batches_of,
    check,
    class_changes,
    compare,
    in_8_bits,
    load_student,
    logits_on,
    measure_latencies,
    quality_of,
    read_onnx,
    size_of,
)
from goodteacher.errors import ConfigError, PackageError, StudyError
from goodteacher.maths.statistics import paired_interval
from goodteacher.networks import NetworkLike, check_code, give_again
from goodteacher.public.beside_teacher import (
    EIGHT,
    FLOATS,
    TORCH,
    Beside,
    Ours,
    Wanted,
    teacher_beside,
)
from goodteacher.public.model_card import model_card
from goodteacher.public.new_folder import check_new, under_way
from goodteacher.records import Export, ExportedFile, Int8, Timed
from goodteacher.report import tell_trackers, write_report
from goodteacher.studies import (
    CONFIG_FILE,
    EXPORT_FILE,
    MODEL_CARD_FILE,
    SWEET_SPOT_FILE,
    DataLike,
    Place,
    Progress,
    Silent,
    Store,
    described_machine,
    is_of_export,
    place_of,
    require_whole,
    say,
    settings_of,
    study_data,
)

CARD_FILE = "README.md"
"""The model card, by the name that hubs of models show."""
MAX_LOSS = 0.005
"""Accuracy on the selection split that 8 bits may cost by default: half a point."""

_SIZES = (1, 64)


class HasFolder(Protocol):
    """A `Study`, or a `Distillation`."""

    @property
    def folder(self) -> Path | str:
        """Where it is."""


class Exporting(TypedDict, total=False):
    """What :func:`export` may be told."""

    format: str | Sequence[str]
    int8: bool
    max_loss: float
    teacher_int8: bool
    data: DataLike | None
    network: NetworkLike | None
    teacher: NetworkLike | None
    trust_code: bool
    progress: Progress | None


def export(
    study: str | Path | HasFolder,
    /,
    *,
    out: str | Path,
    format: str | Sequence[str] = "onnx",
    int8: bool = False,
    max_loss: float = MAX_LOSS,
    teacher_int8: bool = True,
    data: DataLike | None = None,
    network: NetworkLike | None = None,
    teacher: NetworkLike | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Export:
    """Write the delivered student of a study for other runtimes, and check what was written.

    Args:
        study: A finished study or distillation, or its folder.
        out: A new folder.
        format: One or several of ``onnx``, ``torch``, ``hf`` and ``safetensors``; in one string
            with commas, or a list.
        int8: Also write the ONNX file in 8 bits.
        max_loss: Accuracy on the selection split, 0 to 1, that 8 bits may cost; where they cost
            more, that file is not delivered.
        teacher_int8: Also measure the teacher in 8 bits, the student's competitor, where the
            student is written as ONNX; it is not delivered.
        data: The data again, where they were given in Python.
        network: The student's network again, where it was given in Python.
        teacher: The teacher's network again, where it was given in Python.
        trust_code: Import the factories ``python:module:factory`` that the study names. They are
            code of whoever wrote it.
        progress: Told how far the work is.

    Returns:
        What was written, how it compares with the student, and how long it takes; also in
        ``export.json`` of the folder and, of the last export, in that of the study.

    Raises:
        InputError: Something given cannot work; nothing has been written.
        RunError: What was written does not answer as the student does; nothing is delivered.
    """
    folder = place_of(study if isinstance(study, str | Path) else study.folder)
    target, watcher = Path(out), progress or Silent()
    _check(target, max_loss, Store(folder))
    student = load_student(_student_folder(folder), network=network, trust_code=trust_code)
    _give_teacher(Store.open(folder), teacher, trust_code=trust_code)
    forms = _formats(format, int8, student.card)
    parts = _data_of(folder, data)
    with under_way(target) as place, TemporaryDirectory() as scratch:
        test = parts.test.open("compare exported files with the student, and with its teacher")
        work = _Work(place, student, parts, test, logits_on(student, test), watcher)
        result = Export(
            architecture=student.card.architecture,
            size=size_of(student.network, student.card),
            temperature=student.card.temperature,
            files=work.written(forms),
            int8=work.quantized(max_loss) if int8 else None,
            **work.times(work.beside(folder, teacher_int8, Path(scratch))),
            **work.qualities(folder, network),
        )
        text = model_card(Store(folder), student.card, result)
        Store(place).write_json(EXPORT_FILE, result)
        Store(place).write_text(CARD_FILE, text)
    _keep(Store(folder), result, text, watcher)
    return result


def _give_teacher(store: Store, teacher: NetworkLike | None, *, trust_code: bool) -> None:
    """Let a study's teacher be made in this process, where the user gave it or trusts it."""
    config = settings_of(store)
    spec = config.teacher if isinstance(config, StudyConfig) else None
    if teacher is not None and spec is not None:
        give_again(spec, teacher)
    check_code([spec], where=store.root, trust_code=trust_code)


def _keep(store: Store, result: Export, card: str, watcher: Progress) -> None:
    """Note in the study what was found, for its report and its trackers.

    By then the export is complete, so what hinders this is told and hinders nothing else.
    """
    try:
        store.write_json(EXPORT_FILE, result)
        store.write_text(MODEL_CARD_FILE, card)
        if store.exists(SWEET_SPOT_FILE):
            write_report(store)
        tell_trackers(settings_of(store).tracker, store.root, watcher)
    except (StudyError, PackageError) as error:
        say(
            watcher,
            "The export is complete, but it could not be recorded completely in its study: "
            f"{error}",
            level=logging.WARNING,
        )


def _check(path: Path, max_loss: float, study: Store) -> None:
    check_new(path)
    if study.exists(CONFIG_FILE):
        require_whole(study, makes=is_of_export)
    if not 0 <= max_loss <= 1:
        raise ConfigError(
            f"max_loss must be a share of the examples, between 0 and 1, but is {max_loss:g}. "
            "Half a point is 0.005."
        )


def _formats(given: str | Sequence[str], int8: bool, card: StudentCard) -> list[Format]:
    names = given.split(",") if isinstance(given, str) else list(given)
    names = list(dict.fromkeys(name.strip() for name in names))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise ConfigError(
            f"format must be one of {', '.join(FORMATS)}, but is {', '.join(unknown) or 'empty'}."
        )
    if int8 and "onnx" not in names:
        raise ConfigError("8 bits are only possible for ONNX files: add --format onnx.")
    refused = [name for name in names if not FORMATS[name].takes(card)]
    if refused:
        fitting = [name for name, form in FORMATS.items() if form.takes(card)]
        raise ConfigError(
            f"The student is {card.architecture!r}, which the format {refused[0]} cannot store. "
            f"Use {', '.join(fitting)}."
        )
    return [FORMATS[name] for name in names]


def _student_folder(folder: Place) -> Place:
    inner = folder / "student"
    return inner if Store(inner).exists("config.json") else folder


def _data_of(folder: Place, data: DataLike | None) -> StudyData:
    store = Store.open(folder)
    return study_data(store, settings_of(store), data=data, call="export")


@dataclass(frozen=True)
class _Work:
    """An export under way.

    Attributes:
        place: The folder that will be the export.
        student: The student.
        parts: The study's data.
        test: The test split, open.
        logits: The student's on it, [N, C].
        watcher: Told how far the work is.
    """

    place: Path
    student: Classifier
    parts: StudyData
    test: Split
    logits: Tensor
    watcher: Progress

    def written(self, forms: Sequence[Format]) -> tuple[ExportedFile, ...]:
        """Write the student in each format, and check it."""
        found, store = [], Store(self.place.parent)
        before: set[Path] = set()
        for form in forms:
            say(self.watcher, f"writing the student as {form.name}")
            form.write(store, self.place.name, self.student.network, self.student.card)
            agreement = compare(form.read(self.place), self.logits, self.test)
            check(agreement, form.name)
            files = {path for path in self.place.rglob("*") if path.is_file()}
            found.append(
                ExportedFile(
                    format=form.name,
                    file=form.file,
                    num_bytes=sum(path.stat().st_size for path in files - before),
                    agreement=agreement,
                )
            )
            before = files
        return tuple(found)

    def quantized(self, max_loss: float) -> Int8:
        """Write the ONNX file in 8 bits, and remove it where it costs too much."""
        say(self.watcher, "writing the ONNX file in 8 bits")
        eight, target = in_8_bits(self.place, self.parts.transfer), self.place / INT8_FILE
        selection, size = self.parts.selection, target.stat().st_size
        loss = _accuracy(self.student, selection) - _accuracy(eight, selection)
        if loss > max_loss:
            target.unlink()
            return Int8(delivered=False, selection_loss=loss, max_loss=max_loss, num_bytes=size)
        ours, theirs = self.logits.argmax(-1), logits_on(eight, self.test).argmax(-1)
        labels = self.test.labels
        difference = paired_interval(
            (theirs == labels).numpy()[None], (ours == labels).numpy()[None]
        )
        return Int8(
            delivered=True,
            selection_loss=loss,
            max_loss=max_loss,
            num_bytes=size,
            test_difference=difference.mean,
            interval=(difference.low, difference.high),
            changed=int((ours != theirs).sum()),
            examples=len(self.test),
        )

    def qualities(self, folder: Place, network: NetworkLike | None) -> dict[str, Any]:
        """Measure the student, and that of hard labels where it is another one."""
        labels, temperature = self.test.labels, self.student.card.temperature
        found: dict[str, Any] = {
            "student": quality_of(self.logits, labels, temperature=temperature)
        }
        twin_folder = folder / "baseline"
        if not Store(twin_folder).exists("config.json"):
            return found
        twin = load_student(twin_folder, network=network)
        if twin.card == self.student.card:
            return found
        theirs = logits_on(twin, self.test)
        predicted, names = (self.logits.argmax(-1), theirs.argmax(-1)), self.student.class_names
        return found | {
            "hard_labels": quality_of(theirs, labels, temperature=twin.card.temperature),
            "changed_classes": class_changes(*predicted, labels, names),
        }

    def beside(self, folder: Place, int8: bool, scratch: Path) -> Beside:
        """Find the study's teacher, and make it run as the student does."""
        say(self.watcher, "measuring the student and its teacher")
        wanted = Wanted(onnx=(self.place / ONNX_FILE).exists(), int8=int8)
        return teacher_beside(Store(folder), self.parts, self.test, wanted, scratch)

    def times(self, beside: Beside) -> dict[str, Any]:
        """Time the student and its teacher in turns, and say how they compare."""
        runtimes: dict[str, Answers] = {TORCH: self.student}
        files = {FLOATS: self.place / ONNX_FILE, EIGHT: self.place / INT8_FILE}
        there = {name: path for name, path in files.items() if path.exists()}
        runtimes |= {name: read_onnx(path, threads=1) for name, path in there.items()}
        ours, theirs = _timed([runtimes, beside.runtimes], self.parts)
        smallest = min((path.stat().st_size for path in there.values()), default=0)
        teacher = beside.measured(theirs, self.test, Ours(self.logits, smallest), ours)
        machine = described_machine("cpu float32")
        return {"timed": ours, "teacher": teacher, "machine": machine}


def _accuracy(student: Answers, split: Split) -> float:
    right = logits_on(student, split).argmax(-1) == split.labels
    return float(right.double().mean())


def _timed(
    models: Sequence[Mapping[str, Answers]], parts: StudyData
) -> tuple[tuple[Timed, ...], ...]:
    """Return how long each of several models takes in each of its runtimes, all in turns."""
    sizes = dict.fromkeys(min(size, len(parts.transfer)) for size in _SIZES)
    taken = {size: batches_of(parts.transfer, size) for size in sizes}
    each = iter(measure_latencies([one for model in models for one in model.values()], taken))
    return tuple(
        tuple(Timed(runtime=name, latencies=next(each)) for name in model) for model in models
    )
