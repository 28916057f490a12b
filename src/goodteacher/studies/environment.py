"""Where a study has run: machines and versions, in the order in which they were first seen.

Nothing of the machine is in a task's key, so a study goes on elsewhere with what it has. Numbers of
two machines need not agree to the last digit, so each task's ``task_done`` event says where it ran.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib import metadata
from itertools import groupby
from pathlib import Path

import torch

from goodteacher.config import Frozen
from goodteacher.studies.files import ENVIRONMENT_FILE
from goodteacher.studies.store import Store


class Environment(Frozen):
    """A machine and the versions on it."""

    python: str
    platform: str
    processor: str
    cpus: int | None
    threads: int
    device: str
    versions: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.device} ({self.processor}, PyTorch {self.versions['torch']})"


def described_machine(device: str) -> str:
    """Return what this machine is, in a few words.

    Args:
        device: Where arithmetic happens, and how precisely.
    """
    return str(environment_here(device))


class Environments(Frozen):
    """Content of ``environment.json``."""

    environments: tuple[Environment, ...] = ()


def environment_here(device: str) -> Environment:
    """Describe the machine and the versions here.

    Args:
        device: Where arithmetic happens, and how precisely.
    """
    packages = ("goodteacher", "torch", "numpy", "scipy", "scikit-learn", "pyarrow")
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        processor=_processor(),
        cpus=os.cpu_count(),
        threads=torch.get_num_threads(),
        device=device,
        versions={name: metadata.version(name) for name in packages},
    )


def environments(store: Store) -> tuple[Environment, ...]:
    """Return where a study has run, first seen first.

    Raises:
        StudyError: The file is damaged or was not written by this version.
    """
    if not store.exists(ENVIRONMENT_FILE):
        return ()
    return store.read_json(ENVIRONMENT_FILE, Environments).environments


def enter(store: Store, device: str) -> tuple[int, str | None]:
    """Note in the folder that the study runs here now.

    Args:
        store: The folder.
        device: Where arithmetic happens, and how precisely.

    Returns:
        The number of this environment, and what to tell where tasks of the study ran elsewhere.
    """
    here = environment_here(device)
    number = environment_number(store, here)
    return number, _told(store, environments(store), here)


def environment_number(store: Store, found: Environment) -> int:
    """Return the number of an environment among those of a study, and note it there if it is new.

    Args:
        store: The study's folder.
        found: The environment.
    """
    known = environments(store)
    if found not in known:
        known = (*known, found)
        store.write_json(ENVIRONMENT_FILE, Environments(environments=known))
    return known.index(found)


def enter_anew(store: Store, number: int, device: str) -> int:
    """Note that the study goes on here with another number of threads than it was entered with.

    Args:
        store: The folder.
        number: That of the environment that it was entered with.
        device: Where arithmetic happens, and how precisely.

    Returns:
        The number of this environment: the same where nothing has been done in the one before.
    """
    known, here = list(environments(store)), environment_here(device)
    if known[number] == here:
        return number
    done = {e["environment"] for e in store.events() if e["event"] == "task_done"}
    if number == len(known) - 1 and number not in done:
        known.pop()
    if here not in known:
        known.append(here)
    store.write_json(ENVIRONMENT_FILE, Environments(environments=tuple(known)))
    return known.index(here)


def _told(store: Store, known: tuple[Environment, ...], here: Environment) -> str | None:
    """Say which numbers come from which machine, where there is more than one."""
    done = (event for event in store.events() if event["event"] == "task_done")
    numbers = (event["environment"] for event in done)
    # Of a list that was lost and begun again, the first ones may be unknown.
    places = groupby(str(known[n]) if n < len(known) else "another machine" for n in numbers)
    ran = [(place, len(list(tasks))) for place, tasks in places]
    if {place for place, _ in ran} <= {str(here)}:
        return None
    parts = [
        f"the {'next' if number else 'first'} {_tasks(count)} ran on {place}"
        for number, (place, count) in enumerate(ran)
    ]
    return (
        f"{', '.join(parts)}, further ones run here, on {here}. Nothing is computed again; "
        "numbers from two machines or precisions may differ in the last digits."
    )


def _tasks(count: int) -> str:
    return f"{count} tasks" if count > 1 else "task"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
