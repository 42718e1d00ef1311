"""A job's place in a bucket or mounted folder: what it reads, and what it leaves, below any fsspec URL.

URL/TAG/order              signed by the bot: what to run
URL/TAG/data/rows/...      the rows
URL/TAG/claim              create-only: the one container that trains
URL/TAG/stop               signed by the bot: why to stop
URL/TAG/events/000000.json one event each, in order *
URL/TAG/life.json          when it last showed life *
URL/TAG/files/...          weights: safetensors, JSON and plain text, nothing that could run
URL/TAG/report.json        the report and its pictures
URL/TAG/manifest.json      name, size and sha256 of every file of the result, the report among them *
URL/TAG/done.json          written last: how it ended *
URL/TAG/work/...           of a run on several machines: their orders, the attempt and its checkpoints

* with the proof of the run's key (`finetune/platforms/run_key.py`), so that nobody else who may write here is believed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finetune.artifacts import sha256_of
from finetune.data.filesystem import Files
from finetune.data.store_errors import without_user
from finetune.data.ticket import DatasetError
from finetune.platforms.contract import NoAnswer, Result
from finetune.platforms.plain_json import plain_object
from finetune.platforms.run_key import CorruptResult, Forgery, RunKey

ORDER, CLAIM, STOP, LIFE = "order", "claim", "stop", "life.json"
REPORT, MANIFEST, DONE, DATA = "report.json", "manifest.json", "done.json", "data"
WORK = "work"
ALLOWED = (".safetensors", ".json", ".txt", ".md", ".jinja")
UNSENT = "checkpoints/"
SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*){0,6}")
REPORT_BYTES = 4 * 2**20
EVENT_BYTES = 64 * 1024
RESULT_BYTES = 256 * 2**30
EVENTS_AT_ONCE = 200


@dataclass(frozen=True)
class FileEntry:
    """One line of the manifest."""

    name: str
    size: int
    sha256: str


class RunStore:
    """The runs below one URL, as this machine reaches it, with the bucket's `login`. NoAnswer where the store does not answer."""

    def __init__(self, url: str, login: Mapping[str, str] | None = None) -> None:
        self.url = url.rstrip("/")
        with self._translate_errors():
            self._files = Files(self.url, login)

    def write(self, tag: str, path: str, data: bytes) -> None:
        """Write one object of a run, replacing it."""
        with self._translate_errors():
            self._files.write(f"{tag}/{path}", data)

    def upload(self, tag: str, path: str, local: Path) -> None:
        """Copy a file of this machine to one object of a run, in pieces."""
        with self._translate_errors():
            self._files.upload(f"{tag}/{path}", local)

    def read(self, tag: str, path: str, most: int | None = None) -> bytes | None:
        """One object of a run, at most its first `most` bytes; None where there is none."""
        with self._translate_errors():
            return self._files.read(f"{tag}/{path}", most)

    def create(self, tag: str, path: str, data: bytes) -> bool:
        """Write the object only if there is none; False where another writer was first."""
        with self._translate_errors():
            return self._files.create(f"{tag}/{path}", data)

    def signed(self, key: RunKey, path: str, most: int = REPORT_BYTES) -> dict[str, Any] | None:
        """An object that the run's container wrote; None where there is none, Forgery where it does not bear the run's proof."""
        data = self.read(key.tag, path, most + 1)
        if data is None:
            return None
        if len(data) > most:
            raise Forgery(path)
        return key.unseal(path, data)

    def sign(self, key: RunKey, path: str, value: Mapping[str, Any]) -> None:
        """Write an object of the run with the proof of its key."""
        self.write(key.tag, path, key.seal(path, value))

    def append_event(self, key: RunKey, number: int, event: Mapping[str, Any]) -> None:
        """Write event `number`, counted from 0; ValueError for one that is too long."""
        data = key.seal(event_path(number), event)
        if len(data) > EVENT_BYTES:
            raise ValueError(f"an event of {len(data)} bytes")
        self.write(key.tag, event_path(number), data)

    def events(self, key: RunKey, cursor: int) -> tuple[list[dict[str, Any]], str]:
        """The container's events from `cursor` on, in order, as far as they are there, and why the next one is not taken.

        One that does not bear the run's proof ends the list until the container's own stands there.
        """
        events: list[dict[str, Any]] = []
        while len(events) < EVENTS_AT_ONCE:
            try:
                event = self.signed(key, event_path(cursor + len(events)), EVENT_BYTES)
            except Forgery as error:
                return events, str(error)
            if event is None:
                break
            events.append(event)
        return events, ""

    def save_result(
        self, key: RunKey, folder: Path, report: Mapping[str, Any], plots: Mapping[str, str]
    ) -> None:
        """Write the model's files (no checkpoints, nothing that could run), the report and last their signed manifest."""
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
        names = {path.relative_to(folder).as_posix(): path for path in paths}
        entries = []
        for name, path in names.items():
            if name.startswith(UNSENT) or not name.endswith(ALLOWED) or not SAFE.fullmatch(name):
                continue
            with self._translate_errors():
                self._files.upload(f"{key.tag}/files/{name}", path)
            entries.append(asdict(FileEntry(f"files/{name}", path.stat().st_size, sha256_of(path))))
        data = json.dumps({"report": report, "plots": plots}, allow_nan=False).encode()
        self.write(key.tag, REPORT, data)
        entries.append(asdict(FileEntry(REPORT, len(data), hashlib.sha256(data).hexdigest())))
        self.sign(key, MANIFEST, {"files": entries})

    def fetch(self, key: RunKey, folder: Path) -> Result:
        """The result with its files in `folder`; Forgery for another's manifest, CorruptResult where a file is not as it says."""
        manifest = self.signed(key, MANIFEST)
        if manifest is None:
            raise NoAnswer("The manifest of the result is not there yet.")
        for entry in manifest_entries(manifest):
            target = folder / entry.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._translate_errors():
                # of its size only: a stranger's may be larger than the disk
                there = self._files.download(f"{key.tag}/{entry.name}", target, entry.size)
            if not there or target.stat().st_size != entry.size or sha256_of(target) != entry.sha256:
                raise CorruptResult(f"The file {entry.name} that came back is not the one that was written.")
        data = plain_object((folder / REPORT).read_bytes()) or {}
        report, plots = data.get("report"), data.get("plots")
        if not isinstance(report, dict):
            raise CorruptResult("The report that came back cannot be read.")
        return Result(report, plots if isinstance(plots, dict) else {})

    def erase(self, tag: str, but: str = "") -> list[str]:
        """Erase everything of a run, or everything outside its folder `but`; what is still there afterwards, in words."""
        with self._translate_errors():
            for path in self._outside(tag, but):
                self._files.delete(f"{tag}/{path}")
            left = self._outside(tag, but)
            if not left and not but:
                self._files.prune(tag)
            return [f"{without_user(self.url)}/{tag}/{path}" for path in left]

    def _outside(self, tag: str, folder: str) -> list[str]:
        return [path for path in self._files.names(tag) if not folder or not path.startswith(f"{folder}/")]

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except DatasetError as error:
            raise NoAnswer(
                f"The place of the runs, {without_user(self.url)}, does not work: {error}"
            ) from error


