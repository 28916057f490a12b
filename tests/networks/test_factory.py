"""Networks of the user's own: how their factory is found, called and checked."""

import functools
import sys
import types

import pytest
import torch
from torch import nn

from goodteacher.data.spec import numbers_spec
from goodteacher.errors import ModelError
from goodteacher.networks import build_model
from goodteacher.networks.adapting import unwrapped
from goodteacher.networks.factory import build_from_factory, check_classifies, load_factory
from goodteacher.networks.trusted import trust

SHAPE, CLASSES = (1, 4, 4), 3


def network(num_classes=CLASSES, shape=SHAPE):
    return nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(shape).numel(), num_classes))


class Returning(nn.Module):
    """Answers every batch with what a function makes of it."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, inputs):
        return self.answer(inputs)


@pytest.fixture
def offer(monkeypatch):
    """Make a callable importable; gives its path."""

    def offer(factory):
        module = types.ModuleType("users_networks")
        module.make = factory
        monkeypatch.setitem(sys.modules, "users_networks", module)
        return "users_networks:make"

    return offer


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Write a module of the user's; gives its name."""

    def script(text):
        (tmp_path / "users_script.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "users_script", raising=False)
        return "users_script"

    return script


def make(path):
    trust(f"python:{path}")
    return build_from_factory(path, num_classes=CLASSES, inputs=numbers_spec(SHAPE))


def one(num_classes):
    return {"num_classes": num_classes}


def one_of_another_name(classes):
    return {"num_classes": classes}


def both(num_classes, input_shape):
    return {"num_classes": num_classes, "shape": input_shape}


def both_of_other_names(classes, size):
    return {"num_classes": classes, "shape": size}


def swapped(input_shape, num_classes):
    return {"num_classes": num_classes, "shape": input_shape}


def shape_last(classes, width=3, input_shape=None):
    return {"num_classes": classes, "shape": input_shape, "width": width}


def shape_by_name_only(num_classes, *, input_shape):
    return {"num_classes": num_classes, "shape": input_shape}


def classes_not_first(width=3, num_classes=10):
    return {"num_classes": num_classes, "width": width}


def with_options(pretrained=False, **options):
    return {"pretrained": pretrained, **options}


def options_only(*, weights=None, **options):
    return {"weights": weights, **options}


def positional_only(classes, /):
    return {"num_classes": classes}


def anything(*arguments):
    return {"num_classes": arguments[0], "count": len(arguments)}


@pytest.mark.parametrize(
    ("factory", "received"),
    [
        (one, {}),
        (one_of_another_name, {}),
        (both, {"shape": SHAPE}),
        (both_of_other_names, {"shape": SHAPE}),
        (swapped, {"shape": SHAPE}),
        (shape_last, {"shape": SHAPE, "width": 3}),
        (shape_by_name_only, {"shape": SHAPE}),
        (classes_not_first, {"width": 3}),
        (with_options, {"pretrained": False}),
        (options_only, {"weights": None}),
        (positional_only, {}),
        (anything, {"count": 1}),
        (functools.partial(shape_last, width=5), {"shape": SHAPE, "width": 5}),
    ],
)
def test_factory_gets_the_classes_and_the_shape_if_it_takes_it(offer, factory, received):
    calls = []

    @functools.wraps(factory)
    def recorded(*arguments, **keywords):
        calls.append(factory(*arguments, **keywords))
        return network()

    make(offer(recorded))
    assert calls == [{"num_classes": CLASSES} | received]


def test_class_and_nested_name_are_factories():
    trust("python:torch.nn:Linear")
    trust("python:torch.nn:Sequential.forward")
    assert load_factory("torch.nn:Linear") is nn.Linear
    assert load_factory("torch.nn:Sequential.forward") is nn.Sequential.forward


def test_factory_in_a_file_on_the_path_makes_the_network(script):
    name = script(
        "import torch\ndef make(num_classes):\n    return torch.nn.Linear(5, num_classes)\n"
    )
    trust(f"python:{name}:make")
    network = build_model(f"python:{name}:make", num_classes=4, inputs=(5,), seed=0)
    assert network(torch.zeros(2, 5)).shape == (2, 4)


def test_seed_decides_a_factorys_weights_and_touches_nothing_else(offer):
    path = f"python:{offer(network)}"
    trust(path)
    before = torch.get_rng_state()
    weights = [
        build_model(path, num_classes=CLASSES, inputs=SHAPE, seed=seed)[1].weight
        for seed in (1, 1, 2)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_failing_factory_leaves_the_global_generator_alone(offer):
    path = f"python:{offer(lambda num_classes: torch.rand(3))}"
    trust(path)
    before = torch.get_rng_state()
    with pytest.raises(ModelError, match="returned a Tensor"):
        build_model(path, num_classes=CLASSES, inputs=SHAPE, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("frozen", [False, True])
def test_check_leaves_modes_weights_and_buffers_as_they_were(frozen):
    checked = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(8, CLASSES)
    )
    checked[1].train(not frozen)
    modes = [module.training for module in checked.modules()]
    before = {name: tensor.clone() for name, tensor in checked.state_dict().items()}
    check_classifies(checked, name="mine", num_classes=CLASSES, inputs=numbers_spec(SHAPE))
    assert [module.training for module in checked.modules()] == modes
    assert all(torch.equal(before[name], value) for name, value in checked.state_dict().items())
    assert all(parameter.grad is None for parameter in checked.parameters())
    assert torch.is_grad_enabled()


def test_check_restores_the_modes_of_a_network_that_fails():
    checked = nn.Sequential(nn.Dropout(), nn.Linear(5, CLASSES))
    with pytest.raises(ModelError, match="failed in evaluation mode on a batch of shape"):
        check_classifies(checked, name="mine", num_classes=CLASSES, inputs=numbers_spec(SHAPE))
    assert all(module.training for module in checked.modules())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere_to_be_found:make", r"cannot be imported: ModuleNotFoundError.*in PYTHONPATH"),
        ("torch.nn:Nothing", r"'torch.nn' has no 'Nothing'.*after the last colon"),
        ("torch:nn.Nothing", "'torch' has no 'nn.Nothing'"),
        ("math:pi", "'pi' in module 'math' is a float, but a model factory must be callable"),
    ],
)
def test_factory_that_cannot_be_loaded_is_refused(path, message):
    trust(f"python:{path}")
    with pytest.raises(ModelError, match=message):
        load_factory(path)


