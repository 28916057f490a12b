"""The tables on how students are trained are those of the committed results."""

import json

import pytest
import torch

import student_tuning as tuning
import student_tuning_page as page
from goodteacher.data import prepare
from goodteacher.training.machine import Machine
from tests.made import dataset


@pytest.fixture(scope="module")
def found():
    return json.loads(page.FILE.read_text())


def test_page_holds_the_tables_of_the_results(found):
    text = page.PAGE.read_text()
    assert page.page_of(text, found) == text, "run python experiments/student_tuning_page.py"


def row(**values):
    """A setting of the grid."""
    plain = {"arm": "labels", "batch_size": 32, "learning_rate": 0.004, "epochs": 10, "n": 2}
    return {**plain, "selection": 0.8, "test": 0.8, "second_half": 0.0, **values}


def test_rules_are_counted_on_trainings_that_were_too_short_and_long_enough():
    short = [row(second_half=0.1), row(epochs=30, selection=0.85, test=0.85, second_half=0.1)]
    done = [row(arm="T=2"), row(arm="T=2", epochs=30, test=0.801)]
    shaky = [
        row(arm="T=8", second_half=0.1),
        row(arm="T=8", epochs=30, selection=0.804, test=0.801),
    ]
    table = page.curves_table({"made": [*short, *done, *shaky]})
    assert "detected (of 1)" in table
    assert "false alarms (of 2)" in table
    curve, both = table.splitlines()[2:]
    assert curve.endswith("| 100.0 % | 50.0 % |")
    assert both.endswith("| 100.0 % | 0.0 % |")


def test_seeds_are_averaged_and_the_second_half_is_of_the_curve():
    def made(test):
        points = [[k / 8, 0.5 + k / 100, 1.0, 2.0 - k / 10, 0.3] for k in range(1, 9)]
        shared = {"arm": "labels", "batch_size": 32, "learning_rate": 0.004, "epochs": 10}
        return {**shared, "curve": points, "test": test}

    (found,) = page.compact([made(0.8), made(0.9)])
    assert found["n"] == 2
    assert found["test"] == pytest.approx(0.85)
    assert found["second_half"] == pytest.approx(0.4)


def test_students_of_a_case_train_on_examples_as_networks_see_them():
    machine = Machine(torch.device("cpu"))
    parts = prepare(dataset())
    tuning.networks_of.cache_clear()
    try:
        examples = tuning.examples_of(parts, parts.transfer, machine)
        assert len(examples) == len(parts.transfer)
        (arms, students) = tuning.arms_of(middle=True), [("labels", 2e-3), ("T=2", 4e-3)]
        response = torch.zeros(len(parts.transfer), parts.num_classes)
        case = tuning.CASES["digits"]
        trainer = tuning.trainer_of(
            case, parts, response, students, tuning.plan_of(32), 4, 0, machine
        )
        assert torch.isfinite(trainer.run_until(4).mean_loss).all()
        assert {name for name, _ in students} <= arms.keys()
    finally:
        tuning.networks_of.cache_clear()
