"""A platform that runs our image: its machine calls, combined with the run store in a bucket."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from finetune.data.store_errors import without_user
from finetune.platforms.contract import (
    Bill,
    NoAnswer,
    Offer,
    Reference,
    RemoteStatus,
    Result,
    Stage,
    Submission,
)
from finetune.platforms.run_key import Forgery, RunKey
from finetune.platforms.runs import DONE, LIFE, RunStore


class Machines(Protocol):
    """The platform's own calls: start our image on a machine, show it, end it."""

    def offers(self) -> list[Offer]: ...
    def create(self, submission: Submission) -> str: ...
    def find(self, tag: str) -> list[RemoteStatus]: ...
    def look(self, remote_id: str) -> RemoteStatus: ...
    def cancel(self, remote_id: str) -> None: ...
    def bill(self, remote_id: str) -> Bill | None: ...


class ContainerPlatform:
    """The nine calls of `Adapter` for a platform that runs our image; `runs` is the bucket as this machine reaches it."""

    def __init__(self, machines: Machines, runs: RunStore) -> None:
        self.machines, self.runs = machines, runs

    def offers(self) -> list[Offer]:
        return sorted(self.machines.offers(), key=lambda offer: offer.usd_per_hour)

    def upload(self, submission: Submission) -> list[str]:
        for path, data in submission.files.items():
            self.runs.write(submission.tag, path, data)
        return [f"{without_user(self.runs.url)}/{submission.tag}"]

    def create(self, submission: Submission) -> str:
        return self.machines.create(submission)

    def find(self, tag: str) -> list[RemoteStatus]:
        return self.machines.find(tag)

    def look(self, reference: Reference) -> RemoteStatus:
        """The platform's status with the container's own events; a bucket that does not answer hides only the latter."""
        status = self.machines.look(reference.remote_id)
        if status.unread:
            return replace(status, cursor=reference.cursor)
        key = RunKey(reference.tag, reference.run_key)
        try:
            events, doubt = self.runs.events(key, reference.cursor)
            at, ran_s = self._life(key)
            end, refusal = self._last_word(key)
        except NoAnswer as error:
            return replace(status, cursor=reference.cursor, unread=str(error)[:300])
        return replace(
            status,
            events=tuple(events),
            cursor=reference.cursor + len(events),
            end=end,
            life_at=at,
            ran_s=ran_s if status.ran_s is None else status.ran_s,
            note=doubt or status.note,
            refusal=refusal,
        )

    def _life(self, key: RunKey) -> tuple[float | None, float | None]:
        """When the container last showed life, and the seconds since it began, by its own clock."""
        with suppress(Forgery):
            facts = self.runs.signed(key, LIFE) or {}
            at, since = facts.get("at"), facts.get("since")
            if isinstance(at, int | float):
                return float(at), max(0.0, at - since) if isinstance(since, int | float) else None
        return None, None

    def _last_word(self, key: RunKey) -> tuple[dict[str, Any] | None, str]:
        try:
            return self.runs.signed(key, DONE), ""
        except Forgery as error:
            return None, str(error)

    def cancel(self, reference: Reference) -> None:
        self.machines.cancel(reference.remote_id)

    def result(self, reference: Reference, folder: Path) -> Result:
        return self.runs.fetch(RunKey(reference.tag, reference.run_key), folder)

    def bill(self, reference: Reference) -> Bill | None:
        return self.machines.bill(reference.remote_id)

    def erase(self, reference: Reference) -> list[str]:
        return self.runs.erase(reference.tag)


def stage_of(word: str, stages: dict[str, Stage]) -> tuple[Stage, str]:
    """Our stage for a platform's status, and a note where nobody knows the word: such a job counts as running."""
    stage = stages.get(word)
    if stage is None:
        return Stage.RUNNING, f"the platform says {word[:40]!r}, which is not known here"
    return stage, ""


def matches(tag: str, pattern: str) -> bool:
    """Whether a job's tag is the one that is searched, or begins so where that ends in "-"."""
    return tag.startswith(pattern) if pattern.endswith("-") else tag == pattern
