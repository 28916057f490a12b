"""Real data sets, where they are at hand: GOODTEACHER_DATA names the folder that holds them."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from goodteacher.data import doctor, load_dataset, prepare
from goodteacher.networks import fit_preparation


def real_folder(name):
    root = os.environ.get("GOODTEACHER_DATA")
    if not root:
        pytest.skip("GOODTEACHER_DATA is not set: no real data at hand")
    folder = Path(root) / name
    if not folder.is_dir():
        pytest.skip(f"GOODTEACHER_DATA holds no {name}")
    return folder


@pytest.fixture
def small_copy(tmp_path):
    """The first thousand rows of each split, so that the test stays fast."""

    def copy(name):
        for split in ("train", "test"):
            batch = next(
                pq.ParquetFile(real_folder(name) / f"{split}.parquet").iter_batches(batch_size=1000)
            )
            pq.write_table(pa.Table.from_batches([batch]), tmp_path / f"{split}.parquet")
        return tmp_path

    return copy


@pytest.mark.parametrize(
    "name, shape, class_name",
    [
        ("mnist", (1, 28, 28), "0"),
        ("fashion_mnist", (1, 28, 28), "T - shirt / top"),
        ("cifar10", (3, 32, 32), "airplane"),
    ],
)
def test_real_images_are_read_and_sound(small_copy, name, shape, class_name):
    data = load_dataset(small_copy(name))
    assert data.input_shape == shape
    assert (len(data.train), len(data.test), data.num_classes) == (1000, 1000, 10)
    assert data.class_names[0] == class_name
    assert not [finding for finding in doctor(data) if finding.severity == "error"]
    parts = prepare(data)
    normalised = fit_preparation("mlp:8", parts.training)(parts.training.inputs)
    assert normalised.mean().abs() < 1e-3
    assert (normalised.std() - 1).abs() < 1e-2


def test_cifar_100_is_read_by_its_fine_labels(small_copy):
    data = load_dataset(small_copy("cifar100"))
    assert (len(data.train), data.num_classes, data.input_shape) == (1000, 100, (3, 32, 32))
    assert data.class_names[:2] == ("apple", "aquarium_fish")
    assert not [finding for finding in doctor(data) if finding.severity == "error"]


def test_the_whole_of_fashion_mnist_loads():
    data = load_dataset(real_folder("fashion_mnist"))
    assert (len(data.train), len(data.test)) == (60_000, 10_000)
    assert torch.bincount(data.train.labels).tolist() == [6000] * 10
    # the mean and standard deviation that everyone uses for this data set
    (normalization,) = fit_preparation("mlp:8", prepare(data).training).steps
    assert normalization.mean.item() == pytest.approx(0.2860, abs=1e-3)
    assert normalization.std.item() == pytest.approx(0.3530, abs=1e-3)


def test_banking77_loads_as_text_and_gets_features_of_its_training_part():
    data = load_dataset(real_folder("banking77"))
    assert (len(data.train), len(data.test), data.num_classes) == (10_003, 3_080, 77)
    assert data.class_names[75] == "wrong_amount_of_cash_received"
    assert (
        data.train.texts[0] == "The ATM didn't give me what I asked for but my balance says it did"
    )
    training = prepare(data).training
    features = fit_preparation("mlp:8", training)(training.texts)
    assert features.shape == (len(training), 4096)
    assert features.square().mean() == pytest.approx(1, abs=1e-3)
