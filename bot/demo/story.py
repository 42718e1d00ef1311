"""`trainwise demo`: one question, one measurement and one fine-tune through the real Slack protocol.

A simulated person types and clicks in the local workspace; the unmodified bot and worker answer. The printed messages come
from the workspace's log of received Web API calls.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from bot.demo.installation import Installation
from bot.demo.stack import LocalStack, local_stack
from bot.demo.transcript import Transcript
from bot.errors import BotError
from bot.playground.client.person import Person
from bot.playground.errors import PlaygroundError
from bot.playground.state.seed import BOT_USER
from bot.settings import Settings, load_settings

CHANNEL = "#support-ml"
QUESTION = (
    "we sort 10,000 support tickets a month into 8 queues by hand; 658 are labelled, nothing has been tried. "
    "Should we train a model?"
)
TARGET = "80"  # percent right that the team asks for
TICKET = "I was charged twice for the same order and nobody answers my mails"
SILENCE_S = 600.0  # of this machine's time without a sign of life from bot or worker
END = ("Done", "Failed", "Cancelled", "Stopped at its budget")


def play(settings: Settings, port: int, stay: bool, console: Console) -> None:
    """Starts the workspace and the bot, plays the story, keeps running if `stay`; raises BotError when the story fails.

    Missing packages for training are installed during the first answer. Ctrl-C leaves the workspace to the person if
    `stay`, else it stops everything.
    """
    began = time.monotonic()
    home = settings.home / "demo"
    installation = Installation(home, console)
    with local_stack(home, port=port, fresh=True, processes=("bot",), more_env=installation.env) as stack:

        def wait_for_trainer() -> None:
            installation.wait()
            if installation.is_needed:  # the bot could not read the bundled tickets when it started
                importlib.invalidate_caches()
                from bot.factories import open_datasets

                open_datasets(load_settings(stack.env))

        console.print(f"The workspace is at [bold]{stack.url}[/bold]")
        stack.wait_for_bot()
        console.print(f"[dim]ready in {time.monotonic() - began:.1f} s; logs in {stack.logs}[/dim]")
        with installation:
            try:
                play_story(stack, console, wait_for_trainer)
            except PlaygroundError as error:
                raise BotError(f"{error}\nThe bot's log ends:\n{stack.tail('bot')}") from error
            except KeyboardInterrupt:
                if not stay:
                    raise
                console.print("\nThe story stops here; the workspace is yours.")
                start_worker(stack, wait_for_trainer)
            if stay:
                console.print(
                    f"\nThe workspace stays up at [bold]{stack.url}[/bold] - ask it yourself. Ctrl-C ends it."
                )
                stack.wait()


def start_worker(stack: LocalStack, wait_for_trainer: Callable[[], None]) -> None:
    """Starts the worker after its packages are installed."""
    if "worker" not in stack.processes:
        wait_for_trainer()
        stack.launch("worker")


def play_story(
    stack: LocalStack, console: Console, wait_for_trainer: Callable[[], None] = lambda: None
) -> None:
    """Maya asks and measures, Ravi trains and tries the model; prints the messages that the workspace received.

    `wait_for_trainer` returns when the worker's packages are installed.
    """
    maya, ravi = Person(stack.url, "maya"), Person(stack.url, "ravi")
    with Transcript(console, ravi, stack.check) as story:
        thread = ask(story, maya)
        start_worker(stack, wait_for_trainer)
        report = measure(story, stack, maya, thread)
        card = train(story, stack, ravi, thread, report)
        try_ticket(story, ravi, card)
    console.rule()


def ask(story: Transcript, maya: Person) -> str:
    """Asks the question and waits for its verdict; returns the thread."""
    story.person("maya", CHANNEL, f"@trainwise {QUESTION}")
    question = maya.say(CHANNEL, f"<@{BOT_USER}> {QUESTION}")
    story.until(lambda: bool(button_message(maya, question["ts"], "measure")), "the answer")
    return str(question["ts"])


def measure(story: Transcript, stack: LocalStack, maya: Person, thread: str) -> dict[str, Any]:
    """Presses "Measure it" on the verdict; returns the measurement's report."""
    story.person("maya", CHANNEL, "presses [Measure it]")
    verdict = button_message(maya, thread, "measure")
    view = open_form(maya, verdict, "measure", "Measure it")
    story.modal(view)
    form = {"dataset": "sample-tickets", "target": TARGET}
    submit(story, maya, "maya", view, form)
    story.until(
        lambda: bool(button_message(maya, thread, "job_finetune")) or has_ended(maya, thread),
        "the measurement",
        limit=SILENCE_S,
        sign=lambda: stack.log_size("worker"),
    )
    report = button_message(maya, thread, "job_finetune")
    if not report:
        raise PlaygroundError(
            "The measurement did not come to a verdict to train on; its report stands above."
        )
    story.until(lambda: has_picture(maya, thread), "the measurement's picture")
    return report


