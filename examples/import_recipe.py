"""Distil with the recipe of another tool, after reading what differs here.

python examples/import_recipe.py --out distilled
"""

import argparse

import numpy as np
from sklearn.linear_model import LogisticRegression

import goodteacher

# How RepDistiller would train the student; a file, as kd.yaml of torchdistill, does as well.
COMMAND = "python train_student.py --distill kd -r 0.1 -a 0.9 -b 0 --kd_T 4 --epochs 60"


def teacher_logits(digits: goodteacher.Dataset) -> np.ndarray:
    """Train some teacher, and return what it says on the training data: logits [N, C]."""
    inputs = digits.train.inputs.flatten(1).numpy()
    teacher = LogisticRegression(max_iter=200).fit(inputs / 16, digits.train.labels.numpy())
    return teacher.decision_function(inputs / 16)


def main() -> None:
    """Translate the recipe, show it, and train a student with it."""
    options = argparse.ArgumentParser()
    options.add_argument("--out", default="distilled")
    options.add_argument("--epochs", type=int, help="instead of the recipe's")
    given = options.parse_args()

    imported = goodteacher.import_recipe(COMMAND)
    print(imported.toml())

    settings = imported.settings()
    if given.epochs:
        settings["student_epochs"] = given.epochs
    digits = goodteacher.load_dataset("digits")
    result = goodteacher.distill(
        digits, responses=teacher_logits(digits), student="mlp:16", out=given.out, **settings
    )
    print(f"With the recipe {result.test_accuracy:.1%} of the test examples are right,")
    print(f"with hard labels alone {result.cross_entropy_test_accuracy:.1%}: {result.answer}.")


if __name__ == "__main__":
    main()
