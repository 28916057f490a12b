"""The built-in families, against references written from the papers."""

import numpy as np
import pytest
import torch
from scipy import signal
from torch import nn

from goodteacher.networks import build_model, parameter_count
from goodteacher.networks.residual import BasicBlock, PreActivationBlock

IMAGES = ["mlp:7", "cnn:4,8", "resnet:8", "resnet:8x4", "wrn:10-2"]


def build(spec, shape=(3, 32, 32), classes=10, seed=0):
    return build_model(spec, num_classes=classes, inputs=shape, seed=seed)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def count_resnet(depth, width, classes, channels=3):
    """Weights by hand: convolutions, two numbers a normalised channel, projections, the head."""
    blocks, stem = (depth - 2) // 6, max(16, 8 * width)
    total = 9 * channels * stem + 2 * stem
    before = stem
    for stage, after in enumerate((16 * width, 32 * width, 64 * width)):
        if stage or before != after:
            total += before * after + 2 * after
        total += 9 * before * after + (2 * blocks - 1) * 9 * after**2 + 2 * blocks * 2 * after
        before = after
    return total + before * classes + classes


def count_wide_resnet(depth, width, classes, channels=3):
    blocks, before = (depth - 4) // 6, 16
    total = 9 * channels * before
    for after in (16 * width, 32 * width, 64 * width):
        total += before * after if before != after else 0
        total += 9 * before * after + (2 * blocks - 1) * 9 * after**2
        total += 2 * before + (2 * blocks - 1) * 2 * after
        before = after
    return total + 2 * before + before * classes + classes


@pytest.mark.parametrize(
    ("depth", "published"),
    # He et al. 2016, table 6, with the 2,752 weights of option B's two projections on top.
    [(20, 272_474), (32, 466_906), (44, 661_338), (56, 855_770)],
)
def test_cifar_resnets_have_the_published_number_of_parameters(depth, published):
    assert parameter_count(build(f"resnet:{depth}")) == published == count_resnet(depth, 1, 10)


@pytest.mark.parametrize(
    ("spec", "published"),
    [("resnet:56", 0.86), ("resnet:20", 0.28), ("wrn:40-2", 2.26), ("wrn:40-1", 0.57)],
)
def test_the_pairs_that_everybody_publishes_on_cifar_100_have_the_published_size(spec, published):
    network = build(spec, classes=100)
    assert round(parameter_count(network) / 1e6, 2) == published


@pytest.mark.parametrize(
    "spec", ["resnet:8x4", "resnet:14x2", "resnet:8x3", "wrn:10-1", "wrn:16-2"]
)
@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize("channels", [1, 3])
def test_parameters_are_as_many_as_counted_by_hand(spec, classes, channels):
    family, _, argument = spec.partition(":")
    by_hand = {"resnet": count_resnet, "wrn": count_wide_resnet}[family]
    numbers = [int(number) for number in argument.replace("-", "x").split("x")]
    network = build(spec, (channels, 16, 16), classes)
    assert parameter_count(network) == by_hand(*numbers, classes, channels)


@pytest.mark.parametrize(
    ("spec", "convolutions"),
    # He et al. count these and the head; Zagoruyko & Komodakis these and three projections.
    [("resnet:20", 19), ("resnet:8x4", 7), ("wrn:16-2", 13), ("wrn:28-1", 25)],
)
def test_depth_gives_as_many_3x3_convolutions_as_in_the_paper(spec, convolutions):
    found = [m for m in build(spec).modules() if isinstance(m, nn.Conv2d)]
    assert sum(conv.kernel_size == (3, 3) for conv in found) == convolutions


@pytest.mark.parametrize("spec", ["resnet:8", "wrn:10-2"])
def test_stages_halve_the_map_twice(spec):
    network = build(spec).eval()
    shapes = []
    for stage in [m for m in network if isinstance(m, nn.Sequential)]:
        stage.register_forward_hook(lambda _m, _i, output: shapes.append(tuple(output.shape[1:])))
    network(torch.zeros(1, 3, 32, 32))
    width = 2 if spec.startswith("wrn") else 1
    assert shapes == [(16 * width, 32, 32), (32 * width, 16, 16), (64 * width, 8, 8)]


def test_repdistiller_stem_has_32_channels_at_width_4():
    assert build("resnet:8x4")[0].out_channels == 32


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 9), (1, 7, 5), (4, 2, 3)])
@pytest.mark.parametrize("spec", ["cnn:4,8,8,8", "resnet:8", "wrn:10-1"])
def test_odd_and_tiny_images_give_logits(spec, shape):
    network = build(spec, shape, classes=3).eval()
    assert network(torch.randn(2, *shape)).shape == (2, 3)


def test_cnn_stops_pooling_at_a_single_pixel():
    network = build("cnn:4,4,4,4,4", (1, 8, 20))
    assert sum(isinstance(module, nn.MaxPool2d) for module in network) == 3


@pytest.mark.parametrize("shape", [(12,), (3, 4), (2, 2, 3)])
def test_mlp_takes_inputs_of_any_rank_and_flattens_them(shape):
    network = build("mlp:5,4", shape, classes=3)
    batch = torch.randn(6, *shape)
    hidden = batch.numpy().reshape(6, 12).astype(float)
    layers = [m for m in network if isinstance(m, nn.Linear)]
    for layer in layers:
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        hidden = hidden @ weight.astype(float).T + bias
        hidden = hidden if layer is layers[-1] else np.maximum(hidden, 0)
    assert [layer.out_features for layer in layers] == [5, 4, 3]
    np.testing.assert_allclose(network(batch).detach().numpy(), hidden, rtol=1e-5, atol=1e-6)


