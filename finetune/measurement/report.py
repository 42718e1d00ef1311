"""From what was measured to the report: one JSON-able dict, its picture, and the completion mark."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.artifacts import REPORT
from finetune.data.ticket import Tickets
from finetune.evaluation.sample import DRIFT, Sample
from finetune.measurement.decision import Decision, percent
from finetune.measurement.forecast import Ahead, Forecast
from finetune.measurement.plots import FILE, TITLES, verdict_plot

if TYPE_CHECKING:
    from finetune.measurement.findings import Found, Request


def assemble(
    found: Found,
    decision: Decision,
    money: dict[str, Any],
    sample: Sample,
    request: Request,
    tickets: Tickets,
    dataset: str,
    folder: Path,
    seconds: float,
) -> dict[str, Any]:
    """The report of a measurement; draws the picture into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    trained = next((rung for rung in found.rungs if rung.dev is not None and rung is found.best), found.best)
    return {
        "kind": "measure",
        "headline": decision.headline + _beware(found.warnings),
        "decision": decision.choice,
        "deciding_figure": decision.deciding_figure,
        "would_change": list(decision.would_change),
        "next_step": decision.next_step,
        "rows_to_label": decision.rows_to_label,
        "metric": request.metric,
        "target": request.target,
        "ladder": _ladder(found),
        "pilot": _pilot(found, trained.name),
        "forecast": forecast_json(found.more, found.tuned, found.at_all, found.tuned_later),
        "cost": money | {"sentence": money_sentence(money, decision.choice)},
        "warnings": found.warnings,
        "signals": _signals(found, sample, request, tickets, decision.choice),
        "plots": [_plot(found, money, request, decision, folder)],
        "dataset": _dataset(sample, tickets, dataset),
        "time": {"wall_s": round(seconds, 1)},
        "provenance": _provenance(tickets, request),
    }


def _beware(warnings: list[str]) -> str:
    """What a reader of one sentence must not miss."""
    drift = any(warning.startswith(DRIFT) for warning in warnings)
    return " Beware: the latest tickets score worse than older ones (drift)." if drift else ""


def _ladder(found: Found) -> list[dict[str, Any]]:
    rows = [rung.to_json() | {"best": rung is found.best} for rung in found.rungs]
    if found.pilot:
        gain, pilot = found.pilot.gain, found.pilot
        half = gain.half_width
        rows.append(
            {
                "name": f"LoRA pilot on {pilot.rows:,} tickets",
                "role": "tuned",
                "accuracy": {
                    "value": pilot.score,
                    "low": pilot.score - half,
                    "high": min(1, pilot.score + half),
                },
                "seconds": round(pilot.seconds, 1),
                "usd": 0.0,
                "best": False,
                "gain_points": {key: round(100 * value, 2) for key, value in gain.to_json().items()},
                "against": f"{pilot.against} on the same {pilot.rows:,} tickets",
            }
        )
    return rows


def _pilot(found: Found, method: str) -> list[dict[str, Any]]:
    made = [{"method": method, "rows": p.rows, "seed": p.seed, "score": p.score} for p in found.points]
    if found.pilot:
        made.append({"method": "lora", "rows": found.pilot.rows, "seed": 0, "score": found.pilot.score})
    return sorted(made, key=lambda row: (str(row["method"]), row["rows"], row["seed"]))


def forecast_json(
    more: Forecast, tuned: Ahead | None, at_all: Ahead | None, later: tuple[Ahead, ...]
) -> dict[str, Any]:
    """Sizes, values and 90% bands; `band` is for other tickets, `band_same_rows` for the same held-out
    ones.
    """
    ahead = more.ahead
    made: dict[str, Any] = {
        "at": [item.rows for item in ahead],
        "points": [item.value for item in ahead],
        "band": [[item.wide_low, item.wide_high] for item in ahead],
        "band_same_rows": [[item.low, item.high] for item in ahead],
        "trust": [item.trust for item in ahead],
        "slope": more.slope,
        "tuned": asdict(tuned) if tuned else None,
        "tuned_later": [asdict(item) for item in later],
        "all_rows": asdict(at_all) if at_all else None,
        "sentence": _sentence(more, tuned),
    }
    return made | ({"refused": more.refused} if more.refused else {})


