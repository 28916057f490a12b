import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests import object_stores

# The networks of the tests are tiny: a second thread only waits for the first.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, or a skip that says how to name it."""
    named = os.environ.get("GOODTEACHER_DATA")
    if not named:
        pytest.skip("GOODTEACHER_DATA names no folder of data sets")
    folder = Path(named)
    if not (folder / "mnist" / "train.parquet").exists():
        pytest.skip(f"GOODTEACHER_DATA = {folder} holds no mnist/train.parquet")
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server of S3's protocol, by its address, or a skip that says what is missing."""
    object_stores.packages()
    with object_stores.served() as endpoint:
        yield endpoint


# How long an example takes is the machine's affair: a busy one would fail where nothing is wrong.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
