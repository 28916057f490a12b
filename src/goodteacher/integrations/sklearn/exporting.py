"""``DistilledClassifier.export``: a table's student as an ONNX file, checked before it is one.

Everything is written beside the folder asked for, and becomes it once the check holds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils.validation import column_or_1d
from threadpoolctl import threadpool_limits

from goodteacher.config import Recipe
from goodteacher.data import shorten
from goodteacher.delivery import (
    ONNX_FILE,
    Classifier,
    class_changes,
    measure_latencies,
    quality_of,
    size_of,
)
from goodteacher.errors import ConfigError, DataError
from goodteacher.integrations.sklearn.asking import Numbers, Served, asked, check, compared, some
from goodteacher.integrations.sklearn.comparing import HARD_LABELS
from goodteacher.integrations.sklearn.exported import TableCard, TableExport
from goodteacher.integrations.sklearn.graphs import OPSETS, graph_of, steps_of
from goodteacher.integrations.sklearn.pages import table_page
from goodteacher.maths.targets import logits_of
from goodteacher.public.new_folder import check_new, under_way
from goodteacher.records import Answer, ExportedFile, Quality, Timed
from goodteacher.studies import Store, described_machine

EXPORT_FILE, PAGE_FILE = "export.json", "README.md"
_SMALLEST = 1e-15  # what a class of probability 0 counts as in a log loss, as when students compete
_SIZES, _BATCHES = (1, 64), 8
"""Batch sizes that are timed, and how many batches of each take turns."""


@dataclass(frozen=True)
class Leaving:
    """A fitted student that shall leave.

    Attributes:
        student: Of scikit-learn's kind, or one of the library's own.
        baseline: The student of hard labels.
        classes: The classes, sorted.
        learned_from: The family of the student.
        recipe: The best of those that were tried.
        answer: Whether to distill.
        summary: The same in sentences.
    """

    student: Any
    baseline: Any
    classes: npt.NDArray[Any]
    learned_from: str
    recipe: Recipe
    answer: Answer
    summary: str

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return tuple(map(str, self.classes.tolist()))


def export_table(leaving: Leaving, out: str | Path, rows: Any, y: Any, format: str) -> TableExport:
    """Write a student as an ONNX file, and check what was written.

    Args:
        leaving: The student.
        out: A new folder.
        rows: On which file and student are compared.
        y: Their classes, on which the student is measured, or None.
        format: ``"onnx"``.

    Raises:
        InputError: Something given cannot work; nothing has been written.
        RunError: The file does not answer as the student does; nothing is delivered.
    """
    _check_format(format, leaving)
    target, count = Path(out), int(rows.shape[0])
    check_new(target)
    if not count:
        raise DataError(
            "X has no rows. Give rows like those that will be predicted: they are used to check "
            "the file."
        )
    codes = None if y is None else _codes(y, leaving.classes, count)
    model, columns = graph_of(leaving.student, rows, leaving.classes)
    card = _card(leaving, columns, rows)
    _note(model, card, leaving.names)
    ask = asked(leaving.student, leaving.classes)
    expected = ask(rows)
    with under_way(target) as place:
        (place / ONNX_FILE).write_bytes(model.SerializeToString())
        served = Served(place / ONNX_FILE, columns)
        agreement, ties = compared(served, expected, rows)
        check(agreement, served, leaving.student, ask, expected, rows)
        size = (place / ONNX_FILE).stat().st_size
        own = isinstance(leaving.student, Classifier)
        found = TableExport(
            card=card,
            answer=leaving.answer,
            summary=leaving.summary,
            files=(
                ExportedFile(format="onnx", file=ONNX_FILE, num_bytes=size, agreement=agreement),
            ),
            ties=ties,
            size=size_of(leaving.student.network, leaving.student.card) if own else None,
            machine=described_machine("cpu float32"),
            timed=_timed(leaving, ask, Served(place / ONNX_FILE, columns, threads=1), rows),
            **({} if codes is None else _qualities(leaving, expected, rows, codes)),
        )
        Store(place).write_json(EXPORT_FILE, found)
        Store(place).write_text(PAGE_FILE, table_page(found))
    return found


def _check_format(format: str, leaving: Leaving) -> None:
    if format == "onnx":
        return
    if isinstance(leaving.student, Classifier):
        raise ConfigError(
            f"The student of a table can be exported only as 'onnx', not as {format!r}. To export "
            "a network in other formats, give DistilledClassifier(out=FOLDER), fit, and call "
            "goodteacher.export on FOLDER/study."
        )
    raise ConfigError(f"A scikit-learn student can be exported only as 'onnx', not as {format!r}.")


def _codes(y: Any, classes: npt.NDArray[Any], count: int) -> torch.Tensor:
    """Return the class of each row as a position among the classes."""
    labels = column_or_1d(y)
    if len(labels) != count:
        raise DataError(
            f"y has {len(labels)} classes for the {count} rows of X. Give one for each."
        )
    if count < 2:
        raise DataError(
            "One row is too few to measure how good a student is. Leave y out, or give more rows."
        )
    known = np.isin(labels, classes)
    if not known.all():
        raise DataError(
            f"y holds {shorten(sorted(set(labels[~known].tolist()), key=str))}, but the student "
            f"has never seen these classes; its classes are {shorten(classes.tolist())}. Leave "
            "these rows out."
        )
    return torch.from_numpy(np.searchsorted(classes, labels).astype(np.int64))


def _card(leaving: Leaving, columns: Any, rows: Any) -> TableCard:
    student = leaving.student
    own = isinstance(student, Classifier)
    used = ("goodteacher", "onnx", "torch" if own else "scikit-learn", "skl2onnx")
    return TableCard(
        student=student.card.architecture if own else steps_of(student),
        class_names=leaving.names,
        columns=columns,
        num_columns=int(rows.shape[1]),
        learned_from=leaving.learned_from,
        recipe=str(leaving.recipe),
        fingerprint=student.card.fingerprint if own else "",
        opsets={name or "ai.onnx": version for name, version in OPSETS.items()},
        versions={name: metadata.version(name) for name in used[: 3 if own else 4]},
    )


def _note(model: Any, card: TableCard, names: tuple[str, ...]) -> None:
    """Write what a student is into the metadata of its model."""
    noted = {each.key: each.value for each in model.metadata_props}
    noted |= {"class_names": json.dumps(names), "table": card.model_dump_json()}
    del model.metadata_props[:]
    for key, value in noted.items():
        model.metadata_props.add(key=key, value=value)


def _qualities(
    leaving: Leaving, expected: Numbers, rows: Any, codes: torch.Tensor
) -> dict[str, Any]:
    """Measure the student, and that of hard labels where it is another one."""
    found: dict[str, Any] = {"student": _quality(leaving.student, expected, codes)}
    if leaving.learned_from == HARD_LABELS:
        return found
    theirs = asked(leaving.baseline, leaving.classes)(rows)
    ours, other = (torch.from_numpy(each.argmax(axis=1)) for each in (expected, theirs))
    return found | {
        "hard_labels": _quality(leaving.baseline, theirs, codes),
        "changed_classes": class_changes(ours, other, codes, leaving.names),
    }


def _quality(student: Any, said: Numbers, codes: torch.Tensor) -> Quality:
    temperature = student.card.temperature if isinstance(student, Classifier) else 1.0
    probabilities = torch.from_numpy(np.maximum(said, _SMALLEST))
    logits = logits_of(probabilities / probabilities.sum(1, keepdim=True), temperature=temperature)
    return quality_of(logits, codes, temperature=temperature)


def _timed(leaving: Leaving, ask: Any, served: Served, rows: Any) -> tuple[Timed, ...]:
    """Measure the student on rows as given, and its file on the arrays that it takes."""
    sizes = dict.fromkeys(min(size, int(rows.shape[0])) for size in _SIZES)
    batches = {size: _batches(served, rows, size) for size in sizes}
    runtimes: dict[str, Any] = {
        "PyTorch" if isinstance(leaving.student, Classifier) else "scikit-learn": (
            lambda batch: ask(batch[0])
        ),
        "ONNX Runtime": lambda batch: served.run(batch[1]),
    }
    with threadpool_limits(1):
        measured = measure_latencies(list(runtimes.values()), batches)
    return tuple(
        Timed(runtime=name, latencies=each) for name, each in zip(runtimes, measured, strict=True)
    )


def _batches(served: Served, rows: Any, size: int) -> list[tuple[Any, Any]]:
    starts = range(0, int(rows.shape[0]) - size + 1, size)[:_BATCHES]
    parts = [some(rows, start, size) for start in starts]
    return [(part, served.takes(part)) for part in parts]
