"""Processors of transformers, read as steps of ours; models are made from configurations."""

import numpy as np
import pytest
import torch
from PIL import Image

from goodteacher.data import Dataset, InputSpec, Split, prepare
from goodteacher.errors import ModelError, PackageError
from goodteacher.networks import Preparations, build_model, canonical_spec
from goodteacher.networks.examination import examine
from goodteacher.networks.processing import LEVELS, hugging_face_pixels
from tests.tiny_models import write_model, write_processor, write_vit, write_wav2vec

transformers = pytest.importorskip("transformers", reason="needs goodteacher[hf]")

HALF = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
WINDOW = {"do_center_crop": True, "crop_size": {"height": 33, "width": 31}}
PROCESSORS = {
    "a size": ("ViTImageProcessor", {"size": (24, 26)}),
    "a size by bicubic": ("ViTImageProcessor", {"size": (40, 40), "resample": 3, **HALF}),
    "the nearest pixel": ("ViTImageProcessor", {"size": (15, 15), "resample": 0}),
    "no new size": ("ViTImageProcessor", {"size": (24, 24), "do_resize": False}),
    "no normalisation": ("ViTImageProcessor", {"size": (24, 24), "do_normalize": False}),
    "no rescaling": ("ViTImageProcessor", {"size": (9, 9), "do_rescale": False}),
    "another scale": ("ViTImageProcessor", {"size": (9, 9), "rescale_factor": 1 / 127.5}),
    "a window": ("DeiTImageProcessor", {"size": (40, 40), "resample": 3, **WINDOW}),
    "a shorter side": ("CLIPImageProcessor", {"size": {"shortest_edge": 36}, **WINDOW, **HALF}),
    "a window larger than the image": (
        "DeiTImageProcessor",
        {"size": (20, 20), "do_center_crop": True, "crop_size": {"height": 24, "width": 28}},
    ),
    "a share": ("ConvNextImageProcessor", {"size": {"shortest_edge": 24}, "crop_pct": 0.875}),
    "the whole, if large": (
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 384}, "crop_pct": 0.875, "resample": 3},
    ),
    "LeViT's share": ("LevitImageProcessor", {"size": {"shortest_edge": 36}, **WINDOW}),
    "blue first": (
        "MobileViTImageProcessor",
        {"size": {"shortest_edge": 36}, **WINDOW, "do_flip_channel_order": True},
    ),
    "EfficientNet": (
        "EfficientNetImageProcessor",
        {"size": (30, 30), "resample": 0, "include_top": True, **HALF},
    ),
}
SIZES = [(3, 20, 31), (3, 50, 40), (1, 28, 28)]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def spec_of(shape):
    return InputSpec(kind="images", shape=shape)


