"""The final report of a job as blocks, by the report's kind: headline, table, evidence, cost. Pure.

A report comes from a training machine: missing parts are left out, and every text of it is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.slack.ui.blocks import Block, actions, button, context, divider, modal, section
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.job_card import STATES, duration, recipe
from bot.slack.ui.limits import split_text
from bot.slack.ui.model_trials import can_compare
from bot.slack.ui.verdict_card import meter
from worker.jobs.records import Event, Job
from worker.jobs.states import State
from worker.kinds import kind_of

Report = Mapping[str, Any]

WORTH = {"yes": "✅", "no": "⛔", "unclear": "🤷"}
DECISIONS = {
    "enough": "✅",
    "more_data": "📥",
    "train": "🎯",
    "not_worth_it": "⛔",
    "cannot_tell": "🤷",
}
DIGEST = re.compile(r"[0-9a-f]{40,64}")
SYSTEMS_SHOWN = 12
MEASURES = {"chrf": "Likeness to the real answers (chrF)"}
PAIRS_SHOWN = 3
NOTES_SHOWN = 6
EXAMPLES_SHOWN = 3


def final_report(job: Job) -> tuple[str, list[Block]]:
    """The text and blocks of the one message that ends a job, whatever its end state."""
    report = job.report or {}
    draw = RENDERERS.get(str(report.get("kind")))
    if job.state != State.SUCCEEDED or draw is None:
        return _ended_without_report(job)
    headline = escape(one_line(str(report.get("headline", "Done.")), 1500))
    blocks = draw(report, headline)
    blocks.append(context(_cost_line(job, report)))
    buttons = [button("Details", "job_details", job.id)]
    if kind_of(job.kind).leaves_model:
        buttons.insert(0, button("Try it", "job_try", job.id, "primary"))
        if can_compare(job):
            buttons.insert(1, button("Compare blind", "compare_start", job.id))
    if report.get("decision") == "train":
        buttons.insert(0, button("Fine-tune on these", "job_finetune", job.id, "primary"))
    blocks.append(actions(buttons, block_id="report"))
    mark, _ = STATES[job.state]
    return f"{mark} {kind_of(job.kind).label} on {escape(one_line(job.dataset, 60))}: {headline}", blocks


def details_modal(job: Job, history: Sequence[Event]) -> Block:
    """Everything else about a job: recipe, data, where it ran, and its history."""
    report = job.report or {}
    parts = [f"*{kind_of(job.kind).label} {job.id}* on {escape(job.dataset)}\n{recipe(job)}"]
    if job.error:
        parts.append(f"*What happened*\n{escape(job.error)}")
    if data := _data_line(report.get("dataset")):
        parts.append(f"*Data*  {data}")
    if pairs := _confused(report.get("confused"), 20):
        parts.append(f"*Most confused*\n{pairs}")
    if examples := _examples(report):
        parts.append(f"*Held-out tickets, answered*\n{examples}")
    for title, values in (
        ("Recipe", report.get("spec") or job.spec),
        ("Made with", report.get("provenance")),
    ):
        if rows := _pairs(values):
            parts.append(f"*{title}*\n{rows}")
    lines = [
        f"• {escape(e.who)}: {escape(e.what)}{' — ' + escape(one_line(e.why, 200)) if e.why else ''}"
        for e in history[-20:]
    ]
    parts.append("*History*\n" + "\n".join(lines))
    blocks = [section(piece) for part in parts for piece in split_text(part) if piece.strip()]
    return modal("job", f"Job {job.id}"[:24], blocks[:100])


def _ended_without_report(job: Job) -> tuple[str, list[Block]]:
    mark, name = STATES[job.state]
    dataset = escape(one_line(job.dataset, 60))
    head = f"{mark} *{kind_of(job.kind).label} on {dataset}: {name.lower()}*"
    why = escape(one_line(job.error or "", 1200))
    blocks = [section(f"{head}\n{why}" if why else head)]
    again = button("Run it again", "job_retry", job.id)
    blocks.append(actions([again, button("Details", "job_details", job.id)], block_id="report"))
    return f"{mark} {kind_of(job.kind).label} on {dataset}: {name.lower()}", blocks


def _finetune(report: Report, headline: str) -> list[Block]:
    mark = WORTH.get(str(report.get("worth_it")), "🤷")
    first, colon, rest = headline.partition(": ")
    blocks = [section(f"{mark} *{first}*\n{rest[:1].upper()}{rest[1:]}" if colon else f"{mark} {headline}")]
    if why := [escape(one_line(str(line), 400)) for line in (report.get("why") or [])[:3]]:
        blocks.append(section("*Why*  " + " ".join(why)))
    blocks += _systems(report.get("systems"), MEASURES.get(str(report.get("measure")), "Accuracy"))
    lines = [_difference(report.get("difference"))]
    if pairs := _confused(report.get("confused"), PAIRS_SHOWN):
        lines.append(f"*Most confused*\n{pairs}")
    blocks += [section(piece) for line in lines if line for piece in split_text(line)]
    if said := [escape(one_line(str(note), 400)) for note in (report.get("notes") or [])[:NOTES_SHOWN]]:
        blocks.append(context("\n".join(said)))
    if data := _data_line(report.get("dataset")):
        blocks.append(context(data))
    return blocks


def _measure(report: Report, headline: str) -> list[Block]:
    mark = DECISIONS.get(str(report.get("decision")), "🤷")
    first, colon, rest = headline.partition(": ")
    blocks = [section(f"{mark} *{first}:* {rest}" if colon else f"{mark} {headline}")]
    blocks += _systems(report.get("ladder"), "Scores")
    lines = [
        _prose(name, report.get(name.lower().replace(" ", "_"))) for name in ("Forecast", "Cost", "Next step")
    ]
    lines += [f"⚠️ {escape(one_line(str(warning), 400))}" for warning in (report.get("warnings") or [])[:5]]
    if text := "\n".join(line for line in lines if line):
        blocks += [divider(), *(section(piece) for piece in split_text(text))]
    if data := _data_line(report.get("dataset")):
        blocks.append(context(data))
    return blocks


RENDERERS: dict[str, Callable[[Report, str], list[Block]]] = {"finetune": _finetune, "measure": _measure}


def _systems(systems: Any, title: str) -> list[Block]:
    """Each system with a bar and its scores: lines that wrap, because a thread is too narrow for a table."""
    rows = [s for s in systems or [] if isinstance(s, Mapping)][:SYSTEMS_SHOWN]
    if not rows:
        return []
    blocks = [context(f"{title} on held-out tickets, with 95% intervals")]
    for system in rows:
        star = "★ " if system.get("role") == "tuned" else ""
        name = escape(one_line(str(system.get("name", "?")), 80))
        blocks.append(section(f"{star}*{name}*\n{_scores(system)}"))
    return blocks


def _scores(system: Mapping[str, Any]) -> str:
    score = next((system[k] for k in ("accuracy", "score", "chrf") if system.get(k)), None)
    value = score.get("value") if isinstance(score, Mapping) else score
    bar = f"{meter(value, 10)}  " if isinstance(value, int | float) and 0 <= value <= 1 else ""
    f1 = f"\nmacro-F1 {interval(system['macro_f1'])}" if system.get("macro_f1") else ""
    few = f"  on {system['rows']} tickets" if isinstance(system.get("rows"), int) else ""
    return f"{bar}{interval(score)}{few}{f1}{_crossed(system.get('cross_validated'))}"


def _crossed(found: Any) -> str:
    """The score over all folds, for few tickets."""
    score = next((found[k] for k in ("accuracy", "chrf") if found.get(k)), None) if found else None
    if score is None:
        return ""
    rows, folds = found.get("rows", "?"), found.get("folds", "?")
    return f"\nall {rows} tickets by {folds}-fold cross-validation: {interval(score)}"


def interval(score: Any) -> str:
    """A score with its interval: `86.5% (82.1–90.3)`; a bare number without one; a dash for nothing."""
    if isinstance(score, int | float) and not isinstance(score, bool):
        return f"{score:.1%}"
    if not isinstance(score, Mapping) or not isinstance(score.get("value"), int | float):
        return "–"
    low, high = score.get("low"), score.get("high")
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return f"{score['value']:.1%}"
    return f"{score['value']:.1%} ({low * 100:.1f}–{high * 100:.1f})"


def _difference(difference: Any) -> str:
    if not isinstance(difference, Mapping) or not isinstance(difference.get("points"), int | float):
        return ""
    against = escape(one_line(str(difference.get("against", "the best baseline")), 80))
    text = f"*Gain*  {difference['points']:+.1f} points against {against}"
    low, high = difference.get("low"), difference.get("high")
    if isinstance(low, int | float) and isinstance(high, int | float):
        text += f" (95%: {low:+.1f} to {high:+.1f}"
        p = difference.get("p")
        text += f", p = {p:.3f})" if isinstance(p, int | float) else ")"
    return text


def _confused(pairs: Any, most: int) -> str:
    lines = []
    for pair in [p for p in pairs or [] if isinstance(p, Mapping)][:most]:
        true, predicted = (escape(one_line(str(pair.get(k, "?")), 60)) for k in ("true", "predicted"))
        example = one_line(str(pair.get("example") or ""), 110)
        quoted = f"  “{escape(example)}”" if example else ""
        lines.append(f"• {true} → {predicted}  ×{pair.get('count', '?')}{quoted}")
    return "\n".join(lines)


def _examples(report: Report) -> str:
    """Some tickets with what people wrote, what the trained model wrote, and what the best baseline did."""
    found = [one for one in report.get("examples") or [] if isinstance(one, Mapping)][:EXAMPLES_SHOWN]
    against = str((report.get("difference") or {}).get("against", "best baseline"))
    sides = (("real", "Your team"), ("tuned", "Trained model"), ("baseline", against))
    lines = []
    for one in found:
        ticket = one_line(str(one.get("ticket", "")), 1000)
        lines.append(f"> {escape('…' + ticket[-160:] if len(ticket) > 160 else ticket)}")
        lines += [
            f"• {escape(name)}: {escape(one_line(str(one.get(key, '')), 240)) or '(empty)'}"
            for key, name in sides
        ]
    return "\n".join(lines)


def _data_line(dataset: Any) -> str:
    if not isinstance(dataset, Mapping):
        return ""
    name = escape(one_line(str(dataset.get("name", "")), 60))
    parts = [f"{dataset['rows']:,} tickets" if isinstance(dataset.get("rows"), int) else ""]
    crossed = "cross-validated" in str(dataset.get("split"))  # its sentence has the sides' numbers
    sides = () if crossed else ("train", "dev", "test")
    parts += [f"{dataset[k]:,} {k}" for k in sides if isinstance(dataset.get(k), int)]
    classes = dataset.get("classes")
    number = len(classes) if isinstance(classes, list | Mapping) else classes
    parts.append(f"{number} queues" if number else "")
    if crossed:
        parts.append(escape(one_line(str(dataset["split"]), 400)))
    return f"{name}: " + ", ".join(part for part in parts if part)


def _cost_line(job: Job, report: Report) -> str:
    time, cost = report.get("time") or {}, report.get("cost") or {}
    parts = [f"asked by <@{job.by}>"]
    if isinstance(time.get("wall_s"), int | float):
        parts.append(f"took {duration(time['wall_s'])}")
    elif job.started_at and job.ended_at:
        parts.append(f"took {duration(job.ended_at - job.started_at)}")
    if isinstance(cost.get("usd"), int | float):
        basis = f" ({escape(one_line(str(cost['basis']), 100))})" if cost.get("basis") else ""
        parts.append(f"cost ${cost['usd']:.2f}{basis}")
    return "  ·  ".join([*parts, f"job `{job.id}`"])


def _prose(label: str, value: Any) -> str:
    """A part of a report that is a sentence, or carries one under `text`/`sentence`."""
    if isinstance(value, Mapping):
        value = value.get("sentence") or value.get("text") or value.get("summary")
    return f"*{label}*  {escape(one_line(value, 1200))}" if isinstance(value, str) and value.strip() else ""


def _pairs(values: Any) -> str:
    """Plain settings as lines; a digest shows its first twelve characters."""
    if not isinstance(values, Mapping):
        return ""
    simple = {k: v for k, v in values.items() if isinstance(v, str | int | float) and v != ""}
    shown = {
        k: f"`{str(v)[:12]}`" if DIGEST.fullmatch(str(v)) else escape(one_line(str(v), 200))
        for k, v in simple.items()
    }
    return "\n".join(f"• {escape(str(k).replace('_', ' '))}: {text}" for k, text in shown.items())
