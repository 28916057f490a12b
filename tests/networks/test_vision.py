"""Networks of timm and torchvision; weights are made here, nothing is fetched."""

import copy
import math
import sys
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from goodteacher.data import Dataset, InputSpec, Split, prepare
from goodteacher.errors import ModelError, PackageError
from goodteacher.networks import (
    Preparations,
    build_model,
    canonical_spec,
    described,
    parameter_count,
    rebuilt,
    split_spec,
)
from goodteacher.networks.examination import examine
from goodteacher.networks.processing import LEVELS
from goodteacher.training.stacking import StackingWarning, stack_networks

timm = pytest.importorskip("timm", reason="needs goodteacher[vision]")
torchvision = pytest.importorskip("torchvision", reason="needs goodteacher[vision]")

SMALL = InputSpec(kind="numbers", shape=(3, 32, 32))
TIMM, TORCHVISION = "timm:test_resnet", "torchvision:shufflenet_v2_x0_5"
NAMES = [TIMM, "timm:test_vit", TORCHVISION, "torchvision:squeezenet1_1"]
HEADS = {
    TIMM: {"fc.weight", "fc.bias"},
    "timm:test_vit": {"head.weight", "head.bias"},
    TORCHVISION: {"fc.weight", "fc.bias"},
    "torchvision:squeezenet1_1": {"classifier.1.weight", "classifier.1.bias"},
}


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def made(spec, *, num_classes=3, inputs=SMALL, seed=0):
    return build_model(spec, num_classes=num_classes, inputs=inputs, seed=seed)


def networks(*shape, count=12):
    def part(number):
        rng = np.random.default_rng(number)
        images = rng.integers(0, 256, (count, *shape)).astype(np.uint8)
        return Split.from_arrays(images, np.arange(count) % 3, np.arange(count) + 99 * number)

    return Preparations(prepare(Dataset("made", part(0), part(1), ("a", "b", "c"), part(2))))


def write_weights(path, spec, *, num_classes=1000, seed=5):
    """Write weights as their owner has them: of another training, for other classes."""
    state = made(spec, num_classes=num_classes, seed=seed).state_dict()
    save_file(state, path)
    return state


