"""One fine-tune from tickets to report: load, baselines, train, evaluate; `report.json` is written last."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from finetune.artifacts import BASE, MODEL, REPORT, SPENT, TRAINED, write_whole
from finetune.catalog import BASE_MODELS, hub_id_of
from finetune.data.drawing import draw_rows, drawing_note
from finetune.data.ticket import Tickets
from finetune.device import pick_device
from finetune.errors import CorruptModel, OutOfMemory, Stopped, TrainingDataError, is_out_of_memory
from finetune.evaluation.model_card import model_card
from finetune.llm import Llm
from finetune.methods import METHODS
from finetune.pricing import Rates, money
from finetune.progress import Emit, Progress, ShouldStop
from finetune.provenance import Meter, carbon, cost, files_sum, origin
from finetune.reports.finetune import FinetuneReport
from finetune.reports.parts import Spent
from finetune.reports.training import TrainingReport
from finetune.spec import Spec
from finetune.tasks import TASKS, HostedModel

__all__ = ["Stopped", "run"]
Result = TypeVar("Result")

MIN_ROWS = 3  # one each for training, validation and test
MEMORY_PHASE = {"baselines": "while the baselines were made", "training": "before the first step of training"}
MEMORY_PHASE |= {"evaluating": "while the trained model was evaluated"}


def run(
    spec: Spec,
    tickets: Tickets,
    folder: Path,
    emit: Emit,
    should_stop: ShouldStop,
    rates: Rates | None = None,
    clock: Callable[[], float] = time.monotonic,
    llm: Llm | None = None,
) -> dict[str, Any]:
    """Run `spec` on `tickets` in `folder` and return the report (FinetuneReport) as it is stored.

    Raises Stopped within 5 s of `should_stop` giving a reason (or of the budget being spent), and
    FinetuneError with a sentence for the person otherwise. The same folder resumes: a finished one returns
    its report, an unfinished one goes on from its last intact checkpoint. Without `rates` work costs nothing. `llm` adds
    prompting baselines, for at most its own cap and the recipe's budget.
    """
    rates = rates or Rates()
    folder.mkdir(parents=True, exist_ok=True)
    report = _read_finished(folder, spec, tickets)
    if report is not None:
        return report
    _claim(folder, spec, tickets)
    meter = Meter(clock)
    progress = Progress(emit, _within_budget(should_stop, spec, meter, rates.machine_hour_usd), clock)
    progress.phase("loading")
    pinned_spec = _with_base(spec, folder)
    capped_llm = _cap_spending(llm, spec, rates.table)
    result, seconds = _run_task(pinned_spec, tickets, folder, progress, meter, capped_llm)
    progress.phase("reporting")
    result = replace(result, notes=tuple(dict.fromkeys([*result.notes, *progress.notes])))
    whole = _with_origin(result, spec, pinned_spec, tickets)
    return _write(_with_costs(whole, seconds, rates), folder)


def run_hosted(
    spec: Spec,
    tickets: Tickets,
    folder: Path,
    emit: Emit,
    should_stop: ShouldStop,
    model: HostedModel,
    training: Spent,
    machine_hour_usd: float = 0.0,
) -> dict[str, Any]:
    """Measure a model that a platform has tuned by `spec`, and return the report (FinetuneReport) as it is stored.

    `training` is what the platform asks for the training. Raises Stopped and FinetuneError as `run` does; a finished folder
    returns its report.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (report := _read_finished(folder, spec, tickets)) is not None:
        return report
    side = TASKS[spec.task].at_platform
    if side is None:
        raise TrainingDataError(f"The task `{spec.task}` has no hosted models in this version.")
    meter, progress = Meter(), Progress(emit, should_stop)
    progress.phase("loading")
    result = side.run(spec, _draw(tickets, spec, progress), folder, progress, model)
    progress.phase("reporting")
    spent = cost(meter.read(), machine_hour_usd, result.spent.api_usd + training.usd)
    basis = f"{training.basis}; {money(result.spent.api_usd)} for asking about the held-out tickets"
    result = replace(
        result,
        notes=tuple(dict.fromkeys([*result.notes, *progress.notes])),
        spent=replace(spent, basis=basis),
        carbon=carbon(meter.read(), pick_device() != "cpu"),
        hosted_model=model.endpoint.model,
    )
    return _write(_with_origin(result, spec, None, tickets), folder)


