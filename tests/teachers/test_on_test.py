"""What a study's teachers say about the test split."""

import pytest
import torch

from goodteacher import search
from goodteacher.maths.calibration import accuracy
from goodteacher.studies.progress import Silent
from goodteacher.studies.setting_up import resume_context
from goodteacher.teachers import logits_on_test, plan_keys
from goodteacher.teachers.recording import checkpoint_file, response_file
from tests.made import SETTINGS, dataset


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    settings = {**SETTINGS, "seeds": 2, "search_seeds": 1, "student_epochs": 2}
    folder = tmp_path_factory.mktemp("on_test") / "study"
    return search(dataset(), out=folder, variants=("raw", "ema"), **settings)


@pytest.fixture
def asked(study):
    context = resume_context(study.store.root, study.config, Silent(), data=dataset())
    keys = dict(plan_keys(study.config, context)[1])
    return context, keys, context.data.test.open("a test")


def test_teacher_trained_here_is_loaded_and_as_accurate_as_the_study_says(study, asked):
    context, keys, test = asked
    chosen = study.sweet_spot.teacher
    said = logits_on_test(context, keys, study.config.teacher, chosen.source, test)
    assert accuracy(said, test.labels) == pytest.approx(chosen.test_accuracy)


def test_average_of_its_weights_is_another_teacher(study, asked):
    context, keys, test = asked
    last = study.sweet_spot.teacher.source.model_copy(
        update={"epoch": study.config.epochs, "variant": "raw"}
    )
    averaged = last.model_copy(update={"variant": "ema"})
    one, other = (
        logits_on_test(context, keys, study.config.teacher, each, test) for each in (last, averaged)
    )
    assert one.shape == other.shape == (len(test), 4)
    assert not torch.equal(one, other)


def test_what_was_recorded_is_read_and_nothing_is_loaded(study, asked, tmp_path, monkeypatch):
    context, keys, test = asked
    source = study.sweet_spot.teacher.source.model_copy(update={"variant": "raw"})
    recorded = torch.randn(len(test), 4)
    file = response_file(keys[source.run], source.epoch, "test")
    study.store.write_tensors(file, {"logits": recorded, "ids": test.ids})
    try:
        said = logits_on_test(context, keys, None, source, test)
    finally:
        study.store.remove(file)
    torch.testing.assert_close(said, recorded)


def test_teacher_without_weights_or_answers_says_nothing(study, asked):
    context, keys, test = asked
    source = study.sweet_spot.teacher.source.model_copy(update={"variant": "raw", "epoch": 999})
    assert not study.store.exists(checkpoint_file(keys[source.run], 999))
    assert logits_on_test(context, keys, study.config.teacher, source, test) is None
