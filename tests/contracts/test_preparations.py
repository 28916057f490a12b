"""What every preparation holds to; a new one is added to `CASES`."""

import json
import sys
import types

import numpy as np
import pytest
import torch
from torch import nn

from goodteacher.data import Dataset, Split, TableRows, prepare, rows_spec
from goodteacher.networks import PREPARATIONS, Preparations, preparation_from, split_spec
from goodteacher.networks.preparation import STEPS
from tests.tiny_models import (
    HAS_TIMM,
    HAS_TORCHVISION,
    HAS_TRANSFORMERS,
    write_model,
    write_processor,
    write_vit,
    write_wav2vec,
)

N = 40


def pictures(count, seed):
    shape = (count, 2, 6, 5)
    inputs = np.random.default_rng(seed).integers(0, 200, shape).astype(np.uint8)
    return Split.from_arrays(inputs, np.arange(count) % 2, np.arange(count) + 1000 * seed)


def colours(count, seed):
    shape = (count, 3, 12, 10)
    inputs = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    return Split.from_arrays(inputs, np.arange(count) % 2, np.arange(count) + 1000 * seed)


def grays(count, seed):
    whole = colours(count, seed)
    return Split(whole.inputs[:, :1], whole.labels, whole.ids)


def vectors(count, seed):
    inputs = np.random.default_rng(seed).normal(3, 2, (count, 4))
    return Split.from_arrays(inputs, np.arange(count) % 2, np.arange(count) + 1000 * seed)


def series(count, seed):
    inputs = np.random.default_rng(seed).normal(3, [[2], [9]], (count, 2, 5))
    return Split.from_arrays(inputs, np.arange(count) % 2, np.arange(count) + 1000 * seed)


def tokens(count, seed):
    inputs = np.random.default_rng(seed).integers(0, 30, (count, 6))
    return Split.from_arrays(inputs, np.arange(count) % 2, np.arange(count) + 1000 * seed)


def fields(count, seed):
    inputs = {"ids": tokens(count, seed).inputs, "series": series(count, seed).inputs}
    return Split.from_arrays(inputs, np.arange(count) % 2, np.arange(count) + 1000 * seed)


def table(count, seed):
    """Numbers with gaps, and words of which one is missing at times and another never seen."""
    drawn = np.random.default_rng(seed)
    inputs = np.stack([drawn.normal(5, 3, count), drawn.integers(-1, 3, count)], 1)
    inputs[::7, 0], inputs[::9, 1] = np.nan, np.nan
    spec = rows_spec({"size": None, "colour": ("blue", "green", "red")})
    rows = TableRows(torch.from_numpy(inputs).float(), spec)
    return Split.from_arrays(rows, np.arange(count) % 2, np.arange(count) + 1000 * seed)


def texts(count, seed):
    words = np.random.default_rng(seed).integers(30, size=(count, 6))
    made = [" ".join(f"word{n}" for n in row) for row in words]
    return Split.from_texts(made, np.arange(count) % 2, np.arange(count) + 1000 * seed)


def columns(count, seed):
    made = texts(count, seed).texts
    both = {"title": made, "body": made[::-1]}
    return Split.from_texts(both, np.arange(count) % 2, np.arange(count) + 1000 * seed)


CASES = {
    "normalised images": (pictures, "mlp:4", {}),
    "images in 0..1": (pictures, "mlp:4", {"normalization": "none"}),
    "smaller images": (pictures, "mlp:4@resize:3x2", {}),
    "smaller images in 0..1": (pictures, "mlp:4@resize:5", {"normalization": "none"}),
    "raw images": (pictures, "mlp:4@raw", {}),
    "normalised vectors": (vectors, "mlp:4", {}),
    "vectors as they are": (vectors, "mlp:4", {"normalization": "none"}),
    "raw vectors": (vectors, "mlp:4@raw", {}),
    "normalised series": (series, "mlp:4", {}),
    "raw series": (series, "mlp:4@raw", {}),
    "normalised whole numbers": (tokens, "mlp:4", {}),
    "raw whole numbers": (tokens, "mlp:4@raw", {}),
    "whole numbers as they are": (tokens, "python:mine:make@integers", {}),
    "fields": (fields, "python:mine:make", {}),
    "raw fields": (fields, "python:mine:make@raw", {}),
    "rows of a table": (table, "mlp:4", {}),
    "rows of a table, not scaled": (table, "mlp:4", {"normalization": "none"}),
    "terms": (texts, "mlp:4", {}),
    "as many terms as the setting says": (texts, "mlp:4", {"tfidf_features": 12}),
    "fewer terms": (texts, "mlp:4@tfidf:7", {}),
    "terms of columns": (columns, "mlp:4", {}),
    "fewer terms of columns": (columns, "mlp:4@tfidf:7", {}),
}
WITHOUT = {"tokens", "tokenizer", "waveform", "pixels", "crop", "channels"}
"""Kinds and steps that come with networks of packages which are not here."""
if HAS_TRANSFORMERS:
    CASES["tokens"] = (texts, "hf:tiny bert@home", {})
    CASES["few tokens"] = (texts, "hf:tiny bert@home@tokens:5", {})
    CASES["tokens of pairs"] = (columns, "hf:tiny bert@home", {})
    CASES["few tokens of pairs"] = (columns, "hf:tiny bert@home@tokens:9", {})
    CASES["images as a model wants them"] = (colours, "hf:tiny vit", {})
    CASES["gray images as a model wants them"] = (grays, "hf:tiny vit", {})
    CASES["a window of images"] = (colours, "hf:tiny vit with window", {})
    CASES["images at a size"] = (colours, "hf:tiny vit@pixels:7x9", {})
    CASES["sound as a model wants it"] = (vectors, "hf:tiny wav2vec@waveform", {})
    WITHOUT = set()
