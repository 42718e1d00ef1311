"""Checks a dataset's labels in a low-priority child process and sends the doubtful ones to one person.

`trainwise datasets check` does the work (finetune/evaluation/label_noise.py) and stores the counts on the card, so the bot's
process stays light. A doubtful label is a question to a person, not a verdict.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

from bot.errors import BotError
from bot.slack.failures import send_ephemeral, send_error
from bot.slack.services import Services
from bot.slack.users import Person
from finetune.data.card import Card

LONGEST_S = 900
log = logging.getLogger(__name__)


def can_check(card: Card) -> str:
    """The reason why the labels of this dataset cannot be checked; "" when they can."""
    from finetune.evaluation.label_noise import MIN_CLASS_ROWS

    if card.kind != "triage":
        return f"{card.name} has no labels: it teaches replies."
    if sum(count >= MIN_CLASS_ROWS for _, count in card.classes) < 2:
        return f"Labels can be checked from two queues of {MIN_CLASS_ROWS} tickets on."
    return ""


def check_labels(
    services: Services,
    client: WebClient,
    card: Card,
    person: Person,
    channel: str,
    then: Callable[[Card], None] | None = None,
) -> None:
    """Queues the check; the person privately gets the doubtful labels as a file, and `then` gets the updated card.

    Without `then` the person asked for the check and is also told when no label is doubtful.
    """
    if why := can_check(card):
        if then is None:
            raise BotError(why)
        return

    def work(_stop: threading.Event) -> None:
        try:
            with tempfile.TemporaryDirectory(dir=services.home, prefix="labels-") as folder:
                suspects_file = Path(folder) / f"{card.name}.labels.csv"
                _run(card, suspects_file, services.team)
                latest = services.datasets.get(card.digest)
                _tell(client, latest, person, channel, suspects_file, on_request=then is None)
            if then is not None:
                then(latest)
        except Exception as error:  # the edge: this thread has no caller to tell
            if then is None:
                send_error(client, error, channel, person.id)
            else:
                log.warning("labels of %s were not checked", card.name, exc_info=error)

    services.thread_queue.submit(("labels",), work)


def _run(card: Card, suspects_file: Path, team: str) -> None:
    polite = ["nice", "-n", "5"] if shutil.which("nice") else []
    command = [
        *polite,
        sys.executable,
        "-m",
        "bot.cli",
        "datasets",
        "check",
        card.digest,
        "--out",
        str(suspects_file),
    ]
    try:
        whose = {**os.environ, "TRAINWISE_TEAM": team} if team else None
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=LONGEST_S, env=whose)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as failed:
        log.warning("checking labels: %s", str(failed.stderr or failed).strip()[-500:])
        raise BotError(
            f"The labels of {card.name} could not be checked. Try `/datasets check {card.name}` later."
        ) from failed


def _tell(
    client: WebClient, card: Card, person: Person, channel: str, suspects_file: Path, on_request: bool
) -> None:
    suspects, total = int(card.noise.get("suspects", 0)), int(card.noise.get("checked", 0))
    if not suspects:
        if on_request:
            send_ephemeral(
                client,
                f"None of {total:,} labels of {card.name} looks wrong.",
                channel,
                person.id,
                mark="✅",
            )
        return
    text = (
        f"{suspects:,} of {total:,} labels of `{card.name}` look wrong to a model that never saw them. Each is a "
        f"question, not a verdict: `/datasets repair {card.name}` asks you about them one by one."
    )
    try:
        direct = client.conversations_open(users=[person.id])["channel"]["id"]
        client.files_upload_v2(
            channel=direct,
            file=str(suspects_file),
            filename=suspects_file.name,
            title=f"Doubtful labels of {card.name}",
            initial_comment=text,
        )
    except SlackClientError:
        send_ephemeral(client, f"{text} The list could not be sent.", channel, person.id)
