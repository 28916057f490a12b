"""What every format of a delivered student keeps. A new one passes by its entry in `FORMATS`."""

import shutil

import pytest
import torch
from safetensors.torch import save_file

from goodteacher.data import Dataset, Split, load_dataset, prepare
from goodteacher.delivery.classifier import StudentCard
from goodteacher.delivery.formats import FORMATS
from goodteacher.errors import StudyError
from goodteacher.networks import Preparations, build_model
from goodteacher.studies.store import Store
from tests.tiny_models import (
    HAS_TIMM,
    HAS_TORCHVISION,
    HAS_TRANSFORMERS,
    write_model,
    write_vit,
    write_wav2vec,
)

CLASSES = ("cat", "dog", "eel")
INPUTS = {
    "features": lambda: torch.randn(60, 4, generator=torch.Generator().manual_seed(0)),
    "images": lambda: (torch.arange(60 * 64) * 37 % 256).to(torch.uint8).reshape(60, 1, 8, 8),
    "sound": lambda: torch.randn(60, 90, generator=torch.Generator().manual_seed(0)),
    "texts": lambda: [f"a {word} and a bird" for word in ("red", "blue", "green") * 20],
}
SPECS = {
    "features": ["mlp:5", "mlp:5@raw"],
    "images": ["mlp:5", "cnn:2,3", "resnet:8", "mlp:4@resize:4"],
    "texts": ["mlp:5", "mlp:5@tfidf:3"],
}
if HAS_TRANSFORMERS:
    SPECS["texts"].append("hf:tiny bert@home")
    SPECS["images"].append("hf:tiny vit")
    SPECS["sound"] = ["hf:tiny wav2vec"]
if HAS_TIMM:
    SPECS["images"].append("timm:test_vit+vit.safetensors@pixels:32")
if HAS_TORCHVISION:
    SPECS["images"].append("torchvision:squeezenet1_1+net.safetensors@pixels:33")
CASES = [(kind, spec) for kind, specs in SPECS.items() for spec in specs]


@pytest.fixture(params=FORMATS)
def form(request):
    return FORMATS[request.param]


@pytest.fixture(params=CASES, ids=lambda case: " ".join(case))
def student(request, tmp_path_factory, monkeypatch):
    """A student with weights that are not its initial ones, its card, and examples as stored."""
    kind, spec = request.param
    inputs = INPUTS[kind]()
    source = tmp_path_factory.mktemp("models")
    monkeypatch.chdir(source)
    write_source(source, spec, inputs)
    data = dataset_of(inputs)
    networks = Preparations(prepare(data))
    network = networks.network(spec, seed=3)
    with torch.no_grad():
        for parameter in network.module.parameters():
            parameter.add_(0.05)
    card = StudentCard(
        architecture=spec,
        class_names=CLASSES,
        inputs=data.spec,
        arm="labels",
        seed=3,
        selection_accuracy=0.5,
        test_accuracy=0.4,
    )
    shutil.rmtree(source)  # a student asks for nothing outside its folder
    monkeypatch.chdir(source.parent)
    return network.eval(), card, inputs[:7]


def write_source(folder, spec, inputs):
    """Write the model that a specification names in a folder, where it names one."""
    if "bert" in spec:
        write_model(folder / "tiny bert@home", inputs)
    elif "tiny vit" in spec:
        write_vit(folder / "tiny vit", weights=True)
    elif "wav2vec" in spec:
        write_wav2vec(folder / "tiny wav2vec", weights=True)
    elif "+" in spec:
        plain, _, rest = spec.partition("+")
        size = int(rest.partition("@pixels:")[2])
        network = build_model(plain, num_classes=7, inputs=(3, size, size), seed=8)
        save_file(network.state_dict(), folder / rest.partition("@")[0])


def dataset_of(inputs):
    labels = torch.arange(60) % 3
    if isinstance(inputs, list):
        return load_dataset(
            {
                "x_train": inputs,
                "y_train": labels.numpy(),
                "x_test": inputs,
                "y_test": labels.numpy(),
            }
        )
    train, test = (Split(inputs, labels, torch.arange(60) + 60 * part) for part in (0, 1))
    return Dataset("made", train, test, CLASSES)


def test_what_is_read_says_what_was_written(form, student, tmp_path):
    network, card, inputs = student
    form.write(Store(tmp_path), "student", network, card)
    again = form.read(tmp_path / "student")
    assert again.card == card
    assert not again.training
    torch.testing.assert_close(again(inputs), network(inputs))
    assert again.predict(inputs) == [CLASSES[n] for n in network(inputs).argmax(-1).tolist()]
    torch.testing.assert_close(again.predict_proba(inputs).sum(-1), torch.ones(7))


def test_network_is_left_as_it_was(form, student, tmp_path):
    network, card, inputs = student
    before = network(inputs)
    form.write(Store(tmp_path), "student", network, card)
    assert torch.equal(network(inputs), before)


def test_folder_can_be_moved(form, student, tmp_path):
    network, card, inputs = student
    form.write(Store(tmp_path / "study"), "student", network, card)
    (tmp_path / "study" / "student").rename(tmp_path / "elsewhere")
    torch.testing.assert_close(form.read(tmp_path / "elsewhere")(inputs), network(inputs))


def test_every_file_that_is_missing_or_cut_is_named(form, student, tmp_path):
    network, card, _ = student
    form.write(Store(tmp_path), "student", network, card)
    files = sorted(path for path in (tmp_path / "student").iterdir() if path.is_file())
    assert files
    for file in files:
        whole = file.read_bytes()
        for damaged in (None, whole[: len(whole) // 2]):
            file.unlink()
            if damaged is not None:
                file.write_bytes(damaged)
            with pytest.raises(StudyError, match=file.name.replace(".", r"\.")):
                form.read(tmp_path / "student")
            file.write_bytes(whole)
