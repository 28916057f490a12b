"""Real searches: what they keep for comparisons, and their figures as plots."""

import re

import pytest

from goodteacher import SeveralStudies, Study, StudyError, compare, search, verify
from goodteacher.studies import CONFIRMED_FILE
from tests.made import SETTINGS, dataset

PLOTS = ("gains", "map", "teachers", "curves", "students", "temperatures")
FAMILIES = {
    "sweet_spot",
    "cross_entropy",
    "label_smoothing",
    "converged_teacher",
    "most_accurate_teacher",
}
QUICK = {
    **SETTINGS,
    "epochs": 2,
    "student_epochs": 3,
    "temperatures": (1.0, 4.0),
    "alphas": (1.0,),
    "smoothings": (0.1,),
    "shortlist": 1,
    "search_seeds": 1,
    "rungs": 1,
}


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Two studies of the same data, of students of other sizes."""
    folder = tmp_path_factory.mktemp("compared")
    for student in ("mlp:3", "mlp:8"):
        search(dataset(), out=folder / student.replace(":", "-"), **{**QUICK, "student": student})
    return folder / "mlp-3", folder / "mlp-8"


def confirmed(study):
    return study.store.read_tensors(CONFIRMED_FILE)


def test_a_search_keeps_who_of_the_confirmed_students_is_right(studies):
    study = Study(studies[0])
    found, spot = confirmed(study), study.sweet_spot
    assert set(found) == {*FAMILIES, "seeds", "ids"}
    assert found["sweet_spot"].shape == (spot.student.num_seeds, study.data.test)
    assert found["ids"].shape == (study.data.test,)
    assert found["sweet_spot"].float().mean() == pytest.approx(spot.student.test_accuracy)
    for name, reference in spot.references:
        assert found[name].float().mean() == pytest.approx(reference.test_accuracy)
    rows = {row.seed: row for row in study.students() if row.stage == "confirm"}
    assert set(found["seeds"].tolist()) == set(rows)


def test_each_row_of_it_is_the_student_of_its_seed(studies):
    study = Study(studies[0])
    found, arm = confirmed(study), study.sweet_spot.student.arm
    own = [row for row in study.students() if row.stage == "confirm" and row.arm == arm]
    assert len(own) >= study.sweet_spot.student.num_seeds
    known = {(row.seed, round(row.test_accuracy, 6)) for row in own}
    means = found["sweet_spot"].float().mean(1).tolist()
    for seed, mean in zip(found["seeds"].tolist(), means, strict=True):
        assert (seed, round(mean, 6)) in known


def test_two_studies_are_compared_in_pairs(studies):
    found = compare(*studies)
    (difference,) = found.differences
    expected = [
        confirmed(study)[study.sweet_spot.delivered].float().mean().item()
        for study in map(Study, studies)
    ]
    assert (difference.study, difference.minus) == ("mlp-8", "mlp-3")
    assert difference.difference == pytest.approx(expected[1] - expected[0], abs=1e-6)
    assert (difference.num_seeds, difference.num_test) == (SETTINGS["seeds"], 120)
    assert found.notes == ()
    assert re.fullmatch(r"\d+\.\d+\.\d+", found.studies[0].versions[0])


def test_rows_are_what_the_studies_say(studies):
    for row, study in zip(compare(*studies).rows(), map(Study, studies), strict=True):
        spot = study.sweet_spot
        assert row["accuracy"] == spot.student.test_accuracy
        assert row["gain_over_cross_entropy"] == spot.references.cross_entropy.difference
        assert row["student"] == study.config.student


@pytest.mark.parametrize("name", PLOTS)
def test_a_study_draws_its_figures(studies, name):
    plot = getattr(Study(studies[0]), f"plot_{name}")()
    assert plot.rows()
    assert "goodteacher-plot" in plot._repr_html_()


def test_the_map_has_a_cell_for_each_recorded_teacher(studies):
    study = Study(studies[0])
    cells = {(row["teacher batch size"], row["teacher epoch"]) for row in study.plot_map().rows()}
    assert cells == {(str(r.batch_size), str(r.epoch)) for r in study.trajectories()}


def test_the_ladder_is_drawn_once_there_is_a_verdict(studies):
    study = Study(studies[1])
    with pytest.raises(StudyError, match="no verdict yet, so there is no ladder to draw"):
        study.plot_ladder()
    verdict = verify(study, seeds=3, data=dataset())
    rows = study.plot_ladder().rows()
    assert sum(row["points"] for row in rows[:-1]) == pytest.approx(rows[-1]["points"])
    assert rows[-1]["points"] == pytest.approx(100 * verdict.gain.mean)
    found = compare(*studies).studies
    assert (found[0].verdict, found[1].verdict) == (None, verdict.verdict)


def test_a_folder_of_several_students_stands_for_all_of_them(tmp_path, studies):
    out, settings = tmp_path / "several", {**QUICK, "epochs": 1, "student": ["mlp:2", "mlp:3"]}
    search(dataset(), out=out, **settings)
    found = compare(out, studies[0])
    above = studies[0].parent.name
    names = ["several/mlp-2", "several/mlp-3", f"{above}/mlp-3"]
    assert [study.name for study in found.studies] == names
    assert len(found.differences) == 2
    plot = SeveralStudies(out).plot_front()
    assert {row["label"] for row in plot.rows() if row["label"]} == {"mlp:2", "mlp:3"}
