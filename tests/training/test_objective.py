import pytest
import torch
from torch.nn import functional as F

from goodteacher.config import Recipe
from goodteacher.config.augmentation import Augmentation
from goodteacher.data import Split
from goodteacher.maths.losses import distillation_loss
from goodteacher.networks import Examples
from goodteacher.networks.normalization import no_normalization
from goodteacher.training.objective import StackObjective

N, C, B = 20, 4, 6
CPU = torch.device("cpu")


def make(recipes, target_of):
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(3, 1, N, C, generator=generator)
    labels = torch.randint(0, C, (N,), generator=generator)
    logits = torch.randn(len(recipes), B, C, generator=generator)
    positions = torch.randperm(N, generator=generator)[:B]
    objective = StackObjective(targets, target_of, recipes, labelled(labels), device=CPU)
    return objective, targets[:, 0], labels, logits, positions


def labelled(labels, **augmentation):
    images = torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8)
    split = Split(images, labels, torch.arange(len(labels)))
    return Examples(
        split, no_normalization(images), augmentation=Augmentation(**augmentation), device=CPU
    )


def test_each_student_has_the_loss_of_its_own_recipe_and_target():
    recipes = [
        Recipe(temperature=2, alpha=0.5),
        Recipe(loss="dkd", temperature=4),
        Recipe(alpha=0.0),
        Recipe(loss="kl", temperature=3, standardize=True),
        Recipe(loss="dist", temperature=1, alpha=0.3),
        Recipe(temperature=8, alpha=1.0),
    ]
    target_of = [2, 0, 1, 1, 2, 0]
    objective, targets, labels, logits, positions = make(recipes, target_of)
    losses = objective(logits, positions, 0)
    for student, recipe in enumerate(recipes):
        alone = distillation_loss(
            logits[student],
            targets[target_of[student], positions],
            labels[positions],
            **recipe.model_dump(),
        )
        torch.testing.assert_close(losses[student], alone, rtol=1e-5, atol=1e-6)


def test_gradient_reaches_each_student_through_its_own_loss_only():
    recipes = [Recipe(alpha=0.5), Recipe(loss="mse"), Recipe(alpha=0.0)]
    objective, _, _, logits, positions = make(recipes, [0, 1, 2])
    logits.requires_grad_()
    objective(logits, positions, 0)[1].backward()
    reached = logits.grad.abs().sum((1, 2)) > 0
    assert reached.tolist() == [False, True, False]


def test_alpha_zero_is_cross_entropy_to_the_last_bit():
    objective, _, labels, logits, positions = make([Recipe(alpha=0.0)], [0])
    plain = F.cross_entropy(logits[0], labels[positions])
    torch.testing.assert_close(objective(logits, positions, 0)[0], plain, rtol=1e-6, atol=0)


def test_each_view_is_met_by_its_own_response_and_shared_targets_by_all():
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, C, (N,), generator=generator)
    of_views, shared = torch.randn(2, N, C), torch.randn(1, N, C)
    objective = StackObjective(
        [of_views, shared], [0, 1], [Recipe(), Recipe()], labelled(labels, flip=True), device=CPU
    )
    positions, logits = torch.tensor([3, 7]), torch.randn(2, 2, C)
    for view in (0, 1, 0):
        losses = objective(logits, positions, view)
        for student, target in enumerate((of_views[view], shared[0])):
            alone = distillation_loss(
                logits[student], target[positions], labels[positions], temperature=1.0, alpha=1.0
            )
            torch.testing.assert_close(losses[student], alone)


def test_mixed_labels_give_the_mixture_of_both_cross_entropies():
    labels = torch.arange(N) % C
    examples = labelled(labels, mixup=1.0)
    objective = StackObjective(
        [torch.zeros(1, N, C)], [0], [Recipe(alpha=0.0)], examples, device=CPU
    )
    positions, logits = torch.arange(B), torch.randn(1, B, C)
    mixed = examples.labels(positions, 1, num_classes=C)
    assert ((mixed > 0).sum(1) == 2).any()  # some images are mixed with another class's
    expected = F.cross_entropy(logits[0], mixed)
    torch.testing.assert_close(objective(logits, positions, 1)[0], expected)


