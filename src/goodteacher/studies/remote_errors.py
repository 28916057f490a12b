"""What can go wrong at a URL: tried again for a while, and then said in words."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from goodteacher.errors import GoodteacherError, StorageError, StudyError
from goodteacher.studies.places import Url
from goodteacher.studies.progress import logger

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds for which a service that cannot be reached is asked again before the work ends."""

_PAUSES = 0.5, 8.0
"""Seconds between the first two tries, and at most; each pause is about twice the one before."""

_KEPT = (
    "What was finished before is kept: once this is fixed, the same command continues from there."
)

_CREDENTIALS = ("Credentials", "ProfileNotFound", "TokenRetrieval", "SSOToken", "UnauthorizedSSO")
_WRONG = ("ParamValidation", "InvalidRegion", "NoRegion", "UnknownService", "InvalidEndpoint")


class OvertakenError(Exception):
    """An object was written by somebody else since it was read: a conditional write failed."""


def persistently(place: Url, call: Callable[[], T], *, patience: float | None = None) -> T:
    """Do something at a URL, again and again while its service cannot be reached.

    Args:
        place: The study, for messages.
        call: Does it; to do it twice must be the same as to do it once.
        patience: Seconds in all; :data:`PATIENCE` unless given.

    Raises:
        FileNotFoundError: As ``call`` does.
        FileExistsError: As ``call`` does.
        OvertakenError: A conditional write failed.
        StorageError: The service could not be reached.
        StudyError: Everything else, in words.
    """
    patience = PATIENCE if patience is None else patience
    begun, pause = time.monotonic(), _PAUSES[0]
    while True:
        try:
            return call()
        except (FileNotFoundError, FileExistsError, GoodteacherError):
            raise
        except Exception as error:
            if code_of(error) in ("412", "PreconditionFailed"):
                raise OvertakenError(str(error)) from error
            waited = time.monotonic() - begun
            if not is_passing(error) or waited + pause > patience:
                kind = StorageError if is_passing(error) else StudyError
                raise kind(told(place, error, waited)) from error
            if pause == _PAUSES[0]:
                logger.log(logging.INFO, "%s cannot be reached; trying again", place)
            time.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(2 * pause, _PAUSES[1])


def is_passing(error: Exception) -> bool:
    """Say whether an error may be gone soon: of the network, or of a service that is busy."""
    if isinstance(error, PermissionError | NotImplementedError | ImportError | ValueError):
        return False
    name = type(error).__name__
    if any(word in name for word in (*_CREDENTIALS, *_WRONG)):
        return False
    if isinstance(error, OSError | TimeoutError):
        return code_of(error) not in ("400", "405", "InvalidBucketName", "InvalidRequest", "501")
    return type(error).__module__.partition(".")[0] in ("botocore", "aiohttp", "aiobotocore")


def told(place: Url, error: Exception, waited: float) -> str:
    """Return what to say about an error that ended the work."""
    reason = (str(error).strip() or type(error).__name__).partition("\n")[0].rstrip(". ")[:300]
    if isinstance(error, PermissionError):
        return (
            f"{place} may not be used with the credentials that are set: {reason}. Have rights to "
            f"read, write and list given to them, or set others. {_KEPT}"
        )
    if any(word in type(error).__name__ for word in _CREDENTIALS):
        return (
            f"{place} needs credentials, and none were found: {reason}. Set them as for any tool, "
            "for S3 by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile by AWS_PROFILE."
        )
    if is_passing(error):
        return (
            f"{place} could not be reached for {waited:.0f} seconds: {reason}. Is the network up, "
            f"and the endpoint right (for S3: AWS_ENDPOINT_URL)? {_KEPT}"
        )
    return f"{place} cannot be used: {reason}. {_KEPT}"


def missing_bucket(place: Url, error: Exception) -> StudyError:
    """Return what to say where not even the bucket of a study is there."""
    reason = (str(error).strip() or "not found").partition("\n")[0].rstrip(". ")[:300]
    bucket = place.partition("://")[2].partition("/")[0]
    return StudyError(
        f"{place} cannot be used: {reason}. Is there a bucket {bucket!r}? Buckets are not made: "
        "make it, or name another with --out."
    )


def code_of(error: BaseException) -> str | None:
    """Return the code of a service's answer, such as ``412``, where an error holds one."""
    for each in _causes(error):
        answer = getattr(each, "response", None)
        if isinstance(answer, dict):
            return str(answer.get("Error", {}).get("Code"))
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
