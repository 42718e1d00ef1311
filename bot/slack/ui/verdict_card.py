"""Builds the verdict card of a `Reply` and the modals of its buttons. Pure.

The card shows verdict, reasons, next step and cost; buttons open the rest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from bot.slack.ui.blocks import (
    Block,
    actions,
    button,
    context,
    divider,
    feedback,
    link_button,
    modal,
    section,
)
from bot.slack.ui.escape import escape, link, one_line
from bot.slack.ui.limits import SECTION_TEXT, split_text
from bot.slack.ui.reading_menus import reading_blocks
from rag.advice.phrases import load_phrases_of
from rag.reply import Citation, Claim, DecidingSignal, Reply, Verdict

MARKS = {
    Verdict.PROMPT: "✍️",
    Verdict.RAG: "📚",
    Verdict.FINE_TUNE: "🎯",
    Verdict.SMALL_MODEL: "⚡",
    Verdict.FOUNDATION_MODEL: "🏗️",
    Verdict.NEED_MORE_INFO: "🔎",
    Verdict.GUIDE_ANSWER: "📖",
    Verdict.OFF_TOPIC: "🧭",
}
SERVICE_BUTTONS = {  # the button of an answer about the bot itself
    "add_tickets": ("Add tickets", "dataset_add"),
    "add_documents": ("Add documents", "docs_add"),
    "measure": ("Measure it", "measure"),
    "train": ("Fine-tune", "finetune_open"),
}
BUILD_VERDICTS = (
    Verdict.PROMPT,
    Verdict.RAG,
    Verdict.FINE_TUNE,
    Verdict.SMALL_MODEL,
    Verdict.FOUNDATION_MODEL,
)
SIGNAL_NAMES = {
    "gaps": "What is missing",
    "task": "The task",
    "volatility": "The facts change",
    "kb_tokens": "Size of the documents, in tokens",
    "acl": "Who may read what differs",
    "examples": "Examples",
    "per_class": "Examples a label",
    "eval_n": "Items in the evaluation",
    "score": "What it scores today",
    "target": "What it has to score",
    "baseline": "Whether a prompt was tried",
    "volume_month": "Calls a month",
    "monthly_cost": "Dollars a month",
    "prompt_tokens": "Length of the prompt, in tokens",
    "latency_ms": "Needed latency, in ms",
    "pii": "Personal data",
    "gpus": "GPUs",
    "measured_best": "What the measurement found",
}
VALUES = {
    "qa": "answering questions",
    "not_tried": "no",
    "tried_ok": "yes, it is good enough",
    "tried_fail": "yes, it is not good enough",
}
OPTIONS = {
    "prompt": "prompt",
    "rag": "RAG",
    "fine_tune": "fine-tune",
    "small_model": "small model",
    "foundation_model": "foundation model",
}
POINTS_PATTERN = re.compile(r"\b(" + "|".join(OPTIONS) + r") ([+-][\d.]+)")
SOURCES_SHOWN = 6
WHY_SHOWN = 3
CLAIM_MOST = 900  # characters of one sentence


def verdict_card(reply: Reply) -> list[Block]:
    """The card: verdict, reasons with numbered sources, next step, cost, buttons."""
    blocks = [section(_title(reply))]
    if reply.service:
        return blocks + _service_buttons(reply)
    blocks += reading_blocks(reply)
    blocks += _why(reply)
    blocks += _next_lines(reply)
    blocks += _follow_up(reply)
    blocks += _sources(reply)
    if reply.note:
        blocks.append(context(f"ℹ️ {escape(one_line(reply.note, 600))}"))
    if buttons := _buttons(reply):
        blocks.append(actions(buttons, block_id="verdict"))
    if reply.verdict != Verdict.NEED_MORE_INFO:
        blocks.append(feedback("feedback"))
    return blocks


def verdict_text(reply: Reply) -> str:
    """The card's one-line text, for notifications and screen readers."""
    if reply.service:
        return escape(one_line(reply.headline, 600))
    return f"{MARKS[reply.verdict]} {badge(reply.verdict, reply.language)}: {escape(one_line(reply.headline, 600))}"


def badge(verdict: Verdict, language: str = "en") -> str:
    """The verdict's name on a card."""
    return load_phrases_of(language)(f"badge.{verdict}")


def verdict_title(reply: Reply) -> str:
    """The card's first block as standard markdown, for the part of the answer that is streamed."""
    name = badge(reply.verdict, reply.language)
    return _title(reply).replace(f"*{name}*", f"**{name}**", 1)


