"""Translates the errors of a store (keys, regions, buckets, networks) into sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from finetune.data.ticket import DatasetError

KEYLESS = ("NoCredentials", "PartialCredentials", "ProfileNotFound", "CredentialRetrieval", "TokenRetrieval")
ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301")


class StoreUnreachable(DatasetError):
    """The store did not answer: nothing is wrong with the rows, and a later try may work."""

    retryable = True


@contextmanager
def translate_errors(url: str) -> Iterator[None]:
    """Translates a store's errors into DatasetError; lets FileNotFoundError and FileExistsError pass."""
    try:
        yield
    except FileExistsError:
        raise
    except FileNotFoundError as missing:
        if code_of(missing) != "NoSuchBucket":
            raise
        message = f"There is no bucket for {without_user(url)}."
        raise DatasetError(message, what_next="Make it, or correct TRAINWISE_DATASETS_URL.") from missing
    except DatasetError:
        raise
    except Exception as error:  # each store's library has its own error classes
        raise _explain(without_user(url), error) from error


def _explain(place: str, error: Exception) -> DatasetError:
    name, code = type(error).__name__, code_of(error)
    if name.startswith(KEYLESS):
        message = f"There are no usable credentials here for {place} ({name})."
        next_step = (
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE) where bot and workers run."
        )
        return DatasetError(message, what_next=next_step)
    if code in ELSEWHERE:
        return DatasetError(
            f"{place} is in another region ({code}).", what_next="Set AWS_DEFAULT_REGION to the bucket's."
        )
    if isinstance(error, PermissionError):
        next_step = (
            "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; they must list, read, write and delete there."
        )
        return DatasetError(f"{place} refuses these credentials ({code or name}).", what_next=next_step)
    next_step = "Check the network, and AWS_ENDPOINT_URL if it is set; then try again. Nothing was lost."
    return StoreUnreachable(f"{place} does not answer ({code or name}).", what_next=next_step)


def code_of(error: BaseException) -> str:
    """The store's own word for an error (S3: `NoSuchBucket`, `AccessDenied`), empty if it has none."""
    for one in (error, error.__cause__):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""


def without_user(url: str) -> str:
    """The address without a user or key in it."""
    return re.sub(r"(?<=://)[^/]*@", "", url)
