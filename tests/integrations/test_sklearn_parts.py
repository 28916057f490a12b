"""The parts of `DistilledClassifier`: arms, reports, teachers, students, tables, searches."""

import gc
import tempfile

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from goodteacher.config import Recipe
from goodteacher.data import DataNote
from goodteacher.errors import ConfigError, DataError, ModelError, ResponseError
from goodteacher.integrations.sklearn import comparing, reports, students, tables, teaching
from goodteacher.integrations.sklearn.comparing import DISTILLED, HARD_LABELS, SMOOTHING
from goodteacher.integrations.sklearn.soft_targets import SoftTargets, targets_of
from goodteacher.integrations.sklearn.teaching import Table, Teaching
from goodteacher.networks import seeded
from goodteacher.public import given
from goodteacher.public.given import check_search, search_response
from goodteacher.records import Effect
from goodteacher.responses import Response
from tests.made import dataset

FAMILIES = comparing.families_of((1.0, 4.0), (1.0, 0.5), (0.1, 0.2))
ARMS = tuple(arm for arms in FAMILIES.values() for arm in arms)


# --- arms and their choice -----------------------------------------------------------------------


def compared(correct, losses=None, folds=None):
    correct = np.asarray(correct, bool)
    losses = np.zeros(correct.shape) if losses is None else np.asarray(losses, float)
    folds = (
        np.tile(np.arange(correct.shape[2]) % 2, (correct.shape[1], 1)) if folds is None else folds
    )
    return comparing.Compared(FAMILIES, ARMS, correct, losses, folds)


def nobody(repeats=1, rows=4):
    return np.zeros((len(ARMS), repeats, rows), bool)


def test_families_hold_every_recipe_and_the_references():
    assert [(a.recipe.temperature, a.recipe.alpha) for a in FAMILIES[DISTILLED]] == [
        (1, 1),
        (4, 1),
        (1, 0.5),
        (4, 0.5),
    ]
    assert [len(FAMILIES[name]) for name in (HARD_LABELS, SMOOTHING)] == [1, 2]


def test_targets_mix_labels_and_the_softened_response():
    response = Response(torch.tensor([[0.0, 16.0]]).clamp_min(1).log(), torch.arange(1))
    codes = np.array([0])
    hot, mixed = FAMILIES[HARD_LABELS][0], FAMILIES[DISTILLED][3]
    assert targets_of(hot, response, codes).mixed.tolist() == [[1, 0]]
    assert targets_of(mixed, response, codes).mixed[0] == pytest.approx([0.5 + 1 / 6, 1 / 3])
    smooth = FAMILIES[SMOOTHING][1]
    assert targets_of(smooth, response, codes).mixed[0] == pytest.approx([0.9, 0.1])


def test_the_most_accurate_arm_is_the_best_and_among_equals_the_lower_log_loss():
    correct, losses = nobody(), np.ones((len(ARMS), 1, 4))
    correct[1] = True
    assert compared(correct, losses).best(DISTILLED) == ARMS[1]
    correct[2] = True
    losses[2] = 0.5
    assert compared(correct, losses).best(DISTILLED) == ARMS[2]


def test_the_arm_of_a_fold_is_chosen_by_the_rows_of_other_folds():
    """Each of two arms is right in one fold alone: chosen there, it would look perfect."""
    correct = nobody()
    correct[0, 0, [0, 2]], correct[1, 0, [1, 3]] = True, True
    right, _ = compared(correct).reached(DISTILLED)
    assert not right.any()


def test_a_choice_of_all_repetitions_leaves_out_the_rows_of_the_fold():
    correct = nobody(repeats=2)
    correct[0, :, [0, 2]] = True
    correct[3, 1, [1, 3]] = True
    folds = np.array([[0, 1, 0, 1], [0, 1, 0, 1]])
    found = compared(correct, folds=folds)
    assert found.best(DISTILLED, without=np.array([True, False, True, False])) == ARMS[3]
    assert found.best(DISTILLED, without=np.array([False, True, False, True])) == ARMS[0]


def test_without_probabilities_there_is_no_log_loss():
    losses = np.full((len(ARMS), 1, 4), np.nan)
    found = compared(nobody(), losses)
    assert found.log_loss(DISTILLED) is None
    assert found.saved_over(HARD_LABELS, level=0.05) is None
    assert found.best(DISTILLED) == ARMS[0]


