"""What the sessions in PyTorch share: the two networks, the loss of the tutorials, accuracy.

Needs PyTorch and `goodteacher.networks` only, so that every peer trains the very same networks.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from goodteacher.networks import build_model
from peers.job import Arrays, Job

_TEST_BATCH = 500


def load_teacher(job: Job, data: Arrays) -> nn.Module:
    """Return the trained teacher, on the CPU, frozen and in evaluation mode."""
    teacher = _build(job.teacher, job, data, seed=0)
    with np.load(job.weights) as file:
        teacher.load_state_dict({name: torch.from_numpy(file[name]) for name in file.files})
    return teacher.eval().requires_grad_(False)


def make_student(job: Job, data: Arrays) -> nn.Module:
    """Return an untrained student, on the CPU; its initial weights depend on the job's seed."""
    return _build(job.student, job, data, seed=job.seed + 1)


def _build(spec: str, job: Job, data: Arrays, *, seed: int) -> nn.Module:
    shape = tuple(data.images.shape[1:])
    return build_model(spec, num_classes=job.num_classes, inputs=shape, seed=seed)


def parameter_count(network: nn.Module) -> int:
    """Return the number of parameters, trained or frozen."""
    return sum(parameter.numel() for parameter in network.parameters())


def tutorial_loss(
    student_logits: Tensor,
    teacher_logits: Tensor | None,
    labels: Tensor,
    *,
    temperature: float,
    alpha: float,
) -> Tensor:
    """Return `(1 - alpha) * CE + alpha * T^2 * KL` as tutorials write it; CE without a teacher."""
    cross_entropy = F.cross_entropy(student_logits, labels)
    if teacher_logits is None:
        return cross_entropy
    soft = F.softmax(teacher_logits / temperature, dim=1)
    log_probs = F.log_softmax(student_logits / temperature, dim=1)
    kl = F.kl_div(log_probs, soft, reduction="batchmean") * temperature**2
    return (1 - alpha) * cross_entropy + alpha * kl


@torch.inference_mode()
def accuracy_of(network: nn.Module, data: Arrays, device: str) -> float:
    """Return the share of test examples that a network classifies correctly, in float32."""
    network.eval()
    correct = 0
    for begin in range(0, len(data.test_labels), _TEST_BATCH):
        rows = slice(begin, begin + _TEST_BATCH)
        images = torch.from_numpy(data.normalised(data.test_images[rows])).to(device)
        predicted = network(images).argmax(1).cpu().numpy()
        correct += int((predicted == data.test_labels[rows]).sum())
    return correct / len(data.test_labels)


class TorchSession:
    """What sessions in PyTorch share: the teacher, an untrained student, and questions about them.

    Args:
        job: What to train, and how.
        data: The arrays to train on.
    """

    precision = "float32"
    teacher_seconds = 0.0

    def __init__(self, job: Job, data: Arrays) -> None:
        self.job, self.data = job, data
        self.teacher = load_teacher(job, data).to(job.device)
        self.student = make_student(job, data).to(job.device)

    def accuracy(self) -> float:
        """Return the student's accuracy on the test examples."""
        return accuracy_of(self.student, self.data, self.job.device)

    def parameters(self) -> tuple[int, int]:
        """Return the parameters of teacher and student."""
        return parameter_count(self.teacher), parameter_count(self.student)
