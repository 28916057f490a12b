import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodteacher.config import (
    DistillConfig,
    Recipe,
    StudyConfig,
    TeacherConfig,
    differences,
    digest_of,
    parse,
    read_toml,
    to_toml,
)
from goodteacher.errors import ConfigError
from goodteacher.networks import build_model

EXPERIMENTS = Path(__file__).parent.parent.parent / "experiments"
NAMES = {"data": "digits", "teacher": "mlp:8", "student": "mlp:4"}


def study(**changes):
    return parse(StudyConfig, **NAMES, **changes)


def test_every_setting_is_described():
    for kind in (StudyConfig, DistillConfig):
        for name, field in kind.model_fields.items():
            assert field.description, name


@given(
    batch_sizes=st.lists(st.integers(1, 4096), min_size=1, max_size=5, unique=True),
    epochs=st.integers(1, 300),
    temperatures=st.lists(st.floats(0.1, 64), min_size=1, max_size=4, unique=True),
    exhaustive=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_settings_survive_a_round_trip_through_toml(batch_sizes, epochs, temperatures, exhaustive):
    config = study(
        batch_sizes=batch_sizes, epochs=epochs, temperatures=temperatures, exhaustive=exhaustive
    )
    assert parse(StudyConfig, **tomllib.loads(to_toml(config))) == config


def test_strings_are_read_as_the_command_line_gives_them():
    config = study(batch_sizes="32, 128", temperatures="1,2.5", exhaustive="true", epochs="7")
    assert config.batch_sizes == (32, 128)
    assert config.temperatures == (1.0, 2.5)
    assert config.exhaustive is True
    assert config.epochs == 7


@pytest.mark.parametrize(
    ("epochs", "asked", "recorded"),
    [
        (32, None, (1, 2, 4, 8, 16, 32)),
        (20, None, (1, 2, 4, 8, 16, 20)),
        (1, None, (1,)),
        (10, [3], (3, 10)),
        (10, [10, 5], (5, 10)),
    ],
)
def test_recorded_epochs_double_and_end_with_the_last(epochs, asked, recorded):
    assert study(epochs=epochs, record_epochs=asked).recorded_epochs == recorded


@pytest.mark.parametrize(("rule", "expected"), [("constant", 0.1), ("sqrt", 0.2), ("linear", 0.4)])
def test_learning_rate_follows_its_rule(rule, expected):
    config = study(lr_rule=rule, learning_rates=0.1, reference_batch_size=128)
    assert config.learning_rate_for(512, 0.1) == pytest.approx(expected)
    assert config.learning_rate_for(128, 0.1) == 0.1


def test_recipes_are_the_grid_without_repetitions():
    config = study(losses="kl,mse", temperatures="1,2", alphas="0,0.5,1")
    recipes = config.recipes
    assert len(recipes) == len(set(recipes)) == 2 * 2 + 2  # mse knows no temperature
    assert all(recipe.alpha > 0 for recipe in recipes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, "epoch is not a setting. Did you mean epochs"),
        ({"zzzz": 3}, "zzzz is not a setting. Known settings: "),
        ({"epochs": 0}, "epochs = 0 is not allowed: input should be greater than 0"),
        ({"epochs": -4}, "greater than 0"),
        ({"batch_sizes": "32,0"}, "batch_sizes = .* greater than 0"),
        ({"batch_sizes": "32,32"}, "batch_sizes may contain each value only once"),
        ({"batch_sizes": ""}, "batch_sizes must contain at least one value"),
        ({"temperatures": [-1]}, "greater than or equal to 0.001"),
        ({"temperatures": [float("inf")]}, "finite"),
        ({"alphas": [1.5]}, "less than or equal to 1"),
        ({"alphas": [0.0]}, "alpha is the weight of the teacher term"),
        ({"losses": "kl,l2"}, "losses = 'l2' is not allowed"),
        ({"learning_rates": [float("nan")]}, "finite number"),
        ({"record_epochs": [64], "epochs": 32}, "record_epochs must be at most epochs = 32"),
        ({"smoothings": [1.0]}, "smoothings must be above 0"),
        ({"selection_fraction": 1.0}, "less than 1"),
        ({"halving": 1}, "greater than or equal to 2"),
        ({"variants": "swa"}, "variants = 'swa' is not allowed"),
        ({"ema_epochs": 0}, "ema_epochs = 0 is not allowed: input should be greater than 0"),
        ({"ema_epochs": float("inf")}, "ema_epochs = inf is not allowed: .*finite"),
        ({"device": "tpu"}, "device = 'tpu' is not allowed"),
    ],
)
def test_bad_setting_is_refused_with_its_name_and_rule(changes, message):
    with pytest.raises(ConfigError, match=message):
        study(**changes)


