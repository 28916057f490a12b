import pytest

from goodteacher.report.quantities import QUANTITIES
from tests.report.build import close, data_summary, diverged, record

# What tests.report.build.measurement says of batch size 32, epoch 4, worked out by hand.
EXPECTED = {
    "similarity": 0.125 + 0.1,
    "class_part": 0.75 * 0.225,
    "instance_part": 0.25 * 0.225,
    "similarity_best_temperature": 0.125 + 0.15,
    "similarity_selection": 0.125 + 0.1 + 0.01,
    "effective_classes": 1.25,
    "accuracy": 94.0,
    "nll": 0.3 + 0.2 + 0.03125,
    "best_nll": 0.3 + 0.2 + 0.03125,
    "optimal_temperature": 1.5,
}


def test_every_quantity_has_an_expected_value():
    assert set(EXPECTED) == set(QUANTITIES)


@pytest.mark.parametrize("name", QUANTITIES)
def test_quantity_reads_its_split_and_temperature(name):
    assert close(QUANTITIES[name].of(record(32, 4)), EXPECTED[name])


@pytest.mark.parametrize("name", QUANTITIES)
def test_diverged_teacher_has_no_value(name):
    assert QUANTITIES[name].of(diverged(32, 4)) is None


def test_setting_names_split_and_number_of_examples():
    data = data_summary()
    assert "transfer set (n = 1,000 examples) at T = 1" in QUANTITIES["similarity"].setting(data)
    assert "selection split (n = 15,000 examples)" in QUANTITIES["accuracy"].setting(data)


def test_axis_carries_the_unit():
    assert QUANTITIES["similarity"].axis == "S at T = 1, nats"
    assert QUANTITIES["effective_classes"].axis == "effective classes"
