"""The door: all that can be known to be wrong before anything is trained.

Settings are checked alone and together, then beside the data; networks rehearse. Everything found
is told at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from goodteacher.config import Augmentation, DistillConfig, StudyConfig, parse
from goodteacher.data import UNLABELLED, StudyData
from goodteacher.errors import ConfigError, InputError, ModelError, PackageError
from goodteacher.networks import (
    NetworkIdentity,
    NetworkLike,
    Preparations,
    canonical_spec,
    specification_of,
)
from goodteacher.studies.rehearsal import Rehearsal, Rehearsed, Role
from goodteacher.training import Machine

Settings = StudyConfig | DistillConfig
SettingsT = TypeVar("SettingsT", bound=Settings)

BATCH_SETTINGS = frozenset({"student_batch_size", "batch_sizes"})
"""Settings that are lowered for small data where the user has not named them."""


def checked_settings(
    kind: type[SettingsT], *, networks: Mapping[str, NetworkLike], **settings: Any
) -> SettingsT:
    """Build settings with the networks' specifications in their canonical form.

    Args:
        kind: The settings class.
        networks: Networks, or their specifications, by the name of their setting.
        **settings: All other settings.

    Raises:
        InputError: Any of it is wrong; the message has a line for each thing that is.
    """
    problems: list[InputError] = []
    specs: dict[str, str] = {}
    for name, network in networks.items():
        try:
            specs[name] = canonical_spec(specification_of(network))
        except (ModelError, PackageError) as error:
            problems.append(error)
            specs[name] = str(network)
    try:
        config = parse(kind, **specs, **settings)
    except ConfigError as error:
        problems.append(error)
    raise_all(problems)
    return config


def checked_students(
    students: Sequence[NetworkLike], *, teacher: NetworkLike | None, **settings: Any
) -> tuple[StudyConfig, ...]:
    """Build the settings of a study for each of several students.

    Args:
        students: Networks, or their specifications.
        teacher: Of all of them; None where runs were recorded elsewhere.
        **settings: All other settings.

    Raises:
        InputError: Any of it is wrong; the message has a line for each thing that is.
    """
    if not students:
        raise ConfigError(
            "student is an empty list, so there is nothing to search for. Name at least one, such "
            "as mlp:64."
        )
    found: list[StudyConfig] = []
    problems: list[InputError] = []
    for student in students:
        given = {"teacher": teacher, "student": student}
        networks = {name: network for name, network in given.items() if network is not None}
        try:
            found.append(checked_settings(StudyConfig, networks=networks, **settings))
        except InputError as error:
            problems.append(error)
    for spec, count in Counter(config.student for config in found).items():
        if count > 1:
            text = f"student holds {spec!r} {count} times. Name it once."
            if not all(isinstance(student, str) for student in students):
                text += " Two functions of one name need two names."
            problems.append(ConfigError(text))
    raise_all(problems)
    return tuple(found)


@dataclass(frozen=True)
class Rehearsals:
    """What the rehearsals of a study's networks found.

    Attributes:
        needs_two: Networks that cannot train on a single example.
        notes: What the user should know.
        identities: What the networks of the user's own are.
    """

    needs_two: frozenset[Role]
    notes: tuple[str, ...]
    identities: Mapping[Role, NetworkIdentity]


def rehearse(config: Settings, networks: Preparations, machine: Machine) -> Rehearsals:
    """Let teacher and student go through a step of everything, once.

    Raises:
        InputError: A network fails; the message has a line for each that does.
    """
    training = config.first_training(len(networks.data.transfer))
    plans = {"student": (config.student, config.student_optimization(training), 0)}
    if isinstance(config, StudyConfig) and config.teacher is not None:
        plan = config.teacher_optimization(config.reference_batch_size, max(config.learning_rates))
        plans = {"teacher": (config.teacher, plan, config.teacher_seeds[0]), **plans}
    problems: list[InputError] = []
    found: dict[Role, Rehearsed] = {}
    roles: tuple[Role, ...] = ("teacher", "student")
    for role in roles:
        if role not in plans:
            continue
        spec, plan, seed = plans[role]
        try:
            found[role] = Rehearsal(role, spec, networks, machine, plan, seed).run()
        except InputError as error:
            problems.append(error)
    raise_all(problems)
    return Rehearsals(
        frozenset(role for role, each in found.items() if each.needs_two),
        tuple(note for each in found.values() for note in each.notes),
        {role: each.identity for role, each in found.items() if each.identity is not None},
    )


@dataclass(frozen=True)
class _Batches:
    """The rule for one network's batch sizes: within the data, and no lone example at the end."""

    role: Role
    spec: str
    available: int
    needs_two: bool

    def suit(self, size: int) -> bool:
        """Say whether every batch of an epoch can be trained on."""
        lone = size == 1 or self.available % size == 1
        return size <= self.available and not (self.needs_two and lone)

    def fitted(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return sizes that suit: those that fit, and all examples where the largest is far off."""
        kept = [size for size in sizes if size <= self.available]
        if len(kept) < len(sizes) and 2 * max(kept, default=0) < self.available:
            kept.append(self.available)
        return tuple(dict.fromkeys(self._near(size) for size in kept))

    def complaint(self, name: str, size: int) -> str | None:
        """Say what is wrong with a size that the user named; None if nothing is."""
        if size > self.available:
            return (
                f"{name} holds {size}, but there are only {self.available} examples to train on. "
                f"Use at most {self.available}."
            )
        if not self.suit(size):
            near = self._near(size)
            return (
                f"{name} holds {size}, which leaves a batch of a single example of the "
                f"{self.available} to train on, and the {self.role} {self.spec!r} cannot train on "
                f"one alone: is there a batch normalisation in it? Use {near} instead."
            )
        return None

    def complaint_of_pieces(self, size: int, micro: int) -> str | None:
        """Say what is wrong with the pieces that a batch is split into; None if nothing is."""
        lone = 1 in (min(micro, size), size % micro, self.available % size % micro)
        if not (self.needs_two and micro < size and lone):
            return None
        return (
            f"micro_batch_size = {micro} splits batches of {size} into pieces, one of them a "
            f"single example, and the {self.role} {self.spec!r} cannot train on one alone. Use "
            "another size of pieces, or leave it out."
        )

    def _near(self, size: int) -> int:
        """Return the next smaller size that suits, or else the next larger one."""
        below = range(min(size, self.available), 1, -1)
        return next((n for n in (*below, *range(size, self.available + 1)) if self.suit(n)), size)


def fitted_to_data(
    config: SettingsT, data: StudyData, needs_two: frozenset[Role]
) -> tuple[SettingsT, tuple[str, ...]]:
    """Lower batch sizes that the user has not named, where the data are too few for them.

    Args:
        config: The settings. What was named is in ``model_fields_set``.
        data: The study's parts.
        needs_two: Networks that cannot train on a single example.

    Returns:
        The settings that fit, and a note for each that was changed.

    Raises:
        ConfigError: A setting that was named does not fit; a line for each.
    """
    complaints: list[str] = []
    changes: dict[str, Any] = {}
    for name, rule in _batch_rules(config, data, needs_two):
        value = getattr(config, name)
        if value is None:
            value = config.first_training(len(data.transfer)).batch_size
        sizes = (value,) if isinstance(value, int) else value
        found: list[str | None] = []
        if name in config.model_fields_set and getattr(config, name) is not None:
            found += [rule.complaint(name, size) for size in sizes]
        elif not all(map(rule.suit, sizes)):
            sizes = rule.fitted(sizes)
            changes[name] = sizes[0] if isinstance(value, int) else sizes
        micro = getattr(config, "micro_batch_size", None)
        if micro and rule.role == "teacher":
            found += [rule.complaint_of_pieces(size, micro) for size in sizes]
        complaints += [complaint for complaint in found if complaint]
    augmentation = getattr(config, "augmentation", None)
    if augmentation:
        complaints += _augmentation_complaints(augmentation, data)
    if complaints:
        raise ConfigError("\n".join(complaints))
    notes = tuple(_lowered(name, value) for name, value in changes.items())
    return cast("SettingsT", config.model_copy(update=changes)), notes


def _batch_rules(
    config: Settings, data: StudyData, needs_two: frozenset[Role]
) -> Iterator[tuple[str, _Batches]]:
    student = _Batches("student", config.student, len(data.transfer), "student" in needs_two)
    yield "student_batch_size", student
    if isinstance(config, StudyConfig) and config.teacher is not None:
        size = len(data.training)
        yield "batch_sizes", _Batches("teacher", config.teacher, size, "teacher" in needs_two)


def _lowered(name: str, now: Any) -> str:
    new = _listed(now)
    option = f"--{name.replace('_', '-')}"
    return (
        f"{name} is {new}, not its default, to suit the number of training examples. "
        f"Name it to choose: {option} {new.replace(' ', '')}."
    )


def _listed(value: Any) -> str:
    return str(value) if isinstance(value, int) else ", ".join(map(str, value))


def _augmentation_complaints(augmentation: Augmentation, data: StudyData) -> Iterator[str]:
    if not data.is_image:
        yield (
            f"augment = {augmentation} is for images, but the examples of these data are "
            f"{data.spec}. "
            "Leave augment out, or give the images themselves."
        )
        return
    side = min(data.input_shape[1:])
    largest = max(augmentation.crop, augmentation.cutout)
    if largest >= side:
        yield (
            f"augment = {augmentation} names {largest} pixels, but images have sides of {side}. "
            "Padding and cutout must be smaller than the image."
        )
    unlabelled = int((data.transfer.labels == UNLABELLED).sum())
    if augmentation.mixup and unlabelled:
        yield (
            f"mixup mixes the labels of two images, but {unlabelled} examples of the transfer set "
            "have none. Leave mixup out of augment, or label them."
        )


def raise_all(problems: Sequence[InputError]) -> None:
    """Raise what went wrong: an error as it is, several as one with a line for each.

    What several networks have in common is told once.
    """
    if len(problems) == 1:
        raise problems[0]
    if problems:
        kinds = {type(problem) for problem in problems}
        kind = kinds.pop() if len(kinds) == 1 else ConfigError
        lines = (line for problem in problems for line in str(problem).splitlines())
        raise kind("\n".join(dict.fromkeys(lines)))
