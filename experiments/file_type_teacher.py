"""A small student of magika, which tells 214 types of files apart: how close, how large, how fast.

    pip install magika 'goodteacher[onnx]'
    python experiments/file_type_teacher.py OUT /usr/share /usr/lib

The files are those of this machine, as many of each ending as of any other (64 at most), so that
two or three kinds are not most of them; nobody has labelled them, so their types are the teacher's
answers. The teacher sees the first and the last 1,024 bytes, the student runs of characters of the
first 512, one character for each byte. Run again, it goes on where it stopped; the summary is in
`results/file_type_teacher.json`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import goodteacher
from goodteacher.records import Verdict

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))

EACH = 64
"""Files of one ending, at most."""

SETTINGS: dict[str, Any] = {
    "student": "linear",
    "student_epochs": 30,
    "student_batch_size": 64,
    "student_learning_rate": 0.002,
    "temperatures": (1.0, 2.0),
    "alphas": (1.0,),
    "smoothings": (0.02, 0.1),
    "extend": False,
    "rungs": 1,
    "search_seeds": 1,
    "threads": 1,
}
SEEDS = 5
FILE = Path(__file__).parent / "results/file_type_teacher.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", nargs="+", type=Path, help="where files are taken from")
    parser.add_argument("--most", type=int, default=3_000, help="files")
    parser.add_argument("--terms", type=int, default=2_048)
    options = parser.parse_args()
    import magika

    from a_teacher_in_an_onnx_file import as_the_teacher_takes_it

    (model,) = (Path(magika.__file__).parent / "models").glob("*/model.onnx")
    types = json.loads((model.parent / "config.min.json").read_text())["target_labels_space"]
    contents = list(read(chosen(options.folders, options.most)))
    said = goodteacher.respond(
        model,
        [content[:512].decode("latin-1") for content in contents],
        teacher_inputs=np.array([*map(as_the_teacher_takes_it, contents)], np.int32),
        classes=types,
        out=options.out / "magika",
    )
    study = goodteacher.search(
        said.data,
        trajectories=[said.folder],
        tfidf_features=options.terms,
        seeds=SEEDS,
        out=options.out / "study",
        **SETTINGS,
    )
    keep(study, said, None)
    smoothings = SETTINGS["smoothings"]
    verdict = goodteacher.verify(
        study, data=said.data, seeds=SEEDS, smoothings=smoothings, threads=1
    )
    keep(study, said, verdict)
    print(FILE.read_text())


def chosen(folders: Iterable[Path], most: int) -> list[Path]:
    """Return files in a fixed random order, at most `EACH` of one ending."""
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    draw = random.Random(0)
    draw.shuffle(ordered := sorted(set(found)))
    by_ending: dict[str, list[Path]] = defaultdict(list)
    for path in ordered:
        if len(by_ending[path.suffix]) < EACH:
            by_ending[path.suffix].append(path)
    kept = sorted(path for paths in by_ending.values() for path in paths)
    return draw.sample(kept, min(most, len(kept)))


def read(paths: Iterable[Path]) -> Iterable[bytes]:
    """Yield what files hold, those that cannot be read or hold blanks only left out."""
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if content.strip():
            yield content


def keep(study: goodteacher.Study, said: Any, verdict: Verdict | None) -> None:
    """Write what was found, in a few numbers; before the verification without a verdict."""
    spot = study.sweet_spot
    found = {
        "files": {name: len(split) for name, split in said.data.splits.items()},
        "classes": said.data.num_classes,
        "settings": {**SETTINGS, "tfidf_features": study.config.tfidf_features, "seeds": SEEDS},
        "answer": spot.answer,
        "summary": spot.summary,
        "doubts": spot.doubts,
        "student": spot.student.model_dump(mode="json"),
        "references": {
            name: getattr(spot.references, name).model_dump(mode="json")
            for name in ("cross_entropy", "label_smoothing")
        },
        "savings": None if spot.savings is None else spot.savings.model_dump(mode="json"),
        "verdict": None if verdict is None else verdict.model_dump(mode="json"),
    }
    FILE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
