"""Looking more than once: what each look may spend of the error level.

Whoever adds seeds until an interval decides looks several times, and each look is a chance to err.
The looks are therefore planned before the first, and share the level by *alpha spending*: of N
seeds at most, the looks up to n seeds may err with probability ``level * (n / N)^2`` together. What
look k adds to that is the level of its own intervals:

    level_k = level * (n_k^2 - n_{k-1}^2) / N^2        the levels sum to level

By the union bound some look errs with probability of at most ``level``, whatever the dependence
between looks. That asks for no joint distribution, which here would be awkward: looks share their
test examples as well as their seeds. It is conservative, and least so for the last look, which gets
the most. The looks are at S, 2 S, 4 S ... seeds, and at N (spending, schedule and use are *ours*).

Sources: K. K. G. Lan and D. L. DeMets, Biometrika 70 (1983), for spending; K. Kim and D. L. DeMets,
Biometrika 74 (1987), for the power family.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from goodteacher.errors import ConfigError
from goodteacher.maths.statistics._checks import check_level


@dataclass(frozen=True)
class PlannedLook:
    """A look at the data, planned before the first.

    Attributes:
        seeds: Paired seeds that it looks at, those of earlier looks included.
        level: Error level of its intervals.
    """

    seeds: int
    level: float


def plan_looks(first: int, last: int | None = None, *, level: float) -> tuple[PlannedLook, ...]:
    """Plan looks at ``first``, twice, four times ... as many seeds, and at ``last``.

    Args:
        first: Seeds of the first look, at least 1.
        last: Seeds of the last look, at least ``first``; None for one look at the full level.
        level: Error level in (0, 1) of all looks together.

    Returns:
        The looks in order; their levels sum to ``level``.

    Raises:
        ConfigError: No seeds, a last look before the first, or a level outside (0, 1).

    Example:
        >>> for look in plan_looks(20, 60, level=0.05):
        ...     print(look.seeds, round(look.level, 4))
        20 0.0056
        40 0.0167
        60 0.0278
    """
    end = first if last is None else last
    if not 1 <= first <= end:
        raise ConfigError(
            "The first look needs at least 1 seed and the last look at least as many as the "
            f"first, but the last has {end} and the first {first}."
        )
    doubled = itertools.takewhile(lambda n: n < end, (first * 2**k for k in itertools.count()))
    counts = [*doubled, end]
    spent = [check_level(level) * (n / end) ** 2 for n in counts]
    shares = [now - before for before, now in itertools.pairwise([0.0, *spent])]
    return tuple(PlannedLook(n, share) for n, share in zip(counts, shares, strict=True))
