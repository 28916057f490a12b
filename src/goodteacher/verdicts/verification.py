"""A teacher's gain, judged: arms tuned, trained, looked at and explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from goodteacher.config import (
    RUNTIME_SETTINGS,
    EvidenceConfig,
    Recipe,
    StudyConfig,
    Training,
    VerifyConfig,
    parse,
    unknown_settings,
)
from goodteacher.data import UNLABELLED, Dataset, resolvable_difference
from goodteacher.engines import engine_of
from goodteacher.errors import ConfigError, ResponseError
from goodteacher.maths.statistics import PlannedLook, plan_looks
from goodteacher.maths.targets import FALSIFICATION
from goodteacher.records import (
    CROSS_ENTROPY,
    Arm,
    FileSource,
    Look,
    SweetSpot,
    TeacherSource,
    Verdict,
    smoothing_arm,
)
from goodteacher.responses import Response, ResponseLike, load_pair
from goodteacher.students import (
    RECIPE_AXES,
    Students,
    StudentTask,
    Tuned,
    check_diverged,
    correct_by_arm,
    mean_accuracies,
    plan_student,
    rows_by_arm,
    tell,
    told_diverged,
    told_unfinished,
    tune,
    unfinished,
)
from goodteacher.studies import (
    SWEET_SPOT_FILE,
    VERDICT_FILE,
    VERIFY_SEEDS,
    Context,
    DataKey,
    Progress,
    Store,
    resume_context,
)
from goodteacher.teachers import plan_keys
from goodteacher.verdicts.evidence import (
    Case,
    Teachers,
    check_omission,
    gather,
    study_teachers,
    with_independent,
)
from goodteacher.verdicts.rule import (
    PSEUDO_LABELS,
    RUNGS,
    judge,
    plan_arms,
    smoothing_name,
    target_arm,
)

VERIFY_SEED = VERIFY_SEEDS.start
"""Verification seeds count from here, so that they meet neither search nor confirmation seeds."""


TUNE_SEED = 3_000_000
"""Seeds that choose each arm's own training and recipe count from here."""


_SMOOTHING = "label_smoothing"


def settings_of_study(
    store: Store, settings: Mapping[str, Any]
) -> tuple[StudyConfig, VerifyConfig]:
    """Return a study's settings, as it goes on here, and those of the judgement made of them.

    Args:
        store: The study's folder.
        settings: Those of the judgement and of how the work runs; nothing else can be set.

    Raises:
        InputError: A setting is unknown, wrong or decided by the study, which must have finished.
    """
    own = _JUDGEMENT | RUNTIME_SETTINGS
    unknown = sorted(set(settings) - own)
    of_a_study = {*StudyConfig.model_fields, *VerifyConfig.model_fields}
    decided = [name for name in unknown if name in of_a_study]
    if decided:
        raise ConfigError(
            f"{', '.join(decided)} is decided by the study. With a study, verify accepts "
            f"{', '.join(sorted(own))}."
        )
    if unknown:
        raise ConfigError("\n".join(unknown_settings(unknown, sorted(own))))
    runtime = {name: value for name, value in settings.items() if name in RUNTIME_SETTINGS}
    made_with = parse(StudyConfig, **{**store.config(StudyConfig).model_dump(), **runtime})
    spot = store.read_json(SWEET_SPOT_FILE, SweetSpot)
    shared = set(StudyConfig.model_fields) & set(VerifyConfig.model_fields) - {"seeds"}
    inherited = {name: getattr(made_with, name) for name in shared}
    config = parse(VerifyConfig, **{**inherited, **spot.recipe.model_dump(), **settings})
    return made_with, config


def of_study(
    store: Store,
    made_with: StudyConfig,
    config: VerifyConfig,
    progress: Progress,
    *,
    data: Dataset | None,
    independent_responses: ResponseLike | None,
    probabilities: bool,
) -> Verification:
    """Return the verification of a study's sweet spot.

    Args:
        store: The study's folder.
        made_with: The study's settings.
        config: Those of the judgement; see :func:`settings_of_study`.
        progress: Told how far the work is.
        data: The data, where they were given in Python.
        independent_responses: Another teacher's response to the same data.
        probabilities: It is of probabilities rather than logits.

    Raises:
        InputError: Something given cannot work; raised before any training.
    """
    source_of_data = made_with.data if data is None else data
    independent = independent_response(independent_responses, source_of_data, config, probabilities)
    context = resume_context(store.root, made_with, progress, data=data)
    check_omission(config, context.data, of_study=True)
    source = store.read_json(SWEET_SPOT_FILE, SweetSpot).teacher.source
    key, keys = plan_keys(made_with, context)
    _check_labels_unmixed(key)
    teachers = study_teachers(context, dict(keys), made_with.teacher, source)
    if independent is not None:
        tell(context, independent, name="independent response")
        teachers = with_independent(teachers, independent, context.data.selection)
    students = Students(config, context, engine_of(config, context), key, keys)
    return Verification(students, config, source, teachers)


