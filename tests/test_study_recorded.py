"""A study of runs that somebody else's trainer recorded."""

import json
import shutil

import pytest
import torch
from typer.testing import CliRunner

import goodteacher
from goodteacher import ConfigError, Recorder, StudyError
from goodteacher.cli import app
from goodteacher.records import Checkpoint
from goodteacher.studies import Store
from tests import made

DATA = made.dataset()
NOT_OF_RECORDED_RUNS = ("teacher", "batch_sizes", "epochs")
SETTINGS = {n: v for n, v in made.SETTINGS.items() if n not in NOT_OF_RECORDED_RUNS}


def said(part, epoch, rate, count=4):
    """A teacher that knows more with every epoch, and grows too sure of it."""
    mixed = torch.randn(len(part), count, generator=torch.Generator().manual_seed(epoch))
    alike = torch.eye(count).roll(1, 0) + torch.eye(count).roll(-1, 0)
    known = (2 * torch.eye(count) + alike)[part.labels]
    return (mixed + rate * epoch * known) * epoch


def record(folder, rate=1.0, epochs=(1, 2, 4), data=DATA, test=(), seconds=None, **options):
    options = {"selection_fraction": 0.2, "learning_rate": rate, **options}
    recorder = Recorder(folder, data, **options)
    for epoch in epochs:
        parts = {"transfer": recorder.transfer, "selection": recorder.selection}
        if epoch in test:
            parts["test"] = data.test
        logits = {name: said(part, epoch, rate, data.num_classes) for name, part in parts.items()}
        recorder.record(logits=logits, epoch=epoch, seconds=seconds)
    return recorder