def train(
    spec: Spec,
    tickets: Tickets,
    choosing: int,
    folder: Path,
    emit: Emit,
    should_stop: ShouldStop,
    rates: Rates | None = None,
) -> dict[str, Any]:
    """Train by `spec` on `tickets`, of which the last `choosing` choose, and return the TrainingReport as it travels.

    For a machine that gets no held-out row: `measure` goes on at home from what lies in `folder`. Stops, fails and resumes
    as `run` does.
    """
    rates = rates or Rates()
    remote = TASKS[spec.task].remote_training
    if remote is None:
        raise TrainingDataError(f"The task `{spec.task}` needs all of its rows where it trains.")
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, spec, tickets)
    meter = Meter()
    progress = Progress(emit, _within_budget(should_stop, spec, meter, rates.machine_hour_usd))
    progress.phase("loading")
    pinned_spec, first = _with_base(spec, folder), len(tickets) - choosing
    rows = tuple(tickets.rows)
    sides = Tickets(rows[:first], tickets.kind), Tickets(rows[first:], tickets.kind)
    work = partial(remote.train, pinned_spec, *sides, folder, progress)
    _, seconds = _translate_errors(work, spec, folder, progress, meter)
    progress.phase("reporting")
    spent = cost(seconds, rates.machine_hour_usd)
    return TrainingReport(
        tuple(progress.notes), spent, carbon(seconds, pick_device() != "cpu"), origin()
    ).to_json()


def measure(
    spec: Spec,
    tickets: Tickets,
    folder: Path,
    emit: Emit,
    should_stop: ShouldStop,
    training: TrainingReport,
    rates: Rates | None = None,
) -> dict[str, Any]:
    """Measure what `train` left in `folder` on all of `tickets`, and return the report (FinetuneReport) as it is stored.

    `rates` are this machine's, for what a thousand tickets cost; time, money and carbon are the training's. Raises Stopped
    and FinetuneError as `run` does.
    """
    if not (folder / TRAINED).is_file():
        raise CorruptModel("What came back holds no finished training: launch it again.")
    _claim(folder, spec, tickets)
    meter, progress = Meter(), Progress(emit, should_stop)
    progress.phase("loading")
    pinned_spec = _with_base(spec, folder)
    result, seconds = _run_task(pinned_spec, tickets, folder, progress, meter, None)
    progress.phase("reporting")
    notes = tuple(dict.fromkeys([*training.notes, *result.notes, *progress.notes]))
    whole = _with_origin(replace(result, notes=notes), spec, pinned_spec, tickets)
    whole = _with_costs(whole, seconds, rates or Rates())
    provenance = {**whole.provenance, **training.provenance}
    return _write(replace(whole, spent=training.spent, carbon=training.carbon, provenance=provenance), folder)


def _draw(tickets: Tickets, spec: Spec, progress: Progress) -> Tickets:
    """The rows that the run works on; says so where they are not all."""
    if note := drawing_note(len(tickets)):
        progress.note(note)
    return draw_rows(tickets, spec.seed)


def _run_task(
    spec: Spec, tickets: Tickets, folder: Path, progress: Progress, meter: Meter, llm: Llm | None
) -> tuple[FinetuneReport, dict[str, float]]:
    """The task's part of the report, and the seconds of all attempts in this folder so far, however this one ends."""
    work = partial(_task(spec, tickets), spec, _draw(tickets, spec, progress), folder, progress, llm)
    return _translate_errors(work, spec, folder, progress, meter)


def _translate_errors(
    work: Callable[[], Result], spec: Spec, folder: Path, progress: Progress, meter: Meter
) -> tuple[Result, dict[str, float]]:
    """What `work` gives, and the seconds of all attempts in this folder, however it ends; OutOfMemory in words."""
    earlier = _earlier_attempts(folder)
    seconds: dict[str, float] = {}
    try:
        return work(), seconds
    except (RuntimeError, MemoryError) as error:  # training tries smaller batches first
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(
            spec.max_length, MEMORY_PHASE.get(progress.at, f"in the phase {progress.at}")
        ) from error
    finally:
        seconds |= {name: round(earlier[name] + value, 2) for name, value in meter.read().items()}
        with suppress(OSError):  # a full disk has its own error
            (folder / SPENT).write_text(json.dumps(seconds))


def _cap_spending(llm: Llm | None, spec: Spec, prices: Mapping[str, Any]) -> Llm | None:
    if llm is None:
        return None
    most = llm.spend_usd if spec.budget_usd is None else min(llm.spend_usd, spec.budget_usd / 2)
    return replace(llm, spend_usd=most, prices=prices)


def _task(spec: Spec, tickets: Tickets) -> Callable[..., FinetuneReport]:
    """The task's own steps; TrainingDataError when the dataset is of the other kind."""
    task = TASKS[spec.task]
    if sum(getattr(row, task.ticket_field) is not None for row in tickets.rows) < MIN_ROWS:
        raise TrainingDataError(
            f"`{spec.task}` needs rows with {task.requirement}: this dataset has too few. Choose another."
        )
    return task.run


