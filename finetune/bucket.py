"""A bucket behind the dataset store: how it is opened, what its refusals mean, deleting that leaves nothing behind.

Addresses and keys come from where the store's own library looks for them: for S3 the variables AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION and AWS_PROFILE, or the machine's role.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from finetune.data.ticket import DatasetError

S3 = ("s3", "s3a")
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
KEYLESS = ("NoCredentials", "PartialCredentials", "ProfileNotFound", "CredentialRetrieval", "TokenRetrieval")
ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301")
SECOND = ("PreconditionFailed", "ConditionalRequestConflict", "412")
PATIENCE = {
    "connect_timeout": 3,
    "read_timeout": 10,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}
"""A bucket that is down is told within seconds: a person waits, or the job is tried again by its worker."""


class StoreUnreachable(DatasetError):
    """The store did not answer: nothing is wrong with the rows, and a later try may work."""

    retryable = True


def open_store(url: str) -> tuple[Any, str]:
    """(fsspec file system, root path) of a URL; DatasetError names the package that is missing."""
    from fsspec.core import url_to_fs

    scheme = url.split("://", maxsplit=1)[0] if "://" in url else ""
    options = {"use_listings_cache": False, "config_kwargs": PATIENCE} if scheme in S3 else {}
    try:
        fs, root = url_to_fs(url, **options)
    except (ImportError, ValueError) as error:
        wanted = f"`pip install {PACKAGES[scheme]}`" if scheme in PACKAGES else "the fsspec package for it"
        raise DatasetError(
            f"The dataset store cannot use {scheme or url}:// addresses here.",
            what_next=f"Install {wanted} where bot and workers run, or use a folder.",
        ) from error
    if scheme in S3:
        fs.retries = 1  # on top of botocore's own: a store that hangs would be waited for 15 times
    return fs, str(root).rstrip("/")


@contextmanager
def in_words(url: str) -> Iterator[None]:
    """What a store answers instead of doing its work, as DatasetError; a missing or existing file passes."""
    try:
        yield
    except FileExistsError:
        raise
    except FileNotFoundError as missing:
        if code_of(missing) != "NoSuchBucket":
            raise
        told = f"There is no bucket for {without_user(url)}."
        raise DatasetError(told, what_next="Make it, or correct TRAINWISE_DATASETS_URL.") from missing
    except DatasetError:
        raise
    except Exception as error:  # the edge: each store's library has its own kinds
        raise _explain(without_user(url), error) from error


def _explain(place: str, error: Exception) -> DatasetError:
    name, code = type(error).__name__, code_of(error)
    if name.startswith(KEYLESS):
        next_step = (
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE) where bot and workers run."
        )
        return DatasetError(
            f"There are no usable credentials here for {place} ({name}).", what_next=next_step
        )
    if code in ELSEWHERE:
        return DatasetError(
            f"{place} is in another region ({code}).", what_next="Set AWS_DEFAULT_REGION to the bucket's."
        )
    if isinstance(error, PermissionError):
        next_step = (
            "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; they must be allowed to list, read, write and "
            "delete there."
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


def was_second(error: OSError) -> bool:
    """Whether a create-only write failed because another writer was first, or wrote at the same moment."""
    return isinstance(error, FileExistsError) or code_of(error) in SECOND


def erase(fs: Any, path: str) -> None:
    """Delete an object for good: in a bucket that keeps old versions, all of them and the marks of deletion."""
    bucket, _, key = path.partition("/")
    answer = fs.call_s3("delete_object", Bucket=bucket, Key=key)
    if not (answer.get("DeleteMarker") or answer.get("VersionId")):
        return
    try:
        kept = fs.call_s3("list_object_versions", Bucket=bucket, Prefix=key)
        for one in [*kept.get("Versions", ()), *kept.get("DeleteMarkers", ())]:
            if one["Key"] == key:
                fs.call_s3("delete_object", Bucket=bucket, Key=key, VersionId=one["VersionId"])
    except PermissionError as refused:
        raise DatasetError(
            f"The bucket {bucket} keeps old versions and these credentials may not delete them: the rows are "
            "still in them.",
            what_next="Allow s3:ListBucketVersions and s3:DeleteObjectVersion, then do this again.",
        ) from refused


def without_user(url: str) -> str:
    """The address without a user or key in it."""
    return re.sub(r"(?<=://)[^/]*@", "", url)
