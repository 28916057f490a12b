"""A class that students never see: only similarity can teach it.

The examples of class c are taken out of the students' transfer set; the teacher's response on the
others stays, with what it says of c. Students then hardly ever predict c, since no example gave it
most of the target. Hinton et al. raised the bias of c's logit until the accuracy on the *test* set
was best, and found most test examples of c recognised. Ours differs in two things: the offset is
chosen on the *selection* split, so that c is predicted as often as it occurs there, and
cross-entropy's students get the same, as the floor: their logit of c says at least how little an
example is like every other class. Rung 2 may lie well above that floor: the teacher's own
confidence says which examples are near *some* other class, and where c is their neighbour that is a
trace of c. So the full response is compared with rung 2 both as trained and after correction.

Source: Hinton, Vinyals and Dean, *Distilling the Knowledge in a Neural Network*, 2015 (arXiv
1503.02531), section 3.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from goodteacher.config import VerifyConfig
from goodteacher.data import StudyData
from goodteacher.errors import ConfigError
from goodteacher.maths.statistics import paired_interval
from goodteacher.records import Arm, JointEffect, OmittedArm, OmittedCell, OmittedClass, OmittedMap
from goodteacher.students import Predicted, StudentTask, logits_of_students
from goodteacher.teachers import RecordedTeachers
from goodteacher.verdicts.evidence.case import CONFIDENT, FULL, PLAIN, Case, estimate, joint_effects
from goodteacher.verdicts.evidence.omitted_examples import omitted_examples
from goodteacher.verdicts.rule import RUNGS

Hits = npt.NDArray[np.bool_]
_AT_ONCE = 64
"""Teachers of a map whose students are asked at once: their logits are in memory together."""


def class_number(text: str, class_names: Sequence[str]) -> int:
    """Return the number of a class given by name or, failing that, by number.

    Args:
        text: What the user wrote.
        class_names: Names of all classes, in order.

    Raises:
        ConfigError: No class is called so.

    Example:
        >>> class_number("cat", ["dog", "cat"]), class_number("0", ["dog", "cat"])
        (1, 0)
    """
    names = list(class_names)
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    near = difflib.get_close_matches(text, names, n=1) or names[:1]
    raise ConfigError(
        f"omit_class = {text!r} is not a class of these data. Give a name, such as {near[0]!r}, "
        f"or a number from 0 to {len(names) - 1}."
    )


def check_omission(config: VerifyConfig, data: StudyData, *, of_study: bool) -> None:
    """Refuse a class that cannot be omitted, before anything is trained.

    Args:
        config: What is asked for.
        data: The data.
        of_study: Whether a study is judged, which has recorded teachers to make a map of.

    Raises:
        ConfigError: There is no such class, too few classes or examples remain, or there is nothing
            to make a map of.
    """
    if config.omit_class is None:
        return
    if config.omit_map is not None and not of_study:
        raise ConfigError(
            "omit_map needs a study, whose recorded teachers it compares, but a single response is "
            "judged here. Leave omit_map out."
        )
    number = class_number(config.omit_class, data.class_names)
    if data.num_classes < 3:
        raise ConfigError(
            "omit_class needs at least three classes: with two, only one class would remain to "
            "learn. Leave omit_class out."
        )
    remaining = int(_kept(data.transfer.labels, number).sum())
    size = config.first_training(len(data.transfer)).batch_size
    if remaining < size:
        raise ConfigError(
            f"Without class {data.class_names[number]!r} {remaining} labelled examples remain, "
            f"fewer than student_batch_size = {size}. Lower student_batch_size, or omit a smaller "
            "class."
        )


def omitted_class(case: Case) -> OmittedClass | None:
    """Train the rungs without a class and ask what the students know of it; None if not asked.

    Args:
        case: The verification; ``omit_class`` and ``evidence_seeds`` are its settings.
    """
    if case.config.omit_class is None:
        return None
    data, level = case.context.data, case.config.level
    number = class_number(case.config.omit_class, data.class_names)
    arms = {name: case.arms[name] for name in RUNGS}
    of_class = case.labels == number
    _check_test_examples(int(of_class.sum()), data.class_names[number])
    found = students_without(case, arms.values(), number)
    students = {name: found[arm] for name, arm in arms.items()}
    effects = _effects(students, of_class, level)
    return OmittedClass(
        class_number=number,
        class_name=data.class_names[number],
        num_seeds=len(students[FULL].says),
        num_transfer=int(_kept(data.transfer.labels, number).sum()),
        num_class_examples=int(of_class.sum()),
        seen_accuracy=estimate(case.correct(PLAIN)[:, of_class], level=level),
        arms=tuple(
            _arm(name, found, of_class, effects.get(name), level)
            for name, found in students.items()
        ),
        knowledge=effects["knowledge"],
        corrected_knowledge=effects["corrected_knowledge"],
        examples=omitted_examples(case, number, students[FULL].says),
        map=_map(case, number, of_class),
    )


def students_without(
    case: Case, arms: Iterable[Arm], number: int, *, num_seeds: int | None = None
) -> dict[Arm, WithoutClass]:
    """Train students that never see a class, and return what they predict on the test split.

    Args:
        case: The verification.
        arms: What they learn from.
        number: The class.
        num_seeds: Paired seeds; by default those of the evidence.
    """
    name = case.context.data.class_names[number]
    tasks = case.train(arms, f"without class {name}", omit_class=number, num_seeds=num_seeds)
    by_seed: dict[int, dict[Arm, WithoutClass]] = {}
    for task in tasks:  # arms of another training are another task of the same seed
        by_seed.setdefault(task.seed, {}).update(_examine(case, task, number))
    seeds = list(by_seed.values())
    return {arm: _joined([found[arm] for found in seeds]) for arm in seeds[0]}


def _map(case: Case, number: int, of_class: Hits) -> OmittedMap | None:
    """Measure students of every recorded teacher; None where that was not asked for."""
    count = case.config.omit_map
    if count is None:
        return None
    known = RecordedTeachers(case.context.store, dict(case.students.teachers)).known()
    teachers = [each for each in known if each.variant == "raw"]
    recipe, level = case.recipe, case.config.level
    temperatures = (1.0,) if recipe.temperature == 1 else (1.0, recipe.temperature)
    cells = []
    for temperature in temperatures:
        taught = recipe.model_copy(update={"temperature": temperature})
        arms = {each: Arm(source=each, recipe=taught) for each in teachers}
        found: dict[Arm, WithoutClass] = {}
        for first in range(0, len(arms), _AT_ONCE):
            few = list(arms.values())[first : first + _AT_ONCE]
            found |= students_without(case, few, number, num_seeds=count)
        cells += [
            OmittedCell(
                run=each.run,
                epoch=each.epoch,
                temperature=temperature,
                class_accuracy=estimate(found[arm].plain[:, of_class], level=level),
                corrected_class_accuracy=estimate(found[arm].corrected[:, of_class], level=level),
            )
            for each, arm in arms.items()
        ]
    return OmittedMap(num_seeds=count, temperatures=temperatures, cells=tuple(cells))


def frequency_offset(logits: Tensor, number: int, count: int) -> float:
    """Return what to add to a class's logit so that it is predicted for ``count`` examples.

    The class is predicted where ``z_c + offset`` exceeds every other logit, so the offset lies
    halfway between the margins ``max_k z_k - z_c`` of the examples ranked ``count`` and
    ``count + 1``.

    Args:
        logits: ``[N, C]``; where students diverged and are not finite, 0 stands for them.
        number: The class c.
        count: How many examples, in ``1 .. N - 1``.

    Example:
        >>> logits = torch.tensor([[5.0, 1.0], [5.0, 4.0], [5.0, 0.0]])
        >>> frequency_offset(logits, 1, 2)  # margins 1, 4 and 5
        4.5
    """
    margins = _margins(torch.nan_to_num(logits.double()), number).sort().values
    return float((margins[count - 1] + margins[count]) / 2)


def corrected_predictions(logits: Tensor, number: int, offset: float) -> Tensor:
    """Return the predicted classes after an offset to one class's logit.

    Args:
        logits: ``[N, C]``.
        number: The class whose logit is raised.
        offset: What is added to it.

    Returns:
        Class numbers, int64 ``[N]``.
    """
    raised = torch.nan_to_num(logits.double())
    raised[:, number] += offset
    return raised.argmax(1)


@dataclass(frozen=True)
class WithoutClass:
    """Students of an arm that never saw a class.

    Attributes:
        says: Classes that they predict on the test split, as trained, int32 [S, N].
        plain: Whether these are right, bool [S, N].
        corrected: Whether those after the correction are, bool [S, N].
        offsets: What was added to the class's logit, for each seed.
    """

    says: Predicted
    plain: Hits
    corrected: Hits
    offsets: tuple[float, ...]


def _examine(case: Case, task: StudentTask, number: int) -> dict[Arm, WithoutClass]:
    """Find each student's offset on the selection split and apply it on the test split."""
    selection = case.context.data.selection
    count = int((selection.labels == number).sum())
    held_out = logits_of_students(case.context, task, selection)
    tested = logits_of_students(case.context, task, case.test)
    found = {}
    for arm, on_selection, on_test in zip(task.arms, held_out, tested, strict=True):
        offset = frequency_offset(on_selection, number, count)
        corrected = corrected_predictions(on_test, number, offset).numpy()
        says = on_test.argmax(1).int().numpy()
        right = says == case.labels
        found[arm] = WithoutClass(says, right, corrected == case.labels, (offset,))
    return found


