"""What tests of integrations share."""

import pytest

from goodteacher.delivery import latency


@pytest.fixture
def briefly_timed(monkeypatch):
    """Latencies of few repetitions: tests look at their form, not at their values."""
    monkeypatch.setattr(latency, "_REPETITIONS", 7)
