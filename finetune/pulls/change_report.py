"""What a pull changed, in counts and sentences: rows, queues, shares of the queues, languages. No text of a ticket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from finetune.data.languages import NAMES, identify_language
from finetune.data.ticket import Ticket
from finetune.pulls.merging import Merge, PulledRows
from finetune.sources.contract import Query

MIN_TICKETS_FOR_DRIFT = 30  # new tickets
SIGNIFICANT = 0.01
MIN_EXPECTED = 5.0  # of a queue's tickets among the new ones; queues with fewer are counted together
MOVES_SHOWN = 4
QUEUES_SHOWN = 12
TEXTS_LOOKED_AT = 300
SURE = 0.8  # of a text's language
LATER = {"no label": "they have a label", "no answer": "the team has answered them in public"}
MIN_SHARE, MIN_TEXTS = 0.02, 3  # of the texts, for a language to count


@dataclass(frozen=True)
class Drift:
    """Shares of queues before and among the new tickets: the chance that they differ so by chance, and the largest moves."""

    p_value: float
    moves: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Change:
    """One pull against the version before it. `version` is None where nothing new came, so that none was made."""

    source: str
    tickets: int
    new_rows: int
    changed_rows: int
    gone_rows: int
    rows: int
    before: int
    version: int | None
    left_out: Mapping[str, int] = field(default_factory=dict)
    new_queues: tuple[tuple[str, int], ...] = ()
    lost_queues: tuple[str, ...] = ()
    drift: Drift | None = None
    languages: tuple[tuple[str, float], ...] = ()
    new_languages: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Change:
        """What `to_json` wrote."""
        drift = values["drift"]
        moves = (
            tuple((str(name), float(before), float(new)) for name, before, new in drift["moves"])
            if drift
            else ()
        )
        return Change(
            **{
                **values,
                "new_queues": tuple((str(name), int(count)) for name, count in values["new_queues"]),
                "lost_queues": tuple(values["lost_queues"]),
                "drift": Drift(float(drift["p_value"]), moves) if drift else None,
                "languages": tuple((str(code), float(share)) for code, share in values["languages"]),
                "new_languages": tuple(values["new_languages"]),
            }
        )


def describe_change(
    source: str, base: Sequence[Ticket], arrivals: PulledRows, merge: Merge, version: int | None
) -> Change:
    """The change that a merge makes; `version` is what it became."""
    before, after = _queues(base), _queues(merge.rows)
    new_ids = set(merge.new_ids)
    arrived_rows = [row for row in merge.rows if row.id in new_ids]
    languages = languages_of([row.text for row in arrived_rows])
    known_codes = languages_of([row.text for row in base]) if base and languages else {}
    left_out = Counter(arrivals.facts["left_out"]) + Counter(arrivals.facts["skips"])
    left_out.update({"exact copies": merge.copies} if merge.copies else {})
    return Change(
        source=source,
        tickets=arrivals.facts["rows"] + arrivals.deletions + sum(arrivals.facts["skips"].values()),
        new_rows=len(merge.new_ids),
        changed_rows=len(merge.changed_ids),
        gone_rows=len(merge.gone_ids),
        rows=len(merge.rows),
        before=len(base),
        version=version,
        left_out=dict(left_out.most_common()),
        new_queues=tuple((name, count) for name, count in after.most_common() if base and name not in before),
        lost_queues=tuple(name for name in before if name not in after),
        drift=drift_of(before, _queues(arrived_rows)) if base else None,
        languages=tuple(languages.items()),
        new_languages=tuple(code for code in languages if base and code not in known_codes),
    )


def _queues(rows: Sequence[Ticket]) -> Counter[str]:
    return Counter(row.label for row in rows if row.label)


def drift_of(before: Mapping[str, int], new: Mapping[str, int]) -> Drift | None:
    """Whether new tickets fall into the queues as those before did (chi-squared); None for too few to tell."""
    total, count = sum(before.values()), sum(new.values())
    if count < MIN_TICKETS_FOR_DRIFT or total < MIN_TICKETS_FOR_DRIFT:
        return None
    from scipy.stats import chi2_contingency

    table: list[list[int]] = []
    rest = [0, 0]
    for name in {**before, **new}:
        pair = [before.get(name, 0), new.get(name, 0)]
        if min(total, count) * sum(pair) / (total + count) >= MIN_EXPECTED:
            table.append(pair)
        else:
            rest = [rest[0] + pair[0], rest[1] + pair[1]]
    table += [rest] if sum(rest) else []
    p_value = float(chi2_contingency(table).pvalue) if len(table) > 1 else 1.0
    moves = sorted(
        ((name, before.get(name, 0) / total, new.get(name, 0) / count) for name in {**before, **new}),
        key=lambda move: -abs(move[2] - move[1]),
    )
    return Drift(p_value, tuple(moves[:MOVES_SHOWN]))


def languages_of(texts: Sequence[str]) -> dict[str, float]:
    """Languages of the texts with their share, most frequent first, by up to 300 of them; unsure texts count for none."""
    step = max(1, len(texts) // TEXTS_LOOKED_AT)
    sample = texts[::step][:TEXTS_LOOKED_AT]
    counts: Counter[str] = Counter()
    for text in sample:
        code, share = identify_language(text)
        if code and share >= SURE:
            counts[code] += 1
    least = max(MIN_TEXTS, MIN_SHARE * len(sample))
    return {code: count / len(sample) for code, count in counts.most_common() if count >= least}


def change_lines(change: Change) -> list[str]:
    """The change in sentences, plain text."""
    if change.version is None:
        return [_nothing(change), *_left_out(change)]
    rows = f"{change.rows:,} tickets" + (f" ({change.before:,} before)" if change.before else "")
    parts = [f"{change.new_rows:,} new", f"{change.changed_rows:,} changed", f"{change.gone_rows:,} gone"]
    lines = [
        f"{change.source} gave {change.tickets:,} tickets: {', '.join(parts)}. Version {change.version} has {rows}.",
        *_left_out(change),
    ]
    if change.new_queues:
        names = ", ".join(f"{name} ({count:,})" for name, count in change.new_queues[:QUEUES_SHOWN])
        more = len(change.new_queues) - QUEUES_SHOWN
        lines.append(f"New queues: {names}{f' and {more} more' if more > 0 else ''}.")
    if change.lost_queues:
        lines.append(f"Queues without a ticket now: {', '.join(change.lost_queues[:QUEUES_SHOWN])}.")
    return [*lines, *_drift(change), *_languages(change)]


def _nothing(change: Change) -> str:
    what_came = (
        f"{change.tickets:,} tickets came again and say the same"
        if change.tickets
        else "no ticket has changed"
    )
    return f"Nothing new from {change.source}: {what_came}, so the {change.rows:,} tickets stay as they are and there is no new version."


def _left_out(change: Change) -> list[str]:
    parts = [f"{count:,} {rule}" for rule, count in change.left_out.items()]
    hint = next((f" They come once {when}." for rule, when in LATER.items() if rule in change.left_out), "")
    return [f"Left out: {', '.join(parts)}.{hint}"] if parts else []


def _drift(change: Change) -> list[str]:
    if not change.before or not change.new_rows:
        return []
    if change.drift is None:
        return [
            f"Shares of the queues: {change.before:,} tickets before and {change.new_rows:,} new ones are too few to tell whether they "
            f"moved; {MIN_TICKETS_FOR_DRIFT} each would do."
        ]
    moves = ", ".join(
        f"{name} {_percent(new)} ({_percent(before)} before)" for name, before, new in change.drift.moves
    )
    if change.drift.p_value < SIGNIFICANT:
        return [
            f"Drift: the new tickets fall into the queues otherwise than those before (p {_p(change.drift.p_value)}): {moves}."
        ]
    return [f"Shares of the queues: no drift (p {_p(change.drift.p_value)})."]


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.2g}"


def _languages(change: Change) -> list[str]:
    if not change.languages:
        return []
    shares = ", ".join(f"{NAMES.get(code, code)} {_percent(share)}" for code, share in change.languages)
    lines = [f"Languages of the new tickets: {shares}."]
    if change.new_languages:
        names = ", ".join(NAMES.get(code, code) for code in change.new_languages)
        lines.append(f"Not seen before: {names}.")
    return lines


def nothing_usable(where: str, arrivals: PulledRows, query: Query) -> str:
    """Why a first pull gave no dataset, and what to do."""
    if not arrivals.facts["rows"]:
        return (
            f"{where} has no tickets{f' that changed since {query.since}' if query.since else ''}: there is nothing to make a "
            "dataset of. Check the project, and what the token may see."
        )
    parts = ", ".join(f"{count:,} {rule}" for rule, count in arrivals.facts["left_out"].items())
    start = f"None of the {arrivals.facts['rows']:,} tickets of {where} can be used: {parts}. "
    if query.has_replies:
        return f"{start}A ticket needs a customer's message and a public reply of the team to it; internal notes do not count."
    label = query.columns.get("label", "")
    return f"{start}The label is read from {label!r}: name another field (--label-column), or label some tickets there and pull again."
