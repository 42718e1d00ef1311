"""Each door of the running bot, tried with correctly signed requests whose content is forged.

The bot is the real process in HTTP mode; whoever holds a session in Slack can make it send most of this.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from bot.demo.stack import LocalStack, local_stack
from bot.playground.client.person import Person
from bot.playground.delivery.signed_http import encode, signature
from bot.playground.patience import Patience
from bot.playground.state.seed import ANA, APP_ID, MAYA, RAVI, TEAM_ID
from tests.homes import home_with_graphs
from worker.ledger.ledger import Ledger
from worker.ledger.notifications import Notices, notices, set_notice

pytestmark = pytest.mark.integration
HERE, ELSEWHERE = "C0SUPPORTML", "C0GENERAL01"


class Doors:
    """The bot, and forged requests to it."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.ravi = Person(stack.url, "ravi")
        self.count = 0

    def send(self, kind: str, payload: dict[str, Any]) -> httpx.Response:
        """A signed request, as Slack makes it."""
        body, content_type = encode(kind, payload)
        stamp = str(int(time.time()))
        headers = {
            "content-type": content_type,
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": signature(self.stack.signing_secret, stamp, body),
        }
        url = f"http://127.0.0.1:{self.stack.bot_port}/slack/events"
        return httpx.post(url, content=body.encode(), headers=headers, timeout=120, trust_env=False)

    def press(self, action_id: str, value: str, user: str, channel: str = HERE) -> int:
        """A button pressed, with any value, by anyone, anywhere; the number of the last API call before."""
        self.count += 1
        since = len(self.stack.workspace.api_log())
        payload = {
            **self._who(user),
            **{"type": "block_actions", "channel": {"id": channel, "name": "x"}, "response_url": ""},
            "container": {"type": "message", "message_ts": "1.1", "channel_id": channel},
            "actions": [{"type": "button", "action_id": action_id, "block_id": "job", "value": value}],
        }
        assert self.send("interactive", payload).status_code == 200
        return since

    def submit(self, callback_id: str, values: dict[str, str], memory: str, user: str) -> httpx.Response:
        """Submits a form with any private_metadata and values."""
        self.count += 1
        state = {name: {"v": {"type": "plain_text_input", "value": text}} for name, text in values.items()}
        view = {
            **{"id": f"V{self.count}", "type": "modal", "callback_id": callback_id, "hash": "1.a"},
            **{"private_metadata": memory, "state": {"values": state}, "team_id": TEAM_ID, "blocks": []},
        }
        return self.send("interactive", {**self._who(user), "type": "view_submission", "view": view})

    def launch(self, text: str, channel: str = "#support-ml") -> str:
        """Ravi launches a job; its id."""
        before = set(self.states())
        assert self.ravi.command("/finetune", text, channel)["ok"]
        (new,) = set(self.states()) - before
        return new

    def states(self) -> dict[str, str]:
        """Each job's state in the ledger."""
        with sqlite3.connect(f"file:{self.stack.home / 'ledger.db'}?mode=ro", uri=True) as ledger:
            return dict(ledger.execute("select id, state from jobs").fetchall())

    def private_reply(self, since: int, user: str, words: str) -> str:
        """The ephemeral sentence that the person got."""
        patience = Patience(15)
        while not patience.is_over():
            for call in self.stack.workspace.api_log()[since:]:
                text = str(call["params"].get("text"))
                if call["params"].get("user") == user and words in text:
                    return text
            time.sleep(0.05)
        text = [
            (call["method"], call["params"].get("text")) for call in self.stack.workspace.api_log()[since:]
        ]
        raise AssertionError(f"{user} was not told {words!r}: {text}")

    def _who(self, user: str) -> dict[str, Any]:
        return {
            **{"user": {"id": user, "username": "x", "team_id": TEAM_ID}, "team": {"id": TEAM_ID}},
            **{"api_app_id": APP_ID, "token": "t", "trigger_id": f"{self.count}.{time.time_ns()}.x"},
        }


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory, embed_cache: Path) -> Iterator[Doors]:
    """One bot for all tests of this file, no worker: jobs stay queued."""
    home = home_with_graphs(tmp_path_factory.mktemp("doors"), embed_cache)
    with local_stack(home, fresh=True, http=True, processes=("bot",)) as stack:
        stack.wait_for_bot()
        stack.workspace.set_rates(enforce=False)
        yield Doors(stack)