def photograph(*shape, seed=0):
    """An image without noise: even areas and an edge."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    whole = np.array(small.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
    whole[shape[0] // 3 :, : shape[1] // 2] //= 2
    return torch.from_numpy(np.ascontiguousarray(whole.transpose(2, 0, 1)))


def picture(image):
    return Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())


# Specifications -----------------------------------------------------------------------------------


def test_specifications_have_one_form_and_paths_may_have_any_signs():
    for spec in (
        "timm:resnet18",
        "timm:resnet18.a1_in1k",
        "timm:resnet18+my runs/a@b:c.safetensors",
        "torchvision:resnet18.IMAGENET1K_V1",
        "timm:resnet18+a.safetensors@pixels:96",
    ):
        assert canonical_spec(spec) == spec
    assert canonical_spec(" TIMM: resnet18 + a b.safetensors @ pixels:064") == (
        "timm:resnet18+a b.safetensors@pixels:64"
    )
    assert split_spec("timm:resnet18+a@b.safetensors") == ("timm:resnet18+a@b.safetensors", "")


@pytest.mark.parametrize("spec", ["timm:", "timm:a b", "torchvision:resnet18.", "timm:resnet18+"])
def test_malformed_specifications_are_refused(spec):
    with pytest.raises(ModelError, match="malformed"):
        canonical_spec(spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("timm:resnet81", r"timm has no network 'resnet81' .*Did you mean .*resnet18"),
        ("torchvision:mobilenet_v9", r"torchvision has no network 'mobilenet_v9' among its \d\d"),
        ("timm:test_resnet.r1", r"no weights 'r1' of 'test_resnet': there are r160_in1k"),
        ("torchvision:resnet18.V9", r"no weights 'V9' of 'resnet18': there are IMAGENET1K_V1"),
    ],
)
def test_what_a_library_does_not_have_is_refused_with_what_it_has(spec, message):
    with pytest.raises(ModelError, match=message):
        made(spec)
    with pytest.raises(ModelError, match=message):
        networks(3, 8, 8).of(spec)


@pytest.mark.parametrize("inputs", [(6,), InputSpec(kind="integers", shape=(6,), high=9)])
def test_other_examples_than_images_are_refused(inputs):
    with pytest.raises(ModelError, match="classifies images, but the examples are 6"):
        made(TIMM, inputs=inputs)


@pytest.mark.parametrize("name", ["timm", "torchvision"])
def test_a_missing_package_is_named(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(PackageError, match=rf"package {name}: pip install 'goodteacher\[vision\]'"):
        made(f"{name}:resnet18")


# Weights ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", NAMES)
def test_a_network_is_the_librarys_own_with_the_weights_of_the_seed(spec):
    library, _, name = spec.partition(":")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        if library == "timm":
            size = {"img_size": 32} if "vit" in name else {}
            theirs = timm.create_model(name, num_classes=3, **size)
        else:
            theirs = torchvision.models.get_model(name, num_classes=3)
    ours = made(spec, seed=3)
    assert str(ours) == str(theirs)
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


@pytest.mark.parametrize("spec", NAMES)
def test_all_but_the_head_comes_from_a_file(spec, tmp_path):
    file = tmp_path / "a b.safetensors"
    stored = write_weights(file, spec)
    one, other = (made(f"{spec}+{file}", seed=seed).state_dict() for seed in (0, 1))
    for name, tensor in one.items():
        if name not in HEADS[spec]:
            assert torch.equal(tensor, stored[name]), name
            assert torch.equal(tensor, other[name])
    assert any(not torch.equal(one[name], other[name]) for name in HEADS[spec])
    fresh = made(spec, seed=0).state_dict()
    assert all(torch.equal(one[name], fresh[name]) for name in HEADS[spec])


@pytest.mark.parametrize("spec", NAMES)
def test_a_head_of_as_many_classes_is_drawn_from_the_seed_too(spec, tmp_path):
    file = tmp_path / "weights.safetensors"
    stored = write_weights(file, spec, num_classes=3)
    found = made(f"{spec}+{file}").state_dict()
    assert any(not torch.equal(found[name], stored[name]) for name in HEADS[spec])


EFFICIENT = {"timm:test_efficientnet": "classifier", "torchvision:efficientnet_b0": "classifier.1"}


@pytest.mark.parametrize("spec", EFFICIENT)
def test_a_head_that_a_library_draws_far_too_large_for_few_classes_is_brought_down(spec, tmp_path):
    file = tmp_path / "weights.safetensors"
    write_weights(file, spec)
    one, other = (made(f"{spec}+{file}", seed=seed) for seed in (0, 1))
    new = made(spec)
    heads = [each.get_submodule(EFFICIENT[spec]).weight.detach() for each in (one, other, new)]
    usual = 1 / math.sqrt(3 * heads[0].shape[1])
    assert float(heads[2].std()) > 5 * usual  # a new network is the library's own
    for head in heads[:2]:
        assert float(head.std()) == pytest.approx(usual, rel=1e-4)
    factor = float(heads[0].std() / heads[2].std())
    torch.testing.assert_close(heads[0], heads[2] * factor, rtol=1e-4, atol=1e-7)
    assert not torch.equal(heads[0], heads[1])


def test_a_pretrained_network_of_large_heads_begins_without_confident_guesses(tmp_path):
    file = tmp_path / "weights.safetensors"
    write_weights(file, "timm:test_efficientnet")
    images = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network = made(f"timm:test_efficientnet+{file}", num_classes=10).train()
    loss = F.cross_entropy(network(images), torch.arange(16) % 10)
    assert loss.item() < math.log(10) + 0.3


def test_as_many_classes_as_imagenet_has_are_no_exception(tmp_path):
    stored = write_weights(tmp_path / "w.safetensors", TIMM)
    found = made(f"{TIMM}+{tmp_path}/w.safetensors", num_classes=1000).state_dict()
    assert not torch.equal(found["fc.weight"], stored["fc.weight"])
    assert torch.equal(found["conv1.0.weight"], stored["conv1.0.weight"])


def test_a_network_for_one_size_of_images_is_fitted_to_another(tmp_path):
    file = tmp_path / "w.safetensors"
    stored = write_weights(file, "timm:test_vit")
    larger = InputSpec(kind="numbers", shape=(3, 64, 48))
    found = made(f"timm:test_vit+{file}", inputs=larger)
    assert found.pos_embed.shape[1] == 4 * 3 + stored["pos_embed"].shape[1] - 2 * 2
    assert found(torch.zeros(2, 3, 64, 48)).shape == (2, 3)


@pytest.mark.parametrize("spec", [TIMM, TORCHVISION])
def test_weights_of_another_network_are_refused(spec, tmp_path):
    file = tmp_path / "w.safetensors"
    save_file({f"layers.{n}.weight": torch.zeros(2) for n in range(5)}, file)
    with pytest.raises(ModelError, match="are those of another network"):
        made(f"{spec}+{file}")


def test_weights_of_another_shape_are_refused(tmp_path):
    file = tmp_path / "w.safetensors"
    state = write_weights(file, TORCHVISION)
    state["conv1.0.weight"] = torch.zeros(24, 3, 5, 5)
    save_file(state, file)
    with pytest.raises(ModelError, match=r"conv1\.0\.weight has another shape, and 1 of"):
        made(f"{TORCHVISION}+{file}")


@pytest.mark.parametrize("spec", [TIMM, TORCHVISION])
def test_a_cut_file_is_refused(spec, tmp_path):
    file = tmp_path / "w.safetensors"
    write_weights(file, spec)
    file.write_bytes(file.read_bytes()[:900])
    with pytest.raises(ModelError, match="has weights that cannot be read"):
        made(f"{spec}+{file}")


@pytest.mark.parametrize("spec", [TIMM, TORCHVISION])
def test_pickles_are_never_read(spec, tmp_path):
    torch.save(made(spec).state_dict(), tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"a pickle could run code\. Write one: .*'w.safetensors'"):
        made(f"{spec}+{tmp_path}/w.pth")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"The file of weights for .* does not exist: .*nowhere"):
        made(f"{TIMM}+{tmp_path}/nowhere.safetensors")


def test_weights_that_timm_publishes_come_from_the_cache(tmp_path):
    folder = tmp_path / "hub" / "models--timm--test_resnet.r160_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
    stored = write_weights(folder / "snapshots" / ("0" * 40) / "model.safetensors", TIMM)
    found = made(f"{TIMM}.r160_in1k").state_dict()
    assert torch.equal(found["conv1.0.weight"], stored["conv1.0.weight"])
    assert found["fc.weight"].shape == (3, stored["fc.weight"].shape[1])


def test_weights_that_torchvision_publishes_come_from_the_cache(tmp_path):
    weights = torchvision.models.get_model_weights("shufflenet_v2_x0_5").DEFAULT
    file = tmp_path / "torch/hub/checkpoints" / weights.url.rpartition("/")[2]
    file.parent.mkdir(parents=True)
    stored = made(TORCHVISION, num_classes=1000, seed=5).state_dict()
    torch.save(stored, file)
    found = made(f"{TORCHVISION}.{weights.name}").state_dict()
    assert torch.equal(found["conv1.0.weight"], stored["conv1.0.weight"])


def test_weights_that_cannot_be_fetched_are_refused():
    with pytest.raises(ModelError, match=r"'timm:test_resnet.r160_in1k' has weights that cannot"):
        made(f"{TIMM}.r160_in1k")


def test_seeds_that_share_weights_are_told(tmp_path):
    write_weights(tmp_path / "w.safetensors", TIMM)
    spec = f"{TIMM}+{tmp_path}/w.safetensors"
    notes = examine(lambda seed: made(spec, seed=seed), name=spec, num_classes=3, spec=SMALL)
    assert "of its weights from the same values for every seed" in "".join(notes)
    assert not examine(lambda seed: made(TIMM, seed=seed), name=TIMM, num_classes=3, spec=SMALL)


@pytest.mark.parametrize("spec", NAMES)
def test_a_student_is_made_again_without_its_file(spec, tmp_path):
    file = tmp_path / "w.safetensors"
    write_weights(file, spec)
    network = made(f"{spec}+{file}").eval()
    record = described(f"{spec}+{file}", network)
    assert record == {"name": spec.partition(":")[2]}
    file.unlink()
    again = rebuilt(f"{spec}+{file}", record, num_classes=3, inputs=SMALL).eval()
    again.load_state_dict(network.state_dict())
    batch = torch.randn(2, *SMALL.shape)
    torch.testing.assert_close(again(batch), network(batch))


# Preparation --------------------------------------------------------------------------------------


def transform_of(spec):
    library, _, name = spec.partition(":")
    if library == "torchvision":
        name, _, weights = name.partition(".")
        known = torchvision.models.get_model_weights(name)
        return (known[weights] if weights else known.DEFAULT).transforms()
    settings = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    return timm.data.create_transform(**settings)


@pytest.mark.parametrize("size", [(32, 32), (90, 70), (201, 333)], ids=str)
@pytest.mark.parametrize(
    "spec",
    [
        "timm:resnet18",
        "timm:vit_tiny_patch16_224",
        "timm:tf_efficientnet_lite0",
        "timm:resnet10t",
        "timm:resnet18.fb_swsl_ig1b_ft_in1k",
        "torchvision:resnet18",
        "torchvision:resnet50.IMAGENET1K_V1",
        "torchvision:mobilenet_v3_small",
        "torchvision:swin_t",
        "torchvision:efficientnet_b1",
    ],
)
def test_images_are_prepared_as_the_library_does(spec, size):
    preparation = networks(3, *size).of(spec)
    image = photograph(*size)
    found, expected = preparation(image[None])[0], transform_of(spec)(picture(image))
    assert found.shape == expected.shape
    levels = (found - expected).abs() * preparation.steps[-1].std * 255
    assert levels.max() < LEVELS
    assert levels.mean() < 0.6


def test_gray_images_get_three_channels():
    parts = networks(1, 20, 20)
    colours = networks(3, 20, 20).of(f"{TIMM}@pixels:32")
    gray = parts.data.training.inputs
    torch.testing.assert_close(
        parts.of(f"{TIMM}@pixels:32")(gray), colours(gray.expand(-1, 3, -1, -1).contiguous())
    )
    assert parts.network(f"{TIMM}@pixels:32", seed=0)(gray).shape == (len(gray), 3)


def test_a_size_behind_the_at_is_that_of_the_whole_image():
    parts = networks(3, 20, 30)
    asked = parts.of(f"{TIMM}@pixels:24x32").to_dict()["steps"]
    assert [step["kind"] for step in asked] == ["resize", "normalize"]
    assert asked[0]["size"] == [24, 32]
    own = parts.of(f"{TIMM}@pixels:20x30").to_dict()["steps"]
    assert [step["kind"] for step in own] == ["normalize"]


@pytest.mark.parametrize("clause", ["@resize:8", "@raw"])
def test_other_clauses_stand_as_for_any_network(clause):
    found = networks(1, 16, 16).network(f"{TIMM}{clause}", seed=0)
    assert found(torch.zeros(2, 1, 16, 16, dtype=torch.uint8)).shape == (2, 3)


def test_two_networks_have_their_own_preparations_and_share_none():
    parts = networks(3, 32, 32)
    one, other = parts.of("timm:resnet18@pixels:32"), parts.of("timm:test_vit@pixels:32")
    assert one is not other
    assert one.steps[-1].mean.flatten().tolist() != other.steps[-1].mean.flatten().tolist()


def test_many_times_the_pixels_are_told():
    notes = [*networks(3, 32, 32).notes("timm:resnet18", {})]
    assert notes == [
        "'timm:resnet18' sees images of 32x32 at 235x235: 54 times as many pixels, and about 54 "
        "times the work. 'timm:resnet18@pixels:32x32' keeps the images at their size."
    ]


# Stacks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [*NAMES, "timm:mobilenetv3_small_050"])
def test_students_of_any_network_are_trained_together_or_one_at_a_time_with_equal_results(spec):
    inputs = torch.randn(4, *SMALL.shape)
    alone = [made(spec, seed=seed) for seed in (0, 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StackingWarning)
        stack = stack_networks(alone, example_input=inputs[:2])
    for module in [*alone, stack]:
        module.eval()
        for layer in module.modules():
            if isinstance(layer, torch.nn.modules.dropout._DropoutNd):
                layer.p = 0.0
    with torch.no_grad():
        expected = torch.stack([network(inputs) for network in alone])
        torch.testing.assert_close(stack(inputs), expected, atol=1e-4, rtol=1e-3)


def test_batch_statistics_of_stacked_students_are_their_own():
    inputs = torch.randn(6, *SMALL.shape)
    alone = [made(TIMM, seed=seed) for seed in (0, 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StackingWarning)
        stack = stack_networks(alone, example_input=inputs[:2]).train()
    stack(inputs)
    for number, network in enumerate(alone):
        network = copy.deepcopy(network).train()
        network(inputs)
        found = stack.state_dict_of(number)
        for name, tensor in network.state_dict().items():
            if "running" in name:
                torch.testing.assert_close(found[name], tensor, atol=1e-4, rtol=1e-3)


def test_parameters_are_as_few_as_the_head_makes_them():
    assert parameter_count(made(TIMM)) < parameter_count(made(TIMM, num_classes=1000))


def test_a_file_as_timm_itself_writes_it_is_read(tmp_path):
    network = timm.create_model("test_resnet", num_classes=7)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    found = made(f"{TIMM}+{tmp_path}/model.safetensors").state_dict()
    stored = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(found[n], stored[n]) for n in stored if not n.startswith("fc."))
