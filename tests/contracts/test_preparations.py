"""What every preparation holds to; a new one is added to `CASES`."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from goodteacher.data import Dataset, Split, prepare
from goodteacher.networks import PREPARATIONS, Preparations, preparation_from
from goodteacher.networks.preparation import STEPS

N = 40


def pictures(count, seed):
    shape = (count, 2, 6, 5)
    inputs = np.random.default_rng(seed).integers(0, 200, shape).astype(np.uint8)
    return Split.from_arrays(inputs, np.arange(count) % 2, np.arange(count) + 1000 * seed)


def vectors(count, seed):
    inputs = np.random.default_rng(seed).normal(3, 2, (count, 4))
    return Split.from_arrays(inputs, np.arange(count) % 2, np.arange(count) + 1000 * seed)


def texts(count, seed):
    words = np.random.default_rng(seed).integers(30, size=(count, 6))
    made = [" ".join(f"word{n}" for n in row) for row in words]
    return Split.from_texts(made, np.arange(count) % 2, np.arange(count) + 1000 * seed)


CASES = {
    "normalised images": (pictures, "mlp:4", {}),
    "images in 0..1": (pictures, "mlp:4", {"normalization": "none"}),
    "smaller images": (pictures, "mlp:4@resize:3x2", {}),
    "smaller images in 0..1": (pictures, "mlp:4@resize:5", {"normalization": "none"}),
    "raw images": (pictures, "mlp:4@raw", {}),
    "normalised vectors": (vectors, "mlp:4", {}),
    "vectors as they are": (vectors, "mlp:4", {"normalization": "none"}),
    "raw vectors": (vectors, "mlp:4@raw", {}),
    "terms": (texts, "mlp:4", {}),
    "as many terms as the setting says": (texts, "mlp:4", {"tfidf_features": 12}),
    "fewer terms": (texts, "mlp:4@tfidf:7", {}),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def fitted(case, *, test_seed=2, validation_seed=3):
    make, spec, settings = case
    validation = make(20, validation_seed)
    data = Dataset("made", make(N, 1), make(20, test_seed), ("a", "b"), validation)
    parts = prepare(data)
    return parts, Preparations(parts, **settings).of(spec)


def raw_of(split):
    return split.inputs if split.texts is None else split.texts


def test_every_kind_and_every_step_is_a_case():
    asked = {spec.partition("@")[2].partition(":")[0] for _, spec, _ in CASES.values()}
    assert asked - {""} == PREPARATIONS.keys()
    steps = [step for case in CASES.values() for step in fitted(case)[1].to_dict()["steps"]]
    assert {step["kind"] for step in steps} == STEPS.keys()


def test_only_the_training_part_is_looked_at(case):
    one, other = fitted(case), fitted(case, test_seed=8, validation_seed=9)
    assert one[0].fingerprint != other[0].fingerprint
    assert one[1].to_dict() == other[1].to_dict()


def test_output_is_float32_of_the_shape_that_is_promised(case):
    parts, preparation = fitted(case)
    before = raw_of(parts.training) if parts.is_text else raw_of(parts.training).clone()
    found = preparation(raw_of(parts.training))
    assert found.dtype == torch.float32
    assert found.shape == (N, *preparation.output_shape(parts.input_shape))
    assert bool(found.isfinite().all())
    assert preparation.from_texts == parts.is_text
    after = raw_of(parts.training)
    assert after == before if parts.is_text else torch.equal(after, before)


def test_examples_are_prepared_the_same_again_alone_and_in_batches(case):
    parts, preparation = fitted(case)
    raw = raw_of(parts.selection)
    whole = preparation(raw)
    assert torch.equal(preparation(raw), whole)
    for size in (1, 7):
        batches = [preparation(raw[first : first + size]) for first in range(0, len(raw), size)]
        assert torch.equal(torch.cat(batches), whole)


def test_saved_and_loaded_it_gives_the_same_to_the_last_bit(case):
    parts, preparation = fitted(case)
    raw = raw_of(parts.selection)
    loaded = preparation_from(json.loads(json.dumps(preparation.to_dict())))
    assert torch.equal(loaded(raw), preparation(raw))
    assert loaded.to_dict() == preparation.to_dict()
    assert loaded.from_texts == preparation.from_texts
    assert loaded.output_shape(parts.input_shape) == preparation.output_shape(parts.input_shape)


def test_it_is_a_module_that_has_nothing_to_train(case):
    _, preparation = fitted(case)
    assert isinstance(preparation, nn.Module)
    assert not [*preparation.parameters()]


def test_blank_becomes_zero(case):
    parts, preparation = fitted(case)
    if parts.is_text:
        pytest.skip("texts have no holes")
    blank = preparation.blank.expand(1, *parts.input_shape).clone()
    assert preparation(blank).abs().max() < 1e-5
