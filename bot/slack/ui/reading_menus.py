"""Builds the line on what the bot understood, and its menus for corrections. Pure.

The line is below the verdict. Each menu is a select with the understood value, or with its title only. A guess has a question
mark, a confirmed value a check mark.
"""

from __future__ import annotations

from hashlib import sha256

from bot.slack.ui.blocks import Block, actions, button, context, option, section, select
from bot.slack.ui.escape import escape, one_line
from rag.advice.phrases import Phrases, load_phrases_of
from rag.reply import Menu, Reply

MARKS = {"confirmed": " ✓", "guessed": "?"}
OPTION_CHARACTERS = 75


def reading_blocks(reply: Reply) -> list[Block]:
    """The blocks: what a correction changed, the choice between two readings, the understood line, and open menus."""
    words = load_phrases_of(reply.language)
    blocks = (
        [context("✏️  " + "  ·  ".join(escape(one_line(line, 300)) for line in reply.changes))]
        if reply.changes
        else []
    )
    if reply.choice is not None:
        blocks += _choice(reply, words)
    if not reply.menus:
        return blocks
    label = words("say.close") if reply.menus_open else words("say.wrong")
    toggle = button(label, "reading", "close" if reply.menus_open else "open")
    blocks.append(section(understood_line(reply.menus, words), accessory=toggle, block_id="reading"))
    if reply.menus_open:
        blocks.append(_menus_block(reply.menus))
    return blocks


def understood_line(menus: tuple[Menu, ...], words: Phrases) -> str:
    """The line `I understood: write replies · tone? · 3,200 approved ✓`."""
    parts = [
        f"*{escape(one_line(menu.label, 120))}*{MARKS.get(menu.certainty, '')}"
        for menu in menus
        if menu.selected
    ]
    return f"{words('say.understood')}: " + ("  ·  ".join(parts) or words("say.nothing"))


def _menus_block(menus: tuple[Menu, ...]) -> Block:
    """All menus in one row; the block_id depends on the chosen values, because Slack's client keeps choices by id."""
    selects = [
        select(
            f"reading:{menu.name}",
            [option(_short(choice.label), choice.value) for choice in menu.options],
            menu.selected,
            hint=menu.title,
        )
        for menu in menus
    ]
    digest = sha256("|".join(menu.selected for menu in menus).encode()).hexdigest()[:12]
    return actions(selects, block_id=f"menus:{digest}")


def _short(label: str) -> str:
    return label if len(label) <= OPTION_CHARACTERS else label[: OPTION_CHARACTERS - 1] + "…"


def _choice(reply: Reply, words: Phrases) -> list[Block]:
    """The question between two readings, with a button for each."""
    assert reply.choice is not None
    buttons = [
        button(_short(choice.label), f"choice:{number}", choice.value)
        for number, choice in enumerate(reply.choice.options[:2])
    ]
    line = f"🤔  {escape(words('say.unsure'))}. *{escape(one_line(reply.choice.text, 400))}*"
    return [section(line), actions(buttons, block_id="choice")]
