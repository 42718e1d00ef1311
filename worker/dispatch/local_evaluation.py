"""Evaluates what a platform has trained, in a child process on this machine, on held-out tickets that stayed here.

A hosted model is queried over its API; returned weights are loaded.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from finetune.data.ticket import Tickets, canonical
from finetune.hosted import Endpoint
from finetune.llm_access import LlmAccess
from finetune.platforms.contract import Bill, NoAnswer, Result
from finetune.platforms.run_key import CorruptResult

MIN_USD_SHARE = 0.1  # of the budget, reserved for the questions
MAX_USD = 5.0
LONGEST_S = 2 * 3600.0
LOOK_S = 1.0
COMMAND = ("-m", "worker.runtime.local_evaluation")
log = logging.getLogger("trainwise.jobs")


class MeasuringFailure(CorruptResult):
    """The model could not be measured, and trying again would not help."""


@dataclass(frozen=True)
class HostedRun:
    """The input of the evaluation: the recipe, its rows, the model's endpoint, and the cost of its training.

    `result` is what the platform returned beside the model (its loss); the report and its plots are written into `folder`.
    `llm` is the language model whose prompts are measured beside it, by the table `prices`. `spent_usd` is what earlier
    attempts of the job have cost.
    """

    spec: dict[str, Any]
    tickets: Tickets
    endpoint: Endpoint
    platform: str
    base_model: str
    bill: Bill
    result: Result
    folder: Path
    llm: LlmAccess | None = None
    prices: Mapping[str, Any] = field(default_factory=dict)
    spent_usd: float = 0.0

    @property
    def model(self) -> str:
        """The model's name at its platform."""
        return self.endpoint.model

    @property
    def spend_usd(self) -> float:
        """What the questions may cost: the rest of the budget, but at least a tenth of it."""
        budget = self.spec.get("budget_usd")
        if budget is None:
            return MAX_USD
        return max(float(budget) - self.spent_usd - self.bill.usd, MIN_USD_SHARE * float(budget))

    def order(self) -> bytes:
        """The run as the process reads it from its standard input, the key included."""
        message = _recipe_and_rows(self) | {
            "endpoint": asdict(self.endpoint),
            "platform": self.platform,
            "base_model": self.base_model,
            "spend_usd": self.spend_usd,
            "llm": asdict(self.llm) if self.llm else None,
            "prices": dict(self.prices),
            "trained": {"usd": self.bill.usd, "basis": self.bill.basis},
            "loss": self.result.report.get("loss", []),
        }
        return json.dumps(message).encode()


@dataclass(frozen=True)
class TrainedRun:
    """The input of the evaluation of returned weights: the recipe, all rows, and the files in `folder`.

    `training` is the report of the training (finetune/reports/training.py), or a whole one that the container made and that is
    only rechecked; `usd_per_hour` is this machine's price.
    """

    spec: dict[str, Any]
    tickets: Tickets
    training: Mapping[str, Any]
    folder: Path
    usd_per_hour: float = 0.0

    model = ""

    def order(self) -> bytes:
        """The run as the process reads it from its standard input."""
        message = _recipe_and_rows(self) | {
            "training": dict(self.training),
            "usd_per_hour": self.usd_per_hour,
        }
        return json.dumps(message).encode()


def _recipe_and_rows(run: HostedRun | TrainedRun) -> dict[str, Any]:
    """The part of an order that both kinds of run have."""
    return {
        "spec": run.spec,
        "kind": run.tickets.kind,
        "columns": dict(run.tickets.columns),
        "rows": canonical(run.tickets.rows).decode(),
        "folder": str(run.folder),
    }


Measure = Callable[[HostedRun | TrainedRun, Callable[[], bool]], Result]
"""Evaluates a model; raises NoAnswer where a later try may work, MeasuringFailure otherwise."""


def evaluate_locally(run: HostedRun | TrainedRun, should_stop: Callable[[], bool]) -> Result:
    """Runs the evaluation in a child process and returns its report; the key goes through a pipe, never an argument."""
    process = subprocess.Popen([sys.executable, *COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    began = time.monotonic()
    message: bytes | None = run.order()
    try:
        while True:
            try:
                output, _ = process.communicate(message, timeout=LOOK_S)
                break
            except subprocess.TimeoutExpired:
                message = None
                if should_stop() or time.monotonic() - began > LONGEST_S:
                    raise NoAnswer("The measurement of the model was interrupted.") from None
    finally:
        process.kill()
        process.wait()
    answer = read_output(output)
    if answer is None:
        raise NoAnswer(f"The measurement of the model broke (status {process.returncode}).")
    if "error" in answer:
        kind = NoAnswer if answer.get("retryable") else MeasuringFailure
        raise kind(str(answer["error"]))
    return Result(answer["report"], answer["plots"], run.model)


def read_output(output: bytes) -> dict[str, Any] | None:
    """The process's last line as an object; None where there is none."""
    try:
        value = json.loads((output.splitlines() or [b""])[-1])
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
