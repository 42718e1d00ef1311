"""Tickets of other systems over HTTP: signed as each system documents, entered once; everything else is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from bot.errors import BotError
from bot.slack.http import bind, run_site
from bot.slack.ticket_hooks import SOURCES, ticket_from
from bot.slack.ticket_server import build_ticket_site, read_secrets, start_ticket_server
from bot.slack.ui.forms import FormMetadata
from worker.ledger import duty
from worker.ledger.duty import Watch
from worker.ledger.ledger import Ledger

pytestmark = pytest.mark.integration
NOW = 1_800_000_000.0
SECRETS = {name: (f"the-secret-of-{name}",) for name in ("zendesk", "jira", "intercom", "freshdesk", "api")}
TICKET = {"id": 4711, "subject": "Refund", "description": "charged twice, write to jo@example.com"}
JIRA = {
    "issue": {
        "key": "SUP-12",
        "fields": {"summary": "Refund", "description": {"content": [{"text": "charged twice"}]}},
    }
}
INTERCOM = {"data": {"item": {"id": "99", "source": {"subject": "", "body": "<p>charged twice</p>"}}}}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[tuple[httpx.Client, Ledger, Watch]]:
    """The ticket server on loopback, with a ledger and a model on duty in C1."""
    ledger = Ledger(str(tmp_path / "ledger.db"))
    fields = (
        "",
        "C1",
        "T1",
        "job1",
        "d",
        "job1",
        0.1,
        duty.SHADOW,
        duty.SHADOW,
        "everyone",
        "U1",
        1.0,
        1.0,
        "0",
    )
    watch = duty.open_watch(ledger.engine, Watch(*fields))
    services: Any = SimpleNamespace(ledger=ledger, clock=lambda: NOW, duty=None)
    secrets = {("", source): own for source, own in SECRETS.items()}
    secrets |= {("T1", source): own for source, own in SECRETS.items()} | {
        ("T2", "api"): ("another secret of T2",)
    }
    teams = {"": services, "T1": services}
    with bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    stop = run_site(build_ticket_site(teams.get, secrets, lambda: NOW), "127.0.0.1", port)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        yield client, ledger, watch
    stop()
    ledger.close()


def signed(source: str, payload: Any, at: float = NOW) -> tuple[bytes, dict[str, str]]:
    """The body and headers of the source's request."""
    body, secret = json.dumps(payload).encode(), SECRETS[source][0].encode()
    if source == "zendesk":
        stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        mac = base64.b64encode(hmac.new(secret, stamp.encode() + body, hashlib.sha256).digest()).decode()
        return body, {"X-Zendesk-Webhook-Signature": mac, "X-Zendesk-Webhook-Signature-Timestamp": stamp}
    if source == "jira":
        return body, {"X-Hub-Signature": f"sha256={hmac.new(secret, body, 'sha256').hexdigest()}"}
    if source == "intercom":
        return body, {"X-Hub-Signature": f"sha1={hmac.new(secret, body, 'sha1').hexdigest()}"}
    return body, {"X-Trainwise-Key": SECRETS[source][0]}


@pytest.mark.parametrize(
    ("source", "payload", "key"),
    [
        ("zendesk", TICKET, "zendesk:4711"),
        ("jira", JIRA, "jira:SUP-12"),
        ("intercom", INTERCOM, "intercom:99"),
        (
            "freshdesk",
            {"freshdesk_webhook": {"ticket_id": 7, "ticket_description": "charged twice"}},
            "freshdesk:7",
        ),
    ],
)
def test_a_signed_ticket_is_entered_once(
    door: tuple[httpx.Client, Ledger, Watch], source: str, payload: Any, key: str
) -> None:
    """Its text is stored without personal data; a repeated delivery and an unsigned request enter nothing."""
    client, ledger, watch = door
    body, headers = signed(source, payload)
    first = client.post(f"/hooks/{source}/C1", content=body, headers=headers)
    assert (first.status_code, first.json()) == (202, {"ticket": key, "new": True})
    again = client.post(f"/hooks/{source}/C1", content=body, headers=headers)
    assert again.json()["new"] is False
    text = duty.ticket_of(ledger.engine, watch.id, key).text
    assert "charged twice" in text
    assert "jo@example.com" not in text
    assert client.post(f"/hooks/{source}/C1", content=body).status_code == 401
    other = client.post(f"/hooks/{source}/C1", content=body + b" ", headers=headers)
    assert other.status_code == (202 if source == "freshdesk" else 401), "Freshdesk signs no body"
    assert len(duty.tickets_of(ledger.engine, watch.id)) == 1


