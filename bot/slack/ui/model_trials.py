"""Builds the forms and messages of model trials and of blind comparisons. Pure."""

from __future__ import annotations

from typing import Any

from bot.slack.ui.blocks import (
    Block,
    actions,
    button,
    confirm,
    context,
    field,
    modal,
    mrkdwn,
    section,
    text_input,
)
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.forms import FormMetadata
from bot.slack.ui.job_card import recipe
from bot.slack.ui.limits import split_text, validate_message
from finetune.evaluation.statistics import wilson
from finetune.reports import TrialReport, read_report
from finetune.reports.trial import TrialSide
from worker.jobs.records import Job, Post
from worker.jobs.states import State
from worker.kinds import kind_of
from worker.ledger.comparisons import Tally, tally_of, tuned_first

TICKETS = 10
REPLY_CHARS = 900  # characters of a ticket, and of each reply


def can_compare(job: Job) -> bool:
    """Whether the job's report carries two systems' replies to the same tickets."""
    return bool(_rows(job))


def intro_message(post: Post, job: Job) -> tuple[str, list[Block]]:
    """The introduction of a comparison, with the button that closes it."""
    text = (
        f"🙈 *Which reply is better?* {post.body.get('rows')} tickets follow, each answered by two systems in "
        "shuffled order. Choose without knowing whose it is; one vote each and ticket."
    )
    dialog = confirm("Close and count?", "Nobody can vote any more.", "Close", "Not yet", danger=False)
    closing = button("Close and count", "compare_close", job.id, confirm=dialog)
    return text, [section(text), actions([closing], block_id="compare")]


def post_message(post: Post, job: Job) -> tuple[str, list[Block]]:
    """One ticket of a comparison, as first posted."""
    return ticket_message(job, int(post.body["row"]), str(post.body["seed"]), 0)


def ticket_message(job: Job, row: int, seed: str, vote_count: int) -> tuple[str, list[Block]]:
    """The ticket with both replies in this row's order, and three buttons."""
    pair = _rows(job)[row]
    sides = ("tuned", "baseline") if tuned_first(seed, row) else ("baseline", "tuned")
    text = f"Ticket {row + 1}: which reply is better?"
    quoted = "\n".join(
        f"> {line}" for line in escape(str(pair.get("ticket", ""))[-REPLY_CHARS:]).splitlines()
    )
    blocks = [section(split_text(f"*Ticket {row + 1}*\n{quoted}")[0])]
    for number, side in enumerate(sides, 1):
        reply = escape(str(pair.get(side, "")).strip()[:REPLY_CHARS]) or "_(nothing)_"
        blocks.append(section(split_text(f"*Reply {number}*\n{reply}")[0]))
    value = f"{job.id}:{row}"
    labels = {"1": "Reply 1", "2": "Reply 2", "0": "Equally good"}
    row_of = [button(label, f"compare_vote:{place}", value) for place, label in labels.items()]
    blocks.append(actions(row_of, block_id="vote"))
    if vote_count:
        blocks.append(context(f"{vote_count} vote{'s' if vote_count != 1 else ''} so far"))
    return text, validate_message(blocks, text)


def summary_message(post: Post, job: Job) -> tuple[str, list[Block]]:
    """The result of a comparison with the systems' names."""
    tally = tally_of(post.body["by_row"], int(post.body["people"]))
    text = summary_text(tally, int(post.body["rows"]), _name(job, "tuned"), _name(job, "baseline"))
    lines = [
        f"Ticket {row + 1}: tuned {count['tuned']}, baseline {count['baseline']}, equal {count['equal']}"
        for row, count in sorted(tally.by_row.items())
    ]
    return text, [section(text), *([context("\n".join(lines))] if lines else [])]


def summary_text(tally: Tally, rows: int, tuned_votes: str, baseline: str) -> str:
    """The result as text; it counts tickets, since several votes on one ticket are not independent."""
    ours, theirs = tally.wins("tuned"), tally.wins("baseline")
    total = sum(sum(count.values()) for count in tally.by_row.values())
    if not total:
        return "🙈 The blind comparison is closed. Nobody voted, so it says nothing."
    votes = f"{total} votes of {tally.people} {'people' if tally.people != 1 else 'person'}"
    head = f"🙈 *Blind comparison closed:* {votes} on {len(tally.by_row)} of {rows} tickets."
    if not ours + theirs:
        return f"{head} No ticket has a winner: {tuned_votes} and {baseline} are equally good here."
    share = wilson(ours, ours + theirs)
    result = (
        f"{head} {tuned_votes} won {ours} of {ours + theirs} decided tickets against {baseline} "
        f"({share.value:.0%}, 95% interval {100 * share.low:.0f} to {100 * share.high:.0f})."
    )
    if share.low > 0.5:
        return f"{result} People prefer the tuned replies."
    if share.high < 0.5:
        return f"{result} People prefer the replies without training."
    return f"{result} That is too few to say which is better."