def test_smoothed_labels_are_learned_from_the_labelled_examples_of_the_batch():
    """The slow way: drop the unlabelled examples first."""
    _, targets, labels, logits, positions = make([Recipe(), Recipe(), Recipe(alpha=0.0)], [0, 1, 2])
    partly = labels.clone()
    partly[positions[::2]] = -1
    objective = StackObjective(
        targets[:, None],
        [0, 1, 2],
        [Recipe(), Recipe(), Recipe(alpha=0.0)],
        labelled(partly),
        labelled_only=[True, False, False],
        device=CPU,
    )
    logits.requires_grad_()
    losses = objective(logits, positions, 0)
    kept = positions[1::2]
    student = torch.log_softmax(logits[0, 1::2], 1)
    expected = F.kl_div(student, targets[0, kept].softmax(1), reduction="batchmean")
    torch.testing.assert_close(losses[0], expected)
    everyone = torch.log_softmax(logits[1], 1)
    whole = F.kl_div(everyone, targets[1, positions].softmax(1), reduction="batchmean")
    torch.testing.assert_close(losses[1], whole)
    plain = F.cross_entropy(logits[2], partly[positions], ignore_index=-1)
    torch.testing.assert_close(losses[2], plain)
    losses.sum().backward()
    assert not logits.grad[[0, 2], ::2].any()
    assert logits.grad[1, ::2].any()


def test_batch_without_a_label_teaches_smoothed_labels_nothing():
    _, targets, labels, logits, positions = make([Recipe()], [0])
    labels[positions] = -1
    objective = StackObjective(
        targets[:, None], [0], [Recipe()], labelled(labels), labelled_only=[True], device=CPU
    )
    logits.requires_grad_()
    losses = objective(logits, positions, 0)
    losses.sum().backward()
    assert losses.abs().item() < 1e-6
    assert not logits.grad.any()


@pytest.mark.parametrize("kinds", [("tensor", "tensor"), ("file", "tensor"), ("file", "file")])
def test_targets_that_do_not_fit_give_each_batch_the_same_numbers(kinds):
    generator = torch.Generator().manual_seed(0)
    recipes = [Recipe(temperature=2, alpha=0.5), Recipe(loss="dkd"), Recipe(loss="mse")]
    views = torch.randn(2, 2, N, C, generator=generator).half()
    labels = torch.randint(0, C, (N,), generator=generator)
    logits = torch.randn(3, B, C, generator=generator)

    class File:
        """Rows that are read; all of them never are."""

        def __init__(self, rows):
            self.rows, self.shape = rows, rows.shape

        def __getitem__(self, rows):
            assert isinstance(rows, torch.Tensor)
            return self.rows[rows].float()

    given = [
        [File(view) if kind == "file" else view.float() for view in target]
        for kind, target in zip(kinds, views, strict=True)
    ]
    settings = ([0, 1, 1], recipes, labelled(labels))
    held = StackObjective(views.float(), *settings, device=CPU)
    read = StackObjective(given, *settings, device=CPU, room=2 * N * C * 4 - 1)
    for view in (0, 1, 0, 3):
        positions = torch.randperm(N, generator=generator)[:B]
        losses = []
        for objective in (held, read):
            leaf = logits.clone().requires_grad_()
            loss = objective(leaf, positions, view)
            loss.sum().backward()
            losses.append((loss.detach(), leaf.grad))
        assert torch.equal(losses[0][0], losses[1][0])
        assert torch.equal(losses[0][1], losses[1][1])


def test_targets_that_fit_exactly_are_held():
    rows = torch.randn(N, C)
    settings = ([0], [Recipe()], labelled(torch.zeros(N, dtype=torch.long)))
    objective = StackObjective([[rows]], *settings, device=CPU, room=N * C * 4)
    assert objective._seen.shape == (1, N, C)
    assert objective._seen.data_ptr() == rows.data_ptr()  # nothing was copied
