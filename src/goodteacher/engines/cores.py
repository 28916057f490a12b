"""How many cores there are for work."""

from __future__ import annotations


def usable_cores() -> int:
    """Return how many cores this process may use: those that its affinity and its cgroup leave."""
    # Here, since loky takes as long to import as the rest of the engines, and few searches need it.
    import loky

    return int(loky.cpu_count())
