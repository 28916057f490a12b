"""Which means of responses make good students? Of a finished exhaustive study and its teachers.

    python experiments/mixtures.py STUDY RESULTS_OF_THE_PAIR

Each kind of mixture is chosen by held-out negative log-likelihood (NLL) alone, no student asked:

- `best single`: the checkpoint of lowest NLL at its best temperature; no mixture, the yardstick;
- `2 best`, `4 best`, `8 best`: equal means of so many by the same order;
- `one trajectory`: greedy ensemble selection among the epochs of the best single's batch size;
- `one of each size`: the same among the best epoch of each batch size;
- `blend`: the same among all checkpoints, the variant `blend` of a search;
- `all`: the equal mean of all checkpoints.

Students learn from each by every recipe of the study with its search seeds, trained like those of
the study's sweet spot; the best recipe on the
selection split is trained again with the study's fresh seeds and measured on the test split, so
that it is paired with the study's own sweet spot and with cross-entropy. The ladder of the best
single and of the blend, by the blend's recipe and with the same seeds, tells what a blend adds by
its confidence and what by similarity. Keeps `mixtures.json` (what is in each) and `mixtures.csv`
(the students) beside the pair's other files.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import torch

from collect import as_students_csv
from goodteacher.config import Recipe
from goodteacher.maths.blends import choose_blend
from goodteacher.maths.calibration import negative_log_likelihood, optimal_temperature
from goodteacher.records.arms import Arm, Blend, Checkpoint, Source, TeacherSource
from goodteacher.records.results import StudentRow, SweetSpot, TrajectoryRecord
from goodteacher.students.kept import all_rows, mean_accuracies
from goodteacher.students.plan import StudentTask
from goodteacher.students.predictions import correct_by_arm
from goodteacher.studies.files import SWEET_SPOT_FILE
from goodteacher.studies.store import Store
from goodteacher.sweet_spot.conclude import confirmed_rows
from goodteacher.teachers.mixing import blend_of
from goodteacher.teachers.port import RecordedTeachers, combined
from goodteacher.verdicts.rule import RUNGS, target_arm
from pairs import BLEND, MIXTURES_FILE, MIXTURES_STUDENTS_FILE, SINGLE, Mixture, Mixtures
from resuming import resumed


class Mixer:
    """Makes the mixtures of a finished exhaustive study and trains their students.

    Args:
        exhaustive: Folder of the study; its data must be found by name.
    """

    def __init__(self, exhaustive: Path) -> None:
        self.search = resumed(exhaustive)
        self.context = self.search.context
        self.response = cache(self._response)

    def run(self, into: Path) -> None:
        """Choose, train and measure; write what came out."""
        target = Store(into)
        with self.context.store.lock():
            sources = self.sources(self.search.train_teachers())
            searched = self.searched(list(dict.fromkeys(sources.values())))
            winners = self.best_arms(searched)
            ladders = {
                name: self.trained(arm)
                for name, arm in ladder_arms(sources, winners[sources[BLEND]].recipe).items()
            }
            confirmed = self.search.confirm([*winners.values(), *ladders.values()])
            correct = correct_by_arm(self.context, confirmed)
            rows = all_rows(self.context.store, searched)
            fresh = confirmed_rows(self.context.store, confirmed, correct)
        kinds: dict[Source, str] = {source: kind for kind, source in reversed(sources.items())}
        names = {arm: f"{kinds[arm.source]} | {arm.recipe}" for arm in searched[0].arms}
        kept = [*named(rows, names), *named(fresh, {arm: names[arm] for arm in winners.values()})]
        for name, arm in ladders.items():
            kept += named(fresh, {arm: name})
        target.write_text(MIXTURES_STUDENTS_FILE, as_students_csv(kept))
        target.write_json(MIXTURES_FILE, Mixtures(kinds=self.described(sources)))

    def sources(self, records: Sequence[TrajectoryRecord]) -> dict[str, TeacherSource]:
        """Return the mixture of each kind."""
        order = [r.checkpoint for r in sorted(records, key=lambda record: record.best_nll)]
        best: dict[str, Checkpoint] = {}
        for checkpoint in order:
            best.setdefault(checkpoint.run, checkpoint)
        trajectory = [r.checkpoint for r in records if r.run == order[0].run]
        return {
            SINGLE: order[0],
            **{f"{number} best": equal_mean(order[:number]) for number in (2, 4, 8)},
            "one trajectory": self.greedy(trajectory),
            "one of each size": self.greedy(list(best.values())),
            BLEND: self.greedy([record.checkpoint for record in records]),
            "all": equal_mean(order),
        }

    def greedy(self, checkpoints: Sequence[Checkpoint]) -> Blend:
        """Return what greedy ensemble selection makes of some checkpoints."""
        labels = self.context.data.selection.labels
        responses = torch.stack([self.response(each) for each in checkpoints])
        weights = choose_blend(responses, labels)
        return blend_of(checkpoints, weights)

    def _response(self, checkpoint: Checkpoint) -> torch.Tensor:
        """Return a checkpoint's response on the selection split, [N, C]."""
        teachers = RecordedTeachers(self.context.store, dict(self.search.teachers.keys))
        return teachers.response(checkpoint, self.context.data.selection, name="selection")

    def described(self, sources: Mapping[str, TeacherSource]) -> dict[str, Mixture]:
        """Return what each mixture holds and how good it is on the selection split."""
        labels = self.context.data.selection.labels
        found = {}
        for kind, source in sources.items():
            logits = combined(source, self.response)
            best = optimal_temperature(logits, labels)
            found[kind] = Mixture(
                same_as=next(kind for kind, other in sources.items() if other == source),
                members=members_of(source),
                nll=negative_log_likelihood(logits, labels),
                best_nll=negative_log_likelihood(logits, labels, temperature=best),
                accuracy=float((logits.argmax(-1) == labels).double().mean()),
                optimal_temperature=best,
            )
        return found

    def trained(self, arm: Arm) -> Arm:
        """Return the arm with the training of the sweet spot, with which mixtures are compared.

        Where nobody tuned the students, all train alike.
        """
        if not self.search.plan.tuned:
            return arm
        spot = self.context.store.read_json(SWEET_SPOT_FILE, SweetSpot)
        return arm.trained(spot.student.training)

    def searched(self, sources: Sequence[TeacherSource]) -> tuple[StudentTask, ...]:
        """Train students of every recipe with the search's seeds."""
        config = self.search.config
        students = self.search.students
        tasks = students.tasks(
            [
                self.trained(Arm(source=each, recipe=recipe))
                for each in sources
                for recipe in config.recipes
            ],
            self.search.plan.training,
            stage="distill",
            seeds=range(config.search_seeds),
        )
        return students.train("students", tasks)

    def best_arms(self, tasks: Sequence[StudentTask]) -> dict[Source, Arm]:
        """Return the arm of each mixture that serves students best on the selection split."""
        found: dict[Source, Arm] = {}
        scores = mean_accuracies(self.context.store, tasks)
        for arm in sorted(scores, key=lambda arm: -scores[arm]):
            found.setdefault(arm.source, arm)
        return found


