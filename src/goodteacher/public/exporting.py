"""``export``: the delivered student in files that other runtimes read, each checked before it is.

Everything is written beside the folder asked for, and becomes it once all checks hold. What is
compared there are two ways of running one student, so the test split may be opened; whether 8 bits
cost too much is decided on the selection split.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypedDict

import torch
from torch import Tensor

from goodteacher.data import Split, StudyData
from goodteacher.delivery import (
    FORMATS,
    INT8_FILE,
    ONNX_FILE,
    Answers,
    Classifier,
    Format,
    StudentCard,
    batches,
    batches_of,
    check,
    class_changes,
    compare,
    load_student,
    logits_on,
    measure_latencies,
    quality_of,
    quantize,
    read_onnx,
    size_of,
)
from goodteacher.errors import ConfigError
from goodteacher.maths.statistics import paired_interval
from goodteacher.networks import NetworkLike
from goodteacher.public.exported import Export, ExportedFile, Int8, Timed
from goodteacher.public.model_card import model_card
from goodteacher.public.new_folder import check_new, under_way
from goodteacher.studies import (
    DataLike,
    Progress,
    Silent,
    Store,
    described_machine,
    say,
    settings_of,
    study_data,
)

EXPORT_FILE = "export.json"
CARD_FILE = "README.md"
"""The model card, by the name that hubs of models show."""
MAX_LOSS = 0.005
"""Accuracy on the selection split that 8 bits may cost by default: half a point."""

_CALIBRATION = 512
"""Transfer examples that say in which range activations lie."""

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
    data: DataLike | None
    network: NetworkLike | None
    progress: Progress | None


def export(
    study: str | Path | HasFolder,
    /,
    *,
    out: str | Path,
    format: str | Sequence[str] = "onnx",
    int8: bool = False,
    max_loss: float = MAX_LOSS,
    data: DataLike | None = None,
    network: NetworkLike | None = None,
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
        data: The data again, where they were given in Python.
        network: The student's network again, where it was given in Python.
        progress: Told how far the work is.

    Returns:
        What was written, how it compares with the student, and how long it takes; also in
        ``export.json`` of the folder.

    Raises:
        InputError: Something given cannot work; nothing has been written.
        RunError: What was written does not answer as the student does; nothing is delivered.
    """
    folder = Path(study if isinstance(study, str | Path) else study.folder)
    target, watcher = Path(out), progress or Silent()
    check_new(target)
    _check_loss(max_loss)
    student = load_student(_student_folder(folder), network=network)
    forms = _formats(format, int8, student.card)
    parts = _data_of(folder, data)
    with under_way(target) as place:
        test = parts.test.open("compare exported files with the student")
        logits = logits_on(student, test)
        found = _written(place, forms, student, test, logits, watcher)
        quantized = _quantized(place, student, parts, logits, max_loss, watcher) if int8 else None
        result = Export(
            architecture=student.card.architecture,
            size=size_of(student.network, student.card),
            temperature=student.card.temperature,
            files=found,
            int8=quantized,
            machine=described_machine("cpu float32"),
            timed=_timed(place, student, parts),
            **_qualities(folder, student, parts, logits, network),
        )
        Store(place).write_json(EXPORT_FILE, result)
        Store(place).write_text(CARD_FILE, model_card(Store(folder), student.card, result))
    return result


def _check_loss(max_loss: float) -> None:
    if not 0 <= max_loss <= 1:
        raise ConfigError(
            f"max_loss must be between 0 and 1, a share of the examples, but is {max_loss:g}. "
            "Half a point is 0.005."
        )


def _formats(given: str | Sequence[str], int8: bool, card: StudentCard) -> list[Format]:
    names = given.split(",") if isinstance(given, str) else list(given)
    names = list(dict.fromkeys(name.strip() for name in names))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise ConfigError(
            f"format must be of {', '.join(FORMATS)}, but is {', '.join(unknown) or 'empty'}."
        )
    if int8 and "onnx" not in names:
        raise ConfigError("8 bits are for ONNX files: ask for them with --format onnx.")
    refused = [name for name in names if not FORMATS[name].takes(card)]
    if refused:
        fitting = [name for name, form in FORMATS.items() if form.takes(card)]
        raise ConfigError(
            f"The student is {card.architecture!r}, which the format {refused[0]} does not hold. "
            f"Use {', '.join(fitting)}."
        )
    return [FORMATS[name] for name in names]


