"""Studies of images that are decoded on demand: the numbers of those that are kept in memory."""

import io
import json
import shutil
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from goodteacher import Recorder, load_dataset, search, verify
from goodteacher.data.encoded import OnDemand
from goodteacher.errors import DataError

CLASSES = ("ant", "bee", "cow")
SETTINGS = {
    "teacher": "cnn:4",
    "student": "cnn:2",
    "batch_sizes": [16],
    "epochs": 2,
    "record_epochs": [1, 2],
    "learning_rates": (0.02,),
    "student_epochs": 2,
    "student_batch_size": 32,
    "search_seeds": 1,
    "seeds": 3,
    "shortlist": 1,
    "temperatures": [2],
    "alphas": [0.5],
    "smoothings": [0.1],
    "patience": 0,
    "threads": 1,
    "stack_width": 3,
    "precision": "float32",
}
LITTLE = 1e-9

pytestmark = [
    pytest.mark.filterwarnings("ignore::goodteacher.data.DataNote"),
    pytest.mark.filterwarnings("ignore::goodteacher.training.stacking.StackingWarning"),
]


def picture(row, label):
    """A patch in the class's corner, on noise, as a JPEG."""
    pixels = np.random.default_rng(row).integers(0, 160, (10, 8, 3))
    pixels[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 80
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for split, count in (("train", 120), ("test", 60)):
        for row in range(count):
            path = root / split / CLASSES[row % 3] / f"{row:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(row + 1000 * (split == "test"), row % 3))
    return root


@pytest.fixture(scope="module")
def memory(folder, tmp_path_factory):
    return found_in(folder, tmp_path_factory.mktemp("studies") / "memory")


def found_in(data, out, **changes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        augmented = {"augment": ["flip", "crop:2", "cutout:3"], "views": 2}
        return search(data, out=out, **SETTINGS | augmented | changes)


def rows_of(study):
    """What each student learned, without how long it took."""
    return [row.model_copy(update={"student_seconds": 0.0}) for row in study.students()]


def test_a_whole_search_on_demand_finds_the_same_to_the_last_bit(
    folder, memory, tmp_path, monkeypatch
):
    decoded, begin = [], OnDemand._begin

    def counted(self, pool, positions):
        decoded.append(len(positions))
        return begin(self, pool, positions)

    monkeypatch.setattr(OnDemand, "_begin", counted)
    demand = found_in(folder, tmp_path / "demand", images_gib=LITTLE)
    assert sum(decoded) > 10 * 120  # epochs of teacher and students, and responses
    assert demand.data.fingerprint == memory.data.fingerprint
    assert rows_of(demand) == rows_of(memory)
    assert demand.sweet_spot.student == memory.sweet_spot.student
    assert demand.sweet_spot.references == memory.sweet_spot.references
    ours, theirs = (
        json.loads((study.folder / "student" / "config.json").read_text())
        for study in (demand, memory)
    )
    assert ours["test_accuracy"] == theirs["test_accuracy"]


def test_a_study_goes_on_with_another_limit(folder, memory):
    again = found_in(folder, memory.folder, images_gib=LITTLE)
    assert again.sweet_spot == memory.sweet_spot
    judged = verify(memory.folder, images_gib=LITTLE, seeds=3, smoothings=[0.1])
    assert judged.num_seeds == 3


def test_shards_of_parquet_are_the_same_data_as_the_folder(folder, memory, tmp_path):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for split in ("train", "test"):
        files = sorted((folder / split).rglob("*.jpg"))
        images = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
        labels = [CLASSES.index(file.parent.name) for file in files]
        for part, rows in enumerate(np.array_split(np.arange(len(files)), 4)):
            table = pa.table(
                {
                    "image": pa.array([images[row] for row in rows], kind),
                    "label": pa.array([CLASSES[labels[row]] for row in rows]),
                }
            )
            pq.write_table(table, tmp_path / f"{split}-{part:05d}-of-00004.parquet")
    study = found_in(tmp_path, tmp_path / "study", images_gib=LITTLE)
    assert study.data.fingerprint == memory.data.fingerprint
    assert rows_of(study) == rows_of(memory)


def test_a_study_names_the_file_that_went_away(folder, tmp_path):
    copy = tmp_path / "pictures"
    shutil.copytree(folder, copy)
    recorder = Recorder(tmp_path / "runs", load_dataset(copy, images_gib=LITTLE))
    (copy / "train" / "bee" / "0001.jpg").unlink()
    with pytest.raises(DataError, match=r"bee/0001\.jpg could be decoded when the data were"):
        recorder.record(lambda images: images.float().mean((2, 3)), epoch=1)
    assert not [*(tmp_path / "runs").rglob("*.safetensors")]
