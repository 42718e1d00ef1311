"""The definition of a job kind: how it runs, and how ledger, queue and Slack treat it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker.runtime.attempt import Work

JobSpec = Mapping[str, Any]
Report = dict[str, Any]
Run = Callable[["Work"], Report]
"""Runs one attempt: returns the report, or raises Stopped, or FinetuneError with words for the person."""

QUOTING_FIELDS = ("examples", "pairs", "plots", "before", "after")


def without_quotes(report: Report) -> Report:
    """The report without ticket quotes and plots."""
    rest = {name: value for name, value in report.items() if name not in QUOTING_FIELDS}
    pairs = [pair for pair in report.get("confused") or [] if isinstance(pair, dict)]
    return rest | {"confused": [{k: v for k, v in pair.items() if k != "example"} for pair in pairs]}


def _keep_spec(spec: JobSpec) -> dict[str, Any]:
    return dict(spec)


def _run_nothing(work: Work) -> Report:
    raise KeyError(f"no kind of job is called {work.envelope.kind}")


def _no_recipe(spec: JobSpec) -> list[str]:
    return []


@dataclass(frozen=True)
class JobKind:
    """One kind of job. `run` is called in the job's own process; it imports heavy libraries itself.

    `recipe` says in a few words what was asked for; `forget_spec` and `forget_report` drop what people wrote
    after the retention time (worker/ledger/retention.py).
    """

    name: str
    label: str
    run: Run = _run_nothing
    recipe: Callable[[JobSpec], list[str]] = _no_recipe
    phases: tuple[tuple[str, float], ...] = ()  # in order, each with its usual share of the time
    uses_llm: bool = False  # gets the language model that is configured on the worker's machine
    at_front: bool = False  # a person waits for it: it skips the queue and the limit per person
    in_lists: bool = True  # appears in job lists and counts as one of a person's unfinished jobs
    has_card: bool = True  # has a card and a report in a channel; else its answer goes to the asker
    over_gpus: bool = False  # may train in one process for each GPU
    leaves_model: bool = False  # its artifacts hold a model that can be tried, compared and exported
    trains_without_test_rows: bool = (
        False  # can train on rows that came without those to hold out (Work.choosing)
    )
    forget_spec: Callable[[JobSpec], dict[str, Any]] = _keep_spec
    forget_report: Callable[[Report], Report] = without_quotes
