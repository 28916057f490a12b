"""How does what a teacher gives depend on the amount of data?

    python experiments/amount_of_data.py DATA [DATA ...] --out amounts
    python experiments/amount_of_data.py --collect amounts    # keeps small rows of what is done
    python experiments/amount_of_data_page.py                 # makes docs/study-data.md from them

Pairs of `experiments/cpu`, at seven shares of the training examples. Three kinds of point:

- `own`: teacher and students learn from the same examples;
- `unlabelled`: the same tenth is labelled, the rest is not: the teacher learns from the tenth,
  responds on all, and students learn from all;
- `all`: the teacher learns from every training example, students from a share of them.

Each point is a `goodteacher.search` and a `goodteacher.verify` with their defaults: students tuned
for every kind of target, recipes and smoothings chosen on the selection split, the verdict from
fresh seeds. The selection split is the same at every share. Repetitions draw other splits and train
teachers of another seed. What differs from the defaults:

- on few examples teachers train for more than 32 epochs, until a run of batches of 128 takes
  `FEWEST_STEPS` steps, or they would have learned nothing;
- for the cost, `SHORTLIST` teachers compete for the sweet spot, students have batches of the
  default size and never smaller ones, and a verdict has `SEEDS` seeds: repetitions say more.

Rules, fixed before any result was seen:

1. *Does the gain grow where data are few?* The slope of the gain over hard labels, in points for
   ten times the examples, is fitted to the points `own` by least squares, over at least `FEWEST`
   shares. Its 95 % interval comes from three repetitions or more; with fewer, from the intervals of
   the points, and then it says nothing of other teachers or other draws of data. Below zero: the
   gain grows where data are few; above: it shrinks; else undecided.
2. *Does label smoothing explain that?* The same slope of the gain over tuned label smoothing. Where
   it is below zero too, smoothing does not explain the growth.
3. *Do unlabelled examples help?* The accuracy of the students that have them, minus that of the
   students of the same tenth alone, paired by seed; and its 95 % interval.

Cheap and telling points come first and repetitions last. Run again, it goes on where it stopped.
A share with which a class would be left without an example is impossible, and the page says so.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch

import goodteacher
from command_line import in_order, parser_of
from goodteacher.config import Frozen, read_toml
from goodteacher.config.values import default_batch_size
from goodteacher.data import UNLABELLED, Dataset, Split, StudyData, load_dataset, prepare
from goodteacher.errors import DataError
from goodteacher.maths.statistics import paired_interval
from goodteacher.records import Effect, SweetSpot, Verdict
from goodteacher.students import Correct, Shelf
from goodteacher.studies import Store
from goodteacher.studies.files import SWEET_SPOT_FILE, VERDICT_FILE
from goodteacher.verdicts.rule import TUNED
from run import pair_of, settings_of, where
from summaries import json_text

FILE = Path(__file__).parent / "results/amount_of_data.json"

SHARES = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
TENTH = 0.1
REPETITIONS = 3
SEEDS, SHORTLIST = 5, 3
EPOCHS, FEWEST_STEPS = 32, 1000
FEWEST = 4
"""Shares that a slope is fitted to, at least."""

IMPOSSIBLE = "impossible.txt"
"""A file in the folder of a point whose share would leave a class without an example."""

Kind = Literal["own", "unlabelled", "all"]


PAIRS: Mapping[str, str] = {
    "fashion_mnist": "large--wide",
    "mnist": "large--wide",
    "banking77": "large--wide",
    "cifar10": "small--narrow",
}
"""Which teacher and student of a data set's file in `experiments/cpu`."""


def settings_of_pair(data: str) -> dict[str, Any]:
    """Return the settings of a data set's pair in the study, with a tenth as transfer set."""
    study = read_toml(Path(__file__).parent / f"cpu/{data}.toml")
    return settings_of(study, pair_of(data, f"{PAIRS[data]}--tenth"))


@dataclass(frozen=True)
class Point:
    """One study: which data, how much of them, and who learns from what.

    Attributes:
        data: A key of `PAIRS`.
        kind: Who learns from what.
        share: Of the training examples: those that students learn from, or with `unlabelled` those
            that have a label.
        repetition: Which split, and which seed of teachers.
    """

    data: str
    kind: Kind
    share: float
    repetition: int = 0

    @property
    def folder(self) -> str:
        """Its folder, such as `mnist/own-0.01-0`."""
        return f"{self.data}/{self.kind}-{self.share:g}-{self.repetition}"


