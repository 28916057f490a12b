"""``verify``: is a teacher's gain knowledge or regularization?

For a finished study it judges the sweet spot's teacher and recipe, with seeds of its own; for a
response that the user brings, the recipe given. The rule is in ``verdict``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from goodteacher.conclude import correct_by_arm
from goodteacher.config import EvidenceConfig, Recipe, StudyConfig, VerifyConfig, parse
from goodteacher.data import Dataset
from goodteacher.distillation import keep_response, load_pair
from goodteacher.engines import ENGINES
from goodteacher.errors import ConfigError, ResponseError
from goodteacher.evidence import (
    Case,
    Teachers,
    check_omission,
    gather,
    given_teachers,
    study_teachers,
    with_independent,
)
from goodteacher.models import canonical_spec
from goodteacher.progress import Progress, Silent
from goodteacher.report import write_report
from goodteacher.responses import Response
from goodteacher.results import Checkpoint, FileSource, Verdict
from goodteacher.students import mean_accuracies, paired_tasks
from goodteacher.study import VERDICT_FILE, Study, prepare_context, resume_context
from goodteacher.sweet_spot import Search
from goodteacher.tasks import Context, DataKey
from goodteacher.verdict import judge, plan_arms

VERIFY_SEED = 2_000_000
"""Verification seeds count from here, so that they meet neither search nor confirmation seeds."""


def verify(
    data: str | Path | Dataset | Study,
    *,
    responses: str | Path | Response | Tensor | None = None,
    student: str | None = None,
    out: str | Path | None = None,
    probabilities: bool = False,
    independent_responses: str | Path | Response | Tensor | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Verdict:
    """Tell whether students learn class similarity from a teacher, or are only regularized.

    Args:
        data: A finished study or its folder; with ``responses``, a data set.
        responses: A teacher's raw logits on the training data, aligned by id.
        student: Student architecture, with ``responses``.
        out: Folder of the result, with ``responses``.
        probabilities: The files hold probabilities rather than logits.
        independent_responses: Raw logits of another teacher on the same data, for the fidelity in
            excess of it; a study has other trajectories of its own.
        progress: Told how far the work is.
        **settings: With ``responses``, any field of :class:`~goodteacher.config.VerifyConfig`; for
            a study, ``seeds``, ``margin``, ``level`` and those of
            :class:`~goodteacher.config.EvidenceConfig`.

    Returns:
        The verdict, which is also written to ``verdict.json``; beside it ``evidence.json`` and
        ``report.html``.

    Raises:
        InputError: Something given cannot work; raised before any training.

    Example:
        >>> import torch
        >>> from goodteacher.data import load_dataset
        >>> digits = load_dataset("digits")
        >>> similar = torch.randn(10, 10, generator=torch.Generator().manual_seed(0))
        >>> logits = similar[digits.train.labels] + 6 * torch.eye(10)[digits.train.labels]
        >>> found = verify(digits, responses=logits, student="mlp:4", out=getfixture("tmp_path"),
        ...                student_epochs=1, seeds=3, smoothings=[0.1])
        >>> [rung.name for rung in found.ladder][-1], found.num_seeds
        ('full_response', 3)
    """
    watcher = progress or Silent()
    if responses is None:
        folder = data.folder if isinstance(data, Study) else data
        study = Study(_as_path(folder))
        return _verify_study(study, settings, independent_responses, probabilities, watcher)
    if student is None or out is None:
        raise ConfigError("verify needs student and out beside responses: --student and --out.")
    if isinstance(data, Study):
        raise ConfigError("verify takes a study or responses, not both.")
    name = data.name if isinstance(data, Dataset) else str(data)
    config = parse(VerifyConfig, data=name, student=canonical_spec(student), **settings)
    response, dataset = load_pair(responses, data, config, probabilities=probabilities)
    _check_structure(response)
    independent = _independent(independent_responses, dataset, config, probabilities)
    context = prepare_context(config, out, data=dataset, progress=watcher)
    check_omission(config, context.data)
    teachers = given_teachers(response, independent, context.data.selection)
    with context.store.lock():
        source = keep_response(context, response)
        key = DataKey.of(config, context.data, context.machine)
        return _judge(context, config, key, source, config.recipe, teachers, trajectories=())


def _verify_study(
    study: Study,
    settings: Mapping[str, Any],
    independent_responses: str | Path | Response | Tensor | None,
    probabilities: bool,
    progress: Progress,
) -> Verdict:
    """Judge a study's sweet spot; only what belongs to the judgement can be set."""
    own = {"seeds", "margin", "level", "smoothings", *EvidenceConfig.model_fields}
    unknown = sorted(set(settings) - own)
    if unknown:
        raise ConfigError(
            f"{', '.join(unknown)} is decided by the study. Of a study, verify takes "
            f"{', '.join(sorted(own))}."
        )
    made_with, spot = study.config, study.sweet_spot
    shared = set(StudyConfig.model_fields) & set(VerifyConfig.model_fields) - {"seeds"}
    inherited = {name: getattr(made_with, name) for name in shared}
    config = parse(VerifyConfig, **{**inherited, **spot.recipe.model_dump(), **settings})
    independent = _independent(independent_responses, made_with.data, config, probabilities)
    context = resume_context(study, progress)
    check_omission(config, context.data)
    source = Checkpoint(batch_size=spot.teacher.batch_size, epoch=spot.teacher.epoch)
    plan = Search(made_with, context, ENGINES[config.engine](context))
    _check_labels_unmixed(plan.key)
    selection = context.data.selection
    teachers = study_teachers(
        context.store, dict(plan.teachers), study.trajectories(), source, selection
    )
    if independent is not None:
        teachers = with_independent(teachers, independent, selection)
    with context.store.lock():
        recipe, trajectories = spot.recipe, plan.teachers
        return _judge(
            context, config, plan.key, source, recipe, teachers, trajectories=trajectories
        )


