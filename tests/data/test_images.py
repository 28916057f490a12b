import numpy as np
import pytest
import torch
from PIL import Image

from goodteacher.data import encoded as encoded_module
from goodteacher.data.images import ImageOptions, decode_images, resize_images
from goodteacher.errors import ConfigError, DataError

from .conftest import encode

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 4), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)


def decode(*encoded, **options):
    images, kept = decode_images(
        list(encoded), describe="image {}".format, options=ImageOptions(**options)
    )
    return images, kept.tolist()


def with_alpha(pixels, alpha):
    image = Image.fromarray(pixels)
    image.putalpha(Image.fromarray(np.broadcast_to(np.uint8(alpha), pixels.shape[:2]).copy()))
    return image


def test_lossless_images_come_back_bit_for_bit():
    grey, kept = decode(encode(GREY), encode(GREY.T.copy().reshape(5, 4)))
    assert grey.dtype == torch.uint8
    assert grey.shape == (2, 1, 5, 4)
    assert np.array_equal(grey[0, 0].numpy(), GREY)
    assert kept == [0, 1]
    colour, _ = decode(encode(COLOUR))
    assert np.array_equal(colour[0].numpy(), COLOUR.transpose(2, 0, 1))


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "GIF", "TIFF", "JPEG", "WEBP"])
def test_every_usual_format_is_read(file_format):
    smooth = np.full((8, 8), 100, np.uint8)
    images, _ = decode(encode(smooth, file_format))
    assert images.shape[2:] == (8, 8)
    assert (images.float() - 100).abs().max() <= 2