def train(
    story: Transcript, stack: LocalStack, ravi: Person, thread: str, report: Mapping[str, Any]
) -> dict[str, Any]:
    """Presses the report's button and submits the prefilled form; returns the fine-tune's report."""
    story.person("ravi", CHANNEL, "presses the button to fine-tune")
    view = open_form(ravi, report, "job_finetune", "Fine-tune")
    story.modal(view)
    submit(story, ravi, "ravi", view, {})
    story.until(
        lambda: has_report(ravi, thread),
        "the report",
        limit=SILENCE_S,
        sign=lambda: stack.log_size("worker"),
    )
    return find_report(ravi, thread)


def try_ticket(story: Transcript, ravi: Person, report: Mapping[str, Any]) -> None:
    """Submits one ticket and prints the answers before and after training."""
    if not report:
        raise PlaygroundError("The fine-tune left no model to try; its report stands above.")
    story.person("ravi", CHANNEL, f"presses [Try it] and types: {TICKET}")
    view = open_form(ravi, report, "job_try", "Try the model")
    ravi.submit(view, {"text": TICKET})
    story.until(
        lambda: "After: tuned" in json.dumps(ravi.view() or {}), "the model's answer", limit=SILENCE_S
    )
    story.view(ravi.view() or {})


def open_form(person: Person, message: Mapping[str, Any], action: str, title: str) -> dict[str, Any]:
    """Presses a button of a message and returns the form that opens."""
    person.click(CHANNEL, str(message["ts"]), action)
    return person.wait_view(title=title)


def submit(story: Transcript, person: Person, name: str, view: dict[str, Any], form: dict[str, str]) -> None:
    """Submits a form; raises PlaygroundError with its errors when it is refused."""
    chosen = ", ".join(f"{field} {value}" for field, value in form.items()) or "the form as it opened"
    story.person(name, CHANNEL, f"submits: {chosen}")
    outcome = person.submit(view, form)
    if not outcome.get("ok", True):
        raise PlaygroundError(f"The form was refused: {outcome}")


def button_message(person: Person, thread: str, action: str) -> dict[str, Any]:
    """The bot's newest message in a thread with the button `action`; empty without one."""
    for message in reversed(person.messages(CHANNEL, thread)):
        if message.get("bot_id") and f'"{action}"' in json.dumps(message.get("blocks") or []):
            return dict(message) if message.get("streaming_state") != "in_progress" else {}
    return {}


def has_picture(person: Person, thread: str) -> bool:
    """Whether the thread has a file."""
    return any(message.get("files") for message in person.messages(CHANNEL, thread))


def has_ended(person: Person, thread: str) -> bool:
    """Whether a job's card in the thread says that it failed or was stopped."""
    return any(
        message.get("bot_id") and end in json.dumps(message.get("blocks") or [])
        for message in person.messages(CHANNEL, thread)
        for end in END[1:]
    )


def find_report(person: Person, thread: str) -> dict[str, Any]:
    """The fine-tune's report, from whichever thread it is in; empty without a report that has a model."""
    for place in (thread, *(card["ts"] for card in cards_of(person, thread))):
        if report := button_message(person, str(place), "job_try"):
            return report
    return {}


def cards_of(person: Person, thread: str) -> list[dict[str, Any]]:
    """The cards of fine-tunes in the channel and in the thread."""
    messages = person.messages(CHANNEL) + person.messages(CHANNEL, thread)
    return [m for m in messages if "Fine-tune · " in json.dumps(m.get("blocks") or [], ensure_ascii=False)]


def has_report(person: Person, thread: str) -> bool:
    """Whether the fine-tune has ended: with a report, or with a card that says why there is none."""
    cards = [json.dumps(card["blocks"]) for card in cards_of(person, thread)]
    return bool(find_report(person, thread)) or any(end in card for card in cards for end in END[1:])
