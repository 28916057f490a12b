"""Tables of responses: which columns are classes, and what the others are.

A column is a class unless its name or its values say otherwise. Ids, labels and row numbers are
known by name; predictions, file names and text are left out with a note, never made a class.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goodteacher.responses.columns import SPELLINGS, kind_of, numbers_of, without_prefix

Array = npt.NDArray[Any]

ID_NAMES = ("ids", "id")
LABEL_NAMES = ("labels", "label", "y")
VALUE_NAMES = ("logits", "probabilities")
UNNAMED = "(values)"
"""The one array of a .npy file, or the class columns of a table."""

_SPECIAL = {*ID_NAMES, *LABEL_NAMES, *VALUE_NAMES}
_OTHER_LABELS = {"target", "targets", "y_true", "true_label", "true", "truth", "ground_truth"}
_ROW_NUMBERS = {"", "index", "idx", "row", "rows", "row_number", "no", "nr", "#", "level_0"}
_LEFT_OUT = (
    {"pred", "preds", "prediction", "predictions", "predicted", "argmax", "y_pred", "y_hat"}
    | {"pred_label", "predicted_label", "pred_class", "predicted_class", "top1", "top_1"}
    | {"confidence", "max_prob", "max_probability", "margin", "entropy", "loss", "correct"}
    | {"split", "fold", "epoch", "file", "files", "filename", "file_name", "filepath", "path"}
    | {"file_path", "image", "image_path", "image_name", "text", "sentence", "url", "name"}
)
_SHOWN = 5


class MalformedError(Exception):
    """A file that can be read, but not used; becomes the caller's own error."""


def special_columns(table: Any, class_names: Sequence[str]) -> dict[str, Array]:
    """Return the columns whose names say what they are: ids, labels, lists of values.

    Args:
        table: A pyarrow table.
        class_names: The data's classes, where they are known; these are no such columns.
    """
    of_classes = {*class_names}
    return {
        name.strip().casefold(): column(table, place)
        for place, name in enumerate(table.column_names)
        if _is_special(name.strip(), of_classes)
    }


def classes_of(
    table: Any, *, probabilities: bool, class_names: Sequence[str]
) -> tuple[Array | None, tuple[str, ...], list[str]]:
    """Gather the class columns of a table.

    Args:
        table: A pyarrow table.
        probabilities: Which of two sets of columns is wanted, where there are ``logit_*`` and
            ``prob_*``.
        class_names: The data's classes where they are known: such a column is a class, whatever
            its name.

    Returns:
        ``[N, C]`` (None without class columns), their names, and notes of what was left out.

    Raises:
        MalformedError: A column may be a class or not.
    """
    names = [name.strip() for name in table.column_names]
    _check_header(names)
    notes: list[str] = []
    of_classes = {*class_names}
    places = [p for p, name in enumerate(names) if not _is_special(name, of_classes)]
    places = _of_kind(places, names, probabilities, notes)
    named = _places_of(class_names, names, places)
    taken = {*(named or ())}
    others = [p for p in places if p not in taken]
    others = [p for p in others if not _is_row_number(table, p, names[p], notes)]
    others = _numeric(table, others, names, notes)
    if named is not None:
        _check_all_classes(table, named, others, names)
        if named != sorted(named):
            notes.append("the columns were put in the order of the data's classes, by name.")
        places = named
    else:
        places = _counted(_longest_count(others, names, notes), names)
    if not places:
        return None, (), notes
    values = np.stack([column(table, p) for p in places], axis=1)
    return values, tuple(names[p] for p in places), notes


def check_row_index(table: Any) -> None:
    """Refuse a nameless row index that does not number the rows in order.

    Raises:
        MalformedError: There is one; it may say which example a row is.
    """
    for place, name in enumerate(table.column_names):
        if not name.strip() or name.startswith(("__index_level_", "Unnamed:")):
            _is_row_number(table, place, name, [])


def column(table: Any, place: int) -> Array:
    """Return a column as an array; lists become a second axis.

    Raises:
        MalformedError: Values are missing, or lists differ in length.
    """
    name, values = table.field(place).name, table.column(place).combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_binary(values.type):
        values = values.cast(pa.string())  # which refuses what is no UTF-8
    if values.null_count:
        raise MalformedError(
            f"column {name!r} has no value in {values.null_count} of {len(values)} rows."
        )
    if not pa.types.is_nested(values.type):
        return np.asarray(values.to_numpy(zero_copy_only=False))
    lengths = {len(row) for row in values}
    if len(lengths) != 1:
        raise MalformedError(
            f"the lists in column {name!r} differ in length: {sorted(lengths)[:_SHOWN]}."
        )
    flat = values.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat).reshape(len(values), -1)


# --- what a column is ----------------------------------------------------------------------------


def _check_header(names: Sequence[str]) -> None:
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        raise MalformedError(
            f"column {doubled[0]!r} appears more than once. Give each column a different name."
        )
    if names and all(re.fullmatch(r"-?\d*\.\d+(e[+-]?\d+)?", name) for name in names):
        raise MalformedError("its first line holds numbers. Add a header line with column names.")


def _is_special(name: str, class_names: Collection[str]) -> bool:
    return name.casefold() in _SPECIAL and name not in class_names


def _of_kind(
    places: list[int], names: Sequence[str], probabilities: bool, notes: list[str]
) -> list[int]:
    """Of ``logit_*`` and ``prob_*`` keep the kind that is wanted, where both are there.

    Where only one kind is there, with at least two columns, numbers beside it are no classes.
    """
    families = {kind: [p for p in places if kind_of(names[p]) == kind] for kind in VALUE_NAMES}
    wanted, other = VALUE_NAMES[::-1] if probabilities else VALUE_NAMES
    if len(families[wanted]) < 2:
        return places
    _note_left_out([names[p] for p in families[other]], notes)
    left_out = {*families[other]}
    return [p for p in places if p not in left_out]


