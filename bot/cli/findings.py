"""The result of a check of `trainwise doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """`ok`: it works; `off`: an option that is not used; `warn`: it works but needs attention; `fail`: it does not work."""

    OK = "ok"
    OFF = "off"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """The result of one check, and the next step if there is one."""

    name: str
    level: Level
    detail: str
    fix: str = ""
