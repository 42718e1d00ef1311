"""Each form that is sent while Slack takes five seconds is acknowledged within three; what was typed comes to something or back."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.playground import Person
from bot.playground.patience import cpu_share
from bot.playground.state.seed import MAYA
from bot.slack.app import slack_client
from bot.slack.features.finetune import build_form as finetune_form
from bot.slack.features.measure import build_form as measure_form
from bot.slack.permissions import Permissions
from bot.slack.services import Services
from bot.slack.ui.blocks import field, file_input, modal, option, select, text_input
from bot.slack.ui.forms import FormMetadata, dataset_modal
from bot.slack.users import Users
from rag.search.embedding import load_embedder
from tests.integration.conftest import few_tickets, until
from tests.integration.notifier_harness import CHANNEL
from tests.integration.slack_harness import SlackHarness, open_slack

pytestmark = pytest.mark.integration
SLOW_S, ACK_S = 5, 3.0
FEATURES = Path(__file__).parents[2] / "bot" / "slack" / "features"
GROUP, OPEN_CHANNEL = "S0SUPPORT01", "C0GENERAL01"
TYPED = "as I typed it"
Json = dict[str, Any]


class Time:
    """The machine's, and hours later where a test says so."""

    def __init__(self) -> None:
        self.shift_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.shift_s


@pytest.fixture(scope="module")
def clock() -> Time:
    """By which the bot forgets who is who."""
    return Time()


@pytest.fixture(scope="module")
def slack(tmp_path_factory: pytest.TempPathFactory, clock: Time) -> Iterator[SlackHarness]:
    """The app; in #support-ml jobs are launched by a user group alone, which Slack is asked for when a form is sent."""
    home = tmp_path_factory.mktemp("forms")
    rules = Permissions(launchers=frozenset({GROUP, OPEN_CHANNEL}))

    def with_clock(services: Services, client: WebClient) -> Services:
        return replace(services, users=Users(client, clock=clock))

    with open_slack(home, load_embedder(home / "cache"), rules, furnish=with_clock) as running:
        yield running


class Visitor:
    """A member with one form open (a new one, whom the bot does not know, unless `user` is given)."""

    def __init__(self, slack: SlackHarness, view: Json, user: str = "") -> None:
        slack.count += 1
        self.slack, self.id = slack, user or f"U0VISIT{slack.count:03d}"
        if not user:
            slack.workspace.person(self.id, f"visitor{slack.count}", channels=[CHANNEL, OPEN_CHANNEL])
        self.person = Person(slack.workspace.url, self.id, timeout=60)
        trigger = slack.workspace.control("trigger", user=self.id)["trigger_id"]
        client = slack_client(slack.workspace.bot_token, slack.workspace.api_url)
        self.view = dict(client.views_open(trigger_id=trigger, view=view)["view"])

    def send(self, values: Json) -> Json:
        """Presses the form's button; the ack is in time, of this machine's."""
        began, share = time.monotonic(), cpu_share()
        answer = self.person.submit(self.view, values)
        assert (time.monotonic() - began) * min(share, cpu_share()) < ACK_S
        return answer

    def see(self) -> str:
        """The form that is open, as text; empty where none is."""
        return json.dumps(self.person.view() or {}, ensure_ascii=False)

    def outcome(self) -> str:
        """The form once it no longer waits."""
        return str(until(lambda: "" if "One moment" in (text := self.see()) else text))


def slow_down(slack: SlackHarness, method: str) -> None:
    """The next two calls of a method take five seconds."""
    slack.workspace.fail(method, times=2, how=f"slow:{SLOW_S}")


@pytest.fixture(autouse=True)
def _no_faults_left(slack: SlackHarness) -> Iterator[None]:
    yield
    slack.workspace.forget_faults()


def generic(callback_id: str) -> Json:
    """A form with one field of each kind that ours have, about a job that there is not."""
    memory = FormMetadata(
        CHANNEL, "1.000001", "ABCD2345:K1" if callback_id == "duty_queue" else "ABCD2345"
    ).pack()
    choices = select("queue", [option("One", "0"), option("Two", "1")])
    fields = [
        field("text", "Words", text_input("text"), optional=True),
        field("queue", "Choice", choices, optional=True),
        field("file", "File", file_input("file", ["csv"]), optional=True),
    ]
    return modal(callback_id, "A form", fields, "Send", memory)


def callbacks() -> set[str]:
    """Every form that a listener takes, read from the source."""
    return {
        name
        for file in FEATURES.glob("*.py")
        for name in re.findall(r'app\.view\("(\w+)"\)', file.read_text())
    }


