"""What is wrong is told at the door, all of it at once, and small data run with plain defaults."""

import sys
import types
import warnings

import pytest
from safetensors.torch import load_file
from torch import nn

from goodteacher import Study, search, verify
from goodteacher.config import DistillConfig, StudyConfig, parse
from goodteacher.data import prepare
from goodteacher.errors import ConfigError, ModelError, RunError, StudyError
from goodteacher.studies.door import checked_settings, fitted_to_data
from goodteacher.training import StackingWarning
from tests import users_networks as networks
from tests.made import SETTINGS, arrays, dataset

SHORT = {**SETTINGS, "epochs": 1, "student_epochs": 1, "search_seeds": 1, "rungs": 1}
NAMES = {"data": "made", "teacher": "mlp:8", "student": "mlp:4"}
BOTH, NOBODY = frozenset({"teacher", "student"}), frozenset()


@pytest.fixture
def offer(monkeypatch):
    """Make a factory importable; gives its specification."""

    def offer(factory):
        module = types.ModuleType("users_networks")
        module.make = factory
        monkeypatch.setitem(sys.modules, "users_networks", module)
        return "python:users_networks:make"

    return offer


class Notes:
    def __init__(self):
        self.notes = []

    def begin(self, stage, total):
        pass

    def advance(self, units, stage=None):
        pass

    def note(self, text):
        self.notes.append(text)


# Networks, from end to end.


@pytest.mark.filterwarnings("ignore::goodteacher.training.stacking.StackingWarning")
@pytest.mark.parametrize(
    "kind", ["tied", "auxiliary head", "data parallel", "compiled", "wrapped inside", "lazy"]
)
def test_odd_network_is_trained_delivered_and_loaded_in_both_roles(offer, tmp_path, kind):
    spec = offer(networks.UNDERSTOOD[kind])
    study = search(dataset(), out=tmp_path / "s", **{**SHORT, "teacher": spec, "student": spec})
    names = list(load_file(study.folder / "student" / "model.safetensors"))
    assert not [name for name in names if "module" in name or "_orig_mod" in name]
    assert study.student()(dataset().test.inputs).shape == (120, 4)


def test_a_student_that_cannot_be_stacked_is_warned_of_once_in_a_study(offer, tmp_path):
    spec = offer(networks.UNDERSTOOD["auxiliary head"])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for folder in ("one", "two"):
            search(dataset(), out=tmp_path / folder, **{**SHORT, "student": spec})
    said = [str(each.message) for each in told if each.category is StackingWarning]
    assert len(said) == 2  # one for each study, though students train in several tasks of each
    assert all("gives the same results as stacked layers but is slower" in text for text in said)


def test_tied_weights_are_in_the_delivered_file_once_and_tied_when_loaded(offer, tmp_path):
    spec = offer(networks.Tied)
    study = search(dataset(), out=tmp_path / "s", **{**SHORT, "student": spec})
    names = set(load_file(study.folder / "student" / "model.safetensors"))
    assert len(names & {"one.weight", "two.weight"}) == 1
    network = study.student().network.module
    assert network.one.weight is network.two.weight


@pytest.mark.parametrize("role", ["teacher", "student"])
def test_network_that_fails_in_training_leaves_no_folder(offer, tmp_path, role):
    spec = offer(networks.REFUSED["fails in training"][0])
    with pytest.raises(ModelError, match=f"The {role} .* failed in training mode"):
        search(dataset(), out=tmp_path / "s", **{**SHORT, role: spec})
    assert not (tmp_path / "s").exists()


def test_failures_of_both_networks_are_told_together(offer, tmp_path):
    spec = offer(networks.REFUSED["fails in training"][0])
    with pytest.raises(ModelError) as caught:
        search(dataset(), out=tmp_path / "s", **{**SHORT, "teacher": spec, "student": spec})
    assert [line[:11] for line in str(caught.value).splitlines()] == ["The teacher", "The student"]


def test_network_that_fails_later_ends_the_run_with_its_name_and_keeps_the_trace(offer, tmp_path):
    def late(out, training):
        if len(out) > 10:
            raise IndexError("too many at once")
        return out

    with pytest.raises(RunError, match=r"batch-00016.*IndexError: too many at once"):
        search(dataset(), out=tmp_path / "s", **{**SHORT, "teacher": offer(networks.ending(late))})
    (event,) = (e for e in Study(tmp_path / "s").store.events() if e["event"] == "task_failed")
    assert "Traceback" in event["error"]


# Settings, all at once.


def test_all_that_is_wrong_with_settings_is_told_together():
    with pytest.raises(ConfigError) as caught:
        checked_settings(
            StudyConfig,
            networks={"teacher": "mpl:3", "student": "mlp:x"},
            data="digits",
            epochs=0,
            halving=1,
            views=2,
            alphas=[0.0],
            epoch=3,
        )
    told = str(caught.value).splitlines()
    starts = ("The model specification 'mpl:3'", "The model specification 'mlp:x'", "epoch is not")
    starts += ("epochs = 0", "halving = 1", "views = 2 needs augment", "alphas must contain")
    assert all(any(line.startswith(start) for line in told) for start in starts)
    assert len(told) == len(starts)


def test_rule_that_joins_settings_is_not_told_of_a_default():
    with pytest.raises(ConfigError) as caught:
        parse(StudyConfig, **NAMES, epochs=0, record_epochs=[64])
    assert len(str(caught.value).splitlines()) == 1