def _rows(job: Job) -> list[dict[str, Any]]:
    pairs = (job.report or {}).get("pairs")
    rows = pairs.get("rows") if isinstance(pairs, dict) else None
    return [row for row in rows or [] if isinstance(row, dict)]


def _name(job: Job, side: str) -> str:
    return escape(one_line(str(((job.report or {}).get("pairs") or {}).get(side, side)), 80))


LONGEST = 2000
SHOWN_CHARS = 1500  # characters of a ticket or an answer
FIELD = 1900  # of a column, escaped


def try_modal(job: Job, metadata: FormMetadata, answers: list[Block] | None = None, text: str = "") -> Block:
    """The form for a ticket, with the answers to the previous ticket above it."""
    about = f"*{kind_of(job.kind).label} on {escape(one_line(job.dataset, 60))}*  `{job.id}`\n{recipe(job)}"
    field_input = text_input(
        "text", text, "My invoice shows the wrong amount", multiline=True, longest=LONGEST
    )
    hint = "Keys, e-mail addresses, phone and card numbers are taken out before it is sent to the worker."
    ask = field("text", "Another ticket" if answers else "A ticket", field_input, hint)
    blocks = [section(about), *(answers or []), ask]
    return modal("try", "Try the model", blocks, "Try it", metadata.pack())


def waiting_modal(job: Job, text: str, workers: list[dict[str, Any]]) -> Block:
    """The modal that is shown until the answer comes."""
    if not workers:
        state = "🟠 No worker is up. The answer comes as soon as one is (`trainwise worker`)."
    elif all(worker.get("running") for worker in workers):
        state = "⏳ Every worker is busy; this is next."
    else:
        state = "⏳ The models are being loaded: some seconds."
    later = "You may close this window: then the answer comes to your messages with me."
    return modal("try", "Try the model", [section(_ticket(text)), section(state), context(later)])


def ended_modal(job: Job) -> Block:
    """The form with both answers, or with the reason why there are none."""
    spec = job.spec
    metadata = FormMetadata(str(spec.get("from")), None, str(spec.get("model")))
    about = f"*Model {escape(str(spec.get('model')))} on {escape(one_line(job.dataset, 60))}*"
    field_input = text_input("text", "", "Another ticket", multiline=True, longest=LONGEST)
    blocks = [section(about), *outcome(job), field("text", "Another ticket", field_input)]
    return modal("try", "Try the model", blocks, "Try it", metadata.pack())


def outcome(job: Job) -> list[Block]:
    """The ticket with both answers side by side, or a sentence when the trial failed."""
    ticket = section(_ticket(str(job.spec.get("text", ""))))
    report = read_report(job.report)
    if job.state != State.SUCCEEDED or not isinstance(report, TrialReport) or report.after is None:
        return [ticket, section(f"❌ {escape(one_line(job.error or 'It was cancelled.', 600))}")]
    sides = [("Before", report.before), ("After", report.after)]
    columns = [_side(name, side) for name, side in sides]
    return [ticket, {"type": "section", "fields": [mrkdwn(text) for text in columns]}]


def _side(name: str, side: TrialSide | None) -> str:
    if side is None:
        return f"*{name}*\nNothing could answer before: this model was trained from scratch."
    head = f"*{name}: {escape(one_line(side.name or '?', 80))}*"
    lines = [
        f"{'*' if at == 0 else ''}{escape(one_line(label, 80))}{'*' if at == 0 else ''}  {share:.0%}"
        for at, (label, share) in enumerate(side.ranked)
    ]
    answer = escape((side.answer or "(nothing)")[:SHOWN_CHARS])
    return split_text(f"{head}\n" + ("\n".join(lines) if lines else answer), FIELD)[0]


def _ticket(text: str) -> str:
    quoted = "\n".join(f"> {line}" for line in escape(text[:SHOWN_CHARS]).splitlines() or [""])
    return split_text(quoted)[0]