def test_each_form_of_somebody_not_known_yet_is_acknowledged_and_ends(slack: SlackHarness) -> None:
    """It says "one moment" with what was typed; then it says what came of it, or stands there again as it was sent."""
    names = sorted(callbacks())
    visitors = {name: Visitor(slack, generic(name)) for name in names}
    slack.workspace.fail("users.info", times=2 * len(names), how=f"slow:{SLOW_S}")

    def send(name: str) -> tuple[Json, str, str]:
        answer = visitors[name].send({"text": TYPED, "queue": "Two"})
        return answer, visitors[name].see(), visitors[name].outcome()

    with ThreadPoolExecutor(8) as pool:  # as many as the gate asks about at a time
        results = dict(zip(names, pool.map(send, names), strict=True))
    assert len(names) >= 13
    assert {name: answer for name, (answer, _, _) in results.items() if answer != {"ok": True}} == {}
    assert [n for n, (_, view, _) in results.items() if "One moment" not in view or TYPED not in view] == []

    def is_told(outcome: str) -> bool:
        is_back = "⚠️" in outcome and TYPED in outcome and '"initial_option": {"text"' in outcome
        return is_back or "Your form is done" in outcome

    assert {name: outcome for name, (_, _, outcome) in results.items() if not is_told(outcome)} == {}


def test_what_was_wrong_is_said_above_the_form_and_it_can_be_sent_again(slack: SlackHarness) -> None:
    """Nothing has to be typed twice: put right and sent again it is a job, one however often the button is pressed."""
    visitor = Visitor(slack, measure_form(slack.services, FormMetadata(OPEN_CHANNEL), {}))
    slow_down(slack, "users.info")
    assert visitor.send({"target": "5", "volume": "700"}) == {"ok": True}
    assert visitor.send({"target": "90"}) == {"ok": True}  # pressed again meanwhile: it counts once
    outcome = visitor.outcome()
    assert "⚠️ *Good enough, out of 100*" in outcome
    assert '"initial_value": "700"' in outcome
    assert jobs_of(slack, visitor.id) == 0
    slack.workspace.forget_faults()
    visitor.view = visitor.person.view() or {}
    assert visitor.send({"target": "90"}) == {"ok": True}
    assert jobs_of(slack, visitor.id) == 1
    assert visitor.person.view() is None


def test_a_refusal_that_waits_for_slack_brings_the_form_back(slack: SlackHarness) -> None:
    """Whoever may launch is in a user group, and Slack takes five seconds to say who that is."""
    visitor = Visitor(slack, finetune_form(slack.services, FormMetadata(CHANNEL), {}))
    slack.services.users.person(visitor.id)
    slow_down(slack, "usergroups.users.list")
    assert visitor.send({"budget_usd": "4"}) == {"ok": True}
    assert "One moment" in visitor.see()
    outcome = visitor.outcome()
    assert "not on the list" in outcome
    assert '"initial_value": "4"' in outcome
    assert jobs_of(slack, visitor.id) == 0


def test_a_launch_under_a_slow_slack_is_one_job_and_is_said(slack: SlackHarness, clock: Time) -> None:
    """Maya is in the group; she presses twice."""
    clock.shift_s += 3600
    maya = Visitor(slack, finetune_form(slack.services, FormMetadata(CHANNEL), {}), MAYA)
    slow_down(slack, "users.info")
    slow_down(slack, "usergroups.users.list")
    assert maya.send({}) == {"ok": True}
    assert maya.send({}) == {"ok": True}
    assert "Your form is done" in maya.outcome()
    assert jobs_of(slack, MAYA) == 1


def test_a_file_arrives_although_nobody_knew_who_sent_it(slack: SlackHarness) -> None:
    """Its columns are asked for in the form that waited."""
    adder = Visitor(slack, dataset_modal(FormMetadata(CHANNEL)))
    file = adder.person.upload(None, "tickets.csv", few_tickets(20))["file"]
    slow_down(slack, "users.info")
    values = {"file": [file["id"]], "name": "late-tickets", "licence": "ours"}
    assert adder.send(values) == {"ok": True}
    until(lambda: any(word in adder.see() for word in ("dataset_columns", "Not now", "⚠️")))


def test_nobody_is_let_in_who_stays_unknown(slack: SlackHarness) -> None:
    """Slack never says who it is: the form comes back as it was sent, and nothing was done."""
    visitor = Visitor(slack, measure_form(slack.services, FormMetadata(OPEN_CHANNEL), {}))
    slack.workspace.fail("users.info", times=2, how=f"slow:{SLOW_S} error:user_not_found")
    assert visitor.send({"target": "90", "volume": "700"}) == {"ok": True}
    outcome = visitor.outcome()
    assert jobs_of(slack, visitor.id) == 0
    assert "I could not find out who you are" in outcome
    assert '"initial_value": "700"' in outcome


def jobs_of(slack: SlackHarness, user: str) -> int:
    """How many jobs the ledger has of this person."""
    return len(slack.services.ledger.jobs(by=user))