def _student_folder(folder: Path) -> Path:
    inner = folder / "student"
    return inner if (inner / "config.json").exists() else folder


def _data_of(folder: Path, data: DataLike | None) -> StudyData:
    store = Store.open(folder)
    return study_data(store, settings_of(store), data=data, call="export")


def _written(
    place: Path,
    forms: Sequence[Format],
    student: Classifier,
    test: Split,
    logits: Tensor,
    watcher: Progress,
) -> tuple[ExportedFile, ...]:
    found, store = [], Store(place.parent)
    before: set[Path] = set()
    for form in forms:
        say(watcher, f"writing the student as {form.name}")
        form.write(store, place.name, student.network, student.card)
        agreement = compare(form.read(place), logits, test)
        check(agreement, form.name)
        files = {path for path in place.rglob("*") if path.is_file()}
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


def _quantized(
    place: Path,
    student: Classifier,
    parts: StudyData,
    logits: Tensor,
    max_loss: float,
    watcher: Progress,
) -> Int8:
    say(watcher, "writing the ONNX file in 8 bits")
    floats, target = read_onnx(place / ONNX_FILE), place / INT8_FILE
    few = parts.transfer.subset(_spread(len(parts.transfer)))
    quantize(place / ONNX_FILE, target, (floats.arrays(batch) for batch in batches(few, 64)))
    eight = read_onnx(target)
    loss = _accuracy(student, parts.selection) - _accuracy(eight, parts.selection)
    size = target.stat().st_size
    if loss > max_loss:
        target.unlink()
        return Int8(delivered=False, selection_loss=loss, max_loss=max_loss, num_bytes=size)
    test = parts.test.open("measure what 8 bits cost the student")
    ours, theirs = logits.argmax(-1), logits_on(eight, test).argmax(-1)
    difference = paired_interval(
        (theirs == test.labels).numpy()[None], (ours == test.labels).numpy()[None]
    )
    return Int8(
        delivered=True,
        selection_loss=loss,
        max_loss=max_loss,
        num_bytes=size,
        test_difference=difference.mean,
        interval=(difference.low, difference.high),
        changed=int((ours != theirs).sum()),
        examples=len(test),
    )


def _spread(count: int) -> Tensor:
    """Return positions of a few of so many examples, from all over them."""
    return torch.linspace(0, count - 1, min(count, _CALIBRATION)).round().long()


def _accuracy(student: Answers, split: Split) -> float:
    right = logits_on(student, split).argmax(-1) == split.labels
    return float(right.double().mean())


def _qualities(
    folder: Path,
    student: Classifier,
    parts: StudyData,
    logits: Tensor,
    network: NetworkLike | None,
) -> dict[str, Any]:
    """Measure the student, and that of hard labels where it is another one."""
    test = parts.test.open("measure the delivered student and that of hard labels")
    found: dict[str, Any] = {
        "student": quality_of(logits, test.labels, temperature=student.card.temperature)
    }
    twin_folder = folder / "baseline"
    if not (twin_folder / "config.json").exists():
        return found
    twin = load_student(twin_folder, network=network)
    if twin.card == student.card:
        return found
    theirs = logits_on(twin, test)
    predicted = logits.argmax(-1), theirs.argmax(-1)
    return found | {
        "hard_labels": quality_of(theirs, test.labels, temperature=twin.card.temperature),
        "changed_classes": class_changes(*predicted, test.labels, parts.class_names),
    }


def _timed(place: Path, student: Classifier, parts: StudyData) -> tuple[Timed, ...]:
    runtimes: dict[str, Answers] = {"PyTorch": student}
    for name, file in (("ONNX Runtime", ONNX_FILE), ("ONNX Runtime, 8 bits", INT8_FILE)):
        if (place / file).exists():
            runtimes[name] = read_onnx(place / file, threads=1)
    sizes = dict.fromkeys(min(size, len(parts.transfer)) for size in _SIZES)
    taken = {size: batches_of(parts.transfer, size) for size in sizes}
    measured = measure_latencies(list(runtimes.values()), taken)
    return tuple(
        Timed(runtime=name, latencies=each) for name, each in zip(runtimes, measured, strict=True)
    )
