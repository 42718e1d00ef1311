"""The child process that evaluates a model: it reads the order from standard input and writes the report as its last output line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.errors import FinetuneError
from finetune.hosted import Endpoint
from finetune.llm_access import LlmAccess
from worker.logs import scrub
from worker.runtime.attempt import describe_error, plots_of

if TYPE_CHECKING:
    from finetune.data.ticket import Tickets
    from finetune.spec import Spec


def main() -> None:
    """Reads one order and prints one line: the report with its plots, or the error and whether a later try may work."""
    order = json.loads(sys.stdin.buffer.read())
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints goes to the log
    lines.write(json.dumps(answer(order)) + "\n")
    lines.flush()


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """What became of an order."""
    parts = (order.get("endpoint") or {}, order.get("llm") or {})
    secrets = [str(one["key"]) for one in parts if one.get("key")]
    try:
        report = measure(order)
        return {"report": report, "plots": plots_of(report, Path(order["folder"]))}
    except FinetuneError as error:
        return {"error": scrub(str(error), secrets), "retryable": error.retryable}
    except ModuleNotFoundError as error:
        fix = "pip install 'trainwise[train]' where the bot runs, then launch it again"
        return {"error": f"{error.name} is not installed here: {fix}.", "retryable": False}
    except Exception as error:  # the log gets the traceback, the bot a sentence
        return describe_error(error)


def measure(order: dict[str, Any]) -> dict[str, Any]:
    """The report, as the pipeline stores it in the order's folder."""
    from finetune.data.ticket import Ticket, Tickets
    from finetune.spec import Spec

    rows = tuple(Ticket.from_json(json.loads(line)) for line in order["rows"].split("\n") if line)
    tickets = Tickets(rows, order["kind"], columns=order["columns"])
    work = _measure_weights if "training" in order else _measure_hosted
    return work(order, Spec.from_json(order["spec"]), tickets)


def _measure_weights(order: dict[str, Any], spec: Spec, tickets: Tickets) -> dict[str, Any]:
    from finetune import pipeline
    from finetune.pricing import Rates
    from finetune.reports.training import TRAINING, TrainingReport
    from finetune.tasks import TASKS

    folder, recheck = Path(order["folder"]), TASKS[spec.task].recheck
    if order["training"].get("kind") != TRAINING:
        return {"note": recheck(spec, tickets, folder, order["training"]) if recheck else ""}
    training, rates = TrainingReport.from_json(order["training"]), Rates(order["usd_per_hour"])
    return pipeline.measure(spec, tickets, folder, lambda event: None, lambda: None, training, rates)


def _measure_hosted(order: dict[str, Any], spec: Spec, tickets: Tickets) -> dict[str, Any]:
    from finetune.pipeline import run_hosted
    from finetune.reports.parts import LossPoint, Spent
    from finetune.tasks import HostedModel

    history = tuple(LossPoint(int(one["step"]), float(one["loss"])) for one in order["loss"])
    endpoint = Endpoint(**order["endpoint"])
    llm = LlmAccess(**order["llm"]).open(order["prices"]) if order.get("llm") else None
    names = order["platform"], order["base_model"]
    model = HostedModel(endpoint, *names, order["spend_usd"], history, llm)
    return run_hosted(
        spec,
        tickets,
        Path(order["folder"]),
        lambda event: None,
        lambda: None,
        model,
        Spent(**order["trained"]),
    )


if __name__ == "__main__":
    main()
