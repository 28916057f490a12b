"""A study of texts from end to end: searched, stopped, verified, distilled and delivered."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from typer.testing import CliRunner

from goodteacher import Study, distill, load_student, search, verify
from goodteacher.cli import app
from goodteacher.config import DistillConfig
from goodteacher.data import DataNote, Dataset, Split, load_dataset, prepare
from goodteacher.data.spec import numbers_spec
from goodteacher.delivery.classifier import Classifier, StudentCard
from goodteacher.errors import ConfigError, DataError, ModelError, StudyError
from goodteacher.networks import Network, Preparations
from goodteacher.networks.preparation import Identity
from goodteacher.records.evidence import Evidence, Flip, Flips
from goodteacher.report.classes import flips_table
from goodteacher.studies import excerpt
from goodteacher.studies.files import EVIDENCE_FILE
from goodteacher.studies.progress import Silent
from goodteacher.studies.setting_up import prepare_context
from goodteacher.studies.store import Store
from goodteacher.studies.tasks import DataKey
from goodteacher.verdicts.evidence.flips import EXCERPT
from tests.made import SETTINGS
from tests.test_study import Interrupter, without_seconds
from tests.test_verification import QUICK

NAMES = ("cards", "cash", "fees", "loans")


def made_table(num_examples, seed):
    """Texts of twelve words: some of the class, some of its neighbour, most of anything."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_examples) % len(NAMES)
    texts = []
    for label in labels:
        own, neighbour = (f"{NAMES[(label + step) % len(NAMES)]}{{}}" for step in (0, 1))
        words = [own.format(n) for n in rng.integers(8, size=2)]
        words += [neighbour.format(n) for n in rng.integers(8, size=1)]
        words += [f"word{n}" for n in rng.integers(200, size=9)]
        texts.append(" ".join(rng.permutation(words)) + "?")
    metadata = {
        "huggingface": json.dumps(
            {"info": {"features": {"label": {"_type": "ClassLabel", "names": NAMES}}}}
        )
    }
    return pa.table({"text": texts, "label": labels}).replace_schema_metadata(metadata)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts")
    for split, size, seed in (("train", 240, 0), ("test", 120, 1)):
        pq.write_table(made_table(size, seed), path / f"{split}.parquet")
    return path


@pytest.fixture(scope="module")
def study(folder, tmp_path_factory):
    return search(folder, out=tmp_path_factory.mktemp("study") / "texts", **SETTINGS)


def in_study_inputs(folder):
    """The parts, their preparation, and the test split as the study's networks saw it."""
    parts = prepare(load_dataset(folder), selection_fraction=SETTINGS["selection_fraction"])
    test = parts.test.open("to compare")
    preparation = Preparations(parts).of("mlp:3")
    return parts, preparation, test, preparation(test.texts)


def test_delivered_student_gives_the_logits_of_the_study_without_it(study, folder, tmp_path):
    copied = tmp_path / "student"
    shutil.copytree(study.folder / "student", copied)
    classifier = load_student(copied)
    parts, _, test, inputs = in_study_inputs(folder)
    texts = pq.read_table(folder / "test.parquet")["text"].to_pylist()
    with torch.inference_mode():
        assert torch.equal(classifier(texts), classifier.network.module(inputs))
        right = classifier(texts).argmax(1) == test.labels
    assert float(right.double().mean()) == pytest.approx(classifier.card.test_accuracy)
    guess = classifier.predict(parts.selection.texts)
    labels = [NAMES[label] for label in parts.selection.labels]
    assert np.mean(np.array(guess) == labels) == pytest.approx(classifier.card.selection_accuracy)
    assert classifier.card.selection_accuracy > 0.4  # of four classes: something was learned
    assert {path.suffix for path in copied.iterdir()} == {".json", ".safetensors"}


def test_vocabulary_in_the_folder_is_the_one_of_the_training_part(study, folder):
    _, preparation, _, _ = in_study_inputs(folder)
    record = json.loads((study.folder / "student" / "preparation.json").read_text())
    assert record == preparation.to_dict()
    assert [step["kind"] for step in record["steps"]] == ["tfidf", "normalize"]
    assert study.data.input_shape == ()
    assert study.data.is_text


def num_terms(classifier):
    return classifier.network.preparation.output(classifier.card.inputs).shape[0]


def test_unknown_words_and_empty_texts_get_the_logits_of_no_words(study):
    classifier = study.student()
    with torch.inference_mode():
        logits = classifier(["", "ждать щука", "   ", "word1"])
        none = classifier.network.module(torch.zeros(1, num_terms(classifier)))[0]
        assert classifier([]).shape == (0, 4)
    assert all(torch.equal(row, none) for row in logits[:3])
    assert not torch.equal(logits[3], none)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("word1", "must be a list of strings, but their type is str"),
        (["word1", None], r"1 of 2 are NoneType \(at 1\)"),
        (torch.zeros(2, 7), r"takes a list of strings, but got a tensor \[2, 7\]"),
    ],
)
def test_student_of_texts_refuses_anything_else(study, inputs, message):
    with pytest.raises(DataError, match=message):
        study.student()(inputs)


def test_student_of_numbers_refuses_texts():
    card = StudentCard(
        architecture="mlp:2",
        class_names=("a", "b"),
        inputs=numbers_spec((3,)),
        arm="labels",
        seed=0,
        selection_accuracy=0.5,
        test_accuracy=0.5,
    )
    with pytest.raises(
        DataError, match=r"takes a tensor or array of numbers \[N, 3\], but got a list of str"
    ):
        Classifier(Network(Identity(), torch.nn.Linear(3, 2)), card)(["where is my card"])


