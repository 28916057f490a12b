"""An examination of a user's network before anything is trained: does it give logits, and alone?

What is found here would not crash a study; it would spoil it. Outputs that are probabilities
flatten every response; an output that depends on the order of the batch belongs to no example;
weights that do not come from the seed make pairs of students that are none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from goodteacher.data import InputSpec
from goodteacher.errors import ModelError
from goodteacher.networks.batches import Batch, batch_length, batch_shape, made_up, take_rows
from goodteacher.networks.factory import check_logits, reason_of

EXAMPLES = 8
"""Random examples on which a network is examined."""

_SAME = 1e-3
"""Outputs that differ by this share of the largest are different: far above rounding."""

_SUM = 1e-4
"""Rows of probabilities sum to 1 within this."""

_PRETRAINED = 0.5
"""Above this share of weights that no seed changes, a network counts as pretrained."""

_SQUASHING = (nn.Softmax, nn.Softmax2d, nn.Sigmoid, nn.Hardsigmoid)
_SQUASHED = ("SoftmaxBackward", "SigmoidBackward", "HardsigmoidBackward")
_SHAPED = ("View", "UnsafeView", "Squeeze", "Unsqueeze", "Slice", "Transpose", "T", "Clone")


def examine(
    build: Callable[[int], nn.Module], *, name: str, num_classes: int, spec: InputSpec
) -> tuple[str, ...]:
    """Examine a network in evaluation mode, on random inputs and on the CPU.

    Args:
        build: Makes the network from a seed.
        name: What messages call it.
        num_classes: Number of logits that it must give.
        spec: What one example is, as the network takes it.

    Returns:
        What the user should know, in sentences.

    Raises:
        ModelError: It gives probabilities; its output depends on the order of the batch or differs
            from run to run; it does not take a single example; its weights do not come from the
            seed; or none of them can be trained.
    """
    with torch.random.fork_rng(devices=[]):
        network = build(0)
        network.eval()  # what a user's own train() returns is not relied upon
        check_trainable(network, name)
        generator = torch.Generator().manual_seed(1)
        inputs = made_up(spec, EXAMPLES, generator)
        logits = check_logits(
            network(inputs), name=name, inputs=inputs, num_classes=num_classes, mode="evaluation"
        )
        check_not_probabilities(network, inputs, logits, name=name, mode="evaluation")
        with torch.no_grad():
            return (
                *_batch_notes(network, inputs, logits.detach(), name),
                *_seed_notes(build, network, name),
            )


def check_trainable(network: nn.Module, name: str) -> None:
    """Refuse a network without trainable weights.

    Raises:
        ModelError: It has none.
    """
    if any(parameter.requires_grad for parameter in network.parameters()):
        return
    count = sum(parameter.numel() for parameter in network.parameters())
    state = f"all {count:,} weights are frozen" if count else "it has no weights"
    raise ModelError(
        f"The network {name!r} has nothing to train: {state}. Set requires_grad=True for the "
        "weights to be trained, at least those of its last layer."
    )


def check_not_probabilities(
    network: nn.Module, inputs: Batch, outputs: Tensor, *, name: str, mode: str
) -> None:
    """Refuse outputs that are probabilities.

    They are if none is negative and each row sums to 1; or if all lie in 0..1 and the last thing
    that was computed is a softmax or a sigmoid. Log-probabilities are logits.

    Args:
        network: The network.
        inputs: Some inputs, B examples.
        outputs: What the network gave for them, [B, C], with its graph.
        name: What error messages call it.
        mode: ``training`` or ``evaluation``.

    Raises:
        ModelError: They are.
    """
    values = outputs.detach().double()
    if not bool(((values >= 0) & (values <= 1 + _SUM)).all()):
        return
    sums_to_one = bool(((values.sum(1) - 1).abs() < _SUM).all())
    if not sums_to_one and not _is_squashed(outputs):
        return
    seen = "each row sums to 1" if sums_to_one else "they end in a softmax or sigmoid"
    layer = _squashing_layer(network, inputs, outputs)
    remedy = (
        f"Remove its last layer, {layer}."
        if layer
        else "Return the values that its forward passes to softmax or sigmoid."
    )
    raise ModelError(
        f"The network {name!r} returns probabilities in {mode} mode: on {batch_length(inputs)} "
        f"inputs, all outputs are in 0..1 and {seen}. Losses and temperatures need logits. "
        f"{remedy}"
    )


def _is_squashed(outputs: Tensor) -> bool:
    """Say whether the last computation, but for changes of shape, was a softmax or sigmoid."""
    node: Any = outputs.grad_fn
    while node is not None:
        operation = node.name()
        if operation.startswith(_SQUASHED):
            return True
        if not operation.startswith(tuple(f"{shape}Backward" for shape in _SHAPED)):
            return False
        node = next((function for function, _ in node.next_functions), None)
    return False


def _squashing_layer(network: nn.Module, inputs: Batch, outputs: Tensor) -> str | None:
    """Name the layer whose output is the network's, if a layer of this kind is."""
    given: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda module, arguments, output: given.__setitem__(name, output.detach())

    layers: Mapping[str, nn.Module] = {
        name: module for name, module in network.named_modules() if isinstance(module, _SQUASHING)
    }
    handles = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    with torch.no_grad():
        network(inputs)
    for handle in handles:
        handle.remove()
    flat = outputs.detach().flatten()
    for name in reversed(given):
        candidate = given[name].flatten()
        if candidate.shape == flat.shape and torch.allclose(candidate, flat, atol=1e-5):
            return f"{name!r} (nn.{type(layers[name]).__name__})"
    return None


