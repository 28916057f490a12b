"""Small data sets, and sources of them on disk."""

import io
import json
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from goodteacher.data import DataNote, Dataset, Split, load_dataset


def make_features(num_examples=40, num_classes=2, num_features=3, seed=0):
    """Features whose rows all differ, with labels that go round the classes."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(num_examples, num_features, generator=generator)
    return Split.from_arrays(inputs, torch.arange(num_examples) % num_classes)


def make_images(num_examples=20, num_classes=2, shape=(1, 4, 4), seed=0):
    inputs = np.random.default_rng(seed).integers(0, 256, (num_examples, *shape), dtype=np.uint8)
    return Split.from_arrays(inputs, torch.arange(num_examples) % num_classes)


def make_dataset(make=make_features, **settings):
    train, test = make(seed=1, **settings), make(seed=2, **settings)
    names = tuple(f"class {c}" for c in range(int(train.labels.max()) + 1))
    return Dataset("made", train, test, names)


def noted(spec, **settings):
    """Load a data set; return it and what was told."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", DataNote)
        data = load_dataset(spec, **settings)
    assert [str(warning.message) for warning in told] == [note.message for note in data.notes]
    return data, [note.message for note in data.notes]


def encode(pixels, file_format="PNG", mode=None, **options):
    """Encode an array (or a Pillow image) as the bytes of an image file."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, file_format, **options)
    return buffer.getvalue()


def hub_table(encoded, labels, class_names=("cat", "dog"), image="image", label="label", **extra):
    """A table in the schema in which the Hugging Face hub stores images."""
    structs = [None if data is None else {"bytes": data, "path": None} for data in encoded]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {image: pa.array(structs, kind), label: pa.array(labels, pa.int64()), **extra}
    features = {
        image: {"_type": "Image"},
        label: {"_type": "ClassLabel", "names": list(class_names)},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.table(columns).replace_schema_metadata(metadata)


@pytest.fixture
def pixels():
    """Six grey images, 5 high and 4 wide."""
    return np.random.default_rng(3).integers(0, 256, (6, 5, 4), dtype=np.uint8)


@pytest.fixture
def parquet_folder(tmp_path, pixels):
    """A folder as the hub gives it, in several row groups; test holds the images reversed."""
    for split, rows in (("train", pixels), ("test", pixels[::-1])):
        table = hub_table([encode(row) for row in rows], [0, 1] * 3)
        pq.write_table(table, tmp_path / f"{split}.parquet", row_group_size=2)
    return tmp_path
