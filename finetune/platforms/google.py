"""What Vertex AI's platforms share: the login by a service account, the words for a job's state, times."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from finetune.platforms.answers import Missing
from finetune.platforms.contract import BadKey, NoAnswer, NotMade, PlatformError, Stage, Variable
from finetune.platforms.http import JsonClient
from finetune.wires.google import Account

CREDENTIALS = Variable(
    "GOOGLE_APPLICATION_CREDENTIALS", "Path of the service account's key file.", default=None
)
KEY = "trainwise"  # of the label that holds our tag
STAGES = {
    "JOB_STATE_QUEUED": Stage.WAITING,
    "JOB_STATE_PENDING": Stage.WAITING,
    "JOB_STATE_RUNNING": Stage.RUNNING,
    "JOB_STATE_SUCCEEDED": Stage.SUCCEEDED,
    "JOB_STATE_PARTIALLY_SUCCEEDED": Stage.SUCCEEDED,
    "JOB_STATE_FAILED": Stage.FAILED,
    "JOB_STATE_CANCELLING": Stage.RUNNING,
    "JOB_STATE_CANCELLED": Stage.CANCELLED,
    "JOB_STATE_PAUSED": Stage.RUNNING,
    "JOB_STATE_UPDATING": Stage.RUNNING,
    "JOB_STATE_EXPIRED": Stage.GONE,
}


class Login:
    """The bearer token of a service account's key file; `text` is the file's, as the chat wire takes it."""

    def __init__(self, label: str, path: str, timeout_s: float) -> None:
        self._label = label
        try:
            self.text = Path(path).read_text(encoding="utf-8")
            self._account = Account(json.loads(self.text), timeout_s)
        except (OSError, ValueError) as error:
            raise PlatformError(
                f"{CREDENTIALS.name} names {path}, which is no key file of a service account."
            ) from error

    def headers(self) -> dict[str, str]:
        """The header with a token that is still valid; BadKey where Google does not give one."""
        from google.auth.exceptions import GoogleAuthError, TransportError

        try:
            return self._account.headers()
        except TransportError as error:
            raise NoAnswer(f"{self._label}: Google gave no token ({type(error).__name__}).") from error
        except GoogleAuthError as error:
            raise BadKey(f"{self._label} refuses the service account: check {CREDENTIALS.name}.") from error


def time_of(text: str) -> float:
    """Google's RFC 3339 time as Unix seconds."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def labelled_jobs(client: JsonClient, path: str, rows: str, tag: str) -> list[Mapping[str, Any]]:
    """The jobs at `path` whose label is `tag`, all that have one where it is a prefix ("tw-") or empty; `rows` is their field.

    A prefix is not looked at here: whoever asks keeps what matches.
    """
    pattern = f"labels.{KEY}:*" if tag.endswith("-") or not tag else f'labels.{KEY}="{tag}"'
    jobs: list[Mapping[str, Any]] = []
    page = ""
    while True:
        answer = client.call("GET", path, params={"filter": pattern, "pageToken": page})
        jobs += answer.get(rows, [])
        page = answer.get("nextPageToken", "")
        if not page:
            return jobs


def cancel_job(client: JsonClient, path: str) -> None:
    """Ask for the end of the job at `path`; one that is unknown or has ended is left to the next look."""
    try:
        client.call("POST", f"{path}:cancel", json={})
    except Missing:
        return
    except NotMade as error:
        if isinstance(error, BadKey) or error.retry_after_s is not None:
            raise
