"""A model of transformers that is trained already teaches a small network that sees terms.

    python examples/ask_a_trained_model.py questions.csv models/bert out --text-column title,body

Its classes are matched to those of the data by the names in its config.json.
"""

import argparse
import logging

import goodteacher
from goodteacher.data import load_dataset

QUICK = {"student_epochs": 1, "search_seeds": 1, "seeds": 3, "rungs": 1}
QUICK |= {"temperatures": [4.0], "alphas": [1.0], "smoothings": [0.1], "extend": False}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("data", "model", "out"):
        parser.add_argument(name)
    parser.add_argument("--text-column", help="of the data, several with commas")
    parser.add_argument("--student", default="mlp:64")
    parser.add_argument("--quick", action="store_true", help="few students, to try it out")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    data = load_dataset(given.data, text_column=given.text_column)
    said = goodteacher.respond(f"hf:{given.model}", data, out=f"{given.out}/recorded")
    print(
        f"The teacher is right about {said.record.selection_accuracy:.1%} of the selection split."
    )

    study = goodteacher.search(
        said.data,
        trajectories=[said.folder],
        student=given.student,
        out=f"{given.out}/study",
        **(QUICK if given.quick else {}),
    )
    print(study.sweet_spot.summary)

    student = study.student()
    texts = data.test.texts[:5]  # tuples, where an example has several
    for text, guess in zip(texts, student.predict(texts), strict=True):
        print(guess, text, sep=": ")
