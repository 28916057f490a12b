"""Several students over shared teachers: each gets what a search of its own would have given."""

import json
import shutil
from pathlib import Path

import pytest
from torch import nn

from goodteacher import SeveralStudies, Study, load_student, search, verify
from goodteacher.errors import ConfigError, ModelError, RunError, StudyError
from goodteacher.public import searching
from goodteacher.students import running as students_running
from goodteacher.teachers import running as teachers_running
from goodteacher.teachers.recording import resume_file
from tests.made import SETTINGS, dataset
from tests.test_study import Interrupter, without_seconds

SHARED = {name: value for name, value in SETTINGS.items() if name != "student"} | {
    "record_epochs": (1, 2, 3, 4),
    "student_epochs": 2,
    "temperatures": (4.0,),
    "alphas": (1.0,),
    "smoothings": (0.1,),
    "shortlist": 1,
    "search_seeds": 1,
    "seeds": 2,
    "rungs": 1,
    "patience": 1,
    "lead_after": 0,
}
QUICK = {**SHARED, "epochs": 1, "record_epochs": (1,), "patience": 0}
PROBES = {
    # The first stops batch 16 after epoch 2 and batch 64 after 3; the second the other way around.
    "mlp:2": {"batch 16": (0.5, 0.4, 0, 0), "batch 64": (0.3, 0.5, 0.4, 0)},
    "mlp:3": {"batch 16": (0.3, 0.5, 0.4, 0), "batch 64": (0.5, 0.4, 0, 0)},
    "mlp:4": {"batch 16": (0.3, 0.4, 0.5, 0.6), "batch 64": (0.5, 0.4, 0, 0)},
}
STUDENTS = list(PROBES)
STOPPED = {
    "mlp:2": {"batch 16": 2, "batch 64": 3},
    "mlp:3": {"batch 16": 3, "batch 64": 2},
    "mlp:4": {"batch 64": 2},
}


@pytest.fixture(autouse=True)
def _planted(monkeypatch):
    """Probe students reach planted accuracies, so that students stop teachers at other epochs.

    Reports of single studies are no matter here, and take a third of the time.
    """
    plant(monkeypatch)


def plant(patched):
    row_of = students_running.row_of

    def planted(task, arm, *measured, **how):
        row = row_of(task, arm, *measured, **how)
        if task.stage != "probe" or arm.source.variant != "raw" or task.student not in PROBES:
            return row
        value = PROBES[task.student][arm.source.run][arm.source.epoch - 1]
        worse = 0.05 * (arm.recipe != task.arms[0].recipe)
        return row.model_copy(update={"selection_accuracy": value - worse})

    patched.setattr(students_running, "row_of", planted)
    patched.setattr(searching, "write_report", _no_report)


def _no_report(store, going=None, tables=None):
    store.write_text("report.html", "")


def several(out, students=STUDENTS, **changes):
    return search(dataset(), out=out, student=students, **{**SHARED, **changes})


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A search of its own for each student."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patched:
        plant(patched)
        return {
            spec: search(dataset(), out=folder / spec.replace(":", "-"), student=spec, **SHARED)
            for spec in STUDENTS
        }


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """One search for all students, and the pieces of teachers that it trained."""
    trained = []
    with pytest.MonkeyPatch.context() as patched:
        plant(patched)
        count_training(patched, trained)
        return several(tmp_path_factory.mktemp("together") / "all"), trained


def count_training(patched, trained):
    train_until = teachers_running._Run._train_until

    def counted(run, trainer, step):
        trained.append((run.key, trainer.step, step))
        return train_until(run, trainer, step)

    patched.setattr(teachers_running._Run, "_train_until", counted)


def files(folder):
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


def found_by(study):
    """Everything that a study found, but for how long it took."""
    rows, answer, records = without_seconds(study)
    del answer["cost"]["cooldown_seconds"]
    return rows, answer, records


def assert_same(found, alone):
    for spec, study in found.studies.items():
        assert found_by(study) == found_by(alone[spec]), spec
        assert files(study.folder) == files(alone[spec].folder), spec


