"""Builds the final report of a job by its kind: headline, scores, evidence, cost. Pure.

A report comes from a training machine, so every text in it is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.slack.ui.blocks import Block, actions, button, confirm, context, divider, modal, section
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.job_card import STATES, duration, history_lines, recipe
from bot.slack.ui.limits import split_text
from bot.slack.ui.model_trials import can_compare
from bot.slack.ui.verdict_card import meter
from finetune.platforms import PLATFORMS
from finetune.pricing import money
from finetune.reports import FinetuneReport, MeasurementReport, headline_of, read_report
from finetune.reports.deployment import DeploymentReport
from finetune.reports.parts import (
    Confusion,
    DatasetPart,
    Difference,
    Score,
    Spent,
    SystemLine,
)
from worker.jobs.records import Event, Job
from worker.jobs.states import State
from worker.kinds import kind_of

WORTH_MARKS = {"yes": "✅", "no": "⛔", "unclear": "🤷"}
DECISION_MARKS = {
    "enough": "✅",
    "more_data": "📥",
    "train": "🎯",
    "out_of_reach": "📈",
    "not_worth_it": "⛔",
    "cannot_tell": "🤷",
    "undecided": "⏳",
}
DIGEST = re.compile(r"[0-9a-f]{40,64}")
SYSTEMS_SHOWN = 12
PAIRS_SHOWN, PAIRS_IN_DETAILS = 3, 20
NOTES_SHOWN, WARNINGS_SHOWN = 6, 5
EXAMPLES_SHOWN = 3
SCORE_NAMES = {"accuracy": "Accuracy", "chrf": "Likeness to the real answers (chrF)"}
WHAT_IS_THIS = (
    "Each line is one way to answer, scored on tickets that it never saw. The percentage is the share "
    "of right answers, in brackets the 95% interval: with other tickets the figure would lie in it 19 times in 20. "
    "Macro-F1 counts every queue alike, however small."
)
WHAT_IS_GAIN = (
    "The gain is what the trained model gets more than the best cheap method on the same tickets; p is the chance of at "
    "least such a difference between two that are equally good. "
)
WHAT_IS_CHRF = (
    "Each line is one way to answer, on tickets that it never saw. The percentage is how like its replies are to those that "
    "your team wrote (chrF: letters in common), in brackets the 95% interval. "
)


def final_report(job: Job) -> tuple[str, list[Block]]:
    """The text and blocks of a job's final message, for every end state."""
    report = read_report(job.report)
    if job.state == State.SUCCEEDED and isinstance(report, DeploymentReport):
        return _deployment(job, report)
    if job.state != State.SUCCEEDED or not isinstance(report, FinetuneReport | MeasurementReport):
        return _ended_without_report(job)
    headline = escape(one_line(report.headline, 1500))
    draw = _finetune(report, headline) if isinstance(report, FinetuneReport) else _measure(report, headline)
    blocks = [*draw, context(_cost_line(job, report.spent)), actions(_buttons(job, report), "report")]
    mark, _ = STATES[job.state]
    return f"{mark} {kind_of(job.kind).label} on {escape(one_line(job.dataset, 60))}: {headline}", blocks


def _buttons(job: Job, report: FinetuneReport | MeasurementReport) -> list[Block]:
    """The report's buttons, the most useful first."""
    buttons = [
        button("Details", "job_details", job.id),
        button("All runs on these tickets", "dataset_runs", job.id),
    ]
    if kind_of(job.kind).leaves_model:
        first = [button("Try it", "job_try", job.id, "primary")]
        is_here = not (isinstance(report, FinetuneReport) and report.hosted_model)
        if is_here:
            first.append(button("Deploy", "job_deploy", job.id))
        return [
            *first,
            *([button("Compare blind", "compare_start", job.id)] if can_compare(job) else []),
            *buttons,
            *([] if is_here else [_erase_button(job)]),
        ]
    if isinstance(report, MeasurementReport):
        if report.decision == "train":
            return [button("Fine-tune on these", "job_finetune", job.id, "primary"), *buttons]
        if report.decision in ("more_data", "out_of_reach"):  # against the advice: the last of the buttons
            return [*buttons, button("Fine-tune on these", "job_finetune", job.id)]
        if report.decision == "undecided":
            return [button("Run the pilot", "measure_pilot", job.id, "primary"), *buttons]
    return buttons


