"""The format hf for images and sound: the same answers where transformers alone is installed."""

import json

import pytest
import torch

from goodteacher.data import Dataset, Split, prepare
from goodteacher.delivery.classifier import StudentCard
from goodteacher.delivery.hugging_face import HuggingFace
from goodteacher.errors import ModelError
from goodteacher.networks import Preparations
from goodteacher.studies import Store
from tests.public.test_exporting import alone
from tests.tiny_models import write_vit, write_wav2vec

pytest.importorskip("transformers", reason="needs goodteacher[hf]")

CLASSES = ("cat", "dog", "eel")
pytestmark = pytest.mark.filterwarnings("ignore")


def student(spec, inputs):
    """A student with new weights, and its card."""
    labels = torch.arange(len(inputs)) % 3
    train, test = (Split(inputs, labels, torch.arange(len(inputs)) + part) for part in (0, 500))
    data = Dataset("made", train, test, CLASSES)
    network = Preparations(prepare(data)).network(spec, seed=3).eval()
    card = StudentCard(
        architecture=spec,
        class_names=CLASSES,
        inputs=data.spec,
        arm="labels",
        seed=3,
        selection_accuracy=0.5,
        test_accuracy=0.4,
    )
    return network, card


def images(channels, side, count=60):
    generator = torch.Generator().manual_seed(0)
    shape = (count, channels, side, side)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


_IMAGES = """
import json, numpy, torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

model = AutoModelForImageClassification.from_pretrained("shipped/hf").eval()
processor = AutoImageProcessor.from_pretrained("shipped/hf")
stored = numpy.load("x.npy")
pictures = [Image.fromarray(x[0] if len(x) == 1 else x.transpose(1, 2, 0).copy()) for x in stored]
with torch.inference_mode():
    logits = model(**processor(pictures, return_tensors="pt")).logits
print(json.dumps([model.config.id2label[1], logits.tolist()]))
"""

_SOUND = """
import json, numpy, torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

model = AutoModelForAudioClassification.from_pretrained("shipped/hf").eval()
extractor = AutoFeatureExtractor.from_pretrained("shipped/hf")
waves = list(numpy.load("x.npy"))
given = extractor(waves, sampling_rate=extractor.sampling_rate, return_tensors="pt")
with torch.inference_mode():
    logits = model(given["input_values"]).logits
print(json.dumps([model.config.id2label[1], logits.tolist()]))
"""


def asked(tmp_path, code, inputs):
    """What transformers says in a process without goodteacher, and the name of class 1."""
    import numpy as np

    np.save(tmp_path / "x.npy", inputs.numpy())
    name, logits = alone(code, tmp_path, without=["goodteacher"])
    return name, torch.tensor(logits)


@pytest.mark.parametrize(("channels", "side"), [(3, 16), (1, 16)], ids=["colour", "gray"])
def test_images_are_read_without_goodteacher_to_the_same_logits(tmp_path, channels, side):
    write_vit(tmp_path / "vit", weights=True)
    inputs = images(channels, side)
    network, card = student(f"hf:{tmp_path}/vit", inputs)
    HuggingFace().write(Store(tmp_path), "shipped", network, card)
    name, found = asked(tmp_path, _IMAGES, inputs[:9])
    assert name == "dog"
    torch.testing.assert_close(found, network(inputs[:9]), atol=1e-5, rtol=1e-4)
    again = HuggingFace().read(tmp_path / "shipped")
    assert again.tolerance == 1e-4
    torch.testing.assert_close(again(inputs), network(inputs), atol=1e-5, rtol=1e-4)


def test_resized_and_cut_images_differ_by_rounding_alone(tmp_path):
    processor = {
        "size": {"shortest_edge": 20},
        "do_center_crop": True,
        "crop_size": {"height": 16, "width": 16},
        "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.2, 0.3, 0.4],
        "resample": 3,
    }
    from tests.tiny_models import write_processor

    write_vit(tmp_path / "vit", weights=True)
    write_processor(tmp_path / "vit", "CLIPImageProcessor", **processor)
    inputs = images(3, 25)
    network, card = student(f"hf:{tmp_path}/vit", inputs)
    HuggingFace().write(Store(tmp_path), "shipped", network, card)
    again = HuggingFace().read(tmp_path / "shipped")
    settings = json.loads((tmp_path / "shipped/hf/preprocessor_config.json").read_text())
    assert (settings["size"], settings["crop_size"]["height"]) == ({"height": 20, "width": 20}, 16)
    assert settings["image_std"] == pytest.approx([0.2, 0.3, 0.4])
    expected = network(inputs)
    assert 1e-4 < again.tolerance < 0.1
    torch.testing.assert_close(again(inputs), expected, atol=again.tolerance, rtol=0)
    _, found = asked(tmp_path, _IMAGES, inputs[:9])
    torch.testing.assert_close(found, expected[:9], atol=again.tolerance, rtol=0)


@pytest.mark.parametrize("standardize", [True, False])
def test_sound_is_read_without_goodteacher_to_the_same_logits(tmp_path, standardize):
    extractor = {"do_normalize": standardize, "sampling_rate": 8000}
    write_wav2vec(tmp_path / "wave", weights=True, extractor=extractor)
    waves = 2 * torch.randn(60, 90, generator=torch.Generator().manual_seed(0)) + 0.3
    network, card = student(f"hf:{tmp_path}/wave", waves)
    HuggingFace().write(Store(tmp_path), "shipped", network, card)
    name, found = asked(tmp_path, _SOUND, waves[:9])
    assert name == "dog"
    torch.testing.assert_close(found, network(waves[:9]), atol=1e-5, rtol=1e-4)
    again = HuggingFace().read(tmp_path / "shipped")
    torch.testing.assert_close(again(waves), network(waves), atol=1e-5, rtol=1e-4)


def test_preparation_that_no_processor_has_is_refused(tmp_path):
    write_vit(tmp_path / "vit", weights=True)
    network, card = student(f"hf:{tmp_path}/vit@resize:16", images(3, 32))
    with pytest.raises(ModelError, match=r"does to images \(resize\).*--format onnx"):
        HuggingFace().write(Store(tmp_path), "shipped", network, card)
    assert not (tmp_path / "shipped").exists()


def test_card_of_another_student_is_named(tmp_path):
    from goodteacher.errors import StudyError

    write_vit(tmp_path / "vit", weights=True)
    network, card = student(f"hf:{tmp_path}/vit", images(3, 16))
    HuggingFace().write(Store(tmp_path), "shipped", network, card)
    path = tmp_path / "shipped/hf/card.json"
    path.write_text(card.model_copy(update={"architecture": "mlp:3"}).model_dump_json())
    with pytest.raises(StudyError, match=r"card\.json is the card of a student that this folder"):
        HuggingFace().read(tmp_path / "shipped")
