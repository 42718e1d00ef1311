"""`trainwise demo`: the story of one question and one fine-tune, through the real Slack protocol.

A person types and clicks in the local workspace; the unmodified bot and worker answer. What is printed is
taken from the workspace's log of the Web API calls that it received, never written beside it.
"""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console

from bot.demo.stack import LocalStack, local_stack
from bot.demo.transcript import Transcript
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
    """Start the local stack, play the story, stay up if `stay`; BotError when the story breaks."""
    began = time.monotonic()
    console.print("Starting Redis, a local Slack workspace, the bot and a worker on this machine ...")
    with local_stack(settings.home / "demo", port=port, fresh=True) as stack:
        stack.wait_for_bot()
        console.print(f"[dim]ready in {time.monotonic() - began:.1f} s; logs in {stack.logs}[/dim]")
        try:
            play_story(stack, console)
        except PlaygroundError as error:
            raise BotError(f"{error}\nThe bot's log ends:\n{stack.tail('bot')}") from error
        if stay:
            console.print(
                f"\nThe workspace stays up at [bold]{stack.url}[/bold] - ask it yourself. Ctrl-C ends it."
            )
            stack.wait()


def play_story(stack: LocalStack, console: Console) -> None:
    """Maya asks, Ravi trains; every message printed is one that Slack's API received."""
    maya, ravi = Person(stack.url, "maya"), Person(stack.url, "ravi")
    with Transcript(console, ravi, stack.check) as story:
        story.person("maya", CHANNEL, f"@trainwise {QUESTION}")
        question = maya.say(CHANNEL, f"<@{BOT_USER}> {QUESTION}")
        story.until(lambda: has_answer(maya, question), "the answer")
        story.person("ravi", CHANNEL, "/finetune")
        ravi.command("/finetune", "", CHANNEL)
        view = ravi.wait_view()
        form = {"dataset": "sample-tickets", "task": "triage", "base_model": "minilm", "method": "lora"}
        story.modal(view)
        story.person("ravi", CHANNEL, "submits: " + ", ".join(f"{k} {v}" for k, v in form.items()))
        outcome = ravi.submit(view, form)
        if not outcome.get("ok"):
            raise PlaygroundError(f"The form was refused: {outcome}")
        story.until(lambda: has_report(ravi), "the report", limit=JOB_S)
    console.rule()


def has_answer(person: Person, question: dict[str, Any]) -> bool:
    """Whether the thread holds the bot's card, with its blocks."""
    thread = person.messages(CHANNEL, question["ts"])
    return any(m.get("bot_id") and m.get("blocks") and not m.get("streaming") for m in thread)


def has_report(person: Person) -> bool:
    """Whether the job's card came to an end and its thread holds the report with a picture."""
    for message in person.messages(CHANNEL):
        if message.get("bot_id") and any(end in str(message.get("blocks")) for end in END):
            thread = person.messages(CHANNEL, message["ts"])
            return any(m.get("files") for m in thread)
    return False
