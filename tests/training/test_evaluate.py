"""Running trained networks: in pieces of any size, and nothing of them is changed."""

import pytest
import torch
from torch import nn

from goodteacher.data import Split
from goodteacher.networks import Examples
from goodteacher.networks.normalization import no_normalization
from goodteacher.training.evaluate import compute_logits, compute_predictions, most_probable
from goodteacher.training.memory import unless_memory_runs_out

N, D, C = 23, 4, 3


@pytest.fixture
def examples():
    generator = torch.Generator().manual_seed(0)
    split = Split(torch.randn(N, D, generator=generator), torch.arange(N) % C, torch.arange(N))
    return Examples(split, no_normalization(split.inputs))


@pytest.fixture
def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(D, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, C))


class Small(nn.Module):
    """A network on a device that holds few examples at once."""

    def __init__(self, inner, holds):
        super().__init__()
        self.inner, self.holds, self.sizes = inner, holds, []

    def forward(self, inputs):
        self.sizes.append(len(inputs))
        if len(inputs) > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
        return self.inner(inputs)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 22, 23, 24, 2048])
def test_size_of_the_pieces_changes_no_answer(network, examples, batch_size):
    expected = compute_logits(network, examples, batch_size=N)
    found = compute_logits(network, examples, batch_size=batch_size)
    assert found.shape == (N, C)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("holds", "size"), [(1, 2), (5, 8), (100, 16)])
def test_pieces_are_halved_until_memory_holds_them(network, examples, holds, size):
    small = Small(network, holds)
    found = compute_logits(small, examples, batch_size=size)
    torch.testing.assert_close(found, compute_logits(network, examples), rtol=1e-5, atol=1e-6)
    worked = [size for size in small.sizes if size <= holds]
    assert sum(worked) >= N
    assert max(worked) == min(size, 2 ** (holds.bit_length() - 1))


def test_device_that_holds_no_example_says_so(network, examples):
    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        compute_logits(Small(network, 0), examples, batch_size=4)


def test_other_errors_are_not_taken_for_a_lack_of_memory(examples):
    broken = nn.Linear(D + 1, C)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        compute_logits(broken, examples)
    with pytest.raises(ZeroDivisionError):
        unless_memory_runs_out(lambda: 1 // 0)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("not enough memory: you tried to allocate 80 GB"),
    ],
)
def test_lack_of_memory_is_none_and_not_an_error(error):
    def work():
        raise error

    assert unless_memory_runs_out(work) is None


def test_running_a_network_leaves_its_buffers_and_takes_its_average(network, examples):
    network.train()
    network(torch.randn(50, D))  # moves the running statistics off their start
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first, again = compute_logits(network, examples), compute_logits(network, examples)
    assert torch.equal(first, again), "dropout is off"
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not first.requires_grad


def test_logits_are_single_precision_on_the_cpu_whatever_the_network_computes_in(examples):
    class Double(nn.Module):
        def forward(self, inputs):
            return inputs[:, :C].double()

    found = compute_logits(Double(), examples)
    assert (found.dtype, found.device.type) == (torch.float32, "cpu")


def test_stack_has_an_answer_of_each_student(network, examples):
    class Stack(nn.Module):
        def forward(self, inputs):
            return torch.stack([network(inputs), -network(inputs)])

    network.eval()
    found = compute_logits(Stack(), examples, batch_size=5)
    assert found.shape == (2, N, C)
    torch.testing.assert_close(found[0], compute_logits(network, examples), rtol=1e-5, atol=1e-6)
    assert torch.equal(found[1], -found[0])
    predicted = compute_predictions(Stack(), examples, batch_size=5)
    assert torch.equal(predicted, most_probable(found))
    assert predicted.dtype == torch.int32
