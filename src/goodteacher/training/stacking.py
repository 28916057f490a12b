"""Many networks of one architecture as one: a leading axis ``[S]`` on every parameter and buffer.

However a stack runs, its tensors are the same, so any optimizer that works element by element
trains the S networks independently, and choosing students is ``index_select`` on axis 0. There are
three ways of running, tried in this order:

``fused``
    a graph of wide operations (:mod:`goodteacher.training.stacked_forms`): one product for the
    first layer of all students, batched products and grouped convolutions for the others;
``vmap``
    ``torch.func``: any network without data-dependent control flow;
``loop``
    one student after another, on views of the same tensors: any network.

A way is taken only if it agrees with the plain networks on a small batch: outputs in training and
evaluation, gradients, and buffers after a training step, in float64 where the network allows it.
Falling back warns, with the reason.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from goodteacher.errors import ModelError
from goodteacher.networks import Batch, batch_length, batch_shape, map_batch
from goodteacher.training.stacked_forms import NotFusableError, Program, brief, fuse

Kind = Literal["fused", "vmap", "loop"]

_PROBE_EXAMPLES = 3  # unlike the number of probed networks: a mix-up of axes cannot go unseen
_PROBE_NETWORKS = 2


class StackingWarning(UserWarning):
    """Networks run together in a slower way than the fused one; results are the same."""


class Stack(nn.Module):
    """S networks of one architecture that see the same inputs; made by :func:`stack_networks`.

    Attributes:
        network: The architecture, with parameters and buffers ``[S, ...]`` under the plain names.
        kind: How it runs: ``fused``, ``vmap`` or ``loop``.
    """

    def __init__(self, networks: Sequence[nn.Module], *, kind: Kind) -> None:
        super().__init__()
        self.kind: Kind = kind
        self.network = _with_stacked_tensors(networks)
        # In a tuple, so that nn.Module does not count the template's parameters as the stack's.
        self._template = (copy.deepcopy(networks[0]),)
        self._num_students = len(networks)
        self._program: Program | None = None
        if kind == "fused":
            self._program = fuse(self._template[0], self.network)

    @property
    def num_students(self) -> int:
        """Number S of networks."""
        return self._num_students

    def forward(self, inputs: Batch) -> Tensor:
        """Run all networks on shared inputs.

        Args:
            inputs: ``[B, ...]``, or such a tensor for each field.

        Returns:
            Logits ``[S, B, C]``, in general not contiguous in memory.
        """
        return _FORWARDS[self.kind](self, inputs)

    def state_dict_of(self, student: int) -> dict[str, Tensor]:
        """Return one student's state, for ``load_state_dict`` of a plain network; a copy.

        Args:
            student: Number of the student, 0 to S - 1.

        >>> nets = [nn.Sequential(nn.Linear(4, 3))] * 5
        >>> stack = stack_networks(nets, example_input=torch.ones(2, 4))
        >>> {name: tensor.shape for name, tensor in stack.state_dict_of(2).items()}
        {'0.weight': torch.Size([3, 4]), '0.bias': torch.Size([3])}
        """
        number = int(self._checked([student]))
        return {name: tensor[number].clone() for name, tensor in self._state().items()}

    def network_of(self, student: int) -> nn.Module:
        """Return one student as a plain network of its own, in the stack's mode.

        Args:
            student: Number of the student, 0 to S - 1.
        """
        number = int(self._checked([student]))
        plain = copy.deepcopy(self._template[0])
        tensors = {**dict(self.network.named_parameters()), **dict(self.network.named_buffers())}
        with torch.no_grad():
            for name, own in (*plain.named_parameters(), *plain.named_buffers()):
                own.data = tensors[name][number].clone()
        plain.train(self.training)
        return plain

    def extra_repr(self) -> str:
        """Tell how many students there are, and how they run."""
        return f"num_students={self.num_students}, kind={self.kind!r}"

    def _state(self) -> dict[str, Tensor]:
        return {name: tensor.detach() for name, tensor in self.network.state_dict().items()}

    def _checked(self, indices: Sequence[int] | Tensor) -> Tensor:
        chosen = torch.as_tensor(indices, dtype=torch.long, device="cpu").flatten()
        if not len(chosen) or int(chosen.min()) < 0 or int(chosen.max()) >= self.num_students:
            raise ModelError(
                f"Students {chosen.tolist()} cannot be taken from a stack of {self.num_students}: "
                f"give at least one number from 0 to {self.num_students - 1}."
            )
        return chosen


def stack_networks(
    networks: Sequence[nn.Module], *, example_input: Batch, kind: Kind | None = None
) -> Stack:
    """Stack networks of one architecture into one module with tensors ``[S, ...]``.

    The networks are copied and stay as they are; the same network may be given S times. The stack
    is on their device, in the mode (training or evaluation) of the first.

    Args:
        networks: S plain networks, alike but for the values of their tensors.
        example_input: A few inputs, n examples, as the networks will see them, for the trial that
            decides how the stack runs.
        kind: The way of running to take; by default the fastest that agrees with the networks.

    Returns:
        The stack.

    Raises:
        ModelError: If there are no networks, they differ in more than values, they fail on the
            example, or the ``kind`` asked for does not work.

    Warns:
        StackingWarning: If the networks cannot be fused and no ``kind`` is given.

    >>> nets = [nn.Sequential(nn.Flatten(), nn.Linear(4, 3)) for _ in range(5)]
    >>> stack = stack_networks(nets, example_input=torch.zeros(2, 2, 2))
    >>> stack.kind, stack(torch.zeros(8, 2, 2)).shape
    ('fused', torch.Size([5, 8, 3]))
    """
    _check_alike(networks)
    trial = _Trial(networks, example_input)
    if kind is not None:
        reason = trial.objection(kind)
        if reason is not None:
            raise ModelError(
                f"The networks cannot be stacked as {kind!r}: {reason}. Leave kind out: the "
                "fastest way that works is then chosen."
            )
        return Stack(networks, kind=kind)
    reasons: list[str] = []
    for candidate in cast("tuple[Kind, ...]", ("fused", "vmap")):
        reason = trial.objection(candidate)
        if reason is None:
            _warn(candidate, reasons)
            return Stack(networks, kind=candidate)
        reasons.append(f"{candidate}: {reason}")
    _warn("loop", reasons)
    return Stack(networks, kind="loop")


_SLOWER_WAYS: Mapping[Kind, str] = {
    "vmap": "are trained together by torch.vmap",
    "loop": "are trained one after another",
}


def _warn(kind: Kind, reasons: Sequence[str]) -> None:
    if reasons:
        warnings.warn(
            f"Students of this network {_SLOWER_WAYS[kind]}, which gives the same results as "
            "stacked layers but is slower. Stacked layers are not possible because "
            f"{'; '.join(reasons)}.",
            StackingWarning,
            stacklevel=3,
        )


# The three ways of running -----------------------------------------------------------------------


def _run_fused(stack: Stack, inputs: Batch) -> Tensor:
    return cast(Program, stack._program)(stack.network, inputs)


def _run_vmap(stack: Stack, inputs: Batch) -> Tensor:
    def run_one(tensors: dict[str, Tensor], inputs: Batch) -> Any:
        return functional_call(stack.network, tensors, (inputs,))

    run_all = vmap(run_one, in_dims=(0, None), randomness="different")
    return cast(Tensor, run_all(_tensors(stack.network), inputs))


def _run_loop(stack: Stack, inputs: Batch) -> Tensor:
    # unbind: its gradient is one stack of all students', where S slices would add up S full ones.
    parameters = {name: p.unbind(0) for name, p in stack.network.named_parameters()}
    buffers = dict(stack.network.named_buffers())
    outputs = []
    for i in range(stack.num_students):
        own = {name: buffer[i] for name, buffer in buffers.items()}
        tensors = {**{name: slices[i] for name, slices in parameters.items()}, **own}
        outputs.append(functional_call(stack.network, tensors, (inputs,)))
        _write_back(buffers, before=own, after=tensors, student=i)
    return torch.stack(outputs)


def _write_back(
    buffers: Mapping[str, Tensor],
    *,
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
    student: int,
) -> None:
    """Keep buffers that a network has replaced; those changed in place are views already."""
    for name, buffer in buffers.items():
        if after[name] is not before[name]:
            buffer[student].copy_(after[name].detach())


_FORWARDS: Mapping[Kind, Callable[[Stack, Batch], Tensor]] = {
    "fused": _run_fused,
    "vmap": _run_vmap,
    "loop": _run_loop,
}


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


# Stacking and selecting tensors ------------------------------------------------------------------


def _check_alike(networks: Sequence[nn.Module]) -> None:
    if not networks:
        raise ModelError("There are no networks to stack: give at least one.")
    first = _description(networks[0])
    for number, network in enumerate(networks):
        if network is not networks[0] and _description(network) != first:
            raise ModelError(
                f"Networks 0 and {number} cannot be stacked: they must have the same "
                "architecture, with equal layers, shapes and types. Build them from the same "
                "specification."
            )


def _description(network: nn.Module) -> tuple[str, dict[str, tuple[torch.Size, torch.dtype]]]:
    return repr(network), {n: (t.shape, t.dtype) for n, t in _tensors(network).items()}


def _with_stacked_tensors(networks: Sequence[nn.Module]) -> nn.Module:
    """Copy the first network and give it all networks' parameters and buffers as ``[S, ...]``."""
    skeleton = copy.deepcopy(networks[0])
    tied: dict[int, nn.Parameter] = {}
    for name, module in list(skeleton.named_modules()):
        siblings = [network.get_submodule(name) for network in networks]
        for key, parameter in module._parameters.items():
            if parameter is None:
                continue
            # A parameter that two layers share must stay one parameter.
            if id(parameter) not in tied:
                slices = [cast(Tensor, sibling._parameters[key]).detach() for sibling in siblings]
                stacked = nn.Parameter(torch.stack(slices), parameter.requires_grad)
                tied[id(parameter)] = stacked
            module._parameters[key] = tied[id(parameter)]
        for key, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[key] = torch.stack(
                    [cast(Tensor, s._buffers[key]) for s in siblings]
                )
    return skeleton


