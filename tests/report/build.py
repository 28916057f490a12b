"""A small study folder, written through the store and the results classes like a real one."""

import math

from goodteacher.config import Recipe, StudyConfig, Training, parse
from goodteacher.records.arms import CROSS_ENTROPY, Arm, Checkpoint, smoothing_arm
from goodteacher.records.decisions import Decision
from goodteacher.records.results import (
    Cost,
    DataSummary,
    LearningPoint,
    Measurement,
    Reference,
    References,
    StudentResult,
    StudentRow,
    SweetSpot,
    TeacherChoice,
    TrajectoryRecord,
)
from goodteacher.studies.environment import Environment, Environments
from goodteacher.studies.files import DECISIONS_FILE, ENVIRONMENT_FILE
from goodteacher.studies.store import Store

CHOSEN = Checkpoint(run="batch 128", epoch=2)
LAST_OF_32 = Checkpoint(run="batch 32", epoch=4)
"""Tried as a reference only."""
WINNER = Arm(source=CHOSEN, recipe=Recipe(temperature=2.0, alpha=0.5))


def settings(**changes):
    """Settings of a study of two batch sizes, three recorded epochs and four recipes."""
    values = {
        "data": "digits",
        "teacher": "mlp:32",
        "student": "mlp:8",
        "batch_sizes": [32, 128],
        "epochs": 4,
        "temperatures": [1, 2],
        "alphas": [0.5, 1],
        "smoothings": [0.1, 0.2],
        "shortlist": 4,
        **changes,
    }
    return parse(StudyConfig, **values)


def measurement(split, temperature, *, batch_size, epoch):
    """A measurement whose every number follows from where it was made."""
    similarity = epoch / batch_size + temperature / 10 + (split == "selection") / 100
    return Measurement(
        split=split,
        temperature=temperature,
        accuracy=0.9 + epoch / 100,
        nll=0.3 + abs(epoch - 2) / 10 + 1 / batch_size,
        brier=0.1,
        ace=0.02,
        similarity=similarity,
        class_part=0.75 * similarity,
        instance_part=0.25 * similarity,
        effective_classes=1 + temperature / epoch,
        share_one_hot=0.4,
        off_class_mass=0.1,
    )


TRAINING = Training(epochs=18, batch_size=32, learning_rate=2e-3)


def made_by(batch_size):
    """The run of a batch size, as a study of one learning rate and one seed names it."""
    attributes = {"batch_size": batch_size, "learning_rate": 1e-3, "seed": 0}
    return {"run": f"batch {batch_size}", "attributes": attributes}


def record(batch_size, epoch):
    """A healthy teacher, best at temperature 1.5."""
    return TrajectoryRecord(
        **made_by(batch_size),
        epoch=epoch,
        steps=epoch * 10,
        passes=float(epoch),
        seconds=2.5 * epoch,
        learning_rate=1e-3,
        training_loss=0.5,
        optimal_temperature=1.5,
        measurements=tuple(
            measurement(split, temperature, batch_size=batch_size, epoch=epoch)
            for split in ("transfer", "selection")
            for temperature in (1.0, 1.5, 2.0)
        ),
    )


def diverged(batch_size, epoch):
    """A teacher that diverged: nothing was measured."""
    return TrajectoryRecord(
        **made_by(batch_size),
        epoch=epoch,
        steps=epoch * 10,
        passes=float(epoch),
        seconds=2.5 * epoch,
        learning_rate=1e-3,
        training_loss=None,
        status="diverged",
        optimal_temperature=None,
    )


def row(arm, *, accuracy, seed=0, stage="search", rung=0, student_epochs=2, test=None):
    """A trained student."""
    source = arm.source.model_dump()
    return StudentRow(
        task=f"{stage}-{rung}-{seed}",
        stage=stage,
        rung=rung,
        seed=seed,
        arm=arm.key,
        source=arm.source.kind,
        teacher=str(arm.source) if arm.source.kind in ("checkpoint", "blend") else None,
        run=source.get("run"),
        epoch=source.get("epoch"),
        variant=source.get("variant"),
        smoothing=source.get("smoothing"),
        **arm.recipe.model_dump(),
        student_epochs=student_epochs,
        student_batch_size=TRAINING.batch_size,
        student_learning_rate=TRAINING.learning_rate,
        status="ok" if accuracy else "diverged",
        training_loss=0.3 if accuracy else None,
        selection_accuracy=accuracy,
        test_accuracy=test,
        student_seconds=0.25,
        curve=(LearningPoint(epoch=student_epochs, accuracy=accuracy, nll=0.4, training_loss=0.3),),
    )


def accuracy_of(checkpoint, recipe):
    """Planted accuracy: best at the chosen checkpoint, T = 2 and alpha = 0.5."""
    distance = abs(checkpoint.epoch - 2) + (checkpoint.run != "batch 128")
    return 0.9 - distance / 100 + recipe.temperature / 1000 - recipe.alpha / 1000


