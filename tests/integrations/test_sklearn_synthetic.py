"""Synthetic rows: how they are made, who learns from them, and who chooses them."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from goodteacher import DistilledClassifier
from goodteacher.data import DataNote
from goodteacher.errors import ConfigError, DataError
from goodteacher.integrations.sklearn import comparing, synthetic
from goodteacher.integrations.sklearn.comparing import DISTILLED, HARD_LABELS, SMOOTHING
from goodteacher.integrations.sklearn.synthetic import SYNTHETIC, synthetic_rows
from goodteacher.integrations.sklearn.teaching import Table, Teaching

KINDS = pytest.mark.parametrize("kind", list(SYNTHETIC))
TREE = DecisionTreeClassifier(max_depth=3, random_state=0)


def numbers(num=200, columns=4, seed=0):
    return np.random.default_rng(seed).normal(size=(num, columns)) * [1, 10, 100, 1000][:columns]


def mixed(num=120, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "size": rng.normal(size=num),
            "count": rng.integers(0, 9, num),
            "word": rng.choice(["red", "blue"], num).astype(object),
            "kind": pd.Categorical(rng.choice(["u", "v"], num), categories=["u", "v", "w"]),
            "yes": rng.random(num) < 0.5,
            "gaps": np.where(rng.random(num) < 0.3, np.nan, rng.normal(size=num)),
        }
    )


# --- how they are made ---------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("count", [1, 199, 200, 730])
def test_there_are_as_many_as_asked_for_and_the_seed_makes_them(kind, count):
    x = numbers()
    made, same, other = (synthetic_rows(kind, x, count, seed=s) for s in (0, 0, 1))
    assert made.shape == (count, 4)
    assert (made == same).all()
    assert (made != other).any()
    assert (x == numbers()).all(), "the rows themselves are left alone"


@KINDS
def test_they_are_like_the_rows_they_are_made_of(kind):
    x = numbers(400)
    made = synthetic_rows(kind, x, 4000, seed=0)
    assert made.std(axis=0) == pytest.approx(x.std(axis=0), rel=0.25)
    assert np.abs(made.mean(axis=0) - x.mean(axis=0)).max() < 0.1 * x.std(axis=0).max()
    for column in range(4):
        assert np.isin(made[:, column], x[:, column]).mean() > 0.3, "some values are kept"
    assert not np.isin(made, x).all(), "and others are new"


def test_munge_takes_half_of_the_values_from_the_nearest_neighbour():
    """Two far clusters of two rows each: nothing crosses from one to the other."""
    x = np.array([[0.5, 0.0], [1.5, 1.0], [1000.5, 1000.0], [1001.5, 1001.0]])
    made = synthetic_rows("munge", x, 4000, seed=0)
    assert (((made < 100).all(axis=1)) | ((made > 900).all(axis=1))).all()
    kept = np.isin(made[:, 0], x[:, 0])
    assert kept.mean() == pytest.approx(0.5, abs=0.05), "the others are drawn around it"


def test_munge_draws_around_the_neighbour_with_their_distance_as_deviation():
    x = np.array([[0.25, 0.0], [4.25, 0.0], [1e6, 0.0], [1e6 + 4, 0.0]])
    made = synthetic_rows("munge", x, 40_000, seed=0)[:, 0]
    near = made[made < 1e5]
    drawn = near[~np.isin(near, x)]  # half around 0.25, half around 4.25, both with deviation 4
    assert drawn.mean() == pytest.approx(2.25, abs=0.2)
    assert drawn.std() == pytest.approx(np.sqrt(4**2 + 2**2), abs=0.2)


def test_distances_do_not_depend_on_units():
    x = numbers(80)
    one, other = (synthetic._points(each) for each in (x, x * [1000, 1, 0.001, 1]))
    assert one - one.mean(axis=0) == pytest.approx(other - other.mean(axis=0))


def test_another_word_is_one_away_and_a_constant_nothing():
    frame = pd.DataFrame({"word": ["a", "b", "a"], "same": [3.0, 3.0, 3.0]})
    points = synthetic._points(frame)
    assert np.linalg.norm(points[0] - points[1]) == pytest.approx(1)
    assert np.linalg.norm(points[0] - points[2]) == 0


def test_gaps_have_the_median_where_distances_are_measured():
    filled = synthetic._filled(np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]]))
    assert filled.tolist() == [[1, 0], [2, 0], [3, 0]]


@pytest.mark.parametrize(("columns", "changed"), [(4, 1), (30, 3)])
def test_spunge_takes_a_tenth_of_the_columns_from_any_other_row(columns, changed):
    x = np.arange(50.0)[:, None] * 1000 + np.arange(columns) * 1e6  # a row is known by its values
    source, _ = SYNTHETIC["spunge"](x, np.arange(50), np.random.default_rng(0))
    foreign = (source != np.arange(50)[:, None]).sum(axis=1)
    assert foreign.max() == changed
    assert foreign.mean() > 0.9 * changed


def test_spunge_gives_a_tenth_of_the_numbers_a_little_noise():
    x = np.random.default_rng(0).normal(size=(5000, 1)) * 50
    made = synthetic_rows("spunge", x, 5000, seed=0)
    new = ~np.isin(made, x)
    assert new.mean() == pytest.approx(0.1, abs=0.02)
    _, spread = SYNTHETIC["spunge"](x, np.arange(5000), np.random.default_rng(0))
    assert np.unique(spread(0, x[:, 0])) == pytest.approx([0, 0.1 * x.std()])


@KINDS
def test_frames_keep_columns_kinds_and_whole_numbers(kind):
    frame = mixed()
    made = synthetic_rows(kind, frame, 300, seed=0)
    assert list(made.columns) == list(frame.columns)
    assert (made.dtypes == frame.dtypes).all()
    assert list(made.index) == list(range(300))
    assert set(made["word"]) == {"red", "blue"}
    assert list(made["kind"].cat.categories) == ["u", "v", "w"]
    assert 0 < made["gaps"].isna().mean() < 0.6, "gaps travel with the values"
    assert not made.drop(columns="gaps").isna().to_numpy().any()
    assert len(set(made["size"]) - set(frame["size"])) > 0


@KINDS
def test_arrays_keep_their_kind_and_whole_numbers(kind):
    whole = np.random.default_rng(0).integers(0, 50, (100, 3))
    assert synthetic_rows(kind, whole, 150, seed=0).dtype == whole.dtype
    as_floats = synthetic_rows(kind, whole.astype(np.float32), 150, seed=0)
    assert as_floats.dtype == np.float32
    assert (as_floats == np.rint(as_floats)).all()
    words = np.random.default_rng(0).choice(["a", "b", "c"], (60, 3)).astype(object)
    made = synthetic_rows(kind, words, 90, seed=0)
    assert set(made.ravel()) == {"a", "b", "c"}
    truth = np.random.default_rng(0).random((40, 3)) < 0.5
    assert synthetic_rows(kind, truth, 50, seed=0).dtype == bool


@KINDS
def test_columns_of_gaps_alone_stay_so(kind):
    x = np.column_stack([np.full(20, np.nan), np.arange(20.0)])
    made = synthetic_rows(kind, x, 30, seed=0)
    assert np.isnan(made[:, 0]).all()
    assert not np.isnan(made[:, 1]).any()


@pytest.mark.parametrize(
    "rows", [sparse.csr_array(np.eye(3)), np.array(["a text", "b"]), "abc"], ids=type
)
def test_what_has_no_columns_of_values_is_refused(rows):
    with pytest.raises(DataError, match="Leave synthetic out, or convert X to an array"):
        synthetic_rows("munge", rows, 3, seed=0)


# --- who learns from them ------------------------------------------------------------------------


def lesson(kinds=("munge",), per_row=2.0, weights=None, others=None):
    x = numbers(60)
    codes = (x[:, 0] > 0).astype(np.int64)
    table = Table(x, codes, np.array(["n", "y"]), weights)
    teaching = Teaching(TREE, folds=2, prefit="auto", seed=0)
    response = teaching.out_of_fold(table)
    return comparing.lesson_of(
        teaching, table, others, response, synthetic=kinds, per_row=per_row, seed=0
    )


class Counting(DummyClassifier):
    """A student that says what it was given."""

    def fit(self, X, y, sample_weight=None):
        self.rows = len(np.unique(np.asarray(X), axis=0))
        self.weight = len(y) if sample_weight is None else sample_weight.sum()
        return super().fit(X, y, sample_weight=sample_weight)


def given(made, arm, **settings):
    return made.fit(Counting(), arm, smallest=0.001, seed=0, **settings)


def families(kinds=(None, "munge")):
    return comparing.families_of((1.0,), (1.0,), (0.1,), kinds)


def test_students_of_an_arm_with_synthetic_rows_alone_learn_from_them():
    made, found = lesson(), families()
    counts = {name: [given(made, arm).weight for arm in arms] for name, arms in found.items()}
    assert counts[DISTILLED] == pytest.approx([60, 180])
    assert counts[HARD_LABELS] == counts[SMOOTHING] == pytest.approx([60])


def test_unlabelled_rows_come_beside_the_synthetic_ones():
    made = lesson(others=numbers(15, seed=9))
    assert [given(made, arm).weight for arm in families()[DISTILLED]] == pytest.approx([75, 195])


def test_synthetic_rows_weigh_as_much_as_others_on_average():
    made = lesson(weights=np.linspace(0, 4, 60))
    assert given(made, families()[DISTILLED][1]).weight == pytest.approx(3 * 120)


def test_each_way_gives_rows_of_its_own_and_the_teacher_says_what_they_are():
    made = lesson(("munge", "spunge"), per_row=1.5)
    assert set(made.synthetic) == {"munge", "spunge"}
    for each in made.synthetic.values():
        assert each.inputs.shape == (90, 4)
        said = each.response.logits.argmax(dim=1).numpy()
        assert (said == (each.inputs[:, 0] > 0)).mean() > 0.9, "the teacher knows the rule"
    assert (made.synthetic["munge"].inputs != made.synthetic["spunge"].inputs).any()


def test_without_them_no_teacher_is_trained_on_all_rows(monkeypatch):
    monkeypatch.setattr(Teaching, "fitted", lambda *_: pytest.fail("it was trained"))
    assert lesson(()).synthetic == {}


def test_at_least_one_row_is_made():
    assert len(lesson(per_row=1e-6).synthetic["munge"].inputs) == 1


# --- the classifier ------------------------------------------------------------------------------


def quick(student=TREE, teacher=None, **settings):
    plain = {"temperatures": (1.0,), "alphas": (1.0,), "smoothings": (0.1,), "cv": 3}
    teacher = RandomForestClassifier(10) if teacher is None else teacher
    return DistilledClassifier(teacher, student, **{**plain, "random_state": 0, **settings})


def table(num=120):
    x = numbers(num)
    return x, np.where(x[:, 0] + x[:, 1] / 10 > 0, "yes", "no")


def test_they_are_off_unless_asked_for(monkeypatch):
    monkeypatch.setattr(comparing, "synthetic_rows", lambda *_, **__: pytest.fail("made"))
    x, y = table()
    assert quick().fit(x, y).report_.synthetic is None


def test_the_comparison_chooses_between_with_and_without():
    """Synthetic rows of a wrong teacher harm; those of a good one help a greedy student."""
    x, y = table(60)
    deep = DecisionTreeClassifier(random_state=0)

    def teacher(right):
        def said(rows):
            positive = (rows[:, 0] + rows[:, 1] / 10 > 0) == right
            return np.where(positive[:, None], [0.02, 0.98], [0.98, 0.02])

        return said

    class Splits:
        """Right about rows that it was given labels of, wrong about any other."""

        def __call__(self, rows):
            known = np.isin(rows, x).all(axis=1)[:, None]
            return np.where(known, teacher(True)(rows), teacher(False)(rows))

    helped = quick(deep, teacher(True), synthetic=(None, "munge"), synthetic_per_row=20.0)
    harmed = quick(deep, Splits(), synthetic=(None, "munge"), synthetic_per_row=20.0)
    for each in (helped, harmed):
        with pytest.warns(DataNote, match="right on 100 %"):
            each.fit(x, y)
    assert helped.report_.synthetic == "munge"
    assert "synthetic rows by munge" in helped.summary_
    assert harmed.report_.synthetic is None
    assert "synthetic" not in harmed.summary_


@KINDS
def test_a_single_way_is_used_without_a_comparison(kind):
    x, y = table()
    student = LogisticRegression(max_iter=500)
    with_, without = (
        quick(student, repeats=0, synthetic=each).fit(x / x.std(axis=0), y) for each in (kind, None)
    )
    assert with_.report_.synthetic == kind
    assert (with_.student_.coef_ != without.student_.coef_).any()
    assert (with_.baseline_.coef_ == without.baseline_.coef_).all()


def test_frames_with_words_and_gaps_get_synthetic_rows_too():
    frame = mixed()
    y = np.where((frame["word"] == "red") | frame["yes"], "a", "b")
    classifier = quick(None, synthetic="munge", repeats=0).fit(frame, y)
    assert classifier.score(frame, y) > 0.8


def test_a_verdict_is_given_on_students_with_synthetic_rows():
    x, y = table(90)
    found = quick(cv=2, repeats=0, synthetic="spunge").fit(x, y).verify(repeats=2)
    assert found.num_unlabelled == 90
    assert "pseudo_labels" in [control.name for control in found.controls]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"synthetic": "smote"}, "synthetic must be None, 'munge' or 'spunge'.*contains 'smote'"),
        ({"synthetic": (None, 7)}, "contains 7"),
        ({"synthetic": ()}, "synthetic must contain at least one value"),
        ({"synthetic_per_row": 0}, "synthetic_per_row must be above 0, but is 0"),
        (
            {"student": "mlp:4", "synthetic": (None, "munge")},
            "there is only one transfer set: give one way",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        quick(**settings).fit(*table())


def test_a_teacher_that_is_an_array_says_nothing_about_them():
    x, y = table()
    with pytest.raises(ConfigError, match="has none for the unlabelled rows"):
        quick(teacher=np.full((120, 2), 0.5), synthetic="munge", repeats=0).fit(x, y)


def test_texts_and_sparse_rows_are_refused():
    x, y = table()
    student = LogisticRegression()
    with pytest.raises(
        DataError, match="Synthetic rows can be made only from arrays and data frames"
    ):
        quick(student, student, synthetic="munge", repeats=0).fit(sparse.csr_array(x), y)


def test_a_student_of_the_library_learns_from_them_as_from_rows_without_a_label():
    x, y = table(150)
    settings = {"student_epochs": 3, "student_batch_size": 32, "seeds": 2, "search_seeds": 1}
    settings |= {"rungs": 1, "extend": False, "device": "cpu", "selection_fraction": 0.2}
    sizes = {}
    for kind in (None, "munge"):
        made = quick("linear", TREE, settings=settings, synthetic=kind, synthetic_per_row=2.0)
        made.fit(x / x.std(axis=0), y)
        assert made.predict_proba(x).shape == (150, 2)
        sizes[kind] = made.verify(seeds=3).num_unlabelled
    assert sizes == {None: 0, "munge": 2 * 120}


def test_the_same_way_named_twice_is_tried_once():
    x, y = table()
    classifier = quick(synthetic=("munge", "munge")).fit(x, y)
    assert len(classifier._judged.plan.families[DISTILLED]) == 1
