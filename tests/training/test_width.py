import pytest
import torch
from torch import nn

from goodteacher.training.width import WidthChoice, even_groups, fastest_width, widest_stack


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))


def test_width_is_budget_over_weights_and_activations():
    parameters = 12 * 8 + 8 + 8 * 3 + 3
    outputs = 12 + 8 + 8 + 3
    each = 18 * parameters + 8 * outputs * 32
    for students in (1, 7, 100):
        width = widest_stack(
            network(), torch.zeros(2, 3, 2, 2), batch_size=32, memory_bytes=each * students
        )
        assert width == students


def test_width_is_at_least_one():
    assert widest_stack(network(), torch.zeros(2, 12), batch_size=32, memory_bytes=1) == 1


def test_measuring_leaves_the_network_alone():
    original = network().train()
    widest_stack(original, torch.zeros(2, 12), batch_size=1, memory_bytes=1)
    assert original.training
    assert not any(module._forward_hooks for module in original.modules())


def test_wider_is_chosen_only_where_it_is_faster_for_each_student():
    # seconds of a step: students share 10 ms up to 16 of them, and then every one costs more
    seconds = {1: 0.011, 4: 0.014, 16: 0.026, 64: 0.110, 256: 0.5}
    choice = fastest_width(seconds.__getitem__, limit=256)
    assert choice.width == 16
    assert [trial.width for trial in choice.trials] == [1, 4, 16, 64, 256]
    assert choice.trials[1].milliseconds_per_student_step == pytest.approx(3.5)
    assert str(choice) == (
        "stacks of 16 (ms per student-step: 11.00 in stacks of 1, 3.50 in stacks of 4, 1.62 in "
        "stacks of 16, 1.72 in stacks of 64, 1.95 in stacks of 256)"
    )


def test_trials_end_after_two_widths_that_gain_nothing():
    tried = []

    def linear(width):
        tried.append(width)
        return 0.1 * width

    assert fastest_width(linear, limit=1000).width == 1
    assert tried == [1, 4, 16]


def test_one_slow_trial_does_not_end_the_search():
    seconds = {1: 0.010, 4: 0.050, 16: 0.020, 17: 0.021}
    assert fastest_width(seconds.__getitem__, limit=17).width == 16


def test_limit_is_tried_and_never_passed():
    choice = fastest_width(lambda width: 1.0, limit=37)
    assert choice.width == 37
    assert [trial.width for trial in choice.trials] == [1, 4, 16, 37]


def test_width_that_memory_does_not_hold_ends_the_trials():
    choice = fastest_width(lambda width: 1.0 if width < 16 else None, limit=64)
    assert choice.width == 4


@pytest.mark.parametrize(("count", "width"), [(1, 1), (7, 3), (300, 200), (5, 99)])
def test_groups_are_even_and_hold_everyone_once(count, width):
    groups = [list(group) for group in even_groups(count, width)]
    assert [i for group in groups for i in group] == list(range(count))
    assert all(len(group) <= width for group in groups)
    assert len(groups) == -(-count // width)


@pytest.mark.parametrize(
    ("width", "words"), [(1, "one student at a time"), (6, "stacks of 6, as memory allows")]
)
def test_a_width_that_was_not_measured_is_told_with_its_reason(width, words):
    assert str(WidthChoice(width=width)) == words
