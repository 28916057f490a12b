"""Keras in several processes, and on several devices of one: who records, and what is refused."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from goodteacher import Recorder
from goodteacher.teachers import RecordedRun
from tests.integrations import keras_together
from tests.integrations.test_several_processes import free_port
from tests.integrations.trained_together import numbers

pytestmark = pytest.mark.skipif(find_spec("keras") is None, reason="needs goodteacher[keras]")
with_jax = pytest.mark.skipif(find_spec("jax") is None, reason="jax is missing")


def train(folder, backend, *, processes, devices=1):
    """Train, and return what each process told."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    common = {
        "KERAS_BACKEND": backend,
        "KERAS_HOME": str(folder / "keras"),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": flags,
        "WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-m", keras_together.__name__, str(folder)],
            env={**os.environ, **common, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(processes)
    ]
    try:
        said = [process.communicate(timeout=180)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0] * processes, "\n".join(said)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(processes)]


def plain(folder):
    """What the model says that the first process has trained: its layers, written out."""
    weights = [torch.from_numpy(each) for each in np.load(folder / "weights.npz").values()]
    first, bias, last, shift = weights

    def model(x):
        return torch.relu(x @ first + bias) @ last + shift

    return model


def check_last_epoch(folder):
    """The last epoch is recorded as the first process's model says it, each example once."""
    alone = Recorder(folder / "alone", numbers())
    alone.record(plain(folder), keras_together.EPOCHS)
    for part in ("transfer", "selection"):
        split = getattr(alone, part).split
        found, expected = (
            RecordedRun.open(folder / name).response(keras_together.EPOCHS, part, split)
            for name in ("run", "alone")
        )
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="needs gloo")
def test_on_pytorch_the_first_process_alone_records(tmp_path):
    first, second = train(tmp_path, "torch", processes=2)
    assert first["error"] is second["error"] is None
    assert second["wrote"] == []
    assert first["wrote"].count("trajectory.jsonl") == keras_together.EPOCHS
    assert first["records"] == [1, 2, 3]
    check_last_epoch(tmp_path)


@with_jax
def test_on_jax_several_processes_are_refused_before_anything_is_written(tmp_path):
    both = train(tmp_path, "jax", processes=2)
    for told in both:
        assert told["error"].startswith("Keras trains on JAX in 2 processes")
        assert told["wrote"] == []
    assert not (tmp_path / "run").exists()


@with_jax
def test_on_jax_several_devices_of_one_process_are_recorded(tmp_path):
    (told,) = train(tmp_path, "jax", processes=1, devices=2)
    assert told["error"] is None
    assert told["devices"] == 2
    assert told["records"] == [1, 2, 3]
    check_last_epoch(tmp_path)
