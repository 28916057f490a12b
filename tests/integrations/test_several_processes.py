"""Two real processes train together: one of them records, whole and in order."""

import json
import os
import socket
import subprocess
import sys
from collections import Counter

import pytest
import torch

from goodteacher import Recorder
from goodteacher.teachers import RecordedRun
from tests.integrations import trained_together

PACKAGES = {
    "lightning": ("pytorch_lightning",),
    "transformers": ("transformers", "accelerate"),
}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def train(trainer, folder):
    """Train in two processes, as torchrun starts them; return what each told."""
    port = str(free_port())
    started = []
    for rank in range(2):
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        there = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
        elastic = {"TORCHELASTIC_RUN_ID": "test", "GROUP_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", trained_together.__name__, trainer, str(folder)],
                env={**os.environ, **place, **there, **elastic, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        said = [process.communicate(timeout=180)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], "\n".join(said)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.fixture(scope="module", params=[*PACKAGES])
def together(request, tmp_path_factory):
    for package in PACKAGES[request.param]:
        pytest.importorskip(package, reason=f"{package} is missing")
    if not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo, by which processes on CPUs train together")
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, train(request.param, folder)


def recorder_of(trainer, folder):
    data = trained_together.texts() if trainer == "transformers" else trained_together.numbers()
    return Recorder(folder / "run", data, learning_rate=0.03)


def test_processes_share_the_examples_with_some_twice(together):
    trainer, folder, told = together
    assert [each["size"] for each in told] == [2, 2]
    count = len(recorder_of(trainer, folder).training)
    assert count % 2 == 1  # so what samples for two gives some examples twice
    seen = Counter(told[0]["seen"] + told[1]["seen"])
    assert seen.keys() == set(range(count))
    assert seen.total() > 3 * count
    assert all(3 * count / 2 < len(each["seen"]) < 3 * count for each in told)


def test_the_first_process_alone_writes(together):
    _, _, (first, second) = together
    assert second["wrote"] == []
    assert Counter(first["wrote"])["trajectory.jsonl"] == 3


def test_a_training_that_goes_on_goes_on_recording(together):
    trainer, folder, told = together
    assert [each["records"] for each in told] == [[1, 2, 3], [1, 2, 3]]
    records = recorder_of(trainer, folder).records
    assert [record.status for record in records] == ["ok"] * 3
    steps = [record.steps for record in records]
    assert steps == [steps[0], 2 * steps[0], 3 * steps[0]]
    timed = [record.seconds is not None for record in records]
    assert timed == [True, True, False]  # how long the first training took is not known there


def test_each_example_is_recorded_once_and_as_one_process_says_it(together):
    trainer, folder, _ = together
    recorder = recorder_of(trainer, folder)
    run = RecordedRun.open(folder / "run")
    assert run.splits.transfer == tuple(recorder.transfer.split.ids.tolist())
    model, prepare = plain_model(trainer)
    model.load_state_dict(torch.load(folder / "weights.pt"))
    alone = Recorder(folder / "alone", recorder.data, learning_rate=0.03, prepare=prepare)
    alone.record(model, 3)
    for part in ("transfer", "selection"):
        split = getattr(recorder, part).split
        (path,) = (folder / "run/responses").glob(f"epoch-00003.{part}.*")
        kept = run.store.read_tensors(f"responses/{path.name}")
        assert torch.equal(kept["ids"], split.ids)
        said = RecordedRun.open(alone.folder).response(3, part, split)
        assert torch.equal(kept["logits"], said)


def plain_model(trainer):
    """A new model as the trainer has it, and what turns stored examples into its inputs."""
    if trainer == "lightning":
        return Prefixed(trained_together.network()), None
    model, tokenizer = trained_together.bert()
    return model, lambda texts: tokenizer(texts, padding=True, return_tensors="pt")


class Prefixed(torch.nn.Module):
    """The network of a module of Lightning, under its names."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x)
