"""The real Slack app in this process, over a socket of the local workspace: index, ledger, datasets and adviser are real.

Where a test needs a payload that no page can make, `send` hands one to the app as its socket would.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from slack_bolt import App, BoltRequest
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from bot.playground import Person, Playground
from bot.playground.state.seed import APP_ID, TEAM_ID
from bot.slack.app import FEATURES, Feature, build_app, posting_client, slack_client, summaries
from bot.slack.audience import Audience
from bot.slack.delivery.notifier import Notifier
from bot.slack.permissions import Permissions
from bot.slack.services import Services
from bot.slack.teams import OneTeam
from bot.slack.thread_queue import ThreadQueue
from bot.slack.users import Users
from finetune.data.store import DatasetStore
from rag.adviser import Adviser
from rag.index import Index
from rag.search.embedding import MiniLM
from tests.integration.conftest import until
from tests.integration.notifier_harness import MANIFEST
from worker.ledger.ledger import Ledger

Json = dict[str, Any]


@dataclass
class SlackHarness:
    """The workspace, the app and what it works with; `admins` and others are people by name."""

    workspace: Playground
    services: Services
    app: App
    notifier: Notifier
    answers: list[str]  # what was posted to the response_url of the payloads made here
    answer_url: str
    people: dict[str, Person] = field(default_factory=dict)
    count: int = 0
    team: str = TEAM_ID

    def person(self, name: str) -> Person:
        """A person at their client, by name or id."""
        return self.people.setdefault(name, Person(self.workspace.url, name, timeout=60))

    def send(self, body: Json) -> str:
        """A payload to the app, as its socket hands it over; the answer that goes back with the ack."""
        answer = self.app.dispatch(BoltRequest(mode="socket_mode", body=body))
        assert answer.status == 200, body
        return str(answer.body)

    def calls(self) -> int:
        """How many Web API calls there were."""
        return int(self.workspace.state()["calls"])

    def settle(self) -> None:
        """Returns when nothing waits or runs and no call came for a while."""
        quiet, last = 0, -1
        while quiet < 4:
            time.sleep(0.15)
            now = self.calls()
            idle = now == last and self.services.thread_queue.waiting == 0
            quiet, last = (quiet + 1 if idle else 0), now

    def sent(self, since: int, answers_since: int) -> str:
        """Everything that the app has sent since: the calls' arguments and the answers, as text."""
        calls = [call["params"] for call in self.workspace.api_log(since)]
        return json.dumps(calls, ensure_ascii=False) + "\n".join(self.answers[answers_since:])

    def payload(self, kind: str, user: str, team: str = "") -> Json:
        """What interactive payloads share."""
        self.count += 1
        who = {"id": user, "username": "x", "name": "x", "team_id": team or self.team}
        trigger = f"{self.count}.{time.time_ns()}.x"
        team_object = {"id": self.team, "domain": "northwind"}
        return {
            "type": kind,
            "user": who,
            "team": team_object,
            "api_app_id": APP_ID,
            "token": "t",
            "trigger_id": trigger,
        }

    def button(
        self, user: str, action_id: str, value: str, place: tuple[str, str, str], team: str = ""
    ) -> Json:
        """A pressed button or a choice; `place` is channel, thread and message."""
        channel, thread, ts = place
        action = {"action_id": action_id, "block_id": "b", "value": value, "type": "button"}
        action["selected_option"] = {"value": value}  # type: ignore[assignment]
        container = {"type": "message", "message_ts": ts, "channel_id": channel, "thread_ts": thread}
        message = {"ts": ts, "thread_ts": thread, "text": "t", "blocks": []}
        view = {"id": "V1", "hash": "1", "callback_id": "x", "private_metadata": "", "state": {"values": {}}}
        body = self.payload("block_actions", user, team)
        return body | {
            **{"container": container, "message": message, "actions": [action], "view": view},
            **{"channel": {"id": channel, "name": "c"}, "response_url": self.answer_url},
        }

    def form(self, user: str, callback_id: str, values: dict[str, str], memory: Json, team: str = "") -> Json:
        """A submitted form with any memory and values."""
        state = {name: {"v": {"type": "plain_text_input", "value": text}} for name, text in values.items()}
        body = self.payload("view_submission", user, team)
        view = {
            **{"id": f"V{self.count}", "type": "modal", "callback_id": callback_id, "hash": "1.a"},
            **{
                "private_metadata": json.dumps(memory),
                "state": {"values": state},
                "team_id": self.team,
                "app_installed_team_id": self.team,
                "blocks": [],
            },
        }
        return body | {"view": view}

    def command(self, user: str, command: str, text: str, channel: str, team: str = "") -> Json:
        """A typed slash command."""
        self.count += 1
        return {
            **{
                "command": command,
                "text": text,
                "user_id": user,
                "user_name": "x",
                "team_id": team or self.team,
            },
            **{"channel_id": channel, "api_app_id": APP_ID, "token": "t", "response_url": self.answer_url},
            **{"trigger_id": f"{self.count}.{time.time_ns()}.x"},
        }

    def event(self, event: Json, **envelope: Any) -> Json:
        """An event in its envelope."""
        self.count += 1
        own = [{"team_id": self.team, "user_id": "U0TRAINWISE", "is_bot": True, "enterprise_id": None}]
        body = {
            "type": "event_callback",
            "team_id": self.team,
            "api_app_id": APP_ID,
            "token": "t",
            "event": event,
        }
        return body | {"event_id": f"EvX{self.count}", "authorizations": own} | envelope