def test_a_gain_is_ours_minus_theirs_and_a_loss_saved_theirs_minus_ours():
    correct, losses = nobody(rows=40), np.ones((len(ARMS), 1, 40))
    correct[:4], losses[:4] = True, 0.25
    found = compared(correct, losses)
    assert found.gain_over(HARD_LABELS, level=0.05).mean == 1
    assert found.saved_over(SMOOTHING, level=0.05).mean == 0.75
    assert found.accuracy(DISTILLED, level=0.05).mean == 1


def test_without_a_comparison_the_first_arm_of_each_family_stands():
    assert comparing.best_arms(None, FAMILIES)[DISTILLED].recipe == Recipe()


# --- reports -------------------------------------------------------------------------------------


def reached(accuracy, log_loss=0.5):
    return reports.Reached(arm="x", accuracy=accuracy, interval=(0, 1), log_loss=log_loss)


def gain(low, high):
    return reports.Gain(accuracy=Effect(mean=(low + high) / 2, interval=(low, high)), log_loss=None)


@pytest.mark.parametrize(
    "labels, smoothing, remembers, answer",
    [
        ((0.01, 0.02), (0.01, 0.02), False, "yes"),
        ((0.01, 0.02), (0.01, 0.02), True, "undecided"),
        ((0.01, 0.02), (-0.01, 0.02), False, "undecided"),
        ((0.01, 0.02), (-0.02, 0.001), False, "no"),
    ],
)
def test_the_answer_needs_both_references_and_a_teacher_that_does_not_remember(
    labels, smoothing, remembers, answer
):
    gains = {HARD_LABELS: gain(*labels), SMOOTHING: gain(*smoothing)}
    assert reports.concluded(gains, remembers=remembers) == answer


def test_the_most_accurate_family_is_delivered_and_among_equals_the_lower_log_loss():
    families = {DISTILLED: reached(0.9), HARD_LABELS: reached(0.8), SMOOTHING: reached(0.9, 0.4)}
    assert reports.best_family(families) == SMOOTHING
    assert reports.best_family({**families, HARD_LABELS: reached(0.95, None)}) == HARD_LABELS


def test_doubts_say_what_to_do():
    def told(**other):
        plain = {"memory": None, "trained_here": True, "repeats": 1, "open_": False, **other}
        return reports.doubts_of(plain.pop("memory"), **plain)

    assert told() == ()
    assert told(open_=True) == ("More repetitions may make the intervals narrower: repeats = 5.",)
    assert told(open_=True, repeats=5) == ()
    assert told(memory="It remembers.", trained_here=False) == ("It remembers.",)
    assert "was trained elsewhere" in told(trained_here=False)[0]


# --- teachers ------------------------------------------------------------------------------------


def small(counts=(8, 8), weights=None):
    codes = np.repeat(np.arange(len(counts)), counts)
    x = codes[:, None] + 0.01 * np.arange(len(codes))[:, None]
    return Table(x, codes, np.array(list("abcde"[: len(counts)])), weights)


def test_rows_of_a_table_keep_their_classes_and_weights():
    part = small(weights=np.arange(16.0)).rows(np.array([0, 9]))
    assert part.labels.tolist() == ["a", "b"]
    assert part.weights.tolist() == [0, 9]


def test_a_class_that_a_fold_was_not_trained_on_has_probability_zero():
    said = teaching.trained_out_of_fold(GaussianNB(), small((6, 6, 2)), 2, 0)
    assert said.shape == (14, 3)
    assert said.sum(axis=1) == pytest.approx(1)
    lacking = teaching.trained_out_of_fold(DecisionTreeClassifier(), small((6, 6, 1)), 2, 0)
    assert lacking[12, 2] == 0


def test_folds_shrink_to_what_the_rarest_class_can_fill():
    assert Teaching(GaussianNB(), folds=5, prefit="auto", seed=0).within(small((6, 3))).folds == 3


def test_what_was_frozen_twice_is_trained_anew_to_check_its_memory():
    inner = DecisionTreeClassifier().fit(np.arange(8)[:, None], np.arange(8) % 2)
    frozen = FrozenEstimator(FrozenEstimator(inner))
    assert not Teaching(frozen, folds=2, prefit="auto", seed=0).trains
    assert teaching._trainable(frozen) is inner
    assert teaching._trainable(inner.predict_proba) is None


def test_some_rows_of_a_response_are_numbered_anew():
    whole = Response(torch.arange(6.0).reshape(3, 2), torch.arange(3))
    part = teaching.some_of(whole, np.array([2, 0]))
    assert part.logits.tolist() == [[4, 5], [0, 1]]
    assert part.ids.tolist() == [0, 1]


