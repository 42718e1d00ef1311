"""The import report: the fate of every row and of changed characters, as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.data.ticket import Tickets

CUTS_SHOWN = 10
LINES_SHOWN = 5
EXCERPT = 400  # characters of a cut that are shown, before and after each


@dataclass(frozen=True)
class Cut:
    """One text before and after a rule; `size` is in characters."""

    rule: str
    line: int
    size: int
    before: str
    after: str


def report_of(
    tickets: Tickets,
    cut_sizes: Mapping[str, int],
    cuts: Sequence[Cut],
    hide: Callable[[Sequence[str]], list[str]],
) -> dict[str, Any]:
    """The report as JSON values. `hide` redacts the cuts' texts, since they stand on the card.

    `rows` of the file are `kept` and those left out, by rule with the first lines; `repaired` rows are among the kept.
    """
    left_out = Counter(problem.rule or "unreadable" for problem in tickets.problems if not problem.is_kept)
    repairs = Counter(problem.rule or "repaired" for problem in tickets.problems if problem.is_kept)
    lines: dict[str, list[int]] = {}
    for problem in tickets.problems:
        places = lines.setdefault(problem.rule or ("repaired" if problem.is_kept else "unreadable"), [])
        if len(places) < LINES_SHOWN:
            places.append(problem.line)
    texts = hide([text for cut in cuts for text in _context(cut)])
    return {
        "rows": tickets.intake.rows or len(tickets) + sum(left_out.values()),
        "kept": len(tickets),
        "left_out": dict(left_out.most_common()),
        "repaired": dict(repairs.most_common()),
        "lines": lines,
        "characters": {
            **tickets.intake.characters,
            **{rule: count for rule, count in cut_sizes.items() if count},
        },
        "cuts": [
            {
                "rule": cut.rule,
                "line": cut.line,
                "size": cut.size,
                "before": texts[2 * at],
                "after": texts[2 * at + 1],
            }
            for at, cut in enumerate(cuts)
        ],
        "also": {field: list(names) for field, names in tickets.intake.also.items()},
        "unread": list(tickets.intake.unread),
    }


def _context(cut: Cut) -> tuple[str, str]:
    """The part that differs, with a little context before it."""
    same = next(
        (at for at, (a, b) in enumerate(zip(cut.before, cut.after, strict=False)) if a != b), len(cut.after)
    )
    start = max(0, same - EXCERPT // 4)
    lead = "…" if start else ""
    return tuple(  # type: ignore[return-value]
        lead + text[start : start + EXCERPT] + ("…" if len(text) > start + EXCERPT else "")
        for text in (cut.before, cut.after)
    )


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """The report in sentences: rows, repairs, characters, columns that fitted too or were not read."""
    if not report:
        return []
    left_out = sum(report["left_out"].values())
    whose = report.get("whose", "The file's")
    lines = [f"{whose} {report['rows']:,} rows: {report['kept']:,} kept, {left_out:,} left out."]
    lines += [
        f"{title}: {parts}."
        for title, key in (("Left out", "left_out"), ("Kept, with repairs or notes", "repaired"))
        if (parts := _by_rule(report[key], report["lines"]))
    ]
    if report["characters"]:
        changes = ", ".join(f"{rule} {count:,}" for rule, count in report["characters"].items())
        lines.append(f"characters removed or changed: {changes}.")
    for field, names in report["also"].items():
        lines.append(f"Columns that fitted {field} too: {', '.join(names)}.")
    if report["unread"]:
        first = report["unread"][:12]
        more = len(report["unread"]) - len(first)
        lines.append(f"Columns not read: {', '.join(first)}{f' and {more} more' if more else ''}.")
    return lines


def cut_lines(report: Mapping[str, Any], most: int = CUTS_SHOWN) -> list[str]:
    """The largest cuts, each with its rule, line and size, before and after, in one line each."""
    cuts = report.get("cuts", ())[:most] if report else ()
    return [
        f"{cut['rule']}, line {cut['line']}, {cut['size']:,} characters: "
        f"“{' '.join(cut['before'].split())}” became “{' '.join(cut['after'].split())}”"
        for cut in cuts
    ]


def _by_rule(counts: Mapping[str, int], lines: Mapping[str, Sequence[int]]) -> str:
    parts = []
    for rule, count in counts.items():
        places = list(lines.get(rule, ()))
        more = ", ..." if count > len(places) else ""
        noun = "line" if count == 1 else "lines"
        parts.append(
            f"{count:,} {rule} ({noun} {', '.join(map(str, places))}{more})"
            if any(places)
            else f"{count:,} {rule}"
        )
    return "; ".join(parts)


def without_texts(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report without the cuts, for a version whose rows were erased."""
    return {**report, "cuts": []} if report else {}
