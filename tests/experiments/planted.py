"""Pairs whose truth is planted, written as `collect.py` would write them."""

import dataclasses
from collections.abc import Callable

import numpy as np

from collect import as_csv
from goodteacher.config import Recipe
from goodteacher.maths.statistics import adjusted_level
from goodteacher.records.arms import CROSS_ENTROPY, Arm, Checkpoint, smoothing_arm
from goodteacher.records.results import (
    Effect,
    Reference,
    References,
    StudentResult,
    StudentRow,
    TeacherChoice,
    Verdict,
)
from goodteacher.studies.files import VERDICT_FILE
from goodteacher.studies.store import Store
from pairs import (
    EXHAUSTIVE_FILE,
    MEASUREMENTS_FILE,
    NOT_KEPT,
    PAIR_FILE,
    STUDENTS_FILE,
    MeasurementRow,
    Pair,
    PairInfo,
)
from ruling import interval_of
from tests.report import build

LABELS, SMOOTHED = 0.80, 0.81


def fading(size, epoch, temperature):
    """S rises to a peak at epoch 4 and then quarters with every doubling; less at a high T."""
    rising = min(epoch, 4) / 4
    return 0.5 * rising * (4 / max(epoch, 4)) ** 2 / (1 + 0.1 * (temperature - 1)) * (1 + 1 / size)


def follows(similarity, size, epoch, temperature, alpha):
    """Students gain from S, and from nothing else."""
    return LABELS + 0.1 * similarity


@dataclasses.dataclass(frozen=True)
class Planted:
    """A pair; by default every claim is true of it."""

    data: str = "made"
    teacher_role: str = "large"
    student_role: str = "narrow"
    transfer: str = "tenth"
    variation: str | None = None
    teacher_seed: int = 0
    budget: str = "epochs"
    sizes: tuple[int, ...] = (32, 128, 512, 2048)
    epochs: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    seeds: int = 3
    similarity: Callable = fading
    accuracy: Callable = follows
    share_one_hot: Callable = lambda size, epoch: min(1.0, epoch / 40)
    noise: float = 0.0002
    spot: tuple[int, int] = (128, 4)
    over_converged: tuple[float, float] = (0.01, 0.001)
    over_most_accurate: tuple[float, float] = (0.01, 0.001)
    same_as_converged: bool = False
    verdict: str | None = "knowledge"
    knowledge: tuple[float, float] = (0.02, 0.002)
    more_seeds: int | None = None
    tuned: bool = True


def write(results, plan):
    """Write a pair below the results and return it."""
    who = {name: getattr(plan, name) for name in ("data", "teacher_role", "student_role")}
    info = PairInfo(
        **who,
        transfer=plan.transfer,
        variation=plan.variation,
        teacher_seed=plan.teacher_seed,
        teacher="mlp:12",
        student="mlp:3",
        num_classes=10,
        transfer_examples=1000,
        settings={
            "epochs": max(plan.epochs),
            "budget": plan.budget,
            "lr_rule": "constant",
            "student_epochs": None if plan.tuned else 54,
        },
        environment={"processor": "made"},
        minutes={"exhaustive": 1.5},
    )
    store = Store(results / info.folder)
    store.write_json(PAIR_FILE, info)
    store.write_text(MEASUREMENTS_FILE, as_csv(_measured(plan), list(MeasurementRow.model_fields)))
    columns = [name for name in StudentRow.model_fields if name not in NOT_KEPT]
    store.write_text(STUDENTS_FILE, as_csv(_students(plan), columns))
    store.write_json(EXHAUSTIVE_FILE, _sweet_spot(plan))
    if plan.verdict is not None:
        store.write_json(VERDICT_FILE, _verdict(plan))
    return Pair(results / info.folder)


def _checkpoints(plan):
    return {(b, e): Checkpoint(run=f"batch {b}", epoch=e) for b in plan.sizes for e in plan.epochs}


def _measured(plan):
    rows = []
    for size, epoch in _checkpoints(plan):
        for temperature in (1.0, 2.0, 4.0):
            for split in ("transfer", "selection"):
                base = build.measurement(split, temperature, batch_size=size, epoch=epoch)
                share = plan.share_one_hot(size, epoch)
                changed = {
                    "similarity": plan.similarity(size, epoch, temperature),
                    "share_one_hot": share,
                    "entropy": 0.5,
                    "wrong_class_variance": 0.01,
                    "cmi": 0.1,
                    "effective_classes": 1 + 9 * (1 - share) ** 4,
                }
                rows.append(
                    MeasurementRow(
                        **base.model_copy(update=changed).model_dump(),
                        batch_size=size,
                        epoch=epoch,
                        variant="raw",
                        steps=epoch,
                        passes=epoch,
                        seconds=1.0,
                        learning_rate=1e-3,
                        optimal_temperature=1.0,
                    )
                )
    return rows