def test_damaged_vocabulary_is_refused(study, tmp_path):
    copied = tmp_path / "student"
    shutil.copytree(study.folder / "student", copied)
    steps = [{"kind": "tfidf", "terms": ["a"], "idf": []}]
    Store(copied).write_text("preparation.json", json.dumps({"steps": steps}))
    with pytest.raises(
        StudyError, match=r"preparation\.json .*a vocabulary needs unique terms.*cut short"
    ):
        load_student(copied)
    (copied / "preparation.json").unlink()
    with pytest.raises(StudyError, match=r"preparation\.json cannot be read: No such file"):
        load_student(copied)


def test_stopped_study_of_texts_ends_with_the_same_numbers(study, folder, tmp_path):
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        search(folder, out=out, progress=Interrupter(12), **SETTINGS)
    resumed = search(folder, out=out, **SETTINGS)
    assert without_seconds(resumed) == without_seconds(study)
    ours, theirs = (s.folder / "student/preparation.json" for s in (resumed, study))
    assert ours.read_bytes() == theirs.read_bytes()


def test_tasks_are_named_by_the_number_of_features():
    fields = dict.fromkeys(DataKey.model_fields, "x") | {
        "selection_fraction": 0.1,
        "transfer_fraction": 1.0,
        "split_seed": 0,
        "augment": (),
        "views": 1,
    }
    keys = [DataKey(**fields | {"tfidf_features": count}) for count in (None, 50, 60)]
    assert "tfidf_features" not in keys[0].identity()
    assert len({key.digest() for key in keys}) == 3
    assert all(DataKey.model_validate(key.model_dump()) == key for key in keys)


def test_another_cap_is_another_study(study, folder):
    with pytest.raises(StudyError, match="tfidf_features"):
        search(folder, out=study.folder, tfidf_features=50, **SETTINGS)


def test_setting_up_tells_how_many_texts_have_no_known_term(tmp_path):
    train = Split.from_texts([f"card number {n}" for n in range(40)], np.arange(40) % 2)
    test = Split.from_texts(["carte bleue", "card here"] * 5, [0, 1] * 5)
    data = Dataset("two languages", train, test, ("a", "b"))
    config = DistillConfig(data="made", student="mlp:2", temperature=1.0, alpha=0.5)
    with pytest.warns(DataNote, match=r"5 of 10 test texts \(50%\) have no term"):
        prepare_context(config, tmp_path / "s", data=data, progress=Silent())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"teacher": "cnn:4"}, ModelError, "image"),
        ({"augment": "flip"}, ConfigError, "is for images"),
        ({"tfidf_features": 0}, ConfigError, "tfidf_features = 0 is not allowed"),
    ],
)
def test_settings_that_texts_cannot_have_are_refused(folder, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        search(folder, out=tmp_path / "out", **{**SETTINGS, **changes})
    assert not (tmp_path / "out").exists()


def test_study_of_texts_is_verified_and_the_page_shows_the_texts_that_flip(study, folder):
    done = CliRunner().invoke(app, ["verify", str(study.folder), "--seeds", "3"])
    assert done.exit_code == 0, done.stderr
    found = Store.open(study.folder).read_json(EVIDENCE_FILE, Evidence)
    texts = pq.read_table(folder / "test.parquet")["text"].to_pylist()
    flipped = (*found.flips.most_gained, *found.flips.most_lost)
    assert flipped
    assert all(flip.text == texts[flip.id] and flip.picture is None for flip in flipped)
    page = Study(study.folder).report.read_text()
    assert flipped[0].text in page
    assert "each network sees its terms or tokens" in page


def test_response_to_texts_is_distilled_and_verified(folder, tmp_path):
    labels = load_dataset(folder).train.labels
    response = 2.0 * torch.nn.functional.one_hot(labels, 4).float()
    settings = {"responses": response, "tfidf_features": 60}
    quick = {name: QUICK[name] for name in ("student", "student_epochs", "student_batch_size")}
    result = distill(folder, out=tmp_path / "d", **settings, **quick)
    assert result.student()(["cards1 word2"]).shape == (1, 4)
    assert num_terms(result.student()) == 60
    verdict = verify(folder, out=tmp_path / "v", **settings, **QUICK)
    assert verdict.num_seeds == 3


def test_hub_gives_texts(folder, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")
    data = load_dataset(f"hf:{folder}")
    assert data.fingerprint == load_dataset(folder).fingerprint


def test_doctor_command_says_that_inputs_are_texts(folder):
    done = CliRunner().invoke(app, ["doctor", str(folder)])
    assert "4 classes, inputs texts" in done.stdout.replace("\n", " ")


def test_excerpt_is_one_line_of_limited_length_in_any_language():
    assert excerpt("a\n b\tc", EXCERPT) == "a b c"
    for text in ("word " * 100, "漢" * 1000):
        shown = excerpt(text, EXCERPT)
        assert len(shown) == EXCERPT
        assert shown.endswith(" ...")
        assert text.startswith(shown.removesuffix(" ..."))


def test_table_of_flips_has_texts_only_where_there_are_some():
    def table(text):
        numbers = dict.fromkeys(Flip.model_fields, 0) | {"picture": None, "text": text}
        counts = dict.fromkeys(Flips.model_fields, 1)
        found = Flips(**counts | {"most_gained": (Flip(**numbers),), "most_lost": ()})
        return flips_table(found, NAMES)

    assert table("my card").rows[0][:3] == ("0", "my card", "cards")
    assert table("my card").head[1] == "text"
    assert table(None).rows[0][:2] == ("0", "cards")
    assert "text" not in table(None).head
    assert all(len(table(t).head) == len(table(t).rows[0]) for t in (None, "my card"))
