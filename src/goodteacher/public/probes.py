"""Probe students of a recorded epoch: a short look at what its response is worth to a student."""

from __future__ import annotations

import tempfile

from goodteacher.config import Frozen, StudyConfig, parse
from goodteacher.data import StudyData
from goodteacher.engines import LocalEngine
from goodteacher.networks import Preparations
from goodteacher.records import Checkpoint
from goodteacher.studies import Context, DataKey, Silent, Store
from goodteacher.sweet_spot.probing import probe_task, probed
from goodteacher.teachers import RecordedRun, response_file, response_name
from goodteacher.training import borrowed, choose_machine

PROBES_FILE = "probes.jsonl"
_KEY = "run"


class Probed(Frozen):
    """What the best probe student of an epoch reached, a line of ``probes.jsonl``."""

    epoch: int
    student: str
    accuracy: float


def probe(run: RecordedRun, parts: StudyData, student: str, epoch: int) -> Probed:
    """Train probe students on an epoch's response, in a folder that goes again.

    They are those of a search with ``patience``: one seed, the two middle temperatures, the teacher
    alone. They train for a third of the shortest training of a student, untuned.

    Args:
        run: The recorded run.
        parts: Its data, divided.
        student: Specification of the student.
        epoch: One of its epochs that did not diverge.
    """
    config = parse(StudyConfig, data="recorded", student=student, trajectories=str(run.store.root))
    source = Checkpoint(run=run.notes.name, epoch=epoch)
    training = config.first_training(len(parts.transfer))
    epochs = max(1, round(training.epochs / config.halving))
    with tempfile.TemporaryDirectory() as folder, borrowed(config):
        store, said = Store(folder), response_name(epoch, "transfer")
        store.take_over(response_file(_KEY, epoch, "transfer"), run.store, said)
        context = Context(parts, Preparations(parts), store, choose_machine(config), Silent())
        task = probe_task(
            config,
            DataKey.of(config, parts),
            [source],
            number=0,
            training=training.model_copy(update={"epochs": epochs}),
            teachers=((run.notes.name, _KEY),),
        )
        LocalEngine(context).run("probe students", [task])
        return Probed(epoch=epoch, student=student, accuracy=probed(store, task)[source])


def probes_of(run: RecordedRun, student: str) -> dict[int, float]:
    """Return what probe students reached so far, by epoch."""
    found = run.store.read_records(PROBES_FILE, Probed)
    return {each.epoch: each.accuracy for each in found if each.student == student}


def keep_probe(run: RecordedRun, made: Probed) -> None:
    """Write what probe students of an epoch reached, in place of what was there of it."""
    found = run.store.read_records(PROBES_FILE, Probed)
    others = [e for e in found if (e.epoch, e.student) != (made.epoch, made.student)]
    run.store.write_records(PROBES_FILE, [*others, made])