def test_each_student_gets_what_a_search_of_its_own_would_have_given(together, alone):
    assert_same(together[0], alone)
    stopped = {
        spec: {r.run: r.epoch for r in study.trajectories() if r.stopped}
        for spec, study in together[0].studies.items()
    }
    assert stopped == STOPPED, "students must differ in what they ask for, or this tests nothing"


@pytest.mark.parametrize("order", [["mlp:3", "mlp:2"], ["mlp:4", "mlp:2"]], ids=" ".join)
def test_the_order_of_students_changes_nothing(tmp_path, alone, order):
    assert_same(several(tmp_path / "all", order), alone)


def test_no_piece_of_a_teacher_is_trained_twice(together):
    trained = together[1]
    assert len(trained) == len(set(trained))
    seconds = [
        sum(run[-1].seconds for run in runs_of(study).values())
        for study in together[0].studies.values()
    ]
    front = together[0].front
    assert front.teacher_seconds_apart == pytest.approx(sum(seconds))
    assert max(seconds) <= front.teacher_seconds < sum(seconds)


def runs_of(study):
    found = {}
    for record in study.trajectories():
        found.setdefault(record.run, []).append(record)
    return found


def test_weights_are_shared_on_disk_and_not_with_what_is_written_later(together):
    first, second = (together[0].studies[spec].folder for spec in ("mlp:2", "mlp:3"))
    shared = [name for name in files(first / "teachers") if "epoch-00001" in name]
    assert {name.split("/")[1] for name in shared} == {"checkpoints", "responses"}
    for name in shared:
        assert (first / "teachers" / name).samefile(second / "teachers" / name), name
    for name in files(first / "teachers") & files(second / "teachers"):
        if name.endswith(".jsonl"):
            assert not (first / "teachers" / name).samefile(second / "teachers" / name)


def test_moving_averages_and_cooldowns_are_taken_over_too(tmp_path, monkeypatch):
    settings = {**QUICK, "variants": ("raw", "ema", "cooldown")}
    own = search(dataset(), out=tmp_path / "own", student="mlp:3", **settings)
    trained = []
    count_training(monkeypatch, trained)
    found = search(dataset(), out=tmp_path / "all", student=["mlp:2", "mlp:3"], **settings)
    assert found_by(found.studies["mlp:3"]) == found_by(own)
    assert files(found.studies["mlp:3"].folder) == files(own.folder)
    assert sum("cooldown" in key for key, *_ in trained) == 2, "one of each run"


def test_copies_are_made_where_there_are_no_links(tmp_path, monkeypatch, alone):
    def refused(*_):
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refused)
    assert_same(several(tmp_path / "all", ["mlp:2", "mlp:3"]), alone)


@pytest.mark.parametrize("after", [1, 8, 16, 24, 32])
def test_interrupted_anywhere_it_ends_with_the_same_numbers(tmp_path, alone, after):
    out, students = tmp_path / "stopped", ["mlp:2", "mlp:3"]
    with pytest.raises(KeyboardInterrupt):
        search(dataset(), out=out, student=students, progress=Interrupter(after), **SHARED)
    assert not (out / "front.json").exists()
    assert_same(several(out, students), alone)


def test_a_student_may_be_added_after_the_end(tmp_path, alone):
    """What stopped runs go on from is gone by then, so they start over where more is asked for."""
    out = tmp_path / "all"
    first = several(out, ["mlp:3"])
    again = several(out, ["mlp:4", "mlp:3"])
    assert list(again.studies) == ["mlp:3", "mlp:4"]
    assert_same(again, alone)
    assert [row.student for row in first.front.rows] == ["mlp:3", "mlp:4"]


def test_nothing_to_go_on_from_is_left_of_stopped_runs(together):
    for study in together[0].studies.values():
        stopped = {r.run for r in study.trajectories() if r.stopped}
        for folder in (study.folder / "teachers").iterdir():
            text = (folder / "trajectory.jsonl").read_text()
            last = json.loads(text.splitlines()[-1])
            state = study.folder / resume_file(folder.name, last["epoch"])
            assert state.exists() == (last["run"] not in stopped)


def test_the_same_again_changes_nothing(together, alone):
    before = together[0].front
    found = several(together[0].folder)
    assert_same(found, alone)
    assert found.front == before, "latencies are kept"


