"""What goes to other processes arrives equal, and lies in memory once."""

import mmap

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goodteacher.data import load_dataset, prepare
from goodteacher.networks import Preparations
from goodteacher.networks.given import specification_of
from goodteacher.studies import hand_over, take

DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.uint8,
    torch.int16,
    torch.int64,
    torch.bool,
)


def there_and_back(value, folder):
    return take(hand_over(value, folder))


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.integers(0, 5), max_size=4),
    transposed=st.booleans(),
)
def test_tensors_of_every_type_and_shape_arrive(dtype, shape, transposed, tmp_path_factory):
    count = int(np.prod(shape, dtype=int))
    tensor = (torch.arange(count) % 7).to(dtype).reshape(shape)
    tensor = tensor.mT if transposed and tensor.ndim > 1 else tensor
    (found,) = there_and_back((tensor,), tmp_path_factory.mktemp("over"))
    assert found.dtype == dtype
    assert found.shape == tensor.shape
    assert torch.equal(found, tensor)


def test_arrays_begin_where_vector_instructions_can_read_them(tmp_path):
    value = [np.arange(count, dtype=np.uint8) for count in (3, 1, 70)]
    handed = hand_over(value, tmp_path)
    found = take(handed)
    assert [begin % 64 for begin, _ in handed.places] == [0, 0, 0]
    for ours, theirs in zip(value, found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def _mapped(array):
    while array is not None and not isinstance(array, mmap.mmap | memoryview):
        array = array.base
    return array is not None


def test_arrays_are_mapped_and_writing_into_them_stays_here(tmp_path):
    handed = hand_over({"a": np.zeros(1000), "t": torch.zeros(1000)}, tmp_path)
    first, second = take(handed), take(handed)
    assert _mapped(first["a"])
    first["a"][:] = 1
    first["t"].fill_(1)
    assert second["a"].sum() == 0
    assert second["t"].sum() == 0
    assert take(handed)["t"].sum() == 0


@pytest.mark.parametrize("rows", [slice(None), slice(3, 7), slice(0, 0), slice(1, None, 2)])
def test_arrays_in_files_are_not_copied_but_opened_again(rows, tmp_path):
    whole = np.arange(60, dtype=np.float32).reshape(10, 6)
    np.save(tmp_path / "whole.npy", whole)
    mapped = np.load(tmp_path / "whole.npy", mmap_mode="r")[rows]
    folder = tmp_path / "over"
    folder.mkdir()
    found = there_and_back(mapped, folder)
    np.testing.assert_array_equal(found, whole[rows])
    in_one_piece = rows.step is None
    assert ((folder / "arrays.bin").stat().st_size == 0) == (in_one_piece or not mapped.size)


def test_functions_and_networks_made_on_the_spot_go_along(tmp_path):
    factor = 3
    network = torch.nn.Linear(2, 1)
    function, copy = there_and_back((lambda x: factor * x, network), tmp_path)
    assert function(2) == 6
    assert torch.equal(copy.weight, network.weight)


def test_networks_given_in_python_can_be_made_where_preparations_arrive(tmp_path, monkeypatch):
    spec = specification_of(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)))
    handed = hand_over(Preparations(prepare(load_dataset("digits"))), tmp_path)
    monkeypatch.setattr("goodteacher.networks.given._GIVEN", {})
    assert take(handed).network(spec, seed=0).module[1].out_features == 10


def test_a_studys_data_and_preparations_arrive(tmp_path):
    data = prepare(load_dataset("digits"))
    networks = Preparations(data)
    before = networks.network("mlp:8@resize:4", seed=1)
    theirs = there_and_back(networks, tmp_path)
    after = theirs.network("mlp:8@resize:4", seed=1)
    few = torch.arange(5)
    for each in (networks, theirs):
        each.few = each.examples("mlp:8@resize:4", each.data.selection, device="cpu").inputs(few)
    assert torch.equal(networks.few, theirs.few)
    with torch.inference_mode():
        assert torch.equal(before.module(networks.few), after.module(theirs.few))
    assert theirs.data.fingerprint == data.fingerprint
