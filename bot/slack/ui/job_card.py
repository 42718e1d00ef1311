"""Builds a job's card, which `chat.update` keeps current: title, state, progress, buttons. Pure.

Uses the ledger's `Job` and the time that is passed in, in Unix seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bot.slack.ui.blocks import Block, actions, button, confirm, context, section
from bot.slack.ui.escape import escape, one_line
from finetune.methods import METHODS
from finetune.platforms import PLATFORMS
from finetune.pricing import money
from finetune.reports import headline_of
from worker.jobs.progress import job_progress, seconds_run
from worker.jobs.records import Event, Job
from worker.jobs.states import ACTIVE_STATES, END_STATES, State
from worker.kinds import kind_of

STATES = {
    State.DRAFT: ("📝", "Draft"),
    State.AWAITING_APPROVAL: ("🙋", "Waiting for approval"),
    State.REJECTED: ("🚫", "Not approved"),
    State.QUEUED: ("⏳", "Queued"),
    State.LEASED: ("🚀", "Starting"),
    State.SUBMITTING: ("🚀", "Submitting"),
    State.SUBMIT_UNKNOWN: ("❓", "Checking whether the platform took it"),
    State.RUNNING: ("🏃", "Running"),
    State.PAUSING: ("⏸️", "Pausing"),
    State.PAUSED: ("⏸️", "Paused"),
    State.CANCELLING: ("🛑", "Cancelling"),
    State.LOST: ("📡", "Worker lost, finding another"),
    State.RETRY_WAIT: ("🔁", "Trying again soon"),
    State.FINALIZING: ("🧾", "Writing the report"),
    State.SUCCEEDED: ("✅", "Done"),
    State.FAILED: ("❌", "Failed"),
    State.CANCELLED: ("🛑", "Cancelled"),
    State.BUDGET_STOPPED: ("💸", "Stopped at its budget"),
}
PHASES = {
    "loading": "Loading the tickets",
    "baselines": "Scoring the baselines",
    "training": "Training",
    "curve": "Measuring the learning curve",
    "pilot": "Training a pilot",
    "evaluating": "Evaluating on held-out tickets",
    "reporting": "Writing the report",
}
PAUSABLE_STATES = (State.QUEUED, State.RUNNING)
NOTE_STATES = (State.RUNNING, State.CANCELLING, State.FINALIZING)
BAR_CELLS = 12
BLOCKS = "▁▂▃▄▅▆▇█"
MORE_EPOCHS = 2
MEASURED = ("finetune", "measure")  # kinds whose report stands on the page of a dataset
NO_TOKENS = str.maketrans("<>", "‹›")


def job_card(job: Job, now: float, redis_down: bool = False) -> list[Block]:
    """The card of a job in any state; at most four blocks, to keep the channel readable."""
    head = f"*{kind_of(job.kind).label} · {escape(one_line(job.dataset, 60))}*  `{job.id}`"
    blocks = [section(f"{head}\n{status_line(job, now, redis_down)}")]
    if bar := progress_line(job, now):
        blocks.append(section(bar))
    if reason := _reason(job):
        blocks.append(section(reason))
    blocks.append(context(_footer(job, now)))
    if decision := decision_line(job):
        blocks[-1]["elements"] += context(decision)["elements"]
    if buttons := _buttons(job):
        blocks.append(actions(buttons, block_id="job"))
    return blocks


def job_text(job: Job) -> str:
    """The one-line text of a job, for notifications and lists."""
    mark, name = STATES[job.state]
    return f"{mark} {kind_of(job.kind).label} {job.id} on {escape(one_line(job.dataset, 60))}: {name.lower()}"


def status_line(job: Job, now: float, redis_down: bool = False) -> str:
    """The job's state in one line: queue position, or phase, step and remaining time."""
    mark, name = STATES[job.state]
    parts = [f"{mark} *{_phase(job) or name}*"]
    if job.state == State.QUEUED:
        if redis_down:
            parts.append("kept; it goes out when Redis is back")
        elif position := job.progress.get("position"):
            parts.append("next in line" if position == 1 else f"number {int(position)} in line")
            if _number(job.progress.get("starts_in_s")):
                parts.append(f"starts in about {job.progress['starts_in_s'] / 60:.0f} min")
    if job.state == State.RUNNING:
        parts += _running_parts(job, now)
    if job.state in NOTE_STATES and (note := job.progress.get("platform_note")):
        parts.append(escape(one_line(str(note), 160)))
    return "  ·  ".join(parts)


