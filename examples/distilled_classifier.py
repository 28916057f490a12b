"""A forest teaches a decision tree that fits on a page; the tree says whether that helped.

    python examples/distilled_classifier.py
    python examples/distilled_classifier.py --student linear    # a student of the library's own

Scikit-learn's breast cancer table: 569 patients, 30 measurements. The forest answers about each
patient from a fold in which it was not trained on that patient.
"""

import argparse

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier, export_text

from goodteacher import DistilledClassifier


def main() -> None:
    """Distil, and compare with the same tree without a teacher on rows that nobody saw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--student", default="tree", help="tree, linear, mlp:8 ...")
    parser.add_argument("--trees", type=int, default=100, help="of the forest")
    options = parser.parse_args()

    X, y = load_breast_cancer(return_X_y=True, as_frame=True)  # noqa: N806
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)  # noqa: N806

    tree = DecisionTreeClassifier(max_depth=4, min_samples_leaf=5)
    classifier = DistilledClassifier(
        teacher=RandomForestClassifier(options.trees),
        student=tree if options.student == "tree" else options.student,
        random_state=0,
    )
    classifier.fit(X_train, y_train)
    print(classifier.summary_)

    said = classifier.predict_proba(X_test)
    print(f"accuracy {classifier.score(X_test, y_test):.3f}, log loss {log_loss(y_test, said):.3f}")
    if options.student == "tree":
        plain = classifier.baseline_
        said = plain.predict_proba(X_test)
        print(f"without: {plain.score(X_test, y_test):.3f}, log loss {log_loss(y_test, said):.3f}")
        print(export_text(classifier.student_, feature_names=list(X.columns), max_depth=2))


if __name__ == "__main__":
    main()
