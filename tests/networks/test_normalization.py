import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from goodteacher.errors import ConfigError, DataError
from goodteacher.networks import Normalization
from goodteacher.networks.normalization import (
    fit,
    fit_features,
    fit_images,
    make_normalization,
    no_normalization,
)
from tests.data.conftest import make_features, make_images


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 4)] * 4)))
def test_image_statistics_equal_those_of_numpy_in_float64(images):
    found = fit_images(torch.from_numpy(images))
    scaled = images.astype(np.float64) / 255
    mean, std = scaled.mean(axis=(0, 2, 3)), scaled.std(axis=(0, 2, 3))
    np.testing.assert_allclose(found.mean.flatten().numpy(), mean, rtol=1e-6, atol=1e-7)
    std[std < 1e-7] = 1
    np.testing.assert_allclose(found.std.flatten().numpy(), std, rtol=1e-6)
    expected = (scaled - mean[:, None, None]) / std[:, None, None]
    np.testing.assert_allclose(found(torch.from_numpy(images)).numpy(), expected, atol=1e-4)


def test_normalised_training_images_have_mean_0_and_std_1_in_every_channel():
    images = make_images(50, shape=(3, 6, 6)).inputs
    normalised = fit(images)(images)
    assert normalised.dtype == torch.float32
    assert normalised.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (normalised.std(dim=(0, 2, 3), correction=0) - 1).abs().max() < 1e-5


def test_feature_statistics_equal_those_of_numpy_also_over_several_chunks():
    features = make_features(10_000, num_features=3).inputs * torch.tensor([1, 1e-4, 1e3]) + 5
    found = fit(features)
    reference = features.double().numpy()
    np.testing.assert_allclose(found.mean.numpy(), reference.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.std.numpy(), reference.std(axis=0), rtol=1e-6)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1234.567, 1e20, 1e-30])
def test_a_constant_feature_becomes_exactly_zero(constant):
    features = make_features(5_001, num_features=2).inputs
    features[:, 1] = constant
    normalised = fit(features)(features)
    assert torch.equal(normalised[:, 1], torch.zeros(5_001))
    assert normalised[:, 0].std() > 0.9


def test_a_constant_image_channel_becomes_zero():
    images = torch.full((4, 1, 2, 2), 77, dtype=torch.uint8)
    assert fit(images)(images).abs().max() < 1e-5


def test_a_feature_with_a_large_mean_keeps_its_digits():
    features = 1000 + 0.01 * make_features(500, num_features=1).inputs
    reference = features.double()
    expected = (reference - reference.mean()) / reference.std(correction=0)
    assert (fit(features)(features) - expected).abs().max() < 1e-2


def test_calling_does_not_change_the_inputs():
    for inputs in (make_images().inputs, make_features().inputs):
        before = inputs.clone()
        fit(inputs)(inputs)
        assert torch.equal(inputs, before)


def test_none_leaves_features_alone_and_scales_images_to_one():
    features, images = make_features().inputs, make_images().inputs
    assert torch.equal(no_normalization(features)(features), features)
    assert torch.allclose(no_normalization(images)(images), images.double().div(255).float())


def test_a_normalization_survives_json_exactly():
    for inputs in (make_images(shape=(3, 4, 4)).inputs, make_features().inputs):
        original = fit(inputs)
        restored = Normalization.from_dict(json.loads(json.dumps(original.to_dict())))
        assert torch.equal(restored.mean, original.mean)
        assert torch.equal(restored(inputs), original(inputs))


def test_a_record_with_other_keys_is_refused():
    with pytest.raises(DataError, match="keys mean, std and unit, but this one has mean, sigma"):
        Normalization.from_dict({"mean": 0.0, "sigma": 1.0})


@pytest.mark.parametrize(
    "mean, std, unit",
    [
        ([0.0], [0.0], 1),
        ([0.0], [-1.0], 1),
        ([0.0], [float("nan")], 1),
        ([0.0], [1.0], 0),
        ([float("inf")], [1.0], 1),
        ([0.0, 0.0], [1.0], 1),
    ],
)
def test_impossible_statistics_are_refused(mean, std, unit):
    with pytest.raises(
        DataError, match="finite mean and std of equal shape, and std and unit above 0"
    ):
        Normalization(torch.tensor(mean), torch.tensor(std), unit)


def test_a_given_normalization_is_used_as_it_is():
    given_one = Normalization(torch.zeros(3, 1, 1), torch.ones(3, 1, 1), 255.0)
    images = make_images(shape=(3, 4, 4)).inputs
    assert make_normalization(given_one, images) is given_one
    for shape in [(1, 4, 4), (2, 4, 4)]:
        with pytest.raises(DataError, match=r"broadcast.*\[3, 1, 1\] and an example"):
            make_normalization(given_one, make_images(shape=shape).inputs)


def test_an_unknown_normalization_is_refused():
    with pytest.raises(ConfigError, match="one of auto, none or a Normalization, but is 'zca'"):
        make_normalization("zca", make_features().inputs)


def test_a_copy_on_another_device_keeps_its_values():
    original = fit_features(make_features().inputs)
    copy = original.to("cpu")
    assert torch.equal(copy.mean, original.mean)
    assert torch.equal(copy.std, original.std)
    assert copy.unit == original.unit