def why_modal(reply: Reply) -> Block:
    """The modal "Why?": every reason, every signal with the asker's words, every source."""
    blocks = _paragraphs(f"*{escape(one_line(reply.headline, 500))}*")
    blocks += _paragraphs("\n".join(f"• {_claim(c.text, c.cites, reply.citations)}" for c in reply.why))
    if reply.signals:
        effects: set[str] = set()
        lines = [_signal(s, effects) for s in reply.signals]
        blocks += [divider(), *_paragraphs("*What I read in your words*\n" + "\n".join(lines))]
    if reply.citations:
        lines = [f"[{c.number}] {_source(c)}\n> {escape(one_line(c.quote, 400))}" for c in reply.citations]
        blocks += [divider(), *_paragraphs("*Sources*\n" + "\n".join(lines))]
    return modal("why", "Why this verdict", blocks[:100])


def change_modal(reply: Reply) -> Block:
    """The modal on what would change the verdict."""
    lines = [f"• {escape(text)}" for text in reply.would_change]
    empty = "Nothing that I know of would change this verdict."
    blocks = _paragraphs("\n".join(lines) or empty)
    blocks.append(context("Tell me in the thread when one of these changes; I will decide again."))
    return modal("change", "What would change it?", blocks[:100])


def source_modal(citation: Citation) -> Block:
    """The modal with the passage of a citation, the quoted words in bold."""
    heading = citation.heading.removeprefix(citation.title).removeprefix(" > ").strip()
    head = f"*{escape(one_line(citation.title, 300))}*"
    blocks = [section(f"{head}\n{escape(one_line(heading, 300))}" if heading else head)]
    blocks += [section(f">{piece}") for piece in split_text(_passage(citation), SECTION_TEXT - 10)][:60]
    if citation.url and citation.url.startswith(("http://", "https://")):
        blocks.append(actions([link_button("Open the source", citation.url, "open_source")]))
    return modal("source", f"Source {citation.number}"[:24], blocks)


def _title(reply: Reply) -> str:
    if reply.service:
        return split_text(escape(reply.headline))[0]
    words = load_phrases_of(reply.language)
    head = f"{MARKS[reply.verdict]}  *{words(f'badge.{reply.verdict}')}*"
    if reply.verdict in BUILD_VERDICTS and reply.confidence:
        head += f"  ·  {meter(reply.confidence)} {words('say.sure', share=f'{reply.confidence:.0%}')}"
    elif reply.verdict == Verdict.NEED_MORE_INFO and reply.lean is not None:
        head += f"  ·  {words('say.leaning', badge='*' + words(f'badge.{reply.lean}') + '*')}"
    return split_text(f"{head}\n{escape(one_line(reply.headline, 1500))}")[0]


def _service_buttons(reply: Reply) -> list[Block]:
    """The button of an answer about the bot itself, if it has one."""
    if reply.service not in SERVICE_BUTTONS:
        return []
    label, action_id = SERVICE_BUTTONS[reply.service]
    return [actions([button(label, action_id, style="primary")], block_id="service")]


def meter(share: float, cells: int = 5) -> str:
    """A share from 0 to 1 as a bar of filled and empty cells."""
    full = max(0, min(cells, round(share * cells)))
    return "▰" * full + "▱" * (cells - full)


def _why(reply: Reply) -> list[Block]:
    return _paragraphs("\n".join(f"• {_claim(c.text, c.cites, reply.citations)}" for c in _claims(reply)))


def _claims(reply: Reply) -> tuple[Claim, ...]:
    """The claims on the card; "Why?" shows the rest."""
    return reply.why if reply.verdict == Verdict.GUIDE_ANSWER else reply.why[:WHY_SHOWN]


def _citations(reply: Reply) -> tuple[Citation, ...]:
    """The sources of the card's claims."""
    numbers = {number for claim in _claims(reply) for number in claim.cites}
    return tuple(c for c in reply.citations if c.number in numbers)


def _claim(text: str, cites: Sequence[int], citations: Sequence[Citation]) -> str:
    urls = {c.number: c.url for c in citations}
    sentence = one_line(re.sub(r"\s*\[\d+\]", "", text), CLAIM_MOST)
    marks = "".join(f" {link(urls.get(number), f'[{number}]')}" for number in cites)
    return escape(sentence) + marks


