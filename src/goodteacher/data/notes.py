"""What reading a data set has to tell.

A reader that leaves something out, or understands it in a way that might not be meant, adds a
note: `load_dataset` gives it as a warning (`DataNote`), and the doctor lists it. What cannot be
understood is refused.
"""

from __future__ import annotations

from dataclasses import dataclass


class DataNote(UserWarning):
    """Tell how a data set was understood, or what of it is not used."""


@dataclass(frozen=True)
class Note:
    """Say one thing that the user should know of how the data were read.

    Attributes:
        code: a stable name for programs, as a `Finding` has one.
        message: what was done, why, and what to do where something else was meant.
    """

    code: str
    message: str
