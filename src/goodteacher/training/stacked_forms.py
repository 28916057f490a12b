"""Stacked forms of common layers: S networks of one architecture as one graph of wide operations.

A traced network (``torch.fx``) becomes a stacked one by giving each leaf module the class that
:data:`STACKED_FORMS` names and each function the one of :data:`STACKED_FUNCTIONS` or
:data:`STACKED_METHODS`. Tensors are of two kinds: *shared* ones ``[B, ...]``, which do not depend
on the student, and *stacked* ones, whose logical shape is always ``[S, B, ...]``: the plain shape
with one axis in front. So element-wise functions need no change, and others shift their axes by
one.

How a stacked tensor lies in memory is another matter, and it is where the time goes:

- a linear layer computes ``weight @ inputs^T`` and leaves ``[S, features, B]``: forward and both
  gradients of the next product then read it without a transposed copy;
- a convolution leaves ``[B, S * channels, H, W]``, the layout of grouped convolution, in the
  channels-last order if its inputs come so. Batch normalisation and pooling work on it as it is.

The logical shape is a view of either. All of it is ours.
"""

from __future__ import annotations

import operator
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from goodteacher.networks.adapting import logits_of

Program = Callable[[nn.Module, Any], Tensor]
"""The forward pass of a fused stack: ``(network whose leaves are stacked, inputs) -> logits``."""


class NotFusableError(Exception):
    """A network has a part without a stacked form; the message says which."""


def fold(inputs: Tensor) -> Tensor:
    """Put the students beside each other as channels: ``[S, B, C, ...]`` to ``[B, S * C, ...]``.

    Without a copy where the memory lies that way, as it does behind a stacked convolution.

    >>> fold(torch.zeros(2, 3, 4, 5, 5)).shape
    torch.Size([3, 8, 5, 5])
    """
    return inputs.transpose(0, 1).flatten(1, 2)


def unfold(folded: Tensor, num_students: int) -> Tensor:
    """Undo :func:`fold`, as a view: ``[B, S * C, ...]`` to ``[S, B, C, ...]``.

    >>> unfold(torch.zeros(3, 8, 5, 5), 2).shape
    torch.Size([2, 3, 4, 5, 5])
    """
    stacked: Tensor = folded.unflatten(1, (num_students, -1))
    return stacked.transpose(0, 1)


def _flat(parameter: Tensor | None) -> Tensor | None:
    return None if parameter is None else parameter.flatten(0, 1)


class StackedLinear(nn.Linear):
    """S linear layers; weight ``[S, out, in]``, bias ``[S, out]``."""

    def forward(self, inputs: Tensor, *, shared: bool = False) -> Tensor:
        """Map shared ``[B, ..., in]`` or stacked ``[S, B, ..., in]`` to ``[S, B, ..., out]``."""
        product = self._wide if shared else self._batched
        middle = inputs.shape[:-1] if shared else inputs.shape[1:-1]
        rows = inputs.flatten(0, -2) if shared else inputs.flatten(1, -2)
        bias = cast("Tensor | None", self.bias)
        outputs = product(rows, None if bias is None else bias.unsqueeze(2)).transpose(1, 2)
        return outputs if len(middle) == 1 else torch.unflatten(outputs, 1, middle)

    def _wide(self, rows: Tensor, bias: Tensor | None) -> Tensor:
        """Compute one product ``[S * out, in] @ [in, B]``; returns ``[S, out, B]``."""
        weight = self.weight.flatten(0, 1)
        if bias is None:
            wide = torch.mm(weight, rows.t())
        else:
            wide = torch.addmm(bias.flatten(0, 1), weight, rows.t())
        return torch.unflatten(wide, 0, (len(self.weight), -1))

    def _batched(self, rows: Tensor, bias: Tensor | None) -> Tensor:
        """Compute S products ``[out, in] @ [in, B]``; returns ``[S, out, B]``."""
        columns = rows.transpose(1, 2)
        if bias is None:
            return torch.bmm(self.weight, columns)
        return torch.baddbmm(bias, self.weight, columns)


