"""`/docs`: lists, adds, syncs and removes documents for a person in a channel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

from bot.errors import BotError
from bot.slack.failures import PrivateErrorReport, send_error, wrap_listener
from bot.slack.files import SlackFile, check_publishing, downloaded_copy, find_shared_file
from bot.slack.home_tab import show_started
from bot.slack.payload import Body, Command, View, open_direct_channel, origin_of
from bot.slack.services import Services, scopes_of
from bot.slack.teams import Teams
from bot.slack.ui.blocks import actions, button, modal, section
from bot.slack.ui.escape import escape, one_line, question_of
from bot.slack.ui.forms import FormMetadata, FormValues, documents_modal
from bot.slack.ui.limits import split_text, validate_message, validate_view
from bot.slack.ui.lists import seen_by
from bot.slack.users import Person
from worker.ledger.undos import drop_owner, owner, set_owner

if TYPE_CHECKING:
    from rag.ingest.sync import SyncReport
    from rag.search.store import Document

PROGRESS_S = 3.0
SUMMARY = "`/docs` lists, adds, shares and removes the documents that answers cite."


def register(app: App, teams: Teams) -> None:
    """Registers `/docs`, its buttons and its form."""
    app.command("/docs")(wrap_listener(teams, on_docs))
    app.action("docs_add")(wrap_listener(teams, on_docs_add))
    app.view("docs_add")(wrap_listener(teams, on_documents_form))
    app.action("home_documents")(wrap_listener(teams, on_home_documents))
    app.action("home_add_document")(wrap_listener(teams, on_home_add))


def add_documents(
    services: Services,
    client: WebClient,
    sources: list[SlackFile | str],
    scope: str,
    person: Person,
    channel: str,
) -> None:
    """Queues indexing the documents; one message in the channel shows the progress and the result."""

    def work(_stop: threading.Event) -> None:
        try:
            _index(services, client, sources, scopes_of(scope, channel), person, channel)
        except Exception as error:  # the edge: this thread has no caller to tell
            send_error(client, error, channel, person.id)

    services.thread_queue.submit(("index",), work)


def _index(
    services: Services,
    client: WebClient,
    sources: list[SlackFile | str],
    scopes: frozenset[str],
    person: Person,
    channel: str,
) -> None:
    opening = f"📚 {escape(person.name)} adds documents"
    place = services.job_channel(channel, person) if "workspace" in scopes else channel
    message = client.chat_postMessage(channel=place, text=f"{opening} …")
    place = str(message["channel"])
    on_progress = _progress(client, place, message["ts"], opening)
    outcomes = []
    for source in sources:
        if isinstance(source, str):
            outcomes.append(_report_text(services.index.add([source], scopes, on_progress), source))
            _note_owner(services, source, person)
            continue
        with downloaded_copy(source, services.download, services.home) as path:
            keep = services.home / "documents" / source.id
            keep.mkdir(parents=True, exist_ok=True)
            copy = path.replace(keep / path.name)
        report = services.index.add([copy], scopes, on_progress, url=source.permalink or None)
        _note_owner(services, str(copy), person)
        if not report.additions + report.repeats:
            _discard(services, copy)
        outcomes.append(
            f"{escape(one_line(source.name, 80))}, {_report_text(report, str(copy), source.name)}"
        )
    text = f"📚 {escape(person.name)} added documents for {seen_by(scopes)}: " + "\n".join(outcomes)
    client.chat_update(channel=place, ts=message["ts"], text=text[:2900], blocks=[section(text[:2900])])


def _note_owner(services: Services, source: str, person: Person) -> None:
    """Stores the person as the owner of the source's documents; owners decide who sees them."""
    for document in services.index.store.documents(root=source):
        set_owner(services.ledger.engine, "document", document.id, person.id, services.clock())


def _progress(client: WebClient, channel: str, ts: str, opening: str) -> Callable[[int, int, str], None]:
    """Returns a callback that updates the message every PROGRESS_S with the count and the current document."""
    last = [time.monotonic()]

    def on_progress(count: int, total: int, name: str) -> None:
        if time.monotonic() - last[0] < PROGRESS_S:
            return
        last[0] = time.monotonic()
        words = f"{opening}: {count:,} of {total:,} read, now {escape(one_line(name, 120))}"
        with suppress(SlackClientError):  # progress is best effort; the result is not
            client.chat_update(channel=channel, ts=ts, text=words)

    return on_progress


