"""What students know of a class that they never see, for every teacher of a grid.

Students learn from a teacher's response on all examples but those of one class c. What they know of
c they learned from how much examples of other classes resemble it. Their share of test examples of
c that they recognise is measured *as trained* and *after the correction* of
`goodteacher.verdicts.evidence.omitted`: c's logit is raised until c is predicted as often on the
selection split as it occurs there. Beside it, students of the same teachers and recipes that see
all classes (alpha = 1), and what is known of each teacher: similarity information S and held-out
negative log-likelihood.

    python experiments/omitted_classes.py DATA [DATA ...] --out omitted --threads 1
    python experiments/omitted_classes.py --collect omitted     # keeps the small results
    python experiments/omitted_page.py                          # makes the page and its figure

Run again, it goes on where it stopped. Pieces that tell most come first; further seeds last.

**How students train.** The learning rate is tuned on hard labels, as in a search. They train for
`longer` times the first number of epochs of a search (3 times: about 1,800 steps), the same for
every teacher and temperature. Second looks ask whether 27 times changes the answers. Probe students
train for one epoch.

**Rules, written before anything was run.** A share is the mean over the omitted classes. Choices
are made on the selection split, differences are shown on the test split with 95 % intervals over
classes and seeds: of teachers where there are several, else of students.

(a) *Is there a sweet spot at T = 1?* For the share as trained, and for that after the correction,
the best teacher is chosen. There is a sweet spot of *epochs* if it is not the last recorded epoch
and its share lies above that of the last epoch of its batch size, the interval above 0. There is
one of *batch size* if its batch size is neither the smallest nor the largest, and its share lies
above those of the best epochs of both these, both intervals above 0.

(b) *Does temperature give it back?* The share is that after the correction. The temperature that a
teacher *needs* is the smallest one whose share is within 2 points of the teacher's best. What the
last epoch of a batch size has lost for good is the share of the best teacher at its best
temperature, minus its own share at its own best temperature. It is *lost* if the interval lies
above 0, *given back* if it ends below 2 points, else *open*.

(c) *Does it govern the student?* Over all teachers of a data set, Spearman's correlation of the
accuracy of ordinary students with the share after the correction, at the same T, and at each
teacher's best T; the same for S and for the held-out log-likelihood at its best temperature. It
*governs* where S does not if its correlation at the best T is at least 0.5 and above that of S, on
at least four of five data sets. As a *score* it is the share after the correction on the selection
split, best over T, of probe students that miss one of `probed` classes. It ranks teachers *better*
than held-out negative log-likelihood if its correlation is higher and the regret of its top 3 no
larger, on at least four of five data sets.

(d) *Is it similarity?* (written before its students were run, after those of digits for the rest.)
At each temperature tried first, the teacher that is best there teaches by two lower rungs of the
ladder as well: its own confidence alone, and mean similarity of each class. The share after the
correction is due to more than these where the difference lies above 0, interval and all.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from goodteacher.config import Recipe, StudyConfig
from goodteacher.data import Dataset, Split
from goodteacher.engines import engine_of
from goodteacher.records import CROSS_ENTROPY, Arm, TrajectoryRecord
from goodteacher.students import Shelf, StudentTask, logits_of_students
from goodteacher.studies import Store, checked_settings, prepare_context
from goodteacher.studies.progress import Silent
from goodteacher.sweet_spot.search import Search
from goodteacher.training import borrowed
from goodteacher.training.machine import tuned_cpu
from goodteacher.verdicts.evidence.omitted import corrected_predictions, frequency_offset
from goodteacher.verdicts.rule import RUNGS, target_arm
from student_tuning import dataset_of

TEMPERATURES, FURTHER = (1.0, 4.0, 16.0), (2.0, 8.0, 64.0)
"""Temperatures that are tried first, and later."""

PROBE_EPOCHS = 1

FULL, LOWER_RUNGS = RUNGS[4], RUNGS[2:4]
"""The whole response; the teacher's own confidence alone, and the mean similarity of classes."""


