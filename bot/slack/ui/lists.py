"""Lists and panels: jobs, datasets, workers, budget, index. Pure builders."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bot.slack.ui.blocks import Block, actions, button, context, section
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.job_card import duration, job_text, recipe, status_line
from bot.slack.ui.verdict_card import meter
from finetune.data.card import Card, care_lines
from finetune.pricing import money
from finetune.reports import outcome, read_report
from worker.jobs.records import Job
from worker.ledger.budgets import Month

JOBS_SHOWN = 8
DATASETS_SHOWN = 10


def job_list(jobs: Sequence[Job], title: str, now: float) -> list[Block]:
    """One line per job, each with a button that opens it."""
    if not jobs:
        return [section(f"*{title}*\nNone yet. `/finetune` starts one.")]
    blocks = [section(f"*{title}*")]
    for job in jobs:
        what = escape(one_line(job.dataset, 60))
        verdict = escape(one_line(outcome(read_report(job.report)), 80))
        line = f"{status_line(job, now)}{f': {verdict}' if verdict else ''}\n*{what}*  ·  {recipe(job)}  ·  {escape(one_line(job.by_name, 40))}  ·  `{job.id}`"
        blocks.append(section(line, button("Open", "job_details", job.id)))
    return blocks


def seen_by(scopes: Collection[str], *, here: bool = True) -> str:
    """Who may use a dataset or a document; with `here` False, as in Home, its channels are named (mrkdwn)."""
    if "workspace" in scopes:
        return "everyone"
    places = sorted(scope.removeprefix("channel:") for scope in scopes)
    channels = [place for place in places if not place.startswith("D")]
    if places and not channels:
        return "direct messages"
    return "this channel" if here else ", ".join(f"<#{channel}>" for channel in channels)


def dataset_list(
    cards: Sequence[Card], removable: frozenset[str], title: str, *, here: bool = True
) -> list[Block]:
    """One line per dataset; those in `removable` have a Remove button with a confirmation; `here` as in `seen_by`."""
    if not cards:
        return [section(f"*{title}*\nNone yet. `/datasets add` adds one.")]
    blocks = [section(f"*{title}*")]
    for card in cards[:DATASETS_SHOWN]:
        where = seen_by(card.scopes, here=here)
        queues = f"  ·  {len(card.classes)} queues" if card.classes else ""
        line = f"*{escape(card.name)}*  ·  {card.rows:,} tickets{queues}  ·  {where}  ·  v{card.version}"
        if card.rejected or card.repaired:
            line += f"\n{_left_out(card):,} rows left out, {card.repaired:,} repaired"
        remove = button("Remove", "dataset_remove", card.name, "danger", _remove_question(card))
        blocks.append(section(line, remove if card.name in removable else None))
    if len(cards) > DATASETS_SHOWN:
        blocks.append(context(f"and {len(cards) - DATASETS_SHOWN} more"))
    return blocks


def _left_out(card: Card) -> int:
    """The rows of the file that are not in the dataset, copies among them, as the dataset's card counts them."""
    return sum(card.intake["left_out"].values()) if card.intake.get("left_out") else card.rejected


def queue_line(waiting: int, up: bool) -> str:
    """The line on waiting jobs, or on Redis being down."""
    return f"🟢 Queue: {waiting} waiting" if up else "🔴 Queue: Redis is away; jobs are kept until it is back"


def worker_line(workers: Sequence[Mapping[str, Any]], now: float) -> str:
    """The line on live workers."""
    if not workers:
        return "🟠 Workers: none seen. Start one with `trainwise worker`."
    names = ", ".join(escape(one_line(str(w.get("name", "?")), 40)) for w in workers[:5])
    ages = [now - float(w["seen_at"]) for w in workers if isinstance(w.get("seen_at"), int | float)]
    last_sign = f", last sign {duration(min(ages))} ago" if ages else ""
    return f"🟢 Workers: {len(workers)} ({names}{last_sign})"


