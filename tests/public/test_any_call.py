"""Properties of every public function: what holds whatever it is given."""

import contextlib
import importlib
import inspect
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import goodteacher
from goodteacher import (
    compare,
    distill,
    doctor,
    export,
    ladder_targets,
    load_dataset,
    load_student,
    plan,
    record_checkpoints,
    respond,
    score,
    search,
    split,
    track,
    tuned_cpu,
    verify,
)
from goodteacher.errors import GoodteacherError

HERE = "tests.public.test_any_call"
HELD = {
    "compare": f"{HERE}:test_what_is_no_study_is_refused_and_nothing_is_written",
    "distill": f"{HERE}:test_what_is_no_setting_is_refused_and_nothing_is_written",
    "distillation_loss": "tests.maths.test_losses:test_kl_is_finite_and_not_negative",
    "doctor": f"{HERE}:test_the_doctor_finds_the_same_in_any_order_of_rows",
    "export": f"{HERE}:test_what_is_no_study_is_refused_and_nothing_is_written",
    "import_recipe": "tests.public.test_recipes:"
    "test_any_text_is_translated_or_refused_but_never_fails_otherwise",
    "ladder_targets": f"{HERE}:test_targets_are_probabilities_that_go_with_their_rows",
    "load_dataset": f"{HERE}:test_arrays_are_divided_as_they_were_given",
    "load_student": f"{HERE}:test_what_is_no_study_is_refused_and_nothing_is_written",
    "plan": f"{HERE}:test_what_is_no_setting_is_refused_and_nothing_is_written",
    "read_response": "tests.responses.test_responses:"
    "test_every_kind_of_file_round_trips_logits_and_ids",
    "record_checkpoints": f"{HERE}:test_what_is_no_setting_is_refused_and_nothing_is_written",
    "respond": f"{HERE}:test_a_model_is_asked_about_each_example_and_what_it_says_is_kept",
    "score": f"{HERE}:test_a_score_does_not_depend_on_the_order_of_rows_or_classes",
    "search": f"{HERE}:test_what_is_no_setting_is_refused_and_nothing_is_written",
    "similarity_information": "tests.maths.test_similarity:"
    "test_the_chain_rule_is_exact_and_everything_stays_in_range",
    "split": f"{HERE}:test_a_split_is_a_partition_of_the_training_ids",
    "track": f"{HERE}:test_a_tracker_that_nobody_knows_is_refused",
    "tuned_cpu": f"{HERE}:test_threads_are_given_back",
    "verify": f"{HERE}:test_what_is_no_study_is_refused_and_nothing_is_written",
}
"""The property of each public function: the module and the test that holds it."""

QUICK = settings(max_examples=8, deadline=None)


def test_every_public_function_has_a_property():
    names = {name for name in goodteacher.__all__ if inspect.isroutine(getattr(goodteacher, name))}
    assert HELD.keys() == names


@pytest.mark.parametrize("name", HELD)
def test_property_of_a_public_function_is_one(name):
    module, _, test = HELD[name].partition(":")
    assert hasattr(getattr(importlib.import_module(module), test), "hypothesis")


def arrays(seed=0, rows=24, classes=3):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(2 * rows, 4)).astype(np.float32)
    labels = np.arange(rows) % classes
    given = {"x_train": inputs[:rows], "y_train": labels, "ids_train": np.arange(rows) * 2}
    return given | {"x_test": inputs[rows:], "y_test": labels, "ids_test": np.arange(rows) * 2 + 1}


