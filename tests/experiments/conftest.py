"""Modules of `experiments` are imported as its scripts import one another: by their bare names."""

import sys
from pathlib import Path

import numpy as np
import pytest

from goodteacher import search
from tests.made import SETTINGS, arrays

EXPERIMENTS = Path(__file__).parent.parent.parent / "experiments"
sys.path.insert(0, str(EXPERIMENTS))


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """The results of one small pair, collected from an exhaustive and a default search."""
    from collect import collect
    from pairs import PairKey

    folder = tmp_path_factory.mktemp("study")
    data = folder / "made.npz"
    np.savez(data, **arrays())
    settings = {**SETTINGS, "search_seeds": 1, "student_epochs": 4, "seeds": 2}
    exhaustive = search(data, out=folder / "all", exhaustive=True, **settings)
    default = search(data, out=folder / "default", **settings)
    key = PairKey(data="made", teacher_role="small", student_role="narrow", transfer="full")
    into = folder / "results" / key.folder
    minutes = {"exhaustive": 1.5}
    collect(key, exhaustive=exhaustive.folder, search=default.folder, into=into, minutes=minutes)
    return folder / "results"
