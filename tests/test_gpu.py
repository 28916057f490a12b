"""The same study on a GPU and on the CPU; skipped where there is no GPU."""

import pytest
import torch

from goodteacher import search
from goodteacher.config import RuntimeConfig, parse
from goodteacher.config.augmentation import Augmentation
from goodteacher.networks import Examples, build_model
from goodteacher.networks.normalization import fit
from goodteacher.training.machine import choose_machine
from goodteacher.training.memory import free_memory
from goodteacher.training.stacking import stack_networks
from tests.made import SETTINGS, dataset
from tests.test_study_views import pictures

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")


def test_auto_takes_the_gpu():
    assert choose_machine(parse(RuntimeConfig)).device.type == "cuda"


def test_study_finds_the_same_on_both_devices(tmp_path):
    settings = {**SETTINGS, "precision": "float32"}
    found = {
        device: search(dataset(), out=tmp_path / device, **{**settings, "device": device})
        for device in ("cpu", "cuda")
    }
    for ours, theirs in zip(*(s.trajectories() for s in found.values()), strict=True):
        assert ours.training_loss == pytest.approx(theirs.training_loss, rel=1e-3)
    rows = [{(r.arm, r.seed, r.rung): r for r in s.students()} for s in found.values()]
    common = rows[0].keys() & rows[1].keys()
    assert common
    for key in common:
        assert rows[0][key].training_loss == pytest.approx(rows[1][key].training_loss, rel=2e-2)


@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(flip=True, crop=2)])
def test_views_are_the_same_on_both_devices(augmentation):
    split = pictures(40, seed=0)
    positions = torch.tensor([3, 17, 39])
    seen = [
        Examples(split, fit(split.inputs), device=device, augmentation=augmentation)
        .inputs(positions, 1)
        .cpu()
        for device in ("cpu", "cuda")
    ]
    torch.testing.assert_close(*seen, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("spec", ["mlp:8", "cnn:4,8", "resnet:8", "wrn:10-1"])
def test_stack_gives_the_same_gradients_on_both_devices(spec):
    shape = (3, 8, 8)
    networks = [build_model(spec, num_classes=4, inputs=shape, seed=i) for i in range(3)]
    inputs = torch.randn(5, *shape, generator=torch.Generator().manual_seed(0))
    found = []
    torch.backends.cudnn.allow_tf32 = False
    for device in ("cpu", "cuda"):
        stack = stack_networks(networks, example_input=inputs).to(device)
        stack(inputs.to(device)).logsumexp(-1).sum().backward()
        found.append([p.grad.cpu() for p in stack.parameters()])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_compiled_training_runs_on_the_gpu(tmp_path):
    settings = {**SETTINGS, "device": "cuda", "compile": True}
    study = search(dataset(), out=tmp_path / "s", **settings)
    assert study.sweet_spot.student.num_seeds == SETTINGS["seeds"]


def test_free_memory_is_the_gpus():
    assert 0 < free_memory(torch.device("cuda")) <= torch.cuda.mem_get_info()[1]
