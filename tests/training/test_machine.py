import subprocess
import sys
import time

import pytest
import torch

from goodteacher.config import RuntimeConfig, parse
from goodteacher.errors import ConfigError
from goodteacher.training import machine as machine_module
from goodteacher.training.machine import (
    borrowed,
    choose_machine,
    may_start_processes,
    threads_are_named,
    threads_of,
    tuned_cpu,
)


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


def flushes():
    return float(torch.full((1,), 1e-38) / 4) == 0


def test_choosing_a_machine_sets_nothing(monkeypatch):
    monkeypatch.setattr(machine_module, "_keep_freed_memory", lambda: pytest.fail("was asked"))
    before = torch.get_num_threads()
    choose_machine(parse(RuntimeConfig, threads=before + 1, device="cpu"))
    assert torch.get_num_threads() == before
    assert not flushes()


def test_threads_are_those_of_the_block_and_then_as_before():
    before = torch.get_num_threads()
    with threads_of(before + 2):
        assert torch.get_num_threads() == before + 2
    assert torch.get_num_threads() == before
    with threads_of(None):
        assert torch.get_num_threads() == before


def test_tuned_cpu_is_undone_after_the_block(monkeypatch):
    asked = []
    monkeypatch.setattr(machine_module, "_keep_freed_memory", lambda: asked.append(1))
    before = torch.get_num_threads()
    with tuned_cpu(threads=before + 1):
        assert (flushes(), torch.get_num_threads(), asked) == (True, before + 1, [1])
        with tuned_cpu():
            assert (flushes(), torch.get_num_threads()) == (True, before + 1)
        assert flushes(), "an inner block does not end the outer one"
    assert (flushes(), torch.get_num_threads()) == (False, before)


def test_processes_may_be_started_where_the_host_lets_them():
    assert not may_start_processes()
    with tuned_cpu(processes=True):
        assert may_start_processes()
        with tuned_cpu():
            assert not may_start_processes(), "a library inside does not let them by itself"
        assert may_start_processes()
    assert not may_start_processes()


def test_threads_of_a_block_are_named_until_it_ends():
    assert not threads_are_named()
    with tuned_cpu(threads=1):
        assert threads_are_named()
        with tuned_cpu(processes=True):
            assert threads_are_named()
    with tuned_cpu(processes=True):
        assert not threads_are_named()
    assert not threads_are_named()


def test_what_the_block_allows_ends_with_an_error_too():
    with pytest.raises(KeyError), tuned_cpu(threads=1, processes=True):
        raise KeyError
    assert not may_start_processes()
    assert not threads_are_named()


def test_borrowed_gives_threads_back_that_are_set_in_the_block():
    before = torch.get_num_threads()
    with borrowed():
        torch.set_num_threads(before + 2)
    assert torch.get_num_threads() == before
    with borrowed(parse(RuntimeConfig, threads=before + 1)):
        assert torch.get_num_threads() == before + 1
        torch.set_num_threads(before + 2)
    assert torch.get_num_threads() == before


def test_tuned_cpu_refuses_no_threads_at_all():
    with pytest.raises(ConfigError, match="threads"), tuned_cpu(threads=0):
        pass


def test_subnormal_numbers_become_zero_also_in_threads():
    code = """
import torch
from goodteacher import tuned_cpu
with tuned_cpu(threads=2):
    small = torch.full((1_000_000,), 1e-38)
    print(int((small / 4).count_nonzero()))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "0"


def test_how_many_processes_train_a_teacher_is_the_machines_matter():
    machine = choose_machine(parse(RuntimeConfig, device="cpu", teacher_workers=3))
    assert machine.teacher_workers == 3
    assert str(machine).endswith(" over 3 processes")
    assert "processes" not in str(choose_machine(parse(RuntimeConfig, device="cpu")))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"compile": True}, "teacher_workers = 2 cannot be combined with compile"),
        ({"device": "mps"}, "needs CPUs or CUDA GPUs, but device is 'mps'"),
        ({"device": "cuda"}, "needs as many GPUs, but this machine has 1"),
    ],
)
def test_what_does_not_go_with_several_processes_is_refused(settings, words, monkeypatch):
    monkeypatch.setattr("goodteacher.training.machine._device", torch.device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    config = parse(RuntimeConfig, **{"device": "cpu", "teacher_workers": 2, **settings})
    with pytest.raises(ConfigError, match=words):
        choose_machine(config)
    one = config.model_copy(update={"teacher_workers": 1, "precision": "float32"})
    assert choose_machine(one).teacher_workers == 1


def test_under_torchrun_no_processes_are_started(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    with pytest.raises(ConfigError, match="Run the command without torchrun"):
        choose_machine(parse(RuntimeConfig, device="cpu", teacher_workers=2))
    choose_machine(parse(RuntimeConfig, device="cpu"))


def test_a_trial_with_one_thread_leaves_out_what_else_the_machine_does():
    chosen = choose_machine(parse(RuntimeConfig, device="cpu"))
    with threads_of(1):
        assert chosen.seconds_of(lambda: time.sleep(0.2)) < 0.1
    with threads_of(2):
        assert chosen.seconds_of(lambda: time.sleep(0.2)) >= 0.2


def test_a_trial_with_one_thread_counts_the_way_back_too():
    chosen = choose_machine(parse(RuntimeConfig, device="cpu"))
    network, inputs = torch.nn.Linear(400, 400), torch.randn(400, 400)

    def forward():
        return network(inputs).sum()

    with threads_of(1):
        there = min(chosen.seconds_of(forward) for _ in range(5))
        both = min(chosen.seconds_of(lambda: forward().backward()) for _ in range(5))
    assert both > 1.3 * there
