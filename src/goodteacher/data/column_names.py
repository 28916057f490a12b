"""Names that people give to columns: of labels, of names of classes, and of texts that go together.

Names are compared without case. The lists are ours, from data sets of the hub and from files that
people have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from goodteacher.data.labels import is_text, plain_labels
from goodteacher.data.listing import shorten
from goodteacher.data.reading import Reading
from goodteacher.maths._checks import UNLABELLED

LABEL_COLUMNS = ("label", "labels", "fine_label", "target", "class")
"""Names of the label column, in order of preference (CIFAR-100 has two labels: the fine one)."""

NAMES_OF_CLASSES = (
    "label_text",
    "label_name",
    "label_names",
    "label_str",
    "labels_text",
    "class_name",
    "class_label",
)
"""Names of columns that say in words what the label says in numbers."""

OTHER_LABELS = ("coarse_label", *NAMES_OF_CLASSES)
"""Names of columns that say the label in another way, and are no inputs."""

ONLY_LABELS = (
    *OTHER_LABELS,
    "intent",
    "category",
    "topic",
    "sentiment",
    "emotion",
    "gold_label",
    "targets",
    "classes",
    "y",
)
"""Names of the label column where no column has one of `LABEL_COLUMNS` and one alone has these."""

_GROUPS = (
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("question", "answer"),
    ("question", "passage"),
    ("question", "context"),
    ("query", "passage"),
    ("query", "document"),
    ("query", "title"),
    ("claim", "evidence"),
    ("title", "body"),
    ("title", "text"),
    ("title", "content"),
    ("title", "description"),
    ("title", "abstract"),
    ("subject", "body"),
    ("subject", "text"),
    ("subject", "message"),
    ("review_title", "review_body"),
    ("question_title", "question_content"),
    ("question_title", "question_content", "best_answer"),
)
_NUMBERED = re.compile(r"(?P<stem>sentence|sent|text|question|passage|document|s|q)[ _-]?(1|a)$")
_SECOND = {"1": "2", "a": "b"}
_NAMES_EXAMPLES = re.compile(r"(?i:(^|.*[ _.-])(id|ids|uid|guid|uuid|hash))$|.*[a-z]I[dD]$")


def only_labels(names: Sequence[str]) -> list[str]:
    """Return the columns that may be the label where none has a name of `LABEL_COLUMNS`.

    >>> only_labels(["text", "Intent"]), only_labels(["text", "topic", "sentiment"])
    (['Intent'], ['topic', 'sentiment'])
    """
    return [name for name in names if name.strip().casefold() in ONLY_LABELS]


def texts_that_go_together(names: Sequence[str]) -> tuple[str, ...] | None:
    """Return the columns of texts that are one example by their names, the largest such group.

    Args:
        names: Of columns of texts.

    Returns:
        The group in the order of its texts; None where there is none, or more than one.

    >>> texts_that_go_together(["hypothesis", "genre", "Premise"])
    ('Premise', 'hypothesis')
    >>> texts_that_go_together(["title", "body", "text"]) is None
    True
    """
    own = {name.strip().casefold(): name for name in names}
    numbered = [(name, name[:-1] + _SECOND[name[-1]]) for name in own if _NUMBERED.match(name)]
    found = [group for group in (*_GROUPS, *numbered) if own.keys() >= set(group)]
    largest = [group for group in found if not any(set(group) < set(other) for other in found)]
    return tuple(own[name] for name in largest[0]) if len(largest) == 1 else None


def names_examples(name: str) -> bool:
    """Say whether a column beside texts names examples, by its own name.

    >>> names_examples("pairID"), names_examples("user_id"), names_examples("paid")
    (True, True, False)
    """
    return _NAMES_EXAMPLES.match(name.strip()) is not None


def column_of_class_names(schema: pa.Schema) -> str | None:
    """Return the column of strings that says in words what the label says in numbers."""
    found = [n for n in schema.names if n.strip().casefold() in NAMES_OF_CLASSES]
    texts = [name for name in found if is_text(schema.field(name).type)]
    return texts[0] if texts else None


def class_names_beside(
    tables: Mapping[str, pa.Table], label: str, column: str, reading: Reading
) -> tuple[str, ...] | None:
    """Return the names of classes that a column gives beside labels that are numbers.

    Args:
        tables: Every split by its name.
        label: The column of labels.
        column: The column of names.
        reading: Where notes go.

    Returns:
        The name of each class from label 0, or from label 1 where labels count from there; None
        where labels are no numbers, or are named in more than one way, which a note says.
    """
    pairs: set[tuple[int, str]] = set()
    numbers: set[int] = set()
    for split, table in tables.items():
        if label not in table.column_names:
            continue
        labels = plain_labels(table.column(label), split)
        if not pa.types.is_integer(labels.type):
            return None
        numbers |= set(labels.unique().drop_null().to_pylist()) - {UNLABELLED}
        if column in table.column_names:
            pairs |= _named(labels, table.column(column))
    named = dict(pairs)
    if not named or min(numbers) < 0 or max(numbers) > sum(map(len, tables.values())):
        return None
    if len({name for _, name in pairs}) < len(pairs) or len(named) < len(pairs):
        shown = [f"{number}: {name!r}" for number, name in sorted(pairs)]
        reading.note(
            "class_names",
            f"Column {column!r} cannot be used as class names: one label has several names, or "
            f"several labels share a name ({shorten(shown)}). Classes are called by their numbers "
            "instead.",
        )
        return None
    first = 1 if numbers == set(range(1, len(numbers) + 1)) else 0
    return tuple(named.get(number, str(number)) for number in range(first, max(numbers) + 1))


def _named(labels: pa.ChunkedArray, names: pa.ChunkedArray) -> set[tuple[int, str]]:
    """Return each label with each of its names."""
    stripped = pc.utf8_trim_whitespace(names.cast(pa.string()))
    both = pa.table({"label": labels.cast(pa.int64()), "name": stripped}).drop_null()
    rows = both.group_by(["label", "name"]).aggregate([]).to_pylist()
    found = {(row["label"], row["name"]) for row in rows if row["name"]}
    return {(number, name) for number, name in found if number != UNLABELLED}
