"""Settings of transformers' processors, made of a student's own steps."""

import numpy as np
import pytest
import torch

from goodteacher.delivery.processors import image_settings, pictures, sound_settings
from goodteacher.errors import ModelError
from goodteacher.networks import Chain, Normalization
from goodteacher.networks.image_steps import Channels, Crop, Resize
from goodteacher.networks.preparation import Identity
from goodteacher.networks.waveforms import Waveform


def normalization(*means, std=0.5, unit=255.0):
    mean = torch.tensor(means)[:, None, None]
    return Normalization(mean, torch.full_like(mean, std), unit)


def test_every_step_becomes_the_setting_that_does_the_same():
    steps = (Resize(20, 24, "bicubic"), Crop(2, 4, 16, 16), normalization(0.1, 0.2, 0.3, std=0.25))
    found = image_settings(Chain(*steps), "hf:vit")
    assert (found["do_resize"], found["resample"]) == (True, 3)
    assert found["size"] == {"height": 20, "width": 24}
    assert found["crop_size"] == {"height": 16, "width": 16}
    assert found["image_mean"] == pytest.approx([0.1, 0.2, 0.3])
    assert found["image_std"] == pytest.approx([0.25] * 3)
    assert found["rescale_factor"] == pytest.approx(1 / 255)


def test_what_is_not_done_is_switched_off():
    found = image_settings(Chain(normalization(0.0, 0.0, 0.0, unit=127.5)), "hf:vit")
    assert not found["do_resize"]
    assert not found["do_center_crop"]
    assert found["rescale_factor"] == pytest.approx(1 / 127.5)


def test_gray_images_become_three_channels_by_themselves():
    found = image_settings(Chain(Channels((0, 0, 0)), normalization(0.4)), "hf:vit")
    assert found["do_convert_rgb"]
    assert found["image_mean"] == pytest.approx([0.4] * 3)


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ((Resize(8, 8, "area"), normalization(0.0)), "resize"),
        ((Channels((2, 1, 0)), normalization(0.0, 0.0, 0.0)), "channels"),
        ((Identity(),), "identity"),
    ],
)
def test_a_step_that_no_processor_has_is_named(steps, kind):
    with pytest.raises(ModelError, match=rf"'hf:vit' does to images \({kind}\).*--format onnx"):
        image_settings(Chain(*steps), "hf:vit")


def test_images_that_are_not_normalised_are_refused():
    with pytest.raises(ModelError, match="does not normalise images"):
        image_settings(Chain(Resize(8, 8, "bilinear")), "hf:vit")


@pytest.mark.parametrize("standardize", [True, False])
def test_sound_keeps_its_rate(standardize):
    found = sound_settings(Chain(Waveform(8000, standardize=standardize)), "hf:wave")
    assert (found["sampling_rate"], found["do_normalize"]) == (8000, standardize)


def test_sound_with_other_steps_is_refused():
    with pytest.raises(ModelError, match="cannot be done by a feature extractor of transformers"):
        sound_settings(Chain(normalization(0.0)), "hf:wave")


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_pictures_hold_the_stored_bytes(channels, mode):
    stored = torch.arange(2 * channels * 20).reshape(2, channels, 4, 5).to(torch.uint8)
    first, second = pictures(stored)
    assert (first.mode, first.size) == (mode, (5, 4))
    shown = np.asarray(second)
    shown = shown[None] if channels == 1 else shown.transpose(2, 0, 1)
    np.testing.assert_array_equal(shown, stored[1].numpy())
