"""What stands beside a graph of a student of texts or table rows: how these become its numbers.

``columns.json`` holds the names of a row's columns in their order, and the words of each column
that has some: a word goes into the graph as its place among them. ``tokenizer.json`` is the file of
that name that the package ``tokenizers`` reads. ``terms.json`` holds, for each column of texts, the
arguments of scikit-learn's ``TfidfVectorizer``, its vocabulary and its weights, so that a few lines
rebuild it; docs/delivery.md has them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goodteacher.data import InputSpec, inside
from goodteacher.data.terms import ANALYZERS
from goodteacher.errors import StudyError
from goodteacher.networks import Preparation, kind_of, preparation_from
from goodteacher.studies import Store, reading

COLUMNS_FILE, TERMS_FILE, TOKENIZER_FILE = "columns.json", "terms.json", "tokenizer.json"

_ROWS = "rows"
FILES = {
    _ROWS: COLUMNS_FILE,
    "tfidf": TERMS_FILE,
    "tfidf_columns": TERMS_FILE,
    "tokenizer": TOKENIZER_FILE,
}
"""The companion of table rows, and of each kind of step that takes texts."""

_CONTENT = "tokenizer"
"""What of a tokenizer's record is its companion; the rest is noted with the graph."""


def write_companion(store: Store, folder: str, spec: InputSpec, reader: Preparation | None) -> None:
    """Write what makes numbers of texts or table rows; nothing where numbers have no names.

    Args:
        store: Of the study.
        folder: Where the graph is, below the study's folder.
        spec: What one example is, as it is stored.
        reader: What makes numbers of texts; None where examples are no texts.
    """
    note = noted(spec, reader)
    if note:
        content = _columns_of(spec) if reader is None else _content_of(reader)
        store.write_text(f"{folder}/{FILES[note['kind']]}", json.dumps(content) + "\n")


def noted(spec: InputSpec, reader: Preparation | None) -> dict[str, Any]:
    """Return what is kept with a graph about its companion, beside that; see `write_companion`."""
    if reader is None:
        return {"kind": _ROWS} if spec.kind in ("rows", "numbers") and spec.columns else {}
    kind = kind_of(reader)
    rest = {key: value for key, value in reader.to_dict().items() if key != _CONTENT}
    return {"kind": kind, **(rest if kind == "tokenizer" else {})}


def read_companion(folder: Path, note: Mapping[str, Any], spec: InputSpec) -> Preparation | None:
    """Return the reader of texts of what :func:`write_companion` and :func:`noted` gave.

    Args:
        folder: Where the graph is.
        note: What was kept with it; empty where examples are numbers.
        spec: What one example is, as it is stored.

    Returns:
        The reader; None where examples are no texts.

    Raises:
        StudyError: The companion is missing or damaged, or of another student.
    """
    if not note:
        return None
    path = inside(folder, FILES[note["kind"]], error=StudyError)
    with reading(path, "how examples are converted to numbers"):
        content: dict[str, Any] = json.loads(path.read_bytes())
        if note["kind"] == _ROWS:
            if content != _columns_of(spec):
                raise ValueError("its columns and words are not those of the student")
            return None
        record = {_CONTENT: content} if note["kind"] == "tokenizer" else _without_settings(content)
        (step,) = preparation_from({"steps": [{**note, **record}]}).steps
    return step  # type: ignore[return-value]


def _columns_of(spec: InputSpec) -> dict[str, Any]:
    known: dict[str, Any] = spec.model_dump(mode="json", include={"columns", "words"})
    return known


def _content_of(reader: Preparation) -> dict[str, Any]:
    kind, record = kind_of(reader), reader.to_dict()
    if kind == "tokenizer":
        content: dict[str, Any] = record[_CONTENT]
        return content
    if kind == "tfidf":
        return _with_settings(record)
    return {"columns": [_with_settings(one) for one in record["columns"]]}


def _with_settings(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"settings": {**ANALYZERS[record["analyzer"]], "sublinear_tf": True}, **record}


def _without_settings(content: Any) -> Any:
    if isinstance(content, dict):
        return {k: _without_settings(v) for k, v in content.items() if k != "settings"}
    return [_without_settings(one) for one in content] if isinstance(content, list) else content