def search_rows(config, checkpoints):
    """Rows of two seeds: every arm on the first round, the best checkpoint on the later ones."""
    arms = {
        Arm(source=checkpoint, recipe=recipe): accuracy_of(checkpoint, recipe)
        for checkpoint in checkpoints
        for recipe in config.recipes
    }
    arms |= {CROSS_ENTROPY: 0.86, smoothing_arm(0.1): 0.87, smoothing_arm(0.2): 0.865}
    first = [
        row(arm, accuracy=mean + (0.01 if seed else -0.01), seed=seed)
        for seed in range(2)
        for arm, mean in arms.items()
    ]
    later = [
        row(WINNER, accuracy=0.95, seed=seed, rung=rung, student_epochs=epochs)
        for rung, epochs in ((1, 6), (2, 18))
        for seed in range(2)
        if WINNER in arms
    ]
    return [*first, *later]


def confirm_rows():
    """Three fresh seeds of the winner: test accuracy 0.90, 0.92, 0.94."""
    return [
        row(
            WINNER,
            accuracy=0.93,
            seed=1_000_000 + number,
            stage="confirm",
            student_epochs=18,
            test=test,
        )
        for number, test in enumerate((0.90, 0.92, 0.94))
    ]


def reference(arm, accuracy, half_width, teacher=None):
    """A reference with an interval of a given half-width; its joint interval is twice as wide."""
    difference = 0.92 - accuracy
    estimated = arm != WINNER
    interval = (difference - half_width, difference + half_width)
    joint = (difference - 2 * half_width, difference + 2 * half_width)
    return Reference(
        arm=arm.key,
        training=TRAINING,
        selection_accuracy=accuracy,
        test_accuracy=accuracy,
        difference=difference,
        interval=interval if estimated else None,
        adjusted_interval=joint if estimated else None,
        teacher_test_accuracy=teacher,
    )


def sweet_spot(**changes):
    """An answer with one reference of each outcome."""
    late = Arm(source=Checkpoint(run="batch 32", epoch=4), recipe=Recipe(temperature=2.0))
    student = StudentResult(
        arm=WINNER.key,
        training=TRAINING,
        selection_accuracy=0.93,
        test_accuracy=0.92,
        interval=(0.9, 0.94),
        num_seeds=3,
    )
    values = {
        "answer": "undecided",
        "delivered": "converged_teacher",
        "teacher": TeacherChoice(
            **made_by(128), epoch=2, variant="raw", selection_accuracy=0.92, test_accuracy=0.9125
        ),
        "recipe": WINNER.recipe,
        "student": student,
        "references": References(
            cross_entropy=reference(CROSS_ENTROPY, 0.89, 0.01),
            label_smoothing=reference(smoothing_arm(0.1), 0.915, 0.01),
            converged_teacher=reference(late, 0.94, 0.005, 0.9375),
            most_accurate_teacher=reference(WINNER, 0.92, 0.0, 0.9125),
        ),
        "cost": Cost(
            teacher_seconds=20.0,
            student_seconds=12.5,
            num_students=30,
            student_epochs_run=120,
            student_epochs_exhaustive=960,
            teacher_epochs_run=8,
            teacher_epochs_full=8,
        ),
        "level": 0.05,
        "summary": "The sweet spot's students reach 92.00 % on the test split.",
    }
    return SweetSpot(**{**values, **changes})


def data_summary(class_names=("zero", "one", "two")):
    """A data set of three classes."""
    return DataSummary(
        fingerprint="f" * 16,
        class_names=class_names,
        input_shape=(1, 8, 8),
        training=1200,
        transfer=1000,
        selection=15_000,
        test=360,
    )


def environment(**changes):
    """A machine."""
    values = {
        "python": "3.11.0",
        "platform": "made",
        "processor": "made",
        "cpus": 2,
        "threads": 1,
        "device": "cpu",
        "versions": {"torch": "2.9"},
    }
    return Environment(**{**values, **changes})


def write_study(folder, *, config=None, records=None, data=None):
    """Write what every study has: settings, data, environment and trajectories."""
    config = config or settings()
    store = Store.create(folder, config)
    store.write_json("data.json", data or data_summary())
    store.write_json(ENVIRONMENT_FILE, Environments(environments=(environment(),)))
    if records is None:
        records = [record(b, e) for b in config.batch_sizes for e in config.recorded_epochs]
    for run in {found.run for found in records}:
        own = [found for found in records if found.run == run]
        store.write_records(f"teachers/{run.replace(' ', '-')}/trajectory.jsonl", own)
    return store


def finish_study(store, answer=None):
    """Add students and the answer; every checkpoint but batch 32 epoch 1 had students."""
    config = store.config(StudyConfig)
    checkpoints = [
        Checkpoint(run=f"batch {b}", epoch=e)
        for b in config.batch_sizes
        for e in config.recorded_epochs
        if (b, e) != (32, 1)
    ]
    decided = shortlisted(checkpoint for checkpoint in checkpoints if checkpoint != LAST_OF_32)
    store.write_records(DECISIONS_FILE, [decided])
    rows = [*search_rows(config, checkpoints), *confirm_rows()]
    store.write_table("students.parquet", rows, StudentRow)
    store.write_json("sweet_spot.json", answer or sweet_spot())


def shortlisted(checkpoints):
    """The decision that these checkpoints compete."""
    return Decision(what="shortlist", teachers=tuple(checkpoints), reason="planted")


def close(left, right):
    """Say whether two numbers agree to nine digits."""
    return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)