def test_probabilities_that_are_none_are_refused():
    class Broken(DummyClassifier):
        def predict_proba(self, X):
            return np.full((len(X), 2), 0.9)

    table = small()
    fitted = Broken().fit(table.inputs, table.labels)
    with pytest.raises(ResponseError, match="sum to 1"):
        Teaching(fitted, folds=2, prefit="auto", seed=0).out_of_fold(table)


# --- students ------------------------------------------------------------------------------------


def test_weights_go_to_the_last_step_of_nested_pipelines():
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    passed = students.with_weights(make_pipeline(StandardScaler(), inner), np.ones(3), needed=True)
    assert list(passed) == ["pipeline__logisticregression__sample_weight"]


def test_weights_that_a_teacher_does_not_take_are_left_out():
    from sklearn.neighbors import KNeighborsClassifier

    assert students.with_weights(KNeighborsClassifier(), np.ones(3), needed=False) == {}
    with pytest.raises(ConfigError, match="does not support sample_weight"):
        students.with_weights(KNeighborsClassifier(), np.ones(3), needed=True)


def test_seeds_go_where_none_are_and_nowhere_else():
    both = make_pipeline(DecisionTreeClassifier(random_state=5))
    assert seeded(both, 3)[-1].random_state == 5
    assert seeded(make_pipeline(DecisionTreeClassifier()), 3)[-1].random_state == 3


def learned(response, temperature=1.0, alpha=1.0):
    """Return targets of a response given as probabilities, its most probable class the label."""
    codes = response.argmax(axis=1)
    logits = np.log(np.maximum(response, 1e-300))
    hot = np.eye(response.shape[1])[codes]
    return SoftTargets(codes, hot, logits, np.full(len(codes), alpha), temperature)


def test_a_class_without_weight_has_probability_zero():
    targets = np.tile([[0.5, 0.5, 0.0], [0.9, 0.1, 0.0]], (5, 1))
    x, classes = np.arange(10.0)[:, None], np.array(["a", "b", "c"])
    made = students.fit_student(GaussianNB(), x, learned(targets), classes, smallest=0.001)
    said = students.probabilities_of(made, x, classes)
    assert said.shape == (10, 3)
    assert (said[:, 2] == 0).all()


# --- tables --------------------------------------------------------------------------------------


def test_fewer_folds_are_told_once_and_enough_are_not():
    classes, codes = np.array(["a", "b"]), np.array([0, 0, 0, 1, 1])
    assert tables.checked_folds(codes, classes, 2, needed="it") == 2
    with pytest.warns(DataNote, match="only 2 folds are used"):
        assert tables.checked_folds(codes, classes, 5, needed="it") == 2


def test_a_column_of_numbers_needs_its_second_axis_and_texts_do_not():
    with pytest.raises(DataError, match=r"Reshape your data: X.reshape\(-1, 1\)"):
        tables.as_rows([1.0, 2.0])
    assert tables.as_rows(["a text", "another"]).shape == (2,)
    assert tables.as_rows(sparse.coo_array(np.eye(3))).format == "csr"


def test_identifiers_and_constants_in_words_are_told():
    import pandas as pd

    frame = pd.DataFrame({"id": [f"c{n:03}" for n in range(40)], "same": ["x"] * 40})
    with pytest.warns(DataNote) as told:
        assert len(tables.check_columns(frame)) == 2
    assert "like an id" in str(told[0].message)
    assert "only one value" in str(told[1].message)


def test_columns_of_other_names_are_refused():
    import pandas as pd

    one, other = pd.DataFrame({"a": [1.0], "b": [1.0]}), pd.DataFrame({"b": [1.0], "a": [1.0]})
    with pytest.raises(DataError, match=r"columns of unlabelled \('?b'?, '?a'?\)"):
        tables.check_alike(one, other)


# --- searches for one response -------------------------------------------------------------------


def test_a_search_that_fails_leaves_no_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = dataset()
    with pytest.raises(ModelError):
        search_response(data, torch.zeros(len(data.train), 4), student="mlp:no", out=None)
    assert not list(tmp_path.iterdir())


def test_a_temporary_folder_ends_with_its_study_and_a_named_one_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(given, "_searched", lambda *parts: (parts[3] / "file").touch())
    (tmp_path / "named").mkdir()
    for out in (None, tmp_path / "named"):
        found = search_response(dataset(), torch.zeros(1), student="linear", out=out)
        assert len(list(tmp_path.glob("*/file"))) == 1
        del found
        gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == ["named"]
    assert (tmp_path / "named/file").exists()


def test_settings_of_a_search_are_refused_before_anything_is_asked():
    check_search("mlp:4", {"seeds": 3})
    with pytest.raises(ConfigError, match="sedes"):
        check_search("mlp:4", {"sedes": 3})
