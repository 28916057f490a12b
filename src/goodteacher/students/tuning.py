"""The student is tuned before it is distilled: how fast and how long it trains.

A gain over a student that was trained poorly is worth nothing. So learning rates are tried on hard
labels alone, before any teacher is trained, all in one stack; and `rules_for` says with how many
epochs every family is then tried. A learning rate or a number of epochs that the user names is
taken as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from goodteacher.config import StudentConfig, Training
from goodteacher.records import CROSS_ENTROPY, Arm, StudentPlan, StudentRow, Trial, best_so_far
from goodteacher.students.families import LONGER, RECIPE_AXES, TOLERANCE, Rules, explore
from goodteacher.students.kept import Shelf, mean_accuracies
from goodteacher.students.plan import Students, StudentTask
from goodteacher.studies import Flow, Standing, Store

PLAN_FILE = "student_training.json"
TUNE_SEED = 5_000_000
"""Seeds that choose the learning rate count from here."""
NUM_SEEDS = 2
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Learning rates tried first, as multiples of where the search starts."""
FURTHEST = 16.0
"""The largest and, inverted, the smallest multiple that is tried."""
PATIENCE, MORE_PATIENCE = LONGER**3, LONGER**5
"""The most epochs that families are tried with, as multiples of the first ones: by default, and
with ``until_converged``."""
STEP = 2.0
FEW, SMALLEST_BATCH = 2000, 8
"""Up to so many examples smaller batches are tried too, down to this size: there they may do
better (experiments/LOG.md), and cost little."""


def plan_student(students: Students) -> StudentPlan:
    """Return how students train first, tuned on hard labels where the user leaves that open.

    Args:
        students: How they are made. The plan is kept in their folder.
    """
    (plan,) = students.engine.together(planning(students))
    return cast("StudentPlan", plan)


def is_planned(store: Store) -> bool:
    """Say whether a study knows how its students train first."""
    return store.exists(PLAN_FILE)


def planning(students: Students) -> Flow[StudentPlan]:
    """Do the same as a flow, beside others; see :func:`plan_student`."""
    store, transfer = students.context.store, students.context.data.transfer
    if is_planned(store):
        return store.read_json(PLAN_FILE, StudentPlan)
    config = students.config
    first = config.first_training(len(transfer))
    plan = StudentPlan(training=first, tuned=config.tunes_student)
    if plan.tuned and bool((transfer.labels >= 0).any()):
        plan = yield from _tuned(first, students)
        students.context.note(_told(plan))
        best = max(trial.selection_accuracy for trial in plan.trials)
        students.context.note(Standing(best_so_far(CROSS_ENTROPY, best, NUM_SEEDS)))
    store.log("student_training", **plan.model_dump(mode="json"))
    store.write_json(PLAN_FILE, plan)
    return plan


@dataclass(frozen=True)
class Tuned:
    """Arms with the training that each was found to need.

    Attributes:
        winners: One arm for each name.
        training: The training of arms that were not tuned.
        measured: Whether several numbers of epochs were tried.
        improving: Names whose students still got better at the most epochs that were tried.
    """

    winners: Mapping[str, Arm]
    training: Training
    measured: bool
    improving: tuple[str, ...] = ()


def tune(
    students: Students,
    families: Mapping[str, Sequence[Arm]],
    *,
    first_seed: int = TUNE_SEED,
    num_seeds: int = NUM_SEEDS,
    grows: frozenset[str] = frozenset(),
) -> Tuned:
    """Find the best arm of each family and, unless the user named it, how long it trains.

    Args:
        students: How they are made.
        families: Arms by name.
        first_seed: Seeds of the choice count from here.
        num_seeds: Their number.
        grows: Axes of the recipe that may grow.
    """
    plan, several = plan_student(students), any(len(arms) > 1 for arms in families.values())
    if not plan.tuned and not several:
        winners = {name: arms[0] for name, arms in families.items()}
        return Tuned(winners, plan.training, measured=False)

    def train(number: int, arms: Sequence[Arm]) -> tuple[StudentTask, ...]:
        seeds = range(first_seed, first_seed + num_seeds)
        tasks = students.tasks(
            arms, plan.training, stage="tune", seeds=seeds, rung=number, keep_state=False
        )
        return students.train(f"tuning, round {number + 1}", tasks)

    rules = rules_for(
        students.config,
        plan,
        num_examples=len(students.context.data.transfer),
        rounds=2,
        halving=LONGER,
        exhaustive=True,
        grows=grows,
    )
    found = explore(
        families,
        train=train,
        store=students.context.store,
        labels=students.context.data.selection.labels.numpy(),
        rules=rules,
        note=students.context.note,
    )
    return Tuned(found.winners, plan.training, measured=plan.tuned, improving=found.improving)


