"""Evidence of real verifications: what is trained, what is written, what the page shows."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from goodteacher import search, verify
from goodteacher.cli import app
from goodteacher.config import VerifyConfig, parse
from goodteacher.data import Dataset, Split, load_dataset
from goodteacher.engines import LocalEngine
from goodteacher.errors import ConfigError, StudyError
from goodteacher.maths.targets import ladder_targets
from goodteacher.records.arms import CROSS_ENTROPY
from goodteacher.records.evidence import Evidence
from goodteacher.records.results import StudentRow
from goodteacher.report import write_report
from goodteacher.report.omitted import NONE_KEPT
from goodteacher.responses import as_response
from goodteacher.responses.fitting import fitted_response
from goodteacher.students.given import keep_response
from goodteacher.students.kept import Shelf
from goodteacher.students.plan import Students
from goodteacher.students.predictions import correct_by_arm
from goodteacher.students.running import StudentRunner, target_request
from goodteacher.students.stacks import logits_of_students
from goodteacher.students.targets import target_of
from goodteacher.studies.files import EVIDENCE_FILE
from goodteacher.studies.progress import Silent
from goodteacher.studies.setting_up import prepare_context
from goodteacher.studies.store import Store
from goodteacher.studies.tasks import DataKey
from goodteacher.verdicts.rule import RUNGS, target_arm
from goodteacher.verdicts.verification import VERIFY_SEED
from tests.made import SETTINGS, arrays, dataset
from tests.report.test_page import Page
from tests.test_verification import QUICK, bayes_logits

ASKED = {"curve_temperatures": (4.0, 1.0), "omit_class": "c"}
LONGER = {**QUICK, "student": "mlp:8", "student_epochs": 40, "student_learning_rate": 0.01}


@pytest.fixture(scope="module")
def verified(tmp_path_factory):
    """A verification with every piece of evidence asked for."""
    folder = tmp_path_factory.mktemp("evidence") / "own"
    given = folder.with_name("forest.npy")
    np.save(given, bayes_logits().numpy())
    noise = torch.randn(240, 4, generator=torch.Generator().manual_seed(1))
    verify(
        dataset(),
        responses=given,
        independent_responses=bayes_logits() + noise,
        out=folder,
        **LONGER,
        **ASKED,
    )
    return Store.open(folder)


@pytest.fixture(scope="module")
def evidence(verified):
    return verified.read_json(EVIDENCE_FILE, Evidence)


def trained(store):
    files = store.root.glob("students/*/rows.parquet")
    return {path.parent.name: path.stat().st_mtime_ns for path in files}


def test_every_piece_is_there_and_counts_its_seeds(evidence):
    assert evidence.schema_version == 1
    assert [point.temperature for point in evidence.curve.points] == [1.0, 4.0]
    assert [arm.name for arm in evidence.curve.points[0].arms] == list(RUNGS[1:])
    assert evidence.curve.num_seeds == evidence.omitted.num_seeds == evidence.num_seeds == 3
    assert [arm.name for arm in evidence.omitted.arms] == list(RUNGS)
    assert evidence.fidelity.independent == "the response of --independent-responses"
    assert evidence.fidelity_missing is None
    assert not evidence.fidelity.teacher_held_out
    assert [found.name for found in evidence.classes] == list("abcd")
    assert evidence.flips.num_examples == 120


def test_similarity_teaches_the_class_that_was_never_seen(evidence):
    """The circle's posterior says where c lies; labels and smoothing say only where it is not."""
    arms = {arm.name: arm for arm in evidence.omitted.arms}
    assert arms["one_hot"].class_accuracy.mean < 0.05
    assert arms["confidence_smoothing"].class_accuracy.mean < 0.05
    assert arms["full_response"].class_accuracy.mean > 0.5
    assert evidence.omitted.knowledge.adjusted_interval[0] > 0
    assert evidence.omitted.num_transfer == 144
    assert evidence.omitted.num_class_examples == 30


