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
| `trace`, `part` | a 1/10, 1/5 as the teacher has it, the rest evenly | some similarity |
| `whole` | as the teacher has it | all of it |

On the first three `knowledge` is false. The label's probability is the teacher's own in all six, so
labels, rungs 1 and 2 and label smoothing are the same students for all: trained once, in one stack
with those of the six. `goodteacher.students` trains them and `goodteacher.verdicts.rule.judge`
decides, as in a verification: `tests/experiments/test_planted_truth.py` holds that
`goodteacher.verify` says the same of a planted response.

A *draw* divides the rest anew: transfer set, selection split, test examples. Its student seeds come
in groups of 20, the verdict's default, each with a block of test examples of its own: so the
verdicts of a draw share neither seeds nor test examples, only what their students learn from. Other
draws have other transfer sets and other wrong maps; their blocks overlap with those of the first.

*The truth* of a verdict is measured by the draw's other groups of seeds on its other test examples:
the lesser of full response minus rung 2 and full response minus the best regularizer, best by those
same students. It uses nothing that the verdict has used.

*Budgets.* Learning rate and epochs are settled on draw 0, which is never judged: the fewest of
`EPOCHS` at which the package finds no arm unfinished, each at the learning rate that suits hard
labels best there. All arms train alike, as where a user names them. The first group is judged also
at a 3rd, a 9th and a 27th of those epochs. There, and everywhere, the package's own `unfinished`
says whether students are trained enough; where one of those compared is not, the verdict is
`undertrained`. Students *are* undertrained, in truth, if three times the epochs make any that are
compared better by more than half a point on all test examples; clearly so above one point.

*Rules*, with exact (Clopper-Pearson) 95 % intervals, n verdicts:

1. False `knowledge`: its share among verdicts on `confidence`, `permuted` and `other_map`, at the
   settled budget, is at most 5 %.
2. Knowledge found: its share among verdicts at the settled budget whose true gain is at least half
   a point is at least 90 %. Beside it the share where the truth is 0.4 to 0.6 points.
3. Undertrained students are never judged: the share of clearly undertrained ones that are judged
   all the same; a single one is a finding. And how often students of the settled budget are refused.

A rule *holds* where the interval lies on its side of the number, *fails* where it lies on the
other, and else the runs do not decide. The interval takes verdicts as independent: those of one
group share the students of labels and smoothing. So the groups with an error are counted too.

Sizes, temperatures and shares were chosen by students of two seeds on draw 0. Draws of both data
sets come in turn, more of them for as long as it runs. A draw is a file as soon as it is done, and
its students are then deleted; the same command goes on.
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
from torch import Tensor
from torch.nn import functional as F

import goodteacher
from command_line import parser_of
from goodteacher.config import Optimization, Recipe, RuntimeConfig, Training
from goodteacher.data import Dataset, Split, load_dataset, prepare
from goodteacher.maths.targets import (
    class_map_targets,
    confidence_smoothing,
    full_response,
    logits_of,
    permuted_targets,
)
from goodteacher.records import CROSS_ENTROPY, Arm
from goodteacher.records.arms import Checkpoint
from goodteacher.students import StudentTask, mean_accuracies
from goodteacher.students.finished import unfinished
from goodteacher.students.predictions import correct_by_arm
from goodteacher.students.tuning import FACTORS
from goodteacher.sweet_spot.search import Search
from goodteacher.training import (
    StackObjective,
    Trainer,
    choose_machine,
    compute_logits,
    steps_per_epoch,
)
from goodteacher.verdicts.rule import RUNGS, judge, plan_arms
from resuming import resumed
from run import where
from student_tuning import examples_of, stack_of
from summaries import json_text

FILE = Path(__file__).parent / "results/planted_truth.json"

Json = dict[str, Any]
Right = dict[str, npt.NDArray[np.bool_]]
"""Who is right on the test examples, by the name of the arm, [num_seeds, num_examples]."""


