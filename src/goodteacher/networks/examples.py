"""A split as one network sees it: gathered by position, augmented, prepared, on the device.

View 0 is the image as it is; any other view is a random one that :mod:`goodteacher.data.views`
draws from (id, view, stream), so it is the same whoever asks for it, and whenever. Views are of
images as they are stored; how a network wants them comes after.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import tee
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from goodteacher.config import Augmentation
from goodteacher.data import Inputs, InputSpec, Split
from goodteacher.data.views import crop_and_flip, cut_out, mixing
from goodteacher.networks.batches import Batch, map_batch
from goodteacher.networks.preparation import Chain, Preparation

_SHARE_OF_GPU = 0.5
"""Data stay on a GPU if they take less than this share of its free memory."""


_BYTES_AT_ONCE = 2**25
"""Bytes of examples that are gathered and prepared at once, at most."""


class Examples:
    """The examples of a split, ready for a network.

    Args:
        split: Inputs as stored, labels and ids.
        preparation: The network's. Texts are read here, all else is prepared batch by batch.
        device: Where inputs are wanted. The stored ones stay there too, if they fit.
        augmentation: What happens to the images of views other than 0.
        stream: Whose views these are: 0 for the fixed views of a study.
        prepared: Where somebody has done what is costly already: the examples of the split then,
            and what is left to do with each batch; None if nothing is. Of images that are not
            augmented.

    Example:
        >>> from goodteacher.networks.preparation import Identity
        >>> split = Split.from_arrays([[0.0], [2.0], [4.0]], [0, 1, 0])
        >>> examples = Examples(split, Identity())
        >>> examples.inputs(torch.tensor([2, 0])).tolist()
        [[4.0], [0.0]]
    """

    def __init__(
        self,
        split: Split,
        preparation: Preparation,
        *,
        device: torch.device | str = "cpu",
        augmentation: Augmentation | None = None,
        stream: int = 0,
        prepared: tuple[Inputs, Preparation | None] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.augmentation = augmentation or Augmentation()
        self.stream = stream
        stored, left = prepared or _read(split, preparation)
        if left is not None:
            left.to(self.device)
        self._preparation = left
        self._labels = split.labels.to(self.device)
        self._home = self.device if _fits(stored, self.device) else torch.device("cpu")
        self._stored = stored.to(self._home)
        self._ids = split.ids.to(self._home)

    def __len__(self) -> int:
        return len(self._stored)

    @property
    def bytes_each(self) -> int:
        """Bytes of one example while it is prepared, and afterwards."""
        spec = self._stored.spec
        wanted = spec if self._preparation is None else self._preparation.output(spec)
        return max(map(_bytes_of, (spec, wanted)))

    def at_once(self, most: int) -> int:
        """Return how many examples may be gathered at once: ``most``, or fewer large ones."""
        return max(1, min(most, _BYTES_AT_ONCE // self.bytes_each))

    def inputs(self, positions: Tensor, view: int = 0) -> Batch:
        """Return the inputs at some positions, as a network takes them.

        Args:
            positions: int64 [B], on any device.
            view: Number of the view.

        Returns:
            float32 or int64 [B, ...], or such a tensor for each field; images in the channels-last
            order of memory.
        """
        return next(self.each([positions], view))

    def each(self, parts: Iterable[Tensor], view: int = 0) -> Iterator[Batch]:
        """Yield the inputs at each of several lists of positions.

        What takes long to read, such as images that must be decoded, is read ahead while what was
        yielded is in use.

        Args:
            parts: int64 [B] each, on any device.
            view: Number of the view.

        Yields:
            What :meth:`inputs` returns.
        """
        asked, told = tee(parts)
        rows = cast("Iterator[Batch]", self._stored.reads(self._wanted(asked, view)))
        for positions in told:
            inputs = self._seen(next(rows), positions, view)
            if self.mixes(view):
                partners, shares = self._mixing(positions, view)
                others = self._seen(next(rows), partners, view)
                weight = shares.to(self.device).view(-1, *[1] * (others.dim() - 1))
                inputs = torch.lerp(others, inputs, weight)
            yield inputs

    def _wanted(self, parts: Iterable[Tensor], view: int) -> Iterator[Tensor]:
        """Yield which examples are needed: those that are asked for, then those mixed in."""
        for positions in parts:
            yield positions.to(self._home)
            if self.mixes(view):
                yield self._mixing(positions, view)[0]

    def labels(self, positions: Tensor, view: int = 0, *, num_classes: int) -> Tensor:
        """Return the labels at some positions.

        Args:
            positions: int64 [B], on any device.
            view: Number of the view.
            num_classes: Number C of classes.

        Returns:
            int64 [B]; where the view mixes images, the mixed labels as probabilities, float32
            [B, C].
        """
        if not self.mixes(view):
            return self._labels[positions.to(self.device)]
        return self._mix(
            lambda rows: F.one_hot(self._labels[rows], num_classes).float(),
            positions,
            view,
            self.device,
        )

    def mixes(self, view: int) -> bool:
        """Say whether a view mixes each image with another."""
        return bool(view and self.augmentation.mixup)

    def mixed(self, values: Tensor, positions: Tensor, view: int) -> Tensor:
        """Mix what belongs to each example as the view mixes its image.

        Args:
            values: One row for each example of the split, float32 [N, C], on the device.
            positions: int64 [B].
            view: Number of the view.

        Returns:
            float32 [B, C]: plain rows where the view mixes nothing.
        """
        if not self.mixes(view):
            return values[positions.to(values.device)]
        return self._mix(values.__getitem__, positions, view, values.device)

    def _mix(
        self,
        rows_at: Callable[[Tensor], Tensor],
        positions: Tensor,
        view: int,
        device: torch.device,
    ) -> Tensor:
        """Mix the rows of examples, which a function returns by their positions on a device."""
        partners, shares = (x.to(device) for x in self._mixing(positions, view))
        return torch.lerp(rows_at(partners), rows_at(positions.to(device)), shares[:, None])

    def _seen(self, stored: Batch, positions: Tensor, view: int) -> Any:
        """Return views of some examples as stored, before any mixing."""
        stored = map_batch(stored, lambda part: part.to(self._home))
        preparation = self._preparation
        if preparation is None:
            there = map_batch(stored, lambda part: part.to(self.device))
            return map_batch(there, lambda part: _channels_last(part) if part.dim() == 4 else part)
        if not isinstance(stored, Tensor) or stored.dim() != 4:
            return preparation(map_batch(stored, lambda part: part.to(self.device)))
        if not (view and self.augmentation):
            return preparation(_channels_last(stored.to(self.device)))
        ids = self._ids[positions.to(self._home)]
        stored = crop_and_flip(stored, ids, self.augmentation, view=view, stream=self.stream)
        images, fill = _channels_last(stored.to(self.device)), preparation.blank
        ids = ids.to(self.device)
        images = cut_out(images, ids, self.augmentation, view=view, stream=self.stream, fill=fill)
        return preparation(images)

    def _mixing(self, positions: Tensor, view: int) -> tuple[Tensor, Tensor]:
        ids = self._ids[positions.to(self._ids.device)]
        return mixing(ids, self.augmentation, num_examples=len(self), view=view, stream=self.stream)


def _read(split: Split, preparation: Preparation) -> tuple[Inputs, Preparation]:
    """Return the examples before anything is done to each batch, and what is left to do."""
    if preparation.from_texts:
        return cast("Chain", preparation).read(split.texts or ())
    return split.stored, preparation


def _fits(inputs: Inputs, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return inputs.nbytes < _SHARE_OF_GPU * free


def _bytes_of(spec: InputSpec) -> int:
    """Return the bytes of an example whose numbers have four bytes, eight where they are whole."""
    if spec.kind == "fields":
        return sum(map(_bytes_of, spec.fields.values()))
    each = torch.int64.itemsize if spec.kind == "integers" else torch.float32.itemsize
    return math.prod(spec.shape) * each


def _channels_last(images: Tensor) -> Tensor:
    """Bring images into the channels-last order, in which convolutions run fastest.

    ``clone`` and not ``contiguous``: for a single channel the latter keeps ambiguous strides, and
    a convolution's output would be in the other order. Done on bytes, where the images still are
    bytes: a fourth of the traffic.
    """
    return images.clone(memory_format=torch.channels_last)
