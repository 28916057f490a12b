import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goodteacher.data import Dataset, SealedSplit, Split, prepare
from goodteacher.errors import ConfigError, DataError

from .conftest import make_dataset, make_features, make_images


def ids(split):
    return set(split.ids.tolist())


def partly_labelled(num_labelled=40, num_unlabelled=10):
    features = make_features(num_labelled + num_unlabelled)
    labels = features.labels.clone()
    labels[-num_unlabelled:] = -1
    return Dataset(
        "partly", Split(features.inputs, labels, features.ids), make_features(), ("a", "b")
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    selection=st.floats(0.1, 0.6),
    transfer=st.floats(0.3, 0.7) | st.just(1.0),
    num_classes=st.integers(2, 5),
)
def test_the_parts_divide_the_training_data(seed, selection, transfer, num_classes):
    data = make_dataset(num_examples=97, num_classes=num_classes)
    parts = prepare(data, selection_fraction=selection, transfer_fraction=transfer, seed=seed)
    assert ids(parts.training) | ids(parts.selection) == set(range(97))
    assert not ids(parts.training) & ids(parts.selection)
    assert ids(parts.transfer) <= ids(parts.training)
    assert len(parts.selection) == round(97 * selection)
    if transfer < 1:
        assert len(parts.transfer) == round(len(parts.training) * transfer)
    for part in (parts.training, parts.transfer, parts.selection):
        counts = torch.bincount(part.labels, minlength=num_classes)
        assert counts.min() >= 1
        assert counts.max() - counts.min() <= 2  # the classes are equal to one example
        rows = part.ids
        assert torch.equal(part.inputs, data.train.inputs[rows])
        assert torch.equal(part.labels, data.train.labels[rows])
        assert torch.equal(rows, rows.sort().values)


def test_the_same_seed_gives_the_same_parts_and_another_seed_others():
    data = make_dataset(num_examples=200)
    first, same, other = (prepare(data, seed=seed, transfer_fraction=0.5) for seed in (3, 3, 4))
    assert torch.equal(first.selection.ids, same.selection.ids)
    assert torch.equal(first.transfer.ids, same.transfer.ids)
    assert ids(first.selection) != ids(other.selection)


def test_the_selection_split_does_not_depend_on_the_transfer_fraction():
    data = make_dataset(num_examples=200)
    whole, tenth = prepare(data), prepare(data, transfer_fraction=0.1)
    assert torch.equal(whole.selection.ids, tenth.selection.ids)
    assert torch.equal(whole.training.ids, tenth.training.ids)


def test_a_whole_transfer_set_is_the_training_split_itself():
    parts = prepare(make_dataset())
    assert parts.transfer is parts.training


@pytest.mark.parametrize("fraction, expected", [(1.0, 36 + 10), (0.5, 18 + 10)])
def test_unlabelled_examples_go_to_the_transfer_set_only(fraction, expected):
    parts = prepare(partly_labelled(), transfer_fraction=fraction)
    assert len(parts.transfer) == expected
    assert set(range(40, 50)) <= ids(parts.transfer)
    assert int((parts.transfer.labels == -1).sum()) == 10
    for part in (parts.training, parts.selection):
        assert part.labels.min() >= 0
    assert ids(parts.transfer) - set(range(40, 50)) <= ids(parts.training)


def test_study_data_carry_what_describes_the_data_set():
    data = make_dataset(make_images, num_classes=4)
    parts = prepare(data, selection_fraction=0.2)
    assert parts.class_names == data.class_names
    assert parts.num_classes == 4
    assert parts.input_shape == (1, 4, 4)
    assert parts.fingerprint == data.fingerprint


@pytest.mark.parametrize("value", [0, -0.1, 1, 1.5, 10, float("nan")])
def test_a_selection_fraction_outside_0_to_1_is_refused(value):
    with pytest.raises(ConfigError, match="selection_fraction must be above 0 and below 1"):
        prepare(make_dataset(), selection_fraction=value)


@pytest.mark.parametrize("value", [0, -0.1, 1.01, float("nan")])
def test_a_transfer_fraction_outside_0_to_1_is_refused(value):
    with pytest.raises(ConfigError, match="transfer_fraction must be above 0 and at most 1"):
        prepare(make_dataset(), transfer_fraction=value)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_numpy_does_not_take_is_refused(seed):
    with pytest.raises(ConfigError, match=r"seed must be in 0\.\.4294967295"):
        prepare(make_dataset(), seed=seed)


@pytest.mark.parametrize(
    "labels, fraction",
    [
        ([0] * 20 + [1], 0.5),  # one example cannot be on both sides
        ([0, 1, 2] * 7, 0.1),  # two selection examples for three classes
        ([0, 1, 2] * 7, 0.9),  # two training examples for three classes
        ([0] * 200 + [1] * 2, 0.01),  # the rare class's share rounds to nothing
    ],
)
def test_a_class_that_would_be_missing_from_a_part_is_refused(labels, fraction):
    split = Split.from_arrays(make_features(len(labels)).inputs, labels)
    names = tuple("abc")[: max(labels) + 1]
    with pytest.raises(DataError, match=r"selection_fraction=.*leaves a class.*smallest classes: "):
        prepare(Dataset("rare", split, split, names), selection_fraction=fraction)


def test_a_transfer_set_without_one_of_the_classes_is_refused():
    with pytest.raises(DataError, match=r"transfer_fraction=0\.02 of 36 labelled"):
        prepare(make_dataset(), transfer_fraction=0.02)


def test_a_sealed_split_shows_its_length_and_ids_only():
    sealed = SealedSplit(make_features(7))
    assert len(sealed) == 7
    assert sealed.ids.tolist() == list(range(7))
    assert repr(sealed) == "<SealedSplit of 7 examples, sealed>"
    for name in ("inputs", "labels"):
        assert not hasattr(sealed, name)
        with pytest.raises(AttributeError, match=rf"sealed. Call open\(reason\) to see its {name}"):
            getattr(sealed, name)
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = sealed.colour
    assert not [value for value in vars(sealed) if not value.startswith("_SealedSplit__")]


def test_every_opening_is_recorded_with_reason_and_time():
    split, log = make_features(7), []
    sealed = SealedSplit(split, on_open=log.append)
    assert not sealed.is_open
    assert sealed.open("final evaluation") is split
    sealed.open("verify")
    assert [opening.reason for opening in sealed.openings] == ["final evaluation", "verify"]
    assert all(opening.time.endswith("+00:00") for opening in sealed.openings)
    assert log == list(sealed.openings)
    assert sealed.is_open
    assert "opened 2 times" in repr(sealed)


def test_a_split_whose_opening_cannot_be_recorded_stays_sealed():
    def refuse(_):
        raise OSError("disk full")

    sealed = SealedSplit(make_features(), on_open=refuse)
    with pytest.raises(OSError, match="disk full"):
        sealed.open("final evaluation")
    assert not sealed.is_open


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_opening_needs_a_reason(reason):
    sealed = SealedSplit(make_features())
    with pytest.raises(DataError, match="needs a reason"):
        sealed.open(reason)
    assert not sealed.is_open


def test_preparing_hands_openings_of_the_test_split_to_the_study():
    log = []
    data = make_dataset()
    parts = prepare(data, on_open=log.append)
    assert log == []
    assert parts.test.open("final evaluation") is data.test
    assert log[0].reason == "final evaluation"
