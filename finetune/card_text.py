"""A dataset's card in a few plain lines, for Slack and the terminal: size, balance, what was done, splits."""

from __future__ import annotations

from collections.abc import Mapping

from finetune.data.card import Card

CLASSES_SHOWN = 8


def card_lines(card: Card) -> list[str]:
    """The card as sentences a manager reads in ten seconds; no markup, and queue names unescaped."""
    lines = [_size(card)]
    if card.classes:
        lines.append(_balance(card))
    return [*lines, *care_lines(card), _origin(card)]


def care_lines(card: Card) -> list[str]:
    """What was done to the rows and what to know of them: left out, cleaned, redacted, doubtful, split."""
    labels = _labels(card) if card.kind == "triage" else ""
    split = f"Split: {card.splits.get('how', 'not made')}."
    found = (_columns(card), _read(card), _cleaned(card), _copies(card), _redacted(card), labels, split)
    return [line for line in found if line]


def issues(card: Card) -> list[tuple[str, int]]:
    """What is or was wrong with the rows, as (name, rows) of more than none, worst first."""
    found = {
        "unreadable": card.rejected,
        "encoding repaired": card.repaired,
        **card.cleaned,
        "near copies": card.duplicates.get("near", 0),
        "doubtful labels": int(card.noise.get("suspects", 0)),
    }
    return sorted(((name, count) for name, count in found.items() if count), key=lambda item: -item[1])


def _size(card: Card) -> str:
    what = f"{len(card.classes)} queues" if card.classes else "questions with answers"
    weeks = f", {card.weeks[0][0]} to the week of {card.weeks[-1][0]}" if card.weeks else ", without dates"
    people = f", {card.customers:,} customers" if card.customers else ""
    return f"{card.rows:,} tickets ({what}{people}{weeks})."


def _balance(card: Card) -> str:
    shown = ", ".join(f"{name} {count:,}" for name, count in card.classes[:CLASSES_SHOWN])
    rest = len(card.classes) - CLASSES_SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    least = card.classes[-1]
    few = f" Only {least[1]} of {least[0]}: 50 or more a queue are useful." if least[1] < 50 else ""
    return f"Balance {card.balance:g}:1: {shown}{more}.{few}"


def _columns(card: Card) -> str:
    """Which columns were read, so that a wrong guess is seen."""
    if not card.columns:
        return ""
    read = ", ".join(f"{field} from “{column}”" for field, column in card.columns.items())
    if not card.guessed:
        return f"Columns: {read}."
    return (
        f"Columns guessed: {read}. Wrong? Add the file again and name them (--text-column, --label-column)."
    )


def _read(card: Card) -> str:
    found = {"left out, unreadable": card.rejected, "repaired": card.repaired}
    return _told("Rows", found)


def _cleaned(card: Card) -> str:
    return _told("Cleaned", card.cleaned)


def _copies(card: Card) -> str:
    near = card.duplicates.get("near", 0)
    return f"Near copies: {near:,}, kept on one side of the split." if near else ""


def _redacted(card: Card) -> str:
    told = _told("Redacted", card.redactions) or (
        "" if card.redactions is None else "Redacted: nothing found."
    )
    return f"{told} {card.not_covered}".strip() if card.not_covered else told


def _labels(card: Card) -> str:
    if not card.noise:
        return "Labels: not checked yet."
    share = 100 * float(card.noise["share"])
    return f"Labels: {card.noise['suspects']:,} of {card.noise['checked']:,} look wrong ({share:.1f}%)."


def _origin(card: Card) -> str:
    who = ", ".join("everyone" if scope == "workspace" else scope for scope in card.scopes)
    source = f" from {card.source}" if card.source else ""
    return (
        f"Version {card.version} ({card.digest[:12]}){source}, added by {card.added_by} on {card.added_at[:10]}; "
        f"licence: {card.licence}; for {who}."
    )


def _told(title: str, counts: Mapping[str, int]) -> str:
    parts = [f"{count:,} {name}" for name, count in counts.items() if count]
    return f"{title}: {', '.join(parts)}." if parts else ""
