"""Inputs for the fuzzer: valid files of each kind, changed at random, and who reads them.

Each input is made of a seed and a number, so any can be made again. A change is a flipped bit, a
part left out, doubled or taken from elsewhere, or a number made extreme; where a checksum or a
length would give it away at once, the part inside is changed and packed again.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.torch import save
from tests.foreign_recipes import MDISTILLER, TORCHDISTILL

from goodteacher.config import DistillConfig, StudyConfig, VerifyConfig, parse, read_toml
from goodteacher.data import load_dataset
from goodteacher.public.recipes.importing import import_recipe
from goodteacher.public.scoring import score
from goodteacher.responses import Response, read_labels, read_response, write_response
from goodteacher.teachers import RecordedRun

Change = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        files: A valid input: content by name, below the folder that it is in.
        mutable: The files that are changed, one at a time.
        read: Reads the folder.
        inside: How what a file packs is changed and packed again.
    """

    files: Mapping[str, bytes]
    mutable: tuple[str, ...]
    read: Callable[[Path], object]
    inside: Change | None = None


# --- changes -------------------------------------------------------------------------------------

_EXTREME = [0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1]
_WORDS = [
    b"nan",
    b"inf",
    b"-1",
    b"1e400",
    b"",
    b"null",
    b"\xff\xfe",
    b"\0",
    b"99999999999999999999",
]
_WORDS += [
    b"true",
    b"[]",
    b"{}",
    b'"',
    b",",
    b"\n",
    b"\t",
    "ä\u202e\ud7ff".encode(),
    b"0x10",
    b"1_0",
]
_WORDS += [b"-0.0", b"1e-400", b"../..", b"/dev/zero", b"label", b"train", b"id", b"logit_0"]


def flipped(content: bytes, rng: random.Random) -> bytes:
    """Flip some bits."""
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def moved(content: bytes, rng: random.Random) -> bytes:
    """Cut, leave out, double or exchange parts."""
    a, b = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    c = rng.randrange(len(content) + 1)
    return rng.choice(
        [
            content[:a],
            content[:a] + content[b:],
            content[:b] + content[a:b] * rng.choice([1, 1, 50]) + content[b:],
            content[:c] + content[a:b] + content[c:],
            content[a:b],
        ]
    )


def extreme(content: bytes, rng: random.Random) -> bytes:
    """Put an extreme number or an odd word somewhere."""
    numbers = list(re.finditer(rb"\d+", content))
    if numbers and rng.random() < 0.6:
        found = rng.choice(numbers)
        new = rng.choice([str(rng.choice(_EXTREME)).encode(), *rng.sample(_WORDS, 3)])
        return content[: found.start()] + new + content[found.end() :]
    place = rng.randrange(len(content) + 1)
    packed = struct.pack(rng.choice("<>") + "Q", rng.choice(_EXTREME))
    new = rng.choice([packed, packed[:4], packed[-4:], *rng.sample(_WORDS, 3)])
    over = len(new) if rng.random() < 0.5 else 0
    return content[:place] + new + content[place + over :]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Change content one to four times."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        content = rng.choice([flipped, moved, extreme, extreme])(content, rng)
    return content[: 2**18]


