"""A teacher of which you have no more than a predict function, and examples that nobody labelled.

    pip install py3langid
    python examples/a_teacher_that_predicts.py study

The teacher tells 97 languages apart. The texts are the translated messages of the programs on this
machine; their classes come from the teacher. The student is linear, on terms chosen from the texts.
"""

import argparse
import gettext
import io
import random
from pathlib import Path

import goodteacher


def messages(most, folders=("/usr/share/locale", "/usr/share/vim")):
    """Return translated messages of the programs here, each once, in a fixed random order."""
    found = set()
    for path in (path for folder in folders for path in Path(folder).glob("**/*.mo")):
        try:
            texts = gettext.GNUTranslations(io.BytesIO(path.read_bytes()))._catalog.values()
        except (OSError, LookupError, ValueError):
            continue
        found |= {text for text in texts if isinstance(text, str) and 30 < len(text) < 200}
    return random.Random(0).sample(sorted(found), min(most, len(found)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path, help="folder of the study")
    parser.add_argument("--most", type=int, default=20_000, help="texts")
    parser.add_argument("--epochs", type=int, help="of a student (default: tuned)")
    options = parser.parse_args()
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    file = MODEL_DIR / MODEL_FILE
    teacher = LanguageIdentifier.from_modelpath(file, norm_probs=True)

    def predict(texts):
        return [dict(teacher.rank(text)) for text in texts]

    said = goodteacher.respond(
        predict, messages(options.most), out=options.out / "recorded", teacher_file=file
    )
    study = goodteacher.search(
        said.data,
        trajectories=[said.folder],
        student="linear",
        student_epochs=options.epochs,
        out=options.out / "study",
    )
    print(study.sweet_spot.summary)
    print(study.student().predict(["Die Datei wurde nicht gefunden"]))


if __name__ == "__main__":
    main()
