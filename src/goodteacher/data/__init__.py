"""Data sets: loading, checking and dividing them.

`load_dataset` reads any source into a `Dataset`, `doctor` looks for what may spoil a study, and
`prepare` divides it into the parts that a study uses.
"""

from goodteacher.data.dataset import Dataset, Split, shorten
from goodteacher.data.doctor import doctor, resolvable_difference, selection_note
from goodteacher.data.notes import DataNote, Note
from goodteacher.data.patient import Finding
from goodteacher.data.sources import SOURCES, Source, load_dataset, load_for
from goodteacher.data.splits import Opening, SealedSplit, StudyData, prepare
from goodteacher.maths._checks import UNLABELLED

__all__ = [
    "SOURCES",
    "UNLABELLED",
    "DataNote",
    "Dataset",
    "Finding",
    "Note",
    "Opening",
    "SealedSplit",
    "Source",
    "Split",
    "StudyData",
    "doctor",
    "load_dataset",
    "load_for",
    "prepare",
    "resolvable_difference",
    "selection_note",
    "shorten",
]
