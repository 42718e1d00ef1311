"""Removes secrets from log lines and error texts.

Covers: the values it was given, Slack, OpenAI and model hub tokens, bearer headers, passwords in addresses, private keys.
Does not cover: secrets of unknown shape that it was not given.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

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


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message or event with its fields, traceback; no secret."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if (event := getattr(record, "event", None)) is not None:
            line |= {"event": event, **getattr(record, "fields", {})}
        else:
            line["message"] = record.getMessage()
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps({name: self._scrub(value) for name, value in line.items()})

    def _scrub(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        return scrub(str(value), self._secrets)


def log_event(log: logging.Logger, event: str, **fields: Any) -> None:
    """One line at info for something that happened: `event`, then ids and figures by name.

    Never a ticket, a question or an answer: a log is read by people whom those do not concern.
    """
    figures = {name: value for name, value in fields.items() if value is not None}
    text = " ".join([event, *(f"{name}={value}" for name, value in figures.items())])
    log.info("%s", text, extra={"event": event, "fields": figures})


def start_logging(level: str, secrets: Iterable[str] = (), form: str = "text") -> None:
    """Logs of this process go to stderr, scrubbed, as text or as one JSON object a line (`form` "json").

    A bucket's library would write its signed headers at debug, so it stays at warning.
    """
    for library in ("botocore", "aiobotocore", "s3fs"):
        logging.getLogger(library).setLevel(logging.WARNING)
    handler = logging.StreamHandler()
    plain = ScrubbingFormatter("%(asctime)s %(name)s %(message)s", secrets)
    handler.setFormatter(JsonFormatter(secrets) if form == "json" else plain)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
