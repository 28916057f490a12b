"""The table of what is said about a teacher at a recorded epoch: names, units, splits.

Maps, curves and scatter plots all draw from it. A new quantity is an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from goodteacher.records import DataSummary, TeacherRecord


@dataclass(frozen=True)
class Quantity:
    """Something measured of a teacher.

    Attributes:
        title: What it is called.
        symbol: What it is called where there is little room.
        unit: Its unit; empty where it is a plain number.
        split: The split it is measured on, ``transfer`` or ``selection``.
        condition: Under which temperature.
        meaning: What it tells, as a sentence.
        of: Its value, in ``unit``; None where it was not measured.
        digits: Decimals to show.
    """

    title: str
    symbol: str
    unit: str
    split: str
    condition: str
    meaning: str
    of: Callable[[TeacherRecord], float | None]
    digits: int

    @property
    def axis(self) -> str:
        """Title of an axis: symbol and unit."""
        return f"{self.symbol}, {self.unit}" if self.unit else self.symbol

    @property
    def label(self) -> str:
        """Entry of a selector: title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def shown(self, value: float) -> str:
        """Format a value."""
        return f"{value:.{self.digits}f}"

    def setting(self, data: DataSummary) -> str:
        """Say where it was measured, and on how many examples."""
        name, n = SPLITS[self.split](data)
        return f"Measured on the {name} (n = {n:,} examples){self.condition}."


SPLITS: Mapping[str, Callable[[DataSummary], tuple[str, int]]] = {
    "transfer": lambda data: ("transfer set", data.transfer),
    "selection": lambda data: ("selection split", data.selection),
}
"""Name and number of examples of each split that teachers are measured on."""


def _measured(
    field: str, split: str, *, best_temperature: bool = False, scale: float = 1.0
) -> Callable[[TeacherRecord], float | None]:
    def value(record: TeacherRecord) -> float | None:
        temperature = record.optimal_temperature if best_temperature else 1.0
        if temperature is None or not record.measurements:
            return None
        return scale * float(getattr(record.at(split, temperature), field))

    return value


_AT_ONE = " at T = 1"
_AT_BEST = " at the temperature that minimises each teacher's held-out NLL"

QUANTITIES: Mapping[str, Quantity] = {
    "similarity": Quantity(
        "Similarity information S at T = 1",
        "S at T = 1",
        "nats",
        "transfer",
        _AT_ONE,
        "What the response says beyond label smoothing with the same confidence.",
        _measured("similarity", "transfer"),
        3,
    ),
    "class_part": Quantity(
        "Similarity information, class part",
        "class part at T = 1",
        "nats",
        "transfer",
        _AT_ONE,
        (
            "The part of similarity information that all examples of a class share: which classes "
            "are similar."
        ),
        _measured("class_part", "transfer"),
        3,
    ),
    "instance_part": Quantity(
        "Similarity information, instance part",
        "instance part at T = 1",
        "nats",
        "transfer",
        _AT_ONE,
        (
            "The part of similarity information that is particular to each example. Class part and "
            "instance part add up to S."
        ),
        _measured("instance_part", "transfer"),
        3,
    ),
    "similarity_best_temperature": Quantity(
        "Similarity information at the best temperature",
        "S at best T",
        "nats",
        "transfer",
        _AT_BEST,
        (
            "Similarity information that a suitable temperature brings back; compare it with S at "
            "T = 1."
        ),
        _measured("similarity", "transfer", best_temperature=True),
        3,
    ),
    "similarity_selection": Quantity(
        "Similarity information on unseen examples",
        "S at T = 1, unseen",
        "nats",
        "selection",
        _AT_ONE,
        (
            "If this stays high while similarity information on the transfer set falls, the "
            "teacher has memorised its training data."
        ),
        _measured("similarity", "selection"),
        3,
    ),
    "effective_classes": Quantity(
        "Effective classes per example",
        "effective classes",
        "",
        "transfer",
        _AT_ONE,
        (
            "How many classes share the probability: the exponential of the response's entropy. At "
            "1, one class has all of it."
        ),
        _measured("effective_classes", "transfer"),
        2,
    ),
    "accuracy": Quantity(
        "Teacher accuracy",
        "teacher accuracy",
        "%",
        "selection",
        "",
        "How often the teacher itself is right on examples it has not seen.",
        _measured("accuracy", "selection", scale=100.0),
        2,
    ),
    "nll": Quantity(
        "Held-out NLL at T = 1",
        "NLL at T = 1",
        "nats",
        "selection",
        _AT_ONE,
        "Negative log-likelihood of unseen labels: lower is a better, less overconfident teacher.",
        _measured("nll", "selection"),
        3,
    ),
    "best_nll": Quantity(
        "Held-out NLL at the best temperature",
        "NLL at best T",
        "nats",
        "selection",
        _AT_BEST,
        "NLL without the overconfidence that a temperature can correct. By default, the "
        "shortlist takes the teachers with the lowest values.",
        _measured("nll", "selection", best_temperature=True),
        3,
    ),
    "optimal_temperature": Quantity(
        "Optimal temperature",
        "optimal temperature",
        "",
        "selection",
        "",
        "The temperature that minimises held-out NLL. Above 1, the teacher is overconfident. A "
        "point is missing where no temperature minimises it: all predictions are right (T = 0), "
        "or they are no better than uniform (T = infinity).",
        lambda record: None if record.optimal_temperature_limit else record.optimal_temperature,
        2,
    ),
}
"""Everything that maps, curves and scatter plots can show, by name."""
