"""Each form opens in time, even when Slack takes five seconds to describe the person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bot.playground.state.seed import TEAM_ID
from bot.slack.form_client import BUTTONS, COMMANDS, SHORTCUTS
from rag.search.embedding import load_embedder
from tests.integration.conftest import until
from tests.integration.notifier_harness import CHANNEL
from tests.integration.slack_harness import SlackHarness, open_slack

pytestmark = pytest.mark.integration
SLOW_S = 5
FEATURES = Path(__file__).parents[2] / "bot" / "slack" / "features"
ORDERS = {
    "/finetune": ("", "Fine-tune"),
    "/should-i-train measure": ("measure", "Measure it"),
    "/should-i-train connect": ("connect", "Not now"),  # for admins
    "/datasets": ("add", "Add tickets"),
    "/datasets repair": ("repair sample-tickets", "Not now"),  # nobody's to repair
    "/datasets pull": ("pull zendesk", "Not now"),  # not connected here
    "/docs": ("add", "Add documents"),
    "/triage": ("watch ABCD2345 in #general", "Not now"),  # no such job
}
REAL = {
    "docs_add": "Add documents",
    "dataset_add": "Add tickets",
    "finetune_open": "Fine-tune",
    "home_ask": "Ask",
    "home_documents": "Documents",
    "home_datasets": "Tickets",
    "home_finetune": "Fine-tune",
    "home_measure": "Measure it",
}
"""Buttons whose form needs no job, card or admin; the forms of the other buttons show what is missing."""


@pytest.fixture(scope="module")
def slack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackHarness]:
    """The app, and one person per form whom it has not looked up yet."""
    home = tmp_path_factory.mktemp("forms")
    with open_slack(home, load_embedder(home / "cache")) as running:
        yield running


def payloads(slack: SlackHarness) -> dict[str, tuple[dict[str, Any], str]]:
    """By name: the payload of a button or command, and the title of its form."""
    bodies: dict[str, tuple[dict[str, Any], str]] = {}

    def person() -> str:
        user = f"U0FORM{len(bodies):02d}"
        slack.workspace.person(user, f"form{len(bodies)}", channels=[CHANNEL])
        return user

    for name, (text, title) in ORDERS.items():
        user = person()
        bodies[name] = slack.command(user, name.split()[0], text, CHANNEL, TEAM_ID), title
    for name in sorted(BUTTONS):
        user, value = person(), "bad" if name == "feedback" else "ABCD2345"
        action = f"{name}:1" if name == "cite" else name
        body = slack.button(user, action, value, (CHANNEL, "1.000001", "1.000002"))
        bodies[name] = body, REAL.get(name, "Not now")
    for name in sorted(SHORTCUTS):
        user = person()
        files = [{"id": "F1", "name": "tickets.csv"}]
        body = slack.payload("message_action", user) | {
            "callback_id": name,
            "channel": {"id": CHANNEL},
            "message": {"ts": "1.0", "files": files},
            "response_url": slack.answer_url,
        }
        bodies[name] = body, "Add tickets"
    return bodies


def test_each_form_opens_before_slack_has_described_the_person(slack: SlackHarness) -> None:
    """A waiting form uses the trigger; the form, or an error, replaces it; every ack is in time."""
    bodies = payloads(slack)
    since = slack.calls()
    slack.workspace.fail("users.info", times=3 * len(bodies), how=f"slow:{SLOW_S}")

    def press(name: str) -> None:
        body = bodies[name][0]
        user = str(body.get("user_id") or body["user"]["id"])
        body["trigger_id"] = slack.workspace.control("trigger", user=user)["trigger_id"]
        slack.send(body)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(press, bodies))

    def titles() -> dict[str, list[str]]:
        log = slack.workspace.api_log(since)
        forms = {
            call["params"]["trigger_id"]: call["response"]["view"]
            for call in log
            if call["method"] == "views.open" and call["response"]["ok"]
        }
        seen_by_form: dict[str, list[str]] = {}
        for name, (body, _) in bodies.items():
            view = forms.get(body["trigger_id"])
            if view is not None:
                changes = [
                    c
                    for c in log
                    if c["method"] == "views.update" and c["params"].get("view_id") == view["id"]
                ]
                views = [view, *(c["response"]["view"] for c in changes if c["response"]["ok"])]
                seen_by_form[name] = [one["title"]["text"] for one in views]
        return seen_by_form

    until(lambda: all(len(titles().get(name, [])) >= 2 for name in bodies), 60)
    assert {name: seen_by_form[:2] for name, seen_by_form in titles().items()} == {
        name: ["One moment", title] for name, (_, title) in bodies.items()
    }


def test_every_listener_that_uses_a_trigger_is_listed_as_one_with_a_form() -> None:
    """The source shows which listeners of buttons, commands and shortcuts use a trigger id."""
    doors = BUTTONS | SHORTCUTS | set(COMMANDS)
    missing = []
    for file in FEATURES.glob("*.py"):
        text = file.read_text()
        users = {
            match[1]
            for match in re.finditer(r"^def (on_\w+)\(.*?(?=^def |\Z)", text, re.MULTILINE | re.DOTALL)
            if '["trigger_id"]' in match[0]
        }
        for door, call in re.findall(
            r'app\.(?:action|command|shortcut)\((?:re\.compile\()?r?"([^"]+)"(.*)', text
        ):
            name = re.sub(r"^\^|:.*|\$$", "", door)
            if any(re.search(rf"\b{user}\b", call) for user in users) and name not in doors:
                missing.append(f"{file.name}: {door}")
    assert missing == []
