import io

import numpy as np
import pytest
import torch
from PIL import Image

from goodteacher.config.augmentation import Augmentation
from goodteacher.data import Dataset, Split, prepare
from goodteacher.data.encoded import OnDemand
from goodteacher.data.views import crop_and_flip
from goodteacher.networks import Examples, Normalization, Preparations

HALVES = Normalization(torch.tensor(0.5), torch.tensor(0.25), unit=255.0)
N, C = 30, 3


def split(channels=3):
    generator = torch.Generator().manual_seed(0)
    shape = (N, channels, 8, 8)
    pictures = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return Split(pictures, torch.arange(N) % C, torch.arange(N) * 3 + 11)


def augmented(**augmentation):
    return Examples(split(), HALVES, augmentation=Augmentation(**augmentation))


def test_view_zero_is_the_image_itself_whatever_the_augmentation():
    positions = torch.tensor([4, 0, 4])
    plain = HALVES(split().inputs[positions])
    examples = augmented(flip=True, crop=2, cutout=3, mixup=1.0)
    assert torch.equal(examples.inputs(positions), plain)
    assert torch.equal(examples.labels(positions, num_classes=C), positions % C)


def test_images_come_channels_last_even_with_a_single_channel():
    for channels in (1, 3):
        examples = Examples(split(channels), HALVES)
        inputs = examples.inputs(torch.arange(5))
        assert inputs.stride() == (64 * channels, 1, 8 * channels, channels)


def test_other_views_are_augmented_before_they_are_normalised():
    positions, data = torch.tensor([9, 2, 17]), split()
    augmentation = Augmentation(flip=True, crop=2)
    expected = crop_and_flip(
        data.inputs[positions], data.ids[positions], augmentation, view=5, stream=0
    )
    assert torch.equal(augmented(flip=True, crop=2).inputs(positions, 5), HALVES(expected))


def test_mixed_images_and_labels_are_mixed_in_the_same_shares():
    examples = augmented(mixup=1.0)
    everyone = torch.arange(N)
    inputs, labels = examples.inputs(everyone, 1), examples.labels(everyone, 1, num_classes=C)
    own = examples.inputs(everyone)
    torch.testing.assert_close(labels.sum(1), torch.ones(N))
    seen = 0
    for i in range(N):
        share = labels[i, i % C]
        # The partner is whoever makes the mixture exact; a pair of one class hides its share.
        rest = [(inputs[i] - share * own[i]) - (1 - share) * own[j] for j in range(N)]
        if 0.05 < share < 0.95:
            assert min(float(r.abs().max()) for r in rest) < 1e-4
            seen += 1
    assert seen > 5


def test_anything_that_belongs_to_an_example_is_mixed_as_its_image_is():
    examples, everyone = augmented(mixup=1.0), torch.arange(N)
    one_hot = torch.nn.functional.one_hot(everyone % C, C).float()
    mixed = examples.mixed(one_hot, everyone, 1)
    assert torch.equal(mixed, examples.labels(everyone, 1, num_classes=C))
    assert torch.equal(examples.mixed(one_hot, everyone, 0), one_hot)


def test_cutout_is_zero_to_the_last_bit_once_it_is_normalised():
    means = Normalization(torch.rand(3, 1, 1), torch.rand(3, 1, 1) + 0.1, unit=255.0)
    examples = Examples(split(), means, augmentation=Augmentation(cutout=4))
    everyone = torch.arange(N)
    plain, cut = examples.inputs(everyone), examples.inputs(everyone, 1)
    hole = (cut == 0).all(1, keepdim=True).expand_as(cut)
    assert hole.flatten(1).any(1).all()
    assert torch.equal(cut[~hole], plain[~hole])
    assert cut.stride() == plain.stride()


@pytest.mark.parametrize("channels", [1, 3])
def test_smaller_images_are_prepared_once_and_come_as_if_batch_by_batch(channels):
    parts = prepare(Dataset("made", split(channels), split(channels), ("a", "b", "c")))
    networks = Preparations(parts)
    examples, positions = networks.examples("cnn:2@resize:4", parts.training), torch.arange(7)
    plain = Examples(parts.training, networks.of("cnn:2@resize:4"))
    assert torch.equal(examples.inputs(positions), plain.inputs(positions))
    assert examples.inputs(positions).stride() == plain.inputs(positions).stride()
    assert examples.inputs(positions).stride() == (16 * channels, 1, 4 * channels, channels)
    again = networks.examples("mlp:2@resize:4", parts.training)
    assert again._stored.tensor.data_ptr() == examples._stored.tensor.data_ptr()
    assert examples.bytes_each < plain.bytes_each


@pytest.mark.parametrize("view", [0, 4])
@pytest.mark.parametrize("mixup", [0.0, 1.0])
@pytest.mark.parametrize("on_demand", [False, True])
def test_each_of_several_parts_is_what_it_is_alone(view, mixup, on_demand):
    stored = encoded(split()) if on_demand else split()
    augmentation = Augmentation(flip=True, crop=2, cutout=3, mixup=mixup)
    alone = Examples(split(), HALVES, augmentation=augmentation)
    parts = torch.randperm(N, generator=torch.Generator().manual_seed(1)).split(7)
    examples = Examples(stored, HALVES, augmentation=augmentation)
    found = [*examples.each(parts, view)]
    assert len(found) == len(parts)
    for part, inputs in zip(parts, found, strict=True):
        assert torch.equal(inputs, alone.inputs(part, view))
        assert torch.equal(inputs, examples.inputs(part, view))


def encoded(given):
    """The same examples, decoded whenever they are asked for."""
    content = []
    for image in given.inputs:
        buffer = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "PNG")
        content.append(buffer.getvalue())
    images = OnDemand(content, np.arange(N), tuple(given.inputs.shape[1:]), str)
    return Split(images, given.labels, given.ids)


def test_large_examples_are_gathered_a_few_at_once():
    def at_once(side):
        images = torch.zeros(2, 3, side, side, dtype=torch.uint8)
        return Examples(Split(images, torch.arange(2), torch.arange(2)), HALVES).at_once(8192)

    assert at_once(16) == 8192
    assert at_once(224) == 2**25 // (224 * 224 * 3 * 4)
    assert at_once(4000) == 1
