"""Adding and removing datasets and documents on behalf of a person in a channel; both report in place."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

from bot.blocks import context, section
from bot.errors import BotError
from bot.escape import escape, one_line
from bot.faults import apologise
from bot.files import SlackFile, fetched
from bot.limits import split_text
from bot.local import models_trained_on
from bot.people import Person
from bot.services import Services
from finetune.card import Card

PROGRESS_S = 3.0


def scopes_of(choice: str, channel: str) -> frozenset[str]:
    """`workspace` or this channel, whatever else a form may say."""
    return frozenset({"workspace" if choice == "workspace" else f"channel:{channel}"})


def suggested_name(file_name: str) -> str:
    """A dataset name made of a file's: `Tickets Q3.csv` -> `tickets-q3`."""
    stem = Path(file_name).stem.casefold()
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:40].strip("-") or "tickets"


def add_dataset(
    services: Services,
    client: WebClient,
    file: SlackFile,
    form: dict[str, str],
    person: Person,
    channel: str,
) -> None:
    """Queues the import; the channel gets the card of the dataset, the person alone any problem by line."""

    def work(_stopped: threading.Event) -> None:
        try:
            with fetched(file, services.download, services.home) as path:
                scopes = scopes_of(form.get("scope", ""), channel)
                licence = form.get("licence", "")
                guard_name(services, form["name"], person)
                card = services.datasets.add(path, form["name"], person.id, scopes, licence)
            text = f"📥 {escape(person.name)} added *{escape(card.name)}*"
            client.chat_postMessage(channel=channel, text=text, blocks=added_blocks(card, person))
        except Exception as error:  # the edge: this thread has no caller to tell
            apologise(client, error, channel, person.id)

    services.turns.submit(("dataset", form["name"]), work)


def guard_name(services: Services, name: str, person: Person) -> None:
    """A name that someone else added in a place that this person may not manage is refused."""
    owners = {card.added_by for card in services.datasets.versions(name)}
    if owners and person.id not in owners and not services.policy.is_admin(person):
        raise BotError(f"The name `{name}` is taken by someone else's dataset. Choose another name.")


def added_blocks(card: Card, person: Person) -> list[dict[str, object]]:
    """The short card of a dataset that was just added."""
    queues = ", ".join(f"{escape(one_line(name, 40))} {count}" for name, count in card.classes[:8])
    lines = [f"📥  {escape(person.name)} added *{escape(card.name)}* v{card.version}: {card.rows:,} tickets"]
    if queues:
        lines.append(queues + (" …" if len(card.classes) > 8 else ""))
    notes = [f"{card.rejected:,} rows left out"] if card.rejected else []
    notes += [f"{card.repaired:,} repaired"] if card.repaired else []
    notes += [f"{n:,} {kind} duplicates" for kind, n in card.duplicates.items() if n]
    blocks = [section("\n".join(lines))]
    if notes:
        blocks.append(context(" · ".join(escape(note) for note in notes)))
    return [*blocks, context(f"Train on it: `/finetune {escape(card.name)}`")]


def remove_dataset(services: Services, name: str, person: Person, channel: str) -> str:
    """Erases a dataset that the person added (or any, for an admin); the sentence that says so."""
    card = services.datasets.get(name, None if services.policy.is_admin(person) else services.scopes(channel))
    if card.added_by != person.id and not services.policy.is_admin(person):
        raise BotError(f"Only the person who added {card.name} or an admin can remove it.")
    removal = services.datasets.remove(card.name, person.id, models_trained_on(services.ledger))
    said = f"Removed {removal.name}: {removal.rows:,} tickets erased."
    models = ", ".join(removal.models)
    return f"{said} Trained on them, and cannot forget: {models}." if models else said


def add_documents(
    services: Services,
    client: WebClient,
    sources: list[SlackFile | str],
    scope: str,
    person: Person,
    channel: str,
) -> None:
    """Queues reading the documents into the index; one message in the channel shows the progress and result."""

    def work(_stopped: threading.Event) -> None:
        try:
            _index(services, client, sources, scopes_of(scope, channel), person, channel)
        except Exception as error:  # the edge: this thread has no caller to tell
            apologise(client, error, channel, person.id)

    services.turns.submit(("index",), work)


