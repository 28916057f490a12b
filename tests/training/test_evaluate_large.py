"""Evaluation takes as many examples at once as memory bears, and says the same for any number."""

import pytest
import torch
from torch import nn

from goodteacher.data import Split
from goodteacher.networks import Examples, preparation_from
from goodteacher.networks import examples as gathering
from goodteacher.training.evaluate import compute_logits, compute_predictions


class Counting(nn.Module):
    """Keeps how many examples came at once."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.sizes = []

    def forward(self, inputs):
        self.sizes.append(len(inputs))
        return self.linear(inputs.mean(dim=(2, 3)))


def images(side, count=10):
    pixels = torch.randint(0, 256, (count, 3, 4, 4), dtype=torch.uint8)
    split = Split(pixels, torch.arange(count) % 4, torch.arange(count))
    steps = {"steps": [{"kind": "resize", "size": [side, side], "mode": "nearest"}]}
    return Examples(split, preparation_from(steps))


def test_small_examples_come_many_at_once():
    network = Counting()
    assert compute_logits(network, images(8)).shape == (10, 4)
    assert network.sizes == [10]


@pytest.mark.parametrize(("images_at_once", "expected"), [(3, [3, 3, 3, 1]), (0.5, [1] * 10)])
def test_large_examples_come_a_few_at_a_time(monkeypatch, images_at_once, expected):
    few, many = Counting(), Counting()
    few.load_state_dict(many.state_dict())
    seen = images(16)
    whole = compute_logits(many, seen)
    monkeypatch.setattr(gathering, "_BYTES_AT_ONCE", int(images_at_once * 3 * 16 * 16 * 4))
    found = compute_logits(few, seen)
    assert few.sizes == expected
    torch.testing.assert_close(found, whole)
    assert torch.equal(compute_predictions(few, seen).long(), whole.argmax(-1))


def test_a_batch_size_that_is_asked_for_is_the_most():
    network = Counting()
    compute_logits(network, images(8), batch_size=4)
    assert network.sizes == [4, 4, 2]