def index_line(stats: Mapping[str, Any] | None, newest: str = "") -> str:
    """The line on the index: size and last change; `stats` is None when the index cannot be read."""
    if stats is None:
        return "🔴 Index: cannot be read. Run `trainwise doctor`."
    documents, chunks = stats.get("documents", "?"), stats.get("chunks", "?")
    change = f", last change {newest[:10]}" if newest else ""
    return f"🟢 Index: {documents} documents, {chunks} passages{change}"


def feature_list(lines: Sequence[str]) -> list[Block]:
    """The list of features, one line each; [] without any."""
    return [section("*What I can do*\n" + "\n".join(f"• {line}" for line in lines))] if lines else []


def jobs_message(jobs: Sequence[Job], title: str, now: float) -> list[Block]:
    """The answer of `/jobs`."""
    blocks = job_list(jobs, title, now)
    hint = "`/jobs mine`, `/jobs running`, `/jobs done`, `/jobs JOB`, `/jobs cancel JOB`, `/jobs retry JOB`, `/jobs notify`"
    return [*blocks, context(hint)]


def jobs_text(jobs: Sequence[Job]) -> str:
    """The list in plain lines, for notifications."""
    return "\n".join(job_text(job) for job in jobs) or "No jobs."


def _remove_question(card: Card) -> Block:
    from bot.slack.ui.blocks import confirm

    text = (
        f"Nobody sees any version of {card.name} from then on. It can be brought back for a day, then its tickets are "
        "erased. Models trained on it keep what they saw."
    )
    return confirm("Remove this dataset?", text, "Remove", "Keep it")


CLASSES_SHOWN = 15
NOTE_SHOWN, NOTES_A_BLOCK = 500, 5  # a section of Slack holds 3,000 characters


def dataset_card(card: Card) -> list[Block]:
    """A dataset's card: rows, queues with counts, cleaning, origin and licence."""
    where = seen_by(card.scopes)
    head = f"*{escape(card.name)}*  v{card.version}  ·  {card.rows:,} {card.kind} tickets  ·  for {where}"
    blocks = [section(head)]
    if card.classes:
        blocks.append(section("*Queues*\n" + _queues(card)))
    notes = [f"• {escape(one_line(note, NOTE_SHOWN))}" for note in care_lines(card)]
    for at in range(0, len(notes), NOTES_A_BLOCK):
        title = "" if at else "*What was done*\n"
        blocks.append(section(title + "\n".join(notes[at : at + NOTES_A_BLOCK])))
    blocks.append(context("  ·  ".join(_origin(card))))
    return [*blocks, actions(_next_buttons(card), block_id="dataset_next")]


def _next_buttons(card: Card) -> list[Block]:
    """What comes after tickets were added: they are measured first where they have queues."""
    measure = [button("Measure it", "measure_tickets", card.name, "primary")] if card.kind == "triage" else []
    return [
        *measure,
        button("Fine-tune", "finetune_tickets", card.name),
        button("Repair", "dataset_repair", card.name),
    ]


def _queues(card: Card) -> str:
    most = max(count for _, count in card.classes)
    lines = [
        f"{meter(max(0.1, count / most), 10)}  {escape(one_line(name, 60))}  {count:,}"
        for name, count in card.classes[:CLASSES_SHOWN]
    ]
    more = len(card.classes) - CLASSES_SHOWN
    return "\n".join([*lines, f"and {more} more"] if more > 0 else lines)


def _origin(card: Card) -> list[str]:
    source = f"from {escape(one_line(card.source, 80))}" if card.source else ""
    date = f"added {escape(card.added_at[:10])}" if card.added_at else ""
    licence = f"right to use: {escape(one_line(card.licence, 160))}"
    return [part for part in (source, date, licence, f"`{card.digest[:12]}`") if part]


def budget_line(month: Month) -> str:
    """The line on the month's budget: spent, reserved, left."""
    reserve = f", {money(month.reserved_usd)} set aside for running jobs" if month.reserved_usd else ""
    of = f" of {money(month.limit)}" if month.limit is not None else ""
    return f"*Budget this month*  {money(month.spent_usd)}{of} spent{reserve}"
