"""Somebody else's model is asked, and is left as it was."""

import random
from collections import UserDict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from goodteacher.data import Split
from goodteacher.errors import ModelError
from goodteacher.teachers import Asked, stored

FEATURES = Split.from_arrays(torch.arange(14.0).reshape(7, 2), torch.zeros(7).long())
TEXTS = Split.from_texts(["a", "bb", "ccc"], [0, 1, 0])


def ask(model, split=FEATURES, **options):
    return Asked(model, 3, **{"at_once": 3, **options})(split)


def linear():
    torch.manual_seed(0)
    return nn.Linear(2, 3)


def test_answers_are_those_of_the_examples_in_order_whatever_the_batch():
    model = linear()
    expected = model(FEATURES.inputs).detach()
    for at_once in (1, 3, 7, 100):
        torch.testing.assert_close(ask(model, at_once=at_once), expected)


def test_images_come_as_they_are_stored():
    images = Split.from_arrays(torch.full((4, 1, 2, 2), 200, dtype=torch.uint8), [0, 1, 2, 0])
    seen = []

    def model(batch):
        seen.append(batch)
        return torch.zeros(len(batch), 3)

    ask(model, images)
    assert [batch.dtype for batch in seen] == [torch.uint8, torch.uint8]
    assert int(seen[0].min()) == 200


def test_texts_come_as_a_list_of_strings():
    assert stored(TEXTS, torch.tensor([2, 0])) == ["ccc", "a"]
    lengths = ask(lambda batch: torch.tensor([[len(t), 0.0, 0.0] for t in batch]), TEXTS)
    assert lengths[:, 0].tolist() == [1, 2, 3]


def test_what_prepare_makes_becomes_keywords_or_arguments():
    def named(*, ids, mask):
        return torch.stack([ids, mask, ids], 1)

    as_mapping = ask(named, prepare=lambda x: UserDict(ids=x[:, 0], mask=x[:, 1]))
    as_tuple = ask(lambda a, b: torch.stack([a, b, a], 1), prepare=lambda x: (x[:, 0], x[:, 1]))
    assert torch.equal(as_mapping, as_tuple)
    assert as_mapping[:, 1].tolist() == FEATURES.inputs[:, 1].tolist()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: x,
        lambda x: (x, "hidden"),
        lambda x: {"loss": None, "logits": x},
        lambda x: SimpleNamespace(logits=x),
        lambda x: x.numpy(),
        lambda x: x.double(),
        lambda x: x.bfloat16(),
    ],
)
def test_logits_are_found_in_what_libraries_return(wrap):
    assert torch.equal(ask(lambda x: wrap(x[:, :1].expand(-1, 3))), FEATURES.inputs[:, [0, 0, 0]])


def test_every_part_has_its_own_mode_again():
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(2), linear())
    model.train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = ask(model), ask(model)
    assert torch.equal(first, second)
    assert (model.training, model[0].training, model[1].training) == (True, True, False)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_modes_are_given_back_after_an_error_too():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(5, 3))
    with pytest.raises(ModelError, match=r"failed on a batch of float32 \[3, 2\]"):
        ask(model)
    assert model[0].training


def test_random_generators_go_on_as_if_nothing_had_been_asked():
    def draws():
        return random.random(), np.random.rand(), float(torch.rand(()))

    def model(batch):
        draws()
        return torch.rand(len(batch), 3)

    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    expected = draws()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    ask(model)
    assert draws() == expected


def test_a_loop_of_mixed_precision_does_not_round_the_answers():
    model = linear()
    expected = ask(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ask(model), expected)
        assert model(FEATURES.inputs).dtype == torch.bfloat16


def test_no_gradient_is_kept_and_none_is_lost():
    model = linear()
    model(FEATURES.inputs).sum().backward()
    before = model.weight.grad.clone()
    assert not ask(model).requires_grad
    assert torch.equal(model.weight.grad, before)


def test_batches_go_where_the_model_is():
    class Elsewhere(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1, device="meta"))
            self.seen = []

        def forward(self, batch):
            self.seen.append(batch.device.type)
            return torch.zeros(len(batch), 3)

    model = Elsewhere()
    ask(model)
    assert set(model.seen) == {"meta"}


def test_wrappers_of_parallel_modules_are_looked_through_and_left():
    model = nn.DataParallel(linear())
    assert torch.equal(ask(model), ask(model.module))


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (lambda x: torch.zeros(3, len(x)), "a row for each class. Return the transpose"),
        (lambda x: torch.zeros(len(x)).long(), "look like class numbers"),
        (lambda x: torch.zeros(len(x)), "One number for each example is not a response"),
        (lambda x: torch.zeros(len(x), 1), "One number for each example is not a response"),
        (lambda x: torch.zeros(len(x) - 1, 3), "drop or pad a batch"),
        (lambda x: torch.zeros(len(x) + 4, 3), "drop or pad a batch"),
        (lambda x: torch.zeros(len(x), 5), "5 classes and the data have 3"),
        (lambda x: torch.zeros(len(x), 3, 2), "or under the name 'logits'"),
        (lambda x: ["cat"] * len(x), "without logits"),
        (lambda x: None, "without logits"),
        (lambda x: 1 / 0, "If it needs them in another form, pass prepare="),
    ],
)
def test_what_is_no_row_of_logits_for_each_example_is_refused(model, told):
    with pytest.raises(ModelError, match=told):
        ask(model, at_once=4)


def test_an_error_in_prepare_is_told_as_such():
    with pytest.raises(ModelError, match=r"prepare failed on a batch of 3 texts \(KeyError: 'x'"):
        ask(linear(), TEXTS, prepare=lambda batch: {}["x"])


def test_batches_are_halved_where_memory_runs_out():
    sizes = []

    def model(batch):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return batch[:, :1].expand(-1, 3)

    assert torch.equal(ask(model, at_once=7), FEATURES.inputs[:, [0, 0, 0]])
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]