class StackedConv2d(nn.Conv2d):
    """S convolutions; weight ``[S, out, in / groups, kH, kW]``, bias ``[S, out]``."""

    def forward(self, inputs: Tensor, *, shared: bool = False) -> Tensor:
        """Map shared ``[B, in, H, W]`` or stacked ``[S, B, in, H, W]`` to ``[S, B, out, H, W]``."""
        num_students = len(self.weight)
        if self.padding_mode != "zeros":
            raise NotFusableError(f"a convolution pads with {self.padding_mode!r}")
        if shared and self.groups == 1:
            folded, groups = inputs, 1
        else:
            stacked = inputs.expand(num_students, *inputs.shape) if shared else inputs
            folded, groups = fold(stacked), num_students * self.groups
        outputs = F.conv2d(
            folded,
            self.weight.flatten(0, 1),
            _flat(self.bias),
            self.stride,
            self.padding,
            self.dilation,
            groups,
        )
        return unfold(outputs, num_students)


class _StackedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """S batch normalisations; weight, bias and running statistics ``[S, C]``.

    Statistics are taken for each channel of each student, so folding students into channels is
    exact, in training too.
    """

    def forward(self, inputs: Tensor, *, shared: bool = False) -> Tensor:
        """Normalise stacked ``[S, B, C, ...]`` (or shared ``[B, C, ...]``, once per student)."""
        anchor = self.weight if self.weight is not None else self.running_mean
        if anchor is None:
            raise NotFusableError("a batch normalisation has neither weights nor statistics")
        if shared:
            inputs = inputs.expand(len(anchor), *inputs.shape)
        if inputs.dim() == 3 and inputs.transpose(1, 2).is_contiguous():
            # [S, C, B] in memory, as a stacked linear layer leaves it: one example of length B.
            rows = inputs.transpose(1, 2)
            return self._normalize(rows.flatten(0, 1).unsqueeze(0)).view_as(rows).transpose(1, 2)
        return unfold(self._normalize(fold(inputs)), len(anchor))

    def _normalize(self, folded: Tensor) -> Tensor:
        if self.momentum is None:
            raise NotFusableError("a batch normalisation keeps cumulative averages")
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return F.batch_norm(
            folded,
            _flat(self.running_mean),
            _flat(self.running_var),
            _flat(self.weight),
            _flat(self.bias),
            self.training or self.running_mean is None,
            self.momentum,
            self.eps,
        )


class StackedBatchNorm1d(_StackedBatchNorm, nn.BatchNorm1d):
    """S batch normalisations over ``[S, B, C]`` or ``[S, B, C, L]``."""


class StackedBatchNorm2d(_StackedBatchNorm, nn.BatchNorm2d):
    """S batch normalisations over ``[S, B, C, H, W]``."""


class _Folded(nn.Module):
    """A layer without parameters that treats channels alike: it sees students as channels."""

    def forward(self, inputs: Tensor, *, shared: bool = False) -> Tensor:
        """Apply the plain layer to shared ``[B, C, ...]`` or to folded ``[B, S * C, ...]``."""
        if shared:
            return cast(Tensor, super().forward(inputs))
        return unfold(super().forward(fold(inputs)), len(inputs))


class StackedMaxPool2d(_Folded, nn.MaxPool2d):
    """Max pooling of ``[S, B, C, H, W]``."""


class StackedAvgPool2d(_Folded, nn.AvgPool2d):
    """Average pooling of ``[S, B, C, H, W]``."""


class StackedAdaptiveAvgPool2d(_Folded, nn.AdaptiveAvgPool2d):
    """Adaptive average pooling of ``[S, B, C, H, W]``."""


class StackedAdaptiveMaxPool2d(_Folded, nn.AdaptiveMaxPool2d):
    """Adaptive max pooling of ``[S, B, C, H, W]``."""


class StackedDropout2d(_Folded, nn.Dropout2d):
    """Drop whole maps of ``[S, B, C, H, W]``, with masks of its own for each student."""


class StackedFlatten(nn.Flatten):
    """Flatten with the axes of one example: stacked inputs have one axis more in front."""

    def forward(self, inputs: Tensor, *, shared: bool = False) -> Tensor:
        """Map shared ``[B, ...]`` to ``[B, F]`` or stacked ``[S, B, ...]`` to ``[S, B, F]``."""
        if shared:
            return super().forward(inputs)
        return inputs.flatten(_shifted(self.start_dim), _shifted(self.end_dim))


STACKED_FORMS: Mapping[type[nn.Module], type[nn.Module]] = {
    nn.Linear: StackedLinear,
    nn.Conv2d: StackedConv2d,
    nn.BatchNorm1d: StackedBatchNorm1d,
    nn.BatchNorm2d: StackedBatchNorm2d,
    nn.MaxPool2d: StackedMaxPool2d,
    nn.AvgPool2d: StackedAvgPool2d,
    nn.AdaptiveAvgPool2d: StackedAdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d: StackedAdaptiveMaxPool2d,
    nn.Dropout2d: StackedDropout2d,
    nn.Flatten: StackedFlatten,
}
"""Plain layer to its stacked form: a subclass whose ``forward`` takes ``shared=``."""

