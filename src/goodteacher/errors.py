"""Everything goodteacher raises on purpose.

The tree::

    GoodteacherError                 any failure that goodteacher foresaw
    ├── InputError (ValueError)      what the user gave cannot work; the command line exits with 2
    │   ├── ConfigError              a setting, or an unknown one
    │   ├── DataError                a data set or a split of it
    │   ├── ModelError               an architecture specification or the network it makes
    │   ├── ResponseError            a teacher's response: its shape, ids or values
    │   └── StudyError               a study folder: not writable, no study, other settings
    └── RunError (RuntimeError)      the input was fine and the work failed; exits with 1

A message names the value, the rule that it breaks, the likely cause and the next step, in that
order, in plain sentences: it is all that a user of the command line sees.
"""

from __future__ import annotations


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


class ResponseError(InputError):
    """A teacher's response does not fit the examples, the classes or the rules of numbers."""


class StudyError(InputError):
    """A study folder cannot be used."""


class RunError(GoodteacherError, RuntimeError):
    """The input was fine, but the work failed."""
