"""Builds the outbox's messages (cards, reports, requests for approval), as one plain line when the blocks cannot be built."""

from __future__ import annotations

import logging
from typing import Any

from bot.slack.ui import model_trials
from bot.slack.ui.blocks import Block, actions, context, section
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.job_card import approval_buttons, decision_line, job_card, job_text, price
from bot.slack.ui.limits import validate_message
from bot.slack.ui.report import final_report
from finetune.pricing import money
from worker.jobs.records import Job, Post
from worker.jobs.states import State
from worker.kinds import kind_of

CLOSED_REASONS = {
    "is_archived": "it is archived",
    "not_in_channel": "I am no longer in it",
    "channel_not_found": "I cannot see it any more",
    "external_readers": "people from outside read along there",
}
"""Why a channel takes no messages, by Slack's error code."""
log = logging.getLogger(__name__)


def card_of(job: Job, now: float, redis_down: bool) -> list[Block]:
    """The job's card, or one line when the worker's report breaks the card's builder."""
    try:
        return validate_message(job_card(job, now, redis_down=redis_down))
    except Exception:  # the edge: a worker's report may have any shape
        log.exception("card of %s cannot be built", job.id)
        return validate_message([section(job_text(job))])


def message_of(post: Post, job: Job) -> tuple[str, list[Block]]:
    """The text and blocks of one post; one line of text when its blocks cannot be built."""
    try:
        text, blocks = BUILDERS.get(post.kind, _report)(post, job)
        if why := post.body.get("moved"):
            blocks = [*blocks, context(f"You read this here because {escape(one_line(str(why), 200))}.")]
        return text, validate_message(blocks)
    except Exception:  # the edge: as above
        log.exception("post %s of %s cannot be built", post.kind, job.id)
        text = f"{job_text(job)}. Its report cannot be shown here; `trainwise jobs show {job.id}` has it."
        return text, validate_message([section(text)])


def pictures_of(job: Job, plots: dict[str, bytes]) -> list[dict[str, Any]]:
    """The report's pictures as arguments of files_upload_v2, in the report's order and with its titles."""
    about = {p.get("file"): p for p in (job.report or {}).get("plots") or [] if isinstance(p, dict)}
    return [
        {
            "content": png,
            "filename": name,
            "title": str(about.get(name, {}).get("title", name))[:100],
            "alt_txt": str(about.get(name, {}).get("alt", name))[:900],
        }
        for name, png in sorted(plots.items(), key=lambda plot: [*about, plot[0]].index(plot[0]))
    ]


def _report(post: Post, job: Job) -> tuple[str, list[Block]]:
    return final_report(job)


def _digest(post: Post, job: Job) -> tuple[str, list[Block]]:
    counts = ", ".join(f"{n} {state.replace('_', ' ')}" for state, n in sorted(post.body["counts"].items()))
    total = sum(post.body["counts"].values())
    text = f"📅 Last week here: {total} job{'s' if total != 1 else ''} ended ({escape(counts)}), "
    text += f"{money(post.body['usd'])} spent."
    lines = [
        f"• `{escape(one['id'])}` {escape(one_line(one['dataset'], 40))}: {escape(one_line(one['said'], 200))}"
        for one in post.body["jobs"]
    ]
    off = context("`/jobs notify digest off` stops this weekly message here.")
    return text, [section(text), section("\n".join(lines)), off]


def _request(post: Post, job: Job) -> tuple[str, list[Block]]:
    why = escape(one_line(str(post.body.get("why", "")), 500))
    what = f"{kind_of(job.kind).label.lower()} on *{escape(one_line(job.dataset, 60))}*, {price(job)}"
    text = f"🙋 {escape(job.by_name)} asks for approval of job {job.id}: {why}"
    blocks = [section(f"{text}\n{what}"), actions(approval_buttons(job), block_id="approval")]
    return text, blocks


def approval_end(job: Job) -> tuple[str, list[Block]]:
    """The message that replaces a request for approval after the decision."""
    mark = {True: "✅", False: "🚫"}.get((job.decision or {}).get("approved"), "⌛")  # type: ignore[arg-type]
    how = decision_line(job) or ("withdrawn" if job.state == State.CANCELLED else "no longer waiting")
    text = f"{mark} Job {job.id}, {kind_of(job.kind).label.lower()} on {escape(one_line(job.dataset, 60))}: {how}"
    return text, [section(text)]


BUILDERS = {
    "final_report": _report,
    "approval_request": _request,
    "approval_direct": _request,
    "digest": _digest,
    "compare_intro": model_trials.intro_message,
    "compare_ticket": model_trials.post_message,
    "compare_summary": model_trials.summary_message,
}


def thread_of(post: Post, job: Job, channel: str) -> str | None:
    """The thread for a post in `channel`: the post's own, the job's, or the one of the job's card; None for no thread."""
    asked_in = job.thread_ts if channel == job.channel else None
    return post.thread_ts or asked_in or (job.card_ts if channel == job.card_place else None)
