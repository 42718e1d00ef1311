"""What was understood, as the card shows it: one line, and on a tap its menus. Pure dicts.

The line stands under the verdict; a menu is a select beside its title with the reading chosen. Guesses carry a
question mark, what a person confirmed a check mark.
"""

from __future__ import annotations

from bot.slack.ui.blocks import Block, actions, button, context, option, section, select
from bot.slack.ui.escape import escape, one_line
from rag.advice.phrases import Phrases, load_phrases_of
from rag.reply import Menu, Reply

MARKS = {"confirmed": " ✓", "guessed": "?"}
OPTION_CHARACTERS = 75


def reading_blocks(reply: Reply) -> list[Block]:
    """What a correction changed, the one thing in doubt, the line of what was understood, and its menus where open."""
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
        blocks += [_menu_block(menu, words) for menu in reply.menus]
    return blocks


def understood_line(menus: tuple[Menu, ...], words: Phrases) -> str:
    """`I understood: write replies · tone? · 3,200 approved ✓`; guesses carry a question mark."""
    parts = [
        f"*{escape(one_line(menu.label, 120))}*{MARKS.get(menu.certainty, '')}"
        for menu in menus
        if menu.selected
    ]
    return f"{words('say.understood')}: " + ("  ·  ".join(parts) or words("say.nothing"))


def _menu_block(menu: Menu, words: Phrases) -> Block:
    options = [option(_short(choice.label), choice.value) for choice in menu.options]
    chosen = select(f"reading:{menu.name}", options, menu.selected, hint=words("say.unknown"))
    return section(
        f"{escape(menu.title)}{MARKS.get(menu.certainty, '')}", accessory=chosen, block_id=f"menu:{menu.name}"
    )


def _short(label: str) -> str:
    return label if len(label) <= OPTION_CHARACTERS else label[: OPTION_CHARACTERS - 1] + "…"


def _choice(reply: Reply, words: Phrases) -> list[Block]:
    """The one thing that two readings differ in, both as buttons."""
    assert reply.choice is not None
    buttons = [
        button(_short(choice.label), f"choice:{number}", choice.value)
        for number, choice in enumerate(reply.choice.options[:2])
    ]
    asked = f"🤔  {escape(words('say.unsure'))}. *{escape(one_line(reply.choice.text, 400))}*"
    return [section(asked), actions(buttons, block_id="choice")]
