"""A blind comparison: the order is shuffled and hidden, one vote each, the result is by ticket and survives a restart."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bot.slack.ui.limits import texts_of, validate_message
from bot.slack.ui.model_trials import summary_message, summary_text, ticket_message
from tests.bot.slack.test_job_card import NASTY, job
from worker.errors import WorkerError
from worker.jobs.records import JobRequest, Post
from worker.jobs.states import State
from worker.ledger import comparisons
from worker.ledger.comparisons import Tally, tuned_first
from worker.ledger.ledger import Ledger

PAIR = {"ticket": "where is it?", "tuned": "on its way", "baseline": "call us"}
PAIRS = {"tuned": "Fully tuned", "baseline": "Nearest past answer", "rows": [PAIR] * 12}


def open_comparison(folder: Path, rows: int = 4) -> tuple[Ledger, str]:
    """A ledger with one job under comparison."""
    ledger = Ledger(str(folder / "l.db"))
    job = ledger.submit(JobRequest("finetune", {}, "d", "U1", "ravi", "T1", "C1", "1.1", "k"))
    assert comparisons.start(ledger.engine, job.id, "U2", f"{job.id}:7", rows, 1.0)
    return ledger, job.id


def test_a_seed_shuffles_the_order_of_the_replies() -> None:
    """About half of the rows have each order; the same seed gives the same order, another seed another one."""
    order = [tuned_first("a:7", row) for row in range(200)]
    assert 70 < sum(order) < 130
    assert order == [tuned_first("a:7", row) for row in range(200)]
    assert order != [tuned_first("a:8", row) for row in range(200)]


def test_a_ticket_names_no_system_and_keeps_its_order() -> None:
    """The message holds both replies in the row's order and nothing that tells whose they are."""
    value = job(state=State.SUCCEEDED, report={"kind": "finetune", "pairs": PAIRS})
    for row in range(12):
        text = "\n".join(texts_of(ticket_message(value, row, "s", 3)[1]))
        assert "tuned" not in text.lower()
        assert "nearest" not in text.lower()
        assert (text.index("on its way") < text.index("call us")) == tuned_first("s", row)


def test_each_person_votes_once_and_not_after_the_end(tmp_path: Path) -> None:
    """A second vote changes nothing, also after a restart; closing twice has the effect of closing once."""
    ledger, job_id = open_comparison(tmp_path)
    assert comparisons.vote(ledger.engine, job_id, 0, "U1", "tuned", 2.0)
    assert not comparisons.vote(ledger.engine, job_id, 0, "U1", "baseline", 3.0)
    ledger.close()
    ledger = Ledger(str(tmp_path / "l.db"))
    assert not comparisons.vote(ledger.engine, job_id, 0, "U1", "baseline", 4.0)
    assert comparisons.vote(ledger.engine, job_id, 0, "U2", "equal", 4.0)
    tally = comparisons.tally(ledger.engine, job_id)
    assert tally == Tally({0: Counter(tuned=1, equal=1)}, 2)
    assert comparisons.close(ledger.engine, job_id, "U2", 5.0)
    assert not comparisons.close(ledger.engine, job_id, "U2", 6.0)
    with pytest.raises(WorkerError, match="closed"):
        comparisons.vote(ledger.engine, job_id, 1, "U1", "tuned", 7.0)


def test_a_comparison_puts_each_message_into_the_outbox_once(tmp_path: Path) -> None:
    """Started twice it posts once: an introduction, one message per ticket, and at the end one summary."""
    ledger, job_id = open_comparison(tmp_path)
    assert not comparisons.start(ledger.engine, job_id, "U2", "other", 4, 2.0)
    comparisons.close(ledger.engine, job_id, "U2", 3.0)
    kinds = Counter(post.kind for post in ledger.due_posts(10.0))
    assert kinds == {"compare_intro": 1, "compare_ticket": 4, "compare_summary": 1}


@pytest.mark.parametrize(("row", "choice"), [(4, "tuned"), (-1, "tuned"), (0, "else")])
def test_a_vote_on_nothing_is_refused(tmp_path: Path, row: int, choice: str) -> None:
    """Rows and choices come from a button, which is not trusted."""
    ledger, job_id = open_comparison(tmp_path)
    with pytest.raises(WorkerError):
        comparisons.vote(ledger.engine, job_id, row, "U1", choice, 2.0)


@pytest.mark.parametrize(
    ("by_row", "part"),
    [
        ({}, "Nobody voted"),
        ({0: {"equal": 2}}, "equally good here"),
        ({0: {"tuned": 1}}, "won 1 of 1"),
        ({0: {"tuned": 5, "baseline": 1}, 1: {"baseline": 1}}, "won 1 of 2"),
        ({row: {"tuned": 1} for row in range(9)}, "People prefer the tuned"),
        ({row: {"baseline": 3} for row in range(9)}, "without training"),
    ],
)
def test_the_result_counts_tickets_and_says_when_they_are_too_few(by_row: Any, part: str) -> None:
    """Five votes on one ticket are one ticket; one ticket decides nothing."""
    tally = Tally({row: Counter(count) for row, count in by_row.items()}, 2)
    text = summary_text(tally, 10, "Tuned", "Nearest")
    assert part in text
    if len(by_row) in (1, 2) and "equal" not in by_row.get(0, {}):
        assert "too few to say" in text


def test_whatever_people_and_models_wrote_fits_and_pings_nobody() -> None:
    """Escaped and cut within Slack's limits, in the ticket and in the summary."""
    rows = [dict.fromkeys(("ticket", "tuned", "baseline"), NASTY * 3)]
    value = job(state=State.SUCCEEDED, report={"pairs": {"tuned": NASTY, "baseline": NASTY, "rows": rows}})
    body = {"rows": 1, "people": 1, "by_row": {"0": {"tuned": 1}}}
    post = Post(1, value.id, "k", "compare_summary", "C1", None, body, 0)
    for _, blocks in (ticket_message(value, 0, "s", 1), summary_message(post, value)):
        assert "<!channel>" not in "\n".join(texts_of(validate_message(blocks)))
