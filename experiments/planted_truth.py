"""Is the verdict right on real data where the truth is planted?

    GOODTEACHER_DATA=... python experiments/planted_truth.py --out planted                    # runs
    GOODTEACHER_DATA=... python experiments/planted_truth.py --collect planted              # keeps
    python experiments/planted_truth_page.py                                 # writes the page again

`benchmarks/verdicts.py` asks this of drawn tasks, whose posterior is known. Here the examples are
real: Fashion-MNIST (at 14x14 pixels) and Banking77, train and test together, divided anew. A
teacher learns from some of them, once, and responds to the rest, which it has not seen. What the
verdict is asked about is made of that response, at the temperature of the students:

| planted | off-class mass of each example | true by construction |
|---|---|---|
| `confidence` | spread evenly | smoothing by example, nothing else |
| `permuted` | its entries permuted, once for each example | no class is like any other |
| `other_map` | sent through one wrong map for each class | the wrong classes are alike |
| `less`, `more` | a share as the teacher has it, the rest evenly | some similarity |
| `whole` | as the teacher has it | all of it |
| `faintly_permuted` | a tenth permuted, the rest evenly | no class is like any other |
| `faint_other_map` | a tenth by the wrong map, the rest evenly | the wrong classes are alike |

On all but `less`, `more` and `whole` `knowledge` is false. The faint ones came after the first
draw, on which the other nulls were easy: students of `permuted` and `other_map` lost 4 and 10
points. The label's probability is the teacher's own in all of them, so labels, rungs 1 and 2 and
label smoothing are the same students for all: trained once, in one stack with the others.
`goodteacher.students` trains them and `goodteacher.verdicts.rule.judge` decides, as in a
verification: `tests/experiments/test_planted_truth.py` holds that `goodteacher.verify` says the
same of a planted response.

A *draw* divides the rest anew: transfer set, selection split, test examples in blocks. Its 40
student seeds make two verdicts of 20, the default, and once more five of 8, as most of the study
has; each has seeds of its own, and a block: of Fashion-MNIST its own too, of Banking77 one of two.
Other draws have other transfer sets and other wrong maps; their test examples overlap.

*The truth* of a verdict is measured by the draw's other seeds on its other test examples:
the lesser of full response minus rung 2 and full response minus the best regularizer, best by those
same students. It uses nothing that the verdict has used.

*Budgets.* All students of a data set train alike, as where a user names epochs and learning rate;
which, and sizes, temperatures and shares too, was chosen by students of two seeds on draw 0, which
is never judged. The package's own `unfinished` says in every draw whether students are trained
enough; where one of those compared is not, the verdict is `undertrained`. Then 8 seeds have a 3rd,
a 9th and a 27th of the epochs. Students *are* undertrained, in truth, if three times the epochs
make any that are compared better by more than half a point on all test examples; clearly so above
one point. `unfinished` trains two seeds longer: here once for a draw and budget rather than for
each verdict.

*Rules*, with exact (Clopper-Pearson) 95 % intervals, n verdicts:

1. False `knowledge`: its share among verdicts of 20 seeds on responses on which it is false, by the
   rule alone, is at most 5 %.
2. Knowledge found: its share among verdicts of 20 seeds, by the rule alone, whose true gain is at
   least half a point, is at least 90 %. Beside it the share where the truth is 0.4 to 0.6 points.
3. Undertrained students are never judged: the share of clearly undertrained ones that are judged
   all the same; one is a finding. And how often students of the whole training are refused.

*By the rule alone*: also where `unfinished` refuses, which would hide what the rule does.

A rule *holds* where the interval lies on its side of the number, *fails* where it lies on the
other, and else the runs do not decide. The interval takes verdicts as independent: those of one
group share the students of labels and smoothing. So the groups with an error are counted too.

Draws of both data sets come in turn, more of them for as long as it runs. A draw is a file as soon
as it is done, and its students are then deleted; the same command goes on.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import goodteacher
from command_line import parser_of
from goodteacher.config import Training
from goodteacher.maths.targets import logits_of
from goodteacher.records import Arm
from goodteacher.records.arms import Checkpoint
from goodteacher.students import StudentTask, rows_by_arm
from goodteacher.students.finished import unfinished
from goodteacher.students.predictions import correct_by_arm
from goodteacher.sweet_spot.search import Search
from goodteacher.verdicts.rule import RUNGS, judge, plan_arms
from goodteacher.verdicts.verification import VERIFY_SEED
from planted_responses import CASES, KINDS, Case, Rest, draw_of, targets_of, taught
from resuming import resumed

FILE = Path(__file__).parent / "results/planted_truth.json"

Json = dict[str, Any]

SEEDS, SIZES = 40, (20, 8)
"""Seeds of a draw, and of a verdict: the default, and that of most of the study."""
LEVEL, MARGIN = 0.05, 0.002
SMOOTHINGS = (0.02, 0.05, 0.1, 0.2, 0.3)
"""The defaults of a verification."""
SHARES = (3, 9, 27)
"""By which the epochs are divided for students that are undertrained."""
EARLY = 8
"""Seeds of those."""
DRAWS = 12
RUN = "planted"


def planted_arms(case: Case) -> dict[str, Arm]:
    """Return every arm by name: what all verdicts share, and each planted response."""
    sources = {name: Checkpoint(run=RUN, epoch=n) for n, name in enumerate(KINDS, 1)}
    shared = plan_arms(sources["whole"], case.recipe, SMOOTHINGS)
    kept = {n: a for n, a in shared.items() if n in RUNGS[:4] or n.startswith("label_smoothing")}
    return {**kept, **{name: Arm(source=s, recipe=case.recipe) for name, s in sources.items()}}


def arms_of(kind: str, case: Case) -> dict[str, str]:
    """Return which planted arm is which of a verdict's, for one planted response."""
    shared = [name for name in planted_arms(case) if name not in KINDS]
    return {**{name: name for name in shared}, RUNGS[4]: kind}