def test_correction_gives_a_class_that_is_never_predicted_its_frequency(evidence):
    plain = evidence.omitted.arms[0]
    assert plain.mean_offset > 0
    assert plain.corrected_class_accuracy.mean > plain.class_accuracy.mean
    assert plain.over_cross_entropy is None
    over = evidence.omitted.arms[1].over_cross_entropy
    gap = evidence.omitted.arms[1].corrected_class_accuracy.mean - (
        plain.corrected_class_accuracy.mean
    )
    assert over.mean == pytest.approx(gap, abs=1e-12)


def test_confusions_and_flips_add_up_to_the_verdicts_difference(verified, evidence):
    verdict = json.loads(verified.path("verdict.json").read_text())
    by_class = sum(
        (c.full_response - c.confidence_smoothing) * c.num_examples for c in evidence.classes
    )
    assert by_class / 120 == pytest.approx(verdict["knowledge"]["mean"], abs=1e-9)
    kept = np.diag(np.array(evidence.confusion.change)) * [c.num_examples for c in evidence.classes]
    assert kept.sum() / 120 == pytest.approx(verdict["knowledge"]["mean"], abs=1e-9)


def test_asked_for_later_the_verdicts_students_are_not_trained_again(tmp_path):
    folder = tmp_path / "v"
    verify(dataset(), responses=bayes_logits(), out=folder, **QUICK)
    store = Store.open(folder)
    assert store.read_json(EVIDENCE_FILE, Evidence).curve is None
    before, verdict = trained(store), store.path("verdict.json").read_text()
    verify(dataset(), responses=bayes_logits(), out=folder, omit_class=2, **QUICK)
    after = trained(store)
    assert {name: after[name] for name in before} == before
    assert len(after) == 2 * len(before)
    assert store.path("verdict.json").read_text() == verdict
    found = store.read_json(EVIDENCE_FILE, Evidence)
    assert found.omitted.class_name == "c"
    assert found.fidelity_missing.startswith("No independent response was given")
    assert found.fidelity.independent is None


def prepared(folder, **changes):
    """A folder with a response, and the task of one seed of one arm in it."""
    config = parse(VerifyConfig, data="circle", **{**QUICK, **changes})
    response = fitted_response(as_response(bayes_logits()), dataset())
    context = prepare_context(config, folder, data=dataset(), progress=Silent())
    return context, config, keep_response(context, response), response


def planned(context, config, source, **changes):
    arms = [CROSS_ENTROPY, target_arm(source, "class_similarity", config.recipe)]
    key = DataKey.of(config, context.data)
    students = Students(config, context, LocalEngine(context), key)
    training = config.first_training(len(context.data.transfer))
    return students.tasks(arms, training, stage="verify", seeds=[VERIFY_SEED], **changes)[0]


def test_students_never_see_the_omitted_class(tmp_path):
    context, config, source, response = prepared(tmp_path / "v")
    task = planned(context, config, source, omit_class=2)
    seen = target_request(task, context).context.data.transfer
    assert sorted(set(seen.labels.tolist())) == [0, 1, 3]
    target = target_of(target_request(task, context), task.arms[1].source)[0]
    expected = ladder_targets(response.aligned_to(seen.ids), seen.labels, temperature=2.0)
    torch.testing.assert_close(
        torch.softmax(target / 2.0, 1), expected["class_similarity"], rtol=1e-4, atol=1e-6
    )


def test_students_that_never_see_a_class_are_tasks_of_their_own(tmp_path):
    context, config, source, _ = prepared(tmp_path / "v")
    tasks = [planned(context, config, source, omit_class=omitted) for omitted in (None, 0, 1)]
    assert len({task.key for task in tasks}) == 3
    narrower = tasks[0].model_copy(update={"memory_gib": 0.5, "stack_width": 1})
    assert narrower.key == tasks[0].key, "how they are stacked makes no difference to them"


