"""Which class is which column: by name where columns have names, by number where they count.

``cat``, ``logit_cat``, ``P(cat)`` name the class *cat*. ``0``, ``logit_0``, ``class_1`` count: they
mean positions, from 0 or from 1 - unless the classes themselves are called by these numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from goodteacher.errors import ResponseError

_PREFIX = re.compile(
    r"^(?P<kind>log[ _-]?probs?|logits?|probabilit(?:y|ies)|probas?|probs?|scores?|softmax|p)"
    r"(?:[ _.:\-/]+(?P<name>.+)|\((?P<inner>.+)\))$",
    re.IGNORECASE,
)
_SHOWN = 5


def kind_of(name: str) -> str | None:
    """Say what a column's prefix promises: ``logits``, ``probabilities``, or None without one.

    Example:
        >>> kind_of("prob_cat"), kind_of("logit_0"), kind_of("cat")
        ('probabilities', 'logits', None)
    """
    found = _PREFIX.match(name.strip())
    if found is None:
        return None
    kind = found["kind"].lower()
    return "logits" if kind.startswith("log") or kind.startswith("score") else "probabilities"


def without_prefix(name: str) -> str:
    """Return the class that a column names.

    Example:
        >>> without_prefix("logit_cat"), without_prefix("P(dog)"), without_prefix("emu")
        ('cat', 'dog', 'emu')
    """
    found = _PREFIX.match(name.strip())
    return (found["name"] or found["inner"]).strip() if found else name.strip()


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", name.strip()).casefold()


def _bare(name: str) -> str:
    return _plain(without_prefix(name))


SPELLINGS = (str, str.strip, without_prefix, _plain, _bare)
"""How names are compared, the strictest first."""


def numbers_of(names: Sequence[str]) -> list[int] | None:
    """Return the numbers that columns count with, or None where they do not count.

    All have one stem (``logit_``, ``c``, or none) and end in a number of their own.

    Example:
        >>> numbers_of(["c0", "c2", "c1"]), numbers_of(["a1", "b2"])
        ([0, 2, 1], None)
    """
    ends = [re.fullmatch(r"(?P<stem>.*?)(?P<number>\d+)(?:\.0)?", name.strip()) for name in names]
    found = [end for end in ends if end]
    if len(found) < len(names) or len({end["stem"].casefold() for end in found}) > 1:
        return None
    numbers = [int(end["number"]) for end in found]
    return numbers if len(set(numbers)) == len(numbers) else None


def default_numbers(names: Sequence[str]) -> list[int] | None:
    """Return the numbers in names that transformers gives to classes that nobody has named.

    Example:
        >>> default_numbers(["LABEL_1", "LABEL_0"]), default_numbers(["LABEL_0", "spam"])
        ([1, 0], None)
    """
    numbers = numbers_of(names) if all(name.startswith("LABEL_") for name in names) else None
    return numbers if numbers and sorted(numbers) == _count(names, 0) else None


def order_by_name(names: Sequence[str], class_names: Sequence[str]) -> list[int] | None:
    """Return for each class the column that has its name; None if names and classes differ.

    Names are compared as they stand, then without their prefix, then without case and separators.

    Example:
        >>> order_by_name(["logit_dog", "logit_cat"], ["cat", "dog"])
        [1, 0]
    """
    for spelling in SPELLINGS:
        columns = {spelling(name): number for number, name in enumerate(names)}
        wanted = [spelling(name) for name in class_names]
        as_many = len(columns) == len(names) == len(wanted)
        if as_many and columns.keys() == set(wanted):
            return [columns[name] for name in wanted]
    return None


def columns_of(wanted: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the column of each of some classes, which must all be there.

    Args:
        wanted: Classes, such as the labels that occur.
        names: What the columns are called, in their order.

    Raises:
        ResponseError: A class has no column of its name.

    Example:
        >>> columns_of(["dog"], ["logit_cat", "logit_dog"])
        [1]
    """
    for spelling in SPELLINGS:
        columns = {spelling(name): number for number, name in enumerate(names)}
        found = [columns.get(spelling(name)) for name in wanted]
        if None not in found:
            return [number for number in found if number is not None]
    bare = set(map(_bare, names))
    missing = [name for name in wanted if _bare(name) not in bare]
    raise ResponseError(
        f"The labels include classes that the response does not have: {_first(missing)}. Its "
        f"columns are {_first(names)}. Was the teacher trained on another label set?"
    )


def class_columns(names: Sequence[str], class_names: Sequence[str], what: str) -> list[int]:
    """Return for each class of the data its column in a response.

    Args:
        names: What the response's columns are called, in their order.
        class_names: The data's classes in their order, as many.
        what: What is being read, for messages.

    Raises:
        ResponseError: The names neither count nor are those of the classes.
    """
    order = order_by_name(names, class_names)
    if order is not None:
        return order
    numbers = numbers_of(names)
    if numbers is not None and sorted(numbers) in (_count(names, 0), _count(names, 1)):
        return sorted(range(len(names)), key=lambda column: numbers[column])
    raise ResponseError(
        f"The classes that {what} names are not those of the data: "
        f"{difference(names, class_names)}. Students would learn other classes than those of the "
        "data. Name the columns after the data's classes, in any order, or number them from 0 in "
        f"the data's order ({_first(class_names)}): logit_0, logit_1, ..."
    )


def difference(names: Sequence[str], class_names: Sequence[str]) -> str:
    """Say which names only the response has, and which only the data.

    Example:
        >>> difference(["cat", "cow"], ["cat", "dog"])
        "only the response has 'cow', only the data have 'dog'"
    """
    ours, theirs = ({*map(_plain, group), *map(_bare, group)} for group in (names, class_names))
    extra = [name for name in names if not {_plain(name), _bare(name)} & theirs]
    missing = [name for name in class_names if not {_plain(name), _bare(name)} & ours]
    parts = [
        *([f"only the response has {_first(extra)}"] if extra else []),
        *([f"only the data have {_first(missing)}"] if missing else []),
    ]
    return ", ".join(parts) or f"{_first(names)} and {_first(class_names)}"


def _count(names: Sequence[str], start: int) -> list[int]:
    return list(range(start, start + len(names)))


def _first(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