def test_a_diverged_teacher_is_taken_over(tmp_path):
    settings = {**QUICK, "optimizer": "sgd", "learning_rates": (0.1, 1e25)}
    found = search(dataset(), out=tmp_path / "all", student=["mlp:2", "mlp:3"], **settings)
    own = search(dataset(), out=tmp_path / "own", student="mlp:3", **settings)
    assert without_seconds(found.studies["mlp:3"]) == without_seconds(own)
    assert any(record.status == "diverged" for record in own.trajectories())


def test_students_may_see_their_inputs_differently(tmp_path):
    settings = {**QUICK, "batch_sizes": (64,)}
    students = ["mlp:2", "mlp:2@resize:4"]
    found = search("digits", out=tmp_path / "all", student=students, **settings)
    own = search("digits", out=tmp_path / "own", student=students[1], **settings)
    assert without_seconds(found.studies[students[1]]) == without_seconds(own)
    assert found.studies[students[1]].folder.name == "mlp-2-resize-4"
    assert not found.studies[students[1]].data.given_in_python


def small_net(num_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))


def test_networks_given_in_python_stand_beside_specifications(tmp_path):
    students = ["mlp:2", small_net, nn.Sequential(nn.Linear(6, 4))]
    found = search(dataset(), out=tmp_path / "all", student=students, **QUICK)
    first, second, third = found.studies
    assert (first, second) == ("mlp:2", "given:small_net")
    assert third.startswith("given:Sequential-")
    assert [row.parameters for row in found.front.rows] == [26, 28, 28]
    assert found.studies[second].folder.name == "given-small_net"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two students, nothing planted."""
    folder = tmp_path_factory.mktemp("pair") / "all"
    return search(dataset(), out=folder, student=["mlp:5", "mlp:6"], **QUICK)


def test_front_says_what_the_studies_found(pair):
    found = pair
    for row in found.front.rows:
        study = found.studies[row.student]
        spot = study.sweet_spot
        labels = spot.references.cross_entropy
        assert (row.answer, row.delivered) == (spot.answer, spot.delivered)
        assert (row.gain, row.gain_interval) == (labels.difference, labels.interval)
        assert row.hard_labels_accuracy == labels.test_accuracy
        low, high = row.hard_labels_interval
        assert low <= row.hard_labels_accuracy <= high
        assert row.interval[0] <= row.test_accuracy <= row.interval[1]
        weights = study.student().network.module
        assert row.parameters == sum(p.numel() for p in weights.parameters())
        assert row.weight_bytes == 4 * row.parameters
        assert (row.num_seeds, row.num_test) == (2, 120)
        assert [latency.batch_size for latency in row.latencies] == [1, 128]
    assert any(row.on_front for row in found.front.rows)


def test_latencies_of_another_machine_are_measured_anew(pair, tmp_path, monkeypatch):
    found = pair
    out = tmp_path / "copy"
    shutil.copytree(found.folder, out)
    monkeypatch.setattr("goodteacher.public.several.described_machine", lambda _: "another")
    again = search(dataset(), out=out, student=["mlp:5", "mlp:6"], **QUICK)
    assert again.front.machine == "another"
    before, after = ([row.latencies for row in each.front.rows] for each in (found, again))
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_one_student_is_a_study_as_before(tmp_path):
    study = search(dataset(), out=tmp_path / "one", student="mlp:2", **QUICK)
    assert isinstance(study, Study)
    assert (tmp_path / "one" / "study.toml").exists()


def test_a_list_of_one_is_a_folder_of_students(tmp_path):
    found = search(dataset(), out=tmp_path / "all", student=("mlp:2",), **QUICK)
    assert isinstance(found, SeveralStudies)
    assert [row.on_front for row in found.front.rows] == [True]
    assert (tmp_path / "all" / "mlp-2" / "study.toml").exists()


REFUSED = {
    "nothing": ([], ConfigError, "student is an empty list"),
    "one twice": (["mlp:2", "mlp:02"], ConfigError, r"'mlp:2' 2 times. Name it once\.$"),
    "two functions of one name": (
        [
            small_net,
            lambda num_classes: nn.Linear(6, num_classes),
            lambda num_classes: nn.Flatten(),
        ],
        ConfigError,
        "'given:lambda' 2 times. Name it once. Two functions of one name need two names",
    ),
    "one bad among good": (["mlp:2", "mpl:3", "mlp:4"], ModelError, "mpl"),
    "one that fails in its rehearsal": (["mlp:2", "cnn:4"], ModelError, "image"),
    "one inside another": (["mlp:2", ["mlp:3"]], ModelError, "of type list"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_lists_are_refused_before_anything_is_made(tmp_path, case):
    students, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        search(dataset(), out=tmp_path / "all", student=students, **QUICK)
    assert not (tmp_path / "all").exists()


def test_all_that_is_wrong_is_told_once_a_line_for_each(tmp_path):
    settings = {**QUICK, "teacher": "mpl:9", "student": ["mlp:2", "mpl:3", "mpl:4"]}
    with pytest.raises(ModelError) as caught:
        search(dataset(), out=tmp_path / "all", **settings)
    lines = str(caught.value).splitlines()
    assert [sum(f"'{spec}'" in line for line in lines) for spec in ("mpl:9", "mpl:3", "mpl:4")] == [
        1,
        1,
        1,
    ]


def test_other_settings_and_fewer_students_are_refused(pair):
    found = pair
    with pytest.raises(StudyError, match="epochs was 1, now 3"):
        search(dataset(), out=found.folder, student=["mlp:5", "mlp:6"], **{**QUICK, "epochs": 3})
    with pytest.raises(StudyError, match="'mlp:6' is not among the students now"):
        search(dataset(), out=found.folder, student=["mlp:5", "mlp:7"], **QUICK)
    with pytest.raises(StudyError, match="holds a study of other data"):
        search(dataset(seed=1), out=found.folder, student=["mlp:5", "mlp:6"], **QUICK)
    assert not (found.folder / "mlp-7").exists()


def test_a_folder_of_one_kind_is_refused_for_the_other(pair, tmp_path):
    found = pair
    with pytest.raises(StudyError, match=r"a study for each of 2 students.*name a new folder"):
        search(dataset(), out=found.folder, student="mlp:5", **QUICK)
    search(dataset(), out=tmp_path / "one", student="mlp:5", **QUICK)
    with pytest.raises(StudyError, match=r"holds a study of one student.*--teachers-of"):
        search(dataset(), out=tmp_path / "one", student=["mlp:5", "mlp:6"], **QUICK)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(StudyError, match="is not empty and holds no study"):
        search(dataset(), out=tmp_path / "other", student=["mlp:5"], **QUICK)


def test_who_names_the_outer_folder_is_told_the_inner_ones(pair):
    folder = pair.folder
    for name in (verify, Study):
        with pytest.raises(StudyError, match=rf"{folder}/mlp-5 \(mlp:5\), .*Name one of these"):
            name(folder)
    with pytest.raises(StudyError, match=f"Load the student of one: {folder}/mlp-5/student"):
        load_student(folder)
    with pytest.raises(StudyError, match=r"is not a search for several students"):
        SeveralStudies(folder / "mlp-5")


def test_each_study_is_verified_as_any_other(pair):
    found = pair
    verdict = verify(found.studies["mlp:6"], data=dataset(), seeds=3, smoothings=(0.1,))
    assert verdict.num_seeds == 3
    assert found.studies["mlp:6"].verdict == verdict


def test_a_student_that_fails_is_named(tmp_path):
    settings = {**QUICK, "student_optimizer": "sgd", "student_learning_rate": 1e25}
    settings["student"] = ["mlp:2", "mlp:3"]
    with pytest.raises(RunError, match=r"The search for student 'mlp:2' ended: .*diverged"):
        search(dataset(), out=tmp_path / "wild", **settings)


class Stages:
    """A progress that keeps the names of stages."""

    def __init__(self):
        self.names = []

    def begin(self, stage, total):
        self.names.append(stage)

    def advance(self, units, stage=None):
        pass

    def note(self, text):
        pass


def test_progress_says_at_which_student_it_is(pair):
    found = pair
    seen = Stages()
    search(dataset(), out=found.folder, student=["mlp:5", "mlp:6"], progress=seen, **QUICK)
    assert "mlp:5 (1 of 2): teachers" in seen.names
    assert seen.names[-1].startswith("mlp:6 (2 of 2): ")
