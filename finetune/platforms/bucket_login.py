"""The login of a platform's bucket: its own where its settings name one, so that two platforms may have two buckets."""

from __future__ import annotations

from collections.abc import Mapping

from finetune.platforms.contract import Variable

KEY, SECRET, ENDPOINT = "_S3_KEY_ID", "_S3_SECRET_KEY", "_S3_ENDPOINT"


def bucket_variables(prefix: str, label: str) -> tuple[Variable, ...]:
    """The three settings of an S3 login; empty ones are looked for as S3 clients do (AWS_*)."""
    return (
        Variable(f"{prefix}{KEY}", f"Key id for the bucket of {label}; empty: AWS_ACCESS_KEY_ID."),
        Variable(f"{prefix}{SECRET}", f"Secret key for the bucket of {label}.", secret=True),
        Variable(f"{prefix}{ENDPOINT}", f"Address of the bucket of {label}; empty: AWS_ENDPOINT_URL."),
    )


def bucket_login(values: Mapping[str, str], prefix: str) -> dict[str, str]:
    """The login as the bucket's client takes it; what is not set is left to the client."""
    names = {"key": KEY, "secret": SECRET, "endpoint_url": ENDPOINT}
    return {word: values[prefix + end] for word, end in names.items() if values.get(prefix + end)}
