"""Many networks of one architecture as one: a leading axis [S] on every parameter and buffer.

A :class:`Stack` computes all students' logits from one shared batch. There are three ways, tried in
this order, and all keep the same tensors under the same names:

- ``fused``  layers replaced by their stacked forms (see ``stacked_forms``): fewest, widest kernels;
- ``vmap``   ``torch.func.vmap`` over the plain network, for layers without a stacked form;
- ``loop``   one student after another, for what vmap cannot trace.

Each way is compared with the plain network on an example when the stack is made, so a wrong one is
never used silently. Element-wise optimizers train the students independently of each other.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call, vmap

from goodteacher.errors import ModelError
from goodteacher.training.stacked_forms import (
    EACH_NUMBER,
    STACKED_FORMS,
    Layout,
    NoStackedForm,
    repeated,
)

Kind = Literal["fused", "vmap", "loop"]


class StackingWarning(UserWarning):
    """Students cannot be stacked the fastest way; they train the same, but slower."""


class Stack(nn.Module):
    """S students of one architecture as one module. Made by :func:`stack_networks`.

    ``state_dict`` has the plain network's names below ``body.``, each tensor with a leading [S].

    Args:
        body: A module that holds the stacked tensors under the plain network's names.
        run: Computes logits [S, B, C] from the body and a batch.
        kind: How it runs.
        num_students: S.
    """

    def __init__(
        self,
        body: nn.Module,
        run: Callable[[nn.Module, Tensor], Tensor],
        kind: Kind,
        num_students: int,
    ) -> None:
        super().__init__()
        self.body = body
        self.kind: Kind = kind
        self.num_students = num_students
        self._run = run

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [S, B, C] of a batch [B, ...] that all students share."""
        return self._run(self.body, inputs)

    def state_dict_of(self, student: int) -> dict[str, Tensor]:
        """Return one student's state, loadable into the plain network."""
        return {name: tensor[student].detach() for name, tensor in self.body.state_dict().items()}


def stack_networks(networks: Sequence[nn.Module], *, example_input: Tensor) -> Stack:
    """Stack networks of one architecture, keeping each one's weights.

    Args:
        networks: S plain networks whose states have equal names and shapes; one network may stand
            several times.
        example_input: A few examples [n, ...] on which the stack is compared with the networks.

    Returns:
        The stack, in the fastest way that gives the plain networks' outputs.

    Raises:
        ModelError: There is no network, or their architectures differ.

    Example:
        >>> students = [nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))] * 5
        >>> stack = stack_networks(students, example_input=torch.zeros(2, 3))
        >>> stack(torch.zeros(7, 3)).shape, stack.kind
        (torch.Size([5, 7, 2]), 'fused')
    """
    _check_alike(networks)
    reasons = []
    for kind, make in _WAYS.items():
        try:
            # Two students are enough to see that the way is right, whatever the stack's width.
            _check_outputs(make(networks[0], 2), networks[0], example_input)
            stack = make(networks[0], len(networks))
            _load_all(stack, networks)
        except Exception as error:  # any failure of a way means: try the next one
            reasons.append(f"{kind}: {_first_line(error)}")
            continue
        if reasons:
            warnings.warn(
                f"students run in the way {kind!r}, slower than they could ({'; '.join(reasons)}). "
                "Results are the same. A form in STACKED_FORMS makes a layer fast.",
                StackingWarning,
                stacklevel=2,
            )
        return stack
    raise ModelError(
        f"{type(networks[0]).__name__} cannot be trained as a student ({'; '.join(reasons)}). "
        "Does its output depend on chance in evaluation mode, or on the size of the batch?"
    )


def _fused(template: nn.Module, num_students: int) -> Stack:
    """Replace every layer by its stacked form, following layouts through the traced graph."""
    template = copy.deepcopy(template)
    graph = _Tracer().trace(template)
    layouts: dict[fx.Node, Layout] = {}
    replaced: dict[str, nn.Module] = {}
    for node in graph.nodes:
        layouts[node] = _HANDLERS[node.op](node, template, num_students, layouts, replaced)
    for path, module in replaced.items():
        _set_submodule(template, path, module)
    if any(layouts[node] != "features" for node in graph.nodes if node.op == "output"):
        raise NoStackedForm("the output is no vector of logits")
    body = fx.GraphModule(template, graph)
    if set(body.state_dict()) != set(template.state_dict()):
        raise NoStackedForm("a layer with weights is never called")
    return Stack(body, lambda module, inputs: module(inputs), "fused", num_students)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in STACKED_FORMS or super().is_leaf_module(m, module_qualified_name)


Handler = Callable[[fx.Node, nn.Module, int, dict[fx.Node, Layout], dict[str, nn.Module]], Layout]


def _on_placeholder(
    node: fx.Node,
    template: nn.Module,
    num_students: int,
    layouts: dict[fx.Node, Layout],
    replaced: dict[str, nn.Module],
) -> Layout:
    return "shared"


