"""Delivering a student into a folder that needs neither the teacher nor the study; loading one."""

from __future__ import annotations

from pathlib import Path

import torch

from goodteacher.delivery.classifier import Classifier, StudentCard
from goodteacher.delivery.safetensors_folder import Safetensors
from goodteacher.errors import StudyError
from goodteacher.maths.calibration import best_temperature
from goodteacher.networks import (
    Network,
    NetworkLike,
)
from goodteacher.studies import Context, Store, Url, holds_several, study_folders, which_study
from goodteacher.training import compute_logits


def deliver(
    context: Context, network: Network, card: StudentCard, *, folder: str = "student"
) -> None:
    """Write a student into a folder of the study's; ``config.json`` comes last."""
    Safetensors().write(context.store, folder, network, card)


def make_card(
    context: Context,
    network: Network,
    *,
    architecture: str,
    arm: str,
    seed: int,
    accuracies: tuple[float, float],
) -> StudentCard:
    """Describe a student for delivery.

    Args:
        context: The study's data.
        network: The student.
        architecture: Its specification.
        arm: What it learned from.
        seed: Its seed.
        accuracies: On the selection and on the test split.
    """
    return StudentCard(
        architecture=architecture,
        class_names=context.data.class_names,
        inputs=context.data.spec,
        arm=arm,
        seed=seed,
        selection_accuracy=accuracies[0],
        test_accuracy=accuracies[1],
        temperature=_calibrated(context, network, architecture),
        fingerprint=context.data.fingerprint,
    )


def _calibrated(context: Context, network: Network, architecture: str) -> float:
    """Return the temperature of the lowest negative log-likelihood on the selection split."""
    selection = context.data.selection
    device = next(network.module.parameters(), torch.zeros(())).device
    examples = context.networks.examples(architecture, selection, device=device)
    found = best_temperature(compute_logits(network.module, examples), selection.labels)
    return found.value if found.limit is None else 1.0


def load_student(
    folder: Path | str, *, network: NetworkLike | None = None, trust_code: bool = False
) -> Classifier:
    """Load a delivered student, ready to classify.

    Args:
        folder: A ``student`` folder, or the URL of one.
        network: Where the student's network was given in Python, that network or the function
            that makes it; its weights are those of the folder.
        trust_code: Import the factory ``python:module:factory`` that the folder names, if it names
            one. It is code of whoever wrote the folder.

    Raises:
        StudyError: The folder holds no student, or a file of it is damaged; the message names it.
            Or it names a factory that you have neither named nor given nor said to trust.
    """
    store = Store(folder)
    _check_student_folder(store)
    place = store.local_folder("")
    return Safetensors().read(place, network=network, trust_code=trust_code)


def _check_student_folder(store: Store) -> None:
    path = store.root
    if store.exists("config.json"):
        return
    if store.exists("student/config.json"):
        raise StudyError(f"{path} is a study, and its student is in {path / 'student'}. Load that.")
    if holds_several(path):
        students = ", ".join(str(folder / "student") for folder in study_folders(path).values())
        raise StudyError(f"{which_study(path)} Load the student of one: {students}.")
    if isinstance(path, Url):
        reason = "there is no config.json. Has the search finished?"
    elif not path.exists():
        reason = "there is no such folder. Is the path right, and has the search finished?"
    elif not path.is_dir():
        reason = "it is a file. Give the folder that it is in."
    else:
        reason = "it has no config.json. Has the search finished?"
    raise StudyError(f"{path} contains no student: {reason}")
