"""A rehearsal: all that a network will go through, once, before anything is trained.

A training step, an evaluation, one save and one load; for a student as part of a stack too. What
fails here would fail hours later, when the teachers are trained.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from goodteacher.config import Optimization
from goodteacher.errors import GoodteacherError, ModelError, StudyError
from goodteacher.networks import (
    Batch,
    Examples,
    NetworkIdentity,
    Preparations,
    identity_of,
    is_users_own,
    map_batch,
    split_spec,
)
from goodteacher.networks.adapting import kind_of, with_whole_output
from goodteacher.networks.examination import check_not_probabilities, check_trainable, examine
from goodteacher.networks.factory import check_logits, reason_of
from goodteacher.studies.store import Store
from goodteacher.studies.tensor_files import load_weights
from goodteacher.training import (
    Machine,
    Stack,
    Trainer,
    compute_logits,
    is_out_of_memory,
    stack_networks,
    unless_memory_runs_out,
)

Role = Literal["teacher", "student"]

EXAMPLES = 4
"""Examples of the rehearsal: few enough to cost nothing, more than the students of its stack."""

_STACKED = 2
_SAME = 1e-3
"""Outputs of a network and of its copy, loaded again, differ by less than this share."""


@dataclass(frozen=True)
class Rehearsed:
    """What a rehearsal found.

    Attributes:
        needs_two: Whether a training step fails on a single example, as batch normalisation does.
        notes: What the user should know, in sentences.
        identity: What the network is, of the user's own; None of those that come with the library.
    """

    needs_two: bool
    notes: tuple[str, ...] = ()
    identity: NetworkIdentity | None = None


@dataclass(frozen=True)
class Rehearsal:
    """What a network is tried with.

    Args:
        role: What it will be.
        spec: Its specification.
        networks: How the study's networks want its examples.
        machine: Where it will train.
        plan: How; batch sizes do not matter.
        seed: Of its initial weights.
    """

    role: Role
    spec: str
    networks: Preparations
    machine: Machine
    plan: Optimization
    seed: int = 0

    def run(self) -> Rehearsed:
        """Let the network go through everything once, leaving no trace.

        Where memory runs out nothing is said: training has ways to do with less.

        Raises:
            ModelError: Something fails; the message names the network, the mode and what to change.
        """
        devices = [self.machine.device] if self.machine.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the training itself will give them
            return unless_memory_runs_out(self._run) or Rehearsed(needs_two=False)

    def _run(self) -> Rehearsed:
        self.networks.of(self.spec)
        notes = self._examined()
        network = self._built()
        identity = identity_of(network) if is_users_own(self.spec) else None
        notes += self._output_notes(network)
        self._train(network)
        needs_two = self._fails_on_one()
        self._save_and_load(network)
        if self.role == "student":
            self._stack()
        return Rehearsed(needs_two, notes, identity)

    def _examined(self) -> tuple[str, ...]:
        if not is_users_own(self.spec):
            return ()
        prepared = self.networks.of(self.spec).output(self.networks.data.spec)
        with self._phase("in evaluation mode"):
            notes = examine(
                self._build,
                name=self.spec,
                num_classes=self._num_classes,
                spec=prepared,
            )
        told = filter(None, [self.networks.choice(self.spec)])
        return tuple(f"{self.role} {note}" for note in (*told, *notes))

    @property
    def _num_classes(self) -> int:
        return self.networks.data.num_classes

    def _build(self, seed: int) -> nn.Module:
        return self.networks.network(self.spec, seed=seed).module

    def _built(self) -> nn.Module:
        network = self._build(self.seed)
        check_trainable(network, self.spec)
        return network

    @property
    def _examples(self) -> Examples:
        training = self.networks.data.training
        few = training.subset(torch.arange(min(EXAMPLES, len(training))))
        return self.networks.examples(self.spec, few, device=self.machine.device)

    def _inputs(self, count: int) -> Batch:
        return self._examples.inputs(torch.arange(count))

    def _output_notes(self, network: nn.Module) -> tuple[str, ...]:
        """Say what is taken as logits, and which weights then get no gradient."""
        network.to(self.machine.device)
        inputs = self._inputs(len(self._examples))
        kinds: dict[str, str] = {}
        for mode, training in (("evaluation", False), ("training", True)):
            with self._phase(f"in {mode} mode"):
                network.train(training)
                logits, whole = with_whole_output(network, inputs)
                self._checked(logits, inputs, mode=mode)
            kinds |= {mode: kind} if (kind := kind_of(whole)) else {}
        if not kinds:
            return ()
        with self._phase("in training mode"):
            weights = {n: p for n, p in network.named_parameters() if p.requires_grad}
            gradients = torch.autograd.grad(logits.sum(), list(weights.values()), allow_unused=True)
        idle = [name for name, g in zip(weights, gradients, strict=True) if g is None]
        told = " and ".join(f"in {mode} mode {kind}" for mode, kind in kinds.items())
        if len(kinds) == 2 and len(set(kinds.values())) == 1:
            told = next(iter(kinds.values()))
        note = f"{self.role} {self.spec!r}: of what it returns, its logits are {told}."
        if idle:
            note += (
                f" Weights without a part in them are not trained: {_listed(idle)}. If evaluation "
                "uses these, return logits that are made of them in training mode too."
            )
        return (note,)

    def _train(self, network: nn.Module) -> None:
        """Take a training step, of logits that depend on the weights."""
        examples = self._examples
        with self._phase("in training mode"):
            inputs = self._inputs(len(examples))
            network.train()
            with self.machine.arithmetic():
                output = network(inputs)
            logits = self._checked(output, inputs, mode="training")
            if not logits.requires_grad:
                raise ModelError(
                    f"The output of the {self.role} {self.spec!r} does not depend on its trainable "
                    "weights, in training mode. Does its forward use torch.no_grad() or detach()?"
                )
            if is_users_own(self.spec):
                check_not_probabilities(network, inputs, logits, name=self.spec, mode="training")
            self._trainer(network, examples).run_until(1)

    def _checked(self, output: object, inputs: Batch, *, mode: str) -> Tensor:
        classes = self._num_classes
        return check_logits(output, name=self.spec, inputs=inputs, num_classes=classes, mode=mode)

    def _trainer(self, network: nn.Module, examples: Examples) -> Trainer:
        def cross_entropy(logits: Tensor, positions: Tensor, view: int) -> Tensor:
            labels = examples.labels(positions, num_classes=self._num_classes)
            per_student = logits if logits.dim() == 3 else logits[None]
            return torch.stack([F.cross_entropy(each, labels) for each in per_student])

        size = {"batch_size": len(examples), "micro_batch_size": None}
        return Trainer(
            network,
            cross_entropy,
            examples,
            plan=self.plan.model_copy(update=size),
            total_steps=1,
            order_seed=0,
            machine=dataclasses.replace(self.machine, compiles=False),
        )

    def _fails_on_one(self) -> bool:
        network = self._built().to(self.machine.device)
        network.train()
        inputs = self._inputs(1)
        try:
            self._checked(network(inputs), inputs, mode="training")
        except Exception as error:
            if is_out_of_memory(error):
                raise
            return True
        return False

    def _save_and_load(self, network: nn.Module) -> None:
        """Save the trained network, load it into a new one, and compare what both answer."""
        with self._phase("in evaluation mode"):
            expected = compute_logits(network, self._examples)
        with self._phase("when it was saved and loaded"), _folder() as store:
            self._check_state(network)
            store.write_tensors("network.safetensors", network.state_dict())
            copy = self._build(self.seed)
            tensors = store.read_tensors("network.safetensors")
            load_weights(copy, tensors, store.root / "network.safetensors")
            found = compute_logits(copy.to(self.machine.device), self._examples)
        if not _agree(found, expected):
            raise ModelError(
                f"The {self.role} {self.spec!r} answers differently after it was trained, saved "
                "and loaded again: something that it learned is not in its state_dict. Make it a "
                "parameter, or a buffer with register_buffer(name, tensor)."
            )

    def _check_state(self, network: nn.Module) -> None:
        state: dict[str, object] = {**network.state_dict()}
        other = [name for name, value in state.items() if not isinstance(value, Tensor)]
        if other:
            raise ModelError(
                f"The state_dict of the {self.role} {self.spec!r} holds more than tensors: "
                f"{_listed(other)}. A file of weights holds tensors only: leave get_extra_state "
                "out, or keep what it holds in buffers."
            )

    def _stack(self) -> None:
        """Train students together, as they will be, and take one out."""
        with self._phase("in a stack of students"), _folder() as store:
            stack = self._stacked(self._built())
            examples = self._examples
            trainer = self._trainer(stack, examples)
            trainer.run_until(1)
            expected = compute_logits(stack, examples)
            shape = [_STACKED, len(examples), self._num_classes]
            if list(expected.shape) != shape:
                raise ModelError(
                    f"{_STACKED} students {self.spec!r} in a stack returned shape "
                    f"{list(expected.shape)} in evaluation mode, but logits must have shape "
                    f"{shape}. Keep the axes of batch and classes as they are."
                )
            store.write_tensors("state.safetensors", trainer.state())
            trainer.load(store.read_tensors("state.safetensors"), 1)
            plain = self._build(self.seed)
            plain.load_state_dict(stack.state_dict_of(0))
            found = compute_logits(plain.to(self.machine.device), examples)
        if not _agree(found, expected[0]):
            raise ModelError(
                f"The student {self.spec!r} answers differently in evaluation mode once it is "
                "taken out of the stack that it was trained in: something that it learned is not "
                "in its state_dict. Make it a parameter, or a buffer."
            )

    def _stacked(self, network: nn.Module) -> Stack:
        sample = map_batch(self._inputs(min(2, len(self._examples))), Tensor.cpu)
        stack = stack_networks([network] * _STACKED, example_input=sample)
        return stack.to(self.machine.device)

    @contextlib.contextmanager
    def _phase(self, when: str) -> Iterator[None]:
        """Name the network, its role and what it was doing in whatever goes wrong."""
        try:
            yield
        except StudyError:  # of the folder in which it is tried, such as of a full disk
            raise
        except GoodteacherError as error:
            name = split_spec(self.spec)[0]
            if (name.partition(":")[2] or name) in str(error):
                raise
            raise ModelError(f"The {self.role} {self.spec!r} failed {when}. {error}") from error
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise ModelError(
                f"The {self.role} {self.spec!r} failed {when}, on {EXAMPLES} of the training "
                f"examples: {reason_of(error)}. Nothing has been trained yet. Fix its forward "
                "until network.train()(inputs), network.eval()(inputs), loss.backward(), "
                "copy.deepcopy(network) and network.state_dict() work."
            ) from error


@contextlib.contextmanager
def _folder() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        yield Store(Path(folder))


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - 4
    return ", ".join(names[:4]) + (f" and {rest} more" if rest > 0 else "")


def _agree(found: Tensor, expected: Tensor) -> bool:
    finite = expected[expected.isfinite()]
    scale = float(finite.abs().max()) if len(finite) else 0.0
    return torch.allclose(found, expected, rtol=_SAME, atol=_SAME * scale, equal_nan=True)
