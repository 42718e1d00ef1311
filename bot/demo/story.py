"""`trainwise demo`: the story of one question and one fine-tune, through the real Slack protocol.

A person types and clicks in the local workspace; the unmodified bot and worker answer. What is printed is
taken from the workspace's log of the Web API calls that it received, never written beside it.
"""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console

from bot.demo.stack import Stand, stand
from bot.demo.transcript import Retelling
from bot.errors import BotError
from bot.playground.client.person import Person
from bot.playground.errors import PlaygroundError
from bot.playground.state.seed import BOT_USER
from bot.settings import Settings

CHANNEL = "#support-ml"
QUESTION = "our help center changes every week, should we fine-tune on the articles?"
JOB_S = 600.0
END = ("Done", "Failed", "Cancelled", "Stopped at its budget")


def play(settings: Settings, port: int, stay: bool, console: Console) -> None:
    """Sets the stage, plays the story and stays up when asked; raises BotError when the story breaks."""
    began = time.monotonic()
    console.print("Starting Redis, a local Slack workspace, the bot and a worker on this machine ...")
    with stand(settings.home / "demo", port=port, fresh=True) as stage:
        stage.wait_for_bot()
        console.print(f"[dim]ready in {time.monotonic() - began:.1f} s; logs in {stage.logs}[/dim]")
        try:
            tell(stage, console)
        except PlaygroundError as error:
            raise BotError(f"{error}\nThe bot's log ends:\n{stage.tail('bot')}") from error
        if stay:
            console.print(
                f"\nThe workspace stays up at [bold]{stage.url}[/bold] - ask it yourself. Ctrl-C ends it."
            )
            stage.wait()


def tell(stage: Stand, console: Console) -> None:
    """Maya asks, Ravi trains; every message printed is one that Slack's API received."""
    maya, ravi = Person(stage.url, "maya"), Person(stage.url, "ravi")
    with Retelling(console, ravi, stage.check) as story:
        story.person("maya", CHANNEL, f"@trainwise {QUESTION}")
        asked = maya.say(CHANNEL, f"<@{BOT_USER}> {QUESTION}")
        story.until(lambda: answered(maya, asked), "the answer")
        story.person("ravi", CHANNEL, "/finetune")
        ravi.command("/finetune", "", CHANNEL)
        view = ravi.wait_view()
        form = {"dataset": "sample-tickets", "task": "triage", "base_model": "minilm", "method": "lora"}
        story.modal(view)
        story.person("ravi", CHANNEL, "submits: " + ", ".join(f"{k} {v}" for k, v in form.items()))
        submitted = ravi.submit(view, form)
        if not submitted.get("ok"):
            raise PlaygroundError(f"The form was refused: {submitted}")
        story.until(lambda: reported(ravi), "the report", limit=JOB_S)
    console.rule()


def answered(person: Person, asked: dict[str, Any]) -> bool:
    """Whether the thread holds the bot's card, with its blocks."""
    thread = person.messages(CHANNEL, asked["ts"])
    return any(m.get("bot_id") and m.get("blocks") and not m.get("streaming") for m in thread)


def reported(person: Person) -> bool:
    """Whether the job's card came to an end and its thread holds the report with a picture."""
    for message in person.messages(CHANNEL):
        if message.get("bot_id") and any(end in str(message.get("blocks")) for end in END):
            thread = person.messages(CHANNEL, message["ts"])
            return any(m.get("files") for m in thread)
    return False