def _places_of(
    class_names: Sequence[str], names: Sequence[str], places: Sequence[int]
) -> list[int] | None:
    """Return where the data's classes stand, if each has a column of its name."""
    for spelling in SPELLINGS:
        at = {spelling(names[p]): p for p in places}
        found = [at.get(spelling(name)) for name in class_names]
        if found and None not in found and len(set(found)) == len(found):
            return [p for p in found if p is not None]
    return None


def _check_all_classes(
    table: Any, named: Sequence[int], others: Sequence[int], names: Sequence[str]
) -> None:
    """Refuse columns of classes that hold no numbers, and numbers of no class beside them."""
    if others:
        raise MalformedError(
            f"column {names[others[0]]!r} is not one of the data's {len(named)} classes. If it is "
            "a class, the teacher has other classes than the data; if not, remove the column."
        )
    for place in named:
        if not _is(
            table.column(place), pa.types.is_floating, pa.types.is_integer, pa.types.is_null
        ):
            _check_no_numbers(table.column(place), names[place])
            raise MalformedError(
                f"column {names[place]!r} is named as a class, but holds no numbers."
            )


def _is_row_number(table: Any, place: int, name: str, notes: list[str]) -> bool:
    """Tell whether a column numbers the rows; refuse one that looks so, but does not."""
    low = name.casefold()
    stem = low.startswith(("__index_level_", "unnamed:", "unnamed_"))
    if not (stem or low in _ROW_NUMBERS or low.endswith(("_id", "_ids", "_index"))):
        return False
    values = table.column(place)
    numbers = values.to_numpy() if _is(values, pa.types.is_integer) else None
    count = np.arange(len(values))
    rows = numbers is not None and any(np.array_equal(numbers, count + k) for k in (0, 1))
    if not rows:
        shown = ", ".join(map(str, values[:_SHOWN].to_pylist()))
        raise MalformedError(
            f"column {name!r} does not have the name of a class and looks like an index of the "
            f"rows, but not in order (it begins with {shown}). If it says which example a row is, "
            "call it 'id'; otherwise remove it."
        )
    notes.append(f"column {name!r} contains row numbers and was left out.")
    return True


def _numeric(
    table: Any, places: Sequence[int], names: Sequence[str], notes: list[str]
) -> list[int]:
    """Leave out columns that hold no class by their name or values."""
    kept, left = [], []
    for place in places:
        low, values = names[place].casefold(), table.column(place)
        if low in _LEFT_OUT or low in _OTHER_LABELS:
            left.append(names[place])
        # An empty column has the null type; that values are missing is then said of it by name.
        elif _is(values, pa.types.is_floating, pa.types.is_integer, pa.types.is_null):
            kept.append(place)
        else:
            _check_no_numbers(values, names[place])
            left.append(names[place])
    _note_left_out(left, notes)
    return kept


def _check_no_numbers(values: Any, name: str) -> None:
    """Refuse text of which a part could be read as numbers."""
    if not _is(values, pa.types.is_string, pa.types.is_large_string):
        return
    texts = [text for text in values.to_pylist() if text is not None]
    number = re.compile(r"\s*[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?\s*")
    numbers = [text for text in texts if number.fullmatch(text)]
    if not numbers:
        return
    others = [text for text in texts if not number.fullmatch(text)]
    found = f"{others[0]!r} among numbers" if others else f"numbers as text, such as {numbers[0]!r}"
    raise MalformedError(
        f"column {name!r} contains {found}. Write plain numbers with a decimal point, or remove "
        "the column if it is not a class."
    )


def _note_left_out(names: Sequence[str], notes: list[str]) -> None:
    if names:
        shown = ", ".join(map(repr, names[:_SHOWN])) + ", ..." * (len(names) > _SHOWN)
        plural = "columns" if len(names) > 1 else "column"
        notes.append(f"{plural} {shown} left out: neither name nor values are those of a class.")


def _longest_count(places: list[int], names: Sequence[str], notes: list[str]) -> list[int]:
    """Keep columns of one prefix, or that count with one stem, where others stand beside them."""
    groups: dict[str, list[int]] = {}
    for place in places:
        kind, counted = kind_of(names[place]), re.fullmatch(r"(.*?)\d+", names[place])
        stem = kind or (f"{counted[1].casefold()}#" if counted else None)
        if stem is not None:
            groups.setdefault(stem, []).append(place)
    for stem, group in sorted(groups.items(), key=lambda item: len(item[1]), reverse=True):
        numbers = numbers_of([names[p] for p in group]) or []
        if len(group) >= 2 and (stem in VALUE_NAMES or sorted(numbers) in _counts(len(group))):
            taken = {*group}
            _note_left_out([names[p] for p in places if p not in taken], notes)
            return group
    return places


def _counted(places: list[int], names: Sequence[str]) -> list[int]:
    """Put columns that count in the order of their numbers."""
    numbers = numbers_of([without_prefix(names[p]) for p in places])
    if numbers is None or numbers == sorted(numbers):
        return places
    if sorted(numbers) not in _counts(len(numbers)):
        raise MalformedError(
            f"the class columns are numbered {numbers[:_SHOWN]}..., not in order and with gaps. "
            "Is a column missing? Number them from 0 in the order of the classes."
        )
    return [place for _, place in sorted(zip(numbers, places, strict=True))]


def _counts(length: int) -> tuple[list[int], list[int]]:
    return list(range(length)), list(range(1, length + 1))


def _is(values: Any, *tests: Callable[[Any], bool]) -> bool:
    return any(test(values.type) for test in tests)
