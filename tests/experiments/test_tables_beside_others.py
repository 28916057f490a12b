"""DistilledClassifier beside other tools: divisions, records, and how they are joined."""

import json

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import shipped_tables
import tables_autogluon
import tables_beside_others as experiment

pandas = pytest.importorskip("pandas")

LABELS = np.repeat(["a", "b"], 50)
IDS = np.arange(100) * 3
FOLDS = experiment.folds_of(LABELS)


def said(right_rows, confidence=0.8):
    """What a method says that is right on these rows alone, and always equally sure."""
    codes = (LABELS == "b").astype(int)
    hot = np.where(np.isin(np.arange(100), right_rows), codes, 1 - codes)
    return np.where(np.arange(2) == hot[:, None], confidence, 1 - confidence)


def records(right_rows, confidence=0.8, **more):
    every = said(right_rows, confidence)
    made = []
    for seed in range(10):
        test = shipped_tables.division(LABELS, seed)[1]
        latency = {"1": 0.5, "64": 2.0, "reference": 0.1}
        made.append(
            {
                "rows": IDS[test].tolist(),
                "probabilities": every[test].tolist(),
                "latency": latency,
                "bytes": 1000 + seed,
                **more,
            }
        )
    return made


def reached(right_rows, confidence=0.8):
    return experiment.reached(records(right_rows, confidence), IDS, LABELS)


# --- divisions and records -----------------------------------------------------------------------


def test_five_seeds_test_every_row_once_and_the_next_five_divide_anew():
    tests = [shipped_tables.division(LABELS, seed)[1] for seed in range(10)]
    for five in (tests[:5], tests[5:]):
        assert sorted(np.concatenate(five)) == list(range(100))
    assert not any(np.array_equal(tests[0], each) for each in tests[5:])


def test_no_row_is_in_training_and_test_and_classes_are_spread_evenly():
    for seed in range(10):
        seen, test = shipped_tables.division(LABELS, seed)
        assert not set(seen) & set(test)
        assert (LABELS[test] == "a").sum() == 10


def test_large_tables_keep_the_ids_of_600_rows_and_the_same_ones_each_time():
    rows, labels = shipped_tables.table("digits")
    again, _ = shipped_tables.table("digits")
    assert len(rows) == len(labels) == 600
    assert rows.index.tolist() == again.index.tolist()
    assert rows.index.max() > 600
    assert set(labels) == set("0123456789")


def test_latencies_are_of_one_and_of_64_rows():
    seen = []
    rows = pandas.DataFrame({"a": range(10)})
    found = shipped_tables.latencies(lambda some: seen.append(len(some)), rows, calls=2)
    assert seen == [1, 64] * 3, "the first call of each is not counted, but made"
    assert set(found) == {"1", "64", "reference"}
    assert found["reference"] > 0


def test_more_work_takes_more_time():
    def ask(some):
        return sum(i * i for i in range(2000 * len(some)))

    found = shipped_tables.latencies(ask, pandas.DataFrame({"a": range(64)}), calls=3)
    assert found["64"] > 5 * found["1"]


def test_a_record_holds_the_ids_of_its_rows(tmp_path):
    path = shipped_tables.record_path(tmp_path, "iris", 3, "plain")
    rows = pandas.DataFrame({"a": [1, 2]}, index=[40, 7])
    shipped_tables.keep_record(path, rows, np.array([[0.5, 0.5], [1.0, 0.0]]), bytes=5)
    assert json.loads(path.read_text()) == {
        "rows": [40, 7],
        "probabilities": [[0.5, 0.5], [1.0, 0.0]],
        "bytes": 5,
    }
    assert [each.name for each in path.parent.iterdir()] == ["plain.json"]


# --- joining -------------------------------------------------------------------------------------


def test_records_are_joined_to_who_is_right_and_to_losses():
    found = reached(range(70))
    assert found.correct.shape == (2, 100)
    assert found.correct[:, :70].all()
    assert not found.correct[:, 70:].any()
    np.testing.assert_allclose(found.losses[:, :70], -np.log(0.8))
    np.testing.assert_allclose(found.losses[:, 70:], -np.log(0.2))


def test_a_class_of_probability_zero_has_a_finite_loss():
    assert reached(range(70), confidence=1.0).losses.max() == pytest.approx(-np.log(1e-15))


