"""One running product for the tests that talk to it as people do, and what they see of it."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.demo.stack import LocalStack, local_stack
from bot.playground import Person, Playground
from bot.playground.patience import Patience
from bot.playground.state.seed import BOT_USER
from finetune.data.store import SAMPLES, DatasetStore
from tests.bot.test_manifest import SCOPES, wire_names
from tests.homes import home_with_graphs
from tests.integration.notifier_harness import MANIFEST, NotifierHarness, text_of

CHANNEL = "#support-ml"
MENTION = f"<@{BOT_USER}>"
DATASET = "few-tickets"
Message = dict[str, Any]
CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder with a short path: a Unix socket's path is limited."""
    folder = Path(tempfile.mkdtemp(prefix="tw"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def stack(short_folder: Path, embed_cache: Path) -> Iterator[LocalStack]:
    """Redis, workspace, bot and worker; every test that changes how they run puts it back."""
    home = home_with_graphs(short_folder / "home", embed_cache)
    add_dataset(home / "datasets", DATASET)
    with local_stack(home, more_env={"TRAINWISE_CARD_INTERVAL": "1"}) as running:
        running.workspace.set_rates(enforce=False)
        running.wait_for_bot()
        yield running
        methods = {str(call["method"]) for call in running.workspace.api_log()}
        known = {name for call in SCOPES for name in wire_names(call)} | {"apps.connections.open"}
        assert methods <= known, "a call that tests/bot/test_manifest.py does not know the scopes of"


def add_dataset(folder: Path, name: str) -> None:
    """Sixty of the bundled tickets, from two queues, as a dataset that trains in a second."""
    file = folder.parent / f"{name}.csv"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_bytes(few_tickets(60))
    DatasetStore(str(folder)).add(file, name, "U0RAVI00001", frozenset({"workspace"}), "ours")


def few_tickets(number: int) -> bytes:
    """So many of the bundled tickets, from two queues, as CSV with text and label."""
    with (SAMPLES / "tickets.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    queues = [label for label, _ in Counter(row["label"] for row in rows).most_common(2)]
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["text", "label"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows([row for row in rows if row["label"] in queues][:number])
    return out.getvalue().encode()


@pytest.fixture(scope="module")
def workspace() -> Iterator[Playground]:
    """A local workspace alone, without the product."""
    with Playground(MANIFEST) as running:
        running.set_rates(enforce=False)
        yield running


@pytest.fixture
def harness(workspace: Playground, tmp_path: Path) -> Iterator[NotifierHarness]:
    """A ledger and a notifier before that workspace."""
    here = NotifierHarness(workspace, tmp_path)
    yield here
    here.ledger.close()


@pytest.fixture(scope="session")
def maya(stack: LocalStack) -> Person:
    """Leads support."""
    return Person(stack.url, "maya", timeout=60)


@pytest.fixture(scope="session")
def ravi(stack: LocalStack) -> Person:
    """Builds models."""
    return Person(stack.url, "ravi", timeout=60)


@pytest.fixture(scope="session")
def ana(stack: LocalStack) -> Person:
    """Administers the workspace."""
    return Person(stack.url, "ana", timeout=60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; CI must have it, elsewhere its absence skips."""
    if not CHROMIUM.exists():
        reason = f"{CHROMIUM} is missing: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        start = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield start
        start.close()


@contextmanager
def workspace_page(browser: Any, url: str, user: str, seconds: float) -> Iterator[Any]:
    """The workspace as this person sees it; an error in the page's scripts fails the test."""
    errors: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(5000 * seconds)  # a busy machine: it goes on as soon as it can
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{url}/?user={user}")
    page.get_by_label("Message #support-ml").wait_for()
    yield page
    page.close()
    assert errors == []


def until(check: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true answer of `check`, or a failure after the deadline."""
    patience = Patience(seconds)
    while not (match := check()):
        assert not patience.is_over(), f"nothing happened in {patience}"
        time.sleep(0.05)
    return match


def private_reply(person: Person, act: Callable[[], Any], channel: str = CHANNEL) -> str:
    """What the bot tells this person alone after `act`."""
    before = {m["ts"] for m in person.messages(channel)}
    act()

    def new(message: Message) -> bool:
        return bool(message.get("is_ephemeral")) and message["ts"] not in before

    return text_of(person.wait_message(channel, new))


def appears(person: Person, act: Callable[[], Any], part: str, channel: str = CHANNEL) -> Message:
    """The new message with `part` that everyone sees after `act`."""
    before = {m["ts"] for m in person.messages(channel)}
    act()

    def new(message: Message) -> bool:
        return not message.get("is_ephemeral") and message["ts"] not in before and part in text_of(message)

    return person.wait_message(channel, new)


def offer_file(
    person: Person, file_name: str, content: bytes, size: Callable[[str], None] | None = None, **more: str
) -> dict[str, Any]:
    """Upload a file and send the dataset form with it; what the form shows once the file's head is read."""
    file = person.upload(None, file_name, content)["file"]["id"]
    if size is not None:
        size(file)
    person.command("/datasets", "add", CHANNEL)
    form = {"file": file, "name": file_name.rpartition(".")[0], "licence": "ours", **more}
    assert person.submit(person.wait_view(title="Add tickets"), form)["ok"]
    return after_reading(person)


def after_reading(person: Person) -> dict[str, Any]:
    """The form that asks for the columns, or that says what is wrong with the file."""

    def read() -> dict[str, Any] | None:
        view = person.view()
        return view if view and "reading the columns" not in text_of(view) else None

    view: dict[str, Any] = until(read)
    return view


def answer(person: Person, thread_ts: str, channel: str = CHANNEL, number: int = 1) -> Message:
    """The bot's answer number `number` in a thread, complete."""

    def complete() -> Message | None:
        match = answers(person, thread_ts, channel)
        return match[number - 1] if len(match) >= number else None

    match: Message = until(complete)
    return match


def answers(person: Person, thread_ts: str, channel: str = CHANNEL) -> list[Message]:
    """The bot's finished answers in a thread."""
    thread = person.messages(channel, thread_ts)
    return [m for m in thread if m.get("user") == BOT_USER and "Sources" in text_of(m) and not working(m)]


def working(message: Message) -> bool:
    """Whether the message is still being streamed."""
    return message.get("streaming_state") == "in_progress"