def test_files_are_read_from_paths(tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(encode(GREY))
    assert np.array_equal(decode(path)[0][0, 0].numpy(), GREY)


@pytest.mark.parametrize(
    "image, expected",
    [
        (encode(GREY, mode="1"), np.asarray(Image.fromarray(GREY).convert("1").convert("L"))),
        (encode(with_alpha(GREY, 255)), GREY),
        (encode(with_alpha(COLOUR, 255)), COLOUR),
        (encode(COLOUR, mode="P"), np.asarray(Image.fromarray(COLOUR).convert("P").convert("RGB"))),
        (encode(COLOUR, "TIFF", mode="CMYK"), COLOUR),
    ],
    ids=["bilevel", "opaque grey", "opaque colour", "palette", "cmyk"],
)
def test_other_modes_become_grey_or_colour(image, expected):
    decoded = decode(image)[0][0].numpy()
    expected = expected[None] if expected.ndim == 2 else expected.transpose(2, 0, 1)
    assert np.array_equal(decoded, expected)


def test_transparent_images_are_refused_and_counted():
    half = encode(with_alpha(COLOUR, 128))
    with pytest.raises(DataError, match=r"2 of 3 images .*\(first: image 1: it has transparent"):
        decode(encode(COLOUR), half, half)


def test_a_palette_with_a_transparent_entry_is_refused():
    image = Image.new("P", (4, 5))
    image.putpalette([1, 2, 3])
    assert decode(encode(image))[0].unique().tolist() == [1, 2, 3]
    with pytest.raises(DataError, match="transparent pixels"):
        decode(encode(image, transparency=0))


def test_deep_images_are_refused():
    deep = encode(np.full((5, 4), 40_000, np.uint16))
    with pytest.raises(DataError, match="more than 8 bits per channel"):
        decode(deep)


def test_a_mix_of_grey_and_colour_is_refused_naming_both():
    with pytest.raises(
        DataError, match=r"one kind, .*colour: 2 images, grey: 1 images.*image 0 and image 2"
    ):
        decode(encode(COLOUR), encode(COLOUR), encode(GREY))


def test_images_of_different_sizes_are_refused_naming_resize():
    with pytest.raises(
        DataError, match=r"one size, .*5x4: 2 images, 4x5: 1 images.*image 0 and image 1.*resize="
    ):
        decode(encode(GREY), encode(GREY.T.copy()), encode(GREY))


def test_resize_makes_sizes_equal_as_pillow_does():
    images, _ = decode(encode(COLOUR), encode(COLOUR[:3]), resize=(8, 6))
    assert images.shape == (2, 3, 8, 6)
    expected = Image.fromarray(COLOUR).resize((6, 8), Image.Resampling.BILINEAR)
    assert np.array_equal(images[0].numpy(), np.asarray(expected).transpose(2, 0, 1))


@pytest.mark.parametrize("resize", [(0, 5), (5, -1), (5,), (5, 5, 5), 5, "55"])
def test_a_resize_that_is_not_two_sizes_is_refused(resize):
    with pytest.raises(ConfigError, match=r"resize must be \(height, width\)"):
        ImageOptions(resize=resize)


@pytest.mark.parametrize("gib", [0, -1.5, float("nan")])
def test_room_for_no_image_is_refused(gib):
    with pytest.raises(ConfigError, match="images_gib must be above 0, but is"):
        ImageOptions(images_gib=gib)


def test_decoded_images_are_resized_channel_by_channel_alike():
    batch = torch.from_numpy(np.stack([COLOUR.transpose(2, 0, 1)] * 2))
    resized = resize_images(batch, (8, 6))
    assert torch.equal(resized[1], decode(encode(COLOUR), resize=(8, 6))[0][0])
    assert resize_images(batch, None) is batch
    assert resize_images(batch, (5, 4)) is batch


@pytest.mark.parametrize(
    "bad",
    [b"", b"no image", None, encode(GREY)[:-30], encode(COLOUR, "JPEG")[:200]],
    ids=["empty", "text", "missing", "cut PNG", "cut JPEG"],
)
def test_an_unreadable_image_is_refused_or_skipped_with_a_warning(bad):
    good = encode(GREY)
    with pytest.raises(DataError, match=r"1 of 3 images cannot be read: image 1 .*skip_corrupt"):
        decode(good, bad, good)
    with pytest.warns(UserWarning, match="1 of 3 images cannot be read: image 1"):
        images, kept = decode(good, bad, good, skip_corrupt=True)
    assert kept == [0, 2]
    assert np.array_equal(images[1, 0].numpy(), GREY)


def test_a_missing_file_counts_as_unreadable(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read: image 0 .*FileNotFoundError"):
        decode(tmp_path / "absent.png")


def test_a_first_image_that_is_unreadable_does_not_decide_the_shape():
    with pytest.warns(UserWarning, match="1 of 2"):
        images, kept = decode(b"?", encode(COLOUR), skip_corrupt=True)
    assert images.shape == (1, 3, 5, 4)
    assert kept == [1]


def test_nothing_readable_is_refused_even_when_skipping():
    with pytest.raises(DataError, match="2 of 2 images cannot be read"):
        decode(b"?", b"!", skip_corrupt=True)


def test_the_orientation_that_a_camera_noted_is_applied():
    image = Image.fromarray(COLOUR)
    exif = image.getexif()
    exif[0x0112] = 6  # rotate by 90 degrees to show upright
    turned = decode(encode(image, exif=exif.tobytes()))[0]
    assert np.array_equal(turned[0].numpy().transpose(1, 2, 0), np.rot90(COLOUR, -1))


def test_threads_give_what_one_thread_gives(monkeypatch):
    batch = RNG.integers(0, 256, (700, 6, 6), dtype=np.uint8)
    encoded = [encode(pixels) for pixels in batch]
    encoded[300] = b"?"
    with pytest.warns(UserWarning, match="1 of 700"):
        alone, kept_alone = decode(*encoded, skip_corrupt=True)
    monkeypatch.setattr(encoded_module, "_THREADED_PIXELS", 0)
    monkeypatch.setattr(encoded_module.torch, "get_num_threads", lambda: 3)
    with pytest.warns(UserWarning, match="1 of 700"):
        threaded, kept_threaded = decode(*encoded, skip_corrupt=True)
    assert torch.equal(alone, threaded)
    assert kept_alone == kept_threaded
    assert np.array_equal(alone[:, 0].numpy(), np.delete(batch, 300, axis=0))
