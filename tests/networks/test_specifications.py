"""Any text is a specification of a network or is refused; one network has one canonical form."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goodteacher.config.augmentation import Augmentation
from goodteacher.errors import ConfigError, ModelError
from goodteacher.networks import build_model
from goodteacher.networks.build import canonical_spec
from goodteacher.networks.fitting import PREPARATIONS, canonical_clause, split_spec

PARTS = ["mlp", "cnn", "resnet", "wrn", "linear", "given", "python", "hf", "MLP", "Cnn"]
MARKS = [
    ":",
    ",",
    "x",
    "X",
    "-",
    "@",
    " ",
    "resize",
    "tfidf",
    "raw",
    "tokens",
    "0",
    "1",
    "08",
    "20",
]
WRITTEN = st.one_of(
    st.text(max_size=12),
    st.lists(st.sampled_from([*PARTS, *MARKS, "é", "٣", "."]), max_size=7).map("".join),
)


@settings(max_examples=150)
@given(WRITTEN)
def test_any_text_has_a_canonical_form_of_its_own_or_is_refused(text):
    try:
        canonical = canonical_spec(text)
    except ModelError:
        return
    assert canonical_spec(canonical) == canonical
    assert canonical_spec(f"  {canonical}\n") == canonical


@given(
    widths=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    zeros=st.integers(0, 2),
    space=st.sampled_from(["", " ", "\t"]),
    upper=st.booleans(),
)
def test_ways_to_write_one_network_have_one_form_and_make_one_network(widths, zeros, space, upper):
    numbers = f"{space},{space}".join("0" * zeros + str(width) for width in widths)
    written = f"{space}{'MLP' if upper else 'mlp'}{space}:{space}{numbers}"
    canonical = f"mlp:{','.join(map(str, widths))}"
    assert canonical_spec(written) == canonical
    made = [build_model(s, num_classes=2, inputs=(3,), seed=4) for s in (written, canonical)]
    states = [module.state_dict() for module in made]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@given(st.integers(1, 9999), st.integers(1, 9999))
def test_size_of_images_is_written_once_where_both_sides_are_alike(height, width):
    clause = canonical_clause("mlp:8", f"resize:{height:05}X{width}")
    assert clause == (f"resize:{height}" if height == width else f"resize:{height}x{width}")
    assert canonical_clause("mlp:8", clause) == clause


@pytest.mark.parametrize("kind", PREPARATIONS)
def test_example_of_every_preparation_is_a_specification(kind):
    spec = PREPARATIONS[kind].example
    architecture, clause = split_spec(spec)
    assert clause.partition(":")[0] == kind
    assert canonical_spec(spec) == f"{architecture}@{clause}"


@pytest.mark.parametrize(
    ("clause", "message"),
    [
        ("resize", "malformed after the @: it must be @resize:SIDE"),
        ("resize:", "malformed"),
        ("resize:0", "malformed"),
        ("resize:10000", "malformed"),
        ("resize:3x", "malformed"),
        ("resize:-3", "malformed"),
        ("tfidf:0", "malformed after the @: it must be @tfidf:TERMS"),
        ("tfidf:1.5", "malformed"),
        ("raw:1", "malformed after the @: it must be @raw, without an argument"),
        ("raw:", "malformed"),
        ("integers:3", "malformed"),
        ("tokens:0", "malformed"),
        ("tfdf:3", "unknown preparation 'tfdf'.*Did you mean 'mlp:64@tfidf:512'"),
        ("crop:3", "unknown preparation 'crop'"),
        ("", "unknown preparation ''"),
    ],
)
def test_malformed_preparation_is_refused_with_its_grammar(clause, message):
    with pytest.raises(ModelError, match=message):
        canonical_clause(f"mlp:64@{clause}", clause)


@pytest.mark.parametrize(
    ("spec", "divided"),
    [
        ("mlp:64", ("mlp:64", "")),
        ("mlp:64@raw", ("mlp:64", "raw")),
        ("hf:a@b", ("hf:a@b", "")),
        ("hf:a@b@tokens", ("hf:a@b", "tokens")),
        ("hf:a@tokens:12", ("hf:a", "tokens:12")),
        ("hf:a@Tokens:12", ("hf:a", "Tokens:12")),
        ("hf:tokens", ("hf:tokens", "")),
    ],
)
def test_at_sign_in_a_name_is_no_preparation(spec, divided):
    assert split_spec(spec) == divided


# --- augmentations, written in the same way ------------------------------------------------------

WORDS = ["flip", "crop", "cutout", "mixup", "shift", ":", "4", "0.5", "-1", "nan", ",", "noise"]


@settings(max_examples=200)
@given(
    st.lists(
        st.one_of(st.text(max_size=8), st.lists(st.sampled_from(WORDS), max_size=4).map("".join)),
        max_size=3,
    )
)
def test_any_words_are_an_augmentation_or_are_refused(words):
    try:
        found = Augmentation.parse(tuple(words))
    except ConfigError:
        return
    assert isinstance(found, Augmentation)
