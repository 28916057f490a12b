"""torchdistill: its DistillationBox and KDLoss, configured as its documentation does.

The configuration is what its YAML files hold, as a dictionary; the loop is that of its example for
image classification, with its metric logger; images come as PIL images through torchvision's
`ToTensor` and `Normalize`, as its CIFAR-10 configurations ask for. Its `alpha` weights the labels.
"""

from __future__ import annotations

import logging

import torch
from PIL import Image
from torch.utils.data import Dataset, RandomSampler
from torchdistill.core.distillation import get_distillation_box
from torchdistill.misc.log import MetricLogger, SmoothedValue
from torchvision import transforms

from peers.job import Arrays, Job
from peers.networks import TorchSession

_LOG_FREQUENCY = 1000  # as in its configurations for CIFAR-10


class PilDataset(Dataset):
    """Images as torchvision's CIFAR10 serves them, with the transforms of the configuration."""

    def __init__(self, data: Arrays) -> None:
        self.images, self.labels = data.images.transpose(0, 2, 3, 1), data.labels
        self.transform = transforms.Compose(
            [
                transforms.ToTensor(),
                transforms.Normalize(mean=data.mean.tolist(), std=data.std.tolist()),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int):
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


class TorchdistillSession(TorchSession):
    """A student that trains in torchdistill's loop."""

    def __init__(self, job: Job, data: Arrays) -> None:
        logging.getLogger("torchdistill").setLevel(logging.WARNING)
        super().__init__(job, data)
        torch.backends.cudnn.benchmark = True  # as its example does
        self.device = torch.device(job.device)
        self.box = get_distillation_box(
            self.teacher,
            self.student,
            {"train": PilDataset(data)},
            _configuration(job, steps=job.epochs * -(-len(data.labels) // job.batch_size)),
            self.device,
            [0] if self.device.type == "cuda" else None,
            distributed=False,
            lr_factor=1,
        )

    def train(self) -> None:
        """Train all epochs."""
        for epoch in range(self.job.epochs):
            self.box.pre_epoch_process(epoch=epoch)
            self._train_one_epoch()
            self.box.post_epoch_process()

    def _train_one_epoch(self) -> None:
        metrics = MetricLogger(delimiter="  ")
        metrics.add_meter("lr", SmoothedValue(window_size=1, fmt="{value}"))
        batches = metrics.log_every(self.box.train_data_loader, _LOG_FREQUENCY, "")
        for inputs, labels, further in batches:
            inputs, labels = inputs.to(self.device), labels.to(self.device)
            loss = self.box.forward_process(inputs, labels, further)
            self.box.post_forward_process(loss=loss)
            metrics.update(loss=loss.item(), lr=self.box.optimizer.param_groups[0]["lr"])


def _configuration(job: Job, *, steps: int) -> dict:
    logits = {"module_path": ".", "module_io": "output"}
    paths = {
        f"{who}_{key}": value for who in ("student", "teacher") for key, value in logits.items()
    }
    loss = {"temperature": job.temperature, "alpha": 1 - job.alpha, "reduction": "batchmean"}
    return {
        "num_epochs": job.epochs,
        "train_data_loader": {
            "dataset_id": "train",
            "sampler": {"class_or_func": RandomSampler, "kwargs": {}},
            "kwargs": {
                "batch_size": job.batch_size,
                "num_workers": job.loader_workers,
                "pin_memory": job.device == "cuda",
                "drop_last": False,
            },
        },
        "teacher": {"forward_proc": "forward_batch_only", "requires_grad": False},
        "student": {"forward_proc": "forward_batch_only", "requires_grad": True},
        "optimizer": {
            "key": "SGD",
            "kwargs": {
                "lr": job.learning_rate,
                "momentum": job.momentum,
                "weight_decay": job.weight_decay,
                "nesterov": True,
            },
        },
        "scheduler": {
            "key": "CosineAnnealingLR",
            "kwargs": {"T_max": steps},
            "scheduling_step": 1,
        },
        "criterion": {
            "key": "WeightedSumLoss",
            "kwargs": {
                "sub_terms": {
                    "kd": {
                        "criterion": {"key": "KDLoss", "kwargs": {**paths, **loss}},
                        "weight": 1.0,
                    }
                }
            },
        },
    }
