"""What a ping of `trainwise doctor` gives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """`ok` works, `off` is an option not in use, `warn` works but should be looked at, `fail` does not."""

    OK = "ok"
    OFF = "off"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What one ping found, and the next step where there is one."""

    name: str
    level: Level
    detail: str
    fix: str = ""
