"""Data sets: loading, checking and dividing them.

`load_dataset` reads any source into a `Dataset`, `doctor` looks for what may spoil a study, and
`prepare` divides it into the parts that a study uses.
"""

from goodteacher.data.bounds import FEWER_TERMS, at_most, check_fits, check_shape, inherited
from goodteacher.data.column_types import as_floats, is_numeric
from goodteacher.data.dataset import Dataset, Split
from goodteacher.data.doctor import doctor, resolvable_difference, selection_note
from goodteacher.data.inputs import (
    Fields,
    InMemory,
    Inputs,
    Mapped,
    Text,
    as_inputs,
)
from goodteacher.data.listing import shorten
from goodteacher.data.named_folder import inside
from goodteacher.data.notes import DataNote, Note
from goodteacher.data.numbers import AT_ONCE, at_once, decoded
from goodteacher.data.numpy_files import UNREADABLE, load_npy, load_npz
from goodteacher.data.odd_columns import are_dates, are_identifiers, numbers_rows
from goodteacher.data.patient import Finding
from goodteacher.data.pictures import heat_map, picture
from goodteacher.data.sources import SOURCES, Source, load_dataset, load_for
from goodteacher.data.sparse import Sparse
from goodteacher.data.spec import InputSpec, Kind, numbers_spec
from goodteacher.data.splits import Opening, SealedSplit, StudyData, prepare
from goodteacher.data.table_bounds import check_parquet, check_text_table
from goodteacher.data.table_rows import (
    UNSEEN,
    Frame,
    TableRows,
    as_table,
    has_columns,
    is_table,
    plain_words,
    rows_of_table,
    rows_spec,
    table_of,
    words_of,
)
from goodteacher.data.texts import (
    TextColumns,
    Texts,
    are_texts,
    as_text_inputs,
    check_rows_of_texts,
    check_texts,
    on_one_line,
    rows_of_columns,
)
from goodteacher.maths._checks import UNLABELLED

__all__ = [
    "AT_ONCE",
    "FEWER_TERMS",
    "SOURCES",
    "UNLABELLED",
    "UNREADABLE",
    "UNSEEN",
    "DataNote",
    "Dataset",
    "Fields",
    "Finding",
    "Frame",
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
    "TableRows",
    "Text",
    "TextColumns",
    "Texts",
    "are_dates",
    "are_identifiers",
    "are_texts",
    "as_floats",
    "as_inputs",
    "as_table",
    "as_text_inputs",
    "at_most",
    "at_once",
    "check_fits",
    "check_parquet",
    "check_rows_of_texts",
    "check_shape",
    "check_text_table",
    "check_texts",
    "decoded",
    "doctor",
    "has_columns",
    "heat_map",
    "inherited",
    "inside",
    "is_numeric",
    "is_table",
    "load_dataset",
    "load_for",
    "load_npy",
    "load_npz",
    "numbers_rows",
    "numbers_spec",
    "on_one_line",
    "picture",
    "plain_words",
    "prepare",
    "resolvable_difference",
    "rows_of_columns",
    "rows_of_table",
    "rows_spec",
    "selection_note",
    "shorten",
    "table_of",
    "words_of",
]