@contextlib.contextmanager
def empty_folder():
    """A folder that must stay empty."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
        assert list(Path(folder).iterdir()) == []


# --- what is refused -----------------------------------------------------------------------------

CALLS = {
    "search": lambda out, **given: search(
        arrays(), teacher="mlp:4", student="mlp:2", out=out, **given
    ),
    "distill": lambda out, **given: distill(
        arrays(), responses=np.zeros((24, 3), np.float32), student="mlp:2", out=out, **given
    ),
    "plan": lambda out, **given: plan(arrays(), teacher="mlp:4", student="mlp:2", **given),
    "record_checkpoints": lambda out, **given: record_checkpoints(
        arrays(), model="mlp:2", checkpoints=out / "none.pt", out=out, **given
    ),
    "split": lambda out, **given: split(arrays(), out=out, **given),
}


@pytest.mark.parametrize("name", CALLS)
@QUICK
@given(
    setting=st.from_regex(r"\A[a-z]{3,9}_[xyz]\Z"),
    value=st.none() | st.integers() | st.floats() | st.text(),
)
def test_what_is_no_setting_is_refused_and_nothing_is_written(name, setting, value):
    with empty_folder() as out, pytest.raises(GoodteacherError, match=setting):
        CALLS[name](out / "x", **{setting: value})


NO_STUDIES = {
    "verify": lambda path, out: verify(path),
    "export": lambda path, out: export(path, out=out),
    "load_student": lambda path, out: load_student(path),
    "compare": lambda path, out: compare(path, path + "x"),
}


@pytest.mark.parametrize("name", NO_STUDIES)
@QUICK
@given(path=st.text(max_size=300).filter(lambda text: "://" not in text))
def test_what_is_no_study_is_refused_and_nothing_is_written(name, path):
    with empty_folder() as out, pytest.raises(GoodteacherError):
        NO_STUDIES[name](f"{out}/{path}", out / "x")


@QUICK
@given(name=st.text(max_size=20))
def test_a_tracker_that_nobody_knows_is_refused(name):
    with empty_folder() as out, pytest.raises(GoodteacherError):
        track(out / "x", f"no {name}")


# --- what comes out as it went in ----------------------------------------------------------------


@QUICK
@given(seed=st.integers(0, 99), rows=st.integers(6, 30), classes=st.integers(2, 3))
def test_arrays_are_divided_as_they_were_given(seed, rows, classes):
    asked = arrays(seed, rows, classes)
    data = load_dataset(asked)
    for name, part in (("train", data.train), ("test", data.test)):
        order = np.argsort(asked[f"ids_{name}"])
        assert part.ids.tolist() == sorted(asked[f"ids_{name}"].tolist())
        assert part.labels.tolist() == asked[f"y_{name}"][order].tolist()
        assert torch.equal(part.inputs, torch.from_numpy(asked[f"x_{name}"][order]))


@QUICK
@given(seed=st.integers(0, 99), share=st.floats(0.2, 0.5))
def test_a_split_is_a_partition_of_the_training_ids(seed, share):
    asked = arrays(seed, rows=60)
    with tempfile.TemporaryDirectory() as out:
        found = split(asked, out=Path(out) / "ids", selection_fraction=share, split_seed=seed)
    training, selection = set(found.training), set(found.selection)
    assert training | selection == set(asked["ids_train"].tolist())
    assert not training & selection
    assert set(found.test) == set(asked["ids_test"].tolist())
    assert len(selection) == pytest.approx(60 * share, abs=3)


@QUICK
@given(seed=st.integers(0, 99))
def test_a_model_is_asked_about_each_example_and_what_it_says_is_kept(seed):
    asked = arrays(seed, rows=90)
    weights = np.random.default_rng(seed).normal(size=(4, 3)).astype(np.float32)
    with tempfile.TemporaryDirectory() as out:
        found = respond(
            lambda rows: np.asarray(rows) @ weights, asked, out=Path(out) / "r", probabilities=False
        )
        (kept,) = Path(found.folder).glob("responses/*.transfer.*.safetensors")
        logits = goodteacher.read_response(kept)
    said = asked["x_train"] @ weights
    rows = [asked["ids_train"].tolist().index(each) for each in logits.ids.tolist()]
    assert np.allclose(logits.logits.numpy(), said[rows], atol=1e-3)


# --- what must not matter ------------------------------------------------------------------------


@QUICK
@given(seed=st.integers(0, 99), temperature=st.floats(0.5, 8))
def test_a_score_does_not_depend_on_the_order_of_rows_or_classes(seed, temperature):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(40, 4)), np.arange(40) % 4
    rows, classes = rng.permutation(40), rng.permutation(4)
    place = np.argsort(classes)
    first = score(logits, labels=labels, temperatures=(temperature,))
    other = score(logits[rows][:, classes], labels=place[labels[rows]], temperatures=(temperature,))
    (one,), (two,) = (
        [
            each.model_dump(exclude={"split"})
            for each in found.measurements
            if each.temperature == temperature
        ]
        for found in (first, other)
    )
    assert one == pytest.approx(two, rel=1e-4, abs=1e-6)


@QUICK
@given(seed=st.integers(0, 99))
def test_the_doctor_finds_the_same_in_any_order_of_rows(seed):
    asked = arrays(seed, rows=30)
    rows = np.random.default_rng(seed).permutation(30)
    train = {name: asked[name][rows] for name in ("x_train", "y_train", "ids_train")}
    found = [(each.severity, each.code) for each in doctor(asked)]
    assert found
    assert [(each.severity, each.code) for each in doctor({**asked, **train})] == found


@QUICK
@given(
    seed=st.integers(0, 99),
    rows=st.integers(2, 12),
    classes=st.integers(2, 6),
    temperature=st.floats(0.2, 50),
)
def test_targets_are_probabilities_that_go_with_their_rows(seed, rows, classes, temperature):
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(scale=4, size=(rows, classes)).astype(np.float32))
    labels = torch.from_numpy(rng.integers(0, classes, rows))
    order = torch.from_numpy(rng.permutation(rows))
    targets = ladder_targets(logits, labels, temperature=temperature)
    moved = ladder_targets(logits[order], labels[order], temperature=temperature)
    assert targets.keys() == moved.keys()
    for name, each in targets.items():
        assert each.shape == (rows, classes)
        assert (each >= 0).all()
        assert torch.allclose(each.sum(1), torch.ones(rows), atol=1e-5)
        if name in ("one_hot", "confidence_smoothing", "full_response"):
            assert torch.allclose(moved[name], each[order], atol=1e-6)


@QUICK
@given(threads=st.integers(-3, 8))
def test_threads_are_given_back(threads):
    before = torch.get_num_threads()
    if threads < 1:
        with pytest.raises(GoodteacherError, match="threads"), tuned_cpu(threads=threads):
            pass
    else:
        with tuned_cpu(threads=threads):
            assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == before