def test_logits_of_students_are_those_of_their_predictions(tmp_path):
    context, config, source, _ = prepared(tmp_path / "v")
    task = planned(context, config, source)
    StudentRunner().run(task, context)
    found = logits_of_students(context, task, context.data.selection)
    kept = Shelf(context.store, task.key).predictions("selection")
    assert torch.equal(found.argmax(-1), kept.long())
    test = context.data.test.open("a test")
    correct = correct_by_arm(context, [task])[CROSS_ENTROPY]
    assert (
        correct[0].tolist()
        == (logits_of_students(context, task, test)[0].argmax(1) == test.labels).tolist()
    )


def test_study_has_an_independent_teacher_of_its_own(tmp_path):
    made = tmp_path / "circle.npz"
    np.savez(made, **arrays())
    settings = {**SETTINGS, "seeds": 2, "search_seeds": 1, "student_epochs": 3}
    study = search(made, out=tmp_path / "study", **settings)
    verify(study, seeds=3, omit_class="1", evidence_seeds=4, omit_map=3)
    found = study.evidence
    chosen = study.sweet_spot.teacher
    assert found.fidelity.teacher == f"{chosen.run} epoch {chosen.epoch}"
    other = ({16, 64} - {chosen.batch_size}).pop()
    assert found.fidelity.independent.startswith(f"batch {other} epoch")
    assert found.fidelity.teacher_accuracy == pytest.approx(chosen.selection_accuracy)
    assert found.fidelity.teacher_held_out
    transfer = found.error_transfer
    assert (transfer.split, transfer.num_examples) == ("test", 120)
    assert transfer.num_errors == round(120 * (1 - chosen.test_accuracy))
    assert transfer.independent == found.fidelity.independent
    assert [arm.name for arm in transfer.arms] == list(RUNGS)
    assert transfer.arms[-1].transfer is not None
    assert (found.num_seeds, found.omitted.num_seeds) == (3, 4)
    _check_map(study, found)
    page = Page(study.report.read_text(encoding="utf-8"))
    assert "Knowledge or regularization?" in page.text
    assert "This page does not say whether a gain" not in page.text
    assert "Best teacher The teacher of batch size" in page.text
    assert "Students of its full response make the very same error" in page.text
    assert f"is wrong on {transfer.num_errors} of 120 examples of the test split" in page.text


def _check_map(study, found):
    """Every recorded teacher is there, at T = 1 and at the recipe's temperature."""
    grid, recipe = found.omitted.map, study.sweet_spot.recipe
    temperatures = {1.0, recipe.temperature}
    assert (grid.num_seeds, set(grid.temperatures)) == (3, temperatures)
    cells = {(cell.run, cell.epoch, cell.temperature) for cell in grid.cells}
    recorded = {(f"batch {b}", e) for b in (16, 64) for e in (1, 2, 4)}
    assert cells == {(*each, t) for each in recorded for t in temperatures}
    tasks = [path.parent for path in study.store.path("students").glob("verify-*/rows.parquet")]
    rows = [
        row
        for task in tasks
        for row in study.store.read_table(f"students/{task.name}/rows.parquet", StudentRow)
    ]
    trained = {(row.run, row.epoch, row.temperature, row.seed) for row in rows}
    assert len([each for each in trained if each[:3] in cells]) >= 3 * len(cells)
    assert "map-omitted" in study.report.read_text(encoding="utf-8")


def test_map_of_a_single_response_is_refused_before_training(tmp_path):
    with pytest.raises(ConfigError, match="omit_map needs a study"):
        verify(
            dataset(),
            responses=bayes_logits(),
            out=tmp_path / "v",
            omit_class="c",
            omit_map=3,
            **QUICK,
        )
    assert not list(tmp_path.glob("v/students/*"))


def test_omitted_examples_are_of_the_class_and_the_others_of_the_transfer_set(evidence):
    found, data = evidence.omitted.examples, dataset()
    tested = dict(zip(data.test.ids.tolist(), data.test.labels.tolist(), strict=True))
    shown = [*found.recognised, *found.missed]
    assert {tested[each.id] for each in shown} == {2}
    assert all(each.right > 1 for each in found.recognised)
    assert all(each.right <= 1 for each in found.missed)
    taught = dict(zip(data.train.ids.tolist(), data.train.labels.tolist(), strict=True))
    assert all(taught[each.id] == each.label != 2 for each in found.resembling)
    shares = bayes_logits().softmax(1)[:, 2]
    assert found.resembling[0].plain[0] <= float(shares[data.train.labels != 2].max()) + 1e-6
    order = [each.plain[0] for each in found.resembling]
    assert order == sorted(order, reverse=True)