def search(folder, runs="recorded/*", name="study", **settings):
    runs = runs if isinstance(runs, list) else str(folder / runs)
    settings = {"trajectories": runs, **SETTINGS, **settings}
    return goodteacher.search(settings.pop("data", DATA), out=folder / name, **settings)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two recorded runs, and a study of them."""
    folder = tmp_path_factory.mktemp("recorded_runs")
    record(folder / "recorded/slow", rate=0.5)
    record(folder / "recorded/fast", rate=1.0, test=(1, 2, 4))
    search(folder)
    shutil.copytree(folder / "study", folder / "kept")
    return folder


def test_recorded_runs_are_runs_of_the_study(folder):
    study = goodteacher.Study(folder / "study")
    found = {(r.run, r.epoch, r.attributes["learning_rate"]) for r in study.trajectories()}
    assert found == {(n, e, r) for n, r in (("slow", 0.5), ("fast", 1.0)) for e in (1, 2, 4)}
    decided = Store(folder / "study").path("decisions.jsonl").read_text().splitlines()
    (shortlist,) = (d for d in map(json.loads, decided) if d["what"] == "shortlist")
    assert {t["run"] for t in shortlist["teachers"]} <= {"slow", "fast"}
    last = [d for d in map(json.loads, decided) if d["what"] == "converged_teacher"]
    assert last[0]["teachers"][0]["epoch"] == 4


def test_the_summary_says_which_checkpoint_and_whether_it_is_the_last(folder):
    summary = Store(folder / "study").path("sweet_spot.json").read_text()
    assert "Of 6 recorded checkpoints, the best teacher of this student" in summary
    assert "of its run" in summary


def test_time_that_nobody_noted_is_unknown_and_never_nothing(folder):
    cost = json.loads((folder / "study/sweet_spot.json").read_text())["cost"]
    assert (cost["teacher_seconds"], cost["untimed_runs"]) == (None, 2)
    page = (folder / "study/report.html").read_text()
    assert "the 2 recorded runs were not timed" in page


def test_test_accuracy_is_known_where_the_response_was_recorded(folder):
    spot = json.loads((folder / "study/sweet_spot.json").read_text())
    references = spot["references"]
    known = {
        references[name]["arm"].split(" epoch")[0]: references[name]["teacher_test_accuracy"]
        for name in ("converged_teacher", "most_accurate_teacher")
    }
    known[spot["teacher"]["run"]] = spot["teacher"]["test_accuracy"]
    for run, accuracy in known.items():
        assert (accuracy is not None) == (run == "fast")


def test_the_report_has_attributes_as_columns(folder):
    page = (folder / "study/report.html").read_text()
    assert "as the student of recorded runs" in page
    assert "learning rate" in page


def test_the_report_shows_what_recorded_epochs_say_of_the_same_examples(folder):
    kept = json.loads((folder / "study/examples.json").read_text())
    assert kept["run"] in ("slow", "fast")
    assert kept["examples"]
    for each in kept["examples"]:
        assert [epoch["epoch"] for epoch in each["epochs"]] == [1, 2, 4]
        assert each["id"] in DATA.train.ids
    page = (folder / "study/report.html").read_text()
    assert f"What the teacher of {kept['run']} says of the same example" in page
    assert f"Transfer example {kept['examples'][0]['id']}" in page


def test_the_same_command_goes_on_and_needs_the_runs_no_longer(folder, tmp_path):
    shutil.copytree(folder / "kept", tmp_path / "study")
    before = (tmp_path / "study/sweet_spot.json").read_text()
    search(tmp_path, "gone/*")
    assert (tmp_path / "study/sweet_spot.json").read_text() == before
    verdict = goodteacher.verify(tmp_path / "study", data=DATA, seeds=3)
    assert verdict.num_seeds == 3


def test_a_study_does_not_go_on_with_other_runs(folder, tmp_path):
    shutil.copytree(folder / "kept", tmp_path / "study")
    shutil.copytree(folder / "recorded", tmp_path / "recorded")
    record(tmp_path / "recorded/slow", rate=0.5, epochs=(8,))
    record(tmp_path / "recorded/third", rate=2.0)
    shutil.rmtree(tmp_path / "recorded/fast")
    told = "new is third; missing is fast; slow now has other epochs or responses"
    with pytest.raises(StudyError, match=told):
        search(tmp_path)


def test_responses_of_the_study_stay_what_they_were_when_the_run_goes_on(folder, tmp_path):
    shutil.copytree(folder / "recorded", tmp_path / "recorded")
    search(tmp_path, rungs=1, seeds=2, search_seeds=1)
    files = sorted((tmp_path / "study/teachers").glob("*/responses/*"))
    before = {path: path.read_bytes() for path in files}
    recorder = Recorder(tmp_path / "recorded/slow", DATA, selection_fraction=0.2, learning_rate=0.5)
    other = {n: torch.randn(len(getattr(recorder, n)), 4) for n in ("transfer", "selection")}
    recorder.record(logits=other, epoch=2, overwrite=True)
    assert len(files) == 15
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize(
    "settings", [{"shortlist_by": "probe"}, {"shortlist_by": "half_way"}, {"exhaustive": True}]
)
def test_shortlists_of_every_kind_are_made_of_recorded_runs(folder, tmp_path, settings):
    study = search(folder, name=str(tmp_path / "x"), seeds=2, search_seeds=1, **settings)
    assert study.finished


def test_runs_that_a_study_took_are_recorded_runs_for_another(folder, tmp_path):
    study = search(folder, "study/teachers/recorded-*", name=str(tmp_path / "x"), rungs=1)
    assert {record.run for record in study.trajectories()} == {"slow", "fast"}


def test_recorded_runs_stand_beside_those_trained_here(folder, tmp_path):
    own = {"teacher": "mlp:12", "batch_sizes": (64,), "epochs": 2, "teacher_seeds": (0,)}
    variants = ("raw", "ema", "average", "blend")
    study = search(folder, name=str(tmp_path / "both"), variants=variants, **own)
    records = study.trajectories()
    assert {record.run for record in records} == {"slow", "fast", "batch 64"}
    assert study.sweet_spot.cost.teacher_seconds > 0
    assert study.sweet_spot.cost.untimed_runs == 2
    (means,) = study.folder.glob("teachers/blends-*/blends.jsonl")
    blend = json.loads(means.read_text().splitlines()[-1])
    assert {member["run"] for member in blend["source"]["members"]} <= {"slow", "fast", "batch 64"}


@pytest.mark.parametrize(
    ("options", "settings", "told"),
    [
        ({}, {"split_seed": 1}, r"of 48 examples of the selection split are missing \(ids"),
        ({}, {"selection_fraction": 0.4}, "selection_fraction was 0.2, is 0.4 here"),
        ({}, {"data": made.dataset(seed=3)}, "other data or on another version"),
        ({"data": made.dataset(num_classes=3)}, {}, "only the run has|only the data have 'd'"),
        ({"epochs": ()}, {}, "No recorded run matches"),
        ({}, {"trajectories": "nowhere"}, "there is no such folder"),
    ],
)
def test_runs_that_do_not_fit_are_refused_and_nothing_is_written(tmp_path, options, settings, told):
    record(tmp_path / "recorded/night", **options)
    with pytest.raises(StudyError, match=told):
        search(tmp_path, **settings)
    assert not (tmp_path / "study").exists()


def test_a_smaller_transfer_set_is_searched_on_the_same_runs(folder, tmp_path):
    study = search(folder, name=str(tmp_path / "half"), transfer_fraction=0.5, rungs=1)
    assert study.finished


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda run: Store(run).write_text("run.json", "{}"), "does not hold a RunNotes"),
        (lambda run: next(run.glob("responses/*transfer*")).unlink(), "is missing, but"),
        (lambda run: (run / "splits.json").unlink(), "splits.json cannot be read"),
        (
            lambda run: Store(run).write_text(
                "trajectory.jsonl", 2 * Store(run).read_text("trajectory.jsonl")
            ),
            "holds epoch 1 more than once",
        ),
        (lambda run: shutil.copytree(run, run.parent / "copy"), "hold the same responses"),
        (lambda run: (run / "trajectory.jsonl").unlink(), "Nothing was recorded in"),
    ],
)
def test_damaged_runs_are_named(tmp_path, damage, told):
    record(tmp_path / "recorded/night", epochs=(1,))
    damage(tmp_path / "recorded/night")
    with pytest.raises(StudyError, match=told):
        search(tmp_path)
    assert not (tmp_path / "study").exists()


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for number, name in enumerate(("a", "b")):
        record(tmp_path / name, rate=1.0 + number, run="night", epochs=(1, 2))
    runs = [tmp_path / "a", str(tmp_path / "b")]
    study = search(tmp_path, runs, rungs=1, seeds=2, search_seeds=1)
    names = {each.run for each in study.trajectories()}
    assert names == {f"night ({tmp_path / name})" for name in ("a", "b")}


def test_a_run_that_diverged_only_is_no_teacher(tmp_path):
    recorder = Recorder(tmp_path / "recorded/x", DATA, selection_fraction=0.2)
    recorder.record(lambda batch: torch.full((len(batch), 4), torch.nan), 1)
    with pytest.raises(goodteacher.RunError, match="every recorded run diverged"):
        search(tmp_path)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"trajectories": ()}, "teacher is missing"),
        ({"variants": ("raw", "ema")}, "variants = ema needs a teacher's weights"),
        ({"views": 2, "augment": "flip"}, "which recorded runs do not contain"),
    ],
)
def test_settings_that_recorded_runs_cannot_serve_are_refused(tmp_path, settings, told):
    with pytest.raises(ConfigError, match=told):
        search(tmp_path, **settings)


def test_a_parent_of_runs_is_named_as_what_it_is(folder, tmp_path):
    with pytest.raises(StudyError, match=r"contains some\. Give them as '.*recorded/\*'"):
        search(folder, "recorded", name=str(tmp_path / "x"))
    with pytest.raises(StudyError, match=r"it is a study\. To reuse the teachers of a study"):
        search(folder, "study", name=str(tmp_path / "x"))


def test_the_last_recorded_epoch_as_sweet_spot_is_a_doubt(tmp_path):
    record(tmp_path / "recorded/x", epochs=(3,))
    study = search(tmp_path, rungs=1, seeds=2, search_seeds=1)
    assert study.sweet_spot.teacher.source == Checkpoint(run="x", epoch=3)
    assert any("is the last recorded epoch (3) of run x" in d for d in study.sweet_spot.doubts)


def test_it_is_searched_from_the_command_line(tmp_path):
    Recorder(tmp_path / "rec/x", "digits").record(
        lambda images: images.flatten(1)[:, 20:30].float() / 99, 1
    )
    settings = {"student": "mlp:3", "student_epochs": 2, "rungs": 1, "seeds": 2, "search_seeds": 1}
    options = made.as_options(
        {"trajectories": tmp_path / "rec/*", "temperatures": (1.0,), **settings}
    )
    done = CliRunner().invoke(app, ["search", "digits", *options, f"--out={tmp_path / 'study'}"])
    assert done.exit_code == 0, done.output
    assert "teachers recorded elsewhere, with unknown training time" in done.output

    none = CliRunner().invoke(
        app, ["search", "digits", "--student=mlp:3", f"--out={tmp_path / 'y'}"]
    )
    assert none.exit_code == 2
    assert "as --trajectories" in " ".join(none.output.split())


def test_split_is_written_from_the_command_line(tmp_path):
    out = tmp_path / "ids"
    done = CliRunner().invoke(app, ["split", "digits", "--out", str(out), "--split-seed=3"])
    assert done.exit_code == 0, done.output
    assert "training 1,293" in done.output
    assert json.loads((out / "splits.json").read_text())["split_seed"] == 3
    Recorder(out, "digits", split_seed=3)
