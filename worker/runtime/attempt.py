"""Runs one attempt of a job kind in its own folder and reports its outcome."""

from __future__ import annotations

import base64
import errno
import logging
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.errors import FinetuneError, Stopped
from finetune.hosted import FindEndpoint, no_endpoint
from worker.errors import WorkerError
from worker.kinds.job_kind import Run
from worker.logs import scrub
from worker.transport.signing import Envelope

if TYPE_CHECKING:
    from finetune.llm import Llm

PLOTS_LIMIT_BYTES = 512 * 1024

log = logging.getLogger("trainwise.worker")


class RunCrash(WorkerError):
    """The run ended without a result through no fault of its own; it may be tried again."""


@dataclass(frozen=True)
class Work:
    """The input of a kind's `run`: recipe, its own folder, the datasets' URL, and the two callables.

    `llm` is the language model of this machine, for kinds that use one, `find_endpoint` where a hosted model answers.
    `choosing`: the rows came without those to hold out, and the last so many choose; None: they are all there.
    """

    envelope: Envelope
    folder: Path
    datasets_url: str
    emit: Callable[[dict[str, Any]], None]
    should_stop: Callable[[], str | None]
    price_per_hour: float
    prices: Mapping[str, Any]
    llm: Llm | None = None
    find_endpoint: FindEndpoint = no_endpoint
    choosing: int | None = None


def run_attempt(run: Run, work: Work) -> tuple[str, dict[str, Any]]:
    """The run's last event (kind, data): finished with report and plots, stopped, or failed. Never raises."""
    began = time.monotonic()
    try:
        report = run(work)
        if work.should_stop() == "lost":  # another attempt has started; this result would not count
            raise Stopped("lost")
        work.emit({"kind": "finalizing"})
        end = "finished"
        data: dict[str, Any] = {"report": report, "plots": plots_of(report, work.folder)}
    except Stopped as e:
        end, data = "stopped", {"reason": e.reason}
    except FinetuneError as e:
        end, data = "failed", {"error": scrub(str(e)), "retryable": e.retryable}
    except RunCrash as e:
        end, data = "failed", {"error": scrub(str(e)), "retryable": True}
    except Exception as e:
        end, data = "failed", describe_error(e)
    hours = (time.monotonic() - began) / 3600
    usd = hours * work.price_per_hour + api_usd(data.get("report"))
    return end, {**data, "seconds": round(hours * 3600, 3), "usd": round(usd, 6)}


def api_usd(report: Any) -> float:
    """The dollars for a language model's answers in a report."""
    cost = report.get("cost") if isinstance(report, dict) else None
    usd = cost.get("api_usd") if isinstance(cost, dict) else None
    return float(usd) if isinstance(usd, int | float) else 0.0


def prepare_folder(artifacts: Path, envelope: Envelope) -> Path:
    """Creates this attempt's folder as a copy of the newest earlier attempt's (its checkpoints).

    Attempts never share a folder, so one that was given up but still runs cannot damage its successor's.
    """
    home = artifacts / envelope.root
    folder = home / envelope.rq_id
    if folder.exists():
        return folder
    home.mkdir(parents=True, exist_ok=True)
    earlier = [path for path in home.iterdir() if path.is_dir() and not path.name.startswith(".")]
    draft = home / f".{envelope.rq_id}"
    shutil.rmtree(draft, ignore_errors=True)
    if earlier:
        shutil.copytree(max(earlier, key=lambda path: path.stat().st_mtime), draft, symlinks=True)
    else:
        draft.mkdir()
    draft.replace(folder)
    return folder


def drop_earlier(folder: Path) -> None:
    """Removes the folders of earlier attempts."""
    for path in folder.parent.iterdir():
        if path != folder and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def plots_of(report: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """The report's pictures as base64, as many as fit `PLOTS_LIMIT_BYTES`, none from outside `folder`."""
    plots: dict[str, str] = {}
    left = PLOTS_LIMIT_BYTES
    for plot in report.get("plots") or []:
        path = folder / Path(str(plot.get("file", ""))).name
        if path.is_file() and path.stat().st_size <= left:
            left -= path.stat().st_size
            plots[path.name] = base64.b64encode(path.read_bytes()).decode()
    return plots


def within_budget(
    should_stop: Callable[[], str | None], envelope: Envelope, price_per_hour: float
) -> Callable[[], str | None]:
    """`should_stop` that also says "budget" once this and the earlier attempts have spent it."""
    began = time.monotonic()

    def stop_reason() -> str | None:
        cost = envelope.spent_usd + (time.monotonic() - began) / 3600 * price_per_hour
        if envelope.budget_usd is not None and cost > envelope.budget_usd:
            return "budget"
        return should_stop()

    return stop_reason


def describe_error(error: Exception) -> dict[str, Any]:
    """An unknown error as a sentence, and whether another try may work; logs its traceback."""
    mark = secrets.token_hex(3)
    log.exception("run failed (%s)", mark)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        why = "The worker's disk is full. Free some space there, then press Retry: training goes on."
        return {"error": why, "retryable": False}
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        why = "The worker ran out of memory. Choose a smaller batch size or length, then launch again."
        return {"error": why, "retryable": False}
    why = f"Something unexpected went wrong on the worker ({type(error).__name__}); its log has it as {mark}."
    return {"error": why, "retryable": True}
