"""A teacher in an ONNX file, which takes something else than the student does.

    pip install magika 'goodteacher[onnx]'
    python examples/a_teacher_in_an_onnx_file.py study /usr/share /usr/lib

The teacher, magika's network, tells 214 types of files apart by 2,048 bytes of each. The student is
linear on runs of characters of the first 512 bytes, one character for each byte. Nobody has
labelled the files: their types are the teacher's answers.
"""

import argparse
import json
import random
from pathlib import Path

import numpy as np

import goodteacher


def as_the_teacher_takes_it(content, blank=256):
    """Return the first and the last 1,024 bytes, without the blanks around them."""
    first, last = content[:4096].lstrip()[:1024], content[-4096:].rstrip()[-1024:]
    return [*first, *[blank] * (2048 - len(first) - len(last)), *last]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path, help="folder of the study")
    parser.add_argument("folders", nargs="+", type=Path, help="where files are taken from")
    parser.add_argument("--most", type=int, default=5_000, help="files")
    parser.add_argument("--epochs", type=int, help="of a student (default: tuned)")
    options = parser.parse_args()

    import magika

    (model,) = (Path(magika.__file__).parent / "models").glob("*/model.onnx")
    types = json.loads((model.parent / "config.min.json").read_text())["target_labels_space"]
    paths = [path for folder in options.folders for path in folder.rglob("*") if path.is_file()]
    chosen = random.Random(0).sample(sorted(paths), min(options.most, len(paths)))
    contents = [content for path in chosen if (content := path.read_bytes()).strip()]
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
        student="linear",
        student_epochs=options.epochs,
        out=options.out / "study",
    )
    print(study.sweet_spot.summary)


if __name__ == "__main__":
    main()
