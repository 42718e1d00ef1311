"""The dataset's page: two runs side by side stay within limits, ping nobody, and stand one button from a report."""

from __future__ import annotations

from bot.slack.ui.dataset_page import comparison_page
from bot.slack.ui.limits import texts_of, validate_message
from bot.slack.ui.report import final_report
from finetune.reports import FinetuneReport
from finetune.reports.comparison import compare_runs, held_out_answers
from tests.bot.slack.test_job_card import NASTY, REPORT, actions_of, job
from worker.jobs.states import State


def test_two_runs_stand_side_by_side() -> None:
    """Counts first, then the tickets that only one gets right, quoted, with both answers."""
    names, ids = ("billing", NASTY), [f"t{at}" for at in range(40)]
    reports = [
        FinetuneReport(answers=held_out_answers(ids, [0] * 40, labels, names))
        for labels in ([0] * 40, [0] * 20 + [1] * 20)
    ]
    page = comparison_page(compare_runs(*reports), ("job1", "job2"), dict.fromkeys(ids, NASTY))
    text = "\n".join(texts_of(validate_message(page)))
    assert "both are right on 20, only the first on 20" in text
    assert "Only `job1` is right" in text
    assert "and 15 more" in text
    assert "<!channel>" not in text


def test_a_report_leads_to_all_runs_on_its_tickets() -> None:
    """One button from every report."""
    _, blocks = final_report(job(state=State.SUCCEEDED, report=REPORT))
    assert "dataset_runs" in actions_of(blocks)