def _erase_button(job: Job) -> Block:
    """The button that erases a hosted model, with a confirmation."""
    platform = PLATFORMS.get(job.platform or "")
    place = platform.label if platform is not None else "its platform"
    dialog = confirm(
        "Erase the model?",
        f"Nobody can ask it at {place} any more, and it cannot be brought back. The report stays.",
        "Erase it",
        "Keep it",
    )
    return button("Erase the model", "model_erase", job.id, confirm=dialog)


def details_modal(job: Job, history: Sequence[Event]) -> Block:
    """The modal with a job's details: recipe, data, machine and history."""
    parts = [f"*{kind_of(job.kind).label} {job.id}* on {escape(job.dataset)}\n{recipe(job)}"]
    if headline := headline_of(job.report):
        parts.append(f"*Outcome*  {escape(one_line(headline, 1500))}")
    if job.error:
        parts.append(f"*What happened*\n{escape(job.error)}")
    parts += _details_of(job)
    parts.append("*History*\n" + "\n".join(history_lines(history)))
    blocks = [section(piece) for part in parts for piece in split_text(part) if piece.strip()]
    return modal("job", f"Job {job.id}"[:24], blocks[:100])


def _details_of(job: Job) -> list[str]:
    """The details from the report, and the recipe."""
    report, parts = read_report(job.report), []
    spec: Mapping[str, Any] = job.spec
    provenance: Mapping[str, Any] = {}
    if isinstance(report, FinetuneReport | MeasurementReport):
        provenance = report.provenance
        if data := _data_line(report.dataset):
            parts.append(f"*Data*  {data}")
    if isinstance(report, FinetuneReport):
        spec = report.spec or spec
        if pairs := _confusions(report.confused, PAIRS_IN_DETAILS, quoted=True):
            parts.append(f"*Most confused*\n{pairs}")
        if examples := _examples(report):
            parts.append(f"*Held-out tickets, answered*\n{examples}")
    if isinstance(report, MeasurementReport) and report.ladder:
        parts.append(f"*What is this?*  {WHAT_IS_THIS}")
    if isinstance(report, FinetuneReport) and report.systems:
        what = WHAT_IS_CHRF if report.measure == "chrf" else f"{WHAT_IS_THIS} "
        parts.append(f"*What is this?*  {what}{WHAT_IS_GAIN}".rstrip())
    for title, values in (("Recipe", spec), ("Made with", provenance)):
        if rows := _pairs(values):
            parts.append(f"*{title}*\n{rows}")
    return parts


def _deployment(job: Job, report: DeploymentReport) -> tuple[str, list[Block]]:
    """The report of a deployment: the version, its promise, and the commands to serve it."""
    name, version = escape(one_line(report.name, 60)), escape(one_line(report.version, 80))
    lines = [f"🚀 *{escape(one_line(report.headline, 300))}*", escape(one_line(report.promise, 500))]
    if report.rows:
        lines.append(
            f"{report.cpu_ms:.0f} ms of one core a ticket as {escape(report.form)}, measured on {report.rows:,} tickets."
        )
    if report.takes_over:
        lines.append(
            f"Start it where it shall answer: `trainwise serve {name}`. It listens on this machine at port 8100."
        )
    else:
        lines.append(
            f"Another version answers for {name} now. A tenth of the tickets for this one: `trainwise versions {name} "
            f"--trial {version}`. All of them: `trainwise versions {name} --use {version}`, and back with `--back`. A running "
            "server follows within seconds."
        )
    blocks = [section("\n".join(lines)), context(_cost_line(job, Spent()))]
    blocks.append(actions([button("Details", "job_details", job.id)], "report"))
    return f"🚀 {escape(one_line(report.headline, 300))}", blocks


