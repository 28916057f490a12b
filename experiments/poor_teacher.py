"""Does a poor teacher give most of the gain, and do students take its errors over?

Yuan et al. 2020 ("Revisiting Knowledge Distillation via Label Smoothing Regularization"): a teacher
of one epoch, far less accurate than the student, gave a MobileNetV2 on CIFAR-100 +2.27 points, and
the converged teacher +2.67, so about 85 % of the gain. One temperature, no intervals of the share.

    GOODTEACHER_DATA=... python experiments/poor_teacher.py --out poor                # runs
    GOODTEACHER_DATA=... python experiments/poor_teacher.py --out poor --collect      # keeps
    python experiments/poor_teacher_page.py                               # makes page and figure

Run again, it goes on where it was stopped. Fixed before any student of a teacher was looked at:

*Data*: Banking77, MNIST and Fashion-MNIST. Students learn from a tenth of the training data, with
teacher and student of the pairs `large--wide--tenth` of `experiments/cpu`. Teachers learn from

- `same`: the same tenth, as in Yuan et al.'s work. All teachers are given 128 epochs.
- `tenfold`: all the training data, as in the pairs of the study, and for as many epochs as there.
  A first try, stopped before any student was judged, showed that a teacher of one epoch is not
  poor there (Banking77: 85 % on the selection split, students of the labels 61 %): so it is second.

*Four teachers*, every one with a search of its own, so that each has the epochs, temperature and
weight of its own students, chosen in the same way on the selection split:

- `one_epoch`: batch size 128, one epoch (Yuan et al.'s batch size);
- `sweet_spot`: every batch size and recorded epoch;
- `converged`: every batch size, the last epoch alone;
- `own_self`: of the *student's* architecture, every batch size, the last epoch alone. On the same
  data only: what had ten times the data is no earlier self of the student.

Each is trained with two seeds, of which the search chooses one: the other is the independent
teacher of the verdict's error transfer. So whatever is chosen, the better teachers have more to
choose from, and the one epoch is not favoured. Images leave out batch size 32, for its cost.

*Students* of the verdict have seeds of their own, the same for every teacher: 3 in a first round
over all data sets, then 5, then 10. What is told is of the last round that a teacher has finished;
no result decides whether the next one is run.

*Rules*, with 95 % intervals over paired seeds and test examples:

1. The share of a poor teacher's gain is its gain over the labels divided by that of another
   teacher. No share is told where the other teacher's gain is not above 0. A poor teacher gives
   *most* of the gain where the share's interval lies above 1/2, *not most* where it lies below,
   and else the runs do not decide. Against the sweet spot first, then against the converged one.
2. Whether what it gives is knowledge or regularization is the verdict's answer, by its own rule.
3. Students take errors over where the error transfer's joint interval lies above 0. Beside it
   stands what the stand-in of that measure leaves out: the students of another teacher, asked
   about the same errors. Those of `own_self` share no run with the large teachers.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from goodteacher import Study, search, verify
from goodteacher.data import Dataset, load_dataset, prepare
from goodteacher.maths.statistics import Interval, crossed_interval, paired_interval
from goodteacher.students.kept import Shelf
from goodteacher.studies import EVIDENCE_FILE, SWEET_SPOT_FILE, Silent, resume_context
from goodteacher.teachers import logits_on_test, plan_keys
from goodteacher.training.machine import tuned_cpu
from pairs import RESULTS
from run import where

FILE = RESULTS / "poor_teacher.json"

Json = dict[str, Any]
Matrix = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """A data set, the pair that is studied on it, and what its teachers learn from.

    Attributes:
        data: Name of the data set.
        teacher: Architecture of the large teachers.
        student: Architecture of the students.
        batch_sizes: Of teachers.
        tenfold: Whether teachers learn from ten times the students' data; else from the same.
        epochs: Of the converged teacher.
    """

    data: str
    teacher: str
    student: str
    batch_sizes: tuple[int, ...]
    tenfold: bool = False
    epochs: int = 128

    @property
    def kinds(self) -> tuple[str, ...]:
        """The teachers, the most telling first."""
        return KINDS[:3] if self.tenfold else KINDS


KINDS = ("one_epoch", "sweet_spot", "converged", "own_self")
_SAME = {
    "banking77": Case("banking77", "mlp:512,512", "mlp:32", (32, 128, 512)),
    "mnist": Case("mnist", "mlp:800,800", "mlp:64", (128, 512, 2048)),
    "fashion_mnist": Case("fashion_mnist", "mlp:800,800", "mlp:64", (128, 512, 2048)),
}
_EPOCHS = {"banking77": 40, "mnist": 32, "fashion_mnist": 32}
CASES = {f"same/{name}": case for name, case in _SAME.items()} | {
    f"tenfold/{name}": replace(case, tenfold=True, epochs=_EPOCHS[name])
    for name, case in _SAME.items()
}
POOR = ("one_epoch", "own_self")
"""Whose share of the gain is asked for."""
BETTER = ("sweet_spot", "converged")
"""Whose gain it is a share of."""
ROUNDS = (3, 5, 10)
"""Seeds of the verdicts, one round after another."""
MOST, TENTH = 0.5, 0.1
SETTINGS: Json = {
    "teacher_seeds": (0, 1),
    "temperatures": (1.0, 4.0, 16.0),
    "alphas": (0.5, 1.0),
    "smoothings": (0.05, 0.1, 0.2),
    "shortlist": 4,
    "search_seeds": 1,
    "seeds": 2,
}
"""Of every search; its own confirmation is not what is told, so it has few seeds. Temperatures,
weights and strengths go on where the best is the largest or the smallest."""


def settings_of(case: Case, kind: str) -> Json:
    """Return the settings of the search for one kind of teacher."""
    found = {**SETTINGS, "teacher": case.teacher, "student": case.student}
    if case.tenfold:
        found["transfer_fraction"] = TENTH
    if kind == "one_epoch":
        return {**found, "batch_sizes": (128,), "epochs": 1}
    recorded = {} if kind == "sweet_spot" else {"record_epochs": (case.epochs,)}
    teacher = case.student if kind == "own_self" else case.teacher
    grid = {"batch_sizes": case.batch_sizes, "epochs": case.epochs}
    return {**found, **grid, **recorded, "teacher": teacher}


def data_of(case: Case) -> Dataset:
    """Return the data of a case: all of them, or the tenth that students learn from.

    Students learn from, and choices are made on, the same examples either way.
    """
    data = load_dataset(where(case.data))
    if case.tenfold:
        return data
    parts = prepare(data, transfer_fraction=TENTH)
    return Dataset(
        f"{case.data}, a tenth", parts.transfer, data.test, data.class_names, parts.selection
    )


def run(out: Path, only: str, threads: int) -> None:
    """Search and judge, the first round of every data set before the second of any."""
    runtime = {"threads": threads, "device": "cpu"}
    planned = [(seeds, n, kind) for seeds in ROUNDS for n, c in CASES.items() for kind in c.kinds]
    for seeds, name, kind in planned:
        folder, case = out / name / kind, CASES[name]
        if only not in f"{name}/{kind}" or judged_seeds(folder) >= seeds:
            continue
        data, started = data_of(case), time.monotonic()
        if not (folder / SWEET_SPOT_FILE).exists():
            search(data, out=folder, **settings_of(case, kind), **runtime)
            print(f"{name} {kind}: searched in {_minutes(started)}", flush=True)
        verify(folder, data=data, seeds=seeds, **runtime)
        print(f"{name} {kind}: {seeds} seeds judged after {_minutes(started)}", flush=True)


def _minutes(started: float) -> str:
    return f"{(time.monotonic() - started) / 60:.1f} min"


def judged_seeds(folder: Path) -> int:
    """Return with how many seeds a teacher was judged; 0 before."""
    return Study(folder).evidence.num_seeds if (folder / EVIDENCE_FILE).exists() else 0


# --- what is kept --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """A teacher and its students on the test split.

    Attributes:
        labels: Classes of the examples, [N].
        teacher: Classes that the teacher predicts, [N].
        full: Classes that students of its full response predict, [S, N].
        plain: The same of students of the labels.
    """

    labels: Matrix
    teacher: Matrix
    full: Matrix
    plain: Matrix

    @property
    def gains(self) -> npt.NDArray[np.float64]:
        """Who is right with the response, minus who is with the labels, [S, N]."""
        right = [(each == self.labels).astype(float) for each in (self.full, self.plain)]
        return right[0] - right[1]


def read(out: Path, name: str, kind: str) -> tuple[Study, Judged]:
    """Return a finished judgement, and what its students and its teacher predict."""
    study = Study(out / name / kind)
    context = resume_context(study.folder, study.config, Silent(), data=data_of(CASES[name]))
    keys = dict(plan_keys(study.config, context)[1])
    test = context.data.test.open("a table, no choice")
    source = study.sweet_spot.teacher.source
    logits = logits_on_test(context, keys, study.config.teacher, source, test)
    if logits is None:
        raise ValueError(f"{source} of {study.folder} cannot be asked about the test split")
    students = verdict_students(study)
    return study, Judged(
        labels=test.labels.numpy().astype(np.int64),
        teacher=logits.argmax(1).numpy().astype(np.int64),
        full=students["full_response"],
        plain=students["one_hot"],
    )


def verdict_students(study: Study) -> dict[str, Matrix]:
    """Return what the verdict's students of the labels and of the full response predict, [S, N].

    Raises:
        ValueError: They are not the students of the verdict.
    """
    found: dict[str, dict[int, Matrix]] = {"one_hot": {}, "full_response": {}}
    for path in sorted(Path(study.folder).glob("students/*/rows.parquet")):
        shelf = Shelf(study.store, path.parent.name)
        rows = shelf.rows()
        if rows[0].stage != "verify":
            continue
        predictions = shelf.predictions("test").numpy().astype(np.int64)
        for place, row in enumerate(rows):
            role = {"one_hot": "one_hot", "checkpoint": "full_response"}.get(row.source)
            if role is not None:
                found[role][row.seed] = predictions[place]
    seeds = sorted(found["one_hot"])[: study.verdict.num_seeds]
    return {role: np.stack([by_seed[seed] for seed in seeds]) for role, by_seed in found.items()}


def collect(out: Path) -> Json:
    """Return everything that is kept of the finished judgements, by data set."""
    found: Json = {}
    for name, case in CASES.items():
        kinds = [kind for kind in case.kinds if judged_seeds(out / name / kind)]
        if not kinds:
            continue
        read_all = {kind: read(out, name, kind) for kind in kinds}
        judged = {kind: each for kind, (_, each) in read_all.items()}
        found[name] = {
            "examples": len(judged[kinds[0]].labels),
            "transfer": read_all[kinds[0]][0].data.transfer,
            "teachers": {kind: _told(study) for kind, (study, _) in read_all.items()},
            "shares": shares(judged),
            "crossed": crossed(judged),
        }
    return found


def _told(study: Study) -> Json:
    """Return what a study and its verdict say, in fractions."""
    spot, verdict, evidence = study.sweet_spot, study.verdict, study.evidence
    rungs = {rung.name: round(rung.test_accuracy, 5) for rung in verdict.ladder}
    found: Json = {
        "teacher": spot.teacher.described,
        "teacher_accuracy": round(spot.teacher.test_accuracy or 0.0, 5),
        "recipe": str(verdict.recipe),
        "seeds": verdict.num_seeds,
        "verdict": verdict.verdict,
        "ladder": rungs,
        "gain": _effect(verdict.gain.mean, *verdict.gain.interval),
        "knowledge": _effect(verdict.knowledge.mean, *verdict.knowledge.interval),
        "over_best": _effect(
            verdict.over_best_regularizer.mean, *verdict.over_best_regularizer.interval
        ),
        "best_regularizer": verdict.best_regularizer,
        "errors_missing": evidence.error_transfer_missing,
    }
    errors = evidence.error_transfer
    if errors is not None:
        found["errors"] = {
            "split": errors.split,
            "errors": errors.num_errors,
            "independent": errors.independent,
            "independent_errors": errors.independent_errors,
            "rungs": {
                arm.name: {
                    "repeated": _effect(arm.repeated.mean, *arm.repeated.interval),
                    "right": round(arm.right, 5),
                    "transfer": None
                    if arm.transfer is None
                    else _effect(arm.transfer.mean, *arm.transfer.adjusted_interval),
                }
                for arm in errors.arms
            },
        }
    return found


def _effect(mean: float, low: float, high: float) -> list[float]:
    return [round(value, 5) for value in (mean, low, high)]


def shares(judged: Mapping[str, Judged]) -> Json:
    """Return each poor teacher's share of each better one's gain; None where there is no gain.

    The seeds are those that both teachers have.
    """
    found: Json = {}
    for poor, better in itertools.product(POOR, BETTER):
        if poor in judged and better in judged:
            found.setdefault(poor, {})[better] = share(judged[poor].gains, judged[better].gains)
    return found


def share(gains: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> list[float] | None:
    """Return the share of two gains with its interval; None unless the other gain is above 0.

    The interval is that of the ratio's linearization, over paired seeds and examples.

    Args:
        gains: Right with the response minus right with the labels, [S, N]; the poor teacher's.
        others: The same of the other teacher; of equal seeds, where there are more they are left.

    Example:
        >>> half, whole = np.zeros((4, 200)), np.zeros((4, 200))
        >>> half[:, :20], whole[:, :40] = 1.0, 1.0
        >>> share(half, whole)[0]
        0.5
    """
    seeds = min(len(gains), len(others))
    gains, others = gains[:seeds], others[:seeds]
    if crossed_interval(others).low <= 0:
        return None
    ratio = gains.mean() / others.mean()
    found = crossed_interval(ratio + (gains - ratio * others) / others.mean())
    return _told_interval(found)


def crossed(judged: Mapping[str, Judged]) -> Json:
    """Return how often the students of each teacher repeat the errors of each, and the differences.

    `minus` is the share that a teacher's own students repeat, minus the share that those of the
    other teacher repeat, on the same errors: the definition of error transfer without a stand-in.
    """
    found: Json = {}
    for own, mine in judged.items():
        wrong = mine.teacher != mine.labels
        repeated = {k: each.full[:, wrong] == mine.teacher[wrong] for k, each in judged.items()}
        plain = mine.plain[:, wrong] == mine.teacher[wrong]
        minus: Json = {"labels": _told_interval(paired_interval(repeated[own], plain))}
        for kind, hits in repeated.items():
            seeds = min(len(hits), len(repeated[own]))
            if kind != own:
                difference = paired_interval(repeated[own][:seeds], hits[:seeds])
                minus[kind] = _told_interval(difference)
        found[own] = {
            "errors": int(wrong.sum()),
            "repeated": {
                "labels": round(float(plain.mean()), 5),
                **{kind: round(float(hits.mean()), 5) for kind, hits in repeated.items()},
            },
            "minus": minus,
        }
    return found


def _told_interval(found: Interval) -> list[float]:
    return _effect(found.mean, found.low, found.high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the studies")
    parser.add_argument("--collect", action="store_true", help="keep what is finished in --out")
    parser.add_argument("--only", default="", help="run what has this text in DATA/TEACHER")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if not options.collect:
        with tuned_cpu():
            run(options.out, options.only, options.threads)
        return
    FILE.write_text(json.dumps(collect(options.out), indent=1) + "\n")


if __name__ == "__main__":
    main()