def _with_base(spec: Spec, folder: Path) -> Spec:
    """`spec` pinned to the hub commit that this folder's run began with.

    Raises BaseModelError before any work where the base model cannot be had.
    """
    from finetune.training.base_models import pin_commit, probe

    METHODS[spec.method].check_machine()
    if spec.base_model in BASE_MODELS:
        return spec
    file = folder / BASE
    base = file.read_text() if file.is_file() else spec.base_model
    probe(base)
    pinned_spec = replace(spec, base_model=pin_commit(base))
    draft = folder / f"{BASE}.{os.getpid()}"
    draft.write_text(pinned_spec.base_model)
    draft.replace(file)
    return pinned_spec


def _base_version(spec: Spec) -> dict[str, str]:
    """Which commit of a hub's base model was trained on, or what a folder's weights were; nothing for our own."""
    from finetune.training.base_models import locate

    if spec.base_model in BASE_MODELS:
        return {}
    if commit := hub_id_of(spec.base_model)[1]:
        return {"base_model_commit": commit}
    folder = Path(locate(spec.base_model))
    return {"base_model_sha256": files_sum(sorted(folder.glob("*.safetensors")))} if folder.is_dir() else {}


def _with_origin(
    report: FinetuneReport, spec: Spec, pinned_spec: Spec | None, tickets: Tickets
) -> FinetuneReport:
    """The task's report with the recipe and where its rows and code come from; None: the base model is a platform's."""
    rows = replace(
        report.dataset,
        name=spec.dataset,
        digest=tickets.digest,
        rows=len(tickets),
        columns=dict(tickets.columns),
    )
    sums = {"dataset_sha256": tickets.digest, "recipe_sha256": spec.recipe_digest}
    base = _base_version(pinned_spec) if pinned_spec else {}
    provenance = {**origin(), **base, **sums}
    return replace(report, task=spec.task, spec=spec.to_json(), provenance=provenance, dataset=rows)


def _with_costs(report: FinetuneReport, seconds: dict[str, float], rates: Rates) -> FinetuneReport:
    """The report with the time and money of all attempts, its carbon, and what a thousand tickets cost."""
    latency = report.latency
    if latency.batch_ms is not None:  # a thousand tickets take as many seconds as one takes ms
        latency = replace(latency, usd_per_1000=latency.batch_ms / 3600 * rates.machine_hour_usd)
    return replace(
        report,
        spent=cost(seconds, rates.machine_hour_usd, report.spent.api_usd),
        carbon=carbon(seconds, pick_device() != "cpu"),
        latency=latency,
    )


def _write(report: FinetuneReport, folder: Path) -> dict[str, Any]:
    """Write the model card and, last, report.json; what is stored."""
    (folder / "MODEL_CARD.md").write_text(model_card(report, TASKS[report.task].purpose))
    stored = report.to_json()
    write_whole(folder / REPORT, json.dumps(stored, indent=1, allow_nan=False))
    return stored


def _earlier_attempts(folder: Path) -> dict[str, float]:
    """Time and cost of earlier attempts in this folder; killed attempts are missing."""
    try:
        values = json.loads((folder / SPENT).read_text())
        return {"wall_s": float(values["wall_s"]), "cpu_s": float(values["cpu_s"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"wall_s": 0.0, "cpu_s": 0.0}


def _read_finished(folder: Path, spec: Spec, tickets: Tickets) -> dict[str, Any] | None:
    try:
        report = json.loads((folder / REPORT).read_text())
    except (OSError, ValueError):
        return None
    same = report["spec"] == spec.to_json() and report["dataset"]["digest"] == tickets.digest
    return report if same else None


def _claim(folder: Path, spec: Spec, tickets: Tickets) -> None:
    """Refuse to resume a folder of another recipe or other rows; the same recipe with more epochs continues."""
    mine = {"spec": spec.to_json(), "dataset": tickets.digest}
    file = folder / "run.json"
    if file.is_file() and (earlier := json.loads(file.read_text())) != mine:
        if not _is_continuation(earlier, mine):
            raise TrainingDataError("This folder holds another run: give every job a folder of its own.")
        for name in (TRAINED, REPORT):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / MODEL, ignore_errors=True)
    file.write_text(json.dumps(mine, sort_keys=True))


def _is_continuation(earlier: Mapping[str, Any], mine: Mapping[str, Any]) -> bool:
    """Whether this is the earlier recipe on the same rows with more epochs (and perhaps another budget)."""
    old, new = dict(earlier["spec"]), dict(mine["spec"])
    more = new.pop("epochs") > old.pop("epochs")
    old.pop("budget_usd"), new.pop("budget_usd")
    return more and old == new and earlier["dataset"] == mine["dataset"]


def _within_budget(should_stop: ShouldStop, spec: Spec, meter: Meter, price_per_hour: float) -> ShouldStop:
    def reason_to_stop() -> str | None:
        usd = (meter.clock() - meter.wall) / 3600 * price_per_hour
        if spec.budget_usd is not None and usd > spec.budget_usd:
            return "budget"
        return should_stop()

    return reason_to_stop
