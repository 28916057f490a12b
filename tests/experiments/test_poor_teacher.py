"""Shares of a gain and repeated errors, of students whose answers are planted."""

import json
import re

import numpy as np
import pytest

import poor_teacher as study
import poor_teacher_page as page
from goodteacher import search, verify
from goodteacher.config import StudyConfig, parse
from goodteacher.data import prepare
from tests.made import SETTINGS, dataset

N, SEEDS = 400, 5


def students(*wrong):
    """Students that are right but on ranges of examples, where they predict class 1."""
    classes = np.zeros((SEEDS, N), dtype=np.int64)
    for first, last in wrong:
        classes[:, first:last] = 1
    return classes


def judged(full, plain, teacher=((0, 100),)):
    teaching = students(*teacher)[0]
    return study.Judged(np.zeros(N, dtype=np.int64), teaching, students(full), students(plain))


PLAIN = (0, 100)
BEST = judged(full=(0, 20), plain=PLAIN)  # 80 of 400 examples more
POOR = judged(full=(0, 36), plain=PLAIN)  # 64 more: 80 % of it
HARMFUL = judged(full=(0, 120), plain=PLAIN)


def test_share_of_a_gain_is_the_ratio_of_the_gains():
    mean, low, high = study.share(POOR.gains, BEST.gains)
    assert mean == 0.8
    assert 0.5 < low < 0.8 < high < 1.0
    assert page.says([mean, low, high]) == "most"
    assert study.share(BEST.gains, BEST.gains) == [1.0, 1.0, 1.0]


def test_teacher_that_harms_has_a_negative_share():
    mean, _, high = study.share(HARMFUL.gains, BEST.gains)
    assert mean == -0.25
    assert high < 0
    assert page.says(study.share(HARMFUL.gains, BEST.gains)) == "not most"


def test_no_gain_has_no_share():
    assert study.share(POOR.gains, HARMFUL.gains) is None
    assert study.share(POOR.gains, np.zeros((SEEDS, N))) is None
    assert page.says(None) == "no share"


def test_share_is_of_the_seeds_that_both_teachers_have():
    fewer = BEST.gains[:3]
    assert study.share(POOR.gains, fewer) == study.share(POOR.gains[:3], fewer)


def test_interval_of_a_share_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        hard = rng.random(1000) < 0.5
        whole = (hard & (rng.random((SEEDS, 1000)) < 0.4)).astype(float)  # 0.2
        part = (hard & (rng.random((SEEDS, 1000)) < 0.3)).astype(float)  # 0.15
        _, low, high = study.share(part, whole)
        covered += low <= 0.75 <= high
    assert 0.9 < covered / 200 <= 1


def test_errors_are_asked_of_everyones_students():
    found = study.crossed({"one_epoch": POOR, "own_self": BEST})
    mine = found["one_epoch"]
    assert mine["errors"] == 100
    assert mine["repeated"] == {"labels": 1.0, "one_epoch": 0.36, "own_self": 0.2}
    assert mine["minus"]["labels"][0] == pytest.approx(-0.64)
    assert mine["minus"]["own_self"][0] == pytest.approx(0.16)
    assert "one_epoch" not in mine["minus"]


def test_shares_are_told_of_the_teachers_that_are_there():
    assert study.shares({"one_epoch": POOR}) == {}
    found = study.shares({"one_epoch": POOR, "sweet_spot": BEST})
    assert set(found) == {"one_epoch"}
    assert found["one_epoch"]["sweet_spot"][0] == 0.8


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", study.CASES)
def test_teachers_differ_in_what_the_question_says_and_in_nothing_else(name):
    case = study.CASES[name]
    found = {kind: study.settings_of(case, kind) for kind in case.kinds}
    for kind, settings in found.items():
        parse(StudyConfig, data="digits", **settings)
        assert settings["student"] == case.student
        assert settings["teacher"] == (case.student if kind == "own_self" else case.teacher)
        assert settings.get("transfer_fraction", 1) == (0.1 if case.tenfold else 1)
        assert all(settings[key] == value for key, value in study.SETTINGS.items())
    assert (found["one_epoch"]["epochs"], found["one_epoch"]["batch_sizes"]) == (1, (128,))
    assert found["converged"]["record_epochs"] == (case.epochs,)
    assert "record_epochs" not in found["sweet_spot"]
    if not case.tenfold:
        assert {**found["converged"], "teacher": case.student} == found["own_self"]