def independent_response(
    responses: ResponseLike | None,
    data: str | Dataset,
    config: VerifyConfig,
    probabilities: bool,
) -> Response | None:
    """Read an independent teacher's response beside the data, if one is given."""
    if responses is None:
        return None
    return load_pair(responses, data, config, probabilities=probabilities)[0]


_JUDGEMENT = frozenset(
    {"seeds", "until_decided", "margin", "level", "smoothings"}
    | {"tune_arms", "temperatures", "alphas", "search_seeds", *EvidenceConfig.model_fields}
)
"""What can be set when a study is judged."""


@dataclass(frozen=True)
class Verification:
    """A teacher to judge, and with what."""

    students: Students
    config: VerifyConfig
    source: TeacherSource | FileSource
    predictions: Teachers

    @property
    def context(self) -> Context:
        """Data, folder and machine."""
        return self.students.context

    def run(self) -> Verdict:
        """Look until the verdict is clear or the last planned look has been taken."""
        config, store = self.config, self.context.store
        planned = plan_looks(config.seeds, config.until_decided, level=config.level)
        self._note_small_test_split()
        self._note_unplanned_look(planned)
        arms, tuned = self._arms()
        looks: list[Look] = []
        for plan in planned:
            found = self._look(arms, tuned, plan)
            looks.append(Look(seeds=plan.seeds, level=plan.level, verdict=found.verdict))
            if found.verdict != "inconclusive":
                break
        verdict = found.model_copy(
            update={
                "error_level": config.level,
                "until_decided": config.until_decided,
                "looks": tuple(looks),
                "tuned_arms": config.tune_arms,
                "num_unlabelled": self._num_unlabelled,
            }
        )
        store.write_json(VERDICT_FILE, verdict)
        self._gather(arms, tuned.training, verdict.num_seeds)
        return verdict

    def _gather(self, arms: Mapping[str, Arm], training: Training, seeds: int) -> None:
        """Gather the evidence of the verdict's students, and what else is asked for."""
        tasks = self._tasks(arms, training, seeds)
        context, config = self.context, self.config
        gather(Case(context, config, self.source, arms, tasks, self.students, self.predictions))

    def _look(self, arms: Mapping[str, Arm], tuned: Tuned, plan: PlannedLook) -> Verdict:
        tasks = self._tasks(arms, tuned.training, plan.seeds)
        self.students.train(f"verification, {plan.seeds} seeds", tasks)
        untrained, told = self._training(arms, tuned, tasks)  # before the test split is opened
        selection = mean_accuracies(self.context.store, tasks)
        correct = correct_by_arm(self.context, tasks)
        found = judge(
            {name: correct[arm] for name, arm in arms.items()},
            {name: selection[arm] for name, arm in arms.items()},
            arms=arms,
            teacher=str(self.source),
            level=plan.level,
            margin=self.config.margin,
        )
        if untrained:
            return found.model_copy(
                update={"verdict": "undertrained", "explanation": told, "more_seeds": None}
            )
        return found.model_copy(update={"explanation": told + found.explanation})

    def _training(
        self, arms: Mapping[str, Arm], tuned: Tuned, tasks: Sequence[StudentTask]
    ) -> tuple[bool, str]:
        """Say whether the students compared are not trained enough, and what is to be told.

        Raises:
            RunError: Half of the students of an arm diverged.
        """
        by_arm = rows_by_arm(self.context.store, tasks)
        compared = {name: arm for name, arm in arms.items() if name not in FALSIFICATION}
        rows = {name: by_arm[arm] for name, arm in compared.items()}
        diverged = check_diverged(rows)
        improving = tuned.improving
        if not tuned.measured:
            improving = unfinished(self.students, compared, tasks)
        if not improving:
            return False, f"{told_diverged(diverged)} " if diverged else ""
        epochs = [rows[name][0].student_epochs for name in rows]
        longer = self.config.until_converged
        return True, told_unfinished(
            improving, epochs, tuned=tuned.measured, until_converged=longer
        )

    def _arms(self) -> tuple[dict[str, Arm], Tuned]:
        """Return every arm of the verification, each with the training that it needs."""
        config, unlabelled = self.config, self._num_unlabelled > 0
        plan = plan_student(self.students)
        if not config.tune_arms and not plan.tuned:
            arms = plan_arms(self.source, config.recipe, config.smoothings, unlabelled=unlabelled)
            return arms, Tuned(arms, plan.training, measured=False)
        tuned = self._tune(unlabelled)
        full = tuned.winners[RUNGS[4]]
        controls = {
            name: target_arm(self.source, name, full.recipe).trained(full.training)
            for name in FALSIFICATION
        }
        smoothed = tuned.winners[_SMOOTHING]
        named = {**tuned.winners, **controls, smoothing_name(smoothed): smoothed}
        return {name: arm for name, arm in named.items() if name != _SMOOTHING}, tuned

    def _tune(self, unlabelled: bool) -> Tuned:
        """Choose each arm's training, and with ``tune_arms`` its recipe, on the selection split.

        All are tuned equally. The seeds are none of those that judge, so that no arm is chosen for
        its luck with them.
        """
        config = self.config
        recipes = config.recipes if config.tune_arms else (config.recipe,)
        families: dict[str, Sequence[Arm]] = {RUNGS[0]: (CROSS_ENTROPY,)}
        for name in RUNGS[1:]:
            families[name] = [target_arm(self.source, name, recipe) for recipe in recipes]
        families[_SMOOTHING] = [smoothing_arm(value) for value in config.smoothings]
        if unlabelled:
            families[PSEUDO_LABELS] = (target_arm(self.source, "one_hot", Recipe()),)
        return tune(
            self.students,
            families,
            first_seed=TUNE_SEED,
            num_seeds=config.search_seeds,
            grows=frozenset(RECIPE_AXES) if config.tune_arms else frozenset({"smoothing"}),
        )

    def _tasks(
        self, arms: Mapping[str, Arm], training: Training, seeds: int
    ) -> tuple[StudentTask, ...]:
        numbers = range(VERIFY_SEED, VERIFY_SEED + seeds)
        return self.students.tasks(arms.values(), training, stage="verify", seeds=numbers)

    @property
    def _num_unlabelled(self) -> int:
        return int((self.context.data.transfer.labels == UNLABELLED).sum())

    def _note_small_test_split(self) -> None:
        """Say before any training what the test split can resolve, if that is not the margin."""
        resolvable = resolvable_difference(len(self.context.data.test))
        if resolvable > self.config.margin:
            self.context.note(
                f"With {len(self.context.data.test)} test examples, two students must differ by "
                f"about {100 * resolvable:.1f} points of accuracy before a difference is clear "
                "(95 %, for students that differ on 10 % of the examples), but the margin is "
                f"{100 * self.config.margin:g} points. More seeds help a little; a larger test "
                "split or a larger --margin helps more."
            )

    def _note_unplanned_look(self, planned: Sequence[PlannedLook]) -> None:
        """Say so if the folder was judged by another plan: that look is not corrected for."""
        store = self.context.store
        if not store.exists(VERDICT_FILE):
            return
        earlier = store.read_json(VERDICT_FILE, Verdict)
        taken = {(look.seeds, look.level) for look in earlier.looks}
        taken = taken or {(earlier.num_seeds, earlier.level)}
        if not taken <= {(look.seeds, look.level) for look in planned}:
            store.log("judged_again", earlier=earlier.verdict, seeds=earlier.num_seeds)
            self.context.note(
                f"this folder already has a verdict, {earlier.verdict} from {earlier.num_seeds} "
                "seeds, found with other settings. Deciding again after seeing it is not "
                "corrected for: use --until-decided from the start."
            )


def _check_labels_unmixed(key: DataKey) -> None:
    if key.augmentation.mixup and key.views > 1:
        raise ConfigError(
            "The students of this study were trained on images mixed by mixup, which have two "
            "labels each, but the rungs of the ladder need one label. Search again without mixup "
            "in augment, or with views = 1: mixup is then used for the teacher only."
        )


def check_structure(response: Response) -> None:
    """Refuse a response of hard labels.

    Raises:
        ResponseError: Every row is one.
    """
    if response.is_one_hot:
        raise ResponseError(
            "Every row of the response is a hard 0/1 label, so it contains no similarity "
            "information to test. Record the teacher's raw logits, before any argmax or rounding."
        )