# The trial ---------------------------------------------------------------------------------------


class _Trial:
    """Whether a way of running agrees with the plain networks, on a few examples.

    Two copies of the networks get weights that differ from each other and from any initial value
    that could hide a mistake (zeros, ones), and dropout is switched off.
    """

    def __init__(self, networks: Sequence[nn.Module], example_input: Batch) -> None:
        self.random = False
        for dtype, tolerance in ((torch.float64, 1e-6), (None, 1e-3)):
            self.tolerance = tolerance
            self.inputs = _probe_inputs(example_input, dtype)
            self.networks = [
                _probe_network(networks[i % len(networks)], seed=i, dtype=dtype)
                for i in range(_PROBE_NETWORKS)
            ]
            try:
                self.expected = self._plain()
            except Exception as error:
                failure = error  # perhaps only because of float64
                continue
            self.random = not _agree(self.expected, self._plain(), tolerance)
            return
        raise ModelError(
            f"The networks fail on inputs of shape {batch_shape(self.inputs)}: "
            f"{type(failure).__name__}: {failure}. Give example inputs that the networks can take."
        ) from failure

    def objection(self, kind: Kind) -> str | None:
        """Say what stands against a way of running; ``None`` if nothing does."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                stack = Stack(self.networks, kind=kind)
                found = _observe(stack, self.inputs)
        except NotFusableError as error:
            return str(error)
        except Exception as error:
            return brief(error)
        # What a network draws in training differs from run to run; evaluation must agree.
        names = ("evaluation",) if self.random else tuple(self.expected)
        wrong = [
            name
            for name in names
            if not _agree({name: self.expected[name]}, {name: found[name]}, self.tolerance)
        ]
        return (
            f"its results differ from those of the plain networks in {', '.join(wrong)}"
            if wrong
            else None
        )

    def _plain(self) -> dict[str, list[Tensor]]:
        """Observe each plain network, and stack what was seen."""
        seen = []
        for network in self.networks:
            seen.append(_observe(copy.deepcopy(network), self.inputs))
        return {
            name: [torch.stack(tensors) for tensors in zip(*(s[name] for s in seen), strict=True)]
            for name in seen[0]
        }


def _probe_inputs(example_input: Batch, dtype: torch.dtype | None) -> Batch:
    rows = torch.arange(_PROBE_EXAMPLES) % batch_length(example_input)
    generator = torch.Generator().manual_seed(0)

    def varied(part: Tensor) -> Tensor:
        inputs = part.detach().cpu()[rows]
        if not inputs.is_floating_point():
            return inputs
        noise = torch.randn(inputs.shape, generator=generator)
        return (inputs + noise).to(dtype or inputs.dtype)

    return map_batch(example_input, varied)


def _probe_network(network: nn.Module, *, seed: int, dtype: torch.dtype | None) -> nn.Module:
    probe = copy.deepcopy(network).to(device="cpu", dtype=dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in probe.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(0.1 * noise)
    for module in probe.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    return probe


def _observe(module: nn.Module, inputs: Batch) -> dict[str, list[Tensor]]:
    """Run a training and an evaluation pass; return outputs, gradients and buffers."""
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        module.train()  # a user's own train() may return nothing
        training = cast(Tensor, module(inputs))
        gradients = _gradients(training, [p for p in module.parameters() if p.requires_grad])
        with torch.no_grad():
            module.eval()
            evaluation = cast(Tensor, module(inputs))
    return {
        "training": [training.detach()],
        "evaluation": [evaluation],
        "gradients": gradients,
        # Read now: a network may have replaced a buffer rather than changed it.
        "buffers": [buffer.clone() for buffer in module.buffers()],
    }


def _gradients(outputs: Tensor, parameters: list[nn.Parameter]) -> list[Tensor]:
    if not parameters or not outputs.requires_grad:
        return [torch.zeros_like(parameter) for parameter in parameters]
    # Unlike weights for each logit: a plain sum has no gradient behind a batch normalisation.
    shape = outputs.shape[-2:]
    weights = torch.linspace(-1, 1, shape.numel(), dtype=outputs.dtype).reshape(shape) ** 3
    found = torch.autograd.grad((outputs * weights).sum(), parameters, allow_unused=True)
    pairs = zip(found, parameters, strict=True)
    return [torch.zeros_like(p) if gradient is None else gradient for gradient, p in pairs]


def _agree(
    expected: Mapping[str, list[Tensor]], found: Mapping[str, list[Tensor]], tolerance: float
) -> bool:
    pairs = _pairs(expected, found)
    return all(a.shape == b.shape and _close(a, b, tolerance) for a, b in pairs)


def _pairs(
    expected: Mapping[str, list[Tensor]], found: Mapping[str, list[Tensor]]
) -> Iterator[tuple[Tensor, Tensor]]:
    for name, tensors in expected.items():
        yield from zip(tensors, found[name], strict=True)


def _close(expected: Tensor, found: Tensor, tolerance: float) -> bool:
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    return torch.allclose(found.double(), expected.double(), rtol=0, atol=tolerance * (scale + 1))
