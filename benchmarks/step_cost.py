"""What a student's step costs beside a plain one, on networks with convolutions.

One student: a `resnet:20` that learns a stored response, against the same network learning labels
alone, once in the same loop and once in a loop by hand (the same precision, either layout, whole
batches, a fused optimizer), and against the plain float32 loop with the `resnet:56` teacher online.
Many: 16 stacked `cnn:16,32,64` students against the plain loop with several teachers online, and
with none.

Same data (random, in the shape of CIFAR-10), same batch size and optimizer, one run; all are timed
in turn, so that a noisy machine disturbs them alike. Computing the stored response is not in a
step's cost; `peers/run.py` counts it.

    python benchmarks/step_cost.py [--repeats 7] [--steps 8] [--out FILE.json]

Targets: at most 1.05 times a plain supervised step; at least 4 times cheaper than the plain loop
with the teacher online; 16 students at least 10 times cheaper than it, for each student.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import torch
from torch.nn import functional as F

from goodteacher.config import RuntimeConfig
from goodteacher.networks import build_model
from goodteacher.studies.environment import environment_here
from goodteacher.training.loop import Trainer
from goodteacher.training.machine import Machine, choose_machine, tuned_cpu
from peers.job import Arrays, Job
from peers.networks import make_student
from peers.ours import (
    labels_trainer,
    machine_of,
    normalization_of,
    recipes_for,
    stack_trainer,
)
from peers.plain import PlainStep, image_loader, random_arrays, sgd
from peers.summary import spread

ONE, ONE_TEACHER = "resnet:20", "resnet:56"
MANY, WIDTH = "cnn:16,32,64", 16
MANY_TEACHERS = (None, "cnn:32,64,128", "resnet:20", "resnet:56")
LAYOUTS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}

Timed = Callable[[], float]
"""Takes some steps and returns their seconds, for one student and one step."""


def per_step(take: Callable[[int], None], steps: int, machine: Machine) -> Timed:
    """Return what times ``take(steps)``, after a step that is not counted."""
    take(1)
    machine.wait()

    def timed() -> float:
        started = time.perf_counter()
        take(steps)
        machine.wait()
        return (time.perf_counter() - started) / steps

    return timed


def by_trainer(trainer: Trainer, steps: int, *, students: int = 1) -> Timed:
    """Time goodteacher's trainer: seconds of a step for each of its students."""

    def take(count: int) -> None:
        trainer.run_until(trainer.step + count)

    timed = per_step(take, steps, trainer.machine)
    return lambda: timed() / students


def by_plain_loop(job: Job, data: Arrays, teacher: str | None, steps: int, m: Machine) -> Timed:
    """Time the tutorial's loop in float32, with a teacher online or with none."""
    online = None if teacher is None else _untrained(teacher, job, data).to(m.device)
    student = make_student(job, data).to(m.device)
    step = PlainStep(student, online, sgd(student, job), job.temperature, job.alpha)
    batches = cycle_of(image_loader(data, batch_size=job.batch_size, workers=job.loader_workers))

    def take(count: int) -> None:
        for inputs, labels in islice(batches, count):
            step(inputs.to(m.device), labels.to(m.device))

    return per_step(take, steps, m)


def cycle_of(loader):
    """Yield a loader's batches for ever; `itertools.cycle` would keep them instead."""
    for _ in cycle([None]):
        yield from loader


def by_hand(
    job: Job, data: Arrays, steps: int, m: Machine, *, layout: torch.memory_format
) -> Timed:
    """Time supervised steps without a library: the machine's precision, whole batches."""
    network = make_student(job, data).to(m.device, memory_format=layout).train()
    images, labels = (torch.from_numpy(a).to(m.device) for a in (data.images, data.labels))
    normalize = normalization_of(data).to(m.device)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=job.learning_rate,
        momentum=job.momentum,
        weight_decay=job.weight_decay,
        nesterov=True,
        fused=True,
    )

    def take(count: int) -> None:
        for _ in range(count):
            rows = torch.randint(len(images), (job.batch_size,), device=m.device)
            with m.arithmetic():
                logits = network(normalize(images[rows]).contiguous(memory_format=layout))
            optimizer.zero_grad()
            F.cross_entropy(logits.float(), labels[rows]).backward()
            optimizer.step()

    return per_step(take, steps, m)