@dataclass(frozen=True)
class Case:
    """A data set, and who teaches whom on it.

    Attributes:
        teacher: Architecture.
        taught: Examples that the teacher learns from.
        epochs: Of the teacher, in batches of 128.
        student: Architecture.
        transfer: Examples that students learn from.
        selection: Examples of the selection split.
        block: Test examples of a verdict: about those of the data set's own test split.
        groups: Verdicts of a draw on each response.
        temperature: Of students, and at which responses are planted.
    """

    teacher: str
    taught: int
    epochs: int
    student: str
    transfer: int
    selection: int
    block: int
    groups: int
    temperature: float

    @property
    def recipe(self) -> Recipe:
        """How students learn: from the response alone."""
        return Recipe(temperature=self.temperature, alpha=1.0)


CASES: Mapping[str, Case] = {
    "fashion_mnist": Case("mlp:256", 10_000, 10, "mlp:16", 500, 5000, 10_000, 3, 4.0),
    "banking77": Case("mlp:256", 4000, 10, "mlp:16@tfidf:512", 1001, 1500, 3280, 2, 1.0),
}
SEEDS, LEVEL, MARGIN = 20, 0.05, 0.002
SMOOTHINGS = (0.02, 0.05, 0.1, 0.2, 0.3)
"""The defaults of a verification."""
BATCH, TEACHERS_BATCH = 32, 128
EPOCHS = (24, 72, 216, 648)
SHARES = (1, 3, 9, 27)
"""The settled epochs are divided by these."""
DRAWS = 12
NULL, PLANTED = ("confidence", "permuted", "other_map"), {"trace": 0.1, "part": 0.2, "whole": 1.0}
KINDS = (*NULL, *PLANTED)
RUN = "planted"


def targets_of(
    logits: Tensor, labels: Tensor, *, temperature: float, seed: int
) -> dict[str, Tensor]:
    """Return the planted targets by name, probabilities [N, C], all of the same confidence.

    Args:
        logits: The teacher's, [N, C].
        labels: Of the examples.
        temperature: At which they are made, and learned.
        seed: Of what is permuted.
    """
    at = {"temperature": temperature}
    flat, full = confidence_smoothing(logits, labels, **at), full_response(logits, labels, **at)
    return {
        "confidence": flat,
        "permuted": permuted_targets(logits, labels, seed=seed, **at),
        "other_map": class_map_targets(logits, labels, seed=seed, **at),
        **{name: (1 - share) * flat + share * full for name, share in PLANTED.items()},
    }


def planted_arms(recipe: Recipe) -> dict[str, Arm]:
    """Return every arm by name: what all verdicts share, and each planted response."""
    sources = {name: Checkpoint(run=RUN, epoch=n) for n, name in enumerate(KINDS, 1)}
    shared = plan_arms(sources["whole"], recipe, SMOOTHINGS)
    kept = {n: a for n, a in shared.items() if n in RUNGS[:4] or n.startswith("label_smoothing")}
    return {**kept, **{name: Arm(source=s, recipe=recipe) for name, s in sources.items()}}


# --- data and teacher ----------------------------------------------------------------------------


def every_example(name: str) -> tuple[Split, tuple[str, ...]]:
    """Return all examples of a data set, shuffled once, images at half their size; and classes."""
    data = load_dataset(where(name))
    labels = torch.cat([data.train.labels, data.test.labels])
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    if data.is_text:
        texts = [*(data.train.texts or ()), *(data.test.texts or ())]
        shuffled = [texts[i] for i in order.tolist()]
        return Split.from_texts(shuffled, labels[order]), data.class_names
    images = torch.cat([data.train.inputs, data.test.inputs])[order]
    small = F.avg_pool2d(images.float(), 2).round().to(torch.uint8)
    return Split.from_arrays(small, labels[order]), data.class_names


