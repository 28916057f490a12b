"""At which budget of the student does the sweet spot stop mattering?

    python experiments/patience_curve.py DATA [DATA ...] --out patience
    python experiments/patience_curve.py --collect patience    # keeps small rows of what is done
    python experiments/patience_curve_page.py                  # makes docs/study-patience.md

Pairs of `experiments/cpu`, a tenth of the data as the transfer set; teachers learn from all
training examples, as in the study's pairs called `tenth`, and none is stopped early. Students train
for 1, 2, 4, 8, 16 and 30 times the default number of steps, each budget a whole training of its
own, and learn from

- hard labels,
- label smoothing,
- the sweet-spot teacher: any of the `SHORTLIST` recorded teachers of best held-out NLL,
- the converged teacher: of the ends of all runs, the most accurate one.

At each budget each of the four is tuned alike, by the package's own search for the best arm, with
the number of epochs held: learning rate, temperature or strength of smoothing; alpha is 1. Wherever
a winner lies on the edge of what was tried, the axis grows for all four. All choices are made on
the selection split, by students of other seeds than those that are compared on the test split.

Rules, fixed before any result was seen:

1. *The lead* of the sweet spot at a budget is the accuracy of its students minus that of the
   converged teacher's students, at the same budget, paired by seed. Its 95 % interval is joint over
   the budgets. Where both are the same students the lead is 0.
2. At a budget the sweet spot *does not matter* if the interval lies below 0.2 points, the package's
   margin of practical equivalence; it *matters* if the interval lies above 0; else it is undecided.
3. It *stops mattering* at the smallest budget from which on it does not matter at any budget.
4. What is *left* with patience for everybody: each of the four at its best budget, chosen on the
   selection split; differences with joint 95 % intervals.
5. Curves of gain are drawn over one level, that of hard labels at their best budget.

A repetition is a split of its own and teachers of another seed. Small budgets come first and
repetitions last. Run again, it goes on where it stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from amount_of_data import PAIRS, settings_of_pair
from command_line import in_order, parser_of
from goodteacher import tuned_cpu
from goodteacher.config import StudyConfig, Training, parse
from goodteacher.engines import engine_of
from goodteacher.maths.statistics import Interval, paired_interval, simultaneous
from goodteacher.records import Arm, TrajectoryRecord
from goodteacher.students import (
    Correct,
    Explored,
    Rules,
    StudentTask,
    correct_by_arm,
    explore,
    mean_accuracies,
)
from goodteacher.studies import DECISIONS_FILE, name_of_data, prepare_context
from goodteacher.studies.progress import Silent
from goodteacher.sweet_spot.choice import compete
from goodteacher.sweet_spot.search import CONFIRM_SEED, Search
from goodteacher.training import borrowed
from run import where
from summaries import json_text

FILE = Path(__file__).parent / "results/patience_curve.json"

BUDGETS = (1, 2, 4, 8, 16, 30)
REPETITIONS = 3
SHORTLIST = 3
SEEDS = 8
MARGIN = 0.002
FAMILIES = ("cross_entropy", "label_smoothing", "sweet_spot", "converged_teacher")
LABELS, SMOOTHING, SPOT, CONVERGED = FAMILIES

SETTINGS: Mapping[str, Any] = {
    "patience": 0,
    "shortlist": SHORTLIST,
    "alphas": (1.0,),
    "seeds": SEEDS,
}
"""Of a study, beside the teacher's and the student's, which are those of its pair in the study."""
OF_PAIR = ("teacher", "student", "transfer_fraction", "batch_sizes", "epochs", "record_epochs")

FACTOR = 16.0
"""How far learning rates may go from the default, up and down: as far as a search's."""


@dataclass(frozen=True)
class Point:
    """One budget of one data set."""

    data: str
    budget: int
    repetition: int = 0

    @property
    def study(self) -> str:
        """The folder of its study, shared by all budgets."""
        return f"{self.data}/{self.repetition}"

    def file(self, out: Path, kind: str) -> Path:
        """Return where its result is, `json` for choices and `npz` for who is right."""
        return out / self.study / f"budget-{self.budget}.{kind}"


def points_of(
    data: Sequence[str], repetitions: int = REPETITIONS, first: int | None = None
) -> Iterator[Point]:
    """Yield what is run, in order: small budgets first, repetitions last.

    Args:
        data: Keys of `PAIRS`.
        repetitions: Their number.
        first: Only as many budgets of each data set and repetition.
    """
    for name, budget, repetition in in_order(data, BUDGETS, repetitions, first):
        yield Point(name, budget, repetition)


