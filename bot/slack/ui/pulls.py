"""Builds the form, the list and the report of pulls from help desks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from bot.slack.ui.blocks import (
    Block,
    actions,
    button,
    context,
    field,
    modal,
    option,
    section,
    select,
    text_input,
)
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.forms import FormMetadata
from bot.slack.ui.lists import dataset_card
from finetune.data.card import Card
from finetune.sources import SOURCES
from finetune.sources.contract import Source
from worker.ledger.pulls import Pull

INTERVALS: Mapping[str, tuple[str, float]] = {
    "once": ("Once, now", 0.0),
    "hour": ("Every hour", 3600.0),
    "day": ("Every day", 86_400.0),
    "week": ("Every week", 604_800.0),
}
SHOWN = 15
REPLIES = "replies"
WHAT: Mapping[str, str] = {"queues": "Tickets and their queues", REPLIES: "Tickets and the team's replies"}


def pull_modal(
    metadata: FormMetadata, sources: Sequence[Source], source: str = "", project: str = ""
) -> Block:
    """The form for a pull from a connected help desk, once or on a schedule."""
    names = [one.name for one in sources]
    desks = [option(one.label, one.name) for one in sources]
    needing = " ".join(f"{one.label}: {one.project}." for one in sources if one.project)
    examples = " ".join(f"{one.label}: {one.example}." for one in sources)
    every = [option(label, name) for name, (label, _) in INTERVALS.items()]
    what = [option(label, name) for name, label in WHAT.items()]
    scopes = [option("This channel only", "channel"), option("The whole workspace (admins)", "workspace")]
    blocks = [
        field("source", "From", select("source", desks, source if source in names else names[0])),
        field(
            "project",
            "Project",
            text_input("project", project, longest=140),
            hint=f"{needing} The others are pulled as a whole." if needing else "Not needed.",
            optional=True,
        ),
        field(
            "name",
            "Name",
            text_input("name", "", "support-tickets", longest=64),
            hint="Of the dataset: lower-case letters, digits and hyphens. Each pull that finds something new makes a version.",
        ),
        field(
            "what",
            "What is pulled",
            select("what", what, "queues"),
            hint="Replies: the customer's first message and the team's first public reply; internal notes are never read.",
        ),
        field(
            "label",
            "Field of the queue",
            text_input("label", longest=200),
            hint=f"Empty: the usual one. {examples}"[:2000],
            optional=True,
        ),
        field("every", "How often", select("every", every, "day")),
        field("scope", "Who may use it", select("scope", scopes, "channel")),
        field(
            "licence",
            "Right to use",
            text_input("licence", hint="Our own tickets, customers informed", longest=200),
            hint="Whose data it is and why you may train on it. It stays on the card.",
        ),
    ]
    return modal("dataset_pull", "Pull tickets", blocks, "Pull", metadata.pack())


def pull_list(
    pulls: Sequence[Pull], changeable: frozenset[str], sources: Sequence[Source], now: float
) -> list[Block]:
    """The list of pulls, with buttons for those in `changeable` and for a new pull."""
    blocks = [
        section("*Pulls from help desks*" if pulls else "*Pulls from help desks*\nNone is set here yet.")
    ]
    for pull in pulls[:SHOWN]:
        blocks.append(section(_line(pull, now)))
        if pull.dataset in changeable:
            pull_now = button("Pull now", "pull_now", pull.dataset)
            stop = button("Stop", "pull_stop", pull.dataset, "danger")
            blocks.append(actions([pull_now, stop], block_id=f"pull:{pull.dataset}"))
    if len(pulls) > SHOWN:
        blocks.append(context(f"and {len(pulls) - SHOWN} more"))
    if sources:
        blocks.append(
            actions([button("Pull from a help desk", "pull_new", style="primary")], block_id="pulls")
        )
    else:
        blocks.append(context(NOT_CONNECTED))
    return blocks


NOT_CONNECTED = (
    f"No help desk is connected here ({', '.join(one.label for one in SOURCES.values())}): an admin sets its address and token where "
    "the bot runs, see docs/howto/pull-tickets.md."
)


def _line(pull: Pull, now: float) -> str:
    label = SOURCES[pull.source].label if pull.source in SOURCES else pull.source
    project = escape(one_line(str(pull.query.get("project") or ""), 80))
    interval = next(
        (words.lower() for words, seconds in INTERVALS.values() if seconds == pull.every_s), "now and then"
    )
    if pull.lease_until > now:
        state = "under way"
    elif pull.next_at is not None:
        state = f"next {datetime.fromtimestamp(pull.next_at, UTC):%Y-%m-%d %H:%M} UTC"
    else:
        state = "not due"
    last = f"\n{escape(one_line(pull.last, 300))}" if pull.last else ""
    return f"*{escape(pull.dataset)}*  ·  {label} {project}  ·  {interval}  ·  {state}{last}"


def pull_report(card: Card, lines: Sequence[str], is_new: bool) -> tuple[str, list[Block]]:
    """A pull's report for the channel as text and blocks, with the card of a new version."""
    text = f"🔄 *{escape(card.name)}* " + (
        f"has a new version, {card.version}" if is_new else "was pulled: nothing new"
    )
    points = "\n".join(f"• {escape(one_line(line, 600))}" for line in lines)
    blocks = [section(text), section(points[:2900])]
    return text, [*blocks, *dataset_card(card)] if is_new else blocks
