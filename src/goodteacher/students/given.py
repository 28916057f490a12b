"""Read a response beside its data, tell what may be wrong with it, and keep it in the folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from goodteacher.errors import StudyError
from goodteacher.records import FileSource
from goodteacher.responses import (
    Logits,
    Response,
    ResponseLike,
    examine_response,
    row_chunks,
    save_arrays,
)
from goodteacher.studies import RESPONSE_FILE, Context


def keep_response(
    context: Context, response: Response, *, given: ResponseLike | None = None
) -> FileSource:
    """Copy the response, aligned with the transfer set, into the folder.

    Args:
        context: Data and folder; its watcher is told what may be wrong with the response.
        response: The fitted response.
        given: As it was given: the name of a file is kept, for the report.

    Raises:
        ResponseError: It lacks examples of the transfer set.
        StudyError: The folder holds students of another response.
    """
    ids = context.data.transfer.ids
    logits = response.aligned_to(ids)
    content = _digest(logits)
    store = context.store
    if store.exists(RESPONSE_FILE) and store.read_notes(RESPONSE_FILE)["content"] != content:
        raise StudyError(
            f"{store.root} contains students of another response. Choose a new folder with --out."
        )
    tell(context, response)
    with store.writing(RESPONSE_FILE) as path:
        name = {"name": Path(given).name} if isinstance(given, str | os.PathLike) else {}
        notes = {"format": "pt", "content": content, **name}
        save_arrays(path, {"logits": logits, "ids": ids}, notes)
    return FileSource(content=content)


def _digest(logits: Logits) -> str:
    """Return 16 digits that name the numbers of a response, in whatever precision they are kept."""
    digest = hashlib.sha256()
    for rows in row_chunks(*logits.shape):
        digest.update(logits[rows].contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def tell(context: Context, response: Response, *, name: str = "response") -> None:
    """Tell the watcher what may be wrong with a response.

    Args:
        context: Data and watcher.
        response: The fitted response.
        name: What it is called where it is not the one that students learn from.
    """
    if not bool((context.data.transfer.labels >= 0).any()):
        context.warn(
            "no training example has a label, so students of hard labels cannot learn: the gain "
            "over them is meaningless."
        )
    for finding in examine_response(response, context.data):
        text = finding.message[:1].lower() + finding.message[1:]
        context.warn(text if name == "response" else f"{name}: {text}")
