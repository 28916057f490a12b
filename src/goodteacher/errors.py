"""Everything goodteacher raises on purpose.

The tree::

    GoodteacherError                 any failure that goodteacher foresaw
    ├── InputError (ValueError)      what the user gave cannot work; the command line exits with 2
    │   ├── ConfigError              a setting, or an unknown one
    │   ├── DataError                a data set or a split of it
    │   ├── ModelError               an architecture specification or the network it makes
    │   ├── PackageError (ImportError)   an optional package is not installed
    │   ├── ResponseError            a teacher's response: its shape, ids or values
    │   └── StudyError               a study folder: not writable, no study, other settings
    └── RunError (RuntimeError)      the input was fine and the work failed; exits with 1
        └── StorageError             a study's disk or service failed meanwhile; a StudyError, too

A message names the value, the rule that it breaks, the likely cause and the next step, in that
order, in plain sentences: it is all that a user of the command line sees.
"""

from __future__ import annotations

import importlib
from types import ModuleType


class GoodteacherError(Exception):
    """Any failure that goodteacher foresaw."""


class InputError(GoodteacherError, ValueError):
    """What the user gave cannot work."""


class ConfigError(InputError):
    """A setting has a value that is not allowed, or is not known."""


class DataError(InputError):
    """A data set, or a split of it, cannot be used."""


class ModelError(InputError):
    """An architecture specification is malformed, or its network does not classify."""


class PackageError(InputError, ImportError):
    """A package that only some uses need is not installed; the message has the command."""


class ResponseError(InputError):
    """A teacher's response does not fit the examples, the classes or the rules of numbers."""


class StudyError(InputError):
    """A study folder cannot be used."""


class RunError(GoodteacherError, RuntimeError):
    """The input was fine, but the work failed."""


class StorageError(RunError, StudyError):
    """What keeps a study failed: a full disk, lost rights, a service that cannot be reached."""


def needed_package(package: str, *, extra: str, what: str) -> ModuleType:
    """Import a package that only some uses need.

    Args:
        package: As it is imported.
        extra: Of goodteacher, with which it is installed.
        what: That needs it, to begin a sentence with.

    Raises:
        PackageError: It is not installed.

    Example:
        >>> needed_package("no_such_package", extra="hub", what="A data set of the hub")
        Traceback (most recent call last):
        ...
        goodteacher.errors.PackageError: A data set of the hub needs the package no_such_package: \
pip install 'goodteacher[hub]'
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise PackageError(
            f"{what} needs the package {package.partition('.')[0]}: "
            f"pip install 'goodteacher[{extra}]'"
        ) from error