def _discard(services: Services, copy: Path) -> None:
    """Deletes an uploaded file that no document uses."""
    copy.unlink(missing_ok=True)
    with suppress(OSError):
        copy.parent.rmdir()


def sync_documents(services: Services, client: WebClient, person: Person, channel: str) -> None:
    """Queues reading every document again; only changed documents are embedded."""
    if not services.permissions.is_admin(person):
        raise BotError("Only admins can sync all documents. Add a single one again with `/docs add`.")

    def work(_stop: threading.Event) -> None:
        try:
            opening = "📚 Syncing the documents"
            place = services.job_channel(channel, person)
            message = client.chat_postMessage(channel=place, text=f"{opening} …")
            place = str(message["channel"])
            report = services.index.sync(_progress(client, place, message["ts"], opening))
            text = f"📚 Documents synced: {_report_text(report)}"[:2900]
            client.chat_update(channel=place, ts=message["ts"], text=text, blocks=[section(text)])
        except Exception as error:  # the edge: this thread has no caller to tell
            send_error(client, error, channel, person.id)

    services.thread_queue.submit(("index",), work)


def remove_document(services: Services, doc_id: str, person: Person, channel: str) -> str:
    """Removes a document that is visible from here from the index; returns the confirmation."""
    document = _removable_document(services, doc_id, person, channel)
    others = document.scopes - services.scopes(channel)
    if others and not services.permissions.is_admin(person):
        services.index.share(doc_id, others)
        return f"Removed {document.title} here. Other channels that it was added to still see it."
    services.index.remove(doc_id)
    drop_owner(services.ledger.engine, "document", document.id)
    copy = Path(document.root)
    if copy.is_relative_to(services.home / "documents") and not services.index.store.documents(
        root=document.root
    ):
        _discard(services, copy)
    return f"Removed {document.title}."


def _removable_document(services: Services, doc_id: str, person: Person, channel: str) -> Document:
    """The document, if it is visible from here and this person may remove it: its owner, or an admin.

    A document without a stored owner can be removed by any member of its channel.
    """
    own_id = doc_id.strip("`")
    document: Document
    for document in services.index.documents(services.scopes(channel)):
        if document.id == own_id:
            by = owner(services.ledger.engine, "document", own_id)
            mine = by == person.id or services.permissions.is_admin(person)
            if "workspace" in document.scopes and not mine:
                raise BotError(
                    "This document serves the whole workspace: only its owner or an admin can change that."
                )
            if by and not mine:
                raise BotError(f"Only <@{by}>, who added this document, or an admin can remove it.")
            return document
    raise BotError("There is no such document here. `/docs` lists them with their ids.")


def document_line(document: Document) -> str:
    """The line of one document: title, id, audience."""
    title = escape(one_line(document.title or document.source, 80))
    return f"• *{title}*  ·  {seen_by(document.scopes)}  ·  `{escape(document.id)}`"


def document_blocks(lines: list[str]) -> list[dict[str, object]]:
    """The list of documents, cut to one message."""
    text = "\n".join(lines[:30]) or "None yet."
    more = f"\nand {len(lines) - 30} more" if len(lines) > 30 else ""
    return [section(piece) for piece in split_text(f"*Documents here*\n{text}{more}")]


def web_address(text: str) -> str:
    """The https address; raises BotError for anything else. The index refuses private addresses."""
    parts = urlsplit(text.strip().strip("<>").split("|")[0])
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BotError("That is not a web address. Write it with https:// in front.")
    return parts.geturl()


def _report_text(report: SyncReport, source: str = "", name: str = "") -> str:
    """The text of a report, with file names in place of this machine's paths."""
    counts = [
        f"{number:,} {word}"
        for number, word in (
            (report.additions, "added or changed"),
            (report.repeats, "unchanged"),
            (report.removals, "removed"),
        )
        if number
    ]
    problems = [escape(one_line(p.replace(source, name) if name else p, 300)) for p in report.problems[:8]]
    more = len(report.problems) - len(problems)
    problems += [f"and {more:,} more that were left out"] if more else []
    problems += [
        "⚠️ " + escape(one_line(n.replace(source, name) if name else n, 400)) for n in report.notes[:8]
    ]
    more_notes = len(report.notes) - 8
    problems += [f"and {more_notes:,} more notes"] if more_notes > 0 else []
    text = ", ".join(counts) or "nothing added"
    return text + ("\n• " + "\n• ".join(problems) if problems else "")