def main() -> None:
    parser = parser_of(
        __doc__.partition("\n")[0],
        data=PAIRS,
        out="patience",
        repetitions=REPETITIONS,
        pieces="budgets, the smallest",
    )
    parser.add_argument("--study", type=Path, help="where run.py ran: its teachers are taken over")
    options = parser.parse_args()
    if options.collect:
        FILE.write_text(json_text(collected(options.collect)))
    for point in points_of(options.data, options.repetitions, options.first):
        print(time.strftime("%H:%M"), point.study, point.budget, flush=True)
        taken = teachers_of(point, options.study)
        run(point, options.out, where(point.data), threads=options.threads, **taken)


def teachers_of(point: Point, study: Path | None) -> dict[str, str]:
    """Return the setting that takes over the teachers of the study, where it has them.

    Args:
        point: Whose teachers.
        study: Folder of the study, if there is one.
    """
    if study is None or point.repetition:  # its other repetitions have the first one's split
        return {}
    folder = study / point.data / f"{PAIRS[point.data]}--tenth/exhaustive"
    trained = (folder / DECISIONS_FILE).exists()  # the first decision is made of all teachers
    return {"teachers_of": str(folder)} if trained else {}


def run(point: Point, out: Path, data: Any, **settings: Any) -> None:
    """Tune and train the students of one budget, as far as that is not done.

    Args:
        point: Which.
        out: Folder of all studies; this one's is a folder below it.
        data: The data set, or where it is.
        **settings: Of the study, beside `SETTINGS`.
    """
    if point.file(out, "json").exists():
        return
    config = config_of(point, data, settings)
    with borrowed(config):
        context = prepare_context(config, out / point.study, data=data, progress=Silent())
        config = context.store.config(StudyConfig)
        search = Search(config, context, engine_of(config, context))
        with context.store.lock(Silent()):
            found = tuned(search, search.train_teachers(), point.budget)
            tasks = confirmed(search, found.winners.values())
            selection = mean_accuracies(context.store, tasks)
            correct = correct_by_arm(context, tasks)
    _keep(point, out, found, selection, correct)


def config_of(point: Point, data: Any, settings: Mapping[str, Any]) -> StudyConfig:
    """Return the settings of a data set's study, which all its budgets share.

    Args:
        point: Whose study.
        data: The data set, or where it is.
        settings: Beside `SETTINGS`.
    """
    pair = {k: v for k, v in settings_of_pair(point.data).items() if k in OF_PAIR}
    seeds = {"split_seed": point.repetition, "teacher_seeds": (point.repetition,)}
    return parse(StudyConfig, data=name_of_data(data), **{**pair, **SETTINGS, **seeds, **settings})


def rules_at(first: Training, budget: int) -> Rules:
    """Return how arms are explored with the number of epochs held.

    Args:
        first: How students train by default.
        budget: How many times as many steps they take.
    """
    epochs = budget * first.epochs
    return Rules(
        first=first.model_copy(update={"epochs": epochs}),
        rounds=(epochs,),
        wins_from=epochs,
        longest=epochs,
        keep=1.0,
        learning_rates=(first.learning_rate / FACTOR, first.learning_rate * FACTOR),
        batch_sizes=(first.batch_size, first.batch_size),
        grows=frozenset({"temperature", "smoothing"}),
    )


def tuned(search: Search, records: Sequence[TrajectoryRecord], budget: int) -> Explored:
    """Choose the best arm of each family at a budget, on the selection split."""
    families = compete(search.config, records).families(search.config)

    def train(number: int, arms: Sequence[Arm]) -> tuple[StudentTask, ...]:
        seeds = range(search.config.search_seeds)
        tasks = search.students.tasks(
            arms, search.plan.training, stage="search", seeds=seeds, rung=number, keep_state=False
        )
        return search.students.train(f"{budget} times the steps, round {number + 1}", tasks)

    return explore(
        {name: families[name] for name in FAMILIES},
        train=train,
        store=search.context.store,
        labels=search.context.data.selection.labels.numpy(),
        rules=rules_at(search.plan.training, budget),
        note=search.context.note,
    )


def confirmed(search: Search, winners: Any) -> tuple[StudentTask, ...]:
    """Train the winners again with fresh seeds, the same at every budget."""
    seeds = range(CONFIRM_SEED, CONFIRM_SEED + search.config.seeds)
    tasks = search.students.tasks(winners, search.plan.training, stage="confirm", seeds=seeds)
    return search.students.train("confirmation", tasks)


def _keep(
    point: Point,
    out: Path,
    found: Explored,
    selection: Mapping[Arm, float],
    correct: Mapping[Arm, Correct],
) -> None:
    """Write who was right of each family's students, and last what was chosen."""
    right = {name: correct[found.winners[name]] for name in FAMILIES}
    np.savez_compressed(point.file(out, "npz"), **right)
    chosen = {name: _chosen(found.winners[name], selection) for name in FAMILIES}
    about = {"chosen": chosen, "edges": [edge.model_dump() for edge in found.edges]}
    point.file(out, "json").write_text(json.dumps(about, indent=1) + "\n")


