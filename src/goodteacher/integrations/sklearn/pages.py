"""The model card of a table's student: what it takes, how good it is, and how it is served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from goodteacher.integrations.sklearn.exported import TableCard, TableExport
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

_TASK = "tabular-classification"
_MANY = 40
"""Columns that are listed, at most."""

_SERVED = """## Run it

```python
import json

import numpy as np
import onnxruntime

model = onnxruntime.InferenceSession("model.onnx")
classes = json.loads(model.get_modelmeta().custom_metadata_map["class_names"])
{rows}
(probabilities,) = model.run(["probabilities"], rows)
print([classes[number] for number in probabilities.argmax(axis=1)])
```"""


def table_page(found: TableExport) -> str:
    """Return a model card in Markdown, with metadata that the Hugging Face hub reads."""
    card = found.card
    takes = f"rows of {card.num_columns} columns"
    parts = [title(card.student, takes, card.class_names), *_takes(card)]
    parts.append(f"## Did a teacher help?\n\n{escaped(found.summary)}")
    parts += [*_quality(found), *_file(found), _SERVED.format(rows=_made_up(card)), LIMITS]
    return _metadata(found) + "\n\n".join(parts) + "\n"


def _metadata(found: TableExport) -> str:
    told: dict[str, Any] = {
        "library_name": "onnx",
        "tags": ["knowledge-distillation", "goodteacher"],
        "pipeline_tag": _TASK,
    }
    if found.student is not None:
        result = {
            "task": {"type": _TASK},
            "dataset": {"name": "rows given to export", "type": "table", "split": "test"},
            "metrics": metrics(found.student),
        }
        told["model-index"] = [{"name": found.card.student, "results": [result]}]
    return front_matter(told)


def _takes(card: TableCard) -> Iterator[str]:
    if not card.columns:
        yield f"The file takes one tensor, `inputs`: float32 `[rows, {card.num_columns}]`."
        return
    lines = [f"- {escaped(each.name)}: {_KINDS[each.kind]}" for each in card.columns[:_MANY]]
    if len(card.columns) > _MANY:
        lines.append(f"- and {len(card.columns) - _MANY} more, which are listed in the file itself")
    yield "The file takes a tensor `[rows, 1]` for each column:\n\n" + "\n".join(lines)


_KINDS = {
    "number": "float32; a missing value is NaN, true is 1",
    "text": "text; a missing value is an empty text",
    "word": "text without spaces around it; a missing value is an empty text",
}


def _quality(found: TableExport) -> Iterator[str]:
    if found.student is None:
        yield (
            "## How good it is\n\nNot measured, because the export got rows without their classes."
        )
        return
    rows = [("this student", found.student), ("student of hard labels", found.hard_labels)]
    known = [(name, quality) for name, quality in rows if quality is not None]
    yield "## How good it is\n\n" + quality_table(known)
    yield (
        f"On {found.student.num_examples:,} rows that were given to the export, with 95 % "
        "intervals over rows. They say how good it is on new rows if it did not learn from these."
    )
    yield told_covered(found.student)
    yield told_classes(found.hard_labels, found.changed_classes)


def _file(found: TableExport) -> Iterator[str]:
    (file,) = found.files
    yield (
        f"## File\n\n`{file.file}`: {file.num_bytes:,} bytes, "
        f"{', '.join(f'{name} {version}' for name, version in found.card.opsets.items())}. On "
        f"{file.agreement.examples:,} rows no prediction differs from the student's, and "
        f"probabilities by {file.agreement.largest_difference:.1g} at most{_ties(found)}. It "
        f"learned from {_FAMILIES.get(found.card.learned_from, found.card.learned_from)}."
    )
    sizes = " and ".join(str(one.batch_size) for one in found.timed[0].latencies)
    times = [
        f"{timed.runtime} {' and '.join(f'{1000 * one.median:.3g}' for one in timed.latencies)} ms"
        for timed in found.timed
    ]
    parameters = f"{found.size.parameters:,} parameters. " if found.size else ""
    yield (
        f"{parameters}Median time for a batch of {sizes} on one thread ({found.machine}): "
        f"{'; '.join(times)}. The inputs of the file were prepared before the timing."
    )


def _ties(found: TableExport) -> str:
    if not found.ties:
        return ""
    return f" (except for {found.ties} rows whose two best classes are equally probable)"


_FAMILIES = {
    "distilled": "the teacher",
    "hard_labels": "hard labels",
    "label_smoothing": "label smoothing",
}


def _made_up(card: TableCard) -> str:
    if not card.columns:
        return f'rows = {{"inputs": np.zeros((1, {card.num_columns}), np.float32)}}'
    text = 'np.array([[""]], object)'
    values = {"number": "np.array([[0.0]], np.float32)", "text": text, "word": text}
    lines = [f"    {each.name!r}: {values[each.kind]}," for each in card.columns]
    return "\n".join(["rows = {", *lines, "}"])
