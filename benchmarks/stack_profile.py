"""Where the time of a stack of students goes, by kind of operation.

    python benchmarks/stack_profile.py [--student cnn:16,32,64] [--width 16] [--out FILE.json]

PyTorch's profiler over some training steps: milliseconds of a student-step by kind of operation,
and how fast the convolutions run beside a large matrix product measured in the same run.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from goodteacher.config import RuntimeConfig
from goodteacher.studies.environment import environment_here
from goodteacher.training.machine import choose_machine, tuned_cpu
from student_epoch import hand_over, make_data, student_trainer
from teacher_step import product_rate

KINDS = {
    "convolution": ("convolution", "mkldnn_conv", "conv2d"),
    "batch normalisation": ("batch_norm",),
    "pooling": ("max_pool", "avg_pool", "mean"),
    "matrix product": ("mm", "addmm", "bmm", "baddbmm"),
    "activation": ("relu", "threshold"),
    "optimizer": ("adam", "sgd"),
    "copies and casts": ("copy_", "to", "clone", "cat", "index", "fill_", "zero_"),
}


def kind_of(operation: str) -> str:
    """Return the kind of an operation such as ``aten::native_batch_norm_backward``."""
    name = operation.split("::")[-1]
    for kind, parts in KINDS.items():
        if any(part in name if len(part) > 2 else part == name for part in parts):
            return kind
    return "other"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", default="cnn:16,32,64")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    shape = (3, 32, 32)
    trainer = student_trainer(
        options.student,
        *make_data(2048, shape),
        width=options.width,
        batch_size=options.batch_size,
    )
    trainer.run_until(3)
    student_steps = options.steps * options.width
    plain = 1e3 * trainer.run_until(3 + options.steps).seconds / student_steps
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        trainer.run_until(trainer.step + options.steps)
    spent: dict[str, float] = defaultdict(float)
    for event in profiler.key_averages():
        busy = event.self_device_time_total or event.self_cpu_time_total
        spent[kind_of(event.key)] += busy / 1e3 / student_steps
    inputs = trainer.examples.inputs(torch.arange(options.batch_size))
    alone = trainer.network.network_of(0)  # the counter takes grouped convolutions for full ones
    with FlopCounterMode(display=False) as counter:
        alone(inputs).sum().backward()
    gflop = counter.get_total_flops() / 1e9
    rate = product_rate(choose_machine(RuntimeConfig()))
    result = {
        "student": options.student,
        "width": options.width,
        "batch_size": options.batch_size,
        "environment": environment_here(str(trainer.machine)).model_dump(mode="json"),
        "milliseconds_per_student_step": plain,
        "by_kind": dict(sorted(spent.items(), key=lambda item: -item[1])),
        "gflop_per_student_step": gflop,
        "convolution_gflops": 1e3 * gflop / spent["convolution"] if spent["convolution"] else None,
        "product_gflops": rate,
        "floor_milliseconds": 1e3 * gflop / rate,
    }
    hand_over(result, options.out)


if __name__ == "__main__":
    with tuned_cpu():
        main()
