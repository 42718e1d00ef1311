"""Builds the views of a model on duty: the forms, the line below a ticket, and the card with its figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.slack.ui.blocks import (
    Block,
    actions,
    button,
    confirm,
    context,
    field,
    header,
    modal,
    number_field,
    option,
    section,
    select,
    text_input,
)
from bot.slack.ui.escape import escape, one_line
from finetune.evaluation.duty_monitoring import DutyFigures
from worker.ledger.duty import ASKED, LIVE, SHADOW, DutyTicket, Label, Watch

MODES = {
    SHADOW: "Shadow: it answers for itself, nobody sees it",
    LIVE: "Live: a line beneath each ticket",
}
CORRECTORS = {"everyone": "Everyone in the channel", "admins": "Admins and whoever asked for it"}
NEW_QUEUE = "new_queue"
QUEUES_SHOWN = 99


def watch_modal(job_id: str, channel: str, metadata: str, mode: str = SHADOW) -> Block:
    """The form of `/triage watch`: accepted error rate, mode, and who may correct."""
    about = (
        f"Model `{escape(job_id)}` in <#{channel}>. It reads every new message there. Some of its answers, drawn at random, are "
        "shown to people in both modes: without them nobody knows whether the promise is kept. Mail addresses, numbers and keys "
        "are taken out before a ticket is kept."
    )
    rate = number_field(
        "error_rate",
        "Wrong answers that the team accepts, %",
        "10",
        decimal=True,
        hint="Of those that it gives alone. Where it cannot promise that, it abstains.",
    )
    modes = [option(text, value) for value, text in MODES.items()]
    people = [option(text, value) for value, text in CORRECTORS.items()]
    blocks = [
        section(about),
        rate,
        field("mode", "How it begins", select("mode", modes, mode)),
        field("correctors", "Who may correct it", select("correctors", people, "everyone")),
    ]
    return modal("duty_watch", "Put a model on duty", blocks, "Ask for it", metadata)


def request_message(watch: Watch) -> tuple[str, list[Block]]:
    """The request that an admin has to approve in the channel."""
    text = (
        f"🙋 <@{watch.by}> asks to put model `{escape(watch.job_id)}` on duty here ({watch.wish}, at most "
        f"{watch.error_rate:.0%} wrong). An admin has to agree."
    )
    row = [
        button("Agree", "duty_approve", watch.id, "primary"),
        button("Decline", "duty_decline", watch.id),
    ]
    return text, [section(text), actions(row, block_id="duty_request")]


def ticket_line(ticket: DutyTicket) -> tuple[str, list[Block]]:
    """The line below a ticket, with its buttons."""
    value, quote = _value(ticket), _quote(ticket)
    if ticket.queue is not None:
        share = f"{ticket.confidence or 0:.0%}"
        asks = f"  ·  {_why_checked(ticket)}: is this right?" if ticket.is_audit else ""
        text = f"{quote}📥 *{escape(one_line(ticket.queue, 80))}*  {share}{asks}"
        row = [button("Right", "duty_right", value), button("Other queue…", "duty_other", value)]
    else:
        text = f"{quote}🤔 Not sure: {escape(one_line(ticket.reason, 200))}. Which queue?"
        row = [
            button(one_line(name, 60), f"duty_pick:{at}", value)
            for at, (name, _) in enumerate(ticket.likeliest)
        ]
        row.append(button("Other queue…", "duty_other", value))
    return text, [section(text), actions(row, block_id="duty_line")]


def _why_checked(ticket: DutyTicket) -> str:
    return escape(one_line(ticket.reason, 200)) if ticket.reason else "drawn for checking"


def _value(ticket: DutyTicket) -> str:
    """The button's value: the ticket and its number of edits."""
    return f"{ticket.watch_id}:{ticket.key}#{ticket.edits}"


def _quote(ticket: DutyTicket) -> str:
    """The number and beginning of another system's ticket; "" for a ticket whose message is above the line."""
    return "" if ticket.ts else f"> `{escape(ticket.key)}` {escape(one_line(ticket.text, 200))}\n"


def labelled_line(ticket: DutyTicket, labels: Sequence[Label]) -> tuple[str, list[Block]]:
    """The line with people's labels, and their disagreement if there is one."""
    by_queue: dict[str, list[str]] = {}
    for one in labels:
        by_queue.setdefault(one.queue, []).append(f"<@{one.person}>")
    words = "; ".join(
        f"*{escape(one_line(queue, 80))}* ({', '.join(people)})" for queue, people in by_queue.items()
    )
    if len(by_queue) > 1:
        text = f"{_quote(ticket)}⚖️ People disagree: {words}"
    else:
        mark = "✅" if ticket.queue in by_queue else "✏️"
        text = f"{_quote(ticket)}{mark} {words}"
    value = _value(ticket)
    return text, [
        section(text),
        actions([button("Other queue…", "duty_other", value)], block_id="duty_line"),
    ]


