import torch
from torch.nn import functional as F

from goodteacher.config import Recipe
from goodteacher.losses import distillation_loss
from goodteacher.training.objective import StackObjective

N, C, B = 20, 4, 6
CPU = torch.device("cpu")


def make(recipes, target_of):
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(3, N, C, generator=generator)
    labels = torch.randint(0, C, (N,), generator=generator)
    logits = torch.randn(len(recipes), B, C, generator=generator)
    positions = torch.randperm(N, generator=generator)[:B]
    objective = StackObjective(targets, target_of, recipes, labels, device=CPU)
    return objective, targets, labels, logits, positions


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
    losses = objective(logits, positions)
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
    objective(logits, positions)[1].backward()
    reached = logits.grad.abs().sum((1, 2)) > 0
    assert reached.tolist() == [False, True, False]


def test_alpha_zero_is_cross_entropy_to_the_last_bit():
    objective, _, labels, logits, positions = make([Recipe(alpha=0.0)], [0])
    plain = F.cross_entropy(logits[0], labels[positions])
    torch.testing.assert_close(objective(logits, positions)[0], plain, rtol=1e-6, atol=0)


def test_smoothed_labels_are_learned_from_the_labelled_examples_of_the_batch():
    """The slow way: drop the unlabelled examples first."""
    _, targets, labels, logits, positions = make([Recipe(), Recipe(), Recipe(alpha=0.0)], [0, 1, 2])
    partly = labels.clone()
    partly[positions[::2]] = -1
    objective = StackObjective(
        targets,
        [0, 1, 2],
        [Recipe(), Recipe(), Recipe(alpha=0.0)],
        partly,
        labelled_only=[True, False, False],
        device=CPU,
    )
    logits.requires_grad_()
    losses = objective(logits, positions)
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
    objective, targets, labels, logits, positions = make([Recipe()], [0])
    labels[positions] = -1
    objective = StackObjective(targets, [0], [Recipe()], labels, labelled_only=[True], device=CPU)
    logits.requires_grad_()
    losses = objective(logits, positions)
    losses.sum().backward()
    assert losses.abs().item() < 1e-6
    assert not logits.grad.any()
