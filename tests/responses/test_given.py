"""Responses that the user brings: fitted by name and id, examined before training."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import goodteacher
from goodteacher.cli import app
from goodteacher.data import Dataset, Split, prepare
from goodteacher.errors import ResponseError
from goodteacher.public.checking import doctor
from goodteacher.public.distillation import distill
from goodteacher.public.verification import verify
from goodteacher.responses import Response, as_response
from goodteacher.responses.examination import examine_response
from goodteacher.responses.fitting import fitted_response

NAMES = ("cat", "dog", "emu", "fox")
QUICK = {
    "student": "mlp:3",
    "student_epochs": 3,
    "student_batch_size": 32,
    "seeds": 3,
    "temperature": 4.0,
    "precision": "float32",
    "device": "cpu",
}


def dataset(num_train=240, num_test=120, *, apart=False, seed=0):
    """Four bumps; ids of the splits overlap, or are apart."""
    rng = np.random.default_rng(seed)
    splits, first = [], 0
    for size in (num_train, num_test):
        labels = np.arange(size) % 4
        inputs = 1.5 * np.eye(4)[labels] + rng.normal(size=(size, 4))
        ids = np.arange(size) + (first if apart else 0)
        splits.append(Split.from_arrays(inputs.astype(np.float32), labels, ids))
        first += size
    return Dataset("bumps", *splits, NAMES)


def teacher(split, scale=1.5):
    """The posterior of the bumps, raw logits."""
    return (scale * split.inputs).float()


def fitted(given, data=None, **settings):
    data = data or dataset()
    response = as_response(given, class_names=data.class_names, **settings)
    return fitted_response(response, data)


def messages(response, data):
    return {f.code: f.message for f in examine_response(response, prepare(data))}


# --- classes by name -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelled", ["{}", "logit_{}", "prob_{}", "P({})", "p.{}", "Logit {}", "logits/{}"]
)
@pytest.mark.parametrize("form", ["csv", "parquet", "frame", "npz"])
def test_named_columns_are_matched_in_any_order(tmp_path, spelled, form):
    data, order = dataset(), [2, 0, 3, 1]
    values = teacher(data.train).numpy()[:, order]
    names = [spelled.format(NAMES[c]) for c in order]
    frame = pd.DataFrame(values, columns=names)
    path = tmp_path / f"r.{form}"
    if form == "csv":
        frame.to_csv(path, index=False)
    elif form == "parquet":
        frame.to_parquet(path, index=False)
    elif form == "npz":
        np.savez(path, logits=values, class_names=np.array(names))
    found = fitted(frame if form == "frame" else path, data)
    torch.testing.assert_close(found.logits, teacher(data.train))
    assert any("by name" in note for note in found.notes)


@pytest.mark.parametrize("names", [["cat", "dog", "emu"], ["cat", "dog", "emu", "fox", "gnu"]])
def test_names_of_fewer_or_more_classes_are_refused_by_name(names):
    values = np.random.default_rng(0).normal(size=(240, len(names)))
    with pytest.raises(ResponseError, match=r"'fox'|'gnu' is not one of the data's 4 classes"):
        fitted(pd.DataFrame(values, columns=names))


def test_names_of_other_classes_are_refused_with_both_sides():
    values = pd.DataFrame(teacher(dataset().train).numpy(), columns=["cat", "dog", "emu", "cow"])
    with pytest.raises(
        ResponseError, match="only the response has 'cow', only the data have 'fox'"
    ):
        fitted(values)
    with pytest.raises(ResponseError, match="logit_0, logit_1"):
        fitted({"logits": teacher(dataset().train), "classes": np.array(["a", "b", "c", "d"])})


@pytest.mark.parametrize("names", ["logit_{}", "class_{}", "{}", "c{}"])
@pytest.mark.parametrize("first", [0, 1])
def test_columns_that_count_mean_positions(names, first):
    values = teacher(dataset().train).numpy()
    columns = [names.format(number) for number in range(first, first + 4)]
    found = fitted(pd.DataFrame(values, columns=columns))
    torch.testing.assert_close(found.logits, teacher(dataset().train))


def test_numbers_are_names_where_classes_are_called_by_numbers():
    data = dataset()
    data = Dataset("numbers", data.train, data.test, ("0", "1", "10", "2"))
    values = pd.DataFrame(teacher(data.train).numpy()[:, [0, 1, 3, 2]], columns=[0, 1, 2, 10])
    torch.testing.assert_close(fitted(values, data).logits, teacher(data.train))


def test_another_number_of_classes_or_a_transposed_response_is_named():
    with pytest.raises(ResponseError, match=r"has 5 classes, but the data have 4.*row number"):
        fitted(torch.randn(240, 5))
    with pytest.raises(ResponseError, match=r"row for each class\. Give the transpose"):
        fitted(teacher(dataset().train).T)


# --- examples by id ------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [False, True])
def test_ids_that_count_from_one_are_named(apart):
    data = dataset(apart=apart)
    with pytest.raises(ResponseError, match="Every id of the response is 1 above"):
        fitted({"logits": teacher(data.train), "ids": data.train.ids + 1}, data)


def test_ids_that_the_data_do_not_have_are_refused():
    data = dataset()
    ids = data.train.ids.clone()
    ids[[3, 7]] = torch.tensor([900, 901])
    with pytest.raises(ResponseError, match=r"2 of 240 ids .* not in the data: 900, 901"):
        fitted({"logits": teacher(data.train), "ids": ids}, data)


def test_test_ids_are_known_where_they_are_apart_and_alone_refused():
    data = dataset(apart=True)
    both = torch.cat([teacher(data.train), teacher(data.test)])
    assert fitted({"logits": both, "ids": torch.arange(360)}, data).num_examples == 360
    with pytest.raises(ResponseError, match="has only ids of the test split"):
        fitted({"logits": teacher(data.test), "ids": data.test.ids}, data)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (120, "number is that of the test examples"),
        (360, "number is that of both splits"),
        (224, "16 are missing: was the last, smaller batch dropped"),
        (50, "another split or selection"),
    ],
)
def test_rows_without_ids_must_be_as_many_as_training_examples(rows, reason):
    with pytest.raises(ResponseError, match=rf"{rows} rows and no ids.*test: 120.*{reason}"):
        fitted(torch.randn(rows, 4, generator=torch.Generator().manual_seed(0)))


def test_rows_that_a_sampler_repeated_are_named():
    logits = teacher(dataset().train)
    with pytest.raises(ResponseError, match=r"The last 16 repeat the first.*remove them"):
        fitted(torch.cat([logits, logits[:16]]))


def test_own_labels_of_a_response_tell_that_rows_are_others():
    data = dataset()
    moved = torch.randperm(240, generator=torch.Generator().manual_seed(0))
    given = {"logits": teacher(data.train)[moved], "labels": data.train.labels[moved]}
    with pytest.raises(ResponseError, match=r"shuffle=False"):
        fitted(given, data)
    given["ids"] = moved
    assert fitted(given, data).notes == ()
    given["labels"] = given["labels"].index_fill(0, torch.arange(5), 0)
    assert "labels given with" in fitted(given, data).notes[0]


# --- examined ------------------------------------------------------------------------------------


def test_columns_in_another_order_are_told_with_what_to_do():
    data = dataset()
    found = messages(fitted(teacher(data.train)[:, [1, 0, 2, 3]]), data)
    assert (
        "column 1 fits class 'cat' (class 0), column 0 fits class 'dog'"
        in (found["response_order"])
    )
    assert "name them after the classes" in found["response_order"]


def test_rows_in_another_order_are_told_as_chance():
    data = dataset()
    moved = teacher(data.train)[torch.randperm(240, generator=torch.Generator().manual_seed(0))]
    assert list(messages(fitted(moved), data)) == ["response_chance"]


def test_a_sound_response_has_nothing_to_tell():
    data = dataset()
    assert messages(fitted(teacher(data.train)), data) == {}


def seen(data, *, train, test):
    """A teacher that memorised: certain of labels of ``train``, honest on the rest."""
    sure = 12 * torch.nn.functional.one_hot(data.train.labels, 4).float()
    on_train = torch.where(torch.isin(data.train.ids, train)[:, None], sure, teacher(data.train))
    logits = torch.cat([on_train, teacher(data.test)]) if test else on_train
    return fitted({"logits": logits, "ids": torch.arange(len(logits))}, data)


def test_a_teacher_that_saw_the_selection_split_is_told_with_the_way_out():
    data = dataset(600, 300, apart=True)
    found = messages(seen(data, train=data.train.ids, test=True), data)
    assert "was trained on examples that are meant to be held out" in found["response_seen"]
    assert "out-of-fold" in found["response_seen"]


def test_without_the_test_split_perfection_is_told_as_what_it_is():
    data = dataset(600, 300)
    found = messages(seen(data, train=data.train.ids, test=False), data)
    assert "The teacher is perfect, or it was trained on both" in found["response_seen"]


@pytest.mark.parametrize("test", [False, True])
def test_a_teacher_that_saw_the_transfer_set_only_is_not_accused(test):
    data = dataset(600, 300, apart=True)
    training = prepare(data).training.ids
    assert messages(seen(data, train=training, test=test), data) == {}


@pytest.mark.parametrize("seed", range(10))
def test_an_honest_teacher_is_not_accused(seed):
    data = dataset(600, 300, apart=True, seed=seed)
    nobody = torch.tensor([-5])
    assert messages(seen(data, train=nobody, test=True), data) == {}


def test_comparing_with_the_test_split_is_on_record():
    data = dataset(600, 300, apart=True)
    parts = prepare(data)
    examine_response(seen(data, train=data.train.ids, test=True), parts)
    assert [opening.reason for opening in parts.test.openings] == [
        "compare how well the given teacher knows each split"
    ]
    parts = prepare(data)
    examine_response(seen(data, train=data.train.ids, test=False), parts)
    assert not parts.test.is_open


# --- training ------------------------------------------------------------------------------------


class Heard:
    def __init__(self):
        self.notes = []

    def begin(self, stage, total):
        self.notes.append(f"stage {stage}")

    def advance(self, units, stage=None):
        pass

    def note(self, text):
        self.notes.append(text)


def test_distill_tells_what_it_found_before_it_trains(tmp_path):
    heard = Heard()
    moved = teacher(dataset().train)[:, [1, 0, 2, 3]]
    distill(dataset(), responses=moved, out=tmp_path / "d", progress=heard, **QUICK)
    assert "another order" in heard.notes[0]
    assert heard.notes.index("stage students") > 0


def test_verify_tells_of_the_independent_response_apart(tmp_path):
    heard, moved = Heard(), teacher(dataset().train)[:, [1, 0, 2, 3]]
    verify(
        dataset(),
        responses=teacher(dataset().train),
        independent_responses=moved,
        out=tmp_path / "v",
        progress=heard,
        smoothings=(0.1,),
        **QUICK,
    )
    assert any(note.startswith("independent response: the response's") for note in heard.notes)


def sparse_probabilities():
    """Some are exactly 0."""
    kept = torch.relu(teacher(dataset().train).softmax(1) - 0.1)
    return kept / kept.sum(1, keepdim=True)


@pytest.mark.parametrize("loss", ["kl", "mse", "dkd", "dist", "ttm"])
def test_students_learn_from_probabilities_of_exactly_zero(tmp_path, loss):
    trained = {"student": "mlp:8", "student_epochs": 30, "student_learning_rate": 0.01, "seeds": 1}
    found = distill(
        dataset(),
        responses=sparse_probabilities(),
        probabilities=True,
        loss=loss,
        out=tmp_path / "d",
        **{**QUICK, **trained},
    )
    assert found.test_accuracy > 0.4


def test_a_verdict_takes_probabilities_of_exactly_zero(tmp_path):
    given = {"responses": sparse_probabilities(), "probabilities": True, "smoothings": (0.1,)}
    found = verify(dataset(), out=tmp_path / "v", **given, **QUICK)
    assert all(0.1 < rung.test_accuracy < 1 for rung in found.ladder)


def test_a_response_to_unlabelled_examples_alone_has_no_agreement_to_examine():
    from goodteacher.responses.examination import examine_agreement

    assert examine_agreement(torch.zeros(5, 4), torch.full((5,), -1), NAMES) == []


# --- the doctor ----------------------------------------------------------------------------------


def codes(findings):
    return [finding.code for finding in findings]


def test_the_doctor_examines_a_response_beside_the_data():
    data = dataset()
    sound = doctor(data, responses=teacher(data.train))
    assert [f.severity for f in sound if f.code.startswith("response")] == ["info"]
    moved = doctor(data, responses=teacher(data.train)[:, [1, 0, 2, 3]])
    assert codes(moved)[0] == "response_order"
    assert moved[0].severity == "error"
    assert goodteacher.doctor is doctor


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(3, 4), "has 3 rows and no ids"),
        ({"logits": torch.randn(50, 4), "ids": torch.arange(50)}, "has no row for"),
        (torch.full((240, 4), 0.25), "look like probabilities"),
    ],
)
def test_what_distill_would_refuse_is_an_error_of_the_doctor(given, message):
    first = doctor(dataset(), responses=given)[0]
    assert (first.severity, first.code) == ("error", "response")
    assert message in first.message


def test_the_doctor_examines_a_response_to_data_too_small_to_split():
    rows = torch.arange(8)
    tiny = Split(torch.randn(8, 2), rows % 4, rows)
    findings = doctor(Dataset("tiny", tiny, tiny, NAMES), responses=torch.randn(8, 4))
    assert "response" in codes(findings)


def test_the_command_line_examines_a_response(tmp_path):
    data = dataset()
    arrays = {f"{k}_{s}": getattr(getattr(data, s), v).numpy() for s in ("train", "test")
              for k, v in (("x", "inputs"), ("y", "labels"))}  # fmt: skip
    np.savez(tmp_path / "d.npz", **arrays)
    np.save(tmp_path / "r.npy", teacher(data.train).softmax(1).numpy())
    command = ["doctor", str(tmp_path / "d.npz"), f"--responses={tmp_path / 'r.npy'}"]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2
    assert "look like probabilities" in " ".join(refused.stdout.split())
    read = CliRunner().invoke(app, [*command, "--probabilities", "--json"])
    assert read.exit_code == 0, read.stderr
    assert "response" in codes_of(json.loads(read.stdout)["findings"])


def codes_of(findings):
    return [finding["code"] for finding in findings]


def test_a_response_kept_in_memory_is_checked_like_one_of_a_file():
    given = Response(dataset().train.inputs.softmax(1), torch.arange(240))
    with pytest.raises(ResponseError, match="look like probabilities"):
        fitted(given)