def in_zip(content: bytes, rng: random.Random) -> bytes:
    """Change one member of an archive, mostly its header."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(members))
    head, rest = members[name][:128], members[name][128:]
    members[name] = mutated(head, rng) + rest if rng.random() < 0.7 else mutated(members[name], rng)
    if rng.random() < 0.2:
        members[rng.choice(["x_train.npy", "ids.npy", "class_names.npy", "a.b.npy", "x"])] = (
            members[name]
        )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice([0, 8])) as archive:
        for each, inner in members.items():
            archive.writestr(each, inner)
    return out.getvalue()


def in_gzip(content: bytes, rng: random.Random) -> bytes:
    """Change what is compressed."""
    return gzip.compress(mutated(gzip.decompress(content), rng), 1)


def in_safetensors(content: bytes, rng: random.Random) -> bytes:
    """Change the header, and give its new length."""
    length = int.from_bytes(content[:8], "little")
    head = mutated(content[8 : 8 + length], rng)
    return len(head).to_bytes(8, "little") + head + content[8 + length :]


def in_png(content: bytes, rng: random.Random) -> bytes:
    """Change a chunk of a PNG, and give its new checksum."""
    place, parts = 8, []
    while place + 8 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        parts.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + size]))
        place += 12 + size
    chosen = rng.randrange(len(parts))
    parts[chosen] = parts[chosen][0], mutated(parts[chosen][1], rng)
    out = content[:8]
    for kind, inner in parts:
        check = struct.pack(">I", zlib.crc32(kind + inner))
        out += struct.pack(">I", len(inner)) + kind + inner + check
    return out


# --- valid inputs --------------------------------------------------------------------------------


def _saved(save_to: Callable[[Any], object]) -> bytes:
    buffer = io.BytesIO()
    save_to(buffer)
    return buffer.getvalue()


def _table(rows: int = 24) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "id": np.arange(rows) * 3,
            "size": rng.normal(size=rows),
            "colour": [["red", "green", "blue"][n % 3] for n in range(rows)],
            "split": ["test" if n % 4 == 0 else "train" for n in range(rows)],
            "label": [["cat", "dog"][n % 2] for n in range(rows)],
        }
    )


def _arrays() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 3
    arrays = {"x_train": rng.normal(size=(12, 4)).astype(np.float32), "y_train": labels}
    return {**arrays, "x_test": arrays["x_train"] + 1, "y_test": labels}


def _logits(rows: int = 8) -> Any:
    return np.random.default_rng(1).normal(size=(rows, 3)).astype(np.float32)


def _data_kinds() -> dict[str, Kind]:
    arrays, table = _arrays(), _table()
    csv = _saved(lambda to: pyarrow.csv.write_csv(table, to))
    lines = "\n".join(map(json.dumps, table.to_pylist())).encode()
    png = _saved(lambda to: Image.fromarray(np.eye(8, dtype=np.uint8) * 200).save(to, "PNG"))
    jpg = _saved(lambda to: Image.fromarray(np.eye(8, dtype=np.uint8) * 99).save(to, "JPEG"))
    images = {f"{s}/{c}/{n}.png": png for s in ("train", "test") for c in "ab" for n in "01"}
    images["train/a/2.jpg"] = jpg

    def one(name: str, content: bytes, inside: Change | None = None) -> Kind:
        return Kind({name: content}, (name,), lambda folder: load_dataset(folder / name), inside)

    npy = {f"{n}.npy": _saved(lambda to, a=a: np.save(to, a)) for n, a in arrays.items()}
    folders = {"array folder": Kind(npy, tuple(npy), load_dataset)}
    folders["image folder"] = Kind(images, ("train/a/0.png", "test/b/1.png"), load_dataset, in_png)
    folders["jpeg folder"] = Kind(images, ("train/a/2.jpg",), load_dataset)
    return {
        "npz": one("d.npz", _saved(lambda to: np.savez(to, **arrays)), in_zip),
        "csv": one("d.csv", csv),
        "csv.gz": one("d.csv.gz", gzip.compress(csv), in_gzip),
        "tsv": one("d.tsv", csv.replace(b",", b"\t")),
        "jsonl": one("d.jsonl", lines),
        "parquet": one("d.parquet", _saved(lambda to: pq.write_table(table, to))),
        **folders,
        **_further_data(npy, csv, png),
    }


def _further_data(npy: Mapping[str, bytes], csv: bytes, png: bytes) -> dict[str, Kind]:
    """Tables of several files, of texts, and of images by name and inside; arrays of Arrow."""
    head, *rows = csv.splitlines(keepends=True)
    shards = {f"train-0000{n}-of-00002.csv": head + b"".join(rows[n::2]) for n in (0, 1)}
    tables = {**shards, "test.csv": csv}
    said = [(b"good", b"yes") if n % 2 else (b"bad", b"no") for n in range(20)]
    texts = b"text,label\n" + b"".join(
        b"a %s film of %d,%s\n" % (what, n, label) for n, (what, label) in enumerate(said)
    )
    listed = b"file_name,label\n" + b"".join(b"%d.png,%d\n" % (n, n % 2) for n in range(10))
    listing = {"d.csv": listed, **{f"{n}.png": png for n in range(10)}}
    encoded = pa.table(
        {"image": [{"bytes": png, "path": None}] * 10, "label": [n % 2 for n in range(10)]}
    )
    x = pa.table({"a": np.arange(12.0), "b": np.arange(12) % 5})
    arrow = {name: content for name, content in npy.items() if not name.startswith("x_")}
    for split in ("train", "test"):
        arrow[f"x_{split}.arrow"] = _saved(lambda to: _write_arrow(x, to))
    images = {"d.parquet": _saved(lambda to: pq.write_table(encoded, to))}
    return {
        "table folder": Kind(tables, tuple(tables), load_dataset),
        "texts": Kind({"d.csv": texts}, ("d.csv",), lambda f: load_dataset(f / "d.csv")),
        "listing": Kind(listing, ("d.csv", "0.png"), lambda f: load_dataset(f / "d.csv")),
        "images in parquet": Kind(images, tuple(images), lambda f: load_dataset(f / "d.parquet")),
        "arrow folder": Kind(arrow, tuple(arrow), load_dataset),
    }


def _write_arrow(table: pa.Table, to: Any) -> None:
    with pa.ipc.new_file(to, table.schema) as file:
        file.write_table(table)


def _top_k(logits: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "k.safetensors"
        write_response(path, Response(torch.from_numpy(logits), torch.arange(len(logits))), top_k=1)
        return path.read_bytes()


def _response_kinds() -> dict[str, Kind]:
    logits, names = _logits(), ["a", "b", "c"]
    columns = pa.table({"id": np.arange(8), **{n: logits[:, k] for k, n in enumerate(names)}})
    csv = _saved(lambda to: pyarrow.csv.write_csv(columns, to))
    labels = _saved(lambda to: np.savez(to, labels=np.arange(8) % 3, ids=np.arange(8)))
    tensors = {"logits": torch.from_numpy(logits), "ids": torch.arange(8)}
    packed = {
        "r.npy": (_saved(lambda to: np.save(to, logits)), None),
        "r.npz": (_saved(lambda to: np.savez(to, logits=logits, ids=np.arange(8))), in_zip),
        "r.safetensors": (save(tensors, {"class_names": "a,b,c"}), in_safetensors),
        "k.safetensors": (_top_k(logits), in_safetensors),
        "r.parquet": (_saved(lambda to: pq.write_table(columns, to)), None),
        "r.csv": (csv, None),
        "r.csv.gz": (gzip.compress(csv), in_gzip),
        "r.tsv": (csv.replace(b",", b"\t"), None),
    }

    def read(folder: Path, name: str) -> object:
        read_response(folder / name)
        return score(folder / name, labels=folder / "l.npz", temperatures=(1.0, 4.0))

    found = {
        f"response {name}": Kind(
            {name: content, "l.npz": labels}, (name,), lambda f, n=name: read(f, n), inside
        )
        for name, (content, inside) in packed.items()
    }
    labels_csv = b"id,label\n" + b"".join(b"%d,%d\n" % (n, n % 3) for n in range(8))
    found["labels l.npz"] = Kind(
        {"l.npz": labels}, ("l.npz",), lambda f: read_labels(f / "l.npz"), in_zip
    )
    found["labels l.csv"] = Kind(
        {"l.csv": labels_csv}, ("l.csv",), lambda f: read_labels(f / "l.csv")
    )
    return found


_TOML = b"""data = "digits"
teacher = "mlp:16"
student = "mlp:4"
epochs = 4
batch_sizes = [16, 64]
temperatures = [1.0, 4.0]
losses = ["kl"]
seeds = 5
resize = [8, 8]
selection_fraction = 0.2
"""
_YAML, _MDISTILLER = TORCHDISTILL.encode(), MDISTILLER.encode()
_STUDENT_TOML = b"""data = "digits"
student = "mlp:4"
temperature = 4.0
alpha = 0.9
loss = "kl"
seeds = 5
resize = [8, 8]
selection_fraction = 0.2
"""
_PYTHON = b"""import torch
loss = KDLoss(temperature=4.0, alpha=0.9, reduction="batchmean")
args = DistillationTrainingArguments(temperature=2, alpha=0.5, learning_rate=1e-4)
"""
_SHELL = b"python train.py --distill kd --kd_T 4 -r 0.1 -a 0.9 -b 0 --lr 0.05 --epochs 240\n"


_KD = {"TEMPERATURE": 4, "LOSS": {"CE_WEIGHT": 0.1, "KD_WEIGHT": 0.9}}


def _setting_kinds() -> dict[str, Kind]:
    def settings(folder: Path, kind: Any) -> object:
        return parse(kind, **read_toml(folder / "s.toml"))

    kinds = {"search": StudyConfig, "distill": DistillConfig, "verify": VerifyConfig}
    found = {
        f"toml {name}": Kind(
            {"s.toml": _TOML if name == "search" else _STUDENT_TOML},
            ("s.toml",),
            lambda f, k=kind: settings(f, k),
        )
        for name, kind in kinds.items()
    }
    values = json.dumps({"DISTILLER": {"TYPE": "KD"}, "KD": _KD, "SOLVER": {"LR": 0.05}}).encode()
    toml = b'[DISTILLER]\nTYPE = "KD"\n[KD]\nTEMPERATURE = 4\n'
    toml += b"[KD.LOSS]\nCE_WEIGHT = 0.1\nKD_WEIGHT = 0.9\n"
    recipes = {"r.yaml": _YAML, "m.yaml": _MDISTILLER, "r.json": values, "r.toml": toml}
    recipes |= {"r.py": _PYTHON, "r.sh": _SHELL}
    for name, content in recipes.items():
        found[f"recipe {name}"] = Kind(
            {name: content}, (name,), lambda f, n=name: import_recipe(f / n)
        )
    return found


def _run_kind(recorded: Path) -> dict[str, Kind]:
    """A recorded run: its notes, its splits, its records, one of its responses."""
    files = {
        str(path.relative_to(recorded)): path.read_bytes()
        for path in sorted(recorded.rglob("*"))
        if path.is_file()
    }

    def read(folder: Path) -> object:
        run = RecordedRun.open(folder)
        return run.records(), run.files(), run.content()

    return {"recorded run": Kind(files, tuple(files), read)}


def kinds(recorded: Path | None = None) -> dict[str, Kind]:
    """Return every kind of input by its name.

    Args:
        recorded: Folder of a recorded run, whose files are changed too.
    """
    runs = {} if recorded is None else _run_kind(recorded)
    return {**_data_kinds(), **_response_kinds(), **_setting_kinds(), **runs}


def made(kind: Kind, folder: Path, rng: random.Random) -> None:
    """Write one input of a kind, with one of its files changed, into an empty folder."""
    if folder.exists():
        shutil.rmtree(folder)
    for name, content in kind.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    name = rng.choice(kind.mutable)
    content = kind.files[name]
    change = kind.inside if kind.inside is not None and rng.random() < 0.7 else mutated
    (folder / name).write_bytes(change(content, rng))
