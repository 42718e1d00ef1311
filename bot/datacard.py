"""The card of one dataset: what is in it, what was left out, what it may be used for. Pure."""

from __future__ import annotations

from bot.slack.ui.blocks import Block, context, section
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.verdict_card import meter
from finetune.card_text import care_lines
from finetune.data.card import Card

CLASSES_SHOWN = 15


def dataset_card(card: Card) -> list[Block]:
    """Rows, queues with their counts, cleaning, origin and right to use."""
    where = "everyone" if "workspace" in card.scopes else "this channel"
    head = f"*{escape(card.name)}*  v{card.version}  ·  {card.rows:,} {card.kind} tickets  ·  for {where}"
    blocks = [section(head)]
    if card.classes:
        blocks.append(section("*Queues*\n" + _queues(card)))
    notes = (escape(one_line(note, 500)) for note in care_lines(card))
    blocks.append(section("*What was done*\n" + "\n".join(f"• {note}" for note in notes)))
    blocks.append(context("  ·  ".join(_origin(card))))
    return [*blocks, context(f"Train on it: `/finetune {escape(card.name)}`")]


def _queues(card: Card) -> str:
    most = max(count for _, count in card.classes)
    lines = [
        f"{meter(max(0.1, count / most), 10)}  {escape(one_line(name, 60))}  {count:,}"
        for name, count in card.classes[:CLASSES_SHOWN]
    ]
    more = len(card.classes) - CLASSES_SHOWN
    return "\n".join([*lines, f"and {more} more"] if more > 0 else lines)


def _origin(card: Card) -> list[str]:
    source = f"from {escape(one_line(card.source, 80))}" if card.source else ""
    added = f"added {escape(card.added_at[:10])}" if card.added_at else ""
    licence = f"right to use: {escape(one_line(card.licence, 160))}"
    return [part for part in (source, added, licence, f"`{card.digest[:12]}`") if part]
