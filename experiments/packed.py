"""Write a data set as arrays, so that whatever reads it often begins in seconds.

    python experiments/packed.py cifar100 --out packed
    GOODTEACHER_DATA=packed python experiments/run.py experiments/gpu/cifar100.toml --out study

Images of a Parquet file are decoded each time it is read; those of an array are mapped. Examples,
their order and their classes are the same. For images, features and other single arrays.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from goodteacher.data import load_dataset
from run import HUB, where


def pack(data: str, folder: Path) -> None:
    """Write the arrays of a data set; one that is whole already stays as it is.

    Args:
        data: The data set, or where it is.
        folder: Where the arrays go.
    """
    last = folder / "x_train.npy"  # written last: with it the folder is whole
    if last.exists():
        return
    dataset = load_dataset(data)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "class_names.npy", np.array(dataset.class_names))
    for name, split in (("test", dataset.test), ("train", dataset.train)):
        np.save(folder / f"y_{name}.npy", split.labels.numpy())
        part = folder / f"part-{name}.npy"
        np.save(part, split.inputs.numpy())
        part.replace(folder / f"x_{name}.npy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", nargs="+", choices=list(HUB))
    parser.add_argument("--out", type=Path, required=True, help="folder of the packed data sets")
    given = parser.parse_args()
    for data in given.data:
        pack(where(data), given.out / data)


if __name__ == "__main__":
    main()
