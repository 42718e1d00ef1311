"""Builds the form that repairs a dataset: one question at a time, the decisions so far, and Undo. Pure.

It quotes tickets, so it is a form, which only one person sees, and never a message.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.slack.ui.blocks import Block, actions, button, context, divider, modal, section
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.forms import FormMetadata
from bot.slack.ui.limits import split_text
from finetune.data.card import Card
from finetune.data.dataset_repair import Inspection
from finetune.data.questions import Question
from finetune.data.repair import CHANGES, Decision, decision_line

TITLE = "Repair tickets"
DECISIONS_SHOWN = 5
LABEL, BUTTON_LABEL = 80, 40  # characters of a label in a sentence and on a button


def waiting_view(card: Card, metadata: FormMetadata) -> Block:
    """The view that is shown while the rows are read."""
    text = f"⏳ Looking at the {card.rows:,} tickets of *{escape(card.name)}*…"
    return modal("repair", TITLE, [section(text)], metadata=metadata.pack())


def repair_view(inspection: Inspection, metadata: FormMetadata, after: str = "", notice: str = "") -> Block:
    """The view with `notice` and the question that follows the id `after` (the first one after the last)."""
    blocks = [section(notice)] if notice else []
    blocks += _head(inspection)
    if question := next_question(inspection.questions, after):
        blocks += [divider(), *_question(question)]
    if not inspection.is_checked and inspection.card.kind == "triage":
        check = button("Look for labels in doubt", "repair:check")
        blocks.append(actions([check, button("Look again", "repair:again")], block_id="check"))
    return modal("repair", TITLE, [*blocks, *_history(inspection.decisions)], metadata=metadata.pack())


def next_question(questions: Sequence[Question], after: str) -> Question | None:
    """The question after the id `after`, else the first; None without questions."""
    place = next((at for at, one in enumerate(questions) if one.id == after), -1)
    return questions[(place + 1) % len(questions)] if questions else None


def _head(inspection: Inspection) -> list[Block]:
    card, count = inspection.card, len(inspection.questions)
    what = f"{count:,} to decide" if count else "nothing to decide"
    line = f"*{escape(card.name)}*  v{card.version}  ·  {card.rows:,} tickets  ·  {what}"
    return [section(line), *(context(escape(note)) for note in inspection.notes)]


def _question(question: Question) -> list[Block]:
    builders = {"merge": _merge, "drop": _drop, "label": _label}
    return builders[question.kind](question)


def _merge(question: Question) -> list[Block]:
    smaller, larger = question.labels
    text = (
        f"*Are these one label?*\n{_name(smaller)} ({_tickets(question.counts[0])}) and {_name(larger)} "
        f"({_tickets(question.counts[1])}). {question.why}"
    )
    blocks = [section(text)]
    for label in question.labels:
        own = [f"• {escape(text)}" for text, marks in question.texts if marks == (label,)]
        blocks.append(_long_section(f"*{escape(one_line(label, LABEL))}*\n" + "\n".join(own)))
    choices = [
        button(f"All are {_short(larger)}", "repair:merge", question.id, "primary"),
        button(f"All are {_short(smaller)}", "repair:other", question.id),
        button("Keep apart", "repair:apart", question.id),
    ]
    return [*blocks, _choices(question, choices)]


def _drop(question: Question) -> list[Block]:
    count = question.counts[0]
    blocks = [section(f"*{count:,} {'row looks like a test' if count == 1 else 'rows look like tests'}*")]
    for place, (text, ids) in enumerate(question.texts):
        times = f"  ({len(ids):,} times)" if len(ids) > 1 else ""
        drop = button("Drop", "repair:only", f"{question.id}:{place}")
        blocks.append(section(f"“{escape(one_line(text, 120))}”{times}", drop, f"test-{place}"))
    choices = [
        button(f"Drop all {count:,}", "repair:drop", question.id, "danger"),
        button("They are real", "repair:stay", question.id),
    ]
    return [*blocks, _choices(question, choices)]


def _label(question: Question) -> list[Block]:
    label, other = question.labels
    ticket = escape(question.texts[0][0])
    text = f"*Which label is right?*\nThe ticket has {_name(label)}. {question.why}\n>{ticket}"
    choices = [
        button(f"Keep {_short(label)}", "repair:keep", question.id),
        button(f"Change to {_short(other)}", "repair:change", question.id, "primary"),
    ]
    return [_long_section(text), _choices(question, choices)]


def _long_section(text: str) -> Block:
    """A section of ticket text, cut to Slack's limit (an escaped character can take five characters)."""
    return section(split_text(text)[0])


def _choices(question: Question, choices: Sequence[Block]) -> Block:
    return actions([*choices, button("Next", "repair:next", question.id)], block_id="choices")


def _history(decisions: Sequence[Decision]) -> list[Block]:
    """The newest decisions with person and date; those that can be undone have a button."""
    if not decisions:
        return []
    newest = reversed(decisions[-DECISIONS_SHOWN:])
    lines = [section(_decision_text(one), _undo(one), f"decision-{one.number}") for one in newest]
    blocks = [divider(), section("*Decided so far*"), *lines]
    if (more := len(decisions) - DECISIONS_SHOWN) > 0:
        blocks.append(
            context(f"and {more:,} earlier: `trainwise datasets repair NAME` lists them on the machine")
        )
    return blocks


def _undo(one: Decision) -> Block | None:
    return button("Undo", "repair:undo", str(one.number)) if one.is_open and not one.is_settled else None


def _decision_text(one: Decision) -> str:
    by = escape(one_line(one.by_name, 40))
    line = f"{one.number}. {escape(one_line(decision_line(one), 240))}, by {by} on {one.at[:10]}"
    if one.undone_by:
        return f"~{line}~\ntaken back by {escape(one_line(one.undone_by, 40))} on {one.undone_at[:10]}"
    return f"{line}, v{one.version}" if one.kind in CHANGES else line


def _name(label: str) -> str:
    return f"“{escape(one_line(label, LABEL))}”"


def _short(label: str) -> str:
    return one_line(label, BUTTON_LABEL)


def _tickets(count: int) -> str:
    return "1 ticket" if count == 1 else f"{count:,} tickets"
