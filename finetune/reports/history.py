"""The history of a dataset: all measurements and runs in one table, and the current verdict. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from finetune.reports import FinetuneReport, MeasurementReport, read_report
from finetune.reports.measurement import CurvePoint
from finetune.reports.parts import Score, SystemLine
from finetune.reports.words import RIGHT, of_100


@dataclass(frozen=True)
class FinishedJob:
    """A job that ended with a report: its id, who asked, when it ended (seconds since 1970)."""

    id: str
    by: str
    ended_at: float
    report: Mapping[str, Any]


@dataclass(frozen=True)
class HistoryLine:
    """One measured system: its score, its gain in points over the best cheap method of the same report, its cost.

    `best` marks the highest score of the table. `usd` is None where a report does not tell it.
    """

    job: str
    by: str
    ended_at: float
    name: str
    base_model: str
    score: Score
    gain_points: float | None
    usd: float | None
    is_trained: bool
    best: bool = False


@dataclass(frozen=True)
class DatasetHistory:
    """The table, newest first, the curve (rows, score) of the newest measurement, and what all of it says now."""

    lines: tuple[HistoryLine, ...]
    verdict: str
    curve: tuple[tuple[int, float], ...] = ()

    @property
    def best(self) -> HistoryLine | None:
        return next((line for line in self.lines if line.best), None)


def history_of(jobs: Iterable[FinishedJob], digest: str) -> DatasetHistory:
    """What these jobs show of the rows with this digest; jobs on other rows are passed over."""
    reports = []
    for job in sorted(jobs, key=lambda one: one.ended_at, reverse=True):
        report = read_report(job.report)
        if isinstance(report, FinetuneReport | MeasurementReport) and report.dataset.digest == digest:
            reports.append((job, report))
    lines = [line for job, report in reports for line in _lines(job, report)]
    top = max((line.score.value for line in lines), default=None)
    history = [replace(line, best=line.score.value == top) for line in lines]
    newest = next((report for _, report in reports if isinstance(report, MeasurementReport)), None)
    return DatasetHistory(tuple(history), _verdict(reports), _curve(newest.curve if newest else ()))


def _lines(job: FinishedJob, report: FinetuneReport | MeasurementReport) -> list[HistoryLine]:
    """Of a fine-tune the trained model; of a measurement what did best without one, and its pilot."""
    if isinstance(report, FinetuneReport):
        finetune = report.tuned
        points = report.difference.points if report.difference else None
        base = str(report.spec.get("base_model", ""))
        return [_line(job, finetune, base, points, report.spent.usd, True)] if finetune else []
    cheap = report.best
    lines = [_line(job, cheap, "", None, None, False)] if cheap else []
    for line in report.ladder:
        if line.tuned and not line.job:  # with a job it stands in that job's own line
            gain = 100 * (_value(line) - _value(cheap)) if cheap else None
            lines.append(_line(job, line, "minilm", gain, None, False))
    return [line for line in lines if line is not None]


def _line(
    job: FinishedJob,
    system: SystemLine,
    base: str,
    points: float | None,
    usd: float | None,
    is_finetune: bool,
) -> HistoryLine:
    score = _score(system)
    return HistoryLine(job.id, job.by, job.ended_at, system.name, base, score, points, usd, is_finetune)


def _score(system: SystemLine) -> Score:
    return system.overall("accuracy") or system.overall("chrf") or Score(0.0)


def _value(system: SystemLine) -> float:
    return _score(system).value


def _curve(points: Sequence[CurvePoint]) -> tuple[tuple[int, float], ...]:
    """Mean score by rows of a measurement's learning curve."""
    scores: dict[int, list[float]] = {}
    for point in points:
        scores.setdefault(point.rows, []).append(point.score)
    return tuple((rows, sum(values) / len(values)) for rows, values in sorted(scores.items()))


def target_line(report: FinetuneReport, jobs: Iterable[FinishedJob]) -> str:
    """Whether this model meets the target that the newest measurement of its rows among `jobs` was asked about; "" without one."""
    for job in sorted(jobs, key=lambda one: one.ended_at, reverse=True):
        measurement = read_report(job.report)
        if isinstance(measurement, MeasurementReport) and measurement.dataset.digest == report.dataset.digest:
            return _beside_target(report, job.id, measurement)
    return ""


def _beside_target(report: FinetuneReport, job: str, measurement: MeasurementReport) -> str:
    score = report.tuned.overall(measurement.metric) if report.tuned else None
    if score is None or not measurement.target:
        return ""
    ours, target = of_100(score.value, target=measurement.target)
    what = f"The target of measurement {job}, {target} of 100, is"
    if score.value < measurement.target:
        return f"{what} missed by this model: {ours}."
    without = " It was met without it too." if measurement.decision == "enough" else ""
    return f"{what} met by this model: {ours}.{without}"


def _verdict(
    reports: Sequence[tuple[FinishedJob, FinetuneReport | MeasurementReport]],
) -> str:
    """The newest measurement's, unless a model that was trained since meets its target or beats what it expected."""
    if not reports:
        return "Nothing was measured or trained on these rows yet."
    measurement = next(
        ((job, report) for job, report in reports if isinstance(report, MeasurementReport)), None
    )
    if measurement is None:
        return reports[0][1].headline
    job, report = measurement
    since = [
        (score.value, trained.id)
        for trained, other in reports
        if isinstance(other, FinetuneReport) and other.tuned and trained.ended_at > job.ended_at
        if (score := other.tuned.overall(report.metric)) is not None
    ]
    if not since or report.decision == "enough":
        return report.headline
    best, model = max(since)
    ours, target = of_100(best, target=report.target)
    if best >= report.target:
        return (
            f"You have it: with the model of job {model} {ours} {RIGHT[report.metric]}, and the target of measurement "
            f"{job.id} is {target}."
        )
    return (
        f"The model of job {model}, trained since measurement {job.id}, gets {ours} of 100 where the target is "
        f"{target}. Measure again: it counts what this model showed."
    )
