"""What callbacks share: packages that are missing, and several processes that train together."""

from __future__ import annotations

import torch.distributed


def missing(package: str, extra: str) -> ImportError:
    """Return the error that names a package which is not installed, and how to install it.

    Example:
        >>> print(missing("keras", "keras"))
        goodteacher.integrations.keras needs the package keras: pip install 'goodteacher[keras]'
    """
    return ImportError(
        f"goodteacher.integrations.{extra if extra != 'hf' else 'transformers'} needs the package "
        f"{package}: pip install 'goodteacher[{extra}]'"
    )


def is_first() -> bool:
    """Say whether this is the first of the processes that train together, or the only one."""
    return not _several() or torch.distributed.get_rank() == 0


def agreed(stop: bool) -> bool:
    """Return what the first process says, in each of them: all must stop together.

    Args:
        stop: What this process would say.

    Example:
        >>> agreed(True)
        True
    """
    if not _several():
        return stop
    said = [stop]
    torch.distributed.broadcast_object_list(said, src=0)
    return said[0]


def _several() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