def test_wrong_setting_without_a_default_is_told_once():
    with pytest.raises(ConfigError) as caught:
        parse(StudyConfig, data=3, teacher="mlp:8", views=2, alphas=[0.0])
    starts = ["student is missing", "data = 3 is not allowed", "views = 2", "alphas must"]
    assert len(str(caught.value).splitlines()) == len(starts)
    assert all(start in str(caught.value) for start in starts)


def test_wrong_setting_names_its_default():
    with pytest.raises(ConfigError, match=r"temperatures = .* The default is 1.0,2.0,4.0,8.0"):
        parse(StudyConfig, **NAMES, temperatures="hot")


def test_single_wrong_specification_stays_a_model_error():
    with pytest.raises(ModelError, match="mpl"):
        checked_settings(DistillConfig, networks={"student": "mpl:3"}, data="digits")


# Batch sizes.


def fitted(size, needs_two=NOBODY, **given):
    parts = prepare(dataset(num_train=size))
    return fitted_to_data(parse(StudyConfig, **NAMES, **given), parts, needs_two)


@pytest.mark.parametrize(
    ("training", "student", "teachers"),
    [
        (800, 32, (32, 128, 512)),
        (400, 32, (32, 128, 360)),
        (160, 16, (32, 128)),
        (120, 16, (32, 108)),
        (40, 16, (32,)),
    ],
)
def test_batch_sizes_that_nobody_named_follow_the_data(training, student, teachers):
    config, notes = fitted(training)
    examples = len(prepare(dataset(num_train=training)).transfer)
    assert config.first_training(examples).batch_size == student
    assert config.batch_sizes == teachers
    assert len(notes) == (teachers != (32, 128, 512))


def test_batch_sizes_that_were_named_are_refused_together():
    with pytest.raises(ConfigError) as caught:
        fitted(120, batch_sizes=[32, 512], student_batch_size=256)
    assert str(caught.value).count("Use at most 108") == 2


def test_lone_last_example_is_avoided_where_it_cannot_be_trained_on():
    parts = prepare(dataset(num_train=288))  # 259 to train on: 86 x 3 + 1, 43 x 6 + 1
    assert len(parts.training) % 86 == 1
    for named, message in (
        ({"batch_sizes": [86]}, "batch_sizes holds 86, .*teacher 'mlp:8'.* Use 85 instead"),
        ({"student_batch_size": 43}, "student_batch_size holds 43, .* Use 42 instead"),
        ({"batch_sizes": [50], "micro_batch_size": 7}, "micro_batch_size = 7 splits batches of 50"),
    ):
        config = parse(StudyConfig, **NAMES, **named)
        assert fitted_to_data(config, parts, NOBODY)
        with pytest.raises(ConfigError, match=message):
            fitted_to_data(config, parts, BOTH)


def test_default_that_leaves_a_lone_example_is_lowered_for_batch_normalisation():
    parts = prepare(dataset(num_train=286))
    assert len(parts.training) == 257
    config = parse(StudyConfig, **NAMES)
    assert fitted_to_data(config, parts, NOBODY)[0].first_training(257).batch_size == 32
    assert fitted_to_data(config, parts, BOTH)[0].student_batch_size == 31


def test_small_data_run_with_plain_defaults_and_go_on_with_the_same_command(tmp_path):
    small = dataset(num_train=60, num_test=40)
    settings = {k: v for k, v in SHORT.items() if k not in {"batch_sizes", "student_batch_size"}}
    watcher = Notes()
    study = search(small, out=tmp_path / "s", progress=watcher, **settings)
    assert study.config.batch_sizes == (32,)
    assert study.config.student_batch_size is None
    assert any("batch_sizes is 32, not its default" in n for n in watcher.notes)
    before = (study.folder / "sweet_spot.json").read_text()
    again = search(small, out=tmp_path / "s", **settings)
    assert (again.folder / "sweet_spot.json").read_text() == before
    with pytest.raises(StudyError, match="student_batch_size was None, now 20"):
        search(small, out=tmp_path / "s", **settings, student_batch_size=20)


def test_batch_normalisation_trains_whatever_remains(offer, tmp_path):
    spec = offer(networks.normalised)
    data = dataset(num_train=241)
    settings = {k: v for k, v in SHORT.items() if k not in {"batch_sizes", "student_batch_size"}}
    study = search(data, out=tmp_path / "s", **{**settings, "teacher": spec, "student": spec})
    assert study.data.training % 32 == 1
    assert study.config.batch_sizes == (31, 128)


# Data given in Python.


def test_study_of_arrays_is_verified_with_the_arrays(tmp_path):
    study = search(arrays(), out=tmp_path / "s", **SHORT)
    assert study.config.data == "arrays"
    with pytest.raises(StudyError, match=r"given in Python, as 'arrays'.*verify\('.*s', data="):
        verify(study, seeds=3, smoothings=[0.1])
    assert verify(study, data=arrays(), seeds=3, smoothings=[0.1]).num_seeds == 3
    with pytest.raises(StudyError, match="other data"):
        verify(study, data=arrays(seed=1), seeds=3)


def test_setting_of_verify_that_is_none_is_named(tmp_path):
    study = search(arrays(), out=tmp_path / "s", **SHORT)
    with pytest.raises(ConfigError, match=r"sede is not a setting\. Did you mean seeds"):
        verify(study, sede=3)
    with pytest.raises(ConfigError, match="epochs is decided by the study"):
        verify(study, epochs=3)
    with pytest.raises(ConfigError, match="data can only be given with a study"):
        verify(arrays(), data=arrays(), responses=nn.Parameter())