def manifest_entries(manifest: Mapping[str, Any]) -> list[FileEntry]:
    """The files of a manifest; CorruptResult for a name that leads out of the folder or a kind that could run."""
    try:
        entries = [FileEntry(str(e["name"]), int(e["size"]), str(e["sha256"])) for e in manifest["files"]]
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptResult("The manifest of the result cannot be read.") from error
    for entry in entries:
        if not SAFE.fullmatch(entry.name) or not entry.name.endswith(ALLOWED):
            raise CorruptResult(
                f"The result holds {entry.name[:80]!r}: only safetensors, JSON and text are taken."
            )
    sizes = {entry.name: entry.size for entry in entries}
    if REPORT not in sizes:
        raise CorruptResult("The manifest of the result names no report.")
    if sizes[REPORT] > REPORT_BYTES or sum(sizes.values()) > RESULT_BYTES or min(sizes.values()) < 0:
        raise CorruptResult("The result is larger than one of ours can be; nothing of it is fetched.")
    return entries


def event_path(number: int) -> str:
    """Where event `number` of a run lies."""
    return f"events/{number:06d}.json"


def earlier_tags(tag: str) -> list[str]:
    """The tags of the job's earlier submissions, newest first."""
    root, _, number = tag.rpartition("-")
    return [f"{root}-{one}" for one in range(int(number) - 1, 0, -1)] if number.isdigit() and root else []