def equal_mean(checkpoints: Sequence[Checkpoint]) -> Blend:
    """Return the mean of some responses, each of the same weight."""
    return blend_of(checkpoints, [round(1 / len(checkpoints), 4)] * len(checkpoints))


def members_of(source: TeacherSource) -> dict[str, float]:
    """Return the weight of each checkpoint in a teacher, by the checkpoint's name."""
    if isinstance(source, Checkpoint):
        return {str(source): 1.0}
    return {str(member.checkpoint): member.weight for member in source.members}


def ladder_arms(sources: Mapping[str, TeacherSource], recipe: Recipe) -> dict[str, Arm]:
    """Return the rungs above label smoothing of the best single and of the blend, by one recipe."""
    return {
        f"{kind}: {rung} | {recipe}": target_arm(sources[kind], rung, recipe)
        for kind in (SINGLE, BLEND)
        for rung in RUNGS[2:]
    }


def named(rows: Iterable[StudentRow], names: Mapping[Arm, str]) -> list[StudentRow]:
    """Return the rows of some arms, with short names in place of a mixture's long description."""
    by_key = {arm.trained(None).key: name for arm, name in names.items()}  # as rows name arms
    return [row.model_copy(update={"arm": by_key[row.arm]}) for row in rows if row.arm in by_key]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of a finished exhaustive search")
    parser.add_argument("into", type=Path, help="the pair's folder below the results")
    given = parser.parse_args()
    Mixer(given.study).run(given.into)


if __name__ == "__main__":
    main()