ORDER: tuple[tuple[Kind, float], ...] = (
    *(("own", share) for share in SHARES if share <= TENTH),
    ("unlabelled", TENTH),
    ("all", SHARES[0]),
    ("all", TENTH),
    *(("own", share) for share in SHARES if share > TENTH),
)
"""Points of a data set, cheap and telling ones first."""


def points_of(
    data: Sequence[str], repetitions: int = REPETITIONS, first: int | None = None
) -> Iterator[Point]:
    """Yield what is run, in order: all data sets' cheap points first, repetitions last.

    Args:
        data: Keys of `PAIRS`.
        repetitions: Their number.
        first: Only as many points of each data set and repetition.
    """
    for name, (kind, share), repetition in in_order(data, ORDER, repetitions, first):
        yield Point(name, kind, share, repetition)


def main() -> None:
    options = parser_of(
        __doc__.partition("\n")[0],
        data=PAIRS,
        out="amounts",
        repetitions=REPETITIONS,
        pieces="points of a repetition",
    ).parse_args()
    if options.collect:
        FILE.write_text(json_text(collected(options.collect)))
    for point in points_of(options.data, options.repetitions, options.first):
        print(time.strftime("%H:%M"), point.folder, flush=True)
        run(point, options.out, threads=options.threads)


def run(point: Point, out: Path, dataset: Dataset | None = None, **settings: Any) -> None:
    """Search and verify at one point, as far as that is not done.

    Args:
        point: Which.
        out: Folder of all studies; this one's is a folder below it.
        dataset: The data set; None: it is found by its name.
        **settings: Of the search, beside those of the point.
    """
    folder = out / point.folder
    if (folder / VERDICT_FILE).exists():
        return
    dataset = dataset or load_dataset(where(point.data))
    try:
        data = data_of(dataset, point)
    except DataError as error:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / IMPOSSIBLE).write_text(f"{error}\n")
        return
    labelled = int((data.train.labels != UNLABELLED).sum())
    if not (folder / SWEET_SPOT_FILE).exists():
        taken = teachers_of(point, out)
        own = settings_at(point, labelled, len(data.train))
        goodteacher.search(data, out=folder, **{**own, **taken, **settings})
    goodteacher.verify(folder, data=data, seeds=SEEDS)


def teachers_of(point: Point, out: Path) -> dict[str, str]:
    """Return the setting that takes over the teachers that learned from all data, if they exist."""
    first = out / Point(point.data, "all", SHARES[0], point.repetition).folder
    exist = point.kind == "all" and (first / SWEET_SPOT_FILE).exists()
    return {"teachers_of": str(first)} if exist else {}


def settings_at(point: Point, labelled: int, examples: int) -> dict[str, Any]:
    """Return a point's settings of the search.

    Args:
        point: Which.
        labelled: Examples that the teacher learns from.
        examples: All training examples of the point, labelled or not.
    """
    per_epoch = math.ceil(labelled / 128)
    pair = settings_of_pair(point.data)
    fraction = point.share if point.kind == "all" else 1.0
    return {
        "teacher": pair["teacher"],
        "student": pair["student"],
        "epochs": max(EPOCHS, math.ceil(FEWEST_STEPS / per_epoch)),
        "teacher_seeds": (point.repetition,),
        "split_seed": point.repetition,
        "transfer_fraction": fraction,
        "shortlist": SHORTLIST,
        "student_batch_size": default_batch_size(round(fraction * examples)),
    }


def data_of(dataset: Dataset, point: Point) -> Dataset:
    """Return the data of a point: its training examples, the selection split and the test split.

    Raises:
        DataError: With so few examples a class would have none.
    """
    fraction = 1.0 if point.kind == "all" else point.share
    parts = prepare(dataset, transfer_fraction=fraction, seed=point.repetition)
    if point.kind == "all":  # with an impossible share, fail before anything is trained
        prepare(dataset, transfer_fraction=point.share, seed=point.repetition)
    train = _partly_labelled(parts) if point.kind == "unlabelled" else parts.transfer
    return Dataset(
        point.folder, train, dataset.test, dataset.class_names, validation=parts.selection
    )


