"""Whether to distill: the rule."""

from __future__ import annotations

from collections.abc import Sequence

from goodteacher.records.results import Answer, Pair, Reference, References

WITHOUT_TEACHER = ("cross_entropy", "label_smoothing")


MARGIN = 0.002
"""A gain that is surely smaller than this is none: 0.2 points."""


def answer_of(references: References) -> Answer:
    """Return whether to distill, by the joint intervals over all references.

    ``yes`` where the sweet spot's students beat those of hard labels and of label smoothing; ``no``
    where they do not beat one of them by `MARGIN`; ``undecided`` otherwise.
    """
    return answer_of_gains([_joint(references, name) for name in WITHOUT_TEACHER])


def answer_of_gains(joint: Sequence[Pair]) -> Answer:
    """Return whether to distill, by joint intervals of the gain over all that needs no teacher.

    Args:
        joint: Low and high end of the gain over each reference, differences of accuracies.

    Example:
        >>> answer_of_gains([(0.01, 0.02), (0.001, 0.02)]), answer_of_gains([(-0.02, 0.001)])
        ('yes', 'no')
    """
    if all(low > 0 for low, _ in joint):
        return "yes"
    return "no" if any(high < MARGIN for _, high in joint) else "undecided"


def as_good(references: References) -> tuple[str, ...]:
    """Return the references without a teacher that are not beaten by `MARGIN`."""
    return tuple(name for name in WITHOUT_TEACHER if _joint(references, name)[1] < MARGIN)


def _joint(references: References, name: str) -> Pair:
    """Return a reference's joint interval; the sweet spot's own arm differs by nothing."""
    reference: Reference = getattr(references, name)
    return reference.adjusted_interval or (0.0, 0.0)