def test_network_in_place_of_a_factory_is_refused(offer):
    with pytest.raises(ModelError, match=r"'make'.*is a Linear.*not a network"):
        make(offer(nn.Linear(16, CLASSES)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
        ("def make(:", "cannot be imported: SyntaxError"),
        ("import sys; sys.exit(2)", "cannot be imported: SystemExit: 2"),
        ("import missing_dependency", "No module named 'missing_dependency'"),
    ],
)
def test_module_that_fails_while_it_is_imported_is_refused(script, text, message):
    with pytest.raises(ModelError, match=message):
        make(f"{script(text)}:make")


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda num_classes: None, r"returned a NoneType.*end with a return statement"),
        (lambda num_classes: nn.Linear, r"the class Linear, but it.*return Linear\(num_classes\)"),
        (lambda num_classes: (nn.Linear(16, 3), None), "that contains a network.*only the network"),
        (lambda num_classes: 1 / 0, "failed when called with num_classes=3: ZeroDivisionError"),
        (lambda: None, r"failed when called with 3: TypeError.*is called with num_classes"),
        (lambda a, b, c: None, r"failed when called with 3: TypeError.*is called with num_classes"),
    ],
)
def test_factory_that_gives_no_network_is_refused(offer, factory, message):
    with pytest.raises(ModelError, match=message):
        make(offer(factory))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: (), r"returned a tuple.*tensor of logits \[2, 3\].*begins with it"),
        (lambda x: {"head": x}, r"returned a dict.*has it as 'logits'"),
        (lambda x: {"logits": None}, r"returned a NoneType"),
        (
            lambda x: (x.flatten(1), x.new_zeros(2, 3)),
            "number 2 has that shape: return only that one",
        ),
        (lambda x: x, r"returned shape \[2, 1, 4, 4\].*must have shape \[2, 3\]"),
        (lambda x: x.new_zeros(2, 4), r"returned shape \[2, 4\].*use its num_classes argument"),
        (lambda x: x.new_zeros(3), r"returned shape \[3\].*must be the batch, here of 2"),
        (lambda x: x.new_zeros(1, 3), r"returned shape \[1, 3\].*which keeps the batch"),
        (lambda x: x.new_zeros(2, 3, 1, 1), r"shape \[2, 3, 1, 1\].*add nn.Flatten\(\)"),
        (lambda x: x.new_zeros(2, 3, 4, 4), r"Average over the axes after the classes"),
        (lambda x: x.new_full((2, 3), torch.nan), "not finite floating point numbers"),
        (lambda x: x.new_full((2, 3), torch.inf), "not finite floating point numbers"),
        (lambda x: torch.zeros(2, 3, dtype=torch.int64), r"not finite.*dtype torch.int64"),
        (
            lambda x: x @ torch.zeros(5, 3),
            r"failed in evaluation mode on a batch of shape \[2, 1, 4, 4\]: Runtime",
        ),
        (
            lambda x: x["image"],
            r"failed in evaluation mode on a batch.*must map inputs of shape \[batch, 1, 4, 4\]",
        ),
    ],
)
def test_network_that_gives_no_logits_is_refused(offer, answer, message):
    with pytest.raises(ModelError, match=message):
        make(offer(lambda num_classes: Returning(answer)))


def test_error_keeps_its_cause(offer):
    with pytest.raises(ModelError, match="ZeroDivisionError") as caught:
        make(offer(lambda num_classes: 1 / 0))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_one_output_for_two_classes_is_told_apart():
    with pytest.raises(ModelError, match=r"returned shape \[2, 1\].*return a logit for each class"):
        check_classifies(nn.Linear(5, 1), name="mine", num_classes=2, inputs=numbers_spec((5,)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.compile, when first used
def test_wrappers_of_wrappers_and_of_parts_are_taken_off():
    wrapped = nn.DataParallel(torch.compile(nn.Sequential(nn.DataParallel(nn.Linear(2, 3)))))
    assert list(unwrapped(wrapped).state_dict()) == ["0.weight", "0.bias"]


def test_layer_that_stands_in_two_places_is_unwrapped_in_both():
    layer = nn.DataParallel(nn.Linear(3, 3))
    network = unwrapped(nn.Sequential(layer, nn.ReLU(), layer))
    assert network[0] is network[2]
    assert isinstance(network[0], nn.Linear)