def _sentence(more: Forecast, tuned: Ahead | None) -> str:
    """The forecast in words."""
    parts = [
        f"{item.rows:,} tickets: {percent(item.value)} ({100 * item.wide_low:.1f}-{100 * item.wide_high:.1f})"
        for item in more.ahead
        if item.trust != "direction" and (item.times >= 1.9 or len(more.ahead) < 4)
    ]
    parts += [f"beyond that only: {more.slope}" for item in more.ahead[-1:] if item.trust == "direction"]
    if tuned:
        parts.append(f"a LoRA fine-tune on {tuned.rows:,}: {percent(tuned.value)}")
    return "; ".join(parts) if parts else (more.refused or "")


def money_sentence(money: Mapping[str, Any], choice: str) -> str:
    """What is paid once, what a month costs, and from which volume on an own machine is the cheaper one."""
    parts = [_once(money, choice)]
    cheapest = {line["kind"]: line for line in reversed(money["serving"])}
    own, prompt = cheapest["cpu"], cheapest.get("api")
    parts.append(f"A month: ${own['usd_month']:,.0f} for a {own['option']}")
    if prompt and prompt["usd_month"] > 0:
        parts[-1] += f", ${prompt['usd_month']:,.0f} for {prompt['option'].replace('prompt', 'prompting', 1)}"
    if even := [line for line in money["break_even"] if line["requests_month"]]:
        line = max(even, key=lambda line: float(line["requests_month"]))
        above = f"{float(line['requests_month']):,.0f} tickets a month"
        parts.append(f"Against {line['against']} the own machine is cheaper above {above}")
    if money["saved_usd_month"]:
        parts.append(f"The gain saves ${money['saved_usd_month']:,.0f} a month in wrong answers")
    return ". ".join(part for part in parts if part) + f". Prices as of {money['as_of']}."


def _signals(found: Found, sample: Sample, request: Request, tickets: Tickets, choice: str) -> dict[str, Any]:
    """What the advisor learns, in its own vocabulary (rag/signals/schema.py): percentages, counts."""
    counts = Counter(str(row.label) for row in tickets.rows if row.label is not None)
    best = found.best.score(request.metric).value
    signals: dict[str, Any] = {
        "task": "classify",
        "examples": sample.total,
        "classes": len(counts),
        "per_class": round(float(np.median(list(counts.values())))),
        "eval_n": sample.held_out,
        "score": round(100 * best, 1),
        "target": round(100 * request.target, 1),
        "baseline": "tried_ok" if best >= request.target else "tried_fail",
        "metric": request.metric,
    }
    if (met := _met_by(found, choice)) is not None:
        signals["measured_best"] = met
    return signals | ({"volume_month": request.volume} if request.volume else {})


def _met_by(found: Found, choice: str) -> str | None:
    """What reaches the target, for the advisor; None where the measurement left it open."""
    if choice == "enough":
        return "prompt" if found.best.role == "prompt" else "small_model"
    return {"train": "fine_tune", "not_worth_it": "nothing"}.get(choice)


