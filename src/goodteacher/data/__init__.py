"""Data sets: loading, checking, dividing and normalising them.

`load_dataset` reads any source into a `Dataset`, `doctor` looks for what may spoil a study, and
`prepare` divides it into the parts that a study uses.
"""

from goodteacher.data.dataset import Dataset, Split
from goodteacher.data.doctor import doctor, resolvable_difference, selection_note
from goodteacher.data.examples import Examples
from goodteacher.data.normalization import Normalization
from goodteacher.data.notes import DataNote, Note
from goodteacher.data.patient import Finding
from goodteacher.data.sources import SOURCES, Source, load_dataset, load_for
from goodteacher.data.splits import Opening, SealedSplit, StudyData, prepare
from goodteacher.data.text import Tfidf, fit_tfidf
from goodteacher.maths._checks import UNLABELLED

__all__ = [
    "SOURCES",
    "UNLABELLED",
    "DataNote",
    "Dataset",
    "Examples",
    "Finding",
    "Normalization",
    "Note",
    "Opening",
    "SealedSplit",
    "Source",
    "Split",
    "StudyData",
    "Tfidf",
    "doctor",
    "fit_tfidf",
    "load_dataset",
    "load_for",
    "prepare",
    "resolvable_difference",
    "selection_note",
]
