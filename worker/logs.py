"""Secrets taken out of log lines and of error text before anyone else reads them.

Covers: the values it was told, Slack, OpenAI and model hub tokens, bearer headers, passwords in addresses, private keys.
Does not cover: secrets of unknown shape that it was not told.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

SHAPES = (
    re.compile(r"\bx(?:ox[a-z]|app)-[A-Za-z0-9-]{8,}"),
    re.compile(r"\bsk-[A-Za-z0-9_-]{16,}"),
    re.compile(r"\bhf_[A-Za-z0-9]{8,}"),
    re.compile(r"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"),
    re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"),
)
SHORTEST = 6
HIDDEN = "***"


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with everything that looks like a secret, and each of `secrets`, as asterisks."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = text.replace(secret, HIDDEN)
    for shape in SHAPES:
        text = shape.sub(HIDDEN, text)
    return text


class ScrubbingFormatter(logging.Formatter):
    """A formatter whose lines, tracebacks included, hold no secret."""

    def __init__(self, fmt: str, secrets: Iterable[str] = ()) -> None:
        super().__init__(fmt)
        self._secrets = tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return scrub(super().format(record), self._secrets)


def start_logging(level: str, secrets: Iterable[str] = ()) -> None:
    """Logs of this process go to stderr, scrubbed; a bucket's library would write its signed headers at debug."""
    for library in ("botocore", "aiobotocore", "s3fs"):
        logging.getLogger(library).setLevel(logging.WARNING)
    handler = logging.StreamHandler()
    handler.setFormatter(ScrubbingFormatter("%(asctime)s %(name)s %(message)s", secrets))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
