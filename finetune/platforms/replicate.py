"""Replicate: a training of the version that the team names, which is our own Cog model (`trainwise replicate push`).

Client: httpx. Rows and recipe go up as one file; what the container writes comes back in its log, the weights as its output.
Replicate deletes all three an hour after the end, so each look copies them to a folder of the bot. Its tuning of hosted text
models is not offered: Replicate has withdrawn it. Written from its HTTP reference; driven in tests on loopback; never run live.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import Any

from finetune.platforms.answers import Missing
from finetune.platforms.container import ContainerPlatform, matches, stage_of
from finetune.platforms.contract import (
    ENDED,
    RUN_KEY,
    Adapter,
    BadKey,
    Bill,
    NoAnswer,
    NotMade,
    Offer,
    Platform,
    Reference,
    RemoteStatus,
    Stage,
    Submission,
    Variable,
)
from finetune.platforms.http import TIMEOUT_S, Answer, JsonClient
from finetune.platforms.machine_prices import prices_of
from finetune.platforms.plain_json import plain_object
from finetune.platforms.runs import ALLOWED, DONE, LIFE, MANIFEST, REPORT, REPORT_BYTES, SAFE, RunStore

LABEL = "Replicate"
URL = "https://api.replicate.com/v1"
TRAINERS = "TRAINWISE_REPLICATE_TRAINERS"
FOLDER = "~/.trainwise/replicate"
AGAIN_S = 15.0
PAGES = 5  # of a hundred trainings, newest first, that a search reads
WEIGHTS_BYTES = 8 * 2**30
ECHO = re.compile(r"events/\d{6}\.json|" + "|".join(map(re.escape, (LIFE, DONE, MANIFEST))))
"""What a container's log may hold; each with the proof of the run's key."""
STAGES = {
    "starting": Stage.WAITING,
    "processing": Stage.RUNNING,
    "succeeded": Stage.SUCCEEDED,
    "failed": Stage.FAILED,
    "canceled": Stage.CANCELLED,
    "aborted": Stage.CANCELLED,
}


class Trainings:
    """The trainings of one account; `trainers` are versions (owner/model:version) with the team's price an hour."""

    def __init__(
        self, client: JsonClient, owner: str, trainers: Mapping[str, float], mirror: RunStore
    ) -> None:
        self._client, self._owner, self._trainers, self.mirror = client, owner, trainers, mirror
        self._copies: dict[str, dict[str, int]] = {}

    def offers(self) -> list[Offer]:
        """The versions of the setting: a training runs on the hardware of the model that it is a training of."""
        return [
            Offer(name, name.partition(":")[0], usd, "your setting") for name, usd in self._trainers.items()
        ]

    def upload(self, submission: Submission) -> list[str]:
        """One archive with the order and the rows, named after the tag."""
        name = f"{submission.tag}.zip"
        if not self._uploads(name):
            data = BytesIO()
            with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
                for path, content in submission.files.items():
                    archive.writestr(path, content)
            upload = (name, data.getvalue(), "application/zip")
            self._client.call("POST", "/files", files={"content": upload}, data={"filename": name})
        return [f"{LABEL}, the file {name}"]

    def _uploads(self, name: str) -> list[Answer]:
        return [row for row in self._rows("/files") if row.get("name") == name]

    def _rows(self, path: str) -> Iterator[Any]:
        """The rows of a listing, newest first, page by page."""
        for _ in range(PAGES):
            page = self._client.call("GET", path)
            yield from page["results"]
            after = str(page.get("next") or "").partition("?")[2]
            if not after:
                return
            path = f"{path.partition('?')[0]}?{after}"

    def create(self, submission: Submission) -> str:
        """The model that the training is to push to, named after the tag, then one POST."""
        try:
            files = self._uploads(f"{submission.tag}.zip")
            self._make_destination(submission.tag)
        except NoAnswer as error:  # no training has been asked for
            raise NotMade(str(error), AGAIN_S) from error
        if not files:
            raise NotMade(f"{LABEL} does not list the file that was uploaded yet.", AGAIN_S)
        model, _, version = submission.machine.partition(":")
        body = {
            "destination": f"{self._owner}/{submission.tag}",
            "input": {
                "run": files[0]["urls"]["get"],
                "tag": submission.tag,
                "bot_key": submission.bot_key,
                "run_key": submission.secrets[RUN_KEY],
            },
        }
        answer = self._client.call("POST", f"/models/{model}/versions/{version}/trainings", json=body)
        return str(answer["id"])

    def _make_destination(self, tag: str) -> None:
        """A private model for the tag; there is one already where an earlier answer was lost."""
        try:
            self._client.call("GET", f"/models/{self._owner}/{tag}")
            return
        except Missing:
            pass
        body = {"owner": self._owner, "name": tag, "visibility": "private", "hardware": "cpu"}
        self._client.call("POST", "/models", json=body)

    def find(self, tag: str) -> list[RemoteStatus]:
        rows = [status_of(row) for row in self._rows("/trainings")]
        return [one for one in rows if one.tag and matches(one.tag, tag)]

    def look(self, remote_id: str) -> RemoteStatus:
        """The training; what its log and its output hold is copied here first, as it is gone after an hour, or is `unread`."""
        try:
            training = self._client.call("GET", f"/trainings/{remote_id}")
        except Missing:
            return RemoteStatus(remote_id, Stage.GONE, "404")
        status = status_of(training, training.at)
        try:
            self._copy(training, status)
        except (NoAnswer, OSError) as error:
            return replace(status, unread=f"What {LABEL} shows is not copied yet: {error}"[:300])
        return status

    def _copy(self, training: Mapping[str, Any], status: RemoteStatus) -> None:
        """The proved objects of the log and the files of the output; the last word after the end, as it comes before the output."""
        if not status.tag:
            return
        copies = self._copies.setdefault(status.tag, {})
        for path, text in echoes_of(str(training.get("logs") or "")).items():
            is_early = path == DONE and status.stage not in ENDED
            if not is_early and copies.get(path) != hash(text):  # a long log is not written anew at each look
                self.mirror.write(status.tag, path, text.encode())
                copies[path] = hash(text)
        output = training.get("output")
        url = output.get("weights") if isinstance(output, dict) else None
        if isinstance(url, str) and self.mirror.read(status.tag, REPORT, 1) is None:
            self._copy_output(url, status.tag)

    def _copy_output(self, url: str, tag: str) -> None:
        """The files of the archive, the report last; which of them count, the manifest says."""
        with TemporaryFile() as stream:
            self._client.download(url, stream, WEIGHTS_BYTES)
            try:
                with zipfile.ZipFile(stream) as archive:
                    self._unpack(archive, tag)
            except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
                raise NoAnswer(f"{LABEL} gave an output that is no archive.") from error

    def _unpack(self, archive: zipfile.ZipFile, tag: str) -> None:
        """File by file over the disk, as weights need not fit into the bot's memory."""
        entries = sorted(filter(is_result, archive.infolist()), key=lambda one: one.filename == REPORT)
        sizes = {one.filename: one.file_size for one in entries}
        if sum(sizes.values()) > WEIGHTS_BYTES or sizes.get(REPORT, 0) > REPORT_BYTES:
            raise NoAnswer(f"{LABEL} gives a result that is larger than one of ours can be.")
        for entry in entries:
            with archive.open(entry) as source, NamedTemporaryFile() as copy:
                if entry.filename == REPORT:
                    self.mirror.write(tag, REPORT, source.read())
                    continue
                shutil.copyfileobj(source, copy)
                copy.flush()
                self.mirror.upload(tag, entry.filename, Path(copy.name))

    def cancel(self, remote_id: str) -> None:
        try:
            self._client.call("POST", f"/trainings/{remote_id}/cancel")
        except BadKey:
            raise
        except NotMade as error:
            if error.retry_after_s is not None:
                raise NoAnswer(str(error)) from error
            return  # it has ended or is unknown, as the next look shows

    def bill(self, remote_id: str) -> Bill | None:
        """Seconds that the training ran at the price of its version."""
        try:
            training = self._client.call("GET", f"/trainings/{remote_id}")
        except Missing:
            return None
        status = status_of(training, training.at)
        name = f"{training.get('model')}:{training.get('version')}"
        price = self._trainers.get(name) or max(self._trainers.values())
        seconds = status.ran_s or 0.0
        return Bill(seconds / 3600 * price, status.stage in ENDED, f"{seconds:.0f} s of {name[:80]}")

    def erase(self, tag: str) -> list[str]:
        """The file, and the model with what trainings pushed to it; NoAnswer while Replicate is still deleting."""
        self._copies.pop(tag, None)
        for row in self._uploads(f"{tag}.zip"):
            self._delete(f"/files/{row['id']}")
        place = f"/models/{self._owner}/{tag}"
        try:
            self._client.call("GET", place)
        except Missing:
            return []
        versions = list(self._rows(f"{place}/versions"))
        for row in versions:
            self._delete(f"{place}/versions/{row['id']}")
        if versions:
            raise NoAnswer(f"{LABEL} is still deleting what was pushed to {tag}.")
        self._delete(place)
        return []

    def _delete(self, path: str) -> None:
        try:
            self._client.call("DELETE", path)
        except Missing:
            return
        except NotMade as error:
            if isinstance(error, BadKey):
                raise
            raise NoAnswer(str(error)) from error


