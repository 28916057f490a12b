"""Each student of a stack has a learning rate of its own."""

import pytest
import torch

from goodteacher.config import Optimization, RuntimeConfig
from goodteacher.data import prepare
from goodteacher.networks import Preparations
from goodteacher.records.arms import CROSS_ENTROPY
from goodteacher.training.loop import Trainer
from goodteacher.training.machine import choose_machine
from goodteacher.training.objective import StackObjective
from goodteacher.training.stacking import stack_networks
from tests.made import dataset

RATES = [0.02, 0.004, 0.001]


def trained(rates, *, optimizer="adam", weight_decay=0.0, peak=None):
    """Weights of students after 30 steps at learning rates of their own, by student."""
    machine = choose_machine(RuntimeConfig(device="cpu", precision="float32"))
    parts = prepare(dataset())
    networks = Preparations(parts)
    examples = networks.examples("mlp:5", parts.transfer, device=machine.device)
    network = networks.network("mlp:5", seed=0).module
    stack = stack_networks([network] * len(rates), example_input=examples.inputs(torch.arange(2)))
    plain = torch.zeros(1, len(examples), 4)
    recipes = [CROSS_ENTROPY.recipe] * len(rates)
    trainer = Trainer(
        stack,
        StackObjective([plain], [0] * len(rates), recipes, examples, device=machine.device),
        examples,
        plan=Optimization(
            optimizer=optimizer,
            learning_rate=peak or rates[0],
            weight_decay=weight_decay,
            schedule="cosine",
            batch_size=32,
        ),
        total_steps=30,
        order_seed=0,
        machine=machine,
        learning_rates=None if peak else torch.tensor(rates, dtype=torch.float64),
    )
    trainer.run_until(30)
    return [stack.state_dict_of(number) for number in range(len(rates))]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_stacked_student_learns_as_one_alone_at_its_rate(optimizer, weight_decay):
    together = trained(RATES, optimizer=optimizer, weight_decay=weight_decay)
    for rate, found in zip(RATES, together, strict=True):
        (alone,) = trained([rate], optimizer=optimizer, weight_decay=weight_decay, peak=rate)
        for name, tensor in alone.items():
            torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=2e-5)


def test_students_of_other_rates_differ():
    first, second, third = trained(RATES)
    for name, tensor in first.items():
        if tensor.dim() > 1:
            assert not torch.allclose(tensor, second[name], atol=1e-3)
            assert not torch.allclose(second[name], third[name], atol=1e-3)


def test_equal_rates_give_the_very_numbers_of_one_rate_for_all():
    for ours, theirs in zip(trained([0.01] * 3), trained([0.01] * 3, peak=0.01), strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