ELEMENTWISE = frozenset(
    {
        nn.Identity,
        nn.Dropout,
        nn.ReLU,
        nn.ReLU6,
        nn.LeakyReLU,
        nn.ELU,
        nn.SELU,
        nn.CELU,
        nn.GELU,
        nn.SiLU,
        nn.Mish,
        nn.Softplus,
        nn.Hardswish,
        nn.Hardsigmoid,
        nn.Hardtanh,
        nn.Sigmoid,
        nn.Tanh,
    }
)
"""Layers that act on each number alone and are their own stacked form.

Dropout in front of the first layer with weights draws one mask for all students."""


def _shifted(dim: int) -> int:
    return dim if dim < 0 else dim + 1


def _flatten(inputs: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    return inputs.flatten(_shifted(start_dim), _shifted(end_dim))


def _mean(inputs: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    dims = (dim,) if isinstance(dim, int) else dim
    return inputs.mean([_shifted(axis) for axis in dims], keepdim)


def _reshape(inputs: Tensor, *shape: Any) -> Tensor:
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    return inputs.reshape(len(inputs), *sizes)


def _size(inputs: Tensor, dim: int | None = None) -> Any:
    return inputs.shape[1:] if dim is None else inputs.size(_shifted(dim))


def _dim(inputs: Tensor) -> int:
    return inputs.dim() - 1


def _attribute(inputs: Tensor, name: str) -> Any:
    if name != "shape":
        raise NotFusableError(f"it reads the attribute {name!r} of a tensor")
    return inputs.shape[1:]


def _folding(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make the stacked form of a function that treats channels alike."""

    def stacked(inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return unfold(function(fold(inputs), *args, **kwargs), len(inputs))

    return stacked


def _themselves(*functions: Callable[..., Any]) -> dict[Callable[..., Any], Callable[..., Any]]:
    return {function: function for function in functions}


STACKED_FUNCTIONS: Mapping[Callable[..., Any], Callable[..., Any]] = {
    **_themselves(operator.add, operator.sub, operator.mul, operator.truediv, operator.neg),
    **_themselves(operator.iadd, operator.isub, operator.imul),
    **_themselves(torch.add, torch.sub, torch.mul, torch.div, torch.neg),
    **_themselves(torch.relu, torch.sigmoid, torch.tanh, torch.exp, torch.abs),
    **_themselves(F.relu, F.relu6, F.leaky_relu, F.elu, F.gelu, F.silu, F.mish, F.softplus),
    **_themselves(F.hardswish, F.sigmoid, F.tanh),
    torch.flatten: _flatten,
    torch.mean: _mean,
    torch.reshape: _reshape,
    getattr: _attribute,
    F.adaptive_avg_pool2d: _folding(F.adaptive_avg_pool2d),
    F.avg_pool2d: _folding(F.avg_pool2d),
    F.max_pool2d: _folding(F.max_pool2d),
}
"""Function to its stacked form; for element-wise functions that is the function itself."""

STACKED_METHODS: Mapping[str, Callable[..., Any]] = {
    "add": torch.add,
    "mul": torch.mul,
    "sub": torch.sub,
    "div": torch.div,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "contiguous": Tensor.contiguous,
    "flatten": _flatten,
    "mean": _mean,
    "view": _reshape,
    "reshape": _reshape,
    "size": _size,
    "dim": _dim,
}
"""Tensor method to its stacked form."""

_SIZES = frozenset({_size, _dim, _attribute})  # their results are numbers, alike for all students


def fuse(plain: nn.Module, stacked: nn.Module) -> Program:
    """Turn a network with stacked parameters into one that computes all students at once.

    Args:
        plain: The network with parameters of one student; it is traced and left as it was.
        stacked: A copy with parameters and buffers ``[S, ...]``; its leaves change their class.

    Returns:
        The forward pass: call it with ``stacked`` and the shared inputs.

    Raises:
        NotFusableError: If tracing fails, or a part has no stacked form.
    """
    graph = _trace(plain)
    stacked_nodes: set[fx.Node] = set()
    for node in graph.nodes:
        if _REWRITES[node.op](node, stacked, stacked_nodes):
            stacked_nodes.add(node)
    graph.lint()
    return _forward(graph)


def _forward(graph: fx.Graph) -> Program:
    """Compile a graph. A `GraphModule` would too, but PyTorch keeps the code of each for good."""
    code = graph.python_code("self")
    names = dict(code.globals)
    exec(compile(code.src, "<stacked students>", "exec"), names)
    return cast(Program, names["forward"])


def _trace(plain: nn.Module) -> fx.Graph:
    """Trace a network; refuse one whose graph depends on the mode, for tracing freezes the mode."""
    modes = [(module, module.training) for module in plain.modules()]
    try:
        graphs = [_graph(plain, training) for training in (True, False)]
    except Exception as error:
        raise NotFusableError(f"torch.fx cannot trace it ({_why_untraced(error)})") from error
    finally:
        for module, training in modes:
            module.training = training
    if str(graphs[0]) != str(graphs[1]):
        raise NotFusableError("it computes different things in training and in evaluation")
    return graphs[0]


def _why_untraced(error: Exception) -> str:
    """Say what torch.fx could not do; where a decorator hides arguments, it does so in riddles."""
    if "varnames is too small" in str(error):
        return "a decorator wraps its forward(), as in models of transformers"
    return brief(error)


def _graph(plain: nn.Module, training: bool) -> fx.Graph:
    plain.train(training)
    return fx.Tracer().trace(plain)


def brief(error: Exception) -> str:
    """Return an error's name and what it begins with."""
    text = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {textwrap.shorten(text, 100, placeholder=' ...')}"


def _rewrite_placeholder(node: fx.Node, network: nn.Module, stacked: set[fx.Node]) -> bool:
    return False


def _rewrite_parameter(node: fx.Node, network: nn.Module, stacked: set[fx.Node]) -> bool:
    raise NotFusableError(f"it uses the tensor {node.target!r} outside of a layer")


def _rewrite_module(node: fx.Node, network: nn.Module, stacked: set[fx.Node]) -> bool:
    name = str(node.target)
    leaf = network.get_submodule(name)
    kind = type(leaf)
    if len(node.args) != 1 or node.kwargs:
        raise NotFusableError(f"its layer {name!r} is called with more than one argument")
    is_stacked = node.args[0] in stacked
    if kind in ELEMENTWISE:
        return is_stacked
    if kind not in STACKED_FORMS and kind not in STACKED_FORMS.values():
        raise NotFusableError(f"its layer {name!r}, a {kind.__name__}, has no stacked form")
    leaf.__class__ = STACKED_FORMS.get(kind, kind)
    node.kwargs = {"shared": not is_stacked}
    return is_stacked or any(True for _ in leaf.parameters()) or any(True for _ in leaf.buffers())


def _rewrite_function(node: fx.Node, network: nn.Module, stacked: set[fx.Node]) -> bool:
    if stacked.isdisjoint(node.all_input_nodes):
        return False
    target = cast(Callable[..., Any], node.target)
    if target not in STACKED_FUNCTIONS:
        name = getattr(target, "__name__", str(target))
        raise NotFusableError(f"its function {name!r} has no stacked form")
    node.target = STACKED_FUNCTIONS[target]
    return node.target not in _SIZES


def _rewrite_method(node: fx.Node, network: nn.Module, stacked: set[fx.Node]) -> bool:
    if stacked.isdisjoint(node.all_input_nodes):
        return False
    name = str(node.target)
    if name not in STACKED_METHODS:
        raise NotFusableError(f"its tensor method {name!r} has no stacked form")
    node.op, node.target = "call_function", STACKED_METHODS[name]
    return node.target not in _SIZES


def _rewrite_output(node: fx.Node, network: nn.Module, stacked: set[fx.Node]) -> bool:
    logits = logits_of(node.args[0])
    if not isinstance(logits, fx.Node) or logits not in stacked:
        raise NotFusableError("its output is not one tensor that depends on its weights")
    node.args = (logits,)
    return True


_REWRITES: Mapping[str, Callable[[fx.Node, nn.Module, set[fx.Node]], bool]] = {
    "placeholder": _rewrite_placeholder,
    "get_attr": _rewrite_parameter,
    "call_module": _rewrite_module,
    "call_function": _rewrite_function,
    "call_method": _rewrite_method,
    "output": _rewrite_output,
}
"""What to do with each kind of node; the answer tells whether its value is stacked."""