def test_the_api_takes_a_ticket_with_a_key(door: tuple[httpx.Client, Ledger, Watch]) -> None:
    """POST /v1/tickets enters a ticket, and answers a sentence for a bad body."""
    client, _, _ = door
    headers = {"Authorization": f"Bearer {SECRETS['api'][0]}"}
    answer = client.post("/v1/tickets/C1", json={"id": "a 1", "text": "my parcel is late"}, headers=headers)
    assert answer.json()["ticket"].startswith("api:a-1-")
    for payload, words in (
        ({"id": 1}, "no words"),
        ({"text": "x y"}, "no number"),
        ({"id": None, "text": "x y"}, "no number"),
        ([1], "one JSON object"),
    ):
        refusal = client.post("/v1/tickets/C1", json=payload, headers=headers)
        assert refusal.status_code == 400
        assert words in refusal.json()["error"]
    assert client.post("/v1/tickets/C1", content=b"{", headers=headers).status_code == 400
    assert client.post("/v1/tickets/C1", content=b"x" * 3_000_000, headers=headers).status_code == 413
    assert client.post("/v1/tickets/C9", json={"id": "1", "text": "x y"}, headers=headers).status_code == 409
    assert client.post("/hooks/nothing/C1", json=TICKET, headers=headers).status_code == 404
    assert client.post("/hooks/api/C1", json=TICKET, headers=headers).status_code == 404


def test_an_old_zendesk_request_is_refused(door: tuple[httpx.Client, Ledger, Watch]) -> None:
    """The signature is valid, but its time is ten minutes old."""
    client, _, _ = door
    body, headers = signed("zendesk", TICKET, NOW - 600)
    assert client.post("/hooks/zendesk/C1", content=body, headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("text", "mode"),
    [("zendesk short", 0o600), ("mars a-secret-long-enough", 0o600), ("", 0o644), ("# none yet", 0o600)],
)
def test_errors_in_the_file_of_secrets_are_reported(tmp_path: Path, text: str, mode: int) -> None:
    """A short secret, an unknown source, a file readable by others, an empty file, a missing file."""
    file = tmp_path / "keys"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(BotError):
        read_secrets(file)
    with pytest.raises(BotError, match="SOURCE SECRET"):
        read_secrets(tmp_path / "nowhere")


def test_two_numbers_never_share_an_entry(door: tuple[httpx.Client, Ledger, Watch]) -> None:
    """Numbers with characters that a key cannot hold, and long numbers that differ at the end, stay different tickets."""
    client, ledger, watch = door
    headers = {"Authorization": f"Bearer {SECRETS['api'][0]}"}
    address = "https://help.example.com/tickets/in-a-folder/with-a-long-name"
    for number in ("a 1", "a/1", "a-1", f"{address}/1", f"{address}/2", "№ 7"):
        body = json.dumps({"id": number, "text": "half \ud83d of a sign"})
        answer = client.post("/v1/tickets/C1", content=body, headers=headers)
        assert answer.json()["new"] is True, number
    assert len(duty.tickets_of(ledger.engine, watch.id)) == 6


@pytest.mark.parametrize("source", SOURCES)
def test_the_longest_number_fits_into_a_form(source: str) -> None:
    """The metadata of the form "Other queue…" holds watch and ticket."""
    number = "7" * 300
    payload = {"id": number, "text": "x y"}
    payload |= {"issue": {"key": number, "fields": {"summary": "x y"}}} if source == "jira" else {}
    payload |= {"data": {"item": {"id": number, "source": {"body": "x y"}}}} if source == "intercom" else {}
    key, _ = ticket_from(source, payload)
    assert FormMetadata.parse(FormMetadata("C1", "1.0", f"{'a' * 12}:{key}").pack()).about.endswith(key)


def test_a_secret_opens_its_own_workspace_only(door: tuple[httpx.Client, Ledger, Watch]) -> None:
    """The path names the workspace; one that has removed the app answers 410, but only to its own secret."""
    client, _, _ = door
    body, headers = signed("zendesk", TICKET)
    assert client.post("/teams/T1/hooks/zendesk/C1", content=body, headers=headers).status_code == 202
    assert client.post("/teams/T2/hooks/zendesk/C1", content=body, headers=headers).status_code == 401
    own, other = (
        {"Authorization": f"Bearer {secret}"} for secret in ("another secret of T2", SECRETS["api"][0])
    )
    ticket = {"id": "7", "text": "charged twice"}
    assert client.post("/teams/T2/v1/tickets/C1", json=ticket, headers=other).status_code == 401
    assert client.post("/teams/T1/v1/tickets/C1", json=ticket, headers=own).status_code == 401
    assert client.post("/teams/T2/v1/tickets/C1", json=ticket, headers=own).status_code == 410
    assert client.post("/teams/T1/v1/tickets/C1", json=ticket, headers=other).status_code == 202


def test_secrets_of_a_bot_of_many_workspaces_name_the_team(tmp_path: Path) -> None:
    """A line without a team is refused there; a line with a team is refused in a bot of one workspace."""
    file = tmp_path / "keys"
    file.write_text("T0123ABCD api 0123456789abcdef0\nT0123ABCD api 0123456789abcdef1\n")
    file.chmod(0o600)
    assert read_secrets(file, many_teams=True) == {
        ("T0123ABCD", "api"): ("0123456789abcdef0", "0123456789abcdef1")
    }
    with pytest.raises(BotError, match="line 1: write `SOURCE SECRET`"):
        read_secrets(file)
    file.write_text("api 0123456789abcdef0\n")
    with pytest.raises(BotError, match="line 1: write `TEAM SOURCE SECRET`"):
        read_secrets(file, many_teams=True)
    with pytest.raises(BotError, match="a line `TEAM SOURCE SECRET`"):
        start_ticket_server(lambda team: None, "127.0.0.1", 0, None, many_teams=True)
