"""Downloads a file that someone shared in Slack to a private temporary path.

The file's id comes from a payload, so Slack is asked about it; the bot's token goes only to Slack's own hosts.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.errors import BotError
from bot.slack.ui.escape import one_line, visible

MOST_BYTES = 200_000_000
TokenSource = Callable[[], str]
"""Returns the bot's current token; a rotated token is valid for hours only."""
CHUNK = 1 << 16


class BadFile(BotError):
    """The file cannot be used; the text says why and what to do."""


@dataclass(frozen=True)
class SlackFile:
    """Slack's record of a file; `name` is a bare name, never a path."""

    id: str
    name: str
    size: int
    url: str
    owner: str
    channels: frozenset[str]
    permalink: str = ""  # where a person sees it in Slack


def find_shared_file(client: WebClient, file_id: str, user: str, channel: str) -> SlackFile:
    """The file, if this person shared it or it was shared in this channel; else raises BadFile."""
    try:
        info: dict[str, Any] = client.files_info(file=file_id)["file"]
    except SlackApiError as refused:
        if refused.response.get("error") in ("file_not_found", "file_deleted"):
            raise BadFile("Slack no longer has this file. Share it again.") from refused
        raise
    places = frozenset(str(c) for key in ("channels", "groups", "ims") for c in info.get(key) or [])
    owner = str(info.get("user", ""))
    if owner != user and channel not in places:
        raise BadFile("This file was not shared here. Share it in this channel and try again.")
    url = str(info.get("url_private_download") or info.get("url_private") or "")
    name = one_line(Path(visible(str(info.get("name") or "file"))).name, 120) or "file"
    return SlackFile(
        file_id, name, int(info.get("size") or 0), url, owner, places, str(info.get("permalink") or "")
    )


def check_publishing(file: SlackFile, scope: str, user: str, admin: bool) -> None:
    """Raises BadFile when a person would show a colleague's file to the whole workspace; only its owner or an admin may."""
    if scope == "workspace" and file.owner != user and not admin:
        raise BadFile(
            f"{file.name} is a colleague's file. You can add it for this channel; for the whole workspace only "
            "whoever shared it or an admin can."
        )


def downloader(
    token: TokenSource, hosts: frozenset[str], timeout_s: float = 60, most: int = MOST_BYTES
) -> Callable[[str, Path], None]:
    """Returns a function that downloads a file from Slack to a path; it refuses other hosts and redirects.

    It stops after `most` bytes, whatever size Slack declared.
    """

    def download(url: str, path: Path) -> None:
        parts = urlsplit(url)
        place = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        if place not in hosts and not (parts.scheme == "https" and place.endswith(".slack.com")):
            raise BadFile("This file is not kept by Slack, so I did not fetch it. Upload it to Slack itself.")
        headers = {"Authorization": f"Bearer {token()}"}
        size = 0
        with (
            httpx.stream("GET", url, headers=headers, timeout=timeout_s, follow_redirects=False) as answer,
            path.open("wb") as out,
        ):
            if answer.status_code != 200:
                raise BadFile("Slack did not hand out this file. Share it again and try once more.")
            for chunk in answer.iter_bytes(CHUNK):
                size += len(chunk)
                if size > most:
                    raise BadFile(_too_large(size, most))
                out.write(chunk)

    return download


@contextlib.contextmanager
def downloaded_copy(file: SlackFile, download: Callable[[str, Path], None], home: Path) -> Iterator[Path]:
    """Downloads the file under its own name; deletes it after the block."""
    if file.size > MOST_BYTES:
        raise BadFile(_too_large(file.size))
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix="upload-") as folder:
        path = Path(folder) / file.name.replace("/", "_").lstrip(".")[:120]
        download(file.url, path)
        yield path


def _too_large(size: int, most: int = MOST_BYTES) -> str:
    return (
        f"This file has {size / 1e6:,.0f} MB and {most / 1e6:,.0f} MB is the most. "
        "Send the newest part of it, or use `trainwise datasets add` on the machine."
    )