def _batch_notes(network: nn.Module, inputs: Batch, logits: Tensor, name: str) -> list[str]:
    """Check that each row of the output belongs to its own example."""
    if _differ(network(inputs), logits):
        raise ModelError(
            f"The network {name!r} gives different outputs for the same inputs in evaluation "
            "mode. Is a dropout always active? Use nn.Dropout, or F.dropout(x, "
            "training=self.training)."
        )
    order = torch.arange(batch_length(inputs)).roll(3)
    if _differ(network(take_rows(inputs, order)), logits[order]):
        raise ModelError(
            f"The outputs of the network {name!r} do not follow the order of the examples: for "
            "the same examples in another order, it returns different rows. Does it swap or flip "
            "the axis of the batch, or use it as time? The first axis must be the batch in all "
            "layers."
        )
    one = take_rows(inputs, slice(1))
    single = check_logits(
        _of_one(network, one, name),
        name=name,
        inputs=one,
        num_classes=logits.shape[1],
        mode="evaluation",
    )
    if _differ(single, logits[:1]):
        return [
            f"the output of {name!r} for an example depends on the other examples of its batch, "
            "also in evaluation mode. A batch normalisation with track_running_stats=False does "
            "that. The delivered student will give different answers for one example and for "
            "many."
        ]
    return []


def _of_one(network: nn.Module, inputs: Batch, name: str) -> object:
    try:
        return network(inputs)
    except Exception as error:
        raise ModelError(
            f"The network {name!r} failed in evaluation mode on a single example, of shape "
            f"{batch_shape(inputs)}: {reason_of(error)}. If squeeze() removes the axis of the "
            "batch, give it the axis that it should remove. If a batch normalisation has "
            "track_running_stats=False, set it to True."
        ) from error


def _seed_notes(build: Callable[[int], nn.Module], network: nn.Module, name: str) -> list[str]:
    """Check that the initial weights are those of the seed."""
    if not _same_weights(build(0), network):
        raise ModelError(
            f"The network {name!r} gets different weights each time it is made with the same "
            "seed, so students cannot be paired and a study cannot be resumed. Draw the weights "
            "on the CPU with the default generators of PyTorch, NumPy or Python, which are "
            "seeded before the factory is called, and not with a generator of your own."
        )
    if _same_weights(build(1), network):
        return [
            f"{name!r} starts from the same weights for every seed, so seeds differ only in the "
            "order of examples, and intervals over seeds are too narrow."
        ]
    share = _shared_weights(build(1), network)
    if share > _PRETRAINED:
        return [
            f"{name!r} starts {share:.0%} of its weights from the same values for every seed, as "
            "pretrained networks do. Seeds differ in the other weights (those of the head), in "
            "the order of examples and in dropout. Intervals over seeds do not include how much "
            "another pretraining would change."
        ]
    return []


def _shared_weights(one: nn.Module, other: nn.Module) -> float:
    """Return the share of weights that are equal, of those that are not constant."""
    theirs = dict(other.named_parameters())
    drawn = [(p, theirs[name]) for name, p in one.named_parameters() if bool((p != p[:1]).any())]
    same = sum(p.numel() for p, q in drawn if torch.equal(p, q))
    return same / max(1, sum(p.numel() for p, _ in drawn))


def _same_weights(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(
        ours[name].shape == theirs[name].shape and torch.equal(ours[name], theirs[name])
        for name in ours
        if isinstance(ours[name], Tensor)  # what else a state may hold is refused where it is saved
    )


def _differ(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape:
        return True
    return bool((found - expected).abs().max() > _SAME * (expected.abs().max() + 1e-12))
