"""What stands beside a graph of a student of texts: how texts become its numbers.

``tokenizer.json`` is the file of that name that the package ``tokenizers`` reads. ``terms.json``
holds, for each column of texts, the arguments of scikit-learn's ``TfidfVectorizer``, its vocabulary
and its weights, so that a few lines rebuild it; docs/delivery.md has them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goodteacher.data.terms import ANALYZERS
from goodteacher.networks import Preparation, kind_of, preparation_from
from goodteacher.studies import Store, reading

TERMS_FILE, TOKENIZER_FILE = "terms.json", "tokenizer.json"

FILES = {"tfidf": TERMS_FILE, "tfidf_columns": TERMS_FILE, "tokenizer": TOKENIZER_FILE}
"""The companion of each kind of step that takes texts."""

_CONTENT = "tokenizer"
"""What of a tokenizer's record is its companion; the rest is noted with the graph."""


def write_companion(store: Store, folder: str, reader: Preparation | None) -> None:
    """Write what a reader of texts does; nothing where examples are numbers."""
    if reader is None:
        return
    kind, record = kind_of(reader), reader.to_dict()
    if kind == "tokenizer":
        content = record[_CONTENT]
    elif kind == "tfidf":
        content = _with_settings(record)
    else:
        content = {"columns": [_with_settings(one) for one in record["columns"]]}
    store.write_text(f"{folder}/{FILES[kind]}", json.dumps(content) + "\n")


def noted(reader: Preparation | None) -> dict[str, Any]:
    """Return what is kept with a graph about its reader of texts, beside the companion."""
    if reader is None:
        return {}
    kind = kind_of(reader)
    rest = {key: value for key, value in reader.to_dict().items() if key != _CONTENT}
    return {"kind": kind, **(rest if kind == "tokenizer" else {})}


def read_companion(folder: Path, note: Mapping[str, Any]) -> Preparation | None:
    """Return the reader of texts of what :func:`write_companion` and :func:`noted` gave.

    Args:
        folder: Where the graph is.
        note: What was kept with it; empty where examples are numbers.

    Raises:
        StudyError: The companion is missing or damaged.
    """
    if not note:
        return None
    path = folder / FILES[note["kind"]]
    with reading(path, "how texts become numbers"):
        content: dict[str, Any] = json.loads(path.read_bytes())
        record = {_CONTENT: content} if note["kind"] == "tokenizer" else _without_settings(content)
        (step,) = preparation_from({"steps": [{**note, **record}]}).steps
    return step  # type: ignore[return-value]


def _with_settings(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"settings": {**ANALYZERS[record["analyzer"]], "sublinear_tf": True}, **record}


def _without_settings(content: Any) -> Any:
    if isinstance(content, dict):
        return {k: _without_settings(v) for k, v in content.items() if k != "settings"}
    return [_without_settings(one) for one in content] if isinstance(content, list) else content