def _untrained(spec: str, job: Job, data: Arrays) -> torch.nn.Module:
    shape = tuple(data.images.shape[1:])
    return build_model(spec, num_classes=job.num_classes, inputs=shape, seed=0).eval()


def contestants(job: Job, data: Arrays, steps: int) -> dict[str, Timed]:
    """Return all that is timed, by name."""
    m = machine_of(job)
    responses = torch.randn(len(data.labels), job.num_classes)
    one = dataclasses.replace(job, student=ONE)
    many = dataclasses.replace(job, student=MANY, students=WIDTH)

    def stack(which: Job) -> Timed:
        network, recipes = make_student(which, data), recipes_for(which)
        trainer = stack_trainer(network, data, responses, recipes, job=which, machine=m)
        return by_trainer(trainer, steps, students=which.students)

    supervised = labels_trainer(make_student(one, data), data, job=one, machine=m)
    return {
        "one": stack(one),
        "one, labels alone": by_trainer(supervised, steps),
        **{
            f"one, labels alone, by hand, {name}": by_hand(one, data, steps, m, layout=layout)
            for name, layout in LAYOUTS.items()
        },
        f"one, plain loop, teacher {ONE_TEACHER}": by_plain_loop(one, data, ONE_TEACHER, steps, m),
        f"{WIDTH} stacked": stack(many),
        **{
            f"{WIDTH}, plain loop, teacher {t or 'none'}": by_plain_loop(many, data, t, steps, m)
            for t in MANY_TEACHERS
        },
    }


def ratios_of(seconds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return each target's ratio, median and spread over the repeats.

    Of the supervised steps: how many times their cost the student's step costs. Of the plain loops:
    how many times cheaper it is.
    """

    def ratio(above: str, below: str) -> dict[str, float]:
        pairs = zip(seconds[above], seconds[below], strict=True)
        return spread([high / low for high, low in pairs])

    supervised = [name for name in seconds if name.startswith("one, labels alone")]
    own = {"one": "one", str(WIDTH): f"{WIDTH} stacked"}
    loops = [name for name in seconds if "plain loop" in name]
    return {
        **{f"cost of one / {name}": ratio("one", name) for name in supervised},
        **{f"times cheaper: {name}": ratio(name, own[name.split(",")[0]]) for name in loops},
    }


def options_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8, help="steps of one measurement")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=None)
    return parser.parse_args()


def main() -> None:
    options = options_of()
    torch.set_num_threads(options.threads)
    machine = choose_machine(RuntimeConfig(device=options.device))
    job = Job(
        teacher=ONE_TEACHER,
        student=ONE,
        arrays="",
        weights="",
        # Epochs enough that the schedule outlasts all steps.
        epochs=10_000,
        batch_size=options.batch_size,
        device=machine.device.type,
        threads=options.threads,
    )
    data = random_arrays(
        2 * options.steps * options.batch_size, shape=(3, 32, 32), num_classes=job.num_classes
    )
    timed = contestants(job, data, options.steps)
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for repeat in range(options.repeats):
        for name, measure in timed.items():
            seconds[name].append(measure())
        print(f"repeat {repeat + 1} of {options.repeats}", file=sys.stderr, flush=True)
    result = {
        "n": options.repeats,
        "steps": options.steps,
        "batch_size": options.batch_size,
        "environment": environment_here(str(machine)).model_dump(mode="json"),
        "milliseconds_per_student_step": {
            name: spread([1e3 * value for value in values]) for name, values in seconds.items()
        },
        "ratios": ratios_of(seconds),
    }
    text = json.dumps(result, indent=1)
    if options.out is not None:
        options.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    with tuned_cpu():
        main()