def _ended_without_report(job: Job) -> tuple[str, list[Block]]:
    mark, name = STATES[job.state]
    dataset = escape(one_line(job.dataset, 60))
    head = f"{mark} *{kind_of(job.kind).label} on {dataset}: {name.lower()}*"
    why = escape(one_line(job.error or "", 1200))
    blocks = [section(f"{head}\n{why}" if why else head)]
    again = button("Run it again", "job_retry", job.id)
    blocks.append(actions([again, button("Details", "job_details", job.id)], block_id="report"))
    return f"{mark} {kind_of(job.kind).label} on {dataset}: {name.lower()}", blocks


def _headline(mark: str, headline: str) -> Block:
    """The headline after `mark`, in bold up to its colon."""
    first, colon, rest = headline.partition(": ")
    return section(f"{mark} *{first}*\n{rest[:1].upper()}{rest[1:]}" if colon else f"{mark} {headline}")


def _finetune(report: FinetuneReport, headline: str) -> list[Block]:
    blocks = [_headline(WORTH_MARKS.get(report.worth_it, "🤷"), headline)]
    if report.why:
        blocks.append(section("*Why*  " + " ".join(escape(one_line(line, 400)) for line in report.why[:3])))
    blocks += _systems(report.systems, SCORE_NAMES.get(report.measure, "Scores"))
    lines = [_difference(report.difference)]
    if pairs := _confusions(report.confused, PAIRS_SHOWN):
        lines.append(f"*Most confused*\n{pairs}")
    blocks += [section(piece) for line in lines if line for piece in split_text(line)]
    if report.notes:
        blocks.append(context("\n".join(escape(one_line(note, 400)) for note in report.notes[:NOTES_SHOWN])))
    if data := _data_line(report.dataset):
        blocks.append(context(data))
    return blocks


def _measure(report: MeasurementReport, headline: str) -> list[Block]:
    blocks = [_headline(DECISION_MARKS.get(report.decision, "🤷"), headline)]
    blocks += _systems(report.ladder, "Scores")
    lines = [
        _prose("Forecast", report.forecast.sentence or report.forecast.refused),
        _prose("More tickets?", report.doubling),
        _prose("Cost", report.cost.sentence),
        _prose("Next step", report.next_step),
        *(f"⚠️ {escape(one_line(warning, 400))}" for warning in report.warnings[:WARNINGS_SHOWN]),
    ]
    if text := "\n".join(line for line in lines if line):
        blocks += [divider(), *(section(piece) for piece in split_text(text))]
    if data := _data_line(report.dataset):
        blocks.append(context(data))
    return blocks


def _systems(systems: Sequence[SystemLine], title: str) -> list[Block]:
    """Each system with a bar and its scores, as lines, because a thread is too narrow for a table."""
    if not systems:
        return []
    blocks = [context(f"{title} on held-out tickets, with 95% intervals")]
    for system in systems[:SYSTEMS_SHOWN]:
        star = "★ " if system.tuned else "☆ " if system.best else ""
        blocks.append(section(f"{star}*{escape(one_line(system.name, 80))}*\n{_scores(system)}"))
    return blocks


def _scores(system: SystemLine) -> str:
    score = next((system.scores[name] for name in ("accuracy", "chrf") if name in system.scores), None)
    bar = f"{meter(score.value, 10)}  " if score is not None and 0 <= score.value <= 1 else ""
    f1 = f"\nmacro-F1 {interval(system.scores['macro_f1'])}" if "macro_f1" in system.scores else ""
    few = f"  on {system.rows} tickets" if system.rows is not None else ""
    return f"{bar}{interval(score)}{few}{f1}{_cross_validation(system)}"


def _cross_validation(system: SystemLine) -> str:
    """The score over all folds, for few tickets; of what was tested on one of them what is expected on all."""
    if system.expected is not None:
        return f"\ntested on one fold; expected on all: {interval(system.expected)}"
    folds = system.cross_validated
    score = (
        next((folds.scores[name] for name in ("accuracy", "chrf") if name in folds.scores), None)
        if folds
        else None
    )
    if folds is None or score is None:
        return ""
    return f"\nall {folds.rows} tickets by {folds.folds}-fold cross-validation: {interval(score)}"


