"""Families of arms, each on its way to a winner: what students learn from, how, and for how long.

A family is what competes under one name - hard labels, label smoothing, the candidates for the
sweet spot. All are tuned equally, on the selection split:

1. *Rounds.* Every arm trains briefly, each time whole under its own learning-rate schedule; of each
   family the best few train again, ``halving`` times as long.
2. *Axes.* Where the winner of any family lies on the edge of what was tried - of temperatures,
   alphas, smoothings, learning rates or batch sizes - the axis grows by one value *for every
   family*, and the families' best arms are trained there too.
3. *Epochs.* Once no winner lies on such an edge, and the most epochs tried made some family
   better, every family's best arms train longer, the winner also at half its learning rate.
   Then 2 again, until nothing grows any more.

*Ours*. Each family has a training of its own because patience pays for distillation and not for
labels (experiments/LOG.md): one budget for all would cheat one or the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from goodteacher.config import Training
from goodteacher.maths.statistics import paired_interval
from goodteacher.records import (
    Arm,
    Decision,
    Edge,
    OneHotSource,
    SmoothingSource,
    StudentRow,
    TargetSource,
    best_so_far,
)
from goodteacher.students.kept import Shelf, rows_by_arm
from goodteacher.students.plan import StudentTask, by_arm
from goodteacher.studies import Standing, Store

Family = str

TOLERANCE = 0.001
"""A shorter training is taken if its accuracy is at most this much below the best."""
MUCH = 0.005
"""More epochs pay while they add more than this, and more than one standard error, on the selection
split. Students that still gain as much at the limit are not trained enough to be compared."""
FRONT = 3
"""Arms of a family that go along when temperatures or epochs are extended."""
LONGER = 3
"""By how much epochs grow, where they grow."""
MOST_ROUNDS = 12
"""Rounds in which axes may grow."""


@dataclass(frozen=True)
class Axis:
    """One number of an arm, and how far it may be moved.

    Attributes:
        of: Its value; None where an arm has no such number.
        moved: The arm with another value.
        factor: From one value to the next.
        low: Smallest value.
        high: Largest value.
    """

    of: Callable[[Arm], float | None]
    moved: Callable[[Arm, float], Arm]
    factor: float
    low: float
    high: float

    def next_to(self, value: float, *, up: bool) -> float | None:
        """Return the value beyond an edge; None where a limit stands there."""
        factor = self.factor if up else 1 / self.factor
        beyond = min(self.high, max(self.low, value * factor))
        return None if math.isclose(beyond, value) else beyond


def _has_teacher(arm: Arm) -> bool:
    """Say whether an arm learns from more of a teacher than its most probable class."""
    if isinstance(arm.source, TargetSource):
        return arm.source.target != "one_hot"
    return not isinstance(arm.source, OneHotSource | SmoothingSource)


def _temperature(arm: Arm) -> float | None:
    return arm.recipe.temperature if _has_teacher(arm) and arm.recipe.loss != "mse" else None


def _with_temperature(arm: Arm, value: float) -> Arm:
    moved = _with_recipe(arm, temperature=value)
    if not isinstance(arm.source, TargetSource):
        return moved
    # A target made of a response is made of it at the recipe's temperature.
    source = arm.source.model_copy(update={"temperature": value})
    return moved.model_copy(update={"source": source})


def _with_recipe(arm: Arm, **value: float) -> Arm:
    return arm.model_copy(update={"recipe": arm.recipe.model_copy(update=value)})


def _alpha(arm: Arm) -> float | None:
    return arm.recipe.alpha if _has_teacher(arm) else None


def _with_alpha(arm: Arm, value: float) -> Arm:
    return _with_recipe(arm, alpha=value)


def _smoothing(arm: Arm) -> float | None:
    return arm.source.smoothing if isinstance(arm.source, SmoothingSource) else None


def _with_smoothing(arm: Arm, value: float) -> Arm:
    return arm.model_copy(update={"source": SmoothingSource(smoothing=value)})


def _learning_rate(arm: Arm) -> float | None:
    return arm.training.learning_rate if arm.training else None


def _with_training(arm: Arm, **values: float) -> Arm:
    assert arm.training is not None
    return arm.trained(arm.training.model_copy(update=values))


def _with_learning_rate(arm: Arm, value: float) -> Arm:
    return _with_training(arm, learning_rate=value)


def _batch_size(arm: Arm) -> float | None:
    return arm.training.batch_size if arm.training else None


def _with_batch_size(arm: Arm, value: float) -> Arm:
    return _with_training(arm, batch_size=round(value))


RECIPE_AXES: Mapping[str, Axis] = {
    "temperature": Axis(_temperature, _with_temperature, 2.0, 0.5, 64.0),
    "alpha": Axis(_alpha, _with_alpha, 2.0, 0.05, 1.0),
    "smoothing": Axis(_smoothing, _with_smoothing, 2.0, 0.005, 0.8),
}
"""What a recipe is made of. Limits are *ours*: beyond them a value says what its neighbour says."""


@dataclass(frozen=True)
class Rules:
    """How families are explored.

    Attributes:
        first: The training of an arm before anything is tuned.
        rounds: Epochs of the first rounds, ascending.
        wins_from: Fewest epochs with which an arm may win.
        longest: Most epochs that may be tried.
        keep: The share of a family that goes on to the next of the first rounds, in (0, 1].
        learning_rates: Smallest and largest that may be tried; equal where none is tuned.
        batch_sizes: Smallest and largest that may be tried; equal where none is tuned.
        grows: Names in `RECIPE_AXES` that may grow.
    """

    first: Training
    rounds: tuple[int, ...]
    wins_from: int
    longest: int
    keep: float
    learning_rates: tuple[float, float]
    batch_sizes: tuple[int, int]
    grows: frozenset[str] = frozenset(RECIPE_AXES)

    @property
    def axes(self) -> Mapping[str, Axis]:
        """The axes that may grow, epochs aside."""
        named = {name: axis for name, axis in RECIPE_AXES.items() if name in self.grows}
        tuned = {
            "learning_rate": Axis(
                _learning_rate, _with_learning_rate, 2.0, *map(float, self.learning_rates)
            ),
            "batch_size": Axis(_batch_size, _with_batch_size, 2.0, *map(float, self.batch_sizes)),
        }
        return {**named, **{name: axis for name, axis in tuned.items() if axis.low < axis.high}}


@dataclass(frozen=True)
class Round:
    """Who trained together, and what for."""

    number: int
    tasks: tuple[StudentTask, ...]
    reason: str


@dataclass(frozen=True)
class Explored:
    """What the families came to.

    Attributes:
        families: Every arm that was tried, by family.
        winners: The best of each.
        rounds: What was trained, in order.
        edges: Where a winner lies on a limit that no axis passes.
        improving: Families whose winner still got better with more epochs, at the limit.
        scores: Selection accuracy of each arm, mean over search seeds.
    """

    families: Mapping[Family, tuple[Arm, ...]]
    winners: Mapping[Family, Arm]
    rounds: tuple[Round, ...]
    edges: tuple[Edge, ...] = ()
    improving: tuple[Family, ...] = ()
    scores: Mapping[Arm, float] = field(default_factory=dict)

    def decisions(self) -> list[Decision]:
        """Return who was trained in each round and who won, and why."""
        rounds = [
            Decision(
                what="round",
                arms=tuple(arm.key for arm in by_arm(each.tasks)),
                reason=each.reason,
            )
            for each in self.rounds
        ]
        winners = [
            Decision(
                what="winner",
                family=family,
                arms=(arm.key,),
                reason=f"{self.scores[arm]:.4f} on the selection split, mean over search seeds; "
                f"of all arms within {TOLERANCE:g} of the best, one that needs the fewest "
                "epochs",
            )
            for family, arm in self.winners.items()
        ]
        return [*rounds, *winners]


Train = Callable[[int, Sequence[Arm]], tuple[StudentTask, ...]]
"""Trains arms in a round of this number, and returns the finished tasks."""


def explore(
    families: Mapping[Family, Sequence[Arm]],
    *,
    train: Train,
    store: Store,
    labels: npt.NDArray[np.int64],
    rules: Rules,
    note: Callable[[str], None],
) -> Explored:
    """Find the winner of each family on the selection split.

    Args:
        families: Arms by family, without a training; an arm may belong to several families.
        train: Trains arms.
        store: Where their tasks leave what they found.
        labels: Classes of the selection split's examples, [N].
        rules: How far to go.
        note: Told after each round which student is the best so far.
    """
    return _Exploration(families, train, store, labels, rules, note).run()


class _Exploration:
    def __init__(
        self,
        families: Mapping[Family, Sequence[Arm]],
        train: Train,
        store: Store,
        labels: npt.NDArray[np.int64],
        rules: Rules,
        note: Callable[[str], None],
    ) -> None:
        self.plain, self.note = families, note
        self.members: dict[Family, list[Arm]] = {name: [] for name in families}
        self.train, self.store, self.labels, self.rules = train, store, labels, rules
        self.rounds: list[Round] = []
        self.places: dict[Arm, list[tuple[StudentTask, int]]] = {}
        self.scores: dict[Arm, float] = {}

    def run(self) -> Explored:
        alive = {name: list(arms) for name, arms in self.plain.items()}
        for epochs in self.rules.rounds:
            training = self.rules.first.model_copy(update={"epochs": epochs})
            joined = {n: [arm.trained(training) for arm in arms] for n, arms in alive.items()}
            self._try(joined, f"all remaining arms, for {epochs} epochs")
            alive = {
                name: best(arms, self.scores, math.ceil(len(arms) * self.rules.keep))
                for name, arms in joined.items()
            }
        for _ in range(MOST_ROUNDS):
            further = self._beyond_edges()
            if not any(further.values()):
                break
            self._try(
                further,
                "one step beyond the limits of what was tried, around the winners, or longer "
                "training",
            )
        winners = self._winners()
        return Explored(
            families={name: tuple(arms) for name, arms in self.members.items()},
            winners=winners,
            rounds=tuple(self.rounds),
            edges=tuple(self._edges(winners)),
            improving=tuple(name for name in winners if self._still_improves(name)),
            scores=self.scores,
        )

    def _try(self, families: Mapping[Family, Sequence[Arm]], reason: str) -> None:
        """Train what has not been, and enter all arms in their families."""
        new = [arm for arm in _union(families.values()) if arm not in self.scores]
        if new:
            tasks = self.train(len(self.rounds), new)
            self.rounds.append(Round(len(self.rounds), tasks, reason))
            self.places |= by_arm(tasks)
            self.scores |= {a: _mean(r) for a, r in rows_by_arm(self.store, tasks).items()}
            first = best(list(self.scores), self.scores, 1)[0]
            told = best_so_far(first, self.scores[first], len(self.places[first]))
            self.note(Standing(told))
        for name, arms in families.items():
            self.members[name] += [arm for arm in arms if arm not in self.members[name]]

    def _able(self, family: Family) -> list[Arm]:
        """Return the arms of a family that may win, best first."""
        able = [a for a in self.members[family] if _epochs(a) >= self.rules.wins_from]
        return best(able, self.scores, len(able))

    def _winner(self, family: Family) -> Arm:
        """Return the best arm; of those nearly as good, one that trains for the fewest epochs."""
        able = self._able(family)
        near = [a for a in able if self.scores[a] >= self.scores[able[0]] - TOLERANCE]
        return min(near, key=_epochs)

    def _winners(self) -> dict[Family, Arm]:
        return {name: self._winner(name) for name in self.members}

    def _beyond_edges(self) -> dict[Family, list[Arm]]:
        """Return the arms one step beyond every edge that holds a winner, for every family."""
        winners = self._winners()
        found: dict[Family, list[Arm]] = {name: [] for name in winners}
        for name, axis in self.rules.axes.items():
            for value in self._new_values(axis, winners):
                for family, arms in found.items():
                    front = self._front(family) if name == "temperature" else [winners[family]]
                    arms += [axis.moved(arm, value) for arm in front if axis.of(arm) is not None]
        new = self._untried(found)
        return new if any(new.values()) else self._untried(self._longer(winners))

    def _untried(self, families: Mapping[Family, Sequence[Arm]]) -> dict[Family, list[Arm]]:
        return {
            name: [
                arm
                for arm in dict.fromkeys(arms)
                if arm not in self.members[name] and self._affordable(arm)
            ]
            for name, arms in families.items()
        }

    def _affordable(self, arm: Arm) -> bool:
        """Say whether an arm takes no more steps than the most epochs of the first batch size."""
        assert arm.training is not None
        first, own = self.rules.first, arm.training
        return own.epochs * first.batch_size <= self.rules.longest * own.batch_size

    def _longer(self, winners: Mapping[Family, Arm]) -> dict[Family, list[Arm]]:
        """Return every family's best arms with more epochs, if more still pay for any of them."""
        longest = self._longest()
        epochs = longest * LONGER
        pays = any(map(self._improves, self.members))
        if epochs > self.rules.longest or not pays:
            return {}
        low, _ = self.rules.learning_rates
        found = {name: [_with_epochs(a, epochs) for a in self._front(name)] for name in winners}
        for name, winner in winners.items():
            rate = _learning_rate(winner)
            if rate is not None and rate / 2 >= low and "learning_rate" in self.rules.axes:
                found[name].append(_with_learning_rate(_with_epochs(winner, epochs), rate / 2))
        return found

    def _front(self, family: Family) -> list[Arm]:
        """Return the best few arms, none the same but for its training."""
        first: dict[Arm, Arm] = {}
        for arm in [self._winner(family), *self._able(family)]:
            first.setdefault(arm.trained(None), arm)
        return list(first.values())[:FRONT]

    def _new_values(self, axis: Axis, winners: Mapping[Family, Arm]) -> list[float]:
        tried = self._tried(axis)
        found: dict[float, None] = {}
        for winner in winners.values():
            value = axis.of(winner)
            for edge, up in ((max, True), (min, False)):
                if value is not None and value == edge(tried):
                    beyond = axis.next_to(value, up=up)
                    if beyond is not None:
                        found[beyond] = None
        return list(found)

    def _tried(self, axis: Axis) -> list[float]:
        able = (arm for name in self.members for arm in self._able(name))
        return [value for value in map(axis.of, able) if value is not None] or [math.nan]

    def _longest(self) -> int:
        return max(_epochs(arm) for arms in self.members.values() for arm in arms)

    def _improves(self, family: Family) -> bool:
        """Say whether the most epochs tried made a family's best arm much better."""
        winner = self._winner(family)
        shorter = [a for a in self.members[family] if _epochs(a) < _epochs(winner)]
        if _epochs(winner) < self._longest() or not shorter:
            return False
        rival = best(shorter, self.scores, 1)[0]
        gain = paired_interval(self._correct(winner), self._correct(rival))
        return gain.mean > max(MUCH, gain.standard_error)

    def _still_improves(self, family: Family) -> bool:
        return self.rules.longest > self.rules.wins_from and self._improves(family)

    def _correct(self, arm: Arm) -> npt.NDArray[np.bool_]:
        """Say who of an arm's students is right on the selection split, bool [seeds, N]."""
        each = [
            Shelf(self.store, task.key).predictions("selection")[n] for task, n in self.places[arm]
        ]
        return np.stack([classes.numpy() == self.labels for classes in each])

    def _edges(self, winners: Mapping[Family, Arm]) -> Iterable[Edge]:
        """Yield the limits on which winners lie.

        Alpha = 1 is the end of its scale. Batches smaller than the smallest would only cost more.
        """
        for name, axis in self.rules.axes.items():
            for family, winner in winners.items():
                value = axis.of(winner)
                natural = (name == "alpha" and value == axis.high) or name == "batch_size"
                if value is None or natural:
                    continue
                if value in (axis.low, axis.high):
                    yield Edge(family=family, axis=name, value=value)


def best(arms: Sequence[Arm], scores: Mapping[Arm, float], keep: int) -> list[Arm]:
    """Return the ``keep`` arms of highest score, best first; ties keep their order."""
    return sorted(arms, key=lambda arm: -scores[arm])[:keep]


def _epochs(arm: Arm) -> int:
    return arm.training.epochs if arm.training else 0


def _with_epochs(arm: Arm, epochs: int) -> Arm:
    return _with_training(arm, epochs=epochs)


def _mean(rows: Iterable[StudentRow]) -> float:
    values = [row.selection_accuracy for row in rows]
    return math.fsum(values) / len(values)


def _union(families: Iterable[Iterable[Arm]]) -> list[Arm]:
    """Return every arm once; an arm of two families is trained once."""
    return list(dict.fromkeys(arm for arms in families for arm in arms))
