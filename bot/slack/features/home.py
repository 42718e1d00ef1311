"""App Home and the lists: jobs, budget, queue, datasets, documents, workers. The builders are pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.money import budget_line, this_month
from bot.slack.services import Services
from bot.slack.ui.blocks import Block, actions, button, context, divider, header, section
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.job_card import duration, job_text, recipe, status_line
from bot.slack.users import Person
from finetune.data.card import Card
from worker.jobs.records import Job
from worker.jobs.states import END_STATES, State

JOBS_SHOWN = 8
DATASETS_SHOWN = 10


def home_view(services: Services, person: Person, team: str) -> Block:
    """The home tab of one person: their jobs (all jobs for admins) and the state of what serves them."""
    everything = services.policy.is_admin(person)
    jobs = services.ledger.jobs(by=None if everything else person.id, limit=JOBS_SHOWN)
    cards = services.datasets.list(None if everything else frozenset({"workspace"}))
    health = health_lines(services)
    blocks = [
        header("Should we train a model?"),
        section(
            "Ask me in a channel or right here in *Messages*. I answer with sources, and measure when asked."
        ),
        actions(
            [
                button("Fine-tune", "home_finetune", style="primary"),
                button("Add tickets", "home_add_dataset"),
                button("Refresh", "home_refresh"),
            ],
            block_id="home",
        ),
        divider(),
        *job_list(jobs, "All jobs" if everything else "Your jobs"),
        divider(),
        section(budget_line(this_month(services, team))),
        *dataset_list(cards, frozenset(), "Datasets for everyone" if not everything else "Datasets"),
        divider(),
        section("*Health*\n" + "\n".join(health)),
    ]
    return {"type": "home", "blocks": blocks}


def job_list(jobs: Sequence[Job], title: str) -> list[Block]:
    """Jobs as short lines, each with a button that opens it."""
    if not jobs:
        return [section(f"*{title}*\nNone yet. `/finetune` starts one.")]
    blocks = [section(f"*{title}*")]
    for job in jobs:
        what = escape(one_line(job.dataset, 60))
        line = f"{status_line(job)}\n*{what}*  ·  {recipe(job)}  ·  {escape(one_line(job.by_name, 40))}  ·  `{job.id}`"
        blocks.append(section(line, button("Open", "job_details", job.id)))
    return blocks


def dataset_list(cards: Sequence[Card], removable: frozenset[str], title: str) -> list[Block]:
    """Datasets as short lines; those in `removable` carry a Remove button with a question."""
    if not cards:
        return [section(f"*{title}*\nNone yet. `/datasets add` adds one.")]
    blocks = [section(f"*{title}*")]
    for card in cards[:DATASETS_SHOWN]:
        where = "everyone" if "workspace" in card.scopes else "this channel"
        queues = f"  ·  {len(card.classes)} queues" if card.classes else ""
        line = f"*{escape(card.name)}*  ·  {card.rows:,} tickets{queues}  ·  {where}  ·  v{card.version}"
        if card.rejected or card.repaired:
            line += f"\n{card.rejected:,} rows left out, {card.repaired:,} repaired"
        remove = button("Remove", "dataset_remove", card.name, "danger", _remove_question(card))
        blocks.append(section(line, remove if card.name in removable else None))
    if len(cards) > DATASETS_SHOWN:
        blocks.append(context(f"and {len(cards) - DATASETS_SHOWN} more"))
    return blocks


def health_lines(services: Services) -> list[str]:
    """Queue, workers and index, one line each, in words."""
    waiting = len(services.ledger.jobs(states=[State.QUEUED], limit=500))
    up = services.queue_up()
    queue = (
        f"🟢 Queue: {waiting} waiting" if up else "🔴 Queue: Redis is away; jobs are kept until it is back"
    )
    return [queue, worker_line(services.workers(), services.clock()), index_line(services)]


def worker_line(workers: Sequence[Mapping[str, Any]], now: float) -> str:
    """How many workers show signs of life."""
    if not workers:
        return "🟠 Workers: none seen. Start one with `trainwise worker`."
    names = ", ".join(escape(one_line(str(w.get("name", "?")), 40)) for w in workers[:5])
    ages = [now - float(w["seen_at"]) for w in workers if isinstance(w.get("seen_at"), int | float)]
    seen = f", last sign {duration(min(ages))} ago" if ages else ""
    return f"🟢 Workers: {len(workers)} ({names}{seen})"


def index_line(services: Services) -> str:
    """How much the index holds, and when a document last changed in it."""
    try:
        stats = services.index.stats()
        newest = max((str(document.updated_at) for document in services.index.documents()), default="")
    except Exception:  # the home tab shows health: a broken index is a line on it, not a blank tab
        return "🔴 Index: cannot be read. Run `trainwise doctor`."
    known = stats if isinstance(stats, Mapping) else vars(stats)
    documents, chunks = known.get("documents", "?"), known.get("chunks", "?")
    changed = f", last change {newest[:10]}" if newest else ""
    return f"🟢 Index: {documents} documents, {chunks} passages{changed}"


def jobs_message(jobs: Sequence[Job], title: str) -> list[Block]:
    """The answer of `/jobs`."""
    blocks = job_list(jobs, title)
    hint = "`/jobs mine`, `/jobs running`, `/jobs done`, `/jobs JOB`, `/jobs cancel JOB`, `/jobs retry JOB`, `/jobs notify`"
    return [*blocks, context(hint)]


def jobs_text(jobs: Sequence[Job]) -> str:
    """The list in plain lines, for notifications."""
    return "\n".join(job_text(job) for job in jobs) or "No jobs."


def ended(job: Job) -> bool:
    return job.state in END_STATES


def _remove_question(card: Card) -> Block:
    from bot.slack.ui.blocks import confirm

    text = f"Every version of {card.name} is erased. Models trained on it keep what they saw."
    return confirm("Remove this dataset?", text, "Remove", "Keep it")
