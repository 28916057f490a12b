"""``verify``: is a teacher's gain knowledge or regularization?

For a finished study it judges the sweet spot's teacher and recipe, with seeds of its own; for a
response that the user brings, the recipe given. The rule is in ``verdict``. Seeds are tasks, so a
later look trains the further ones only, and a run that was stopped comes to the same looks again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goodteacher.config import (
    StudyConfig,
    VerifyConfig,
)
from goodteacher.data import Dataset, load_for
from goodteacher.engines import engine_of
from goodteacher.errors import ConfigError
from goodteacher.networks import NetworkLike, check_code, give_again
from goodteacher.public.study import Study
from goodteacher.records import Verdict
from goodteacher.report import drawn, tracked, write_report
from goodteacher.responses import ResponseLike, load_pair
from goodteacher.students import Students, keep_response, tell
from goodteacher.studies import (
    DataKey,
    DataLike,
    Place,
    Progress,
    Silent,
    Store,
    checked_settings,
    name_of_data,
    prepare_context,
)
from goodteacher.training import borrowed
from goodteacher.verdicts.evidence import (
    check_omission,
    given_teachers,
)
from goodteacher.verdicts.verification import (
    Verification,
    check_structure,
    independent_response,
    of_study,
    settings_of_study,
)


def verify(
    subject: DataLike | Study,
    /,
    *,
    data: DataLike | None = None,
    responses: ResponseLike | None = None,
    student: NetworkLike | None = None,
    teacher: NetworkLike | None = None,
    out: str | Path | None = None,
    probabilities: bool = False,
    independent_responses: ResponseLike | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> Verdict:
    """Tell whether students learn class similarity from a teacher, or are only regularized.

    Args:
        subject: A finished study or its folder; with ``responses``, a data set.
        data: With a study whose data were given in Python, the data again.
        responses: A teacher's raw logits on the training data, aligned by id.
        student: Student architecture, with ``responses``; with a study whose student was given in
            Python, that network or function again.
        teacher: With a study whose teacher was given in Python, that network or function again.
        out: Folder of the result, with ``responses``.
        probabilities: Responses are probabilities rather than logits.
        independent_responses: Raw logits of another teacher on the same data, for the fidelity in
            excess of it; a study has other trajectories of its own.
        trust_code: Import the factories ``python:module:factory`` that a study names. They are code
            of whoever wrote it; not needed for those that you name or have named in this process.
        progress: Told how far the work is.
        **settings: With ``responses``, any field of :class:`~goodteacher.config.VerifyConfig`; for
            a study only those of the judgement, such as ``seeds``, ``until_decided``, ``margin``,
            and of :class:`~goodteacher.config.EvidenceConfig`.

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
        store = subject.store if isinstance(subject, Study) else Store.open(_as_path(subject))
        again = _given_again(store, data, teacher, student, trust_code=trust_code)
        work = settings_of_study(store, settings)
        with _working(work[1], store.root, watcher) as told:
            judged = of_study(
                store,
                *work,
                told,
                data=again,
                independent_responses=independent_responses,
                probabilities=probabilities,
            )
            with judged.context.store.lock(told):
                return _judge(judged)
    if teacher is not None:
        raise ConfigError("With responses, no teacher is trained. Leave teacher out.")
    if data is not None or student is None or out is None or isinstance(subject, Study):
        raise ConfigError(_complaint(subject, data))
    networks, name = {"student": student}, name_of_data(subject)
    config = checked_settings(VerifyConfig, networks=networks, data=name, **settings)
    given = _Given(subject, responses, independent_responses, probabilities)
    with _working(config, out, watcher) as told:
        return _of_response(given, config, out, told)


@contextmanager
def _working(config: VerifyConfig, folder: Place | str, watcher: Progress) -> Iterator[Progress]:
    """Give work its threads, and a progress that tells trackers and keeps the report up to date."""
    with (
        borrowed(config),
        tracked(config.tracker, folder, watcher) as told,
        drawn(Store(folder), "verification", told, write_report) as drawing,
    ):
        yield drawing


@dataclass(frozen=True)
class _Given:
    """A teacher of the user's own: responses to data, both as they were given."""

    data: DataLike
    responses: ResponseLike
    independent_responses: ResponseLike | None
    probabilities: bool


def _of_response(
    given: _Given, config: VerifyConfig, out: str | Path, watcher: Progress
) -> Verdict:
    """Judge the response of a teacher of the user's own."""
    response, dataset = load_pair(
        given.responses, given.data, config, probabilities=given.probabilities
    )
    check_structure(response)
    independent = independent_response(
        given.independent_responses, dataset, config, given.probabilities
    )
    context = prepare_context(config, out, data=dataset, progress=watcher)
    config = context.store.config(VerifyConfig)
    check_omission(config, context.data, of_study=False)
    teachers = given_teachers(response, independent, context.data.selection)
    if independent is not None:
        tell(context, independent, name="independent response")
    with context.store.lock(watcher):
        source = keep_response(context, response, given=given.responses)
        key = DataKey.of(config, context.data)
        students = Students(config, context, engine_of(config, context), key)
        return _judge(Verification(students, config, source, teachers))


def _given_again(
    store: Store,
    data: DataLike | None,
    teacher: NetworkLike | None,
    student: NetworkLike | None,
    *,
    trust_code: bool,
) -> Dataset | None:
    """Return a study's data, if given, and let its networks be made in this process too."""
    config = store.config(StudyConfig)
    for spec, network in ((config.teacher, teacher), (config.student, student)):
        if network is not None and spec is not None:
            give_again(spec, network)
    check_code([config.teacher, config.student], where=store.root, trust_code=trust_code)
    return None if data is None else load_for(config, data)


def _complaint(subject: object, data: object) -> str:
    """Say why a response cannot be judged with what was given beside it."""
    if data is not None:
        return (
            "data can only be given with a study. With responses, give the data set first: "
            "verify(data, responses=...)."
        )
    if isinstance(subject, Study):
        return "verify needs either a study or responses, not both."
    return "With responses, verify also needs student and out: --student and --out."


def _judge(verification: Verification) -> Verdict:
    """Come to a verdict, and write the report."""
    verdict = verification.run()
    write_report(verification.context.store)
    return verdict


def _as_path(value: object) -> Path | str:
    if isinstance(value, Path | str):
        return value
    raise ConfigError("verify needs a study's folder, or a data set together with responses.")