def test_a_probability_above_one_has_no_loss_below_zero():
    assert reached(range(70), confidence=1.03).losses.min() == 0


def test_a_record_of_other_rows_is_refused():
    wrong = records(range(70))
    wrong[4]["rows"] = wrong[3]["rows"]
    with pytest.raises(ValueError, match="seed 4 is of other rows"):
        experiment.reached(wrong, IDS, LABELS)


def test_a_record_of_other_classes_is_refused():
    wrong = records(range(70))
    wrong[0]["probabilities"] = [[0.2, 0.3, 0.5]] * 20
    with pytest.raises(ValueError, match="seed 0 is of other rows or classes"):
        experiment.reached(wrong, IDS, LABELS)


def test_a_better_method_is_better_with_an_interval_that_is_wider_together():
    better, worse = reached(range(90)), reached(range(50))
    pair = experiment.pair_of(better, worse, FOLDS, level=0.001)
    assert pair["gain"][0] == pytest.approx(0.4)
    assert 0 < pair["gain_together"][1] < pair["gain"][1]
    assert pair["saved"][0] == pytest.approx(0.4 * np.log(4), rel=1e-5)
    turned = experiment.pair_of(worse, better, FOLDS, level=0.001)
    assert turned["gain"][0] == pytest.approx(-0.4)
    assert turned["saved"][2] < 0


