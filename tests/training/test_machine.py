import subprocess
import sys

import pytest
import torch

from goodteacher.config import RuntimeConfig, parse
from goodteacher.errors import ConfigError
from goodteacher.training.machine import choose_machine


def test_float32_means_no_autocast():
    machine = choose_machine(parse(RuntimeConfig, device="cpu", precision="float32"))
    assert machine.autocast is None
    assert str(machine) == "cpu float32"


def test_bfloat16_multiplies_in_bfloat16():
    machine = choose_machine(parse(RuntimeConfig, device="cpu", precision="bfloat16"))
    with machine.arithmetic():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == torch.bfloat16
    assert str(machine) == "cpu bfloat16"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_missing_device_is_refused_with_what_there_is():
    with pytest.raises(ConfigError, match=r"device = 'cuda' is not available here.*cpu"):
        choose_machine(parse(RuntimeConfig, device="cuda"))


def test_threads_are_set():
    before = torch.get_num_threads()
    try:
        choose_machine(parse(RuntimeConfig, threads=1, device="cpu"))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_subnormal_numbers_become_zero_also_in_threads():
    code = """
import torch
from goodteacher.config import RuntimeConfig
from goodteacher.training.machine import choose_machine
choose_machine(RuntimeConfig(device="cpu", threads=2))
small = torch.full((1_000_000,), 1e-38)
print(int((small / 4).count_nonzero()))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "0"
