"""Responses and labels: files in, checked tensors out, aligned by example id.

A response is the teacher's raw logits over the transfer set. It belongs to examples, not to rows:
every use aligns it by id, and ids that are missing or doubled are an error, never a silent shift.

Files that can be read, for responses and labels alike:

====================  ==========================================================================
``.safetensors``      arrays ``logits`` or ``probabilities``, optional ``ids``; ``labels``
``.npz``              the same names; labels also as ``y``
``.npy``              one array ``[num_examples, num_classes]``; labels ``[num_examples]``
``.parquet``          optional column ``id``/``ids``; one list column ``logits``/``probabilities``,
                      or one numeric column per class in class order; labels in column ``label``,
                      ``labels`` or ``y``
``.csv``              the same with one numeric column per class, and a header line
====================  ==========================================================================

Without ids, ids are the row numbers 0..N-1, and ``has_ids`` says so. Nothing is ever unpickled.

Decisions, all *ours*:

* Probabilities become log-probabilities, which are logits up to a constant per row. Exact zeros
  are floored at the smallest normal float32, 1.2e-38 (log: -87.3): the file does not say how small
  they were, and so they stay practically zero up to temperatures of about 8.
* Values named ``logits`` (or not named) of which every row is non-negative and sums to one are
  refused unless ``probabilities=True``: taken as logits they would be nearly uniform.
* With ``probabilities=True``, an array named ``probabilities`` is preferred, and one named
  ``logits`` is accepted if its rows are probabilities; the check of the rows decides.
* A label column beside class columns is left out of the classes.
"""

from goodteacher.responses.containers import Labels, Response
from goodteacher.responses.files import (
    PROBABILITY_FLOOR,
    SUM_TOLERANCE,
    read_labels,
    read_response,
    write_response,
)

__all__ = [
    "PROBABILITY_FLOOR",
    "SUM_TOLERANCE",
    "Labels",
    "Response",
    "read_labels",
    "read_response",
    "write_response",
]
