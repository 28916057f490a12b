"""Modules of `experiments` are imported as its scripts import one another: by their bare names."""

import sys
from pathlib import Path

import pytest

from goodteacher import search
from tests.made import SETTINGS, dataset

EXPERIMENTS = Path(__file__).parent.parent.parent / "experiments"
sys.path.insert(0, str(EXPERIMENTS))


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """The results of one small pair, collected from an exhaustive and a default search."""
    from collect import collect
    from pairs import PairKey

    folder = tmp_path_factory.mktemp("study")
    settings = {**SETTINGS, "search_seeds": 1}
    exhaustive = search(dataset(), out=folder / "all", exhaustive=True, **settings)
    default = search(dataset(), out=folder / "default", **settings)
    key = PairKey(data="made", teacher_role="small", student_role="narrow", transfer="full")
    into = folder / "results" / key.folder
    minutes = {"exhaustive": 1.5}
    collect(key, exhaustive=exhaustive.folder, search=default.folder, into=into, minutes=minutes)
    return folder / "results"
