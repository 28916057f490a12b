"""What a study's teachers say about the test split, asked once every choice is made.

A teacher that was trained here is loaded and asked; of one that was recorded elsewhere there is
only what was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from goodteacher.data import Split
from goodteacher.records import Checkpoint
from goodteacher.responses import in_memory
from goodteacher.studies import Context
from goodteacher.teachers.recording import (
    branch_key,
    checkpoint_file,
    load_response,
    response_file,
)
from goodteacher.teachers.running import loaded
from goodteacher.training import compute_logits


def logits_on_test(
    context: Context, keys: Mapping[str, str], spec: str | None, teacher: Checkpoint, test: Split
) -> Tensor | None:
    """Return what a teacher says about the test split; None where that cannot be known.

    Args:
        context: The study.
        keys: Name of the folder of each run.
        spec: The specification of the teachers that were trained here, if any were.
        teacher: A recorded epoch, or what branches off it.
        test: The test split, open.

    Returns:
        Raw logits, float32 [N, C], on the CPU.
    """
    key = branch_key(keys[teacher.run], teacher.variant, teacher.epoch)
    if context.store.exists(response_file(key, teacher.epoch, "test")):
        said = load_response(context.store, keys[teacher.run], teacher, test, name="test")
        return in_memory(said)
    if spec is None or not context.store.exists(checkpoint_file(key, teacher.epoch)):
        return None
    network = loaded(context, spec, context.store, checkpoint_file(key, teacher.epoch))
    return compute_logits(network.module, context.examples(spec, test))
