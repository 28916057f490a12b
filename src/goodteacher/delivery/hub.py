"""Delivered students on the Hugging Face hub: the folder that ``safetensors`` writes, as it is.

Its ``config.json`` and ``model.safetensors`` have the names that the hub's own classes expect, so a
folder that is uploaded whole can be loaded again by the name of its repository.
"""

from __future__ import annotations

from pathlib import Path

from goodteacher.delivery.safetensors_folder import (
    CARD_FILE,
    NETWORK_FILE,
    PREPARATION_FILE,
    WEIGHTS_FILE,
)
from goodteacher.errors import StudyError, needed_package

FILES = (CARD_FILE, WEIGHTS_FILE, PREPARATION_FILE, NETWORK_FILE)
"""Files of a student; nothing else of a repository is fetched."""


def folder_of(name: str | Path, *, revision: str | None, local_files_only: bool) -> Path:
    """Return the folder of a student: one that is here, or that of a repository of the hub.

    Args:
        name: A folder; or a repository, ``owner/name``, of which its files are fetched.
        revision: A branch, tag or commit of the repository.
        local_files_only: Fetch nothing: take what was fetched before.

    Raises:
        PackageError: The package huggingface_hub is not installed.
        StudyError: There is neither such a folder nor such a repository.
    """
    path = Path(name)
    if path.exists() or str(name).count("/") != 1 or str(name).startswith((".", "/", "~")):
        return path
    hub = needed_package(
        "huggingface_hub",
        extra="hub",
        what=f"There is no folder {name}, and loading a repository of that name from the hub",
    )
    try:
        fetched = hub.snapshot_download(
            str(name),
            revision=revision,
            allow_patterns=list(FILES),
            local_files_only=local_files_only,
        )
    except Exception as error:  # of many kinds: of the network, of the hub, of the name
        first = (str(error).strip() or type(error).__name__).partition("\n")[0][:300]
        raise StudyError(
            f"There is no folder {name}, and no repository of that name can be downloaded from "
            f"the hub: {first.rstrip('.')}. Is the name right, and the hub reachable?"
        ) from error
    return Path(fetched)