def test_private_data_leave_no_picture_in_the_evidence(tmp_path):
    """The circle as images: the bytes of six pixels."""
    whole = dataset()
    parts = [
        Split(
            (20 * split.inputs + 128).clamp(0, 255).byte()[:, None, None], split.labels, split.ids
        )
        for split in (whole.train, whole.test)
    ]
    data = Dataset("images", *parts, whole.class_names)
    settings = {**QUICK, "omit_class": "c"}
    verify(data, responses=bayes_logits(), out=tmp_path / "v", **settings)
    assert "data:image/png" in Store.open(tmp_path / "v").read_text("report.html")
    verify(data, responses=bayes_logits(), out=tmp_path / "v", keep_examples=0, **settings)
    found = Store.open(tmp_path / "v").read_json(EVIDENCE_FILE, Evidence)
    assert found.omitted.examples is None
    assert len(found.flips.most_gained) > 0
    assert all(flip.picture is None for flip in found.flips.most_gained)
    text = Store.open(tmp_path / "v").read_text("report.html")
    assert "data:image/png" not in text
    assert NONE_KEPT in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"omit_map": 3}, "omit_map = 3 needs omit_class"),
        ({"omit_map": 2, "omit_class": "c"}, "omit_map = 2 is not allowed"),
        ({"omit_class": "z"}, "omit_class = 'z' is not a class of these data"),
        ({"curve_temperatures": (2, 2)}, "curve_temperatures may contain each value only once"),
        ({"curve_temperatures": (0,)}, "curve_temperatures"),
        ({"curve_temperatures": (2,), "loss": "mse"}, "compares raw logits and has no temperature"),
        ({"evidence_seeds": 2}, "evidence_seeds = 2 is not allowed"),
    ],
)
def test_evidence_that_cannot_be_had_is_refused_before_training(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        verify(dataset(), responses=bayes_logits(), out=tmp_path / "v", **{**QUICK, **changes})
    assert not list(tmp_path.glob("v/students/*"))


def test_page_of_a_verification_says_the_verdict_and_its_evidence(verified, evidence):
    page = Page(write_report(verified).read_text(encoding="utf-8"))
    panels = [attrs["id"] for _, attrs in page.tags if attrs.get("class") == "panel"]
    assert panels == [
        "ladder",
        "curve-gains",
        "curve-knowledge",
        "omitted-class",
        *(f"resembling-{each.id}" for each in evidence.omitted.examples.resembling),
        "class-gains",
        "confusion-change",
        "confusion-similarity",
    ]
    verdict = json.loads(verified.path("verdict.json").read_text())
    for text in (
        verdict["explanation"],
        evidence.curve.reading,
        "Students that never saw class c (they learned from 144 examples of other classes; ",
        "The independent teacher (the response of --independent-responses)",
        "mlp:8 as the student of forest.npy on circle",
        "Judged: forest.npy",
        "Of 120 test examples",
    ):
        assert text in page.text
    assert not [tag for tag, _ in page.tags if tag == "img"]


def test_pictures_stand_in_the_page_and_load_nothing(tmp_path):
    digits = load_dataset("digits")
    similar = torch.randn(10, 10, generator=torch.Generator().manual_seed(0))
    logits = similar[digits.train.labels] + 3 * torch.eye(10)[digits.train.labels]
    settings = {**QUICK, "student": "mlp:4", "student_epochs": 2}
    verify(digits, responses=logits, out=tmp_path / "v", **settings)
    store = Store.open(tmp_path / "v")
    flips = store.read_json(EVIDENCE_FILE, Evidence).flips
    page = Page(store.path("report.html").read_text(encoding="utf-8"))
    images = page.attributes("src")
    assert len(images) == len(flips.most_gained) + len(flips.most_lost) > 0
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in images)