def progress_line(job: Job, now: float) -> str:
    """A text progress bar over the whole running job; "" for other states, or without progress."""
    share = job_progress(job.progress, kind_of(job.kind).phases, now).share
    if job.state != State.RUNNING or share is None:
        return ""
    full = round(share * BAR_CELLS)
    bar = f"`{'█' * full}{'░' * (BAR_CELLS - full)}` {share:.0%}"
    return "\n".join(line for line in (bar, _loss_line(job.progress)) if line)


def sparkline(values: Sequence[float]) -> str:
    """The values as a row of block characters."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(BLOCKS[round((value - low) / span * (len(BLOCKS) - 1))] for value in values)


def _loss_line(progress: Mapping[str, Any]) -> str:
    """The line with the loss curve so far and the newest result on the validation rows."""
    parts = []
    curve = [value for value in progress.get("curve") or [] if _number(value)]
    if len(curve) > 1:
        parts.append(f"loss {curve[0]:.2f} `{sparkline(curve)}` {curve[-1]:.2f}")
    if _number(progress.get("dev_score")):
        parts.append(f"{progress['dev_score']:.1%} right on the tickets to choose with")
    elif _number(progress.get("dev_loss")):
        parts.append(f"loss on the tickets to choose with {progress['dev_loss']:.3f}")
    return "  ·  ".join(parts)


def recipe(job: Job) -> str:
    """The recipe in a few words, with the budget."""
    spec = job.spec
    parts = kind_of(job.kind).recipe(spec)[
        is_hosted_tuning(job) :
    ]  # without the method, which is the platform's own
    if _number(spec.get("budget_usd")):
        parts.append(f"budget {money(spec['budget_usd'])}")
    return " · ".join(escape(one_line(str(part), 80)) for part in parts if part)


def is_hosted_tuning(job: Job) -> bool:
    """Whether a platform tunes the model with its own method."""
    platform = PLATFORMS.get(job.platform or "")
    return platform is not None and platform.gives == "hosted"


def duration(seconds: float) -> str:
    """A duration for display: `8 s`, `3 min`, `2 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _phase(job: Job) -> str:
    return PHASES.get(str(job.progress.get("phase")), "") if job.state == State.RUNNING else ""


def _running_parts(job: Job, now: float) -> list[str]:
    progress, parts = job.progress, []
    if progress.get("step") and progress.get("steps"):
        parts.append(f"step {int(progress['step'])} of {int(progress['steps'])}")
    if _number(progress.get("loss")):
        parts.append(f"loss {progress['loss']:.3f}")
    left_s = job_progress(progress, kind_of(job.kind).phases, now).left_s
    if left_s is not None:
        parts.append(f"about {duration(left_s)} left")
    if not progress.get("step") and progress.get("note"):
        parts.append(escape(one_line(str(progress["note"]), 120)))
    return parts


def _reason(job: Job) -> str:
    if job.state == State.SUCCEEDED and job.report:
        return f"*{escape(one_line(headline_of(job.report), 600))}*"
    if job.state == State.AWAITING_APPROVAL and job.approval_reason:
        return escape(one_line(job.approval_reason, 600))
    if job.error and job.state in (*END_STATES, State.RETRY_WAIT, State.LOST):
        return escape(one_line(job.error, 600))
    return ""


def _footer(job: Job, now: float) -> str:
    parts = [recipe(job), f"asked by {escape(one_line(job.by_name or job.by, 60))}"]
    if job.platform:
        platform = PLATFORMS.get(job.platform)
        name = platform.label if platform else job.platform
        parts.append(f"on {escape(one_line(f'{name}, {job.machine}', 80))}")
    if job.attempt > 1:
        parts.append(f"attempt {job.attempt}")
    ran_s = seconds_run(job.progress, now)
    if ran_s is None and job.started_at and job.ended_at:  # a job from before the ledger stored it
        ran_s = job.ended_at - job.started_at
    if ran_s is not None:
        verb = "took" if job.ended_at else "running for" if job.state in ACTIVE_STATES else "ran for"
        parts.append(f"{verb} {duration(ran_s)}")
    if job.spent_usd >= 0.005:
        parts.append(f"{money(job.spent_usd)} spent")
    return "  ·  ".join(part for part in parts if part)


def _buttons(job: Job) -> list[Block]:
    if job.state == State.AWAITING_APPROVAL:
        return [*approval_buttons(job), cancel_button(job)]
    if job.state == State.SUCCEEDED:
        more = button(f"Train {MORE_EPOCHS} more epochs", "job_continue", job.id)
        can_continue = _trains_in_epochs(job) and not job.platform  # the platform keeps its checkpoints
        runs = [button("All runs on these tickets", "dataset_runs", job.id)] if job.kind in MEASURED else []
        return [button("Details", "job_details", job.id), *runs, *([more] if can_continue else [])]
    if job.state in END_STATES:
        return [button("Run it again", "job_retry", job.id), button("Details", "job_details", job.id)]
    if job.state in (State.CANCELLING, State.FINALIZING):
        return []
    elements = []
    training = job.progress.get("phase") == "training" and job.progress.get("step")
    platform = PLATFORMS.get(job.platform or "")
    can_end_early = _trains_in_epochs(job) and (platform is None or platform.can_end_early)
    if job.state == State.RUNNING and training and can_end_early:
        elements.append(finish_button(job))
    if job.state in PAUSABLE_STATES and not job.platform:
        elements.append(button("Pause", "job_pause", job.id))
    if job.state == State.PAUSED:
        elements.append(button("Resume", "job_resume", job.id, "primary"))
    return [*elements, cancel_button(job)]


def price(job: Job) -> str:
    """The text of the job's budget, else of its estimate."""
    budget = job.spec.get("budget_usd")
    return f"at most ${budget:g}" if _number(budget) and budget else f"about ${job.estimate_usd:,.2f}"


def approval_line(job: Job) -> str:
    """The line of an approval request: requester, job, price, and why it needs approval."""
    what = f"{kind_of(job.kind).label} on *{escape(one_line(job.dataset, 60))}*  `{job.id}`, {price(job)}"
    return f"{escape(one_line(job.by_name or job.by, 60))}: {what}\n{escape(one_line(job.approval_reason or '', 300))}"


def approval_buttons(job: Job) -> list[Block]:
    """The buttons Approve (with a confirmation of job and price) and Decline (which asks for the reason)."""
    what = f"{kind_of(job.kind).label} {job.id} on {one_line(job.dataset, 60)}"
    text = f"{what} goes to the queue at once, for {price(job)}. {one_line(job.by_name or job.by, 60)} asked for it."
    harmless = text.translate(NO_TOKENS)[:300]  # plain text shows entities literally
    dialog = confirm("Approve this job?", harmless, "Approve", "Not yet", danger=False)
    return [
        button("Approve", "job_approve", job.id, "primary", dialog),
        button("Decline…", "job_reject", job.id),
    ]


def decision_line(job: Job) -> str:
    """The line on the approval's decision: person, time, reason; "" without one."""
    decision = job.decision or {}
    if not decision:
        return ""
    at = datetime.fromtimestamp(float(decision["at"]), UTC).strftime("%d %b %H:%M UTC")
    verb = "approved" if decision.get("approved") else "declined"
    why = decision.get("why") or (job.approval_reason if decision.get("approved") else "")
    line = f"{verb} by {escape(one_line(str(decision.get('by_name')), 60))}, {at}"
    return f"{line}: {escape(one_line(str(why), 300))}" if why else line


def finish_button(job: Job) -> Block:
    """The button that ends training early and starts the evaluation, with a confirmation."""
    text = "Training ends now. The best weights so far are tested on held-out tickets and you get the report."
    dialog = confirm("Stop here and keep the best?", text, "Stop here", "Go on", danger=False)
    return button("Stop here, keep the best", "job_finish", job.id, confirm=dialog)


def _trains_in_epochs(job: Job) -> bool:
    method = METHODS.get(str(job.spec.get("method")))
    return method is not None and method.network is not None


def cancel_button(job: Job) -> Block:
    """The button that cancels a job, with a confirmation."""
    text = "Training stops within seconds. What was trained so far is kept as a checkpoint."
    return button(
        "Cancel", "job_cancel", job.id, "danger", confirm("Cancel this job?", text, "Cancel it", "Keep it")
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


PERSON, HISTORY_SHOWN = re.compile(r"[UW][A-Z0-9]{6,}"), 20


def history_lines(history: Sequence[Event]) -> list[str]:
    """Who did what and why, each step once; a process of ours is named without its id, phases are left out."""
    lines = []
    for event in history:
        who = f"<@{event.who}>" if PERSON.fullmatch(event.who) else escape(event.who.partition(":")[0])
        why = f" — {escape(one_line(event.why, 200))}" if event.why else ""
        lines += [f"• {who}: {escape(event.what)}{why}"] if event.what != "phase" else []
    return list(dict.fromkeys(lines))[-HISTORY_SHOWN:]