def _students(plan):
    rng = np.random.default_rng(0)
    recipes = [Recipe(temperature=t, alpha=a) for t in (1.0, 2.0, 4.0) for a in (0.5, 1.0)]
    planned = {CROSS_ENTROPY: LABELS, smoothing_arm(0.1): SMOOTHED}
    for (size, epoch), point in _checkpoints(plan).items():
        for recipe in recipes:
            similarity = plan.similarity(size, epoch, recipe.temperature)
            planned[Arm(source=point, recipe=recipe)] = plan.accuracy(
                similarity, size, epoch, recipe.temperature, recipe.alpha
            )
    rows = [
        build.row(arm, accuracy=mean + plan.noise * rng.normal(), seed=seed)
        for seed in range(plan.seeds)
        for arm, mean in planned.items()
    ]
    return rows + _confirmed(plan)


def _arms(plan):
    ours = Arm(source=Checkpoint(run=f"batch {plan.spot[0]}", epoch=plan.spot[1]), recipe=Recipe())
    last = Checkpoint(run=f"batch {plan.sizes[0]}", epoch=plan.epochs[-1])
    accurate = Checkpoint(run=f"batch {plan.sizes[0]}", epoch=plan.epochs[-2])
    return {
        "sweet_spot": ours,
        "cross_entropy": CROSS_ENTROPY,
        "label_smoothing": smoothing_arm(0.1),
        "converged_teacher": ours if plan.same_as_converged else Arm(source=last, recipe=Recipe()),
        "most_accurate_teacher": Arm(source=accurate, recipe=Recipe()),
    }


def _differences(plan):
    return {
        "cross_entropy": (0.02, 0.002),
        "label_smoothing": (0.01, 0.002),
        "converged_teacher": (0.0, 0.0) if plan.same_as_converged else plan.over_converged,
        "most_accurate_teacher": plan.over_most_accurate,
    }


def _confirmed(plan):
    """Five fresh seeds; the difference of each varies by its planted standard error."""
    arms, differences = _arms(plan), _differences(plan)
    shape = np.array([-1.2, -0.6, 0.0, 0.6, 1.2])
    shape = shape / shape.std(ddof=1) * np.sqrt(5)
    rows = []
    for number in range(5):
        for name, arm in dict.fromkeys((v, k) for k, v in arms.items()):
            mean, error = differences.get(arm, (0.0, 0.0))
            rows.append(
                build.row(
                    name,
                    accuracy=0.8,
                    seed=1_000_000 + number,
                    stage="confirm",
                    student_epochs=build.TRAINING.epochs,
                    test=0.85 - (mean + error * shape[number] if arm != "sweet_spot" else 0),
                )
            )
    return rows


def _sweet_spot(plan):
    arms = _arms(plan)
    references = {
        name: _reference(arms[name], mean, error, same=arms[name] == arms["sweet_spot"])
        for name, (mean, error) in _differences(plan).items()
    }
    student = StudentResult(
        arm=arms["sweet_spot"].key,
        training=build.TRAINING,
        selection_accuracy=0.85,
        test_accuracy=0.85,
        interval=(0.84, 0.86),
        num_seeds=5,
    )
    teacher = TeacherChoice(
        run=f"batch {plan.spot[0]}",
        attributes={"batch_size": plan.spot[0]},
        epoch=plan.spot[1],
        variant="raw",
        selection_accuracy=0.9,
        test_accuracy=0.9,
    )
    return build.sweet_spot(
        teacher=teacher,
        recipe=Recipe(),
        student=student,
        references=References.model_validate(references),
    )


def _reference(arm, mean, error, *, same=False):
    interval = interval_of(mean, error, freedom=6.5, units=5, level=0.05)
    wide = interval.with_level(adjusted_level(0.05, 4))
    return Reference(
        arm=arm.key,
        training=build.TRAINING,
        selection_accuracy=0.84,
        test_accuracy=0.85 - mean,
        difference=mean,
        interval=None if same else (interval.low, interval.high),
        adjusted_interval=None if same else (wide.low, wide.high),
        teacher_test_accuracy=0.95,
    )


def _effect(mean, error, seeds=20):
    interval = interval_of(mean, error, freedom=seeds - 1, units=seeds, level=0.05)
    return Effect(mean=mean, interval=(interval.low, interval.high))


def _verdict(plan):
    return Verdict(
        verdict=plan.verdict,
        explanation="Planted.",
        teacher="batch 128 epoch 4",
        recipe=Recipe(),
        gain=_effect(0.02, 0.001),
        knowledge=_effect(*plan.knowledge),
        regularization=_effect(0.0, 0.001),
        best_regularizer="one_hot",
        over_best_regularizer=_effect(0.01, 0.001),
        ladder=(),
        controls=(),
        num_seeds=20,
        level=0.05,
        margin=0.002,
        resolvable_margin=0.001,
        more_seeds=plan.more_seeds,
    )
