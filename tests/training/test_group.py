import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goodteacher.training.group import ALONE, divide, part_of


@given(st.integers(1, 40), st.none() | st.integers(1, 12), st.integers(1, 6))
def test_processes_together_compute_each_batch_once(count, piece, size):
    """The mean over processes of what they weigh is the mean over the batch."""
    counted = torch.zeros(count, dtype=torch.float64)
    divisions = [divide(count, piece, rank, size) for rank in range(size)]
    for division in divisions:
        own = division.of(torch.arange(count))
        parts = own.split(list(division.lengths))
        for rows, weight in zip(parts, division.weights, strict=True):
            counted[rows] += weight / len(rows) / size
    assert torch.allclose(counted, torch.full_like(counted, 1 / count))
    assert len({len(division.lengths) for division in divisions}) == 1
    assert all(min(division.lengths) > 0 for division in divisions)


@given(st.integers(0, 50), st.integers(1, 8))
def test_parts_are_even_and_in_order(count, size):
    parts = [list(range(count))[part_of(count, rank, size)] for rank in range(size)]
    assert [x for part in parts for x in part] == list(range(count))
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_a_process_alone_takes_all_as_it_is():
    division = divide(5, None)
    batch = torch.tensor([4, 2, 0, 1, 3])
    assert division.of(batch) is batch
    assert division.weights == (1.0,)
    assert division.divided == (False,)
    assert ALONE.leads
    assert ALONE.part(5) == slice(0, 5)


@pytest.mark.parametrize(
    ("piece", "divided"), [(None, (True,)), (4, (True, True)), (3, (False, False, False))]
)
def test_pieces_smaller_than_the_group_are_not_divided(piece, divided):
    assert divide(8, piece, 1, 4).divided == divided