class ReplicatePlatform(ContainerPlatform):
    """The nine calls; the place of the runs is a folder of the bot's, which each look fills."""

    machines: Trainings

    def upload(self, submission: Submission) -> list[str]:
        return self.machines.upload(submission)

    def look(self, reference: Reference) -> RemoteStatus:
        self.machines.mirror = self.runs
        return super().look(reference)

    def erase(self, reference: Reference) -> list[str]:
        """The bot's own copy first: Replicate may take long."""
        return self.runs.erase(reference.tag) + self.machines.erase(reference.tag)


def is_result(entry: zipfile.ZipInfo) -> bool:
    """Whether a file of the output may be one of ours: plain kinds, no way out of the folder."""
    name = entry.filename
    is_ours = name == REPORT or name.startswith("files/")
    return is_ours and SAFE.fullmatch(name) is not None and name.endswith(ALLOWED)


def echoes_of(log: str) -> dict[str, str]:
    """What the container wrote, by its path: the lines of a log that name one of its objects; the last of each counts."""
    echoes: dict[str, str] = {}
    for line in log.splitlines():
        start = line.find('{"trainwise": ')
        facts = plain_object(line[start:].encode()) if start >= 0 else None
        path, text = (facts or {}).get("trainwise"), (facts or {}).get("data")
        if isinstance(path, str) and isinstance(text, str) and ECHO.fullmatch(path):
            echoes[path] = text
    return echoes


