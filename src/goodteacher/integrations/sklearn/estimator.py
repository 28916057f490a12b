"""``DistilledClassifier``: scikit-learn's contract for a student and the teacher that helps it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from goodteacher.data import DataNote, is_table
from goodteacher.errors import ConfigError
from goodteacher.integrations.sklearn.comparing import (
    DISTILLED,
    HARD_LABELS,
    Comparing,
    best_arms,
    families_of,
)
from goodteacher.integrations.sklearn.encoding import encoded
from goodteacher.integrations.sklearn.exported import TableExport
from goodteacher.integrations.sklearn.exporting import Leaving, export_table
from goodteacher.integrations.sklearn.judging import Judging
from goodteacher.integrations.sklearn.networks import network_probabilities, study_of
from goodteacher.integrations.sklearn.reports import (
    NOTHING_APART,
    TableReport,
    report_of,
)
from goodteacher.integrations.sklearn.students import check_student, learned_by, probabilities_of
from goodteacher.integrations.sklearn.synthetic import check_synthetic, ways_of
from goodteacher.integrations.sklearn.tables import (
    as_rows,
    check_alike,
    check_columns,
    checked_classes,
    checked_folds,
)
from goodteacher.integrations.sklearn.teaching import Prefit, Table, Teaching
from goodteacher.public.given import Studied
from goodteacher.records import Answer, SweetSpot, Verdict


def _gives_probabilities(classifier: DistilledClassifier) -> bool:
    """Say whether ``predict_proba`` is there; scikit-learn asks before and after fitting."""
    student = getattr(classifier, "student_", classifier.student)
    return student is None or isinstance(student, str) or hasattr(student, "predict_proba")


class DistilledClassifier(ClassifierMixin, BaseEstimator):
    """A small classifier that learns from a large one, and says whether that helped.

    The teacher responds to each example from a fold that it did not see. The student learns from
    labels and response; a student of hard labels and one of tuned label smoothing are trained
    beside it on the same folds, and the one that does best predicts.

    Args:
        teacher: A classifier with ``predict_proba``, fitted or not; a function from rows to
            probabilities or logits; or probabilities [N, C] for the rows of X, in the order of the
            sorted classes or with their names as columns. None is a
            `HistGradientBoostingClassifier`.
        student: A classifier that takes ``sample_weight``, or a pipeline that ends in one; or one
            of the library's own, ``"linear"`` or ``"mlp:32"``. None is a scaled logistic
            regression.
        cv: Folds, for out-of-fold responses and for the comparison; fewer where a class has fewer
            examples.
        prefit: Whether the teacher is fitted: ``"auto"`` takes a fitted one as it is and trains any
            other here; True refuses one that is not fitted; False trains it anew. Cloning, as in
            cross-validation, forgets what an estimator learned: put it in
            ``sklearn.frozen.FrozenEstimator`` to keep that.
        temperatures: Tried, each with each of ``alphas``.
        alphas: Weights of the response against the labels, tried.
        smoothings: Strengths of label smoothing, tried.
        smallest_weight: Classes of a smaller probability are left out of soft targets: each class
            that stays is a copy of the row. For students of scikit-learn's kind other than
            LightGBM's and XGBoost's, which need no copies.
        repeats: How often students are compared on ``cv`` folds; each takes ``cv`` x ``cv``
            trainings of a teacher that is trained here. 0 compares nothing, and takes the first
            temperature and alpha. For students of scikit-learn's kind.
        synthetic: Synthetic rows, of which the teacher says what they are, as further transfer
            examples: ``"munge"``, ``"spunge"``, or None for none; or several of these, such as
            ``(None, "munge")``, of which the comparison chooses, for students of scikit-learn's
            kind.
        synthetic_per_row: Number of synthetic rows for each labelled one.
        level: Of the intervals: 0.05 means 95 %.
        test_fraction: Share of the rows on which the answer is measured, for the library's own
            students: they do not learn from these.
        settings: Further settings of `goodteacher.search`, for the library's own students, such as
            ``{"seeds": 10, "student_epochs": 50}``.
        out: Folder of the study, for the library's own students; None for a temporary one, which
            ends with this object.
        n_jobs: Folds at a time.
        random_state: Of the folds, and of what has a ``random_state`` of None.

    Attributes:
        classes_: The classes, sorted.
        n_features_in_: Number of columns.
        feature_names_in_: Their names, where all are strings.
        student_: The student that predicts.
        baseline_: A student of hard labels.
        answer_: Whether to distill: ``"yes"``, ``"no"`` or ``"undecided"``.
        summary_: The same in sentences, with intervals and what stands against it.
        report_: The same as a record: a `TableReport`, or the `SweetSpot` of a search.
        verdict_: Whether a gain is knowledge or regularization; trained for when first asked for.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.ensemble import RandomForestClassifier
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> teacher = RandomForestClassifier(10, random_state=0)
        >>> clf = DistilledClassifier(teacher, DecisionTreeClassifier(max_depth=2), random_state=0)
        >>> clf.fit(X, y).predict_proba(X[:1]).shape, clf.answer_
        ((1, 3), 'undecided')
    """

    _judged: Studied | Judging | None
    _verdict: Verdict | None

    def __init__(
        self,
        teacher: Any = None,
        student: Any = None,
        *,
        cv: int = 5,
        prefit: Prefit = "auto",
        temperatures: Sequence[float] = (1.0, 2.0, 4.0),
        alphas: Sequence[float] = (1.0, 0.5),
        smoothings: Sequence[float] = (0.05, 0.1, 0.2),
        smallest_weight: float = 0.001,
        repeats: int = 1,
        synthetic: str | Sequence[str | None] | None = None,
        synthetic_per_row: float = 1.0,
        level: float = 0.05,
        test_fraction: float = 0.2,
        settings: Mapping[str, Any] | None = None,
        out: str | Path | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.cv = cv
        self.prefit = prefit
        self.temperatures = temperatures
        self.alphas = alphas
        self.smoothings = smoothings
        self.smallest_weight = smallest_weight
        self.repeats = repeats
        self.synthetic = synthetic
        self.synthetic_per_row = synthetic_per_row
        self.level = level
        self.test_fraction = test_fraction
        self.settings = settings
        self.out = out
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, unlabelled: Any = None) -> Self:  # noqa: N803
        """Train teacher and students, and compare.

        Args:
            X: Rows [N, F]: an array, a data frame, a sparse matrix, or N texts, as teacher and
                student take them. A data frame with words or gaps is encoded for those that take
                neither, unless they are pipelines
                (:mod:`~goodteacher.integrations.sklearn.encoding`). Frames of Polars and Arrow
                tables become frames of pandas.
            y: The class of each row, [N].
            sample_weight: Of each row, [N], for teacher and student. Accuracies weigh all rows
                alike.
            unlabelled: Further rows [M, F] that nobody has labelled: students of the teacher learn
                from what it says about them.

        Raises:
            InputError: Something given cannot work: the message says what would. It is a
                ``ValueError``, as scikit-learn's own are.
        """
        self._check_settings()
        rows = as_rows(X)
        validate_data(self, X=rows if is_table(X) else X, y=y, skip_check_array=True)
        self.classes_, codes = checked_classes(y, type(self).__name__)
        check_consistent_length(rows, codes)
        notes = check_columns(rows)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, rows, dtype=np.float64)
        table = Table(rows, codes, self.classes_, weights)
        others = None if unlabelled is None else as_rows(unlabelled)
        if others is not None:
            check_alike(rows, others)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        teacher = HistGradientBoostingClassifier() if self.teacher is None else self.teacher
        folds = checked_folds(
            codes, self.classes_, self.cv, needed="a comparison on rows that students did not see"
        )
        teaching = Teaching(teacher, folds=folds, prefit=self.prefit, seed=seed).encoding(rows)
        if isinstance(self.student, str):
            return self._fit_network(self.student, teaching, table, others, seed)
        return self._fit_estimator(teaching, table, others, seed, notes)

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """Return the class of each row.

        Args:
            X: Rows, with the columns of ``fit``.
        """
        check_is_fitted(self)
        if isinstance(self.student, str):
            named: npt.NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
            return named
        found: npt.NDArray[Any] = self.student_.predict(self._checked(X))
        return found

    @available_if(_gives_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return the probability of each class, [N, C], in the order of ``classes_``.

        Args:
            X: Rows, with the columns of ``fit``.
        """
        rows = self._checked(X)
        if isinstance(self.student, str):
            return network_probabilities(self.student_, rows)
        found = probabilities_of(self.student_, rows, self.classes_)
        assert found is not None
        return found

    def export(
        self,
        out: str | Path,
        X: Any,  # noqa: N803
        y: Any = None,
        *,
        format: str = "onnx",
    ) -> TableExport:
        """Write the student that predicts as an ONNX file, and check that it answers alike.

        The folder also gets ``export.json`` and ``README.md``, a model card.

        Args:
            out: A new folder.
            X: Rows that the student did not learn from, with the columns of ``fit``: file and
                student are compared on them.
            y: The class of each row, [N]; the student is measured on them.
            format: ``"onnx"``.

        Returns:
            What was written, how it compares with the student, how good and how fast it is.

        Raises:
            InputError: Something given cannot work; nothing has been written.
            RunError: The file does not answer as the student does; nothing is delivered.
        """
        rows = self._checked(X)
        leaving = Leaving(
            self.student_,
            self.baseline_,
            self.classes_,
            learned_from=self.report_.delivered,
            recipe=self.report_.recipe,
            answer=self.answer_,
            summary=self.summary_,
        )
        return export_table(leaving, out, rows, y, format)

    @property
    def verdict_(self) -> Verdict:
        """The last verdict; without one students are trained for it when it is first asked for.

        Raises:
            AttributeError: What it takes is gone; see :meth:`verify`.
        """
        check_is_fitted(self)
        return self.verify() if self._verdict is None else self._verdict

    def verify(self, **settings: Any) -> Verdict:
        """Say whether a gain is knowledge or regularization: train students on every rung.

        Args:
            **settings: For a student of scikit-learn's kind ``repeats`` (5), ``margin`` (0.002) and
                ``level``; for the library's own as `goodteacher.verify` takes them for a study,
                such as ``seeds=40``.

        Raises:
            ConfigError: A setting is unknown or out of range.
            AttributeError: The rows, or the study, are gone.
        """
        check_is_fitted(self)
        if self._judged is None:
            raise AttributeError(
                "verdict_ needs the rows that this classifier learned from, or its study, and a "
                "pickled or copied object has neither. Read verdict_ before pickling, or fit "
                "again. For a network as student, give out=FOLDER, fit, and call "
                "goodteacher.verify on FOLDER/study."
            )
        self._verdict = self._judged.judge(**settings)
        return self._verdict

    # --- the two kinds of students ---------------------------------------------------------------

    def _fit_estimator(
        self, teaching: Teaching, table: Table, others: Any, seed: int, notes: tuple[str, ...]
    ) -> Self:
        plan = self._plan(teaching, table, seed)
        response = teaching.out_of_fold(table)
        memory = teaching.memory(table, response)
        compared = plan.run(table, others, response) if self.repeats else None
        best = best_arms(compared, plan.families)
        report = report_of(
            compared,
            best[DISTILLED],
            by=learned_by(plan.student),
            level=self.level,
            memory=memory,
            trained_here=teaching.trains,
            notes=(*notes, *response.notes),
            num_examples=len(table),
            num_unlabelled=0 if others is None else int(others.shape[0]),
        )
        lesson = plan.lesson(teaching, table, others, response)
        self.student_, self.baseline_ = (
            lesson.fit(plan.student, best[name], smallest=plan.smallest, seed=seed)
            for name in (report.delivered, HARD_LABELS)
        )
        if isinstance(self.student_, DummyClassifier) and not isinstance(
            plan.student, DummyClassifier
        ):
            warnings.warn(NOTHING_APART, DataNote, stacklevel=3)
        self.report_: TableReport | SweetSpot = report
        judged = Judging(plan, table, others, response, best[DISTILLED], memory, self.level)
        return self._answered(report.answer, report.summary, judged, memory)

    def _plan(self, teaching: Teaching, table: Table, seed: int) -> Comparing:
        """Return how students of scikit-learn's kind are compared."""
        student = _default_student() if self.student is None else self.student
        check_student(student, table.classes)
        kinds = ways_of(self.synthetic)
        return Comparing(
            encoded(student, table.inputs, always=self.student is None),
            teaching,
            families_of(self.temperatures, self.alphas, self.smoothings, kinds),
            smallest=self.smallest_weight,
            folds=teaching.folds,
            repeats=self.repeats,
            seed=seed,
            jobs=self.n_jobs,
            per_row=self.synthetic_per_row,
        )

    def _fit_network(
        self, student: str, teaching: Teaching, table: Table, others: Any, seed: int
    ) -> Self:
        if table.weights is not None:
            raise ConfigError(
                f"Networks as students ({student!r}) do not support sample_weight. Leave it out, "
                "or give a scikit-learn classifier as student, for example LogisticRegression()."
            )
        said = None if teaching.trains else teaching.out_of_fold(table)
        memory = None if said is None else teaching.memory(table, said)
        studied = study_of(
            teaching,
            table,
            others,
            said,
            student=student,
            names=tuple(getattr(self, "feature_names_in_", ())),
            out=self.out,
            test_fraction=self.test_fraction,
            seed=seed,
            settings={
                "temperatures": tuple(self.temperatures),
                "alphas": tuple(self.alphas),
                "smoothings": tuple(self.smoothings),
                "level": self.level,
                **(self.settings or {}),
            },
            synthetic=ways_of(self.synthetic)[0],
            per_row=self.synthetic_per_row,
        )
        found = studied.study.sweet_spot
        self.student_, self.baseline_ = studied.study.student(), studied.study.baseline()
        self.report_ = found
        answer: Answer = "undecided" if memory else found.answer
        summary = f"{memory} {found.summary}" if memory else found.summary
        return self._answered(answer, summary, studied, memory)

    def _answered(
        self, answer: Answer, summary: str, judged: Studied | Judging, memory: str | None
    ) -> Self:
        self.answer_, self.summary_ = answer, summary
        self._judged, self._verdict = judged, None
        if memory:
            warnings.warn(memory, DataNote, stacklevel=3)
        return self

    # --- scikit-learn's contract -----------------------------------------------------------------

    def _checked(self, X: Any) -> Any:  # noqa: N803
        check_is_fitted(self)
        rows = as_rows(X)
        given = rows if is_table(X) else X
        validate_data(self, X=given, reset=False, skip_check_array=True)
        return rows

    def _check_settings(self) -> None:
        """Refuse settings that cannot work, before anything is trained."""
        for name, lowest in (("cv", 2), ("repeats", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < lowest:
                raise ConfigError(f"{name} must be a whole number from {lowest}, but is {value!r}.")
        for name in ("temperatures", "alphas", "smoothings"):
            value = getattr(self, name)
            if isinstance(value, str) or not hasattr(value, "__len__"):
                raise ConfigError(f"{name} must be a list of numbers, but is {value!r}.")
            if not len(value):
                raise ConfigError(f"{name} must contain at least one value, for example (0.1,).")
        networks = isinstance(self.student, str)
        check_synthetic(self.synthetic, self.synthetic_per_row, several=not networks)
        if not any(self.alphas):
            raise ConfigError(
                "alphas must contain a value above 0: with alpha = 0 the teacher is not used."
            )
        for name in ("level", "test_fraction"):
            if not 0 < getattr(self, name) < 0.5:
                value = getattr(self, name)
                raise ConfigError(f"{name} must be between 0 and 0.5, but is {value!r}.")
        if not 0 <= self.smallest_weight < 0.5:
            raise ConfigError(
                f"smallest_weight must be in 0..0.5, but is {self.smallest_weight!r}."
            )
        if self.prefit not in (True, False, "auto"):
            raise ConfigError(f"prefit must be 'auto', True or False, but is {self.prefit!r}.")

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what a verdict takes: the rows, and a folder that may be temporary."""
        state: dict[str, Any] = super().__getstate__()
        return {**state, "_judged": None} if "_judged" in state else state

    def __sklearn_tags__(self) -> Any:
        """Say what teacher and student both take."""
        tags = super().__sklearn_tags__()
        both = [each for each in (self.teacher, self.student) if isinstance(each, BaseEstimator)]
        asked = [get_tags(each).input_tags for each in both]
        tags.input_tags.sparse = len(asked) == 2 and all(each.sparse for each in asked)
        tags.input_tags.allow_nan = len(asked) == 2 and all(each.allow_nan for each in asked)
        return tags


def _default_student() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
