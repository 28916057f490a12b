"""Images that stay encoded, in files or as bytes, and are decoded whenever they are asked for.

Decoded, a 224x224 image takes 150 kB, ten times what its file takes, and a million of them 150 GB.
So what would not fit into memory is decoded anew for each epoch, ahead of whoever asks. Pillow
decodes without the interpreter's lock, so threads do it: they hand no copies over, and leave
nothing behind when the program ends. Small files are decoded faster by processes, photographs are
not (benchmarks/images_on_demand.py).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from goodteacher.config import check_name
from goodteacher.data.numbers import at_once, check_numbers, digest_numbers
from goodteacher.data.pixels import Encoded, read_pixels
from goodteacher.data.spec import InputSpec
from goodteacher.errors import DataError

Describe = Callable[[int], str]
"""Names an image in messages, given its position."""

# Below this size Pillow's decoder is done before another thread could take over, and handing the
# interpreter lock to and fro costs more than it gains (28x28 PNG, 2 cores: 2.7 s alone, 4.1 s with
# two threads; 128x128 PNG: 1.9 times faster with two).
_THREADED_PIXELS = 96 * 96

_TOGETHER = 16
"""Images that a thread decodes before it looks for more."""

_AHEAD = 2
"""Lists of positions whose images are decoded while those of another are in use."""


class Many(Protocol):
    """Encoded images, one at a time."""

    def __len__(self) -> int:
        """Return their number."""

    def __getitem__(self, row: int, /) -> Encoded:
        """Return one: bytes, a path, or None where there is none."""


class Files:
    """Paths of files, held in a tenth of the memory that as many `Path` objects take.

    Args:
        paths: The paths, or None where there is no file.

    Example:
        >>> str(Files([Path("a.png"), None])[0]), Files([None])[0]
        ('a.png', None)
    """

    def __init__(self, paths: Iterable[Path | None]) -> None:
        names = [None if path is None else str(path) for path in paths]
        try:
            self._names = pa.array(names)
        except UnicodeEncodeError:  # pyarrow does not say which one it is
            for name in filter(None, names):
                check_name(name, "An image", DataError)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, row: int, /) -> Encoded:
        name = self._names[row].as_py()
        return None if name is None else Path(name)


class Buffers:
    """Encoded images in a column of a table, whose memory they share.

    Args:
        column: Of binary type.
    """

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._chunks = [chunk for chunk in column.chunks if len(chunk)]
        self._starts = np.cumsum([0, *map(len, self._chunks)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, row: int, /) -> Encoded:
        if not 0 <= row < len(self):
            raise IndexError(row)
        chunk = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._chunks[chunk][row - int(self._starts[chunk])].as_buffer()


class Either:
    """Encoded images of one sequence, or of another where that has none.

    Args:
        first: Those that are taken where they are there.
        second: As many.
    """

    def __init__(self, first: Many, second: Many) -> None:
        self._first, self._second = first, second

    def __len__(self) -> int:
        return len(self._first)

    def __getitem__(self, row: int, /) -> Encoded:
        found = self._first[row]
        return self._second[row] if found is None else found


def decoding_threads(pixels: int) -> int:
    """Return how many threads decode images: as many as PyTorch computes with.

    Args:
        pixels: Of an image; small ones are decoded by one.
    """
    return 1 if pixels < _THREADED_PIXELS else torch.get_num_threads()


@dataclass(frozen=True, eq=False)
class OnDemand:
    """Images that are decoded whenever they are asked for.

    Attributes:
        encoded: The images of a source.
        places: Which of them these are, int64 [N].
        shape: (channels, height, width) of each, decoded.
        describe: Names an image of the source in messages.
        resize: (height, width) that each gets; None keeps its own.
    """

    encoded: Many
    places: npt.NDArray[np.int64]
    shape: tuple[int, int, int]
    describe: Describe
    resize: tuple[int, int] | None = None

    @property
    def spec(self) -> InputSpec:
        """Images."""
        return InputSpec(kind="images", shape=self.shape)

    @property
    def nbytes(self) -> int:
        """Nothing: they are not kept."""
        return 0

    def __len__(self) -> int:
        return len(self.places)

    def rows(self, positions: Tensor) -> Tensor:
        """Decode some images.

        Raises:
            DataError: One cannot be read any more.
        """
        with contextlib.closing(self.reads([positions])) as found:
            return next(found)

    def reads(self, parts: Iterable[Tensor]) -> Generator[Tensor, None, None]:
        """Decode the images of several lists of positions, the next while one is in use."""
        begun: deque[_Part] = deque()
        with ThreadPoolExecutor(decoding_threads(self.shape[1] * self.shape[2])) as pool:
            try:
                for positions in parts:
                    begun.append(self._begin(pool, positions))
                    if len(begun) > _AHEAD:
                        yield begun.popleft().wait()
                while begun:
                    yield begun.popleft().wait()
            finally:  # also where an image cannot be read, or nobody wants any more
                for part in begun:
                    part.cancel()

    def chunks(self, size: int | None = None) -> Iterator[Tensor]:
        """Decode all images, in order."""
        return self.reads(torch.arange(len(self)).split(size or at_once(self.shape)))

    def subset(self, positions: Tensor) -> OnDemand:
        """Return some of the images, without decoding them."""
        return replace(self, places=self.places[positions.cpu().numpy()])

    def to(self, device: torch.device | str, /) -> OnDemand:
        """Return themselves: they stay where they are."""
        return self

    def check(self) -> None:
        """Refuse images without pixels, and no images at all."""
        check_numbers(torch.uint8, (len(self), *self.shape))

    def digest_into(self, digest: hashlib._Hash) -> None:
        """Add type, shape and pixels, as of decoded images in memory."""
        digest_numbers(digest, self)

    def _begin(self, pool: ThreadPoolExecutor, positions: Tensor) -> _Part:
        places = self.places[positions.cpu().numpy()]
        images = torch.empty((len(places), *self.shape), dtype=torch.uint8)
        pieces = (slice(first, first + _TOGETHER) for first in range(0, len(places), _TOGETHER))
        work = [pool.submit(self._decode, places[each], images[each].numpy()) for each in pieces]
        return _Part(images, work)

    def _decode(self, places: npt.NDArray[np.int64], target: npt.NDArray[np.uint8]) -> None:
        for place, image in zip(places.tolist(), target, strict=True):
            self._decode_one(place, image)

    def _decode_one(self, place: int, target: npt.NDArray[np.uint8]) -> None:
        try:
            pixels = read_pixels(self.encoded[place], self.resize)
        except Exception as error:
            raise self._changed(place, f"{type(error).__name__}: {error}") from error
        if pixels.shape != self.shape:
            raise self._changed(place, f"it has {pixels.shape} pixels, not {self.shape}")
        target[:] = pixels

    def _changed(self, place: int, what: str) -> DataError:
        return DataError(
            f"{self.describe(place)} could be decoded when the data were loaded, but not later "
            f"({what}). Was it moved, deleted or changed in the meantime? The images do not fit "
            "into memory and are decoded in each epoch, so the files must not change. Put the "
            "file back and give the same command again: it continues from here."
        )


@dataclass(frozen=True)
class _Part:
    """Images of which threads are decoding pieces."""

    images: Tensor
    work: Sequence[Future[None]]

    def wait(self) -> Tensor:
        """Return the images when all are decoded."""
        try:
            for piece in self.work:
                piece.result()
        except BaseException:
            self.cancel()
            raise
        return self.images

    def cancel(self) -> None:
        """Decode none of the pieces that have not been begun."""
        for piece in self.work:
            piece.cancel()
