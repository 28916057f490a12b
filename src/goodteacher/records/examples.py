"""The most telling examples, and what the teachers say of them: the file ``examples.json``.

Whether an example is shown as a picture, a text or a row follows from what is stored; see
:func:`goodteacher.studies.shown_examples`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from goodteacher.config import Frozen


class Shown(Frozen):
    """What a page shows of one example's inputs: a picture, a text or a row, made small."""

    picture: str | None = Field(default=None, description="PNG in base64, at most 64 pixels long")
    text: str | None = Field(default=None, description="how a text begins, on one line")
    cells: tuple[tuple[str, str], ...] = Field(
        default=(), description="of a row: names of columns and their values"
    )
    remark: str = Field(default="", description="what is left out, or why nothing is shown")


class EpochSaid(Frozen):
    """What one recorded epoch's teacher says of an example."""

    epoch: int
    plain: tuple[float, ...] = Field(description="probabilities of the classes at T = 1")
    softened: tuple[float, ...] = Field(description="the same at the recipe's temperature")


class TellingExample(Frozen):
    """One example, and what every recorded epoch of a run says of it."""

    id: int
    label: int | None = Field(description="its class; null where it has no label")
    number: int = Field(description="class that the run's last teacher finds most probable")
    classes: tuple[int, ...] = Field(
        description="whose probabilities are kept: its own, then those it resembles most"
    )
    epochs: tuple[EpochSaid, ...]
    shown: Shown


class Examples(Frozen):
    """Content of ``examples.json``: chosen once, when the search concludes."""

    schema_version: Literal[1] = 1
    asked: int = Field(description="the setting keep_examples")
    split: Literal["transfer"] = "transfer"
    num_examples: int = Field(description="examples among which these were chosen")
    run: str = Field(description="of the sweet spot's teacher")
    chosen_epoch: int = Field(description="of the sweet spot's teacher")
    temperature: float = Field(description="the recipe's")
    examples: tuple[TellingExample, ...]
    fading: bool = Field(description="whether their responses lose classes from epoch to epoch")
    missing: str = Field(default="", description="why there are fewer than asked for")