def test_a_button_pressed_by_someone_else_changes_nothing(doors: Doors) -> None:
    """Cancel, pause and retry of another person's job are refused with the reason; an admin may."""
    job = doors.launch("sample-tickets linear epochs=2")
    for action in ("job_cancel", "job_pause"):
        since = doors.press(action, job, MAYA)
        doors.private_reply(since, MAYA, "or an admin can")
    assert doors.states()[job] == "queued"
    doors.press("job_cancel", job, ANA)
    patience = Patience(15)
    while doors.states()[job] != "cancelled":
        assert not patience.is_over()
        time.sleep(0.05)


def test_nobody_approves_their_own_job_and_only_admins_approve(doors: Doors) -> None:
    """The right is checked on the server for button and reason form alike."""
    job = doors.launch("sample-tickets linear budget=80")
    assert doors.states()[job] == "awaiting_approval"
    doors.private_reply(doors.press("job_approve", job, RAVI), RAVI, "someone else has to approve")
    doors.private_reply(doors.press("job_approve", job, MAYA), MAYA, "Only an admin")
    memory = json.dumps({"channel": HERE, "thread_ts": None, "about": job})
    since = len(doors.stack.workspace.api_log())
    doors.submit("job_reject", {"reason": "no"}, memory, MAYA)
    doors.private_reply(since, MAYA, "Only an admin")
    assert doors.states()[job] == "awaiting_approval"


def test_only_admins_and_the_channels_creator_change_its_notices(doors: Doors) -> None:
    """A button or command of someone else changes nothing; a wrong value is explained."""
    engine = Ledger(str(doors.stack.home / "ledger.db")).engine
    since = doors.press("notice:finished", "finished:off", MAYA)
    doors.private_reply(since, MAYA, "Only admins and whoever made the channel")
    since = len(doors.stack.workspace.api_log())
    doors.ravi.command("/jobs", "notify digest off", "#support-ml")
    doors.private_reply(since, RAVI, "Only admins and whoever made the channel")
    assert notices(engine, HERE) == Notices()
    doors.private_reply(doors.press("notice:finished", "password:off", ANA), ANA, "older version")
    doors.press("notice:finished", "finished:off", ANA)
    patience = Patience(15)
    while notices(engine, HERE).finished:
        assert not patience.is_over()
        time.sleep(0.05)
    assert notices(engine, ELSEWHERE) == Notices()


def test_a_launch_in_a_channel_without_start_notices_says_where_its_card_is(doors: Doors) -> None:
    """Only the requester is told; nothing is posted in the channel."""
    engine = Ledger(str(doors.stack.home / "ledger.db")).engine
    set_notice(engine, ELSEWHERE, "started", False, ANA, 1.0)
    since = len(doors.stack.workspace.api_log())
    job = doors.launch("sample-tickets linear epochs=2", "#general")
    text = doors.private_reply(since, RAVI, "This channel is not told of starts")
    assert job in text
    patience = Patience(15)
    while not any(job in str(m.get("blocks")) for m in doors.ravi.messages("@trainwise")):
        assert not patience.is_over()
        time.sleep(0.05)
    text = [m for m in doors.ravi.messages("#general") if not m.get("is_ephemeral")]
    assert not [m for m in text if job in str(m)]
    set_notice(engine, ELSEWHERE, "started", True, ANA, 2.0)


