import pytest

from goodteacher.config import StudyConfig, parse, run_order
from goodteacher.errors import ConfigError


def study(**settings):
    return parse(StudyConfig, data="digits", teacher="mlp:8", student="mlp:8", **settings)


@pytest.mark.parametrize(
    ("lists", "names"),
    [
        ({}, ["batch 32", "batch 128"]),
        (
            {"learning_rates": [0.003, 0.01]},
            ["batch 32 lr 0.003", "batch 128 lr 0.003", "batch 32 lr 0.01", "batch 128 lr 0.01"],
        ),
        (
            {"teacher_seeds": [0, 7]},
            ["batch 32 seed 0", "batch 128 seed 0", "batch 32 seed 7", "batch 128 seed 7"],
        ),
        (
            {"batch_sizes": 32, "learning_rates": [1.0, 0.1], "teacher_seeds": [1, 2]},
            [
                "batch 32 lr 1 seed 1",
                "batch 32 lr 1 seed 2",
                "batch 32 lr 0.1 seed 1",
                "batch 32 lr 0.1 seed 2",
            ],
        ),
    ],
)
def test_runs_are_the_product_and_their_names_say_what_varies(lists, names):
    runs = study(**{"batch_sizes": [32, 128], **lists}).runs
    assert [planned.name for planned in runs] == names


def test_attributes_of_a_run_are_all_told_whether_they_vary_or_not():
    (planned,) = study(batch_sizes=[64], learning_rates=0.01, teacher_seeds=3).runs
    assert planned.run.attributes == {"batch_size": 64, "learning_rate": 0.01, "seed": 3}


def test_learning_rates_that_differ_in_the_last_digit_have_other_names():
    names = [planned.name for planned in study(learning_rates=[0.1, 0.1 + 1e-9]).runs]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["learning_rates", "teacher_seeds"])
def test_lists_of_runs_are_neither_empty_nor_doubled(name):
    with pytest.raises(ConfigError, match=f"{name} must contain at least one value"):
        study(**{name: []})
    with pytest.raises(ConfigError, match=f"{name} may contain each value only once"):
        study(**{name: [1, 1]})


def test_lists_are_read_as_the_command_line_writes_them():
    config = study(learning_rates="0.001, 0.003", teacher_seeds="0,1,2")
    assert (config.learning_rates, config.teacher_seeds) == ((0.001, 0.003), (0, 1, 2))


def test_rule_scales_each_learning_rate_with_the_batch_size():
    config = study(
        batch_sizes=[32, 128], learning_rates=[0.1, 0.2], lr_rule="linear", teacher_seeds=[5]
    )
    peaks = {
        planned.name: config.teacher_optimization(
            planned.batch_size, planned.learning_rate
        ).learning_rate
        for planned in config.runs
    }
    assert peaks == pytest.approx(
        {
            "batch 32 lr 0.1": 0.025,
            "batch 128 lr 0.1": 0.1,
            "batch 32 lr 0.2": 0.05,
            "batch 128 lr 0.2": 0.2,
        }
    )


def test_cheaper_runs_are_of_the_same_learning_rate_and_seed():
    config = study(batch_sizes=[32, 128], learning_rates=[0.1, 0.2], teacher_seeds=[0, 1])
    assert config.cheaper_than("batch 32 lr 0.2 seed 1") == ("batch 128 lr 0.2 seed 1",)
    assert config.cheaper_than("batch 128 lr 0.2 seed 1") == ()


def test_order_groups_runs_that_differ_by_their_batch_size_alone():
    config = study(batch_sizes=[128, 32], learning_rates=[0.2, 0.1])
    ordered = sorted((planned.run for planned in config.runs), key=run_order)
    assert [run.name for run in ordered] == [
        "batch 32 lr 0.1",
        "batch 128 lr 0.1",
        "batch 32 lr 0.2",
        "batch 128 lr 0.2",
    ]
