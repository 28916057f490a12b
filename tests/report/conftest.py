import pytest

from goodteacher.report.findings import read_findings
from tests.report.build import finish_study, write_study


@pytest.fixture
def store(tmp_path):
    """A finished study."""
    store = write_study(tmp_path / "study")
    finish_study(store)
    return store


@pytest.fixture
def findings(store):
    """A finished study, read."""
    return read_findings(store)


@pytest.fixture
def unfinished(tmp_path):
    """A study whose teachers have run and whose students have not."""
    return write_study(tmp_path / "unfinished")
