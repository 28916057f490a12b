"""A delivered student takes what can be meant in one way only, and says how to convert the rest."""

import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from goodteacher import load_student, search
from goodteacher.data import rows_spec
from goodteacher.data.spec import InputSpec
from goodteacher.delivery.classifier import Classifier, StudentCard
from goodteacher.errors import DataError, StudyError
from goodteacher.networks import Chain, Network, Normalization, as_stored, build_model
from tests.made import SETTINGS, dataset

GRAY, COLOUR, FEATURES = (1, 8, 6), (3, 8, 6), (5,)
NAMES = ("ant", "bee", "cow")


def student(shape, mean=0.5):
    image = len(shape) == 3
    card = StudentCard(
        architecture="mlp:4",
        class_names=NAMES,
        inputs=InputSpec(kind="images" if image else "numbers", shape=shape),
        arm="labels",
        seed=0,
        selection_accuracy=0.5,
        test_accuracy=0.5,
    )
    unit = 255.0 if image else 1.0
    preparation = Chain(Normalization(torch.tensor(mean), torch.tensor(0.5), unit))
    module = build_model("mlp:4", num_classes=3, inputs=shape, seed=0)
    return Classifier(Network(preparation, module), card).eval()


def stored(shape, count=4):
    generator = torch.Generator().manual_seed(0)
    if len(shape) == 3:
        return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)
    return torch.randn(count, *shape, generator=generator)


SAME = {
    "an array": (GRAY, lambda x: x.numpy()),
    "a read-only array": (
        GRAY,
        lambda x: np.frombuffer(x.numpy().tobytes(), "u1").reshape(x.shape),
    ),
    "nested lists": (FEATURES, lambda x: x.tolist()),
    "whole floats": (COLOUR, lambda x: x.double()),
    "integers": (COLOUR, lambda x: x.long()),
    "big-endian integers": (COLOUR, lambda x: x.numpy().astype(">i4")),
    "float64 features": (FEATURES, lambda x: x.double().numpy()),
    "without a channel": (GRAY, lambda x: x[:, 0]),
    "a network's weights' graph": (FEATURES, lambda x: x.clone().requires_grad_()),
}


@pytest.mark.parametrize("kind", SAME)
def test_other_form_of_the_same_examples_gives_the_same_logits(kind):
    shape, change = SAME[kind]
    inputs = stored(shape)
    with torch.inference_mode():
        expected = student(shape)(inputs)
    torch.testing.assert_close(student(shape)(change(inputs)).detach(), expected.clone())


@pytest.mark.parametrize("shape", [GRAY, COLOUR, FEATURES])
def test_one_example_is_a_batch_of_one(shape):
    inputs = stored(shape)
    expected = student(shape)(inputs)[:1]
    torch.testing.assert_close(student(shape)(inputs[0]), expected)
    if shape == GRAY:
        torch.testing.assert_close(student(shape)(inputs[0, 0]), expected)


