"""Tables, and students fitted to them, for the tests of what leaves as an ONNX file."""

import warnings

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from goodteacher import DistilledClassifier

TEACHER = DecisionTreeClassifier(max_depth=5, min_samples_leaf=5, random_state=0)
PLAIN = {"temperatures": (1.0,), "alphas": (1.0,), "smoothings": (0.1,), "repeats": 0, "cv": 2}
SCALED = make_pipeline(StandardScaler(), LogisticRegression())


def fitted(student, X, y, *, teacher=TEACHER, **settings):
    classifier = DistilledClassifier(teacher, student, **{**PLAIN, "random_state": 0, **settings})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of columns that say nothing, and of others' packages
        return classifier.fit(X, y)


def run(folder, given):
    import onnxruntime

    path = str(folder / "model.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], given)[0]


def mixed(num=240, seed=0, gaps=True):
    """Numbers, whole numbers, words, truth values and categories, some of them missing."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "height": rng.normal(size=num),
            "rooms": rng.integers(1, 6, num),
            "colour": rng.choice(["red", "blue", "green"], num),
            "new": rng.random(num) < 0.5,
            "floor": pd.Categorical(rng.integers(0, 3, num)),
        }
    )
    score = frame["height"] + (frame["colour"] == "red") + frame["new"] - 0.3 * frame["rooms"]
    y = np.where(score + 0.5 * rng.normal(size=num) > 0, "yes", "no")
    if gaps:
        frame.loc[::9, "height"] = np.nan
        frame.loc[::11, "colour"] = None
    return frame, y


def given_as_columns(frame, text):
    """What a service would make of a row, by hand."""
    return {
        name: np.array(["" if pd.isna(v) else str(v) for v in frame[name]], object)[:, None]
        if name in text
        else frame[name].to_numpy(np.float32)[:, None]
        for name in frame.columns
    }