def smooth(shape, seed=0):
    """Images as photographs are: even areas and a few edges, no noise."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    whole = np.array(small.resize((shape[2], shape[1]), Image.Resampling.BICUBIC))
    whole[shape[1] // 3 :, : shape[2] // 2] //= 2
    if shape[0] == 1:
        whole = whole[..., :1]
    return torch.from_numpy(np.ascontiguousarray(whole.transpose(2, 0, 1)))


def real(folder, image):
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    picture = Image.fromarray(image.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())
    return torch.as_tensor(np.asarray(processor(picture, return_tensors="pt")["pixel_values"])[0])


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("kind", PROCESSORS)
def test_steps_do_what_the_processor_does(kind, shape, tmp_path):
    name, settings = PROCESSORS[kind]
    write_processor(tmp_path, name, **settings)
    preparation = hugging_face_pixels(str(tmp_path), spec_of(shape), None)
    image = smooth(shape)
    found, expected = preparation(image[None])[0], real(tmp_path, image)
    assert found.shape == expected.shape == preparation.output(spec_of(shape)).shape
    last = preparation.steps[-1]
    levels = (found - expected).abs() * last.std * last.unit  # back in the units of bytes
    assert levels.max() < LEVELS
    assert levels.mean() < 0.6


def test_the_record_holds_plain_values_alone(tmp_path):
    write_processor(tmp_path, "ViTImageProcessor", size=(24, 26), resample=3)
    record = hugging_face_pixels(str(tmp_path), spec_of((1, 28, 28)), None).to_dict()
    assert record["steps"] == [
        {"kind": "resize", "size": [24, 26], "mode": "bicubic"},
        {"kind": "channels", "order": [0, 0, 0]},
        {
            "kind": "normalize",
            "mean": [[[0.5]]] * 3,
            "std": [[[0.5]]] * 3,
            "unit": 255.0,
        },
    ]


def test_a_size_behind_the_at_is_that_of_the_whole_image(tmp_path):
    write_processor(tmp_path, "DeiTImageProcessor", size=(40, 40), resample=3, **WINDOW)
    steps = hugging_face_pixels(str(tmp_path), spec_of((3, 20, 31)), (12, 14)).to_dict()["steps"]
    assert steps[0] == {"kind": "resize", "size": [12, 14], "mode": "bicubic"}
    assert [step["kind"] for step in steps] == ["resize", "normalize"]


@pytest.mark.parametrize("settings", [{"resample": 1}, {"do_pad": True, "resample": 4}])
def test_what_no_step_does_is_refused(settings, tmp_path):
    write_processor(tmp_path, "ViTImageProcessor", size=(24, 24), **settings)
    with pytest.raises(ModelError, match=r"with more than resizing, a crop .*@resize:SIDE"):
        hugging_face_pixels(str(tmp_path), spec_of((3, 20, 31)), None)


def test_images_of_another_number_of_channels_are_refused(tmp_path):
    write_processor(tmp_path, "ViTImageProcessor", size=(24, 24))
    with pytest.raises(ModelError, match="have 4 channels"):
        hugging_face_pixels(str(tmp_path), spec_of((4, 20, 31)), None)


def test_a_folder_without_a_processor_is_refused(tmp_path):
    write_vit(tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="does not say how to prepare images: neither"):
        network(tmp_path)


# Networks -----------------------------------------------------------------------------------------


def data(make, *shape, count=16):
    def part(number):
        rng = np.random.default_rng(number)
        labels = np.arange(count) % 2
        return Split.from_arrays(make(rng, (count, *shape)), labels, np.arange(count) + 99 * number)

    return prepare(Dataset("made", part(0), part(1), ("a", "b"), part(2)))


def bytes_of(rng, shape):
    return rng.integers(0, 256, shape).astype(np.uint8)


def sound_of(rng, shape):
    return rng.normal(2, 3, shape).astype(np.float32)


def network(folder, seed=0, clause=""):
    return Preparations(data(bytes_of, 3, 12, 12)).network(f"hf:{folder}{clause}", seed=seed)


def test_a_model_of_images_says_what_it_says_in_transformers(tmp_path):
    write_vit(tmp_path, weights=True)
    made = network(tmp_path).eval()
    theirs = transformers.ViTForImageClassification.from_pretrained(tmp_path).eval()
    made.module.load_state_dict(theirs.state_dict())  # the head too
    image = smooth((3, 12, 12))
    with torch.no_grad():
        expected = theirs(real(tmp_path, image)[None]).logits
        torch.testing.assert_close(made(image[None]), expected, atol=2e-3, rtol=0)


def test_the_head_alone_is_drawn_from_the_seed_with_weights(tmp_path):
    write_vit(tmp_path, weights=True)
    one, other = (network(tmp_path, seed).module.state_dict() for seed in (0, 1))
    assert {n for n in one if not torch.equal(one[n], other[n])} == {"classifier.weight"}


def test_the_whole_is_drawn_from_the_seed_without_weights(tmp_path):
    write_vit(tmp_path)
    one, other = (network(tmp_path, seed).module for seed in (0, 1))
    weights = zip(one.parameters(), other.parameters(), strict=True)
    assert sum(not torch.equal(a, b) for a, b in weights) > 5


def test_seeds_that_share_weights_are_told(tmp_path):
    write_vit(tmp_path, weights=True)
    notes = examine(
        lambda seed: network(tmp_path, seed).module,
        name="hf:vit",
        num_classes=2,
        spec=InputSpec(kind="numbers", shape=(3, 16, 16)),
    )
    assert "of its weights from the same values for every seed" in "".join(notes)


def test_a_size_that_the_model_does_not_take_is_refused(tmp_path):
    write_vit(tmp_path)
    with pytest.raises(ModelError, match=r"Input image size \(24\*24\) doesn't match model"):
        network(tmp_path, clause="@pixels:24")


def test_other_clauses_stand_as_for_any_network(tmp_path):
    write_vit(tmp_path, image_size=8, patch_size=4)
    made = network(tmp_path, clause="@resize:8")
    kinds = [step["kind"] for step in made.preparation.to_dict()["steps"]]
    assert kinds == ["resize", "normalize"]
    assert made.preparation.to_dict()["steps"][0]["mode"] == "area"


def test_a_model_of_texts_does_not_take_images(tmp_path):
    write_model(tmp_path, ["a text"])
    write_processor(tmp_path, "ViTImageProcessor", size=(16, 16))
    with pytest.raises(ModelError, match="does not classify images"):
        network(tmp_path)


def test_a_preparation_of_images_is_for_images_alone(tmp_path):
    write_vit(tmp_path)
    networks = Preparations(data(sound_of, 60))
    with pytest.raises(ModelError, match="prepares images in its own way, but the examples"):
        networks.of(f"hf:{tmp_path}@pixels")
    with pytest.raises(ModelError, match="has no processor of images that an @ could choose"):
        networks.of("mlp:4@pixels")
    with pytest.raises(ModelError, match="has no extractor of waveforms that an @ could choose"):
        networks.of("mlp:4@waveform")


def test_much_larger_images_are_told(tmp_path):
    write_vit(tmp_path, image_size=48, processor={"size": (48, 48)})
    networks = Preparations(data(bytes_of, 3, 12, 12))
    notes = [*networks.notes(f"hf:{tmp_path}", {})]
    assert notes == [
        f"'hf:{tmp_path}' sees images of 12x12 at 48x48: 16 times as many pixels, and about 16 "
        f"times the work. 'hf:{tmp_path}@pixels:12x12' keeps the images at their size."
    ]
    assert not [*networks.notes(f"hf:{tmp_path}@pixels:16", {})]


def test_specifications_have_one_form():
    assert canonical_spec("hf:a vit @ PIXELS : 096x96") == "hf:a vit@pixels:96"
    assert canonical_spec("hf:a vit@pixels") == "hf:a vit@pixels"
    with pytest.raises(ModelError, match="must be @pixels, @pixels:SIDE or"):
        canonical_spec("hf:a vit@pixels:large")
    with pytest.raises(ModelError, match="must be @waveform"):
        canonical_spec("hf:a model@waveform:3")


# Sound --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("standardize", [True, False])
def test_a_model_of_sound_says_what_it_says_in_transformers(tmp_path, standardize):
    extractor = {"do_normalize": standardize, "sampling_rate": 8000}
    write_wav2vec(tmp_path, weights=True, extractor=extractor)
    networks = Preparations(data(sound_of, 90))
    made = networks.network(f"hf:{tmp_path}", seed=0).eval()
    theirs = transformers.Wav2Vec2ForSequenceClassification.from_pretrained(tmp_path).eval()
    made.module.load_state_dict(theirs.state_dict())
    wave = sound_of(np.random.default_rng(9), (90,))
    feature = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    given = feature(wave, sampling_rate=8000, return_tensors="pt")
    with torch.no_grad():
        torch.testing.assert_close(made(torch.tensor(wave[None])), theirs(**given).logits)


def test_whole_numbers_are_sound_for_a_model_of_sound(tmp_path):
    write_wav2vec(tmp_path)
    make = lambda rng, shape: rng.integers(-30_000, 30_000, shape)  # noqa: E731
    made = Preparations(data(make, 90)).network(f"hf:{tmp_path}", seed=0)
    assert [step["kind"] for step in made.preparation.to_dict()["steps"]] == ["waveform"]


def test_the_rate_of_sound_is_told(tmp_path):
    write_wav2vec(tmp_path, extractor={"sampling_rate": 8000})
    notes = [*Preparations(data(sound_of, 90)).notes(f"hf:{tmp_path}", {})]
    assert notes == [
        f"'hf:{tmp_path}' takes 8000 samples per second. Nothing is resampled, so the data must "
        "have the same rate."
    ]


@pytest.mark.filterwarnings("ignore")
def test_a_model_of_spectrograms_is_refused(tmp_path):
    transformers.ASTConfig(hidden_size=16, num_hidden_layers=1).save_pretrained(tmp_path)
    transformers.WhisperFeatureExtractor(chunk_length=1).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"turns a waveform into something else, .*a spectrogram"):
        Preparations(data(sound_of, 90)).of(f"hf:{tmp_path}")


def test_a_waveform_is_for_rows_of_numbers(tmp_path):
    write_wav2vec(tmp_path)
    with pytest.raises(ModelError, match="takes waveforms, rows of numbers, but the examples"):
        Preparations(data(bytes_of, 3, 12, 12)).of(f"hf:{tmp_path}@waveform")


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    write_vit(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(PackageError, match=r"pip install 'goodteacher\[hf\]'"):
        network(tmp_path)
    with pytest.raises(PackageError, match=r"pip install 'goodteacher\[hf\]'"):
        build_model(f"hf:{tmp_path}", num_classes=2, inputs=(3, 16, 16), seed=0)
