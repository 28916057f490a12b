"""Responses and labels: files in, checked tensors out, aligned by example id.

A response is the teacher's raw logits over the transfer set. It belongs to examples, not to rows:
every use aligns it by id, and ids that are missing or doubled are an error, never a silent shift.

Files that can be read, for responses and labels alike:

====================  ==========================================================================
``.safetensors``      arrays ``logits`` or ``probabilities``, optional ``ids``; ``labels``
``.npz``              the same names; labels also as ``y``
``.npy``              one array ``[num_examples, num_classes]``; labels ``[num_examples]``
``.parquet``          optional column ``id``/``ids``; one list column ``logits``/``probabilities``,
                      or one numeric column per class; labels in column ``label``, ``labels`` or
                      ``y``
``.csv``, ``.tsv``    the same with one numeric column per class, and a header line; also with
                      semicolons and decimal commas, and compressed as ``.csv.gz``
====================  ==========================================================================

A ``.safetensors`` file may hold the largest classes of each example alone, if it was written by
:func:`write_response` with ``top_k`` (:mod:`~goodteacher.responses.top_k`).

Names of the classes are the header of a table, an array ``class_names`` or ``classes``, or such an
entry in the metadata of safetensors or Parquet. Without ids, ids are the row numbers 0..N-1, and
``has_ids`` says so. Nothing is ever unpickled. Tensors, arrays and data frames are examined by the
same functions as files (:func:`as_response`).

What the numbers may be is decided in :mod:`~goodteacher.responses.values`, which columns are which
classes in :mod:`~goodteacher.responses.columns`, and what else may stand in a table in
``responses/_tables.py``. With ``probabilities=True``, an array named ``probabilities`` is
preferred, and one named ``logits`` is accepted if its rows are probabilities.
"""

from goodteacher.maths.rows import (
    LazyRows,
    Logits,
    concatenated,
    in_memory,
    row_chunks,
    select_classes,
    select_rows,
)
from goodteacher.responses.columns import (
    class_columns,
    columns_of,
    default_numbers,
    difference,
)
from goodteacher.responses.containers import Labels, Response
from goodteacher.responses.examination import (
    examine_agreement,
    examine_response,
    look_alike,
    most_probable,
    remembered,
)
from goodteacher.responses.files import (
    ResponseLike,
    as_response,
    read_labels,
    read_recorded,
    read_response,
    write_response,
)
from goodteacher.responses.fitting import fitted_response, fitted_to_part, load_pair
from goodteacher.responses.scored import Scored, joined, scored
from goodteacher.responses.stored import is_large, same_logits, save_arrays
from goodteacher.responses.top_k import TopK, told_of
from goodteacher.responses.top_k import top_k as keep_top
from goodteacher.responses.values import SUM_TOLERANCE, look_like_probabilities

__all__ = [
    "SUM_TOLERANCE",
    "Labels",
    "LazyRows",
    "Logits",
    "Response",
    "ResponseLike",
    "Scored",
    "TopK",
    "as_response",
    "class_columns",
    "columns_of",
    "concatenated",
    "default_numbers",
    "difference",
    "examine_agreement",
    "examine_response",
    "fitted_response",
    "fitted_to_part",
    "in_memory",
    "is_large",
    "joined",
    "keep_top",
    "load_pair",
    "look_alike",
    "look_like_probabilities",
    "most_probable",
    "read_labels",
    "read_recorded",
    "read_response",
    "remembered",
    "row_chunks",
    "same_logits",
    "save_arrays",
    "scored",
    "select_classes",
    "select_rows",
    "told_of",
    "write_response",
]