def _index(
    services: Services,
    client: WebClient,
    sources: list[SlackFile | str],
    scopes: frozenset[str],
    person: Person,
    channel: str,
) -> None:
    sent = client.chat_postMessage(channel=channel, text=f"📚 {escape(person.name)} adds documents …")
    said = [time.monotonic()]

    def on_progress(*parts: object) -> None:
        if time.monotonic() - said[0] < PROGRESS_S:
            return
        said[0] = time.monotonic()
        words = escape(one_line(" ".join(str(part) for part in parts), 150))
        try:
            client.chat_update(channel=channel, ts=sent["ts"], text=f"📚 Reading: {words}")
        except SlackClientError:  # progress is a courtesy; the result below is not
            return

    reports = []
    for source in sources:
        if isinstance(source, str):
            reports.append(services.index.add([source], scopes, on_progress))
        else:
            keep = services.home / "documents" / source.id
            with fetched(source, services.download, services.home) as path:
                keep.mkdir(parents=True, exist_ok=True)
                kept = keep / path.name
                path.replace(kept)
            reports.append(services.index.add([kept], scopes, on_progress))
    text = f"📚 {escape(person.name)} added documents: " + "; ".join(_outcome(r) for r in reports)
    client.chat_update(channel=channel, ts=sent["ts"], text=text, blocks=[section(text[:2900])])


def sync_documents(services: Services, client: WebClient, person: Person, channel: str) -> None:
    """Queues reading every document again; only what changed costs anything."""
    if not services.policy.is_admin(person):
        raise BotError("Only admins can sync all documents. Add a single one again with `/docs add`.")

    def work(_stopped: threading.Event) -> None:
        try:
            report = services.index.sync()
            client.chat_postMessage(channel=channel, text=f"📚 Documents synced: {_outcome(report)}")
        except Exception as error:  # the edge: this thread has no caller to tell
            apologise(client, error, channel, person.id)

    services.turns.submit(("index",), work)


def remove_document(services: Services, doc_id: str, person: Person, channel: str) -> str:
    """Takes a document that is visible from here out of every answer; the sentence that says so."""
    found = [
        d for d in services.index.documents(services.scopes(channel)) if _field(d, "doc_id", "id") == doc_id
    ]
    if not found:
        raise BotError("There is no such document here. `/docs` lists them with their ids.")
    shared = "workspace" in _scopes(found[0])
    if shared and not services.policy.is_admin(person):
        raise BotError("This document serves the whole workspace: only an admin can remove it.")
    services.index.remove(doc_id)
    return f"Removed {_field(found[0], 'title') or doc_id}."


def document_line(document: object) -> str:
    """One document in a line: title, id, who sees it."""
    where = "everyone" if "workspace" in _scopes(document) else "this channel"
    title = escape(one_line(_field(document, "title") or _field(document, "source"), 80))
    return f"• *{title}*  ·  {where}  ·  `{escape(_field(document, 'doc_id', 'id'))}`"


def document_blocks(lines: list[str]) -> list[dict[str, object]]:
    """The list of documents within one message."""
    shown = "\n".join(lines[:30]) or "None yet."
    more = f"\nand {len(lines) - 30} more" if len(lines) > 30 else ""
    return [section(piece) for piece in split_text(f"*Documents here*\n{shown}{more}")]


def web_address(text: str) -> str:
    """The https address, or BotError; private addresses are refused by the index itself."""
    parts = urlsplit(text.strip().strip("<>").split("|")[0])
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BotError("That is not a web address. Write it with https:// in front.")
    return parts.geturl()


def _field(document: object, *names: str) -> str:
    for name in names:
        value = document.get(name) if isinstance(document, dict) else getattr(document, name, None)
        if value:
            return str(value)
    return ""


def _scopes(document: object) -> frozenset[str]:
    value = document.get("scopes") if isinstance(document, dict) else getattr(document, "scopes", ())
    return frozenset(value or ())


def _outcome(report: object) -> str:
    """A SyncReport in words, whatever counts it carries."""
    known = vars(report) if hasattr(report, "__dict__") else {}
    counts = [
        f"{value} {name.replace('_', ' ')}"
        for name, value in known.items()
        if isinstance(value, int) and value
    ]
    problems = [escape(one_line(str(p), 200)) for p in list(known.get("problems") or [])[:5]]
    return ", ".join(counts) + ("\n• " + "\n• ".join(problems) if problems else "") or "nothing new"