def test_a_foreign_or_unknown_job_id_opens_nothing(doors: Doors) -> None:
    """Guessed ids, ids of another channel's job, ids that are no ids."""
    job = doors.launch("sample-tickets linear epochs=2", "#general")
    doors.private_reply(doors.press("job_details", job, MAYA, HERE), MAYA, "belongs to another channel")
    for odd in ("zzzzzzzz", "' or 1=1 --", "../../etc", "x" * 5000):
        doors.private_reply(doors.press("job_details", odd, MAYA), MAYA, "There is no job")


@pytest.mark.parametrize(
    "memory", ["", "{}", '{"channel":"G0MLLEADS01/..","thread_ts":null,"about":""}', "[" * 2999]
)
def test_a_form_with_forged_metadata_launches_nothing(doors: Doors, memory: str) -> None:
    """private_metadata is checked like every other input."""
    before = doors.states()
    form = {"dataset": "sample-tickets", "task": "triage", "base_model": "minilm", "method": "linear"}
    assert doors.submit("finetune", form, memory, MAYA).status_code == 200
    assert doors.states() == before


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "..", "\u202etxt", "a" * 500])
def test_a_dataset_named_like_a_path_reads_no_file(doors: Doors, name: str) -> None:
    """The name is looked up, never joined to a path."""
    before = doors.states()
    memory = json.dumps({"channel": HERE, "thread_ts": None, "about": ""})
    form = {"dataset": name, "task": "triage", "base_model": "minilm", "method": "linear"}
    answer = doors.submit("finetune", form, memory, MAYA).json()
    assert answer["response_action"] == "errors"
    assert "root:" not in str(answer)
    assert doors.states() == before
    response = doors.submit("dataset_add", {"name": name}, memory, MAYA).json()
    assert response["response_action"] == "errors"


def test_the_id_of_a_file_from_another_channel_gives_no_access(doors: Doors) -> None:
    """The bot asks Slack which file the id names and where it was shared."""
    ana = Person(doors.stack.url, "ana")
    secret = ana.upload("#general", "salaries.csv", b"text,label\nsecret,1\n")["file"]["id"]
    memory = json.dumps({"channel": HERE, "thread_ts": None, "about": secret})
    since = len(doors.stack.workspace.api_log())
    assert doors.submit("dataset_add", {"name": "stolen"}, memory, MAYA).status_code == 200
    doors.private_reply(since, MAYA, "not shared here")


def test_ten_megabytes_are_refused_and_the_bot_lives(doors: Doors) -> None:
    """They are refused before parsing, and the bot answers the next request."""
    answer = doors.send("interactive", {"type": "view_submission", "padding": "x" * 10_000_000})
    assert answer.status_code == 413
    health = f"http://127.0.0.1:{doors.stack.bot_port}/health"
    assert httpx.get(health, trust_env=False).status_code == 200


def test_payloads_of_unknown_kinds_are_acknowledged_and_do_nothing(doors: Doors) -> None:
    """Fields missing, of wrong types, or unknown: no crash, no job."""
    before = doors.states()
    shapes: list[Any] = [{}, {"type": "block_actions"}, {"type": "view_submission", "view": {}}]
    shapes += [{"type": 3}, {"type": "block_actions", "actions": [{}], "user": {"id": MAYA}}]
    for shape in shapes:
        assert doors.send("interactive", shape).status_code < 600
    assert doors.states() == before
    assert doors.stack.processes["bot"].poll() is None


def test_no_secret_is_seen_in_ps_or_in_the_logs(doors: Doors) -> None:
    """Neither on a command line nor in what the bot wrote."""
    workspace = doors.stack.workspace
    secrets = (workspace.bot_token, workspace.app_token, workspace.signing_secret)
    bot = psutil.Process(doors.stack.processes["bot"].pid)
    lines = [" ".join(process.cmdline()) for process in [bot, *bot.children(recursive=True)]]
    logs = "".join(path.read_text(errors="replace") for path in Path(doors.stack.logs).glob("*.log"))
    for secret in secrets:
        assert secret not in " ".join(lines) + logs
    keys = doors.stack.home / "keys"
    assert [path.name for path in keys.glob("*.key") if path.stat().st_mode & 0o077] == []