def test_students_of_both_settings_have_the_same_examples(monkeypatch):
    monkeypatch.setattr(study, "where", lambda _: "digits")
    same, tenfold = (study.CASES[f"{setting}/mnist"] for setting in ("same", "tenfold"))
    parts = [
        prepare(study.data_of(case), transfer_fraction=0.1 if case.tenfold else 1.0)
        for case in (same, tenfold)
    ]
    for name in ("transfer", "selection"):
        one, other = (getattr(each, name).ids.tolist() for each in parts)
        assert one == other
    assert len(parts[0].training) == len(parts[0].transfer)
    assert len(parts[1].training) > 9 * len(parts[1].transfer)


def test_first_round_of_every_data_set_comes_before_the_second(monkeypatch, tmp_path):
    done, told = {}, []

    def judge(folder, *, seeds, **_):
        done[folder] = seeds
        told.append((folder.parent.name, seeds))

    monkeypatch.setattr(study, "search", lambda *_, **__: None)
    monkeypatch.setattr(study, "verify", judge)
    monkeypatch.setattr(study, "data_of", lambda _: None)
    monkeypatch.setattr(study, "judged_seeds", lambda folder: done.get(folder, 0))
    study.run(tmp_path, "", 1)
    teachers = sum(len(case.kinds) for case in study.CASES.values())
    assert [seeds for _, seeds in told] == [s for s in study.ROUNDS for _ in range(teachers)]
    assert list(dict.fromkeys(name for name, _ in told)) == ["banking77", "mnist", "fashion_mnist"]
    told.clear()
    study.run(tmp_path, "", 1)
    assert told == [], "what is finished is not run again"


# --- from a small run to the page ----------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Two teachers of a small data set, searched for and judged as in the experiment."""
    out, data = tmp_path_factory.mktemp("poor"), dataset()
    plain = {**SETTINGS, "seeds": 2, "search_seeds": 1, "student_epochs": 3}
    for kind, changes in {"one_epoch": {"batch_sizes": 16, "epochs": 1}, "sweet_spot": {}}.items():
        search(data, out=out / "same/made" / kind, **{**plain, "teacher_seeds": (0, 1), **changes})
        verify(out / "same/made" / kind, data=data, seeds=3)
    return out


@pytest.fixture
def found(small, monkeypatch):
    monkeypatch.setattr(study, "CASES", {"same/made": study.Case("made", "", "", ())})
    monkeypatch.setitem(page.NAMES, "made", "Made")
    monkeypatch.setattr(study, "data_of", lambda _: dataset())
    return study.collect(small)


def test_students_that_are_read_are_those_of_the_verdict(small):
    for kind in ("one_epoch", "sweet_spot"):
        judgement = study.Study(small / "same/made" / kind)
        predicted = study.verdict_students(judgement)
        labels = dataset().test.labels.numpy()
        for rung in judgement.verdict.ladder:
            if rung.name in predicted:
                right = predicted[rung.name] == labels
                assert right.shape == (3, 120)
                assert right.mean() == pytest.approx(rung.test_accuracy, abs=1e-12)