def on_documents_form(services: Services, ack: Ack, body: Body, view: View, client: WebClient) -> None:
    metadata, form = FormMetadata.parse(view["private_metadata"]), FormValues.of(view)
    sources: list[SlackFile | str] = []
    try:
        if link := form.values.get("link", "").strip():
            sources.append(web_address(link))
    except BotError as wrong:
        ack(response_action="errors", errors={"link": str(wrong)})
        return
    files = form.files.get("file", ())
    if not files and not sources:
        ack(response_action="errors", errors={"link": "Add a file above, or a link here."})
        return
    ack()
    with PrivateErrorReport(client, metadata, body):
        user = body["user"]["id"]
        person = services.users.person(user)
        scope = form.values.get("scope", "channel")
        uploads = [find_shared_file(client, one, user, metadata.channel) for one in files]
        for upload in uploads:
            check_publishing(upload, scope, user, services.permissions.is_admin(person))
        sources += uploads
        add_documents(services, client, sources, scope, person, metadata.channel)
        names = escape(one_line(", ".join(one if isinstance(one, str) else one.name for one in sources), 120))
        show_started(services, client, body, metadata.channel, f"Adding *{names}*")


def open_documents(client: WebClient, trigger_id: str, metadata: FormMetadata) -> None:
    client.views_open(trigger_id=trigger_id, view=validate_view(documents_modal(metadata)))


def on_docs_add(_services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    ack()
    open_documents(client, body["trigger_id"], FormMetadata(origin_of(body)[0]))


def on_home_documents(services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """Handles home's button: lists the documents, with a button to add some."""
    ack()
    metadata = FormMetadata(open_direct_channel(client, body))
    lines = [document_line(d) for d in services.index.documents(services.scopes(metadata.channel))]
    add = actions([button("Add documents", "home_add_document", style="primary")], block_id="docs")
    view = modal("note", "Documents", [add, *document_blocks(lines)], metadata=metadata.pack())
    client.views_open(trigger_id=body["trigger_id"], view=validate_view(view))


def on_home_add(_services: Services, ack: Ack, body: Body, client: WebClient) -> None:
    """The form takes the list's place."""
    ack()
    view = documents_modal(FormMetadata.parse(body["view"]["private_metadata"]))
    client.views_update(view_id=body["view"]["id"], view=validate_view(view))


def on_docs(services: Services, ack: Ack, command: Command, client: WebClient, respond: Respond) -> None:
    """Handles the sub-commands of `/docs`."""
    ack()
    words = question_of(command.get("text", "")).split()
    channel, person = command["channel_id"], services.users.person(command["user_id"])
    verb = words[0].lower() if words else "list"
    if verb == "list":
        lines = [document_line(d) for d in services.index.documents(services.scopes(channel))]
        add = actions([button("Add documents", "docs_add", style="primary")], block_id="docs")
        blocks = [*document_blocks(lines), add]
        respond(text="Documents", blocks=validate_message(blocks), response_type="ephemeral")
    elif verb == "add" and len(words) == 1:
        open_documents(client, command["trigger_id"], FormMetadata(channel))
    elif verb == "add":
        links = [web_address(word) for word in words[1:6]]
        add_documents(services, client, list(links), "channel", person, channel)
        respond(text="Reading it; the result comes here in the channel.", response_type="ephemeral")
    elif verb == "sync":
        sync_documents(services, client, person, channel)
        respond(text="Syncing; the result comes here in the channel.", response_type="ephemeral")
    elif verb == "remove" and len(words) == 2:
        text = remove_document(services, words[1], person, channel)
        respond(text=escape(text), response_type="ephemeral")
    else:
        raise BotError(
            "I know `/docs`, `/docs add`, `/docs add LINK`, `/docs sync`, `/docs remove ID`, "
            "`/docs share ID everyone|here` and `/docs outsiders`."
        )