def convolve(inputs, conv):
    """Correlate channel by channel, then keep each ``stride``-th pixel."""
    weight, stride = conv.weight.detach().numpy(), conv.stride[0]
    maps = [
        sum(signal.correlate2d(x, w, mode="same") for x, w in zip(inputs, kernel, strict=True))
        for kernel in weight
    ]
    return np.stack(maps)[:, ::stride, ::stride]


def normalise(inputs, norm):
    mean, variance = norm.running_mean.numpy(), norm.running_var.numpy()
    scale, shift = norm.weight.detach().numpy(), norm.bias.detach().numpy()
    columns = [values[:, None, None] for values in (mean, variance, scale, shift)]
    return (inputs - columns[0]) / np.sqrt(columns[1] + norm.eps) * columns[2] + columns[3]


def relu(inputs):
    return np.maximum(inputs, 0)


def basic_block(x, block):
    hidden = relu(normalise(convolve(x, block.conv1), block.bn1))
    hidden = normalise(convolve(hidden, block.conv2), block.bn2)
    if not isinstance(block.shortcut, nn.Identity):
        x = normalise(convolve(x, block.shortcut[0]), block.shortcut[1])
    return relu(hidden + x)


def pre_activation_block(x, block):
    active = relu(normalise(x, block.bn1))
    hidden = convolve(relu(normalise(convolve(active, block.conv1), block.bn2)), block.conv2)
    return hidden + (x if block.projection is None else convolve(active, block.projection))


def scramble(network):
    """Move the normalisations off their start, where scale 1 and shift 0 would hide mistakes."""
    generator = torch.Generator().manual_seed(1)
    for norm in [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]:
        for values in (norm.running_mean, norm.bias.data):
            values.normal_(generator=generator)
        for values in (norm.running_var, norm.weight.data):
            values.uniform_(0.5, 2.0, generator=generator)
    return network.double().eval()


@pytest.mark.parametrize(
    ("kind", "reference"),
    [(BasicBlock, basic_block), (PreActivationBlock, pre_activation_block)],
)
@pytest.mark.parametrize(("before", "after", "stride"), [(3, 3, 1), (3, 4, 1), (3, 4, 2)])
def test_block_agrees_with_its_paper_computed_slowly(kind, reference, before, after, stride):
    torch.manual_seed(0)
    block = scramble(kind(before, after, stride=stride))
    inputs = torch.randn(2, before, 6, 6, dtype=torch.float64)
    expected = np.stack([reference(example, block) for example in inputs.numpy()])
    np.testing.assert_allclose(block(inputs).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_cnn_agrees_with_itself_computed_slowly():
    network = scramble(build("cnn:3,4", (2, 5, 5), classes=3))
    image = torch.randn(2, 5, 5, dtype=torch.float64)
    x = relu(normalise(convolve(image.numpy(), network[0]), network[1]))
    x = x[:, :4, :4].reshape(3, 2, 2, 2, 2).max(axis=(2, 4))
    x = relu(normalise(convolve(x, network[4]), network[5])).max(axis=(1, 2))
    expected = network[-1].weight.detach().numpy() @ x + network[-1].bias.detach().numpy()
    np.testing.assert_allclose(network(image[None])[0].detach().numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("spec", IMAGES)
def test_gradient_agrees_with_finite_differences(spec):
    network = build(spec, (1, 8, 8), classes=3).double()
    batch = torch.randn(4, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    parameters = list(network.parameters())
    gradients = torch.autograd.grad(network(batch).square().sum(), parameters)
    generator = torch.Generator().manual_seed(3)
    directions = [
        torch.randn(p.shape, generator=generator, dtype=p.dtype) / p.numel() ** 0.5
        for p in parameters
    ]

    def loss(step):
        moved = [p + step * d for p, d in zip(parameters, directions, strict=True)]
        names = [name for name, _ in network.named_parameters()]
        state = dict(zip(names, moved, strict=True))
        return torch.func.functional_call(network, state, (batch,)).square().sum().item()

    slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
    assert (loss(1e-7) - loss(-1e-7)) / 2e-7 == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize("spec", IMAGES)
def test_network_starts_in_training_mode_and_evaluation_changes_no_buffer(spec):
    network = build(spec, (1, 8, 8))
    assert all(module.training for module in network.modules())
    batch = torch.randn(6, 1, 8, 8)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network.eval()(batch)
    assert all(torch.equal(before[name], buffer) for name, buffer in network.named_buffers())


@pytest.mark.parametrize("spec", IMAGES[1:])
def test_training_mode_updates_every_running_statistic(spec):
    network = build(spec, (1, 8, 8))
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network(torch.randn(6, 1, 8, 8))
    assert before
    for name, buffer in network.named_buffers():
        assert not torch.equal(before[name], buffer), name


@pytest.mark.parametrize("spec", ["cnn:64,64", "resnet:8x4", "wrn:10-4"])
def test_convolutions_start_with_variance_two_by_fan_out(spec):
    for conv in [m for m in build(spec).modules() if isinstance(m, nn.Conv2d)]:
        fan_out = conv.out_channels * conv.kernel_size[0] ** 2
        spread = conv.weight.std().item() * (fan_out / 2) ** 0.5
        assert spread == pytest.approx(1, abs=5 / (2 * conv.weight.numel()) ** 0.5)


def test_biases_of_the_wide_networks_head_start_at_zero():
    assert not build("wrn:10-1")[-1].bias.any()
    assert build("resnet:8")[-1].bias.any()


@pytest.mark.parametrize("spec", IMAGES)
def test_a_few_steps_fit_a_small_batch(spec):
    network = build(spec, (1, 8, 8), classes=3)
    batch, labels = torch.randn(9, 1, 8, 8), torch.arange(9) % 3
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(15):
        loss = nn.functional.cross_entropy(network(batch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