def begin(case: Case, rest: Rest, draw: int, folder: Path) -> Search:
    """Return a study of a draw whose teachers are the planted responses.

    Args:
        case: Its student.
        rest: What the draw divides.
        draw: Its number.
        folder: Of the draw.
    """
    data = draw_of(case, rest, draw)
    study = folder / "study"
    if not (study / "sweet_spot.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        recorder = goodteacher.Recorder(folder / RUN, data)
        parts = {"transfer": recorder.transfer, "selection": recorder.selection}
        found = {
            part: targets_of(case, rest.logits_of(split), split.labels, draw)
            for part, split in parts.items()
        }
        for epoch, kind in enumerate(KINDS, 1):
            said = {
                part: logits_of(targets[kind].float(), temperature=case.temperature)
                for part, targets in found.items()
            }
            recorder.record(epoch=epoch, logits=said)
        goodteacher.search(
            data,
            trajectories=[str(recorder.folder)],
            student=case.student,
            temperatures=(case.temperature,),
            out=study,
            **BRIEF,
        )
    return resumed(study, data)


BRIEF: Json = {
    "student_epochs": 1,
    "alphas": (1.0,),
    "smoothings": SMOOTHINGS[:1],
    "shortlist": 1,
    "rungs": 1,
    "search_seeds": 1,
    "seeds": 1,
    "extend": False,
    "threads": 1,
    "device": "cpu",
    "precision": "float32",
}
"""A search that nobody reads: it sets the study up, with the responses as its teachers."""


# --- students ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pool:
    """Students of every arm, by seed.

    Attributes:
        right: Who is right on the test examples, by the name of the arm, [S, N].
        selection: Accuracies on the selection split, [S].
        unfinished: Arms that the package finds not trained enough.
    """

    right: Mapping[str, npt.NDArray[np.bool_]]
    selection: Mapping[str, npt.NDArray[np.float64]]
    unfinished: tuple[str, ...]

    def first(self, count: int) -> Pool:
        """Return the same of the first seeds."""
        right = {name: each[:count] for name, each in self.right.items()}
        return Pool(right, {n: e[:count] for n, e in self.selection.items()}, self.unfinished)


def pool_of(search: Search, case: Case, training: Training, count: int) -> Pool:
    """Train students of so many seeds, and ask them about the test examples."""
    tasks = trained(search, case, training, range(VERIFY_SEED, VERIFY_SEED + count))
    arms, store = planted_arms(case), search.context.store
    lacking = unfinished(search.students, arms, tasks)
    rows, right = rows_by_arm(store, tasks), correct_by_arm(search.context, tasks)
    return Pool(
        {name: right[arm] for name, arm in arms.items()},
        {n: np.array([r.selection_accuracy for r in rows[arm]]) for n, arm in arms.items()},
        lacking,
    )


def trained(
    search: Search, case: Case, training: Training, seeds: Sequence[int]
) -> tuple[StudentTask, ...]:
    """Train students of all arms, as for a verdict."""
    arms = planted_arms(case).values()
    tasks = search.students.tasks(arms, training, stage="verify", seeds=seeds)
    return search.students.train("planted", tasks)


def shorter(training: Training, share: int) -> Training:
    """Return the training with a part of its epochs."""
    return training.model_copy(update={"epochs": max(1, round(training.epochs / share))})


# --- verdicts ------------------------------------------------------------------------------------


def verdict_of(pool: Pool, case: Case, kind: str, seeds: slice, block: slice) -> Json:
    """Return what the package says of one planted response.

    Returns:
        `verdict`, and `rule`: what the rule alone says, where students are not trained enough too.
    """
    own, arms = arms_of(kind, case), planted_arms(case)
    found = judge(
        {name: pool.right[of][seeds, block] for name, of in own.items()},
        {name: float(pool.selection[of][seeds].mean()) for name, of in own.items()},
        arms={name: arms[of] for name, of in own.items()},
        teacher=kind,
        level=LEVEL,
        margin=MARGIN,
    )
    refused = not set(own.values()).isdisjoint(pool.unfinished)
    return {"verdict": "undertrained" if refused else found.verdict, "rule": found.verdict}


def truth_of(pool: Pool, case: Case, kind: str, seeds: slice, block: slice) -> Json:
    """Measure what is true of a verdict, by other seeds and other test examples.

    Returns:
        `knowledge`: full response minus rung 2; `gain`: the lesser of that and full response minus
        the best regularizer; `over_labels`: full response minus labels; all fractions.
    """
    count, examples = pool.right[kind].shape
    rows, columns = np.ones(count, dtype=bool), np.ones(examples, dtype=bool)
    rows[seeds], columns[block] = False, False
    means = {
        name: float(pool.right[of][rows][:, columns].mean())
        for name, of in arms_of(kind, case).items()
    }
    full = means.pop(RUNGS[4])
    del means[RUNGS[3]]
    found = {
        "knowledge": full - means[RUNGS[2]],
        "gain": full - max(means.values()),
        "over_labels": full - means[RUNGS[0]],
    }
    return {name: round(value, 5) for name, value in found.items()}


def judged(pool: Pool, case: Case, kind: str) -> Iterator[Json]:
    """Yield the verdicts of a draw on one response, each with its truth."""
    count = len(pool.selection[kind])
    for size in SIZES:
        for group in range(count // size):
            where = slice(group * size, (group + 1) * size), case.block_of(group)
            yield {
                "kind": kind,
                "seeds": size,
                "group": group,
                **verdict_of(pool, case, kind, *where),
                **truth_of(pool, case, kind, *where),
            }


def judged_early(pools: Mapping[int, Pool], case: Case, kind: str) -> Iterator[Json]:
    """Yield the verdicts of a draw on students of shorter trainings.

    Args:
        pools: By what their epochs were divided by, 1 among them; of the same seeds.
        case: Its blocks.
        kind: The response.
    """
    for share, less in pools.items():
        if share == 1:
            continue
        more = pools[share // 3]
        names = arms_of(kind, case).values()
        patience = max(float(more.right[n].mean() - less.right[n].mean()) for n in names)
        verdict = verdict_of(less, case, kind, slice(None), case.block_of(0))
        yield {"kind": kind, "share": share, **verdict, "patience": round(patience, 5)}


def run_draw(case: Case, rest: Rest, draw: int, folder: Path) -> Json:
    """Return the verdicts of a draw."""
    search = begin(case, rest, draw, folder)
    pool = pool_of(search, case, case.training, SEEDS)
    pools = {1: pool.first(EARLY)}
    for share in SHARES:
        pools[share] = pool_of(search, case, shorter(case.training, share), EARLY)
    return {
        "draw": draw,
        "unfinished": {str(share): list(each.unfinished) for share, each in pools.items()},
        "verdicts": [row for kind in KINDS for row in judged(pool, case, kind)],
        "early": [row for kind in KINDS for row in judged_early(pools, case, kind)],
    }


# --- running -------------------------------------------------------------------------------------


def run(name: str, draw: int, out: Path) -> None:
    """Do a draw as far as it is not done."""
    done, folder = out / f"{name}-{draw}.json", out / f"{name}-{draw}"
    if done.exists():
        return
    started = time.monotonic()
    rest = taught(name, out)
    found = {"teacher": round(rest.accuracy, 4), **run_draw(CASES[name], rest, draw, folder)}
    new = done.with_suffix(".new")
    new.write_text(json.dumps(found))
    new.replace(done)
    shutil.rmtree(folder)
    print(f"{name} draw {draw}: {(time.monotonic() - started) / 60:.1f} min", flush=True)


def collected(out: Path) -> Json:
    """Return what is kept of the finished draws, by data set."""
    paths = {name: [out / f"{name}-{draw}.json" for draw in range(1, DRAWS + 1)] for name in CASES}
    return {
        name: [json.loads(path.read_text()) for path in each if path.exists()]
        for name, each in paths.items()
    }


def as_text(found: Mapping[str, Sequence[Json]]) -> str:
    """Return what is kept as the text of its file, a line for each draw."""
    sets = [
        f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, draws)) + "\n]"
        for name, draws in found.items()
    ]
    return "{\n" + ",\n".join(sets) + "\n}\n"


def main() -> None:
    options = parser_of(
        __doc__.partition("\n")[0],
        data=CASES,
        out="planted",
        repetitions=DRAWS,
        pieces="draws",
    ).parse_args()
    if options.collect:
        FILE.write_text(as_text(collected(options.collect)))
        return
    torch.set_num_threads(options.threads)
    for draw in range(1, 1 + (options.first or options.repetitions)):
        for name in options.data or CASES:
            run(name, draw, options.out)


if __name__ == "__main__":
    with goodteacher.tuned_cpu():
        main()