def _joined(seeds: Sequence[WithoutClass]) -> WithoutClass:
    return WithoutClass(
        np.stack([found.says for found in seeds]),
        np.stack([found.plain for found in seeds]),
        np.stack([found.corrected for found in seeds]),
        tuple(offset for found in seeds for offset in found.offsets),
    )


def _effects(
    students: Mapping[str, WithoutClass], of_class: Hits, level: float
) -> dict[str, JointEffect]:
    """Compare rungs on the class: each with rung 0 after correction, rung 4 with 2 also before."""
    corrected = {name: found.corrected[:, of_class] for name, found in students.items()}
    plain = {name: found.plain[:, of_class] for name, found in students.items()}
    pairs = {
        **{name: (corrected[name], corrected[PLAIN]) for name in RUNGS[1:]},
        "knowledge": (plain[FULL], plain[CONFIDENT]),
        "corrected_knowledge": (corrected[FULL], corrected[CONFIDENT]),
    }
    intervals = [paired_interval(a, b, level=level) for a, b in pairs.values()]
    return dict(zip(pairs, joint_effects(intervals, level=level), strict=True))


def _arm(
    name: str, found: WithoutClass, of_class: Hits, effect: JointEffect | None, level: float
) -> OmittedArm:
    return OmittedArm(
        name=name,
        class_accuracy=estimate(found.plain[:, of_class], level=level),
        overall_accuracy=estimate(found.plain, level=level),
        mean_offset=float(np.mean(found.offsets)),
        corrected_class_accuracy=estimate(found.corrected[:, of_class], level=level),
        corrected_overall_accuracy=estimate(found.corrected, level=level),
        over_cross_entropy=effect,
    )


def _margins(logits: Tensor, number: int) -> Tensor:
    others = logits.clone()
    others[:, number] = -torch.inf
    return others.max(1).values - logits[:, number]


def _check_test_examples(count: int, name: str) -> None:
    if count < 2:
        raise ConfigError(
            f"The test split holds {count} example of class {name!r}, too few to measure anything. "
            "Omit a larger class."
        )


def _kept(labels: Tensor, number: int) -> Tensor:
    return (labels != number) & (labels >= 0)
