"""The most telling examples: many classes at first, at last one; chosen once, and kept.

The recorded epochs of the sweet spot's run are asked about the transfer set. An example tells most
where its response loses most entropy (at T = 1) between an epoch that named its class already
and the last one. Epochs near the entropy of chance do not count: that is ignorance, not similarity.
Where none loses any, and of a teacher that was asked once, what is said beside the class counts.
Examples on which the last teacher is wrong are left out, and each class has its turn before any has
a second one. The rule is *ours*. The test split is not looked at.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from goodteacher.data import Split
from goodteacher.records import (
    EpochSaid,
    Examples,
    Shown,
    SweetSpot,
    TellingExample,
)
from goodteacher.responses import Logits
from goodteacher.studies import EXAMPLES_FILE, SWEET_SPOT_FILE, shown_examples
from goodteacher.sweet_spot.search import Search
from goodteacher.teachers import RecordedTeachers

MOST_EXAMPLES = 20_000
"""Transfer examples among which are chosen: the first ones."""
MOST_EPOCHS = 12
MOST_CLASSES = 5
"""Classes whose probabilities are kept for an example, its own among them."""
_ROWS_AT_ONCE = 4096
_IGNORANCE = 0.8
"""Share of the entropy of chance from which on a response says nothing."""
_NONE_ASKED = "keep_examples = 0: this study keeps no example."
_NONE_TELLS = (
    "No example can be shown: each response of the sweet spot's run either names only the class "
    "of its example or says nothing about it."
)


def keep_examples(search: Search) -> None:
    """Write the most telling examples of a search, unless those of its answer are kept.

    Args:
        search: A search that has an answer.
    """
    store = search.context.store
    found = store.read_json(SWEET_SPOT_FILE, SweetSpot)
    asked = _nothing(search, found)
    if store.exists(EXAMPLES_FILE):
        kept = store.read_json(EXAMPLES_FILE, Examples)
        same = ("asked", "run", "chosen_epoch", "temperature")
        if all(getattr(kept, name) == getattr(asked, name) for name in same):
            return
    store.write_json(EXAMPLES_FILE, _filled(search, asked) if asked.asked else asked)


def _nothing(search: Search, found: SweetSpot) -> Examples:
    """Return what is asked for, without an example."""
    return Examples(
        asked=search.config.keep_examples,
        num_examples=0,
        run=found.teacher.run,
        chosen_epoch=found.teacher.epoch,
        temperature=found.recipe.temperature,
        examples=(),
        fading=False,
        missing=_NONE_ASKED,
    )


def _filled(search: Search, asked: Examples) -> Examples:
    """Choose the examples that are asked for."""
    transfer = search.context.data.transfer
    looked_at = transfer.subset(torch.arange(min(len(transfer), MOST_EXAMPLES)))
    teachers = RecordedTeachers(search.context.store, dict(search.teachers.keys))
    own = {
        each.epoch: each
        for each in teachers.known()
        if each.run == asked.run and each.variant == "raw"
    }
    epochs = thinned(sorted(own), asked.chosen_epoch)

    def said() -> Iterator[Logits]:
        """Read one response after another: together they may not fit into memory."""
        return (teachers.response(own[epoch], looked_at) for epoch in epochs)

    rows, fading = most_telling(said(), looked_at.labels, asked.asked)
    logits = torch.stack([each[torch.tensor(rows, dtype=torch.int64)] for each in said()], 1)
    shown = shown_examples(looked_at, rows)
    return asked.model_copy(
        update={
            "num_examples": len(looked_at),
            "examples": tuple(
                _told(logits[place], epochs, looked_at.subset([row]), each, asked.temperature)
                for place, (row, each) in enumerate(zip(rows, shown, strict=True))
            ),
            "fading": fading,
            "missing": "" if rows else _NONE_TELLS,
        }
    )


def most_telling(said: Iterable[Logits], labels: Tensor, count: int) -> tuple[list[int], bool]:
    """Return the examples that tell most, the first of each class first, and whether they fade.

    Args:
        said: Logits [N, C] of each epoch, in their order; looked at one after another.
        labels: int64 [N], below 0 where there is none.
        count: Examples at most.

    Example:
        >>> early = torch.tensor([[2.0, 1.5, -2.0], [2.0, 0.0, -2.0], [0.0, 3.0, 0.0]])
        >>> most_telling([early, 9 * early], torch.tensor([0, 0, 1]), 2)
        ([0, 2], True)
    """
    measured = [_measured(each) for each in said]
    last, own = measured[-1]
    nothing = torch.zeros_like(last)
    most = nothing
    for entropy, named in measured:
        known = (named == own) & (entropy < _IGNORANCE)
        most = most.maximum(entropy.where(known, nothing))
    right = (labels < 0) | (labels == own)
    lost = (most - last).where(right, nothing)
    fading = bool((lost > 0).any())
    counts = lost if fading else most.where(right, nothing)
    turns: dict[int, int] = defaultdict(int)
    ranked: list[tuple[int, int]] = []
    for row in counts.argsort(descending=True, stable=True).tolist():
        if counts[row] > 0:
            ranked.append((turns[int(own[row])], row))
            turns[int(own[row])] += 1
    return [row for _, row in sorted(ranked, key=lambda each: each[0])[:count]], fading


def thinned(epochs: Sequence[int], chosen: int) -> list[int]:
    """Return at most `MOST_EPOCHS` epochs: the first, the last and the chosen one among them.

    Args:
        epochs: Ascending.
        chosen: The sweet spot's.

    Example:
        >>> thinned(range(1, 101), 50)
        [1, 10, 19, 28, 37, 50, 55, 64, 73, 82, 91, 100]
    """
    if len(epochs) <= MOST_EPOCHS:
        return list(epochs)
    places = torch.linspace(0, len(epochs) - 1, MOST_EPOCHS).round().int().tolist()
    found = [epochs[place] for place in places]
    if chosen not in found and chosen in epochs:
        nearest = min(range(1, MOST_EPOCHS - 1), key=lambda place: abs(found[place] - chosen))
        found[nearest] = chosen
    return found


def _measured(logits: Logits) -> tuple[Tensor, Tensor]:
    """Return each row's entropy, as a share of that of chance, and its most probable class."""
    parts = [
        logits[first : first + _ROWS_AT_ONCE] for first in range(0, len(logits), _ROWS_AT_ONCE)
    ]
    entropies = [torch.special.entr(part.double().softmax(1)).sum(1) for part in parts]
    chance = math.log(logits.shape[1])
    return torch.cat(entropies) / chance, torch.cat([part.argmax(1) for part in parts])


def _told(
    logits: Tensor, epochs: Sequence[int], example: Split, shown: Shown, temperature: float
) -> TellingExample:
    """Return what is kept of one example.

    Args:
        logits: What each epoch says of it, [E, C].
        epochs: As many.
        example: A split of it alone.
        shown: What is shown of it.
        temperature: The recipe's.
    """
    logits = logits.double()
    plain, softened = logits.softmax(1), (logits / temperature).softmax(1)
    own, label = int(logits[-1].argmax()), int(example.labels[0])
    peaks = plain.amax(0)
    peaks[own] = 2.0  # its own class comes first
    classes = peaks.argsort(descending=True, stable=True)[:MOST_CLASSES]
    return TellingExample(
        id=int(example.ids[0]),
        label=None if label < 0 else label,
        number=own,
        classes=tuple(classes.tolist()),
        epochs=tuple(
            EpochSaid(epoch=epoch, plain=tuple(p.tolist()), softened=tuple(s.tolist()))
            for epoch, p, s in zip(epochs, plain[:, classes], softened[:, classes], strict=True)
        ),
        shown=shown,
    )
