"""timm's distillation task in the loop of timm's training script.

Its own loader (`create_loader`, without augmentation), optimizer and scheduler factories, its
`LogitDistillationTask`, automatic mixed precision in bfloat16 where the machine has it, and
channels-last tensors: what `--amp --amp-dtype bfloat16 --channels-last --no-aug` asks for. Its loss
weights the task; biases and batch norms decay here as with the other tools.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import torch
from PIL import Image
from timm.data import create_loader
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.task import LogitDistillationTask
from timm.utils import AverageMeter
from torch import nn
from torch.utils.data import DataLoader, Dataset

from peers.job import Arrays, Job
from peers.networks import TorchSession

_LOG_INTERVAL = 50  # the script's own default


class PilDataset(Dataset):
    """Images as timm's transforms take them."""

    def __init__(self, data: Arrays) -> None:
        self.images, self.labels = data.images.transpose(0, 2, 3, 1), data.labels
        self.transform = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int):
        image = Image.fromarray(self.images[index])
        return image if self.transform is None else self.transform(image), int(self.labels[index])


class TimmSession(TorchSession):
    """A student that trains in timm's loop."""

    def __init__(self, job: Job, data: Arrays) -> None:
        super().__init__(job, data)
        if job.device == "cuda":  # as its script does
            torch.backends.cuda.matmul.allow_tf32 = True
            torch.backends.cudnn.benchmark = True
        device = torch.device(job.device)
        self.precision = "bfloat16" if job.bfloat16 else "float32"
        self.autocast = (
            partial(torch.autocast, device_type=device.type, dtype=torch.bfloat16)
            if job.bfloat16
            else suppress
        )
        for network in (self.teacher, self.student):
            _as_timm(network, job, data).to(memory_format=torch.channels_last)
        self.task = LogitDistillationTask(
            self.student,
            self.teacher,
            criterion=nn.CrossEntropyLoss(),
            task_loss_weight=1 - job.alpha,
            temperature=job.temperature,
            device=device,
            verbose=False,
        )
        self.loader = _loader(job, data, device)
        self.optimizer = create_optimizer_v2(
            self.student,
            opt="sgd",
            lr=job.learning_rate,
            momentum=job.momentum,
            weight_decay=job.weight_decay,
            filter_bias_and_bn=False,
        )
        self.scheduler, _ = create_scheduler_v2(
            self.optimizer,
            sched="cosine",
            num_epochs=job.epochs,
            step_on_epochs=False,
            updates_per_epoch=len(self.loader),
        )

    def train(self) -> None:
        """Train all epochs."""
        losses, updates = AverageMeter(), 0
        for epoch in range(self.job.epochs):
            self.task.train()
            for number, (inputs, labels) in enumerate(self.loader):
                inputs = inputs.contiguous(memory_format=torch.channels_last)
                with self.autocast():
                    loss = self.task(inputs, labels)["loss"]
                loss.backward()
                self.optimizer.step()
                self.optimizer.zero_grad()
                updates += 1
                if number % _LOG_INTERVAL == 0:
                    losses.update(loss.item(), len(inputs))
                self.scheduler.step_update(num_updates=updates, metric=losses.avg)
            self.scheduler.step(epoch + 1)


def _loader(job: Job, data: Arrays, device: torch.device) -> DataLoader:
    return create_loader(
        PilDataset(data),
        input_size=tuple(data.images.shape[1:]),
        batch_size=job.batch_size,
        is_training=True,
        no_aug=True,
        mean=tuple(data.mean.tolist()),
        std=tuple(data.std.tolist()),
        num_workers=job.loader_workers,
        persistent_workers=job.loader_workers > 0,
        pin_memory=device.type == "cuda",
        device=device,
    )


def _as_timm(network: nn.Module, job: Job, data: Arrays) -> nn.Module:
    """Give a network the attributes that timm's task reads."""
    network.num_classes, network.in_chans = job.num_classes, data.images.shape[1]
    network.pretrained_cfg = {"mean": tuple(data.mean.tolist()), "std": tuple(data.std.tolist())}
    return network
