"""A small student of py3langid, which tells 97 languages apart: how close, how large, how fast.

    pip install py3langid
    python experiments/language_teacher.py OUT

The texts are translated messages of the programs on this machine (of Debian's language packages),
their classes the teacher's. The student is tuned as ``goodteacher search`` does it by itself.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import goodteacher

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--most", type=int, default=4_000, help="texts")
    parser.add_argument("--terms", type=int, default=2_000)
    options = parser.parse_args()
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    from a_teacher_that_predicts import messages

    file = MODEL_DIR / MODEL_FILE
    teacher = LanguageIdentifier.from_modelpath(file, norm_probs=True)
    said = goodteacher.respond(
        lambda texts: [dict(teacher.rank(text)) for text in texts],
        messages(options.most),
        out=options.out / "recorded",
        teacher_file=file,
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


if __name__ == "__main__":
    main()