@dataclass(frozen=True)
class Rest:
    """What the teacher has not seen, and what it says of it.

    Attributes:
        split: The examples.
        logits: The response, [N, C].
        class_names: Of the classes.
    """

    split: Split
    logits: Tensor
    class_names: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        """The teacher's accuracy on them."""
        return float((self.logits.argmax(-1) == self.split.labels).double().mean())

    def logits_of(self, split: Split) -> Tensor:
        """Return the response to some of the examples, which are numbered on from the first."""
        return self.logits[split.ids - self.split.ids[0]]


def response_of(case: Case, every: Split, names: tuple[str, ...]) -> Tensor:
    """Train the teacher on the first examples, and return its logits for all others, [N, C]."""
    first = every.subset(torch.arange(case.taught))
    rest = every.subset(torch.arange(case.taught, len(every)))
    few = rest.subset(torch.arange(len(rest) // 4))
    parts = prepare(Dataset("taught", first, rest, names, validation=few))
    machine = choose_machine(RuntimeConfig(device="cpu", threads=1))
    training = examples_of(parts, parts.training, machine)
    plain = torch.zeros(1, len(first), len(names))
    steps = case.epochs * steps_per_epoch(len(first), TEACHERS_BATCH)
    trainer = Trainer(
        stack_of(case.teacher, parts, 1, 0, training),
        StackObjective([plain], [0], [CROSS_ENTROPY.recipe], training, device=machine.device),
        training,
        plan=Optimization(optimizer="adam", learning_rate=1e-3, batch_size=TEACHERS_BATCH),
        total_steps=steps,
        order_seed=0,
        machine=machine,
    )
    trainer.run_until(steps)
    return compute_logits(trainer.network, examples_of(parts, rest, machine))[0]


def taught(name: str, out: Path) -> Rest:
    """Return what the teacher of a data set says; it is trained once, and kept."""
    kept, (every, names) = out / f"{name}-teacher.npy", every_example(name)
    rest = every.subset(torch.arange(CASES[name].taught, len(every)))
    if not kept.exists():
        out.mkdir(parents=True, exist_ok=True)
        new = kept.with_name(f"new-{kept.name}")
        np.save(new, response_of(CASES[name], every, names).numpy())
        new.replace(kept)
    return Rest(rest, torch.from_numpy(np.load(kept)), names)


def draw_of(case: Case, rest: Rest, draw: int) -> Dataset:
    """Return the data of a draw."""
    order = torch.randperm(len(rest.split), generator=torch.Generator().manual_seed(1 + draw))
    order = order[: case.transfer + case.selection + case.groups * case.block]
    cuts = [case.transfer, case.selection, len(order) - case.transfer - case.selection]
    train, selection, test = (rest.split.subset(part) for part in order.split(cuts))
    return Dataset(f"draw {draw}", train, test, rest.class_names, validation=selection)


# --- students ------------------------------------------------------------------------------------


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
            part: targets_of(
                rest.logits_of(split), split.labels, temperature=case.temperature, seed=draw
            )
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
    "student_batch_size": BATCH,
    "alphas": (1.0,),
    "smoothings": SMOOTHINGS[:1],
    "shortlist": 1,
    "rungs": 1,
    "search_seeds": 1,
    "seeds": 1,
    "extend": False,
    "threads": 1,
    "device": "cpu",
}
"""A search that nobody reads: it sets the study up, with the responses as its teachers."""


def trained(
    search: Search, case: Case, training: Training, seeds: Sequence[int]
) -> tuple[StudentTask, ...]:
    """Train students of all arms, for a verdict."""
    arms = planted_arms(case.recipe).values()
    tasks = search.students.tasks(arms, training, stage="verify", seeds=seeds)
    return search.students.train("planted", tasks)


def unfinished_of(search: Search, case: Case, tasks: Sequence[StudentTask]) -> tuple[str, ...]:
    """Return the arms that the package finds not trained enough."""
    return unfinished(search.students, planted_arms(case.recipe), tasks)


def settle(case: Case, rest: Rest, folder: Path) -> Training:
    """Return the epochs and the learning rate of all students; see the rule above."""
    search = begin(case, rest, 0, folder)
    for epochs in EPOCHS:
        first = Training(epochs=epochs, batch_size=BATCH, learning_rate=4e-3)
        tried = {
            CROSS_ENTROPY.trained(first.model_copy(update={"learning_rate": rate})): rate
            for rate in (first.learning_rate * factor for factor in FACTORS)
        }
        tasks = search.students.tasks(tried, first, stage="tune", seeds=(0, 1), keep_state=False)
        search.students.train("learning rates", tasks)
        scores = mean_accuracies(search.context.store, tasks)
        best = max(tried, key=lambda arm: scores[arm])
        training = first.model_copy(update={"learning_rate": tried[best]})
        if not unfinished_of(search, case, trained(search, case, training, (0, 1))):
            break
    return training


# --- verdicts ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """A group of seeds at one budget.

    Attributes:
        right: Who is right on all test examples of the draw.
        selection: Mean accuracy of each arm on the selection split.
        unfinished: Arms that the package finds not trained enough.
    """

    right: Right
    selection: Mapping[str, float]
    unfinished: tuple[str, ...]

    def of(self, kind: str) -> dict[str, str]:
        """Return which arm is which of a verdict's, for one planted response."""
        return {**{name: name for name in self.right if name not in KINDS}, RUNGS[4]: kind}


def group_of(search: Search, case: Case, training: Training, number: int) -> Group:
    """Train a group, and ask it about the test examples."""
    seeds = range(1000 + number * SEEDS, 1000 + (number + 1) * SEEDS)
    tasks, arms = trained(search, case, training, seeds), planted_arms(case.recipe)
    lacking = unfinished_of(search, case, tasks)
    scores, right = (
        mean_accuracies(search.context.store, tasks),
        correct_by_arm(search.context, tasks),
    )
    return Group(
        {name: right[arm] for name, arm in arms.items()},
        {name: scores[arm] for name, arm in arms.items()},
        lacking,
    )


def verdict_of(group: Group, case: Case, kind: str, block: slice) -> str:
    """Return what the package says of one planted response."""
    own, arms = group.of(kind), planted_arms(case.recipe)
    if set(own.values()) & set(group.unfinished):
        return "undertrained"
    found = judge(
        {name: group.right[of][:, block] for name, of in own.items()},
        {name: group.selection[of] for name, of in own.items()},
        arms={name: arms[of] for name, of in own.items()},
        teacher=kind,
        level=LEVEL,
        margin=MARGIN,
    )
    return found.verdict


def truth_of(groups: Sequence[Group], number: int, kind: str, block: slice) -> Json:
    """Measure what is true of a verdict, by other seeds and other test examples.

    Returns:
        `knowledge`: full response minus rung 2; `gain`: the lesser of that and full response minus
        the best regularizer; `over_labels`: full response minus labels; all fractions.
    """
    others = [group for n, group in enumerate(groups) if n != number]
    kept = np.ones(others[0].right[kind].shape[1], dtype=bool)
    kept[block] = False
    means = {
        name: float(np.mean([group.right[of][:, kept].mean() for group in others]))
        for name, of in others[0].of(kind).items()
    }
    full = means.pop(RUNGS[4])
    del means[RUNGS[3]]
    found = {
        "knowledge": full - means[RUNGS[2]],
        "gain": full - max(means.values()),
        "over_labels": full - means[RUNGS[0]],
    }
    return {name: round(value, 5) for name, value in found.items()}


def more_by_patience(less: Group, more: Group, kind: str) -> float:
    """Return by how much longer training helps the compared arm that it helps most."""
    return max(
        float(more.right[name].mean() - less.right[name].mean()) for name in less.of(kind).values()
    )


def judged(case: Case, groups: Sequence[Group], kind: str) -> Iterator[Json]:
    """Yield every verdict of a draw on one response, with its truth."""
    for number, group in enumerate(groups):
        block = slice(number * case.block, (number + 1) * case.block)
        verdict = verdict_of(group, case, kind, block)
        truth = truth_of(groups, number, kind, block)
        yield {"kind": kind, "share": 1, "group": number, "verdict": verdict, **truth}


def judged_early(
    case: Case, groups: Sequence[Group], shares: Sequence[int], kind: str
) -> Iterator[Json]:
    """Yield the verdicts of a draw on students of shorter trainings.

    Args:
        case: Its blocks.
        groups: Of the same seeds, the longest training first.
        shares: By what their epochs were divided.
        kind: The response.
    """
    block = slice(0, case.block)
    for more, less, share in zip(groups, groups[1:], shares[1:], strict=False):
        patience = round(more_by_patience(less, more, kind), 5)
        verdict = verdict_of(less, case, kind, block)
        yield {"kind": kind, "share": share, "group": 0, "verdict": verdict, "patience": patience}


def run_draw(case: Case, rest: Rest, draw: int, training: Training, folder: Path) -> list[Json]:
    """Return the verdicts of a draw."""
    search = begin(case, rest, draw, folder)
    early = [group_of(search, case, shorter(training, share), 0) for share in reversed(SHARES[1:])]
    groups = [group_of(search, case, training, number) for number in range(case.groups)]
    by_budget = [groups[0], *reversed(early)]
    return [
        row
        for kind in KINDS
        for row in (*judged(case, groups, kind), *judged_early(case, by_budget, SHARES, kind))
    ]


def shorter(training: Training, share: int) -> Training:
    """Return the training with a part of its epochs."""
    return training.model_copy(update={"epochs": max(1, round(training.epochs / share))})


# --- running -------------------------------------------------------------------------------------


def run(name: str, draw: int, out: Path) -> None:
    """Do a draw as far as it is not done; before the first, settle how students train."""
    case, settled, done = CASES[name], out / f"{name}.json", out / f"{name}-{draw}.json"
    if done.exists():
        return
    started = time.monotonic()
    rest = taught(name, out)
    if not settled.exists():
        training = settle(case, rest, out / f"{name}-0")
        about = {"training": training.model_dump(), "teacher": round(rest.accuracy, 4)}
        write(settled, about)
        shutil.rmtree(out / f"{name}-0")
        print(f"{name}: {training}, teacher {rest.accuracy:.3f}", flush=True)
    training = Training.model_validate(json.loads(settled.read_text())["training"])
    write(done, run_draw(case, rest, draw, training, out / f"{name}-{draw}"))
    shutil.rmtree(out / f"{name}-{draw}")
    print(f"{name} draw {draw}: {(time.monotonic() - started) / 60:.1f} min", flush=True)


def write(path: Path, found: Any) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(found))
    new.replace(path)


def collected(out: Path) -> Json:
    """Return what is kept of the finished draws."""
    found: Json = {}
    for name in CASES:
        draws = [(draw, out / f"{name}-{draw}.json") for draw in range(1, DRAWS + 1)]
        rows = [
            {"draw": draw, **row}
            for draw, path in draws
            if path.exists()
            for row in json.loads(path.read_text())
        ]
        if rows:
            found[name] = {**json.loads((out / f"{name}.json").read_text()), "verdicts": rows}
    return found


def main() -> None:
    options = parser_of(
        __doc__.partition("\n")[0],
        data=CASES,
        out="planted",
        repetitions=DRAWS,
        pieces="draws",
    ).parse_args()
    if options.collect:
        FILE.write_text(json_text(collected(options.collect)))
        return
    torch.set_num_threads(options.threads)
    for draw in range(1, 1 + (options.first or options.repetitions)):
        for name in options.data or CASES:
            run(name, draw, options.out)


if __name__ == "__main__":
    with goodteacher.tuned_cpu():
        main()