def queue_modal(classes: Sequence[str], metadata: str) -> Block:
    """The form behind "Other queue…": a queue of the model, or a new one in words."""
    choices = [option(one_line(name, 70), str(at)) for at, name in enumerate(classes[:QUEUES_SHOWN])]
    new = text_input(NEW_QUEUE, "", "A queue that the model does not know", longest=120)
    blocks = [
        field("queue", "The right queue", select("queue", choices), optional=True),
        field(NEW_QUEUE, "Or another one", new, optional=True),
    ]
    return modal("duty_queue", "Which queue?", blocks, "Save", metadata)


@dataclass(frozen=True)
class DutyCard:
    """What the card shows: `waiting` tickets have no answer yet, the oldest for `oldest_wait_s`; `lines` are sentences."""

    watch: Watch
    figures: DutyFigures
    labels: int
    disagreements: int
    waiting: int
    oldest_wait_s: float
    lines: tuple[str, ...] = ()
    proposal: str = ""


def card_message(card: DutyCard) -> tuple[str, list[Block]]:
    """The card as text and blocks: tickets seen, answered, abstained on, error against the promise, new topics, buttons."""
    watch, figures = card.watch, card.figures
    mode = {ASKED: "waits for an admin", SHADOW: "in shadow", LIVE: "live"}.get(watch.mode, "stopped")
    text = f"Model {watch.version} on duty in this channel: {mode}"
    share = f" ({figures.answers / figures.tickets:.0%})" if figures.tickets else ""
    abstentions = figures.tickets - figures.answers
    lines = [
        f"*Seen* {figures.tickets:,}   *would answer alone* {figures.answers:,}{share}   *abstained* {abstentions:,}",
        error_line(figures, watch.error_rate),
        f"*Corrections* {card.labels:,} tickets judged by people"
        + (f", {card.disagreements:,} of them differently" if card.disagreements else ""),
    ]
    if card.waiting:
        lines.append(
            f"⏳ {card.waiting:,} tickets wait for an answer, the oldest for {card.oldest_wait_s:.0f} s."
        )
    if watch.why:
        lines.append(f"⚠️ {escape(one_line(watch.why, 400))}")
    lines += [escape(one_line(line, 400)) for line in card.lines]
    blocks = [header(text), section("\n".join(lines))]
    if card.proposal:
        blocks += [section(f"🔁 {escape(one_line(card.proposal, 500))}")]
    blocks.append(actions(_card_buttons(card), block_id="duty_card"))
    note = "Error is counted only on answers drawn at random and checked by people."
    return text, [*blocks, context(note)]


def error_line(figures: DutyFigures, promise: float) -> str:
    """The line on the error among checked answers against the promise."""
    if not figures.checks:
        return f"*Error* unknown: nobody has checked a drawn answer yet. Promised: at most {promise:.0%}."
    error = figures.error
    verdict = "kept" if error.high <= promise else "broken" if error.low > promise else "cannot tell yet"
    return (
        f"*Error* {error.value:.1%} (95%: {error.low:.1%} to {error.high:.1%}) on {figures.checks:,} checked answers; promised "
        f"at most {promise:.0%}: {verdict}"
    )


NARROW = "What people taught here becomes a new version of the dataset, which only this channel sees, and a model trains on it."


def _card_buttons(card: DutyCard) -> list[Block]:
    watch = card.watch
    row = []
    if card.proposal:
        dialog = confirm("Retrain?", NARROW, "Retrain", "Not now")
        row.append(button("Retrain", "duty_retrain", watch.id, "primary", confirm=dialog))
    if watch.mode == SHADOW:
        row.append(button("Go live", "duty_live", watch.id))
    if watch.mode == LIVE:
        row.append(button("Back to shadow", "duty_shadow", watch.id))
    dialog = confirm("Stop it?", "It reads no further message here.", "Stop", "Keep it", danger=True)
    return [*row, button("Stop", "duty_stop", watch.id, confirm=dialog)]


def home_lines(watches: Sequence[Watch]) -> list[Block]:
    """The lines on active watches, for App Home."""
    if not watches:
        return []
    lines = [
        f"• <#{watch.channel}>: model `{escape(watch.version)}`, {watch.mode}, at most {watch.error_rate:.0%} wrong"
        for watch in watches
    ]
    return [section("*On duty*\n" + "\n".join(lines))]


def message_text(message: Mapping[str, Any]) -> str:
    """The text of a message, with the text of its attachments (where other apps put theirs)."""
    parts = [str(message.get("text") or "")]
    for one in message.get("attachments") or []:
        if isinstance(one, Mapping):
            parts += [str(one.get(name) or "") for name in ("pretext", "title", "text")]
            if not one.get("text"):
                parts.append(str(one.get("fallback") or ""))
    return "\n".join(dict.fromkeys(part for part in parts if part.strip()))