def tuning_rows(store: Store, plan: StudentPlan) -> list[StudentRow]:
    """Return the rows of the students that chose the learning rate."""
    return [row for key in plan.tasks for row in Shelf(store, key).rows()]


def rules_for(
    config: StudentConfig,
    plan: StudentPlan,
    *,
    num_examples: int,
    rounds: int,
    halving: int,
    exhaustive: bool = False,
    grows: frozenset[str] = frozenset(RECIPE_AXES),
) -> Rules:
    """Return how families are explored, by a plan for the student.

    A tuned student is tried with ``halving`` times as many epochs from round to round, and any of
    them may win. A named number of epochs is the last round's, and only that one counts.

    Args:
        config: The student's settings.
        plan: How students train first.
        num_examples: Examples that students learn from.
        rounds: Number of first rounds.
        halving: How much longer a round trains than the one before; one in as many arms stays.
        exhaustive: Whether all arms go through the last round.
        grows: Axes of the recipe that may grow.
    """
    first, start = plan.training, plan.training.learning_rate
    keep = 1.0 if exhaustive else 1 / halving
    if not plan.tuned:
        shares = [halving**k for k in range(1 if exhaustive else rounds)]
        return Rules(
            first=first,
            rounds=tuple(sorted({max(1, round(first.epochs / share)) for share in shares})),
            wins_from=first.epochs,
            longest=first.epochs,
            keep=keep,
            learning_rates=(start, start),
            batch_sizes=(first.batch_size, first.batch_size),
            grows=grows,
        )
    patience = MORE_PATIENCE if config.until_converged else PATIENCE
    return Rules(
        first=first,
        rounds=tuple(first.epochs * halving**k for k in range(rounds)),
        wins_from=first.epochs,
        longest=first.epochs * patience,
        keep=keep,
        learning_rates=(start / FURTHEST, start * FURTHEST),
        batch_sizes=(_smallest_batch(config, first, num_examples), first.batch_size),
        grows=grows,
    )


def _smallest_batch(config: StudentConfig, first: Training, num_examples: int) -> int:
    """Return the smallest batch size that is tried: half and a quarter where data are few."""
    if config.student_batch_size is not None or num_examples > FEW:
        return first.batch_size
    smaller = max(SMALLEST_BATCH, first.batch_size // 4)
    # A batch of one example at the end of an epoch is more than some networks can train on.
    lone = any(num_examples % size == 1 for size in (first.batch_size // 2, smaller))
    return first.batch_size if lone else min(smaller, first.batch_size)


def _tuned(first: Training, students: Students) -> Flow[StudentPlan]:
    """Try learning rates on hard labels, further ones while the best lies on the edge."""
    start, seeds = first.learning_rate, range(TUNE_SEED, TUNE_SEED + NUM_SEEDS)
    found: dict[float, float] = {}
    done: list[str] = []
    wanted = [start * factor for factor in FACTORS]
    while wanted:
        arms = {rate: CROSS_ENTROPY.trained(_at(first, rate)) for rate in wanted}
        tasks = students.tasks(arms.values(), first, stage="tune", seeds=seeds, keep_state=False)
        yield from students.training("the student's learning rate", tasks)
        scores = mean_accuracies(students.context.store, tasks)
        found |= {rate: scores[arm] for rate, arm in arms.items()}
        done += [task.key for task in tasks]
        wanted = _beyond(found, start)
    trials = tuple(
        Trial(learning_rate=rate, selection_accuracy=found[rate], num_seeds=NUM_SEEDS)
        for rate in sorted(found)
    )
    training = _at(first, _best(found))
    return StudentPlan(training=training, tuned=True, trials=trials, tasks=tuple(done))


def _beyond(found: Mapping[float, float], start: float) -> list[float]:
    """Return the learning rate beyond the edge that the best one lies on, if it lies on one."""
    chosen = _best(found)
    beyond = {max(found): chosen * STEP, min(found): chosen / STEP}.get(chosen)
    if beyond is None or not start / FURTHEST <= beyond <= start * FURTHEST:
        return []
    return [beyond]


def _best(found: Mapping[float, float]) -> float:
    """Return the smallest learning rate that is as good as the best, or nearly.

    The smallest, since longer trainings, which come later, want a smaller one.
    """
    top = max(found.values())
    return min(rate for rate, accuracy in found.items() if accuracy >= top - TOLERANCE)


def _at(training: Training, learning_rate: float) -> Training:
    return training.model_copy(update={"learning_rate": learning_rate})


def _told(plan: StudentPlan) -> str:
    tried = ", ".join(
        f"{100 * trial.selection_accuracy:.1f} % at {trial.learning_rate:.2g}"
        for trial in plan.trials
    )
    return f"learning rate of students, chosen with hard labels: {plan.training} ({tried})"