def test_what_is_kept_agrees_with_the_verdict_and_its_evidence(small, found):
    kept = found["same/made"]
    assert set(kept["teachers"]) == {"one_epoch", "sweet_spot"}
    for kind, told in kept["teachers"].items():
        judgement = study.Study(small / "same/made" / kind)
        assert told["verdict"] == judgement.verdict.verdict
        errors = judgement.evidence.error_transfer
        assert kept["crossed"][kind]["errors"] == round(
            120 * (1 - judgement.sweet_spot.teacher.test_accuracy)
        )
        if errors is not None:
            assert kept["crossed"][kind]["errors"] == errors.num_errors
            repeated = errors.arms[-1].repeated.mean
            assert kept["crossed"][kind]["repeated"][kind] == pytest.approx(repeated, abs=1e-5)
    json.dumps(found)


def test_page_is_made_of_whatever_is_there(found):
    text = page.PAGE.text(found)
    assert "| Made | one epoch: " in text
    assert "- **Made**: students of a teacher that trained for one epoch (" in text
    assert "those of the sweet spot +" in text or "those of the sweet spot -" in text
    one = {**found["same/made"], "shares": {}}
    one["teachers"] = {"one_epoch": one["teachers"]["one_epoch"]}
    assert "which they are compared with, has not been run" in page.answer({"same/made": one})
    none = page.PAGE.text({})
    assert none.count(page.NOT_RUN) == len(page.PAGE.places)
    assert "Made" not in none


def test_results_hold_no_paths_and_numbers_that_can_be():
    text = page.FILE.read_text()
    assert not re.search(r"/(tmp|work|home)/", text)
    for each in json.loads(text).values():
        for told in each["teachers"].values():
            assert 0 < told["teacher_accuracy"] <= 1
            assert told["seeds"] in study.ROUNDS
            gain = told["ladder"]["full_response"] - told["ladder"]["one_hot"]
            assert told["gain"][0] == pytest.approx(gain, abs=3e-5)


# --- the figure ----------------------------------------------------------------------------------


def told(gain, transfer):
    """As much of a teacher's results as the figure shows."""
    found = {"gain": [gain, gain - 0.01, gain + 0.01], "knowledge": [0.0, -0.01, 0.01]}
    if transfer is not None:
        arm = {"transfer": [transfer, transfer - 0.1, transfer + 0.1]}
        found["errors"] = {"rungs": dict.fromkeys(("full_response", "confidence_smoothing"), arm)}
    return found


def test_figure_shows_points_and_the_teachers_in_one_order():
    each = {"teachers": {"one_epoch": told(0.02, 0.1), "sweet_spot": told(0.03, 0.2)}}
    gain, over = page.gains(each)
    assert gain.teachers == over.teachers == ["sweet_spot", "one_epoch"]
    assert gain.values[0] == pytest.approx((3.0, 2.0, 4.0))
    assert over.values[1] == pytest.approx((0.0, -1.0, 1.0))
    full, _ = page.transfers(each)
    assert full.values[1] == pytest.approx((10.0, 0.0, 20.0))


def test_teacher_without_errors_to_count_is_left_out_of_the_lower_panel():
    each = {"teachers": {"one_epoch": told(0.02, None), "sweet_spot": told(0.03, 0.2)}}
    assert [marks.teachers for marks in page.transfers(each)] == [["sweet_spot"]] * 2
    assert len(page.gains(each)[0].teachers) == 2


def test_figure_names_data_sets_and_teachers(tmp_path):
    pytest.importorskip("matplotlib")
    each = {"teachers": {"one_epoch": told(0.02, 0.1), "sweet_spot": told(0.03, 0.2)}}
    page.draw({"same/mnist": each, "tenfold/banking77": each}, tmp_path / "one.svg")
    text = (tmp_path / "one.svg").read_text()
    for word in (
        "MNIST",
        "Banking77,",
        "teacher with ten times the data",
        "one epoch",
        "sweet spot",
        "error transfer, points",
    ):
        assert f">{word}<" in text
    page.draw({"same/mnist": each, "tenfold/banking77": each}, tmp_path / "other.svg")
    assert (tmp_path / "other.svg").read_text() == text
