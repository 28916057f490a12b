"""Opening the test split, once, and saying what the search found.

Every choice has been made when this module runs: it only measures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import cache, partial
from itertools import chain

import torch
from torch import Tensor

from goodteacher.config import Training
from goodteacher.maths.calibration import accuracy
from goodteacher.maths.statistics import Interval, accuracy_interval, paired_interval, simultaneous
from goodteacher.records import (
    Arm,
    Blend,
    BlendRecord,
    Checkpoint,
    Cost,
    Reference,
    References,
    Source,
    StudentResult,
    StudentRow,
    SweetSpot,
    TeacherChoice,
    TeacherRecord,
    TeacherSource,
    TrajectoryRecord,
    answer_of,
    known_seconds,
    summarize,
    variant_seconds,
    which_checkpoint,
)
from goodteacher.students import (
    Correct,
    Family,
    StudentTask,
    all_rows,
    mean_accuracies,
    rows_by_arm,
    tuning_rows,
)
from goodteacher.studies import CONFIRMED_FILE, Context, Store
from goodteacher.sweet_spot.choice import FAMILIES
from goodteacher.sweet_spot.search import Found, Search
from goodteacher.sweet_spot.shipping import Doubts, most_worth_shipping
from goodteacher.sweet_spot.teachers import BRANCHES
from goodteacher.teachers import combined, recorded


def conclude(
    search: Search,
    records: Sequence[TeacherRecord],
    found: Found,
    confirmed: Sequence[StudentTask],
    correct: Mapping[Arm, Correct],
    doubts: Doubts,
) -> SweetSpot:
    """Compare the winners on the test split, and measure their teachers there.

    Args:
        search: The search, for its settings and trajectories.
        records: Every healthy record of the trajectories, and of means of their responses.
        found: The winners.
        confirmed: The confirmation tasks, one for each fresh seed.
        correct: Who of the confirmed students is right: see :func:`correct_by_arm`.
        doubts: What stands between the answer and a sure one.
    """
    context, config = search.context, search.config
    selection = mean_accuracies(context.store, confirmed)
    winner = found.winners["sweet_spot"]
    result = _student_result(winner, correct[winner], selection[winner], config.level)
    teachers = _teacher_accuracies(search, found.winners.values())
    stopped = frozenset(record.source for record in records if _was_stopped(record))
    references = _references(found.winners, correct, selection, teachers, stopped, config.level)
    answer = "undecided" if doubts.training else answer_of(references)
    delivered = most_worth_shipping(found.winners, selection)
    return SweetSpot(
        answer=answer,
        delivered=delivered,
        doubts=doubts.sentences,
        improving=doubts.improving,
        edges=found.explored.edges,
        num_diverged=doubts.num_diverged,
        teacher=_teacher_choice(search, winner, records, teachers),
        recipe=winner.recipe,
        student=result,
        references=references,
        cost=cost_of(search, records, found, confirmed),
        level=config.level,
        summary=summarize(
            answer,
            result,
            references,
            delivered=delivered,
            doubts=doubts.sentences,
            checkpoints=_told_of_checkpoints(search, found, references),
            labels_by_teacher=search.teachers.gave_labels,
        ),
    )


def _told_of_checkpoints(search: Search, found: Found, references: References) -> str:
    """Say which recorded checkpoint is the best teacher, and whether it is the last of its run."""
    runs = {task.run.name: search.teachers.records(task) for task in search.teachers.runs}
    best = found.winners["sweet_spot"].source
    last = found.winners["converged_teacher"].source
    checkpoints = sum(record.status == "ok" for run in runs.values() for record in run)
    if not search.teachers.taken or checkpoints == 1 or not isinstance(best, TeacherSource):
        return ""
    return which_checkpoint(
        best,
        str(last),
        references.converged_teacher,
        last_epoch=max(record.epoch for record in runs[best.run]),
        num_checkpoints=checkpoints,
        asked_once=search.teachers.predictor(best.run) is not None,
    )


def confirmed_rows(
    store: Store, confirmed: Sequence[StudentTask], correct: Mapping[Arm, Correct]
) -> list[StudentRow]:
    """Return the rows of the confirmation with their accuracy on the test split.

    Args:
        store: The study folder.
        confirmed: The confirmation tasks, one for each fresh seed.
        correct: Who of the confirmed students is right: see :func:`correct_by_arm`.
    """
    return [
        row.model_copy(update={"test_accuracy": float(correct[arm][number].mean())})
        for arm, rows in rows_by_arm(store, confirmed).items()
        for number, row in enumerate(rows)
    ]


def write_confirmed(
    context: Context,
    winners: Mapping[Family, Arm],
    confirmed: Sequence[StudentTask],
    correct: Mapping[Arm, Correct],
) -> None:
    """Write who of the confirmed students is right, so that studies can be compared in pairs.

    Args:
        context: The study.
        winners: The confirmed arm of each family.
        confirmed: The confirmation tasks, one for each fresh seed.
        correct: See :func:`correct_by_arm`.
    """
    seeds = [row.seed for row in rows_by_arm(context.store, confirmed)[winners["sweet_spot"]]]
    right = {name: torch.from_numpy(correct[arm]).clone() for name, arm in winners.items()}
    labels = {"seeds": torch.tensor(seeds), "ids": context.data.test.ids}
    context.store.write_tensors(CONFIRMED_FILE, {**right, **labels})


def cost_of(
    search: Search,
    records: Sequence[TeacherRecord],
    found: Found,
    confirmed: Sequence[StudentTask],
) -> Cost:
    """Add up what the search took."""
    store, config = search.context.store, search.config
    trained = [recorded(store, task.key) for task in search.teachers.trajectories]
    taken = [recorded(store, task.key) for task in search.teachers.taken]
    runs = [*trained, *taken]
    branches = {
        name: [r for task in search.teachers.branches(name) for r in recorded(store, task.key)]
        for name in BRANCHES
    }
    means = [record for record in records if isinstance(record, BlendRecord)]
    probes, cooldowns = (*search.probes, *found.probes), branches["cooldown"]
    student_tasks = [*probes, *found.tasks, *confirmed]
    tuning = tuning_rows(store, search.plan)
    rows = [*tuning, *all_rows(store, student_tasks)]
    checkpoints = len(config.runs) * len(config.recorded_epochs) + sum(map(len, taken))
    grid = checkpoints * len(config.recipes)
    longest = max(task.student_epochs for task in found.tasks)
    return Cost(
        teacher_seconds=known_seconds(runs),
        untimed_runs=sum(run[-1].seconds is None for run in runs),
        student_seconds=sum(row.student_seconds for row in rows),
        num_students=len(rows),
        student_epochs_run=sum(row.student_epochs for row in rows),
        student_epochs_exhaustive=grid * longest * config.search_seeds,
        teacher_epochs_run=sum(run[-1].epoch for run in trained),
        teacher_epochs_full=config.epochs * len(config.runs),
        cooldown_seconds=sum(record.seconds or 0.0 for record in cooldowns),
        cooldown_epochs_run=config.cooldown_epochs * len(cooldowns),
        probe_epochs_run=round(sum(task.work for task in probes)),
        variants=variant_seconds(runs, [*chain(*branches.values())], means),
    )


def _student_result(
    arm: Arm, correct: Correct, selection_accuracy: float, level: float
) -> StudentResult:
    interval = accuracy_interval(correct, level=level)
    return StudentResult(
        arm=arm.trained(None).key,
        training=_training(arm),
        selection_accuracy=selection_accuracy,
        test_accuracy=interval.mean,
        interval=(interval.low, interval.high),
        num_seeds=interval.n_seeds,
    )


def _training(arm: Arm) -> Training:
    if arm.training is None:
        raise ValueError(f"{arm.key} has no training of its own, but every arm of a search has")
    return arm.training


def _teacher_accuracies(search: Search, winners: Iterable[Arm]) -> dict[Source, float]:
    """Return the accuracy on the test split of every teacher among the winners.

    A teacher that was recorded elsewhere has one where its response to the test split was kept.
    """
    test = search.context.data.test.open("every choice is made: measure the teachers")
    logits_of = cache(partial(search.teachers.test_logits, test))
    found: dict[Source, float] = {}
    for source in {arm.source for arm in winners}:
        if not isinstance(source, TeacherSource):
            continue
        parts = (
            [source] if isinstance(source, Checkpoint) else [m.checkpoint for m in source.members]
        )
        if all(logits_of(part) is not None for part in parts):
            found[source] = accuracy(combined(source, partial(_known, logits_of)), test.labels)
    return found


def _known(logits_of: Callable[[Checkpoint], Tensor | None], checkpoint: Checkpoint) -> Tensor:
    logits = logits_of(checkpoint)
    if logits is None:
        raise ValueError(f"{checkpoint} has no response to the test split")
    return logits


def _was_stopped(record: TeacherRecord) -> bool:
    return isinstance(record, TrajectoryRecord) and record.stopped


def _teacher_choice(
    search: Search,
    winner: Arm,
    records: Sequence[TeacherRecord],
    teachers: Mapping[Source, float],
) -> TeacherChoice:
    record = next(record for record in records if record.source == winner.source)
    run = next(r for r in records if isinstance(r, TrajectoryRecord) and r.run == record.run)
    return TeacherChoice(
        run=record.run,
        attributes=run.attributes,
        epoch=record.epoch,
        asked_once=search.teachers.predictor(record.run) is not None,
        variant=record.source.variant,
        members=record.source.members if isinstance(record.source, Blend) else (),
        selection_accuracy=record.selection_accuracy,
        test_accuracy=teachers.get(record.source),
    )


def _references(
    winners: Mapping[Family, Arm],
    correct: Mapping[Arm, Correct],
    selection: Mapping[Arm, float],
    teachers: Mapping[Source, float],
    stopped: Set[Source],
    level: float,
) -> References:
    names, ours = FAMILIES[1:], winners["sweet_spot"]
    others = [name for name in names if winners[name] != ours]
    single = [paired_interval(correct[ours], correct[winners[n]], level=level) for n in others]
    joint = simultaneous(single, level=level) if single else []
    intervals = dict(zip(others, zip(single, joint, strict=True), strict=True))
    entries = {
        name: _reference(
            winners[name],
            correct[winners[name]],
            selection[winners[name]],
            intervals.get(name),
            teachers.get(winners[name].source),
            stopped=winners[name].source in stopped,
            level=level,
        )
        for name in names
    }
    return References.model_validate(entries)


def _reference(
    arm: Arm,
    correct: Correct,
    selection_accuracy: float,
    intervals: tuple[Interval, Interval] | None,
    teacher_accuracy: float | None,
    *,
    stopped: bool,
    level: float,
) -> Reference:
    single, joint = intervals or (None, None)
    own = accuracy_interval(correct, level=level)
    return Reference(
        arm=arm.trained(None).key,
        training=_training(arm),
        selection_accuracy=selection_accuracy,
        test_accuracy=float(correct.mean()),
        accuracy_interval=(own.low, own.high),
        difference=single.mean if single else 0.0,
        interval=(single.low, single.high) if single else None,
        adjusted_interval=(joint.low, joint.high) if joint else None,
        teacher_test_accuracy=teacher_accuracy,
        stopped=stopped,
    )
