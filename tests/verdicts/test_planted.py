"""The students of the calibration benchmark are the library's, and its teachers what they say."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from goodteacher.config import Optimization, Recipe, RuntimeConfig
from goodteacher.data import Split
from goodteacher.maths.targets import logits_of
from goodteacher.networks import Examples, build_model
from goodteacher.networks.normalization import no_normalization
from goodteacher.training.loop import Trainer
from goodteacher.training.machine import choose_machine
from goodteacher.training.objective import StackObjective
from goodteacher.training.stacking import stack_networks

PATH = Path(__file__).parent.parent.parent / "benchmarks" / "planted.py"


@pytest.fixture(scope="module")
def planted():
    spec = importlib.util.spec_from_file_location("planted", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["planted"] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["planted"]


@pytest.mark.parametrize("name", ["mixture", "images"])
def test_students_are_those_that_the_library_trains(planted, name):
    task = planted.TASKS[name]
    problem = planted.draw(task, 3, test_size=500)
    labels = problem.train[1]
    teachers = [planted.mixed(share=1.0, structure=s) for s in (0.0, 1.0)]
    targets = torch.stack([make(problem.posterior, labels, 3) for make in teachers])
    ours = planted.Students(problem, targets, seeds=[5, 6])
    ours.train(30)
    for number, seed in enumerate(ours.seeds):
        stack = library_students(problem, targets, seed, steps=30)
        theirs = [stack.network.get_parameter(f"{i}.{kind}") for i in (1, 3) for kind in KINDS]
        for mine, wanted in zip(ours.weights, theirs, strict=True):
            mine = mine.view(2, 2, *wanted.shape[1:])[number]
            torch.testing.assert_close(mine, wanted.detach(), rtol=1e-3, atol=1e-5)
        right = stack(problem.tests[0][0]).argmax(-1) == problem.tests[0][1]
        agree = torch.from_numpy(ours.correct(problem.tests[0])[:, number]) == right
        assert agree.double().mean() > 0.998


KINDS = ("weight", "bias")


def library_students(problem, targets, seed, *, steps):
    task = problem.task
    shape = (task.dimensions,)
    network = build_model(f"mlp:{task.hidden}", num_classes=task.classes, inputs=shape, seed=seed)
    machine = choose_machine(RuntimeConfig(device="cpu", precision="float32"))
    stack = stack_networks([network] * len(targets), example_input=problem.train[0][:2])
    plan = Optimization(
        optimizer="adam",
        learning_rate=task.learning_rate,
        schedule="cosine",
        batch_size=task.batch_size,
    )
    split = Split(*problem.train, torch.arange(task.train))
    examples = Examples(split, no_normalization(split.inputs))
    responses = logits_of(targets).float()[:, None]
    trainer = Trainer(
        stack,
        StackObjective(responses, [0, 1], [Recipe()] * 2, examples, device=machine.device),
        examples,
        plan=plan,
        total_steps=task.steps,
        order_seed=seed,
        machine=machine,
    )
    trainer.run_until(steps)
    return stack


@pytest.mark.parametrize("name", ["mixture", "images"])
def test_posterior_is_calibrated(planted, name):
    """Of the examples that it gives a class some probability, that share is of the class."""
    problem = planted.draw(planted.TASKS[name], 0, test_size=10)
    probs = torch.softmax(problem.posterior, 1)
    of_label = torch.nn.functional.one_hot(problem.train[1], probs.shape[1]).double()
    for low, high in ((0.05, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        inside = (probs >= low) & (probs < high)
        error = (probs[inside] * (1 - probs[inside])).sum().sqrt() / inside.sum()
        difference = (probs[inside] - of_label[inside]).mean().abs()
        assert difference < 3 * error


def test_runs_draw_different_tasks_and_the_same_run_the_same(planted):
    task = planted.TASKS["mixture"]
    first, again, other = (planted.draw(task, run, test_size=10) for run in (0, 0, 1))
    assert torch.equal(first.posterior, again.posterior)
    assert not torch.equal(first.posterior, other.posterior)
