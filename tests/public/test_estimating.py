"""A search whose teacher is a classifier: out of fold, recorded, taken up again."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import LinearSVC

import goodteacher
from goodteacher.errors import ConfigError, DataError, ModelError, StudyError
from goodteacher.teachers import RecordedRun
from tests.made import dataset

SHORT = {
    "student_epochs": 20,
    "student_batch_size": 16,
    "seeds": 2,
    "search_seeds": 1,
    "rungs": 1,
    "temperatures": (1.0,),
    "alphas": (1.0,),
    "smoothings": (0.1,),
    "extend": False,
    "device": "cpu",
    "precision": "float32",
    "selection_fraction": 0.2,
}


def table(count=150, seed=0):
    """The class is told by a word and a number, both of which are missing at times."""
    drawn = np.random.default_rng(seed)
    codes = np.arange(count) % 3
    made = pd.DataFrame({"size": codes + drawn.normal(0, 0.3, count)})
    made["kind"] = np.array(["low", "middle", "high"])[codes]
    made.loc[::11, "kind"], made.loc[::9, "size"] = None, None
    return made.assign(species=np.array(["cat", "dog", "owl"])[codes])


def search(folder, teacher="forest:9", student="mlp:4", data=None, **settings):
    settings = {"target": "species", **SHORT, **settings}
    if data is not None:
        settings.pop("target")
    given = table() if data is None else data
    return goodteacher.search(given, teacher=teacher, student=student, out=folder, **settings)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return search(tmp_path_factory.mktemp("studies") / "study")


class Watch:
    """Keeps what a search tells."""

    def __init__(self):
        self.notes, self.begun, self.work = [], [], {}

    def begin(self, name, work):
        self.begun.append(name)
        self.work[name] = [work, 0.0]

    def note(self, text):
        self.notes.append(text)

    def advance(self, work, stage=None):
        self.work[self.begun[-1]][1] += work


def test_a_forest_teaches_a_network_of_the_same_table(study):
    found = study.sweet_spot
    assert found.teacher.run == "forest:9"
    assert found.savings.teacher_bytes > found.savings.student_bytes
    (record,) = study.trajectories()
    assert record.epoch == 1
    assert record.attributes == {"classifier": "RandomForestClassifier(n_estimators=9)"}
    assert record.selection_accuracy > 0.7
    assert record.seconds > 0


def test_the_run_is_recorded_in_the_folder_and_can_teach_others(study, tmp_path):
    folder = study.folder / "recorded/forest-9"
    assert [each.epoch for each in RecordedRun.open(folder).records()] == [1]
    again = goodteacher.search(
        table(), trajectories=[folder], student="linear", out=tmp_path, target="species", **SHORT
    )
    assert again.sweet_spot.teacher.run == "forest:9"


def test_the_delivered_student_takes_rows_with_new_words_and_gaps(study):
    student = study.student()
    rows = table(30, seed=5)
    assert (np.array(student.predict(rows)) == rows["species"]).mean() > 0.6
    odd = student.predict_proba([{"kind": "never seen", "size": 1.0}, {"kind": None}, {"size": 2}])
    assert odd.isfinite().all()
    assert student.predict_proba(rows.drop(columns="species").to_numpy(object)).shape == (30, 3)
    with pytest.raises(DataError, match=r"does not have the columns 'kind'"):
        student.predict(rows.drop(columns="kind"))


def test_a_verdict_can_be_had_on_such_a_study(study, tmp_path):
    mine = tmp_path / "study"  # a copy: the other tests need the study as the search left it
    shutil.copytree(study.folder, mine)
    found = goodteacher.verify(mine, data=table(), seeds=3)
    assert found.verdict in (
        "knowledge",
        "regularization",
        "no gain",
        "inconclusive",
        "undertrained",
    )


def test_the_same_call_trains_nothing_again(study, monkeypatch):
    def never(*args, **named):
        raise AssertionError("the teacher was trained again")

    monkeypatch.setattr("goodteacher.teachers.Classifying.said", never)
    again = search(study.folder)
    assert again.sweet_spot == study.sweet_spot


def test_another_classifier_needs_another_folder(study):
    with pytest.raises(StudyError, match=r"started with other teachers: RandomForestCl"):
        search(study.folder, teacher="forest:10")
    recorded = study.folder / "recorded/forest-9"
    other = RandomForestClassifier(9, max_depth=2)
    with pytest.raises(StudyError, match=r"n_estimators=9\), not RandomForest"):
        search(study.folder, teacher=other)
    assert [each.epoch for each in RecordedRun.open(recorded).records()] == [1]


def test_a_study_that_took_its_runs_needs_them_no_longer(tmp_path):
    study = search(tmp_path / "study", student="linear")
    shutil.rmtree(study.folder / "recorded")
    assert search(tmp_path / "study", student="linear").sweet_spot == study.sweet_spot


def test_several_seeds_are_several_runs_and_several_students_share_them(tmp_path):
    several = search(tmp_path, student=["linear", "mlp:3"], teacher_seeds="0,1")
    assert sorted(each.name for each in (tmp_path / "recorded").iterdir()) == [
        "forest-9-seed-0",
        "forest-9-seed-1",
    ]
    for study in several.studies.values():
        runs = {record.run: record.attributes["seed"] for record in study.trajectories()}
        assert runs == {"forest:9, seed 0": 0, "forest:9, seed 1": 1}


def test_arrays_have_such_a_teacher_too(tmp_path):
    study = search(tmp_path / "s", teacher="logistic", student="linear", data=dataset())
    assert study.sweet_spot.teacher.run == "logistic"


def test_an_object_that_is_fitted_is_trained_anew_and_that_is_told(tmp_path):
    rows = table().dropna()
    forest = RandomForestClassifier(5).fit(rows[["size"]], rows["species"])
    watch = Watch()
    search(tmp_path / "s", teacher=forest, student="linear", progress=watch)
    assert any("is already fitted. It is trained again" in note for note in watch.notes)
    assert "training RandomForestClassifier out of fold" in watch.begun
    assert forest.n_features_in_ == 1, "it stays as it is"


def test_a_small_class_is_told_of(tmp_path):
    rows = table()
    rows.loc[[0, 3, 6, 9], "species"] = "rare"
    watch = Watch()
    goodteacher.search(
        rows,
        target="species",
        teacher="logistic",
        student="linear",
        out=tmp_path / "s",
        progress=watch,
        **SHORT,
    )
    (told,) = [note for note in watch.notes if "fewer training examples than the 5 folds" in note]
    assert "(rare: 2)" in told
    assert "only 2 folds" in told
    (work,) = [work for name, work in watch.work.items() if "out of fold" in name]
    assert work == [3.0, 3.0], "the two folds and the whole"


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"epochs": 3, "batch_sizes": [8]}, "epochs, batch_sizes are for teachers that train in"),
        ({"teacher": "forest:x"}, "'forest:x' is malformed: it must be forest or forest:TREES"),
        ({"teacher": LinearSVC()}, "LinearSVC has no predict_proba"),
        ({"teacher": "forrest"}, "A teacher can also be forest"),
        ({"student": "forest"}, "names a scikit-learn classifier"),
        ({"target": "specie"}, "Did you mean 'species'"),
        ({"teacher_seeds": "a"}, "teacher_seeds = 'a' is not allowed"),
        ({"variants": "ema"}, "needs a teacher's weights"),
        ({"alphas": (0.0,)}, "alphas must contain a value above 0"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_written(tmp_path, settings, message):
    with pytest.raises((ConfigError, DataError, ModelError), match=message):
        search(tmp_path / "s", **settings)
    assert not (tmp_path / "s").exists()


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StudyError, match="is not empty"):
        search(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_the_table_of_the_page_is_searched():
    page = Path(__file__).parent.parent.parent / "docs/tables-and-scikit-learn.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    (block,) = [each for each in blocks if "goodteacher.search(" in each]
    made = {}
    exec(block, made)
    assert made["study"].sweet_spot.teacher.run == "RandomForestClassifier"
    assert made["student"].predict([{"size": 9.0, "colour": None}]) == ["owl"]


def test_the_doctor_looks_at_a_frame_too():
    rows = table().assign(same="x")
    found = {each.code: each.message for each in goodteacher.doctor(rows, target="species")}
    assert "'same' has only one value" in found["constant_inputs"]
    assert "size: " in found["gaps"]
    with pytest.raises(ConfigError, match="Did you mean 'species'"):
        goodteacher.doctor(rows, target="specie")
