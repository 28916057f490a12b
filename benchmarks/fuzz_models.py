"""Inputs for the fuzzer that hold networks: checkpoints, delivered students, and their studies."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.fuzz_inputs import Kind, in_safetensors, in_zip
from safetensors.torch import save

from goodteacher import distill, load_student
from goodteacher.data import load_dataset
from goodteacher.studies import health_of
from goodteacher.teachers.checkpoints import (
    classes_of,
    epochs_of,
    find_checkpoints,
    read_checkpoint,
)


def kinds(folder: Path) -> dict[str, Kind]:
    """Return the kinds of input that hold networks, by name.

    Args:
        folder: Where a small study is made, from which students are taken.
    """
    return {**_checkpoints(), **_studies(_distilled(folder))}


def _weights() -> dict[str, torch.Tensor]:
    return {"0.weight": torch.eye(3), "0.bias": torch.zeros(3)}


def _checkpoints() -> dict[str, Kind]:
    buffer = io.BytesIO()
    torch.save({"state_dict": _weights(), "epoch": 3}, buffer)
    shard = save(_weights())
    index = json.dumps({"weight_map": dict.fromkeys(_weights(), "model-1.safetensors")}).encode()
    state = json.dumps({"epoch": 3.0, "global_step": 9}).encode()
    config = json.dumps({"id2label": {"0": "a", "1": "b", "2": "c"}}).encode()
    beside = {"config.json": config, "trainer_state.json": state}
    folder = {"model-1.safetensors": shard, "model.safetensors.index.json": index, **beside}

    def read(path: Path) -> object:
        found = find_checkpoints([str(path)])
        contents = [read_checkpoint(each.path) for each in found]
        return epochs_of(found, contents, None), [classes_of(each.path) for each in found]

    def one(name: str, content: bytes, inside: Any) -> Kind:
        return Kind({name: content}, (name,), lambda f: read(f / name), inside)

    return {
        "checkpoint .pt": one("epoch-3.pt", buffer.getvalue(), in_zip),
        "checkpoint .safetensors": one("epoch-3.safetensors", shard, in_safetensors),
        "checkpoint folder": Kind(folder, tuple(folder), read),
    }


def _distilled(folder: Path) -> dict[str, bytes]:
    """Distill a small student of a table with words, and return the files of its study."""
    rng = np.random.default_rng(0)
    rows = (f"{n},{'red' if n % 3 else 'blue'},{rng.normal():.3f},{'ab'[n % 2]}" for n in range(60))
    table = folder / "d.csv"
    table.write_text("id,colour,size,label\n" + "\n".join(rows) + "\n")
    data = load_dataset(table)
    response = folder / "r.npy"
    np.save(response, rng.normal(size=(len(data.train), 2)).astype(np.float32))
    out = folder / "study"
    quick = {"student_epochs": 1, "seeds": 1, "engine": "local", "threads": 1}
    distill(data, responses=response, student="mlp:3", out=out, **quick)
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def _studies(study: dict[str, bytes]) -> dict[str, Kind]:
    """The study as it is, and its student with and without the checksums that tell of a change."""
    student = {
        name.removeprefix("student/"): content
        for name, content in study.items()
        if name.startswith("student/")
    }
    bare = {name: content for name, content in student.items() if "checksums" not in name}
    asked = np.zeros((2, 2), np.float32)
    kind = Kind(bare, tuple(bare), lambda folder: load_student(folder).predict(asked))
    return {
        "study": Kind(study, tuple(study), health_of),
        "student": dataclasses.replace(kind, files=student, mutable=tuple(student)),
        "student without checksums": kind,
    }