def _independent(
    responses: str | Path | Response | Tensor | None,
    data: str | Dataset,
    config: VerifyConfig,
    probabilities: bool,
) -> Response | None:
    if responses is None:
        return None
    return load_pair(responses, data, config, probabilities=probabilities)[0]


def _judge(
    context: Context,
    config: VerifyConfig,
    key: DataKey,
    source: Checkpoint | FileSource,
    recipe: Recipe,
    teachers: Teachers,
    *,
    trajectories: tuple[tuple[int, str], ...],
) -> Verdict:
    arms = plan_arms(source, recipe, config.smoothings)
    tasks = paired_tasks(
        config,
        key,
        list(arms.values()),
        stage="verify",
        seeds=range(VERIFY_SEED, VERIFY_SEED + config.seeds),
        teachers=trajectories,
        memory_gib=config.memory_gib,
        stack_width=config.stack_width,
    )
    ENGINES[config.engine](context).run("verification", tasks)
    selection = mean_accuracies(context.store, tasks)
    correct = correct_by_arm(context, tasks)
    verdict = judge(
        {name: correct[arm] for name, arm in arms.items()},
        {name: selection[arm] for name, arm in arms.items()},
        teacher=str(source),
        recipe=recipe,
        level=config.level,
        margin=config.margin,
    )
    context.store.write_json(VERDICT_FILE, verdict)
    gather(Case(context, config, source, arms, tasks, trajectories, teachers))
    write_report(context.store)
    return verdict


def _check_labels_unmixed(key: DataKey) -> None:
    if key.augmentation.mixup and key.views > 1:
        raise ConfigError(
            "The students of this study saw images mixed by mixup, which have two labels each, and "
            "the rungs of the ladder need one. Search again without mixup in augment, or with "
            "views = 1: then the teacher's training is mixed and the students' is not."
        )


def _check_structure(response: Response) -> None:
    if response.is_one_hot:
        raise ResponseError(
            "Every row of the response is a hard 0/1 label, so it holds no similarity information "
            "to test. Record the teacher's raw logits, before any argmax or rounding."
        )


def _as_path(value: object) -> Path | str:
    if isinstance(value, Path | str):
        return value
    raise ConfigError("verify needs a study's folder, or a data set together with responses.")
