"""Recording a teacher: its weights, its responses, and what these say.

Everything that becomes a teacher of a study - an epoch of a trajectory, a moving average, a
cooldown - is recorded the same way, in a folder of its own, and read back by id.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial

from torch import Tensor, nn

from goodteacher.config import run_order
from goodteacher.data import Split
from goodteacher.maths.calibration import BestTemperature
from goodteacher.records import Checkpoint, Measured, Measurement, TeacherVariant, TrajectoryRecord
from goodteacher.responses import Logits, Response, in_memory, read_recorded
from goodteacher.responses.measurement import measure_splits
from goodteacher.studies import Context, DataKey, Store
from goodteacher.training import ALONE, Group, compute_logits

RESPONSE_SPLITS = ("transfer", "selection")
TRAJECTORY_FILE = "trajectory.jsonl"


def record_teacher(
    context: Context,
    network: nn.Module,
    *,
    key: str,
    epoch: int,
    teacher: str,
    data: DataKey,
    temperatures: tuple[float, ...],
    group: Group = ALONE,
) -> Measured:
    """Write a network's weights and responses and measure them; nothing if it diverged.

    Args:
        context: The study.
        network: The teacher's module, on the machine's device.
        key: The task's key, which names the folder below ``teachers/``.
        epoch: The recorded epoch.
        teacher: Its specification, which says how it wants its inputs too.
        data: Says how views are augmented, and how many the teacher responds to.
        temperatures: Where responses are measured, beside 1 and the best one.
        group: The processes that compute the responses, of which this is the first; the others
            call :func:`responses_of`.

    Returns:
        Measurements on the transfer set and the selection split; without an optimal temperature if
        a response is not finite.
    """
    started = time.perf_counter()
    responses = responses_of(context, network, teacher=teacher, data=data, group=group)
    best: BestTemperature | None = None
    measurements: tuple[Measurement, ...] = ()
    if responses is not None:
        plain = {name: responses[name, 0] for name in RESPONSE_SPLITS}
        context.store.write_tensors(checkpoint_file(key, epoch), network.state_dict())
        _write_preparation(context, key, teacher)
        write_responses(context, responses, key=key, epoch=epoch, teacher=teacher)
        labels = {name: split_of(context, name).labels for name in RESPONSE_SPLITS}
        best, measurements = measure_splits(plain, labels, temperatures=temperatures)
    return Measured(
        optimal_temperature=best.value if best else None,
        optimal_temperature_limit=best.limit if best else None,
        measurements=measurements,
        recording_seconds=time.perf_counter() - started,
    )


def responses_of(
    context: Context, network: nn.Module, *, teacher: str, data: DataKey, group: Group = ALONE
) -> dict[tuple[str, int], Tensor] | None:
    """Return what a network says on the splits, by split and view; None if it diverged.

    Every process of a group calls it, with the network that all of them have trained. What the
    others than the first one get is a share, of no use but for being sent.

    Args:
        context: The study.
        network: The teacher's module, on the machine's device.
        teacher: Its specification, which says how it wants its inputs too.
        data: Says how views are augmented, and how many the teacher responds to.
        group: The processes.
    """
    examples = {
        name: context.examples(teacher, split_of(context, name), data.augmentation)
        for name in RESPONSE_SPLITS
    }
    group.alike(network)
    respond = partial(compute_logits, network, group=group)
    responses = {(name, 0): respond(examples[name]) for name in RESPONSE_SPLITS}
    if not group.agreed(all(bool(logits.isfinite().all()) for logits in responses.values())):
        return None
    for view in range(1, data.views):
        responses["transfer", view] = respond(examples["transfer"], view=view)
    return responses


def _write_preparation(context: Context, key: str, teacher: str) -> None:
    """Keep how a teacher wants its inputs, once for all of its epochs and branches."""
    file = preparation_file(key)
    if not context.store.exists(file):
        context.store.write_json(file, context.networks.of(teacher).to_dict())


def write_responses(
    context: Context,
    responses: Mapping[tuple[str, int], Tensor],
    *,
    key: str,
    epoch: int,
    teacher: str,
) -> None:
    """Write what a teacher says.

    Args:
        context: The study.
        responses: Raw logits [N, C] by split and view.
        key: The task's key, which names the folder below ``teachers/``.
        epoch: The recorded epoch.
        teacher: Its specification.
    """
    for (name, view), logits in responses.items():
        response = Response(logits=logits, ids=split_of(context, name).ids)
        tensors = {each: in_memory(rows).contiguous() for each, rows in response.arrays().items()}
        notes = {"split": name, "view": str(view), "teacher": teacher, "task": key}
        file = response_file(key, epoch, name, view)
        context.store.write_tensors(file, tensors, **notes)


def take_recorded(
    store: Store, lender: Store, key: str, record: TrajectoryRecord, *, views: int
) -> None:
    """Take over what another study has recorded of a teacher task of the same key.

    Args:
        store: The study's.
        lender: The other study's.
        key: The task's, here and there.
        record: Which of its records; a diverged one has left nothing.
        views: How many views the teacher responds to.
    """
    if record.status == "diverged":
        return
    names = [
        preparation_file(key),
        *(response_file(key, record.epoch, split) for split in RESPONSE_SPLITS),
        *(response_file(key, record.epoch, "transfer", view) for view in range(1, views)),
        checkpoint_file(key, record.epoch),
    ]
    average = ema_file(key, record.epoch)
    for name in [*names, average] if lender.exists(average) else names:
        store.take_over(name, lender, name)


def checkpoint_file(task_key: str, epoch: int) -> str:
    """Return where a teacher's weights are, below the study folder."""
    return f"teachers/{task_key}/checkpoints/epoch-{epoch:05d}.safetensors"