def _signal(signal: DecidingSignal, effects: set[str]) -> str:
    """The line of a signal: value, the asker's words, and the reasons that are not in `effects` yet."""
    words = f" — “{escape(one_line(signal.quote, 200))}”" if signal.quote.strip() else ""
    name = SIGNAL_NAMES.get(signal.name, signal.name.replace("_", " ").capitalize())
    value = VALUES.get(signal.value, signal.value.replace("_", " "))
    fresh = [why for why in signal.effect.split("; ") if why and why not in effects]
    effects.update(fresh)
    reasons = "".join(f"\n      _{escape(one_line(_in_words(why), 240))}_" for why in fresh)
    return f"• *{escape(one_line(name, 60))}*: {escape(one_line(value, 120))}{words}{reasons}"


def _in_words(effect: str) -> str:
    """The effect with the display names of its options: `facts belong in retrieval (rag +4, fine_tune -1)`."""
    return POINTS_PATTERN.sub(lambda m: f"{OPTIONS.get(m[1], m[1])} {m[2]}", effect)


def _next_lines(reply: Reply) -> list[Block]:
    words = load_phrases_of(reply.language)
    lines = []
    if reply.next_step:
        lines.append(f"*{words('say.next_step')}*\n{escape(one_line(reply.next_step, 1200))}")
    if reply.cost_line:
        lines.append(f"*{words('say.cost')}*\n{escape(one_line(reply.cost_line, 600))}")
    if reply.would_change:
        lines.append(f"*{words('say.would_change')}*\n{escape(one_line(reply.would_change[0], 400))}")
    return [block for line in lines for block in _paragraphs(line)]


def _follow_up(reply: Reply) -> list[Block]:
    if reply.follow_up is None:
        return []
    ask = section(f"👉  *{escape(one_line(reply.follow_up.text, 500))}*")
    options = [
        button(one_line(text, 75), f"follow_up:{number}", one_line(text, 1900))
        for number, text in enumerate(reply.follow_up.options[:5])
        if text.strip()
    ]
    return [ask, actions(options, block_id="follow_up")] if options else [ask]


def _source(citation: Citation) -> str:
    """The name of a source: the innermost heading, or the document's title."""
    innermost = citation.heading.rsplit(" > ", 1)[-1].strip() or citation.title
    return link(citation.url, one_line(innermost, 90))


def _by_document(sources: Sequence[Citation]) -> str:
    """The sources in order, with each document's title once per run of its sections."""
    runs = [(title, list(run)) for title, run in groupby(sources, key=lambda c: c.title)]
    lines = ["  ".join(f"[{c.number}] {_source(c)}" for c in run) for _, run in runs]
    return "\n".join(
        f"{line} — _{escape(one_line(title, 90))}_" for (title, _), line in zip(runs, lines, strict=True)
    )


def _sources(reply: Reply) -> list[Block]:
    citations = _citations(reply)
    sources = citations[:SOURCES_SHOWN]
    if not sources:
        return []
    line = _by_document(sources)
    more = len(citations) - len(sources)
    return [
        context(
            f"*{load_phrases_of(reply.language)('say.sources')}*  {line}"
            + (f"  +{more} more" if more else "")
        )
    ]


def _buttons(reply: Reply) -> list[Block]:
    words, buttons = load_phrases_of(reply.language), []
    if reply.verdict in BUILD_VERDICTS:
        buttons.append(button(words("say.why"), "why"))
        if reply.would_change:
            buttons.append(button(words("say.what_change"), "would_change"))
        buttons.append(button(words("say.measure"), "measure", style="primary"))
    sources = _citations(reply)[:SOURCES_SHOWN]
    return buttons + [
        button(f"{words('say.read')} [{c.number}]", f"cite:{c.number}", str(c.number)) for c in sources
    ]


def _passage(citation: Citation) -> str:
    """The escaped passage with the quoted words in bold (white space may differ)."""
    words = [re.escape(escape(word)) for word in citation.quote.split()]
    passage = escape(citation.passage) or escape(citation.quote)
    if not words or "*" in citation.quote:
        return passage.replace("\n", "\n>")
    match = re.search(r"\s+".join(words), passage)
    if match is None or "\n\n" in match[0]:
        return passage.replace("\n", "\n>")
    bold = "*" + " ".join(match[0].split()) + "*"
    return (passage[: match.start()] + bold + passage[match.end() :]).replace("\n", "\n>")


def _paragraphs(text: str) -> list[Block]:
    return [section(piece) for piece in split_text(text) if piece.strip()]