def test_what_is_known_is_listed_once_however_many_names_are_strange():
    with pytest.raises(ConfigError) as caught:
        parse(StudyConfig, data="digits", teacher="mlp:8", student="mlp:4", zzzz=1, epoch=3, qqqq=2)
    first, second = str(caught.value).splitlines()
    assert first == "epoch is not a setting. Did you mean epochs?"
    assert second.startswith("zzzz, qqqq are not settings. Known settings: ")


def test_missing_setting_is_named():
    with pytest.raises(ConfigError, match="student is missing"):
        parse(StudyConfig, data="digits", teacher="mlp:8")


def test_settings_cannot_change():
    with pytest.raises(ValueError, match="frozen"):
        study().epochs = 3


def test_digest_depends_on_every_field():
    seen = {Recipe().digest()}
    for change in ({"loss": "mse"}, {"temperature": 2}, {"alpha": 0.5}, {"standardize": True}):
        seen.add(Recipe(**change).digest())
    assert len(seen) == 5
    assert digest_of([1, 2]) != digest_of([2, 1])


def test_differences_leave_out_what_only_moves_the_work():
    old, new = study(), study(threads=1, memory_gib=1, epochs=8)
    assert differences(old, new) == {"epochs": (32, 8)}


def test_unreadable_toml_is_a_clear_error(tmp_path):
    bad = tmp_path / "study.toml"
    bad.write_text("epochs = = 3")
    with pytest.raises(ConfigError, match="is not TOML"):
        read_toml(bad)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_toml(tmp_path / "none.toml")


def test_reference_batch_size_changes_nothing_for_itself():
    config = parse(TeacherConfig, teacher="mlp:8", lr_rule="linear", learning_rates=0.3)
    assert config.teacher_optimization(config.reference_batch_size, 0.3).learning_rate == 0.3


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.toml")), ids=lambda path: path.stem)
def test_settings_of_the_experiments_are_allowed(path):
    config = parse(StudyConfig, data="somewhere", **read_toml(path))
    for spec in (config.teacher, config.student):
        build_model(spec, num_classes=10, inputs=(3, 32, 32), seed=0)


def test_one_number_in_place_of_two_is_told_as_that():
    with pytest.raises(ConfigError) as caught:
        parse(StudyConfig, data="digits", teacher="mlp:8", student="mlp:4", resize="224")
    assert "too few values. It is height,width" in str(caught.value)
    assert "missing" not in str(caught.value)


@pytest.mark.parametrize(
    "setting", ["threads", "workers", "teacher_workers", "stack_width", "views", "seeds", "rungs"]
)
def test_absurd_numbers_are_refused_with_the_limit(setting):
    with pytest.raises(ConfigError, match=rf"{setting} = 1000000000 .*10000"):
        parse(StudyConfig, **NAMES, **{setting: 1_000_000_000})


@pytest.mark.parametrize("temperature", [1e-4, 2e4, 1e300, 1e-300])
def test_temperatures_at_which_numbers_lose_their_digits_are_refused(temperature):
    with pytest.raises(ConfigError, match="temperatures = "):
        parse(StudyConfig, **NAMES, temperatures=[1.0, temperature])
    assert parse(StudyConfig, **NAMES, temperatures=[1e-3, 1e4]).temperatures == (1e-3, 1e4)
