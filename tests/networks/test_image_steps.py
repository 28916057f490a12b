"""Steps that bring images to a size, a window and an order of channels."""

import numpy as np
import pytest
import torch
from PIL import Image

from goodteacher.data import InputSpec
from goodteacher.errors import DataError
from goodteacher.networks.image_steps import MODES, Channels, Crop, Resize
from goodteacher.networks.normalization import Normalization
from goodteacher.networks.preparation import Chain, preparation_from

PILLOW = {"nearest": 0, "bilinear": 2, "bicubic": 3}
COLOURS = InputSpec(kind="images", shape=(3, 20, 30))


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def pillow(image, size, mode):
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    resized = picture.resize((size[1], size[0]), PILLOW[mode])
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1).float()


@pytest.mark.parametrize("mode", PILLOW)
@pytest.mark.parametrize("size", [(8, 9), (20, 30), (41, 12), (64, 97)])
def test_resizing_is_pillows_within_two_levels_of_255(mode, size):
    images = noise(2, 3, 20, 30)
    found = Resize(*size, mode)(images)
    expected = torch.stack([pillow(image, size, mode) for image in images])
    assert (found - expected).abs().max() < (0.01 if mode == "nearest" else 2)


def test_bicubic_never_leaves_the_range_of_bytes():
    edges = torch.zeros(1, 1, 12, 12, dtype=torch.uint8)
    edges[..., 6:] = 255
    found = Resize(30, 30, "bicubic")(edges)
    assert found.min() == 0
    assert found.max() == 255


def test_area_is_the_mean_over_what_a_pixel_covers():
    images = noise(2, 3, 6, 8)
    expected = images.float().reshape(2, 3, 3, 2, 4, 2).mean(dim=(3, 5))
    torch.testing.assert_close(Resize(3, 4)(images), expected)


@pytest.mark.parametrize("mode", MODES)
def test_an_even_image_stays_even(mode):
    even = torch.full((1, 3, 12, 10), 77, dtype=torch.uint8)
    found = Resize(5, 6, mode)(even)
    torch.testing.assert_close(found, torch.full((1, 3, 5, 6), 77.0))


def test_a_window_is_cut_where_it_lies():
    images = noise(2, 3, 20, 30)
    assert torch.equal(Crop(3, 5, 4, 6)(images), images[:, :, 3:7, 5:11].float())


def test_what_lies_outside_of_an_image_is_black():
    images = noise(1, 1, 4, 4) // 2 + 1
    found = Crop(-2, -1, 7, 6)(images)
    assert torch.equal(found[..., 2:6, 1:5], images.float())
    assert (found == 0).sum() == 7 * 6 - 16


@pytest.mark.parametrize("order", [(0, 0, 0), (2, 1, 0), (1,)])
def test_channels_come_in_the_order_asked_for(order):
    images = noise(2, 3, 5, 5)
    found = Channels(order)(images)
    assert torch.equal(found, images[:, list(order)].float())
    assert Channels(order).output(COLOURS).shape == (len(order), 20, 30)


@pytest.mark.parametrize(
    "step", [Resize(7, 9, "bicubic"), Resize(3, 2), Crop(-1, 2, 5, 8), Channels((2, 1, 0))]
)
def test_steps_keep_their_promise_and_survive_a_file(step):
    images = noise(4, *COLOURS.shape)
    before = images.clone()
    found = step(images)
    assert torch.equal(images, before)
    assert found.dtype == torch.float32
    assert found.shape == (4, *step.output(COLOURS).shape)
    assert found.is_contiguous(memory_format=torch.channels_last)
    again = preparation_from(Chain(step).to_dict())
    assert torch.equal(again(images), found)
    assert repr(again.steps[0]) == repr(step)


@pytest.mark.parametrize(
    "record",
    [
        {"kind": "resize", "size": [0, 4], "mode": "area"},
        {"kind": "resize", "size": [4, 4], "mode": "lanczos"},
        {"kind": "crop", "window": [0, 0, 0, 4]},
        {"kind": "channels", "order": []},
        {"kind": "channels", "order": [-1]},
    ],
)
def test_a_damaged_record_is_refused(record):
    with pytest.raises(DataError, match="Was the file edited"):
        preparation_from({"steps": [record]})


@pytest.mark.parametrize("record", [{"kind": "resize", "size": [4, 4]}, {"kind": "crop"}])
def test_a_record_that_lacks_something_is_refused(record):
    with pytest.raises(DataError, match="cannot be read"):
        preparation_from({"steps": [record]})


@pytest.mark.parametrize("step", [Resize(2, 2), Crop(0, 0, 2, 2), Channels((0,))])
def test_what_is_no_image_is_refused(step):
    with pytest.raises(ValueError, match="are not images"):
        step.output(InputSpec(kind="numbers", shape=(6,)))


def test_channels_that_an_image_lacks_are_refused():
    with pytest.raises(ValueError, match="have no channel 2"):
        Channels((0, 2)).output(InputSpec(kind="images", shape=(1, 4, 4)))


def chain(order, mean, std):
    mean, std = (torch.tensor(values)[:, None, None] for values in (mean, std))
    return Chain(Channels(order), Normalization(mean, std, 255.0))


def test_what_fills_a_hole_is_stored_in_the_order_of_the_stored_channels():
    preparation = chain((2, 1, 0), [0.1, 0.2, 0.3], [1.0, 1.0, 1.0])
    blank = preparation.blank.expand(1, 3, 4, 4).clone()
    torch.testing.assert_close(preparation(blank), torch.zeros(1, 3, 4, 4), atol=1e-6, rtol=0)


def test_a_hole_of_a_gray_image_is_gray():
    preparation = chain((0, 0, 0), [0.1, 0.2, 0.6], [1.0, 1.0, 1.0])
    assert preparation.blank.shape == (1, 1, 1)
    assert preparation.blank.item() == pytest.approx(255 * 0.3)