if HAS_TIMM:
    CASES["images as timm wants them"] = (colours, "timm:test_vit", {})
    CASES["images of timm at a size"] = (grays, "timm:test_resnet@pixels:9", {})
    WITHOUT -= {"pixels", "crop", "channels"}
if HAS_TORCHVISION:
    CASES["images as torchvision wants them"] = (colours, "torchvision:resnet18@pixels:9", {})


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder in which a model of transformers stands, where that is installed."""
    folder = tmp_path_factory.mktemp("models")
    if HAS_TRANSFORMERS:
        write_model(folder / "tiny bert@home", [f"word{n}" for n in range(30)])
        write_vit(folder / "tiny vit")
        window = {"size": {"shortest_edge": 20}, "crop_size": 16, "do_center_crop": True}
        turned = {"image_processor_type": "MobileViTImageProcessor", "do_flip_channel_order": True}
        write_vit(folder / "tiny vit with window")
        write_processor(
            folder / "tiny vit with window", turned.pop("image_processor_type"), **window, **turned
        )
        write_wav2vec(folder / "tiny wav2vec")
    return folder


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


class Any(nn.Module):
    """Takes anything."""

    def __init__(self, num_classes):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_classes))

    def forward(self, inputs):
        first = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
        return first.float().flatten(1).mean(1, keepdim=True) * self.weight


@pytest.fixture(autouse=True)
def my_module(monkeypatch, models):
    monkeypatch.chdir(models)
    monkeypatch.setitem(sys.modules, "mine", types.SimpleNamespace(make=Any))


def fitted(case, *, test_seed=2, validation_seed=3):
    make, spec, settings = case
    validation = make(20, validation_seed)
    data = Dataset("made", make(N, 1), make(20, test_seed), ("a", "b"), validation)
    parts = prepare(data)
    return parts, Preparations(parts, **settings).of(spec)


def raw_of(split):
    """All examples as stored; tensors are copies."""
    return split.stored.rows(torch.arange(len(split)))


def rows_of(raw, rows):
    return {name: part[rows] for name, part in raw.items()} if isinstance(raw, dict) else raw[rows]


def parts_of(prepared):
    """The tensors of a batch by field, one of none."""
    return prepared if isinstance(prepared, dict) else {"": prepared}


def same(one, other):
    one, other = parts_of(one), parts_of(other)
    equal = (torch.equal(one[n].nan_to_num(1e9), other[n].nan_to_num(1e9)) for n in one)
    return one.keys() == other.keys() and all(equal)


def kinds_of(record):
    """Every kind of step in the record of a preparation, those of fields too."""
    for step in record["steps"]:
        yield step["kind"]
        for field in step.get("fields", {}).values():
            yield from kinds_of(field)


def test_every_kind_and_every_step_is_a_case():
    asked = {split_spec(spec)[1].partition(":")[0] for _, spec, _ in CASES.values()}
    assert asked - {""} == PREPARATIONS.keys() - WITHOUT
    assert {k for c in CASES.values() for k in kinds_of(fitted(c)[1].to_dict())} == (
        STEPS.keys() - WITHOUT
    )


def test_only_the_training_part_is_looked_at(case):
    one, other = fitted(case), fitted(case, test_seed=8, validation_seed=9)
    assert one[0].fingerprint != other[0].fingerprint
    assert one[1].to_dict() == other[1].to_dict()


def test_output_is_what_was_promised(case):
    parts, preparation = fitted(case)
    raw, before = raw_of(parts.training), raw_of(parts.training)
    found = preparation(raw)
    promised = preparation.output(parts.spec)
    specs = promised.fields if promised.kind == "fields" else {"": promised}
    assert parts_of(found).keys() == specs.keys()
    for name, part in parts_of(found).items():
        whole = specs[name].kind == "integers"
        assert part.dtype == (torch.int64 if whole else torch.float32)
        assert part.shape == (N, *specs[name].shape)
        assert bool(part.isfinite().all())
    assert preparation.from_texts == parts.is_text
    assert raw == before if parts.is_text else same(raw, before)


def test_examples_are_prepared_the_same_again_alone_and_in_batches(case):
    parts, preparation = fitted(case)
    raw = raw_of(parts.selection)
    whole = preparation(raw)
    assert same(preparation(raw), whole)
    for size in (1, 7):
        batches = [
            parts_of(preparation(rows_of(raw, slice(first, first + size))))
            for first in range(0, len(parts.selection), size)
        ]
        joined = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
        assert same(joined, whole)


def test_saved_and_loaded_it_gives_the_same_to_the_last_bit(case):
    parts, preparation = fitted(case)
    raw = raw_of(parts.selection)
    loaded = preparation_from(json.loads(json.dumps(preparation.to_dict())))
    assert same(loaded(raw), preparation(raw))
    assert loaded.to_dict() == preparation.to_dict()
    assert loaded.from_texts == preparation.from_texts
    assert loaded.output(parts.spec) == preparation.output(parts.spec)


def test_it_is_a_module_that_has_nothing_to_train(case):
    _, preparation = fitted(case)
    assert isinstance(preparation, nn.Module)
    assert not [*preparation.parameters()]


def test_blank_becomes_zero(case):
    parts, preparation = fitted(case)
    if parts.spec.kind in ("texts", "rows", "fields"):
        pytest.skip("texts, rows and fields have no holes")
    blank = preparation.blank.expand(1, *parts.input_shape).clone()
    prepared = preparation(blank)
    if parts.input_shape[0] == 1 and parts.spec.kind == "images":  # one value for three channels
        prepared = prepared.mean(1)
    assert prepared.abs().max() < (1e-5 if parts.input_shape[0] != 1 else 0.1)