def test_a_method_has_no_difference_from_itself():
    one = reached(range(80))
    pair = experiment.pair_of(one, one, FOLDS, level=0.01)
    assert pair["gain"][0] == pair["saved"][0] == 0
    assert pair["gain"][1] <= 0 <= pair["gain"][2]


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A folder of records of one table, and the experiment that knows that table alone."""
    rows = pandas.DataFrame({"x": np.arange(100.0)}, index=IDS)
    monkeypatch.setattr(experiment, "TABLES", ("made",))
    monkeypatch.setattr(experiment, "table", lambda name: (rows, LABELS))
    for method, right in (
        ("plain lightgbm", 50),
        ("goodteacher lightgbm", 90),
        ("autogluon distill lightgbm", 60),
    ):
        choice = "distilled, yes" if method.startswith("goodteacher") else ""
        for seed, record in enumerate(records(range(right), choice=choice)):
            path = shipped_tables.record_path(tmp_path, "made", seed, method)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record))
    return tmp_path


def test_join_compares_every_pair_that_is_there(planted):
    found = experiment.join(planted)
    pairs = found["tables"]["made"]["pairs"]
    assert set(pairs) == {
        "goodteacher lightgbm - plain lightgbm",
        "goodteacher lightgbm - autogluon distill lightgbm",
    }
    assert found["comparisons"] == 4, "accuracy and log loss of two pairs"
    assert pairs["goodteacher lightgbm - autogluon distill lightgbm"]["gain"][0] == 0.3
    mean, low, high = found["tables"]["made"]["methods"]["plain lightgbm"]["accuracy"]
    assert mean == 0.5
    assert 0.3 < low < 0.45 < 0.55 < high < 0.7


def test_a_method_with_a_missing_seed_is_left_out(planted):
    shipped_tables.record_path(planted, "made", 9, "plain lightgbm").unlink()
    found = experiment.join(planted)["tables"]["made"]
    assert set(found["methods"]) == {"goodteacher lightgbm", "autogluon distill lightgbm"}
    assert set(found["pairs"]) == {"goodteacher lightgbm - autogluon distill lightgbm"}


# --- the page ------------------------------------------------------------------------------------


def test_tables_of_the_page_say_what_the_results_hold(planted):
    found = experiment.join(planted)
    line = "| goodteacher lightgbm | plain lightgbm | 1 | 1, 0 | 1, 0 | 1, 0 | 1, 0 |"
    assert line in experiment.counted(found).splitlines()
    told = experiment.differences(found, [("goodteacher lightgbm", "plain lightgbm")])
    assert "| made | +40.00 [" in told
    assert told.endswith("| 10 of 10 |")
    accuracy = experiment.reached_table(found, "accuracy", 100, 1)
    assert "| plain lightgbm | 50.0 ± " in accuracy
    assert "made (100, 2)" in accuracy
    assert "logistic" not in accuracy, "a method without results has no row"
    assert "| plain lightgbm | 1 | 0.5 [0.5, 0.5] | 2 [2, 2] | 1 [1, 1.01] |" in (
        experiment.costs(found)
    )


def test_a_geometric_mean_is_of_the_tables_and_its_interval_of_the_seeds():
    middle, low, high = experiment.geometric([[1.0, 1.0, 2.0], [100.0, 100.0, 200.0]], 10.0)
    assert middle == pytest.approx(2 ** (1 / 3))
    assert low < 1 < middle < high


def test_only_students_of_scikit_learns_kind_say_how_often_they_were_the_teachers():
    choices = ["distilled, undecided", "hard_labels, no", "distilled, yes"]
    assert experiment.delivered("goodteacher logistic", choices) == "2 of 3"
    assert experiment.delivered("autogluon distill lightgbm", choices) == ""


def test_a_page_without_a_mark_is_refused(planted):
    with pytest.raises(ValueError, match="no mark <!-- counted -->"):
        experiment.page_of("no marks", experiment.join(planted))


def test_page_holds_the_tables_of_the_results():
    text, found = experiment.PAGE.read_text(), json.loads(experiment.RESULTS.read_text())
    assert experiment.page_of(text, found) == text, (
        "run python experiments/tables_beside_others.py page"
    )


def test_the_results_are_of_ten_seeds_and_of_at_least_six_tables_for_the_main_pairs():
    found = json.loads(experiment.RESULTS.read_text())
    assert found["seeds"] == 10
    for ours, theirs in (
        ("goodteacher lightgbm", "plain lightgbm"),
        ("goodteacher logistic", "plain logistic"),
        ("goodteacher lightgbm", "autogluon distill lightgbm"),
        ("autogluon distill lightgbm", "autogluon plain lightgbm"),
        ("goodteacher lightgbm", "tuned"),
    ):
        key = f"{ours} - {theirs}"
        assert sum(key in one["pairs"] for one in found["tables"].values()) >= 6, key
    assert found["comparisons"] == 2 * sum(len(one["pairs"]) for one in found["tables"].values())


# --- training ------------------------------------------------------------------------------------


def test_the_direct_fit_is_the_candidate_of_the_lowest_log_loss(monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 60)
    rows = pandas.DataFrame({"x": rng.normal(size=120) + 4 * (labels == "b")})
    guess, knows = DummyClassifier(), LogisticRegression()
    monkeypatch.setattr(experiment, "candidates", lambda: {"guess": guess, "knows": knows})
    made, name = experiment.tuned(rows, labels, 0)
    assert name == "knows"
    assert (made.predict(rows) == labels).mean() > 0.9


def test_models_get_a_seed_and_an_encoder_for_words():
    rows = pandas.DataFrame({"colour": ["red", "blue"] * 5, "size": range(10)})
    for model in (DecisionTreeClassifier(), experiment.logistic()):
        made = experiment.whole(model, rows, 7)
        seeds = [v for n, v in made.get_params().items() if n.endswith("random_state")]
        assert seeds == [7]
        assert (made.fit(rows, rows["colour"]).predict(rows) == rows["colour"]).all()


class Taught(LogisticRegression):
    """In place of `DistilledClassifier`, which takes seconds."""

    answer_ = "undecided"

    def fit(self, rows, labels):
        super().fit(rows, labels)
        self.student_, self.report_ = 5, type("Report", (), {"delivered": "distilled"})
        return self


@pytest.fixture
def quick(monkeypatch):
    """Training that takes no time, and the methods that were trained."""
    fitted = []

    def distilled(student, rows, labels, seed):
        fitted.append(student)
        return Taught(max_iter=500).fit(rows, labels)

    tree = DecisionTreeClassifier(max_depth=2)
    monkeypatch.setattr(experiment, "lightgbm", lambda *sizes: tree)
    monkeypatch.setattr(experiment, "forest", lambda: tree)
    monkeypatch.setattr(experiment, "candidates", lambda: {"tree": tree})
    monkeypatch.setattr(experiment, "distilled", distilled)
    return fitted


def test_a_run_records_each_method_once_and_goes_on_where_it_was_stopped(tmp_path, quick):
    for _ in range(2):
        experiment.run(tmp_path, "iris", 6)
    assert len(quick) == 2, "LightGBM and logistic regression, neither of them twice"
    shipped_tables.record_path(tmp_path, "iris", 6, "goodteacher logistic").unlink()
    experiment.run(tmp_path, "iris", 6)
    assert quick[2:] == [None]
    found = {each.stem for each in (tmp_path / "iris/6").iterdir()}
    assert found == {
        *("plain lightgbm", "plain logistic", "forest", "tuned"),
        *("goodteacher lightgbm", "goodteacher logistic"),
    }


def test_records_of_a_run_are_of_the_test_rows_and_say_what_was_chosen(tmp_path, quick):
    experiment.run(tmp_path, "iris", 0)
    rows, labels = shipped_tables.table("iris")
    test = shipped_tables.division(labels, 0)[1]
    for method, choice in (("goodteacher lightgbm", "distilled, undecided"), ("tuned", "tree")):
        path = shipped_tables.record_path(tmp_path, "iris", 0, method)
        record = json.loads(path.read_text())
        assert record["rows"] == rows.index[test].tolist()
        assert record["choice"] == choice
        assert np.sum(record["probabilities"], axis=1) == pytest.approx(1)
        assert record["bytes"] > 0


# --- AutoGluon's part ----------------------------------------------------------------------------


def test_methods_of_autogluon_are_those_that_are_joined():
    made = {name for _, kept, students in tables_autogluon.PLANS for name in (kept, *students)}
    assert made == {name for name in experiment.METHODS if name.startswith("autogluon")}


def test_both_tools_train_the_same_small_lightgbm():
    pytest.importorskip("lightgbm")
    ours = experiment.lightgbm().get_params()
    small = tables_autogluon.SMALL
    assert ours["n_estimators"] == small["num_boost_round"]
    assert (ours["num_leaves"], ours["learning_rate"]) == (
        small["num_leaves"],
        small["learning_rate"],
    )


def score_of(y_true):
    """A score as AutoGluon makes it: it takes numbers to be classes before rows."""

    def generator(metric, problem_type):
        def score(scores, data):
            return metric, scores.reshape(y_true.shape[1], -1).T, True

        return score

    return generator


def test_a_repaired_score_is_of_the_rows_in_their_order():
    scores = np.arange(6.0).reshape(3, 2)  # as LightGBM gives them: rows before classes
    generator = score_of(np.zeros((3, 2)))
    wrong = generator("loss", problem_type="softclass")(scores, None)[1]
    assert not np.array_equal(wrong, scores)
    repaired = tables_autogluon.in_order(generator)(metric="loss", problem_type="softclass")
    np.testing.assert_array_equal(repaired(scores, None)[1], scores)


def test_scores_of_other_problems_stay_as_they_are():
    made = tables_autogluon.in_order(lambda **settings: settings["problem_type"])
    assert made(problem_type="regression") == "regression"


def test_autogluon_trains_what_is_missing_alone_and_never_sees_test_rows(tmp_path, monkeypatch):
    trained, kept, deleted = [], [], []

    class Predictor:
        model_best = "best"

        def delete_models(self, **which):
            deleted.append(which)

    def predictor(folder, train, models):
        trained.append((models, len(train), "target" in train))
        return Predictor()

    def keep(path, made, model, rows, classes):
        kept.append((path.stem, model, len(rows)))
        shipped_tables.keep_record(path, rows, np.ones((len(rows), len(classes))))

    monkeypatch.setattr(tables_autogluon, "predictor", predictor)
    monkeypatch.setattr(tables_autogluon, "student", lambda made, repaired: f"student {repaired}")
    monkeypatch.setattr(tables_autogluon, "keep", keep)
    for _ in range(2):
        tables_autogluon.run(tmp_path, "iris", 2)
    assert [models for models, _, _ in trained] == [plan[0] for plan in tables_autogluon.PLANS]
    assert {(count, target) for _, count, target in trained} == {(120, True)}
    assert kept == [
        ("autogluon forest", "best", 30),
        ("autogluon distill lightgbm", "student False", 30),
        ("autogluon repaired lightgbm", "student True", 30),
        ("autogluon plain lightgbm", "best", 30),
        ("autogluon ensemble", "best", 30),
        ("autogluon distill ensemble, lightgbm", "student False", 30),
        ("autogluon repaired ensemble, lightgbm", "student True", 30),
    ]
    keeps = {"models_to_keep": ["best"], "dry_run": False}
    assert deleted == [keeps] * 4, "a student must not become the teacher of the next one"
