"""A ledger and a notifier with a clock that the test moves, against a real local workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bot.demo.transcript import message_lines
from bot.playground import Person, Playground
from bot.playground.state.seed import BOT_USER
from bot.slack.app import posting_client
from bot.slack.delivery.notifier import Notifier
from worker.jobs.records import Job, JobRequest
from worker.jobs.states import State
from worker.ledger.apply_events import apply_event
from worker.ledger.database import writing
from worker.ledger.ledger import Ledger
from worker.ledger.outbox import _pairs
from worker.transport.events import WorkerEvent

MANIFEST = yaml.safe_load((Path(__file__).parents[2] / "manifest.yml").read_text())
CHANNEL, RAVI = "C0SUPPORTML", "U0RAVI00001"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
REPORT = {
    "kind": "finetune",
    "headline": "LoRA reads 86.5% right.",
    "worth_it": "yes",
    "systems": [{"name": "Majority class", "role": "baseline", "accuracy": {"value": 0.2}}],
    "plots": [{"file": "loss.png", "title": "Loss", "alt": "Loss by step"}],
}
FORM = {"method": "lora", "base_model": "minilm", "epochs": 3}


class NotifierHarness:
    """A ledger and a notifier that share the test's clock, and the workspace that receives their posts."""

    def __init__(self, workspace: Playground, folder: Path) -> None:
        self.workspace, self.now, self.queue = workspace, 1_000_000.0, True
        self.ledger = Ledger(str(folder / "ledger.db"), clock=self.clock)
        self.client = posting_client(workspace.bot_token, workspace.api_url)
        self.notifier = self.open_notifier()
        self.ravi = Person(workspace.url, "ravi", timeout=5)
        self.since = workspace.state()["calls"]
        self.seq = 0

    def open_notifier(self) -> Notifier:
        """A new notifier, as after a restart of the bot."""
        return Notifier(self.client, self.ledger, 3.0, lambda: self.queue, self.clock, self.clock)

    def clock(self) -> float:
        """The one clock of ledger and notifier, in seconds."""
        return self.now

    def submit(self) -> Job:
        """A queued job of Ravi's in #support-ml."""
        self.seq += 1
        request = f"{self.now}:{self.seq}"
        return self.ledger.submit(
            JobRequest("finetune", FORM, "sample-tickets", RAVI, "ravi", "T1", CHANNEL, None, request)
        )

    def event(self, job: Job, kind: str, **data: Any) -> None:
        """Applies the next event of the job's worker."""
        live = _pairs(self.ledger.engine, set(State), job.id)[0].attempt
        self.seq += 1
        event = WorkerEvent(job.id, live.attempt, live.fence, "run1", self.seq, kind, self.now, data, "k1")
        with writing(self.ledger.engine) as connection:
            assert apply_event(connection, event, self.now)

    def finish(self, job: Job, pictures: bool = True) -> None:
        """The worker's last event, with its report."""
        self.event(job, "finished", report=REPORT, plots={"loss.png": PIXEL} if pictures else {})

    def later(self, seconds: float) -> None:
        """Moves both clocks and runs one round of the notifier."""
        self.now += seconds
        self.workspace.advance(seconds)
        self.notifier.work_once()

    def calls(self, method: str) -> list[dict[str, Any]]:
        """The calls of a method that Slack's API received since the harness was opened."""
        return [call for call in self.workspace.api_log(self.since) if call["method"] == method]

    def bot_messages(
        self, part: str, channel: str = CHANNEL, thread: str | None = None
    ) -> list[dict[str, Any]]:
        """The bot's messages that contain `part`."""
        match = self.ravi.messages(channel, thread)
        return [m for m in match if m.get("user") == BOT_USER and part in text_of(m)]

    def card(self, job: Job) -> dict[str, Any]:
        """The one card of a job in the channel."""
        (card,) = [m for m in self.bot_messages(job.id) if m.get("thread_ts") in (None, m["ts"])]
        return card

    def thread(self, job: Job, part: str) -> list[dict[str, Any]]:
        """The bot's messages under the job's card that contain `part`."""
        return self.bot_messages(part, thread=self.card(job)["ts"])


def text_of(message: dict[str, Any]) -> str:
    """A message as a person reads it."""
    return "\n".join(message_lines(message.get("blocks"), message.get("text", "")))
