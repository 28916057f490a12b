"""Networks as users bring them: of every kind that was seen in public reports, and more."""

import collections
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

FEATURES = 6


def plain(num_classes):
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, num_classes))


class Ending(nn.Module):
    """A plain network whose output a function changes; it sees whether the network trains."""

    def __init__(self, num_classes, end):
        super().__init__()
        self.body, self.end = plain(num_classes), end

    def forward(self, inputs):
        return self.end(self.body(inputs), self.training)


def ending(end):
    return lambda num_classes: Ending(num_classes, end)


class Auxiliary(nn.Module):
    """Two heads: a pair of logits in training, their mean in evaluation, as a distilled DeiT."""

    def __init__(self, num_classes):
        super().__init__()
        self.body = nn.Linear(FEATURES, 8)
        self.head, self.aux = nn.Linear(8, num_classes), nn.Linear(8, num_classes)

    def forward(self, inputs):
        hidden = torch.relu(self.body(inputs))
        main, aux = self.head(hidden), self.aux(hidden)
        return (main, aux) if self.training else (main + aux) / 2


class Tied(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.first = nn.Linear(FEATURES, 8)
        self.one, self.two = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.two.weight = self.one.weight
        self.last = nn.Linear(8, num_classes)

    def forward(self, inputs):
        hidden = self.first(inputs).relu()
        return self.last(self.two(self.one(hidden).relu()).relu())


class SharedMemory(Tied):
    """Tied by hand: the second weight is a parameter of its own on the first one's memory."""

    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.two.weight = nn.Parameter(self.one.weight.detach().T)


class InAList(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layers = [nn.Linear(FEATURES, 8), nn.Linear(8, num_classes)]
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, inputs):
        return self.layers[1](self.layers[0](inputs).relu()) * self.scale


class Viewing(nn.Module):
    """Flattens images with ``view``, which the channels-last order of memory does not allow."""

    def __init__(self, num_classes):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.last = nn.Linear(4 * 64, num_classes)

    def forward(self, images):
        maps = self.second(self.first(images).relu())
        return self.last(maps.view(-1, 4 * 64))


class TimeFirst(nn.Module):
    """Reads the axis of the batch as time."""

    def __init__(self, num_classes):
        super().__init__()
        self.reader, self.last = nn.LSTM(FEATURES, 8), nn.Linear(8, num_classes)

    def forward(self, inputs):
        return self.last(self.reader(inputs[:, None])[0][:, 0])


class Numpy(nn.Module):
    """Draws its weights from other generators than PyTorch's."""

    def __init__(self, num_classes):
        super().__init__()
        self.last = nn.Linear(FEATURES, num_classes)
        self.last.weight.data = self.draw(num_classes).float() * random.random()

    def draw(self, num_classes):
        return torch.from_numpy(np.random.normal(size=(num_classes, FEATURES)))

    def forward(self, inputs):
        return self.last(inputs)


class Unseeded(Numpy):
    def draw(self, num_classes):
        return torch.from_numpy(np.random.default_rng().normal(size=(num_classes, FEATURES)))


class Counting(Numpy):
    """Learns something that no file of weights holds."""

    steps = 0.0

    def forward(self, inputs):
        if self.training:
            self.steps += 1.0
        return self.last(inputs) * (1 + self.steps)


class Extra(Numpy):
    def get_extra_state(self):
        return {"note": 1}

    def set_extra_state(self, state):
        pass


class FrozenNorm(nn.Module):
    """Keeps its batch normalisation in evaluation, by a ``train`` that returns nothing."""

    def __init__(self, num_classes):
        super().__init__()
        self.norm, self.last = nn.BatchNorm1d(FEATURES), nn.Linear(FEATURES, num_classes)

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()

    def forward(self, inputs):
        return self.last(self.norm(inputs))


def normalised(num_classes, **options):
    return nn.Sequential(
        nn.Linear(FEATURES, 8), nn.BatchNorm1d(8, **options), nn.Linear(8, num_classes)
    )


def wrapped_inside(num_classes):
    network = plain(num_classes)
    network[0] = nn.DataParallel(network[0])
    network[2] = torch.compile(network[2], backend="eager")
    return network


def on_meta(num_classes):
    with torch.device("meta"):
        return plain(num_classes)


def lazy_in_training(num_classes):
    network = nn.ModuleDict({"one": nn.Linear(FEATURES, num_classes), "two": nn.LazyLinear(2)})
    network.forward = network["one"].forward
    return network


def fixed(num_classes):
    torch.manual_seed(0)
    return plain(num_classes)


Named = collections.namedtuple("Named", "logits hidden")


class Holder:
    def __init__(self, logits):
        self.logits = logits


UNDERSTOOD = {
    "tuple": ending(lambda out, training: (out, out + 1)),
    "list in training": ending(lambda out, training: [out, out] if training else out),
    "dict": ending(lambda out, training: {"hidden": out * 2, "logits": out}),
    "dict of torchvision": ending(lambda out, training: {"out": out}),
    "named tuple": ending(lambda out, training: Named(hidden=out * 2, logits=out)),
    "object": ending(lambda out, training: Holder(out)),
    "auxiliary head": Auxiliary,
    "log-softmax": ending(lambda out, training: out.log_softmax(1)),
    "relu at the end": ending(lambda out, training: out.relu()),
    "zeros at first": ending(lambda out, training: out * 0),
    "tied": Tied,
    "data parallel": lambda num_classes: nn.DataParallel(plain(num_classes)),
    "compiled": lambda num_classes: torch.compile(plain(num_classes), backend="eager"),
    "wrapped inside": wrapped_inside,
    "lazy": lambda num_classes: nn.Sequential(
        nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(num_classes)
    ),
    "weight norm": lambda num_classes: nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(FEATURES, num_classes))
    ),
    "NumPy's generator": Numpy,
    "train() without return": FrozenNorm,
    "partly frozen": lambda num_classes: nn.Sequential(
        nn.Linear(FEATURES, 8).requires_grad_(False), nn.Linear(8, num_classes)
    ),
    "data-dependent": ending(lambda out, training: out * 2 if out.sum().item() > 0 else out),
}
"""Networks that train as they are."""

