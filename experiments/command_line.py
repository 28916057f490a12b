"""The command line of experiments that run points of data sets, and the order of the points."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

Piece = TypeVar("Piece")


def parser_of(
    description: str, *, data: Iterable[str], out: str, repetitions: int, pieces: str
) -> argparse.ArgumentParser:
    """Return a parser of the options that such an experiment has.

    Args:
        description: What the experiment asks.
        data: Names of the data sets.
        out: Default folder of the studies.
        repetitions: Default number of repetitions.
        pieces: What `--first` limits, such as `points of a repetition`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data", nargs="*", metavar="DATA", help=", ".join(data))
    parser.add_argument("--out", type=Path, default=Path(out), help="folder of the studies")
    parser.add_argument("--collect", type=Path, help="keep rows of what lies in this folder")
    parser.add_argument("--repetitions", type=int, default=repetitions)
    parser.add_argument("--first", type=int, help=f"only so many {pieces}")
    parser.add_argument("--threads", type=int, default=1)
    return parser


def in_order(
    data: Sequence[str], pieces: Sequence[Piece], repetitions: int, first: int | None
) -> Iterator[tuple[str, Piece, int]]:
    """Yield data set, piece and repetition of each point: early pieces first, repetitions last.

    Args:
        data: Names of the data sets.
        pieces: What is run of each, cheap and telling ones first.
        repetitions: Their number.
        first: Only as many pieces of each data set and repetition.
    """
    for repetition in range(repetitions):
        for piece in pieces[:first]:
            for name in data:
                yield name, piece, repetition