def _on_module(
    node: fx.Node,
    template: nn.Module,
    num_students: int,
    layouts: dict[fx.Node, Layout],
    replaced: dict[str, nn.Module],
) -> Layout:
    path = str(node.target)
    layer = template.get_submodule(path)
    form = STACKED_FORMS.get(type(layer))
    if form is None:
        raise NoStackedForm(f"no stacked form of {type(layer).__name__}")
    stacked, layout = form(layer, num_students, _layout_of(node, layouts))
    has_weights = bool(layer.state_dict())
    if path in replaced and (has_weights or type(replaced[path]) is not type(stacked)):
        raise NoStackedForm(f"{path} is called twice")
    replaced[path] = stacked
    return layout


def _on_function(
    node: fx.Node,
    template: nn.Module,
    num_students: int,
    layouts: dict[fx.Node, Layout],
    replaced: dict[str, nn.Module],
) -> Layout:
    if node.target not in EACH_NUMBER:
        raise NoStackedForm(f"no stacked form of the call {node.target}")
    return _layout_of(node, layouts)


def _on_output(
    node: fx.Node,
    template: nn.Module,
    num_students: int,
    layouts: dict[fx.Node, Layout],
    replaced: dict[str, nn.Module],
) -> Layout:
    return _layout_of(node, layouts)


def _on_other(
    node: fx.Node,
    template: nn.Module,
    num_students: int,
    layouts: dict[fx.Node, Layout],
    replaced: dict[str, nn.Module],
) -> Layout:
    raise NoStackedForm(f"no stacked form of {node.op} {node.target}")


_HANDLERS: dict[str, Handler] = {
    "placeholder": _on_placeholder,
    "call_module": _on_module,
    "call_function": _on_function,
    "output": _on_output,
    "call_method": _on_other,
    "get_attr": _on_other,
}


def _layout_of(node: fx.Node, layouts: dict[fx.Node, Layout]) -> Layout:
    found = {layouts[source] for source in node.all_input_nodes}
    if len(found) != 1:
        raise NoStackedForm(f"{node.target} meets the layouts {sorted(found)}")
    return found.pop()


def _set_submodule(root: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(root.get_submodule(parent), name, module)


def _with_leading_axis(template: nn.Module, num_students: int) -> nn.Module:
    """Return a copy of a network whose parameters and buffers lead with [S]; it cannot run."""
    body = copy.deepcopy(template)
    for module in body.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            values = repeated(parameter, num_students)
            setattr(module, name, nn.Parameter(values, parameter.requires_grad))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, repeated(buffer, num_students))
    return body


def _vmapped(template: nn.Module, num_students: int) -> Stack:
    body = _with_leading_axis(template, num_students)
    plain = copy.deepcopy(template)

    def run(module: nn.Module, inputs: Tensor) -> Tensor:
        plain.train(module.training)

        def one(tensors: dict[str, Tensor]) -> Tensor:
            logits: Tensor = functional_call(plain, tensors, (inputs,))
            return logits

        stacked: Tensor = vmap(one, randomness="different")(_tensors(module))
        return stacked

    return Stack(body, run, "vmap", num_students)


def _looped(template: nn.Module, num_students: int) -> Stack:
    body = _with_leading_axis(template, num_students)
    plain = copy.deepcopy(template)

    def run(module: nn.Module, inputs: Tensor) -> Tensor:
        plain.train(module.training)
        # Slices are views, so running statistics written to them are the stack's own.
        tensors = _tensors(module)
        return torch.stack(
            [
                functional_call(plain, {name: t[i] for name, t in tensors.items()}, (inputs,))
                for i in range(num_students)
            ]
        )

    return Stack(body, run, "loop", num_students)


_WAYS: dict[Kind, Callable[[nn.Module, int], Stack]] = {
    "fused": _fused,
    "vmap": _vmapped,
    "loop": _looped,
}


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _load_all(stack: Stack, networks: Sequence[nn.Module]) -> None:
    """Copy each network's state into its place in the stack."""
    if all(network is networks[0] for network in networks):
        return  # the stack was made of copies of the first
    states = [network.state_dict() for network in networks]
    stack.body.load_state_dict({k: torch.stack([s[k] for s in states]) for k in states[0]})


def _check_alike(networks: Sequence[nn.Module]) -> None:
    if not networks:
        raise ModelError("There is no network to stack. A stack has at least one student.")
    shapes = [{k: v.shape for k, v in network.state_dict().items()} for network in networks]
    if any(shape != shapes[0] for shape in shapes):
        raise ModelError(
            "Networks of a stack must have equal parameter names and shapes, but these differ. "
            "Were they built from one specification?"
        )


@torch.no_grad()
def _check_outputs(stack: Stack, first: nn.Module, example_input: Tensor) -> None:
    """Compare a stack's second student with the plain network, in both modes."""
    for training in (False, True):
        if training and any(isinstance(m, nn.Dropout) for m in first.modules()):
            continue  # its masks are drawn anew, so there is nothing to compare
        plain = copy.deepcopy(first).train(training)
        ours, theirs = stack.train(training)(example_input)[1], plain(example_input)
        if ours.shape != theirs.shape or not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4):
            raise NoStackedForm("its output is not that of the plain network")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