def preparation_file(task_key: str) -> str:
    """Return where it stands how a teacher wants its inputs, below the study folder."""
    return f"teachers/{task_key.partition('/')[0]}/preparation.json"


def ema_file(task_key: str, epoch: int) -> str:
    """Return where a trajectory keeps the moving average of its weights."""
    return f"teachers/{task_key}/checkpoints/ema-epoch-{epoch:05d}.safetensors"


def branch_key(trunk: str, variant: TeacherVariant, epoch: int) -> str:
    """Return the key of a variant from an epoch of the trajectory of key ``trunk``."""
    return trunk if variant == "raw" else f"{trunk}/{variant}-{epoch:05d}"


def response_file(task_key: str, epoch: int, split: str, view: int = 0) -> str:
    """Return where a trajectory keeps a response, below the study folder."""
    return f"teachers/{task_key}/{response_name(epoch, split, view)}"


def response_name(epoch: int, split: str, view: int = 0) -> str:
    """Return where a run keeps a response, below its own folder."""
    return f"responses/epoch-{epoch:05d}.{split}.view-{view}.safetensors"


def load_response(
    store: Store,
    task_key: str,
    checkpoint: Checkpoint,
    split: Split,
    *,
    name: str = "transfer",
    view: int = 0,
) -> Logits:
    """Return a checkpoint's response, aligned with a split by id.

    Args:
        store: The study folder.
        task_key: The trajectory that the checkpoint belongs to.
        checkpoint: The recorded epoch.
        split: The examples wanted.
        name: Which of the recorded responses covers them, in ``RESPONSE_SPLITS``.
        view: The view of them that the teacher saw.

    Returns:
        Raw logits, float32 [len(split), C]; large ones stay in their file.
    """
    key = branch_key(task_key, checkpoint.variant, checkpoint.epoch)
    path = store.local(response_file(key, checkpoint.epoch, name, view))
    return read_recorded(path).aligned_to(split.ids)


def split_of(context: Context, name: str) -> Split:
    """Return the split that a name in ``RESPONSE_SPLITS`` stands for."""
    return {"transfer": context.data.transfer, "selection": context.data.selection}[name]


def resume_file(key: str, epoch: int) -> str:
    """Return where the state is from which a trajectory goes on after its last recorded epoch."""
    return f"teachers/{key}/resume-epoch-{epoch:05d}.safetensors"


def recorded(store: Store, key: str) -> list[TrajectoryRecord]:
    """Return what a study has recorded of the teacher task of a key; nothing if it has none."""
    return store.read_records(f"teachers/{key}/{TRAJECTORY_FILE}", TrajectoryRecord)


def write_recorded(store: Store, key: str, records: Sequence[TrajectoryRecord]) -> None:
    """Keep all records of the teacher task of a key."""
    store.write_records(f"teachers/{key}/{TRAJECTORY_FILE}", records)


def recorded_keys(store: Store) -> list[str]:
    """Return the names of the folders of all trajectories that a study has recorded."""
    return [name.split("/")[1] for name in store.matching(f"teachers/*/{TRAJECTORY_FILE}")]


def recorded_teachers(store: Store) -> list[TrajectoryRecord]:
    """Return every recorded epoch of every trajectory of a study, by run and epoch."""
    names = store.matching(f"teachers/*/{TRAJECTORY_FILE}")
    records = [r for name in names for r in store.read_records(name, TrajectoryRecord)]
    return sorted(records, key=lambda record: (run_order(record.made_by), record.epoch))
