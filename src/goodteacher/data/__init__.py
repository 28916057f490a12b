"""Data sets: loading, checking and dividing them.

`load_dataset` reads any source into a `Dataset`, `doctor` looks for what may spoil a study, and
`prepare` divides it into the parts that a study uses.
"""

from goodteacher.data.dataset import Dataset, Split
from goodteacher.data.doctor import doctor, resolvable_difference, selection_note
from goodteacher.data.inputs import (
    AT_ONCE,
    Fields,
    InMemory,
    Inputs,
    Mapped,
    Texts,
    as_inputs,
    check_texts,
)
from goodteacher.data.listing import shorten
from goodteacher.data.notes import DataNote, Note
from goodteacher.data.odd_columns import are_dates, are_identifiers, numbers_rows
from goodteacher.data.patient import Finding
from goodteacher.data.sources import SOURCES, Source, load_dataset, load_for
from goodteacher.data.sparse import Sparse
from goodteacher.data.spec import InputSpec, Kind, numbers_spec
from goodteacher.data.splits import Opening, SealedSplit, StudyData, prepare
from goodteacher.maths._checks import UNLABELLED

__all__ = [
    "AT_ONCE",
    "SOURCES",
    "UNLABELLED",
    "DataNote",
    "Dataset",
    "Fields",
    "Finding",
    "InMemory",
    "InputSpec",
    "Inputs",
    "Kind",
    "Mapped",
    "Note",
    "Opening",
    "SealedSplit",
    "Source",
    "Sparse",
    "Split",
    "StudyData",
    "Texts",
    "are_dates",
    "are_identifiers",
    "as_inputs",
    "check_texts",
    "doctor",
    "load_dataset",
    "load_for",
    "numbers_rows",
    "numbers_spec",
    "prepare",
    "resolvable_difference",
    "selection_note",
    "shorten",
]