REFUSED = {
    "floats in 0..1": (GRAY, lambda x: x / 255, r"float32 between .* divided by 255.*\(255 \* in"),
    "black floats": (GRAY, lambda x: 0.0 * x, "divided by 255"),
    "normalised": (GRAY, lambda x: (x / 255 - 0.5) / 0.5, "Were they normalised"),
    "above 255": (GRAY, lambda x: x.int() + 300, "between 3.* and 5.*Were they normalised"),
    "NaN pixels": (GRAY, lambda x: x * torch.nan, "values 0 to 255"),
    "fractions": (GRAY, lambda x: x * 0.99, r"with fractions.*round\(\).to\(torch.uint8\)"),
    "channels last": (COLOUR, lambda x: x.permute(0, 2, 3, 1), r"inputs.permute\(0, 3, 1, 2\)"),
    "one, channels last": (COLOUR, lambda x: x[0].permute(1, 2, 0), r"inputs.permute\(2, 0, 1\)"),
    "gray, channels last": (GRAY, lambda x: x.permute(0, 2, 3, 1), r"transpose\(0, 3, 1, 2\)"),
    "another size": (
        GRAY,
        lambda x: x.repeat(1, 1, 2, 2),
        "Resize them first to height 8 and width 6",
    ),
    "sides swapped": (GRAY, lambda x: x.mT, "Resize them first to height 8 and width 6"),
    "flat": (COLOUR, lambda x: x.flatten(1), r"inputs.reshape\(-1, 3, 8, 6\)"),
    "colours to gray": (GRAY, lambda x: x.repeat(1, 3, 1, 1), "trained on grey images"),
    "gray to colours": (COLOUR, lambda x: x[:, :1], r"inputs.repeat\(1, 3, 1, 1\)"),
    "no channels": (COLOUR, lambda x: x[:, 0], r"inputs\[:, None\].repeat\(1, 3, 1, 1\)"),
    "four channels": (COLOUR, lambda x: x[:, [0, 1, 2, 0]], "4 channels instead of 3"),
    "booleans": (GRAY, lambda x: x > 9, r"values of type torch.bool"),
    "another number": (FEATURES, lambda x: x[:, :3], "3 features instead of 5"),
    "images": (FEATURES, lambda x: x[:, :, None, None], r"inputs.reshape\(len\(inputs\), -1\)"),
    "a scalar": (FEATURES, lambda x: x[0, 0], "Give one row for each example"),
    "NaN": (FEATURES, lambda x: x.masked_fill(x > 1, torch.nan), "of 4 examples hold NaN"),
    "too large": (FEATURES, lambda x: x.double() * 1e300, "too large for float32"),
    "strings": (FEATURES, lambda x: ["a", "b"], "got a list of str"),
    "ragged": (FEATURES, lambda x: [[1.0], [1.0, 2.0]], "do its rows differ in length"),
    "nothing": (FEATURES, lambda x: None, "got a NoneType"),
    "complex": (FEATURES, lambda x: x.to(torch.complex64), "values of type torch.complex64"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_it_was_not_trained_on_is_refused_with_the_way_out(kind):
    shape, change, message = REFUSED[kind]
    with pytest.raises(DataError, match=message):
        student(shape).predict(change(stored(shape)))


def test_bytes_that_were_fractions_are_warned_of():
    bits = torch.ones(2, *GRAY, dtype=torch.uint8)
    with pytest.warns(UserWarning, match="All values of these images are 0 or 1 of 255"):
        student(GRAY)(bits)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        student(GRAY, mean=0.5 / 255)(bits)  # trained on bits
        student(GRAY)(0 * bits)
        student(GRAY)(2 * bits)


def test_predictions_are_names_and_probabilities_in_their_order():
    classifier, inputs = student(FEATURES), stored(FEATURES)
    probabilities = classifier.predict_proba(inputs.numpy())
    assert probabilities.shape == (4, 3)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(4))
    best = probabilities.argmax(1).tolist()
    assert classifier.predict(inputs) == [classifier.class_names[number] for number in best]
    assert classifier(inputs[:0]).shape == (0, 3)


# Damage of a delivered student.


@pytest.fixture(scope="module")
def delivered(tmp_path_factory):
    settings = {**SETTINGS, "epochs": 1, "student_epochs": 1, "search_seeds": 1, "rungs": 1}
    study = search(dataset(), out=tmp_path_factory.mktemp("studies") / "s", **settings)
    return study.folder / "student"


def edited(**changes):
    return lambda content: json.dumps({**json.loads(content), **changes}).encode()


def prepared(kind="normalize", **step):
    return lambda content: json.dumps({"steps": [{"kind": kind, **step}]}).encode()


DAMAGE = {
    "cut short": ("model.safetensors", lambda b: b[: len(b) // 2], "Was it cut short"),
    "header cut": ("model.safetensors", lambda b: b[:5], "Was it cut short"),
    "empty weights": ("model.safetensors", lambda b: b"", "it is empty"),
    "noise": ("model.safetensors", lambda b: bytes(range(256)) * 9, "Copy it again"),
    "lfs": (
        "model.safetensors",
        lambda b: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "git lfs pull",
    ),
    "web page": ("model.safetensors", lambda b: b"<!DOCTYPE html><html>", "it is a web page"),
    "other network": ("config.json", edited(architecture="mlp:9"), r"1.weight is \[3, 6\] instead"),
    "deeper network": ("config.json", edited(architecture="mlp:3,3"), "missing are 5.weight"),
    "more classes": ("config.json", edited(class_names=list("abcdefg")), "another network"),
    "unknown family": ("config.json", edited(architecture="mpl:9"), "cannot be made.*mpl"),
    "factory": ("config.json", edited(architecture="python:os:_exit"), "nothing of it has run"),
    "nothing in it": ("config.json", lambda b: b"{}", "architecture: Field required"),
    "a list": ("config.json", lambda b: b"[1]", "card of a student"),
    "types": ("config.json", edited(seed="x", class_names=3), "class_names: Input should be"),
    "no preparation": ("preparation.json", lambda b: b"[]", "a list of steps under the key"),
    "no steps": ("preparation.json", lambda b: b'{"steps": []}', "a list of steps under the key"),
    "normalization": ("preparation.json", prepared(mean="x"), "keys mean, std"),
    "text in numbers": (
        "preparation.json",
        prepared(kind="normalize", mean="x", std=1, unit=1),
        "'normalize' of a preparation cannot be read",
    ),
    "another length": (
        "preparation.json",
        prepared(kind="normalize", mean=[0, 0], std=[1, 1], unit=1),
        "how a student's inputs are prepared",
    ),
    "no such step": ("preparation.json", prepared(kind="blur"), "one of normalize, resize"),
    "no size": ("preparation.json", prepared(kind="resize", size=[0, 4], mode="area"), "for 0x4"),
    "images": (
        "preparation.json",
        prepared(kind="resize", size=[2, 2], mode="area"),
        "are not images",
    ),
    "conflict": ("config.json", lambda b: b"<<<<<<< HEAD\n" + b, "marks of a merge conflict"),
    "half": ("config.json", lambda b: b[: len(b) // 2], "Was it edited, cut short"),
    "wrong encoding": (
        "config.json",
        lambda b: b.replace(b"mlp", b"\xff\xfe"),
        "card of a student",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_student_is_refused_with_the_file_and_what_to_do(delivered, tmp_path, kind):
    name, change, message = DAMAGE[kind]
    copy = tmp_path / "student"
    shutil.copytree(delivered, copy)
    (copy / name).write_bytes(change((copy / name).read_bytes()))
    with pytest.raises(StudyError, match=message) as caught:
        load_student(copy)
    assert str(copy) in str(caught.value)


def test_missing_or_misnamed_student_is_refused(delivered, tmp_path):
    with pytest.raises(StudyError, match="there is no such folder"):
        load_student(tmp_path / "nowhere")
    with pytest.raises(StudyError, match=r"it has no config\.json"):
        load_student(tmp_path)
    with pytest.raises(StudyError, match="is a study, and its student is in"):
        load_student(delivered.parent)
    with pytest.raises(StudyError, match=r"it is a file\. Name the folder"):
        load_student(delivered / "config.json")
    copy = tmp_path / "student"
    shutil.copytree(delivered, copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(StudyError, match=r"model\.safetensors cannot be read: No such file"):
        load_student(copy)
    (copy / "model.safetensors").mkdir()
    with pytest.raises(StudyError, match="it is a folder, not a file"):
        load_student(copy)


# --- numbers of a table, by the names of their columns -------------------------------------------

NAMED = InputSpec(kind="numbers", shape=(3,), columns=("a", "b", "c"))
TABLE = {"c": [3.0, 6.0], "more": ["x", "y"], "a": [1, 4], "b": [2.5, 5.5]}
IN_ORDER = [[1.0, 2.5, 3.0], [4.0, 5.5, 6.0]]


def polars_of(table):
    return pytest.importorskip("polars").DataFrame(table)


KINDS_OF_TABLE = {
    "pandas": pd.DataFrame,
    "pandas with an index": lambda table: pd.DataFrame(table, index=[7, 3]),
    "polars": polars_of,
    "arrow": pa.table,
    "dictionary": dict,
    "dictionaries": lambda table: pd.DataFrame(table).to_dict("records"),
}


@pytest.mark.parametrize("kind", KINDS_OF_TABLE)
def test_numbers_are_taken_by_the_names_of_their_columns(kind):
    found = as_stored(KINDS_OF_TABLE[kind](TABLE), NAMED)
    assert found.dtype == torch.float32
    assert found.tolist() == IN_ORDER


@pytest.mark.parametrize("kind", KINDS_OF_TABLE)
def test_columns_of_numbers_that_are_missing_are_named(kind):
    table = {name: values for name, values in TABLE.items() if name not in ("a", "c")}
    with pytest.raises(
        DataError, match=r"does not have the columns 'a', 'c'; it has .*'b'.* had\.$"
    ):
        as_stored(KINDS_OF_TABLE[kind](table), NAMED)


def test_one_row_of_numbers_may_be_a_dictionary():
    assert as_stored({"c": 3, "b": 2.5, "a": 1}, NAMED).tolist() == IN_ORDER[:1]


@pytest.mark.parametrize("make", [np.array, torch.tensor, list])
def test_numbers_without_names_are_taken_by_their_places(make):
    assert as_stored(make(IN_ORDER), NAMED).tolist() == IN_ORDER


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([1.0, None], r"1 of 2 examples hold NaN.*\(rows 1\)"),
        ([1e39, 1.0], r"too large for float32 \(rows 0\)"),
        (["x", "2"], r"Column 'b' must hold numbers.*'x'"),
    ],
)
def test_gaps_and_words_among_numbers_are_refused(column, message):
    with pytest.raises(DataError, match=message):
        as_stored({**TABLE, "b": column}, NAMED)


def test_a_key_that_no_dictionary_has_is_no_gap():
    spec = rows_spec({"a": None, "b": ("x",)})
    with pytest.raises(DataError, match=r"does not have the columns 'b'.*may be None"):
        as_stored([{"a": 1}, {"a": 2, "bb": "x"}], spec)
    stored = as_stored([{"a": 1}, {"b": "x"}], spec)
    assert stored.isnan().tolist() == [[False, True], [True, False]]
