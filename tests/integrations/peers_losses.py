"""Losses of other tools as they document them, in float64, one function for each.

Each takes student logits, teacher logits and labels, then the tool's own settings.
"""

import torch
from torch import nn
from torch.nn import functional as F


def torchdistill_kd(student, teacher, labels, *, temperature, alpha, beta=None, reduction):
    """KDLoss of torchdistill.losses.mid_level."""
    soft = nn.KLDivLoss(reduction=reduction)(
        torch.log_softmax(student / temperature, dim=1), torch.softmax(teacher / temperature, dim=1)
    )
    if alpha is None or alpha == 0:
        return soft
    beta = 1 - alpha if beta is None else beta
    hard = F.cross_entropy(
        student, labels, reduction="mean" if reduction == "batchmean" else reduction
    )
    return alpha * hard + beta * temperature**2 * soft


def torchdistill_standardized(student, teacher, labels, *, temperature, alpha, beta=None):
    """LogitStdKDLoss of torchdistill.losses.mid_level."""

    def standardized(logits):
        deviation = logits.std(dim=-1, keepdims=True)
        return (logits - logits.mean(dim=-1, keepdims=True)) / (1e-7 + deviation)

    return torchdistill_kd_soft(standardized(student), standardized(teacher), temperature, beta) + (
        alpha * F.cross_entropy(student, labels)
    )


def torchdistill_kd_soft(student, teacher, temperature, weight):
    divergence = F.kl_div(
        torch.log_softmax(student / temperature, dim=1),
        torch.softmax(teacher / temperature, dim=1),
        reduction="batchmean",
    )
    return weight * temperature**2 * divergence


def torchdistill_dist(student, teacher, labels, *, tau, beta, gamma, ce_weight, dist_weight):
    """CrossEntropyLoss and DISTLoss in a WeightedSumLoss."""
    own, theirs = (student / tau).softmax(dim=1), (teacher / tau).softmax(dim=1)

    def relation(x, y):
        x, y = x - x.mean(1).unsqueeze(1), y - y.mean(1).unsqueeze(1)
        return 1 - F.cosine_similarity(x, y, eps=1e-8).mean()

    between, within = relation(own, theirs), relation(own.transpose(0, 1), theirs.transpose(0, 1))
    dist = beta * tau**2 * between + gamma * tau**2 * within
    return ce_weight * F.cross_entropy(student, labels) + dist_weight * dist


def repdistiller_kd(student, teacher, labels, *, gamma, alpha, temperature):
    """The loop of helper/loops.py with DistillKL of distiller_zoo/KD.py."""
    divergence = F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.softmax(teacher / temperature, dim=1),
        reduction="sum",
    )
    soft = divergence * temperature**2 / student.shape[0]
    return gamma * F.cross_entropy(student, labels) + alpha * soft


def mdistiller_dkd(student, teacher, labels, *, ce_weight, alpha, beta, temperature):
    """distillers/DKD.py after its warm-up."""
    mask = torch.zeros_like(student).scatter_(1, labels.unsqueeze(1), 1).bool()

    def split(probabilities):
        target = (probabilities * mask).sum(1, keepdim=True)
        return torch.cat([target, (probabilities * ~mask).sum(1, keepdim=True)], dim=1)

    own, theirs = F.softmax(student / temperature, 1), F.softmax(teacher / temperature, 1)
    tckd = F.kl_div(torch.log(split(own)), split(theirs), reduction="sum")
    nckd = F.kl_div(
        F.log_softmax(student / temperature - 1000.0 * mask, dim=1),
        F.softmax(teacher / temperature - 1000.0 * mask, dim=1),
        reduction="sum",
    )
    scale = temperature**2 / labels.shape[0]
    hard = ce_weight * F.cross_entropy(student, labels)
    return hard + alpha * tckd * scale + beta * nckd * scale


def keras_example(student, teacher, labels, *, alpha, temperature, squared=True):
    """Distiller of keras.io/examples/vision/knowledge_distillation, with KLDivergence."""
    own, theirs = (student / temperature).softmax(1), (teacher / temperature).softmax(1)
    soft = (theirs * (theirs / own).log()).sum(1).mean()
    soft = soft * temperature**2 if squared else soft
    return alpha * F.cross_entropy(student, labels) + (1 - alpha) * soft


def timm_logits(student, teacher, labels, *, task, distill, temperature, smoothing):
    """LogitDistillationTask of timm.task, with LabelSmoothingCrossEntropy."""
    logprobs = F.log_softmax(student, dim=-1)
    hard = -logprobs.gather(1, labels.unsqueeze(1)).squeeze(1)
    task_loss = ((1 - smoothing) * hard + smoothing * -logprobs.mean(dim=-1)).mean()
    kd_loss = F.kl_div(
        F.log_softmax(student / temperature, dim=-1),
        F.log_softmax(teacher / temperature, dim=-1),
        reduction="batchmean",
        log_target=True,
    )
    return task * task_loss + distill * kd_loss * temperature**2


def transformers_alpha(student, teacher, labels, *, alpha, temperature, reduction="batchmean"):
    """DistillationTrainer of the book on transformers: alpha is the labels'."""
    soft = nn.KLDivLoss(reduction=reduction)(
        F.log_softmax(student / temperature, dim=-1), F.softmax(teacher / temperature, dim=-1)
    )
    return alpha * F.cross_entropy(student, labels) + (1 - alpha) * temperature**2 * soft


def transformers_lambda(student, teacher, labels, *, lambda_param, temperature):
    """ImageDistilTrainer of the documentation of transformers."""
    return transformers_alpha(
        student, teacher, labels, alpha=1 - lambda_param, temperature=temperature
    )


def trl_gkd(student, teacher, labels, *, temperature):
    """generalized_jsd_loss of TRL's GKD with beta = 0, one token an example."""
    return F.kl_div(
        F.log_softmax(student / temperature, dim=-1),
        F.log_softmax(teacher / temperature, dim=-1),
        reduction="batchmean",
        log_target=True,
    )
