"""A folder of several students: a study for each below it, and ``students.toml`` that names them.

Each of these studies is what a search for its student alone would have made. What is common to them
stands in ``students.toml``: the settings that all were begun with, and each student's folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import Field

from goodteacher.config import Frozen, StudyConfig, differences, digest_of, parse, read_toml
from goodteacher.errors import ConfigError, StudyError
from goodteacher.studies.backends import files_of
from goodteacher.studies.files import STUDENTS_FILE
from goodteacher.studies.places import Place
from goodteacher.studies.verified import local_of

_LONGEST = 60
"""Characters of a folder's name: file systems allow 255 bytes, people read fewer."""


class StudentsRecord(Frozen):
    """Content of ``students.toml``."""

    schema_version: Literal[1] = 1
    students: dict[str, Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$")]]
    """The folder of each student's study, by specification."""
    settings: dict[str, Any]
    """Settings of the studies, as they were given, but for the student."""

    @classmethod
    def of(cls, configs: Sequence[StudyConfig]) -> Self:
        """Return the record of a search that begins.

        Args:
            configs: Settings of its studies, which differ by the student alone.
        """
        settings = configs[0].model_dump(mode="json", exclude_none=True, exclude={"student"})
        return cls(students=folders_of([each.student for each in configs]), settings=settings)

    def to_toml(self) -> str:
        """Return the text of the file."""
        return tomli_w.dumps(self.model_dump(mode="json"))

    def with_students(self, path: Place, begun: Self) -> Self:
        """Return the record with the students that another one adds.

        Args:
            path: The folder, for messages.
            begun: What is asked for now.

        Raises:
            StudyError: Settings differ, or a student is named no more.
        """
        missing = [spec for spec in self.students if spec not in begun.students]
        if missing:
            raise StudyError(
                f"{path} holds a search for {_quoted(self.students)}, and {_quoted(missing)} is "
                "not among the students now. Name all of them to go on (further ones may be "
                "added), or name a new folder with --out."
            )
        changed = differences(self._config(), begun._config())
        if changed:
            lines = "; ".join(f"{name} was {a!r}, now {b!r}" for name, (a, b) in changed.items())
            raise StudyError(
                f"{path} holds a search for several students with other settings: {lines}. Give "
                "the same settings to go on with it, or name a new folder with --out."
            )
        specs = [*self.students, *(spec for spec in begun.students if spec not in self.students)]
        return begun.model_copy(update={"students": folders_of(specs)})

    def _config(self) -> StudyConfig:
        return parse(StudyConfig, **self.settings, student="")


def folders_of(students: Sequence[str]) -> dict[str, str]:
    """Return a readable folder name for each student, unique among them.

    A name depends on the students before it alone, so adding one renames nothing.

    Args:
        students: Their specifications.

    Example:
        >>> folders_of(["mlp:8", "mlp:8@resize:14"])
        {'mlp:8': 'mlp-8', 'mlp:8@resize:14': 'mlp-8-resize-14'}
    """
    found: dict[str, str] = {}
    for spec in students:
        name = re.sub(r"[^\w.]+", "-", spec, flags=re.ASCII).strip("-.")[:_LONGEST]
        # Some file systems do not tell upper from lower case.
        if not name or name.lower() in {other.lower() for other in found.values()}:
            name = f"{name}-{digest_of(spec)[:8]}"
        found[spec] = name
    return found


def holds_several(path: Place) -> bool:
    """Say whether a folder is one of several students."""
    return files_of(path).exists(STUDENTS_FILE)


def read_students(path: Place) -> StudentsRecord:
    """Read which students a folder holds.

    Raises:
        StudyError: The file is missing, damaged, or of another version.
    """
    try:
        return parse(StudentsRecord, **read_toml(local_of(files_of(path), STUDENTS_FILE)))
    except ConfigError as error:
        raise StudyError(f"{path / STUDENTS_FILE} does not say which students: {error}") from error


def study_folders(path: Place) -> Mapping[str, Place]:
    """Return the folder of each student's study, by specification.

    Raises:
        StudyError: See :func:`read_students`.
    """
    return {spec: path / name for spec, name in read_students(path).students.items()}


def which_study(path: Place) -> str:
    """Return what to say to who names the folder of several students in place of one study."""
    folders = study_folders(path)
    shown = ", ".join(f"{folder} ({spec})" for spec, folder in folders.items())
    return f"{path} holds a study for each of {len(folders)} students: {shown}."


def _quoted(students: Sequence[str] | Mapping[str, str]) -> str:
    return ", ".join(map(repr, students))
