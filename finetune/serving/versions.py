"""The served models' folders: one a name, a folder for each version in it, and a pointer that says which one answers.

PLACE/NAME/versions/VERSION/...    a version, whole or not there at all
PLACE/NAME/current.json            the pointer, changed in one step; moving it back is a rollback
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from finetune.artifacts import write_whole
from finetune.errors import FinetuneError

SERVED = "served.json"  # a version's own card, written last
POINTER = "current.json"
DEFAULT_ERROR_RATE = 0.1


class VersionError(FinetuneError):
    """There is no such served model or version, or it cannot be what it is asked to be."""


@dataclass(frozen=True)
class Pointer:
    """Which version answers, which one did before, and a second one that gets `percent` of the tickets."""

    current: str
    previous: str | None = None
    trial: str | None = None
    percent: float = 0.0
    error_rate: float = DEFAULT_ERROR_RATE
    why: str = ""
    at: float = 0.0

    def version_for(self, ticket_id: str) -> str:
        """The version that answers this ticket: always the same one for the same id and percent."""
        if self.trial is None or not self.percent > 0:
            return self.current
        is_drawn = hashed_share(f"{self.trial}:{ticket_id}") < self.percent / 100
        return self.trial if is_drawn else self.current


def hashed_share(key: str) -> float:
    """A deterministic number in [0, 1) per key, uniform over keys."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def name_of(text: str) -> str:
    """A dataset's or a person's name as the name of a served model: lower case, digits and hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60]
    if not name:
        raise VersionError("A served model needs a name of letters and digits.")
    return name


class Versions:
    """The versions of one served model in `place`."""

    def __init__(self, place: Path, name: str) -> None:
        self.name = name_of(name)
        self.folder = place / self.name

    def folder_of(self, version: str) -> Path:
        """The version's folder, whether or not it is there."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", version):
            raise VersionError(f"`{version[:40]}` is no name of a version.")
        return self.folder / "versions" / version

    def list(self) -> list[str]:
        """All whole versions, the oldest first."""
        cards = sorted(self.folder.glob(f"versions/*/{SERVED}"), key=lambda card: card.stat().st_mtime)
        return [card.parent.name for card in cards if not card.parent.name.startswith(".")]

    def add(self, version: str, write: Callable[[Path], Any]) -> Path:
        """Write a new version's files by `write(folder)`; it shows only once it is whole. One that is there stays."""
        folder = self.folder_of(version)
        if (folder / SERVED).is_file():
            return folder
        draft = folder.with_name(f".{version}.{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        try:
            write(draft)
            shutil.rmtree(folder, ignore_errors=True)
            draft.replace(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return folder

    def pointer(self) -> Pointer:
        """Which version answers now; VersionError where none was ever named."""
        try:
            data = json.loads((self.folder / POINTER).read_text())
            return Pointer(**{name: data[name] for name in Pointer.__dataclass_fields__ if name in data})
        except FileNotFoundError:
            raise VersionError(
                f"Nothing is served as `{self.name}`: name a job, `trainwise serve JOB`."
            ) from None
        except (ValueError, TypeError) as error:
            raise VersionError(
                f"{self.folder / POINTER} is damaged: name the version anew, `trainwise versions {self.name} --use VERSION`."
            ) from error

    def use(self, version: str, why: str, error_rate: float | None = None) -> Pointer:
        """Let this version answer every ticket from now on; the one before is where a rollback goes."""
        self._check(version)
        try:
            before = self.pointer()
        except VersionError:
            before = Pointer(version)
        rate = before.error_rate if error_rate is None else error_rate
        if before.current == version:
            return self._write(replace(before, trial=None, percent=0.0, error_rate=rate, why=why))
        return self._write(Pointer(version, before.current, error_rate=rate, why=why))

    def share(self, version: str, percent: float, why: str) -> Pointer:
        """Give a second version this percentage of the tickets; 0 takes it away."""
        self._check(version)
        if not 0 <= percent <= 100:
            raise VersionError(f"A share of {percent:g}% is none: give 0 to 100.")
        pointer = self.pointer()
        if version == pointer.current:
            raise VersionError(f"`{version}` answers already; a share is for a second version.")
        trial = version if percent else None
        return self._write(replace(pointer, trial=trial, percent=float(percent), why=why))

    def roll_back(self, why: str, version: str | None = None) -> Pointer | None:
        """Roll back `version` (by default the current one): removes its share, or restores the previous version.

        None where there is nothing to go back to; then nothing changes.
        """
        pointer = self.pointer()
        version = version or pointer.current
        if version == pointer.trial:
            return self._write(replace(pointer, trial=None, percent=0.0, why=why))
        if version != pointer.current or pointer.previous not in self.list():
            return None
        rest = Pointer(str(pointer.previous), error_rate=pointer.error_rate, why=why)
        return self._write(rest)

    def _check(self, version: str) -> None:
        if not (self.folder_of(version) / SERVED).is_file():
            there = ", ".join(self.list()) or "none yet"
            raise VersionError(f"`{self.name}` has no version `{version}`. There are: {there}.")

    def _write(self, pointer: Pointer) -> Pointer:
        pointer = replace(pointer, at=time.time())
        write_whole(self.folder / POINTER, json.dumps(asdict(pointer), indent=1))
        return pointer


def names_served(place: Path) -> list[str]:
    """The names under which something is served in `place`."""
    names = []
    for folder in sorted(place.glob("*/")):
        try:
            Versions(place, folder.name).pointer()
        except VersionError:
            continue
        names.append(folder.name)
    return names