@dataclass(frozen=True)
class Case:
    """A data set with its teachers and students.

    Attributes:
        data: Its name.
        teacher: Specification of the teacher.
        student: That of the student.
        batch_sizes: Of teachers.
        epochs: Recorded ones; the last ends the run.
        classes: Numbers of the classes omitted, one at a time, in this order.
        probed: How many of these, the first ones, probe students miss too.
        learning_rates: Of teachers.
        teacher_seeds: Of teachers.
        longer: Epochs of students, as a multiple of the first number of a search.
        transfer_fraction: Share of the training data that students see.
    """

    data: str
    teacher: str
    student: str
    batch_sizes: tuple[int, ...]
    epochs: tuple[int, ...]
    classes: tuple[int, ...] = tuple(range(10))
    probed: int = 3
    learning_rates: tuple[float, ...] = (1e-3,)
    teacher_seeds: tuple[int, ...] = (0,)
    longer: int = 3
    transfer_fraction: float = 0.1

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the study that trains the teachers."""
        return {
            "batch_sizes": self.batch_sizes,
            "learning_rates": self.learning_rates,
            "teacher_seeds": self.teacher_seeds,
            "epochs": self.epochs[-1],
            "record_epochs": self.epochs,
            "temperatures": tuple(sorted({*TEMPERATURES, *FURTHER})),
            "transfer_fraction": self.transfer_fraction,
            "patience": 0,
        }


_DOUBLINGS = (1, 2, 4, 8, 16, 32, 64)

_DIGITS = Case(
    "digits", "mlp:256,256", "mlp:16", (16, 64, 256, 1024), _DOUBLINGS, teacher_seeds=(0, 1, 2)
)
_MNIST = Case("mnist", "mlp:800,800", "mlp:64", (32, 128, 512, 2048), _DOUBLINGS[:6])

DATA_SETS: Mapping[str, Case] = {
    "digits": _DIGITS,
    "mnist": _MNIST,
    "fashion_mnist": replace(_MNIST, data="fashion_mnist"),
    "banking77": Case(
        "banking77",
        "mlp:512,512",
        "mlp:32",
        (32, 128, 512),
        (1, 2, 4, 6, 10, 20, 40),
        classes=tuple(range(0, 77, 8)),
        probed=10,
    ),
    "cifar10": Case(
        "cifar10",
        "cnn:32,64,128",
        "cnn:16,32",
        (64, 256, 1024),
        _DOUBLINGS[:5],
        classes=(3, 1, 7),
    ),
}
"""What the rules are about."""

SECOND_LOOKS: Mapping[str, Case] = {
    "digits_rates": replace(_DIGITS, teacher_seeds=(0,), learning_rates=(2.5e-4, 1e-3, 4e-3)),
    "digits_patient": replace(_DIGITS, longer=27),
    "mnist_patient": replace(_MNIST, longer=27, classes=(0, 1, 2)),
}
"""The same with learning rates as an axis, and with students that train nine times as long."""

CASES: Mapping[str, Case] = {**DATA_SETS, **SECOND_LOOKS}


@dataclass(frozen=True)
class Piece:
    """Students that train together: of every teacher, at some temperatures.

    Attributes:
        omitted: Number of the class that they do not see; None for ordinary students.
        seed: Theirs.
        temperatures: Of their recipes.
        probe: Whether they train for one epoch alone.
        rung: Which part of the response they learn from: a name in `LADDER`.
    """

    omitted: int | None
    seed: int
    temperatures: tuple[float, ...] = TEMPERATURES
    probe: bool = False
    rung: str = FULL

    @property
    def file(self) -> str:
        """Where its rows are kept."""
        part = "students" if self.rung == FULL else self.rung
        kind = "probe" if self.probe else part
        which = "all" if self.omitted is None else f"without{self.omitted:02d}"
        at = "-".join(f"{temperature:g}" for temperature in self.temperatures)
        return f"{kind}_{which}_T{at}_seed{self.seed}.json"


def pieces_of(case: Case, seeds: int) -> Iterator[Piece]:
    """Yield every piece of a case, those first that tell most for their time.

    Args:
        case: The data set.
        seeds: Seeds of students.
    """
    first, rest = case.classes[:3], case.classes[3:]
    yield from (Piece(each, 0) for each in (None, *first))
    yield from (Piece(each, 0, probe=True) for each in (None, *case.classes[: case.probed]))
    yield from (Piece(each, 0) for each in rest)
    yield from (Piece(each, 0, FURTHER) for each in (None, *case.classes))
    yield from (Piece(each, 0, rung=rung) for rung in LOWER_RUNGS for each in case.classes)
    for seed in range(1, seeds):
        yield from (Piece(each, seed) for each in (None, *case.classes))
    for seed in range(1, seeds):
        yield from (Piece(each, seed, FURTHER) for each in (None, *case.classes))


class Runner:
    """Runs the pieces of one case.

    Args:
        case: The data set.
        data: It, loaded.
        folder: Where its study and its pieces are kept.
        further: Further settings of the study, such as its threads.
    """

    def __init__(self, case: Case, data: Dataset, folder: Path, **further: Any) -> None:
        networks = {"teacher": case.teacher, "student": case.student}
        settings = {**case.settings, **further}
        config = checked_settings(StudyConfig, networks=networks, data=case.data, **settings)
        context = prepare_context(config, folder / "study", data=data, progress=Silent())
        config = context.store.config(StudyConfig)
        self.case, self.pieces = case, Store(folder)
        self.search = Search(config, context, engine_of(config, context))

    def run(self, seeds: int, first: int | None = None) -> None:
        """Do what is missing, piece by piece.

        Args:
            seeds: Seeds of students.
            first: How many pieces, with those that are done; all by default.
        """
        with borrowed(self.search.config), self.search.context.store.lock():
            records = self.search.train_teachers()
            self.pieces.write_text("case.json", json.dumps(self._about(records)) + "\n")
            for piece in islice(pieces_of(self.case, seeds), first):
                if not self.pieces.exists(piece.file):
                    task = self.trained(piece, records)
                    rows = self.measured(task)
                    self.pieces.write_text(piece.file, json.dumps(rows) + "\n")
                    Shelf(self.search.context.store, task.key).drop_state()
                    print(self.pieces.name, piece.file, flush=True)

    def _about(self, records: Sequence[TrajectoryRecord]) -> dict[str, Any]:
        context = self.search.context
        test = context.data.test.open("a map, no choice")
        return {
            "training": str(self._training(probe=False)),
            "transfer": len(context.data.transfer),
            "class_names": list(context.data.class_names),
            "class_examples": [int((test.labels == c).sum()) for c in self.case.classes],
            "teachers": [known_of(record) for record in records],
        }

    def _training(self, *, probe: bool) -> Any:
        tuned = self.search.plan.training
        epochs = PROBE_EPOCHS if probe else self.case.longer * tuned.epochs
        return tuned.model_copy(update={"epochs": epochs})

    def trained(self, piece: Piece, records: Sequence[TrajectoryRecord]) -> StudentTask:
        """Train the students of a piece, those of hard labels first.

        Args:
            piece: Which.
            records: The teachers.
        """
        recipes = [Recipe(temperature=t, alpha=1.0) for t in piece.temperatures]
        taught = [target_arm(r.source, piece.rung, each) for r in records for each in recipes]
        tasks = self.search.students.tasks(
            [CROSS_ENTROPY, *taught],
            self._training(probe=piece.probe),
            stage="probe" if piece.probe else "verify",
            seeds=[piece.seed],
            omit_class=piece.omitted,
        )
        (task,) = self.search.students.train("students", tasks)
        return task

    def measured(self, task: StudentTask) -> list[dict[str, Any]]:
        """Return a row for each student of a finished task that has kept its students."""
        context = self.search.context
        selection, test = context.data.selection, context.data.test.open("a map, no choice")
        both = [(s, logits_of_students(context, task, s)) for s in (selection, test)]
        found = []
        for place, arm in enumerate(task.arms):
            splits = [(split, logits[place]) for split, logits in both]
            found.append({**named(arm), **shares(splits[0], splits[1], task.omit_class)})
        return found


def named(arm: Arm) -> dict[str, Any]:
    """Return the columns that say what a student learned from; of hard labels none has a value."""
    teacher = getattr(arm.source, "base", arm.source)
    run, epoch = (getattr(teacher, name, None) for name in ("run", "epoch"))
    return {"run": run, "epoch": epoch, "temperature": arm.recipe.temperature if run else None}


def shares(
    selection: tuple[Split, Any], test: tuple[Split, Any], omitted: int | None
) -> dict[str, float]:
    """Return a student's accuracy and, of one that missed a class, what it knows of that.

    Args:
        selection: The split that chooses the correction, and the student's logits [N, C] on it.
        test: The same of the test split.
        omitted: Number of the class; None for an ordinary student.
    """
    named_splits = {"selection": selection, "test": test}
    found = {
        name: float((logits.argmax(1) == split.labels).double().mean())
        for name, (split, logits) in named_splits.items()
    }
    if omitted is not None:
        count = int((selection[0].labels == omitted).sum())
        offset = frequency_offset(selection[1], omitted, count)
        for name, (split, logits) in named_splits.items():
            own = logits[split.labels == omitted]
            corrected = corrected_predictions(own, omitted, offset)
            found[f"{name}_trained"] = float((own.argmax(1) == omitted).double().mean())
            found[f"{name}_corrected"] = float((corrected == omitted).double().mean())
    return {name: round(value, 5) for name, value in found.items()}


def known_of(record: TrajectoryRecord) -> dict[str, Any]:
    """Return what is known of a teacher: who it is, and what its response measures."""
    selection, best = record.at("selection"), record.optimal_temperature or 1.0
    temperatures = (*TEMPERATURES, *FURTHER)
    return {
        "run": record.run,
        "epoch": record.epoch,
        **{name: record.attributes[name] for name in ("batch_size", "learning_rate", "seed")},
        "accuracy": round(selection.accuracy, 5),
        "nll": round(selection.nll, 5),
        "best_nll": round(record.best_nll, 5),
        "best_temperature": round(best, 3),
        "best_similarity": round(record.at("transfer", best).similarity, 6),
        "similarity": {
            f"{t:g}": round(record.at("transfer", t).similarity, 6) for t in sorted(temperatures)
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="DATA", help=", ".join(CASES))
    parser.add_argument("--out", type=Path, default=Path("omitted"))
    parser.add_argument("--collect", type=Path, help="keep the results of this folder")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of students")
    parser.add_argument("--first", type=int, help="do the first ones of the pieces alone")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    for name in options.cases:
        data = dataset_of(CASES[name].data)
        Runner(CASES[name], data, options.out / name, threads=options.threads).run(
            options.seeds, options.first
        )
    if options.collect:
        from omitted_results import collect

        collect(options.collect)


if __name__ == "__main__":
    with tuned_cpu():
        main()
