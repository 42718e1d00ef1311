"""Builds the page of a dataset: its card, all measurements and runs on its rows, the best one, and the verdict. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from bot.slack.ui.blocks import Block, button, context, divider, section
from bot.slack.ui.escape import escape, one_line
from bot.slack.ui.report import interval
from finetune.measurement.forecast_log import Pair
from finetune.pricing import money
from finetune.reports.comparison import Comparison, Disagreement
from finetune.reports.history import DatasetHistory, HistoryLine

LINES_SHOWN, FORECASTS_SHOWN, DISAGREEMENTS_SHOWN = 12, 4, 5


def dataset_page(
    card: Sequence[Block], history: DatasetHistory, forecasts: Sequence[Pair], cuts: Sequence[str] = ()
) -> list[Block]:
    """The card's blocks, the largest cuts of the cleaning, and the results on these rows."""
    blocks = [*card]
    if cuts:
        lines = "\n".join(f"✂️ {escape(one_line(line, 240))}" for line in cuts)
        blocks.append(section(f"*The largest cuts of the cleaning, redacted*\n{lines}"))
    blocks += [divider(), section(f"*Verdict now*\n{escape(one_line(history.verdict, 1500))}")]
    blocks += [
        section(history_text(line), button("Open", "job_details", line.job))
        for line in history.lines[:LINES_SHOWN]
    ]
    if more := len(history.lines) - LINES_SHOWN:
        blocks += [context(f"and {more} more")] if more > 0 else []
    if len({line.job for line in history.lines}) > 1:
        blocks.append(context("Two runs side by side: `/datasets compare NAME JOB JOB`"))
    if len(history.curve) > 1:
        blocks.append(context(f"Learning curve of the cheap method: {curve_text(history)}"))
    blocks += [context(f"🔭 {forecast_text(pair)}") for pair in forecasts[:FORECASTS_SHOWN]]
    return blocks


def comparison_page(comparison: Comparison, jobs: tuple[str, str], texts: Mapping[str, str]) -> list[Block]:
    """The comparison of two runs: counts, and the tickets that only one gets right. Private, because it quotes tickets."""
    first, second = (escape(one_line(job, 40)) for job in jobs)
    blocks = [section(f"*`{first}` beside `{second}`*\n{escape(comparison.sentence)}")]
    parts = (
        (f"Only `{first}` is right", comparison.only_first),
        (f"Only `{second}` is right", comparison.only_second),
    )
    for title, rows in (*parts, ("Both are wrong, each in its own way", comparison.both_wrong)):
        if rows:
            lines = [_disagreement(row, texts) for row in rows[:DISAGREEMENTS_SHOWN]]
            more = [f"and {len(rows) - len(lines):,} more"] if len(rows) > len(lines) else []
            blocks.append(section(f"*{title}*\n" + "\n".join([*lines, *more])))
    return blocks


def _disagreement(row: Disagreement, texts: Mapping[str, str]) -> str:
    truth, first, second = (
        escape(one_line(name or "no answer", 40)) for name in (row.truth, row.first, row.second)
    )
    return f"• “{escape(one_line(texts.get(row.id, row.id), 140))}” is {truth}: {first} / {second}"


def history_text(line: HistoryLine) -> str:
    """The line of one measured system: name, score, gain, price, date and person."""
    head = f"{'🏆 ' if line.best else ''}*{escape(one_line(line.name, 80))}*"
    parts = [interval(line.score)]
    if line.gain_points is not None:
        parts.append(f"{line.gain_points:+.1f} points against the best cheap method")
    parts += [f"base {escape(one_line(line.base_model, 60))}"] if line.base_model else []
    parts += [money(line.usd)] if line.usd else []
    when = f"{datetime.fromtimestamp(line.ended_at, UTC):%Y-%m-%d}"
    return f"{head}\n{'  ·  '.join(parts)}\n{when}, {escape(one_line(line.by, 40))}, `{line.job}`"


def curve_text(history: DatasetHistory) -> str:
    """The measured learning curve as text: `44 tickets 51.0%, ...`."""
    return ", ".join(f"{rows:,} tickets {100 * score:.1f}%" for rows, score in history.curve)


def forecast_text(pair: Pair) -> str:
    """The line of a forecast and its outcome."""
    entry = pair.entry
    inside = "inside" if pair.in_band else "outside"
    return (
        f"Measurement {entry.job} forecast {100 * entry.value:.1f}% at {entry.rows:,} tickets, job {pair.run} came to "
        f"{100 * pair.outcome:.1f}%: {inside} the 90% band."
    )