def interval(score: Score | None) -> str:
    """A score with its interval: `86.5% (82.1–90.3)`; the number alone without an interval; a dash without a score."""
    if score is None:
        return "–"
    if score.low is None or score.high is None:
        return f"{score.value:.1%}"
    return f"{score.value:.1%} ({score.low * 100:.1f}–{score.high * 100:.1f})"


def _difference(difference: Difference | None) -> str:
    if difference is None or difference.points is None:
        return ""
    against = escape(one_line(difference.against, 80))
    text = f"*Gain*  {difference.points:+.1f} points against {against}"
    if difference.low is not None and difference.high is not None:
        text += f" (95%: {difference.low:+.1f} to {difference.high:+.1f}"
        text += f", p = {difference.p:.3f})" if difference.p is not None else ")"
    return text


def _confusions(pairs: Sequence[Confusion], most: int, quoted: bool = False) -> str:
    """The confused pairs of queues; `quoted` adds a ticket's text, for private views only."""
    lines = []
    for pair in pairs[:most]:
        true, predicted = (escape(one_line(name, 60)) for name in (pair.true, pair.predicted))
        example = one_line(pair.example or "", 110) if quoted else ""
        lines.append(f"• {true} → {predicted}  ×{pair.count}{f'  “{escape(example)}”' if example else ''}")
    return "\n".join(lines)


def _examples(report: FinetuneReport) -> str:
    """Example tickets with the replies of people, of the trained model and of the best baseline."""
    against = report.difference.against if report.difference else "best baseline"
    lines = []
    for one in report.examples[:EXAMPLES_SHOWN]:
        ticket = one_line(one.ticket, 1000)
        lines.append(f"> {escape('…' + ticket[-160:] if len(ticket) > 160 else ticket)}")
        sides = (("Your team", one.real), ("Trained model", one.tuned), (against, one.baseline))
        lines += [f"• {escape(name)}: {escape(one_line(text, 240)) or '(empty)'}" for name, text in sides]
    return "\n".join(lines)


def _data_line(data: DatasetPart) -> str:
    """The line on rows and their split; the parts add up to the rows."""
    if not data.rows:
        return escape(one_line(data.name, 60))
    parts = [f"{data.rows:,} tickets"]
    in_folds = "cross-validated" in data.split  # its sentence has the sides' numbers
    if not in_folds:
        sides = ((data.train, "train"), (data.dev, "dev"), (data.test, "test"))
        parts += [f"{count:,} {name}" for count, name in sides if count]
        parts += [f"{data.left_out:,} left out as near-copies"] if data.left_out else []
    parts += [f"{data.classes} queues"] if data.classes else []
    parts += [escape(one_line(data.split, 400))] if in_folds else []
    return f"{escape(one_line(data.name, 60))}: " + ", ".join(parts)


def _cost_line(job: Job, cost: Spent) -> str:
    parts = [f"asked by <@{job.by}>"]
    if cost.wall_s:
        parts.append(f"took {duration(cost.wall_s)}")
    elif job.started_at and job.ended_at:
        parts.append(f"took {duration(job.ended_at - job.started_at)}")
    if cost.basis:
        parts.append(f"cost {money(cost.usd)} ({escape(one_line(cost.basis, 100))})")
    return "  ·  ".join([*parts, f"job `{job.id}`"])


def _prose(label: str, text: str) -> str:
    """A labelled sentence of a report."""
    return f"*{label}*  {escape(one_line(text, 1200))}" if text.strip() else ""


def _pairs(values: Any) -> str:
    """Settings as lines; a digest is cut to twelve characters."""
    if not isinstance(values, Mapping):
        return ""
    simple = {k: v for k, v in values.items() if isinstance(v, str | int | float) and v != ""}
    lines = {
        k: f"`{str(v)[:12]}`" if DIGEST.fullmatch(str(v)) else escape(one_line(str(v), 200))
        for k, v in simple.items()
    }
    return "\n".join(f"• {escape(str(k).replace('_', ' '))}: {text}" for k, text in lines.items())
