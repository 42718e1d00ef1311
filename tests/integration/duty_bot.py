"""A process with the parts of the bot that a model on duty needs: duty runner and notifier on a shared ledger.

    python -m tests.integration.duty_bot NAME DATABASE_URL PLACE WORKSPACE_URL TOKEN LEASE_S DIE_AT [FILE]

It reads the channel each second, as if Slack's events never came. With DIE_AT above 0 it is killed (SIGKILL, its own) the
moment that Slack has taken so many messages of it, before it can note that.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bot.slack.app import posting_client
from bot.slack.delivery import duty_runner
from bot.slack.delivery.duty_runner import DutyRunner
from bot.slack.delivery.notifier import Notifier
from worker.ledger import outbox, speaker_lease
from worker.ledger.ledger import Ledger
from worker.ledger.speaker_lease import SpeakerLease, server_time


def main(
    name: str, url: str, place: str, workspace: str, token: str, lease_s: str, die_at: str, *files: str
) -> None:
    """Runs until it is killed."""
    speaker_lease.LEASE_S, speaker_lease.RENEW_S, outbox.SENDING_S = (
        float(lease_s),
        float(lease_s) / 6,
        2 * float(lease_s),
    )
    duty_runner.HISTORY_INTERVAL_S = 1.0
    ledger, client = Ledger(url), posting_client(token, workspace)
    if int(die_at):
        die_after(client, int(die_at))
    notifier = Notifier(client, ledger, 0.2)
    notifier.leader_term = SpeakerLease(ledger.engine, name, lambda: server_time(ledger.engine)).turn
    services: Any = SimpleNamespace(
        ledger=ledger, clock=time.time, wake=notifier.wake, duty=None, is_closed_to_jobs=lambda channel: False
    )
    runner = DutyRunner(services, client, Path(place), files={"C0SUPPORTML": [Path(one) for one in files]})
    services.duty = runner
    runner.start()
    notifier.start()
    print("ready", flush=True)
    signal.pause()


def die_after(client: Any, sends: int) -> None:
    """Ends this process after `sends` posts, when the message is in Slack and the ledger does not know it yet."""
    post, count = client.chat_postMessage, iter(range(1, 10**6))

    def chat_post_message(**message: Any) -> Any:
        answer = post(**message)
        if next(count) == sends:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    client.chat_postMessage = chat_post_message


if __name__ == "__main__":
    main(*sys.argv[1:])