def _partly_labelled(parts: StudyData) -> Split:
    """Return the training examples, of which only those of the transfer set keep their labels."""
    every = parts.training
    known = torch.isin(every.ids, parts.transfer.ids)
    labels = torch.where(known, every.labels, UNLABELLED)
    return Split(every.stored, labels, every.ids)


def collected(
    out: Path, data_set: Callable[[str], Dataset] = lambda name: load_dataset(where(name))
) -> list[dict[str, Any]]:
    """Return a row for each point that has finished, and for each that is impossible.

    Args:
        out: Folder of all studies.
        data_set: Returns a data set by name, for the labels of its test split.
    """
    rows = []
    for point in points_of(list(PAIRS)):
        folder = out / point.folder
        about = {
            "data": point.data,
            "kind": point.kind,
            "share": point.share,
            "repetition": point.repetition,
        }
        if (folder / IMPOSSIBLE).exists():
            rows.append({**about, "impossible": True})
        elif (folder / VERDICT_FILE).exists():
            rows.append({**about, **row_of(folder)})
            tenth = out / Point(point.data, "own", TENTH, point.repetition).folder
            if point.kind == "unlabelled" and (tenth / VERDICT_FILE).exists():
                labels = data_set(point.data).test.labels.numpy()
                more = paired_interval(distilled(folder, labels), distilled(tenth, labels))
                rows[-1]["over_tenth"] = [more.mean, more.low, more.high]
    return rows


def distilled(folder: Path, labels: npt.NDArray[np.int64]) -> Correct:
    """Return who is right of the students that a verdict judged, bool [num_seeds, num_examples].

    Args:
        folder: A finished study.
        labels: Classes of the test split's examples, [N].
    """
    teacher, store = _read(folder, VERDICT_FILE, Verdict).teacher, Store.open(folder)
    found = {
        row.seed: shelf.predictions("test")[place].numpy() == labels
        for path in folder.glob("students/verify-*")
        if (shelf := Shelf(store, path.name)).finished
        for place, row in enumerate(shelf.rows())
        if row.arm.startswith(f"{teacher} | ")
    }
    return np.stack([found[seed] for seed in sorted(found)])


def row_of(folder: Path) -> dict[str, Any]:
    """Return what is kept of a finished study, accuracies as fractions of the test split."""
    verdict, spot = _read(folder, VERDICT_FILE, Verdict), _read(folder, SWEET_SPOT_FILE, SweetSpot)
    parts = json.loads((folder / "data.json").read_text())
    smoothing = next(control for control in verdict.controls if control.name == TUNED)
    return {
        "teacher_learns_from": parts["training"],
        "students_learn_from": parts["transfer"],
        "test": parts["test"],
        "answer": spot.answer,
        "verdict": verdict.verdict,
        "seeds": verdict.num_seeds,
        "teacher": str(spot.teacher.source),
        "teacher_test": spot.teacher.test_accuracy,
        "temperature": verdict.recipe.temperature,
        "alpha": verdict.recipe.alpha,
        "labels_epochs": spot.references.cross_entropy.training.epochs,
        "student_epochs": spot.student.training.epochs,
        "improving": list(spot.improving),
        "labels": verdict.ladder[0].test_accuracy,
        "smoothing": smoothing.test_accuracy,
        "students": verdict.ladder[-1].test_accuracy,
        "over_labels": _kept(verdict.gain),
        "over_smoothing": _kept(smoothing.full_response_minus_it),
        "knowledge": _kept(verdict.knowledge),
    }


FoundT = TypeVar("FoundT", bound=Frozen)


def _read(folder: Path, name: str, kind: type[FoundT]) -> FoundT:
    return kind.model_validate_json((folder / name).read_text())


def _kept(effect: Effect) -> list[float]:
    """Return a difference with its 95 % interval: mean, low, high."""
    return [effect.mean, *effect.interval]


if __name__ == "__main__":
    with goodteacher.tuned_cpu():
        main()