def echo(path: str, text: str) -> str:
    """One line of a container's log for one of its objects."""
    return json.dumps({"trainwise": path, "data": text})


def status_of(training: Mapping[str, Any], at: float | None = None) -> RemoteStatus:
    """A training in our words; `at` is when it was shown, by Replicate's clock."""
    try:
        stage, note = stage_of(str(training["status"]), STAGES)
        tag = str(training.get("destination") or "").rpartition("/")[2]
        inputs = training.get("input")
        tag = tag or str((inputs if isinstance(inputs, dict) else {}).get("tag") or "")
        start, end = time_of(training.get("started_at")), time_of(training.get("completed_at")) or at
        ran_s = max(0.0, end - start) if start and end else 0.0
        error = str(training.get("error") or "")[:200]
        return RemoteStatus(str(training["id"]), stage, str(training["status"]), tag, ran_s, note or error)
    except (KeyError, TypeError, ValueError) as error:
        raise NoAnswer(f"{LABEL} showed something that is no training ({type(error).__name__}).") from error


def time_of(text: Any) -> float | None:
    """An ISO time as Unix seconds."""
    return datetime.fromisoformat(text).timestamp() if isinstance(text, str) and text else None


def connect(values: Mapping[str, str]) -> Adapter:
    """The adapter of one account."""
    login = {"Authorization": f"Bearer {values['REPLICATE_API_TOKEN']}"}
    url, timeout_s = values.get("TRAINWISE_REPLICATE_URL") or URL, float(values.get("timeout_s") or TIMEOUT_S)
    client = JsonClient(LABEL, url, lambda: login, timeout_s)
    folder = values.get("TRAINWISE_REPLICATE_FOLDER") or FOLDER
    mirror = RunStore(str(Path(folder).expanduser()) if "://" not in folder else folder)
    trainers = prices_of(values[TRAINERS], TRAINERS)
    return ReplicatePlatform(Trainings(client, values["TRAINWISE_REPLICATE_OWNER"], trainers, mirror), mirror)


PLATFORM = Platform(
    name="replicate",
    label=LABEL,
    gives="weights",
    extra="",
    modules=("httpx",),
    variables=(
        Variable("REPLICATE_API_TOKEN", "Token of your Replicate account.", secret=True, default=None),
        Variable(
            "TRAINWISE_REPLICATE_OWNER", "User or organisation that owns the models there.", default=None
        ),
        Variable(
            TRAINERS,
            "Versions of your Trainwise model with dollars an hour of its hardware: `acme/trainwise:VERSION=3.51`.",
            default=None,
        ),
        Variable(
            "TRAINWISE_REPLICATE_FOLDER", "Where results wait until their job has ended.", default=FOLDER
        ),
        Variable("TRAINWISE_REPLICATE_URL", "Another address of Replicate's API.", default=URL),
    ),
    connect=connect,
    leaves="to Replicate's file store, erased at the end.",
    hears_stop=False,
    settle_s=120.0,
    steps=(
        "Make a token, and a model on replicate.com with the hardware to train on.",
        "`trainwise replicate push OWNER/MODEL` on a machine with Docker and Cog, and note the version that it prints.",
        "Set REPLICATE_API_TOKEN and the TRAINWISE_REPLICATE_* settings, and start the bot again.",
        "`trainwise doctor` lists the account's trainings. Tuning of Replicate's hosted text models is not offered: Replicate withdrew it.",
    ),
)
