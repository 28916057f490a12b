import torch
from torch import nn

from goodteacher.training.width import stack_width


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))


def test_width_is_budget_over_weights_and_activations():
    parameters = 12 * 8 + 8 + 8 * 3 + 3
    outputs = 12 + 8 + 8 + 3
    each = 18 * parameters + 8 * outputs * 32
    for students in (1, 7, 100):
        width = stack_width(
            network(), torch.zeros(2, 3, 2, 2), batch_size=32, memory_bytes=each * students
        )
        assert width == students


def test_width_is_at_least_one():
    assert stack_width(network(), torch.zeros(2, 12), batch_size=32, memory_bytes=1) == 1


def test_measuring_leaves_the_network_alone():
    original = network().train()
    stack_width(original, torch.zeros(2, 12), batch_size=1, memory_bytes=1)
    assert original.training
    assert not any(module._forward_hooks for module in original.modules())
