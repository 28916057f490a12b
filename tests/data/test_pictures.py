import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from goodteacher.data.pictures import LARGEST, heat_map, picture


def opened(image):
    return Image.open(io.BytesIO(base64.b64decode(picture(image))))


@pytest.mark.parametrize("channels", [1, 3])
def test_small_image_is_kept_pixel_by_pixel(channels):
    image = torch.randint(0, 256, (channels, 5, 7), dtype=torch.uint8)
    shown = np.asarray(opened(image)).reshape(5, 7, channels)
    assert np.array_equal(shown, image.permute(1, 2, 0).numpy())


def test_large_image_is_shrunk_without_changing_its_shape():
    assert opened(torch.zeros(3, 480, 240, dtype=torch.uint8)).size == (LARGEST // 2, LARGEST)


def test_other_numbers_of_channels_are_shown_by_their_first():
    image = torch.randint(0, 256, (2, 4, 4), dtype=torch.uint8)
    assert np.array_equal(np.asarray(opened(image)), image[0].numpy())


def test_heat_map_goes_from_black_to_white():
    table = torch.tensor([[0.0, 5.0], [10.0, 2.5]])
    shown = Image.open(io.BytesIO(base64.b64decode(heat_map(table))))
    assert np.asarray(shown).tolist() == [[0, 128], [255, 64]]


def test_heat_map_of_one_value_or_of_none_that_is_finite_is_black():
    for value in (7.0, float("nan"), float("inf")):
        shown = Image.open(io.BytesIO(base64.b64decode(heat_map(torch.full((2, 3), value)))))
        assert np.asarray(shown).max() == 0


def test_value_that_is_not_finite_spoils_no_other():
    table = torch.tensor([[0.0, float("inf")], [float("nan"), 10.0]])
    shown = Image.open(io.BytesIO(base64.b64decode(heat_map(table))))
    assert np.asarray(shown).tolist() == [[0, 0], [0, 255]]
