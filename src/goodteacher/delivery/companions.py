"""What stands beside a graph of a student of texts: how texts become its numbers.

``tokenizer.json`` is the file of that name that the package ``tokenizers`` reads. ``terms.json``
holds the arguments of scikit-learn's ``TfidfVectorizer``, its vocabulary and its weights, so that
a few lines rebuild it; docs/delivery.md has them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from goodteacher.data.terms import ANALYZERS
from goodteacher.networks import Preparation, kind_of, preparation_from
from goodteacher.studies import Store, reading

TERMS_FILE, TOKENIZER_FILE = "terms.json", "tokenizer.json"

FILES = {"tfidf": TERMS_FILE, "tokenizer": TOKENIZER_FILE}
"""The companion of each kind of step that takes texts."""


def write_companion(store: Store, folder: str, reader: Preparation) -> None:
    """Write what a reader of texts does."""
    record = reader.to_dict()
    if kind_of(reader) == "tokenizer":
        content = record["tokenizer"]
    else:
        settings = {**ANALYZERS[record["analyzer"]], "sublinear_tf": True}
        content = {"settings": settings, **record}
    store.write_text(f"{folder}/{FILES[kind_of(reader)]}", json.dumps(content) + "\n")


def read_companion(folder: Path, kind: str, fields: list[str]) -> Preparation:
    """Read what :func:`write_companion` wrote.

    Args:
        folder: Where.
        kind: Of the step.
        fields: What the graph takes.

    Raises:
        StudyError: The file is missing or damaged.
    """
    path = folder / FILES[kind]
    with reading(path, "how texts become numbers"):
        content: dict[str, Any] = json.loads(path.read_bytes())
        if kind == "tokenizer":
            record = {"tokenizer": content, "inputs": fields}
        else:
            record = {name: value for name, value in content.items() if name != "settings"}
        first, _ = preparation_from({"steps": [{"kind": kind, **record}]}).apart()
    return first