def _plot(
    found: Found, money: Mapping[str, Any], request: Request, decision: Decision, folder: Path
) -> dict[str, str]:
    lookups = [rung for rung in found.rungs if rung.role in ("lookup", "prompt")]
    scored = [(rung.name, rung.score(request.metric).value) for rung in lookups]
    lines = sorted(scored, key=lambda line: -line[1])[:3]  # the picture has room for three: the best of them
    tried = any(rung.role == "prompt" for rung in found.rungs)
    options = [
        (
            line["option"] + ("" if tried or line["kind"] != "api" else " (score not measured)"),
            line["usd_month"],
        )
        for line in money["serving"]
    ]
    if not request.volume:
        options = [(name, value) for name, value in options if value > 0]
    near = [item for item in found.more.ahead if item.trust != "direction"]
    sizes = {item.rows for item in near}
    return verdict_plot(
        folder / FILE,
        found.points,
        near,
        request.target,
        lines,
        found.tuned,
        options[:5],
        decision.title or TITLES.get(decision.choice, decision.choice),
        request.metric,
        _once(money, decision.choice),
        [item for item in found.tuned_later if item.rows in sizes],
    )


def _once(money: Mapping[str, Any], choice: str) -> str:
    """What is paid once, for the picture."""
    lora = next((line for line in money["training"] if line["method"] == "lora"), None)
    if choice == "more_data" and money["labelling"]:
        return (
            f"Once: about ${money['labelling']['usd']:,.0f} to label {money['labelling']['rows']:,} tickets"
        )
    if choice == "train" and lora:
        return f"Once: about ${max(0.01, lora['usd_high']):,.2f} of training on a CPU"
    return ""


def _dataset(sample: Sample, tickets: Tickets, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "digest": tickets.digest,
        "rows": sample.total,
        "measured": len(sample.rows),
        "train": sample.train_rows,
        "dev": sum(len(fold.dev) for fold in sample.folds),
        "test": sample.held_out,
        "classes": len(sample.names),
        "split": sample.how,
    }


def _provenance(tickets: Tickets, request: Request) -> dict[str, Any]:
    from finetune.provenance import origin

    return {**origin(), "dataset_sha256": tickets.digest, "request": asdict(request)}


def too_few(
    tickets: Tickets, request: Request, labelled: int, least: int, name: str, seconds: float
) -> dict[str, Any]:
    """The report where nothing can be measured: what to do before measuring."""
    wanted = max(4 * least, 8 * len({row.label for row in tickets.rows if row.label is not None}))
    return {
        "kind": "measure",
        "headline": f"Cannot tell yet: {labelled} labelled tickets are too few to measure anything. "
        "Label at least "
        f"{wanted} (and no fewer than 8 a class), and use a prompt until then.",
        "decision": "cannot_tell",
        "deciding_figure": {"name": "labelled tickets", "value": labelled, "unit": "tickets"},
        "would_change": [f"{wanted} labelled tickets."],
        "next_step": f"Label {wanted - labelled} more tickets.",
        "rows_to_label": wanted - labelled,
        "metric": request.metric,
        "target": request.target,
        "ladder": [],
        "pilot": [],
        "forecast": {
            "at": [],
            "points": [],
            "band": [],
            "refused": f"{labelled} tickets are fewer than {least}.",
        },
        "cost": {},
        "warnings": [],
        "signals": {"task": "classify", "examples": labelled, "target": round(100 * request.target, 1)},
        "plots": [],
        "dataset": {"name": name, "digest": tickets.digest, "rows": labelled},
        "time": {"wall_s": round(seconds, 1)},
        "provenance": _provenance(tickets, request),
    }


def write(folder: Path, report: dict[str, Any]) -> dict[str, Any]:
    """Put report.json in place in one step, drop the cached embeddings, and return the report."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / (REPORT + ".part")
    part.write_text(json.dumps(report, indent=1, allow_nan=False), encoding="utf-8")
    part.replace(folder / REPORT)
    for kept in folder.glob("embeddings-*.npy"):
        kept.unlink()
    shutil.rmtree(folder / "lora-pilot", ignore_errors=True)
    return report


def finished(folder: Path, tickets: Tickets, request: Request) -> dict[str, Any] | None:
    """The report of an earlier run of the same request on the same rows in this folder."""
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    seen = report.get("provenance", {})
    same = seen.get("request") == asdict(request) and seen.get("dataset_sha256") == tickets.digest
    return report if same else None