@contextmanager
def catcher(bodies: list[str]) -> Iterator[str]:
    """An address that keeps what is posted to it, as text."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            bodies.append(json.dumps(json.loads(self.rfile.read(size)), ensure_ascii=False))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/answer"
    server.shutdown()
    server.server_close()


@contextmanager
def open_slack(
    home: Path,
    embed: MiniLM,
    permissions: Permissions | None = None,
    features: Sequence[Feature] = FEATURES,
    manifest: Json = MANIFEST,
    furnish: Callable[[Services, WebClient], Services] = lambda services, client: services,
) -> Iterator[SlackHarness]:
    """The app with `features`, connected; its notifier is there but runs only when a test lets it.

    `furnish` gives the services what a test needs of the wiring's clerks.
    """
    with ExitStack() as cleanup:
        workspace = cleanup.enter_context(Playground(manifest))
        workspace.set_rates(enforce=False)
        client = slack_client(workspace.bot_token, workspace.api_url)
        ledger = Ledger(str(home / "ledger.db"))
        cleanup.callback(ledger.close)
        index = cleanup.enter_context(Index.open(home / "index", embed))
        index.ensure_guide()
        datasets = DatasetStore(str(home / "datasets"))
        datasets.ensure_samples()
        users = Users(client)
        services = Services(
            adviser=Adviser(index, embed, {"as_of": "2026-11"}),
            ledger=ledger,
            datasets=datasets,
            index=index,
            prices={},
            permissions=permissions or Permissions(),
            users=users,
            audience=Audience(client, users),
            thread_queue=ThreadQueue(),
            home=home,
            file_hosts=frozenset(),
            download=lambda url, path: None,
            summaries=summaries(features),
        )
        services = furnish(services, client)
        app = build_app(client, OneTeam(services), 8, workspace.signing_secret, features)
        notifier = Notifier(posting_client(workspace.bot_token, workspace.api_url), ledger, 0.2)
        notifier.is_closed_to_jobs = services.is_closed_to_jobs
        handler = SocketModeHandler(app, workspace.app_token, web_client=client)
        handler.connect()
        until(lambda: workspace.state()["sockets"])
        answers: list[str] = []
        yield SlackHarness(
            workspace, services, app, notifier, answers, cleanup.enter_context(catcher(answers))
        )
        services.thread_queue.close(5)
        with suppress(AttributeError):  # slack_sdk 3.47 races with its own reconnect in Connection.disconnect
            handler.close()
