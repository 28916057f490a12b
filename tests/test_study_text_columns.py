"""A study of examples with several texts from end to end."""

import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from typer.testing import CliRunner

from goodteacher import Recorder, Study, distill, load_student, respond, search, verify
from goodteacher.cli import app
from goodteacher.data import load_dataset, prepare
from goodteacher.errors import DataError
from goodteacher.networks import Preparations
from goodteacher.records.evidence import Evidence
from goodteacher.studies import Store
from goodteacher.studies.files import EVIDENCE_FILE
from goodteacher.studies.progress import Silent
from goodteacher.training.stacking import StackingWarning
from tests.made import SETTINGS
from tests.test_study_text import NAMES, made_table
from tests.test_verification import QUICK
from tests.tiny_models import HAS_TRANSFORMERS, write_model

SMALL = {**SETTINGS, "batch_sizes": (16,), "temperatures": (2.0,), "smoothings": (0.1,)}
SMALL |= {"shortlist": 1, "rungs": 1}


def halves(table):
    """Each text in two: neither half says as much as both."""
    words = [text.split() for text in table["text"].to_pylist()]
    first = [" ".join(each[: len(each) // 2]) for each in words]
    second = [" ".join(each[len(each) // 2 :]) for each in words]
    columns = {"body": second, "title": first, "label": table["label"]}
    made = type(table).from_pydict({**columns, "genre": ["x", "y"] * (len(table) // 2)})
    return made.replace_schema_metadata(table.schema.metadata)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs")
    for split, size, seed in (("train", 240, 0), ("test", 120, 1)):
        pq.write_table(halves(made_table(size, seed)), path / f"{split}.parquet")
    return path


@pytest.fixture(scope="module")
def data(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the genre, which is left out
        return load_dataset(folder)


@pytest.fixture(scope="module")
def study(folder, tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return search(folder, out=tmp_path_factory.mktemp("study") / "pairs", **SMALL)


def rows_of(folder):
    table = pq.read_table(folder / "test.parquet")
    return list(zip(table["title"].to_pylist(), table["body"].to_pylist(), strict=True))


def test_delivered_student_gives_the_logits_of_the_study_without_it(study, folder, data, tmp_path):
    shutil.copytree(study.folder / "student", tmp_path / "student")
    classifier = load_student(tmp_path / "student")
    parts = prepare(data, selection_fraction=SETTINGS["selection_fraction"])
    test = parts.test.open("to compare")
    inputs = Preparations(parts).of("mlp:3")(test.texts)
    with torch.inference_mode():
        assert torch.equal(classifier(rows_of(folder)), classifier.network.module(inputs))
        right = classifier(rows_of(folder)).argmax(1) == test.labels
    assert float(right.double().mean()) == pytest.approx(classifier.card.test_accuracy)
    assert classifier.card.selection_accuracy > 0.4  # of four classes: something was learned
    assert classifier.card.inputs.columns == ("title", "body")
    record = json.loads((tmp_path / "student" / "preparation.json").read_text())
    assert [step["kind"] for step in record["steps"]] == ["tfidf_columns", "normalize"]
    assert study.data.text_columns == ("title", "body")


def test_a_student_takes_tuples_columns_and_data_frames_alike(study, folder):
    classifier, rows = study.student(), rows_of(folder)[:7]
    title, body = (list(column) for column in zip(*rows, strict=True))
    frame = pd.DataFrame({"body": body, "label": 0, "title": title})
    forms = [
        rows,
        [list(row) for row in rows],
        np.array(rows),
        frame[["title", "body"]].to_numpy(),
        {"title": title, "body": body},
        {"body": np.array(body), "title": pd.Series(title)},
        frame,
    ]
    expected = classifier.predict_proba(rows)
    assert expected.shape == (7, 4)
    for form in forms:
        assert torch.equal(classifier.predict_proba(form), expected)
        assert classifier.predict(form) == [NAMES[row] for row in expected.argmax(1)]
    assert not torch.equal(classifier.predict_proba({"title": body, "body": title}), expected)
    assert classifier.predict([]) == classifier.predict({"title": [], "body": []}) == []


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["cards1"], r"Each example is 2 texts \(title, body\), but 1 of 1 are not \(at 0; the fi"),
        ([("a", "b", "c")], r"the first is a tuple of 3 \(str\)"),
        (("a", "b"), "2 of 2 are not .* the first is a str"),
        ("cards1", "but got a str.* Give a list of tuples, or a dictionary"),
        ([("a", None)], r"a tuple of 2 \(NoneType, str\)"),
        ({"title": ["a"]}, "the columns given are title. Give a list for each of title, body"),
        ({"title": ["a"], "body": ["b"], "more": ["c"]}, "and no other column"),
        ({"title": ["a"], "body": ["b", "c"]}, "lengths differ: title 1, body 2"),
        (torch.zeros(2, 7), "takes a list of strings, but got a tensor"),
    ],
)
def test_a_student_refuses_another_number_of_texts(study, inputs, message):
    with pytest.raises(DataError, match=message):
        study.student().predict_proba(inputs)


def test_a_student_of_one_text_refuses_pairs(tmp_path, data):
    response = 2.0 * torch.nn.functional.one_hot(data.train.labels, 4).float()
    arrays = {
        "x_train": [" ".join(row) for row in data.train.texts],
        "y_train": data.train.labels,
        "x_test": [" ".join(row) for row in data.test.texts],
        "y_test": data.test.labels,
    }
    quick = {name: QUICK[name] for name in ("student", "student_epochs", "student_batch_size")}
    result = distill(arrays, out=tmp_path / "d", responses=response, **quick)
    with pytest.raises(DataError, match="Texts must be strings, but 1 of 1 are tuple"):
        result.student()([("a", "b")])


@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
def test_a_study_of_pairs_is_verified_without_a_class_too(study, folder):
    command = ["verify", str(study.folder), "--seeds", "3", "--omit-class", "cards"]
    done = CliRunner().invoke(app, [*command, "--evidence-seeds", "3"])
    assert done.exit_code == 0, done.output
    found = Store.open(study.folder).read_json(EVIDENCE_FILE, Evidence)
    assert found.omitted is not None
    flipped = (*found.flips.most_gained, *found.flips.most_lost)
    rows = rows_of(folder)
    assert flipped
    assert all(flip.text == " | ".join(rows[flip.id]) for flip in flipped)
    page = Study(study.folder).report.read_text()
    assert "2 texts: title, body" in page


@pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote")
def test_the_doctor_and_the_setting_name_the_columns(folder):
    runner = CliRunner()
    done = runner.invoke(app, ["doctor", str(folder)])
    assert "4 classes, inputs 2 texts (title, body)" in " ".join(done.stdout.split())
    done = runner.invoke(app, ["doctor", str(folder), "--text-column", "genre,body,title"])
    assert "inputs 3 texts (genre, body, title)" in " ".join(done.stdout.split())


def test_a_response_to_pairs_is_distilled_verified_and_divided(data, tmp_path):
    response = 2.0 * torch.nn.functional.one_hot(data.train.labels, 4).float()
    settings = {"responses": response, "tfidf_features": 60}
    quick = {name: QUICK[name] for name in ("student", "student_epochs", "student_batch_size")}
    result = distill(data, out=tmp_path / "d", **settings, **quick)
    assert result.student()([("cards1", "word2")]).shape == (1, 4)
    terms = result.student().network.preparation.output(data.spec).shape
    assert terms == (60,)
    assert verify(data, out=tmp_path / "v", **settings, **QUICK).num_seeds == 3


def test_teachers_of_ones_own_get_tuples(data, tmp_path):
    seen = []

    def predict(rows):
        seen.extend(rows)
        counts = [[" ".join(row).count(name) for name in NAMES] for row in rows]
        sizes = [[len(text) % 7 for text in row * 2] for row in rows]
        return np.array(counts, dtype=np.float64) - 1.5 + 0.01 * np.array(sizes)

    said = respond(predict, data, out=tmp_path / "asked")
    assert set(seen) <= set(data.train.texts)
    assert said.record.selection_accuracy > 0.4
    recorder = Recorder(
        tmp_path / "own", data, prepare=lambda rows: (torch.tensor(predict(rows)).float(),)
    )
    record = recorder.record(torch.nn.Identity(), epoch=1)
    assert record.selection_accuracy == pytest.approx(said.record.selection_accuracy)
    assert recorder.training.examples()[0] in set(data.train.texts)


@pytest.mark.skipif(not HAS_TRANSFORMERS, reason="needs goodteacher[hf]")
@pytest.mark.parametrize("student", ["hf:student@tokens:16", "mlp:4"])
@pytest.mark.filterwarnings("ignore")
def test_a_model_that_reads_pairs_teaches(data, tmp_path, monkeypatch, student):
    monkeypatch.chdir(tmp_path)
    texts = [text for row in data.train.texts for text in row]
    write_model(tmp_path / "teacher", texts, weights=True, max_position_embeddings=64)
    write_model(tmp_path / "student", texts, hidden_size=8)
    few = {name: part.subset(list(range(60))) for name, part in data.splits.items()}
    small = type(data)("few", few["train"], few["test"], data.class_names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StackingWarning)
        study = search(
            small,
            out=tmp_path / "study",
            progress=Silent(),
            **{
                **SMALL,
                "teacher": "hf:teacher",
                "student": student,
                "epochs": 1,
                "student_epochs": 1,
                "search_seeds": 1,
            },
        )
    shutil.move(study.folder / "student", tmp_path / "delivered")
    shutil.rmtree(tmp_path / "student")
    classifier = load_student(tmp_path / "delivered")
    assert classifier([("cards1 word2", "cards3"), ("", "")]).shape == (2, 4)
    assert set(classifier.predict({"title": ["cash1"], "body": ["cash2"]})) <= set(NAMES)
    with pytest.raises(DataError, match=r"Each example is 2 texts \(title, body\)"):
        classifier(["cards1"])