def test_command_line_says_where_the_report_is(tmp_path):
    made, logits = tmp_path / "circle.npz", tmp_path / "logits.npy"
    np.savez(made, **arrays())
    np.save(logits, bayes_logits().numpy())
    given = {**QUICK, "curve_temperatures": "2", "evidence_seeds": "3", "omit_class": "1"}
    options = [
        f"--{name.replace('_', '-')}={','.join(map(str, v)) if isinstance(v, tuple) else v}"
        for name, v in given.items()
    ]
    files = [f"--responses={logits}", f"--independent-responses={logits}"]
    out = tmp_path / "v"
    shown = CliRunner().invoke(app, ["verify", str(made), *files, f"--out={out}", *options])
    assert shown.exit_code == 0, shown.stderr
    assert f"{out}/report.html" in "".join(shown.stdout.split())
    (out / "report.html").unlink()
    again = CliRunner().invoke(app, ["report", str(out)])
    assert again.exit_code == 0, again.stderr
    assert (out / "report.html").exists()
    found = json.loads((out / EVIDENCE_FILE).read_text())
    assert found["fidelity"]["teachers_agree"] == 1.0
    assert all(arm["excess"]["mean"] == 0 for arm in found["fidelity"]["arms"])


def test_verification_that_was_stopped_is_a_page_too(tmp_path):
    context, *_ = prepared(tmp_path / "v")
    page = Page(write_report(context.store).read_text(encoding="utf-8"))
    assert "Not finished" in page.text
    assert "Whether a gain is knowledge or only regularization" in page.text


def test_single_distillation_has_no_report(tmp_path):
    Store(tmp_path).write_text("study.toml", 'data = "digits"\nstudent = "mlp:4"\n')
    with pytest.raises(StudyError, match="holds a single distillation, which has no report"):
        write_report(Store.open(tmp_path))


def test_test_split_moves_no_choice(tmp_path):
    """Other test examples, the same offsets and fidelity: both come from the selection split."""
    found = []
    for name, data in (("one", dataset()), ("other", dataset(num_test=80))):
        train = dataset().train
        assert torch.equal(data.train.labels, train.labels)
        data = type(data)(data.name, train, data.test, data.class_names)
        verify(data, responses=bayes_logits(), out=tmp_path / name, omit_class="a", **QUICK)
        found.append(Store.open(tmp_path / name).read_json(EVIDENCE_FILE, Evidence))
    one, other = found
    assert one.flips.num_examples != other.flips.num_examples
    offsets = [[arm.mean_offset for arm in run.omitted.arms] for run in found]
    assert offsets[0] == offsets[1]
    assert one.fidelity == other.fidelity


def test_evidence_of_tuned_arms_unlabelled_examples_and_added_seeds(tmp_path):
    """The rungs' own recipes, every seed of the last look, no unlabelled example."""
    whole = dataset()
    labels = whole.train.labels.clone()
    labels[::5] = -1
    train = type(whole.train)(whole.train.inputs, labels, whole.train.ids)
    data = type(whole)(whole.name, train, whole.test, whole.class_names)
    asked = {"tune_arms": True, "temperatures": (1, 2), "alphas": 1, "until_decided": 4}
    asked |= {"search_seeds": 1, "omit_class": "b", "curve_temperatures": 2}
    found = verify(data, responses=bayes_logits(), out=tmp_path / "v", **{**QUICK, **asked})
    store = Store.open(tmp_path / "v")
    evidence = store.read_json(EVIDENCE_FILE, Evidence)
    assert evidence.num_seeds == evidence.flips.num_seeds == found.num_seeds
    assert evidence.recipe == found.recipe
    assert evidence.omitted.num_seeds == 3
    transfer = store.read_tensors("response.safetensors")["ids"]
    kept = [labels[row] for row in transfer.tolist() if labels[row] not in (-1, 1)]
    assert evidence.omitted.num_transfer == len(kept)
    page = Page(store.path("report.html").read_text(encoding="utf-8"))
    assert "Best recipe of each" in page.text
    assert "48 transfer examples have no label" in page.text
