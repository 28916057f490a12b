"""What every format of a delivered student keeps. A new one passes by its entry in `FORMATS`."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch._subclasses.fake_tensor import FakeTensor

from goodteacher.data import Dataset, Split, TableRows, load_dataset, prepare, rows_spec
from goodteacher.delivery.classifier import StudentCard
from goodteacher.delivery.companions import FILES
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
GAP = float("nan")
COLUMNS = rows_spec({"size": None, "colour": ("blue", "rot grün")})
INPUTS = {
    "features": lambda: torch.randn(60, 4, generator=torch.Generator().manual_seed(0)),
    "images": lambda: (torch.arange(60 * 64) * 37 % 256).to(torch.uint8).reshape(60, 1, 8, 8),
    "sound": lambda: torch.randn(60, 90, generator=torch.Generator().manual_seed(0)),
    "texts": lambda: [f"a {word} and a bird" for word in ("red", "blue", "green") * 20],
    "pairs": lambda: [(f"a {word}", "and a bird") for word in ("red", "blue", "green") * 20],
    "rows": lambda: torch.tensor([[0.5, 1], [GAP, -1], [-3, GAP], [8, 0]] * 15),
}
SPECS = {
    "features": ["mlp:5", "mlp:5@raw"],
    "images": ["mlp:5", "cnn:2,3", "resnet:8", "mlp:4@resize:4"],
    "texts": ["mlp:5", "mlp:5@tfidf:3"],
    "pairs": ["mlp:5", "mlp:5@tfidf:3"],
    "rows": ["mlp:5", "linear"],
}
if HAS_TRANSFORMERS:
    SPECS["texts"].append("hf:tiny bert@home")
    SPECS["pairs"].append("hf:tiny bert@home@tokens:9")
    SPECS["images"].append("hf:tiny vit")
    SPECS["sound"] = ["hf:tiny wav2vec"]
if HAS_TIMM:
    SPECS["images"].append("timm:test_vit+vit.safetensors@pixels:32")
if HAS_TORCHVISION:
    SPECS["images"].append("torchvision:squeezenet1_1+net.safetensors@pixels:33")
COMPANIONS = set(FILES.values())
CASES = [(kind, spec) for kind, specs in SPECS.items() for spec in specs]


PACKAGES = {"onnx": ("onnxscript", "onnxruntime"), "hf": ("transformers",)}
"""What a format needs that the base installation does not have."""


@pytest.fixture(params=FORMATS, scope="module")
def form(request):
    for package in PACKAGES.get(request.param, ()):
        pytest.importorskip(package, reason=f"goodteacher[{request.param}] is not installed")
    return FORMATS[request.param]


@pytest.fixture(params=CASES, ids=lambda case: " ".join(case), scope="module")
def student(request, tmp_path_factory):
    """A student with weights that are not its initial ones, its card, and examples as stored."""
    kind, spec = request.param
    inputs = INPUTS[kind]()
    before, source = Path.cwd(), tmp_path_factory.mktemp("models")
    os.chdir(source)
    write_source(source, spec, inputs)
    data = dataset_of(TableRows(inputs, COLUMNS) if kind == "rows" else inputs)
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
        temperature=1.7,
    )
    shutil.rmtree(source)  # a student asks for nothing outside its folder
    os.chdir(before)
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


@pytest.fixture(scope="module")
def folder(form, student, tmp_path_factory):
    """A folder that a student was written to, once for all tests: not to be changed."""
    network, card, _ = student
    if not form.takes(card):
        pytest.skip(f"{form.name} does not take {card.architecture}")
    root = tmp_path_factory.mktemp("written")
    form.write(Store(root), "student", network, card)
    return root / "student"


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


def assert_close(again, inputs, expected):
    """Compare logits: as closely as numbers allow, or as the format says where it rounds."""
    rounded = {} if again.tolerance <= 1e-4 else {"atol": again.tolerance, "rtol": 0}
    torch.testing.assert_close(again(inputs), expected, **rounded)


def test_what_is_read_says_what_was_written(form, student, folder):
    network, card, inputs = student
    again = form.read(folder)
    assert again.card == card
    assert not getattr(again, "training", False)
    for count in (1, 7):
        assert_close(again, inputs[:count], network(inputs[:count]))
    assert again.predict(inputs) == [CLASSES[n] for n in network(inputs).argmax(-1).tolist()]


def test_probabilities_are_those_of_the_temperature(form, student, folder):
    network, card, inputs = student
    expected = (network(inputs).double() / card.temperature).softmax(-1)
    again = form.read(folder)
    found = again.predict_proba(inputs).double()
    torch.testing.assert_close(found, expected, atol=max(1e-5, again.tolerance / 10), rtol=1e-4)


def test_network_is_left_as_it_was_and_written_a_second_time(form, student, folder, tmp_path):
    network, card, inputs = student
    before = network(inputs)
    form.write(Store(tmp_path), "student", network, card)
    assert torch.equal(network(inputs), before)
    assert not any(isinstance(part, FakeTensor) for part in network.state_dict().values())
    assert_close(form.read(tmp_path / "student"), inputs, network(inputs))


def test_folder_can_be_moved(form, student, folder, tmp_path):
    network, _, inputs = student
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert_close(form.read(tmp_path / "elsewhere"), inputs, network(inputs))


def test_every_file_that_is_missing_or_cut_is_named(form, folder, tmp_path):
    copied = tmp_path / "student"
    shutil.copytree(folder, copied)
    files = sorted(path for path in copied.rglob("[!.]*") if path.is_file())
    assert files
    for file in files:
        whole = file.read_bytes()
        for damaged in (None, whole[: len(whole) // 2]):
            file.unlink()
            if damaged is not None:
                file.write_bytes(damaged)
            with pytest.raises(StudyError, match=file.name.replace(".", r"\.")):
                form.read(copied)
            file.write_bytes(whole)


@pytest.mark.parametrize("student", [("texts", "mlp:5")], indirect=True)
def test_nobody_writes_files_of_another_format(student, tmp_path):
    network, card, _ = student
    names = []
    for form in FORMATS.values():
        if form.takes(card) and all(map(find_spec, PACKAGES.get(form.name, ()))):
            form.write(Store(tmp_path / form.name), "student", network, card)
            written = tmp_path / form.name / "student"
            names += [str(path.relative_to(written)) for path in written.rglob("[!.]*")]
    own = [name for name in names if name not in COMPANIONS]
    assert len(own) == len(set(own))