REFUSED = {
    "softmax layer": (
        lambda num_classes: nn.Sequential(nn.Linear(FEATURES, num_classes), nn.Softmax(-1)),
        r"probabilities in evaluation mode.*Remove its last layer, '1' \(nn.Softmax\)",
    ),
    "sigmoid layer": (
        lambda num_classes: nn.Sequential(nn.Linear(FEATURES, num_classes), nn.Sigmoid()),
        r"probabilities in evaluation mode.*Remove its last layer, '1' \(nn.Sigmoid\)",
    ),
    "softmax function": (
        ending(lambda out, training: out.softmax(1)),
        "each row sums to 1.*Return the values that its forward passes to softmax",
    ),
    "softmax in evaluation": (
        ending(lambda out, training: out if training else out.softmax(1)),
        "returns probabilities in evaluation mode",
    ),
    "softmax in training": (
        ending(lambda out, training: out.softmax(1) if training else out),
        "returns probabilities in training mode",
    ),
    "mean of probabilities": (
        ending(lambda out, training: (out.softmax(1) + (2 * out).softmax(1)) / 2),
        "returns probabilities",
    ),
    "sigmoid function": (
        ending(lambda out, training: out.sigmoid().unsqueeze(2).squeeze(2)),
        "end in a softmax or sigmoid",
    ),
    "flipped batch": (ending(lambda out, training: out.flip(0)), "do not follow the order"),
    "time first": (TimeFirst, "do not follow the order.*read it as time"),
    "squeezed": (ending(lambda out, training: out.squeeze()), r"\[4\].*must be the batch, here of"),
    "dropout always active": (
        ending(lambda out, training: F.dropout(out)),
        r"different outputs for the same inputs.*F.dropout\(x, training=self.training\)",
    ),
    "detached": (ending(lambda out, training: out.detach()), "does not depend on its trainable"),
    "frozen": (lambda n: plain(n).requires_grad_(False), "all of its 92 weights are frozen"),
    "NaN in training": (
        ending(lambda out, training: out * float("nan") if training else out),
        "in training mode .* not finite",
    ),
    "another shape in training": (
        ending(lambda out, training: out[:, :2] if training else out),
        r"shape \[4, 2\] in training mode .* must have shape \[4, 4\]",
    ),
    "fails in training": (
        ending(lambda out, training: out[:, :3] @ out[:2] if training else out),
        "failed in training mode.*RuntimeError.*Nothing has been trained yet",
    ),
    "half": (lambda n: plain(n).half(), r"type torch.float16.*Return network.float\(\)"),
    "double": (lambda n: plain(n).double(), r"type torch.float64.*Return network.float\(\)"),
    "without values": (on_meta, "on the device 'meta'"),
    "TorchScript": (lambda n: torch.jit.script(plain(n)), "compiled TorchScript program"),
    "in a list": (InAList, r"layers in 'layers', a plain list.*nn.ModuleList"),
    "shared memory": (SharedMemory, r"one.weight and two.weight.*self.b.weight = self.a.weight"),
    "lazy in training": (lazy_in_training, "two.weight, two.bias. Give these layers their sizes"),
    "unseeded": (Unseeded, "different weights each time it is made with the same seed"),
    "learns outside": (Counting, "answers differently after it was trained, saved and loaded"),
    "extra state": (Extra, "holds more than tensors: _extra_state"),
    "no statistics": (
        lambda n: normalised(n, track_running_stats=False),
        "single example.*track_running_stats=False",
    ),
}
"""Networks that cannot be trained or would be misread, and what is said of them."""