def _chosen(arm: Arm, selection: Mapping[Arm, float]) -> dict[str, Any]:
    assert arm.training is not None
    return {
        "source": str(arm.source),
        "temperature": arm.recipe.temperature,
        **arm.training.model_dump(),
        "selection": selection[arm],
    }


@dataclass(frozen=True)
class Reached:
    """What the students of one data set and repetition reached, by budget.

    Attributes:
        chosen: What was chosen for each family at each budget, with its accuracy on the selection
            split.
        correct: Who of them is right on the test split, bool [num_seeds, num_examples].
    """

    chosen: Mapping[int, Mapping[str, Mapping[str, Any]]]
    correct: Mapping[int, Mapping[str, Correct]]

    def best_budget(self, family: str) -> int:
        """Return the budget with which a family is best on the selection split."""
        return max(self.chosen, key=lambda budget: self.chosen[budget][family]["selection"])

    def gains(self) -> dict[tuple[int, str], Interval | None]:
        """Return what each family gains, at each budget, over hard labels at their best one."""
        level = self._of(LABELS, self.best_budget(LABELS))
        each = {(b, name): self._of(name, b) for b in self.chosen for name in FAMILIES}
        return {key: difference(students, level) for key, students in each.items()}

    def leads(self) -> dict[int, Interval | None]:
        """Return the lead at each budget, joint over budgets; None where both are the same."""
        return joint({b: (self._of(SPOT, b), self._of(CONVERGED, b)) for b in self.chosen})

    def left(self) -> dict[str, Interval | None]:
        """Return what the sweet spot has over the others, each at its best budget."""
        best = {name: self._of(name, self.best_budget(name)) for name in FAMILIES}
        return joint({name: (best[SPOT], best[name]) for name in FAMILIES if name != SPOT})

    def _of(self, family: str, budget: int) -> Students:
        return self.chosen[budget][family], self.correct[budget][family]


Key = TypeVar("Key")
Students = tuple[Mapping[str, Any], Correct]
"""How students were made, and who of them is right."""


def difference(one: Students, other: Students) -> Interval | None:
    """Return the paired difference of two groups of students; None where both are the same."""
    return None if one[0] == other[0] else paired_interval(one[1], other[1])


def joint(compared: Mapping[Key, tuple[Students, Students]]) -> dict[Key, Interval | None]:
    """Return paired differences with joint 95 % intervals.

    Args:
        compared: Two groups of students each.
    """
    each = {key: difference(*pair) for key, pair in compared.items()}
    single = {key: interval for key, interval in each.items() if interval is not None}
    widened = simultaneous(list(single.values())) if single else []
    return {**each, **dict(zip(single, widened, strict=True))}


def reached(out: Path, data: str, repetition: int) -> Reached | None:
    """Read what is done of a data set; None where nothing is."""
    chosen, correct = {}, {}
    for budget in BUDGETS:
        point = Point(data, budget, repetition)
        if point.file(out, "json").exists():
            chosen[budget] = json.loads(point.file(out, "json").read_text())["chosen"]
            with np.load(point.file(out, "npz")) as right:
                correct[budget] = {name: right[name] for name in FAMILIES}
    return Reached(chosen, correct) if chosen else None


def collected(out: Path) -> list[dict[str, Any]]:
    """Return a row for each data set and repetition of which some budgets are done."""
    every = ((data, number) for data in PAIRS for number in range(REPETITIONS))
    return [
        {"data": data, "repetition": number, **row_of(found)}
        for data, number in every
        if (found := reached(out, data, number)) is not None
    ]


def row_of(found: Reached) -> dict[str, Any]:
    """Return what is kept of a data set and repetition."""
    gains, leads, left = found.gains(), found.leads(), found.left()
    budgets = [
        {
            "budget": budget,
            "students": {
                name: {**found.chosen[budget][name], "gain": _ends(gains[budget, name])}
                | {"test": float(found.correct[budget][name].mean())}
                for name in FAMILIES
            },
            "lead": _ends(leads[budget]),
        }
        for budget in found.chosen
    ]
    seeds, test = next(iter(found.correct.values()))[SPOT].shape
    return {
        "seeds": seeds,
        "test": test,
        "budgets": budgets,
        "best_budgets": {name: found.best_budget(name) for name in FAMILIES},
        "left": {name: _ends(interval) for name, interval in left.items()},
    }


def _ends(interval: Interval | None) -> list[float] | None:
    """Return mean, low and high of a difference; None where both are the same students."""
    return None if interval is None else [interval.mean, interval.low, interval.high]


if __name__ == "__main__":
    with tuned_cpu():
        main()
