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

from finetune.artifacts import REPORT, write_whole
from finetune.data.ticket import Tickets
from finetune.evaluation.baselines import best_trained
from finetune.evaluation.forecast import Ahead, Forecast
from finetune.evaluation.learning_curve import doubling_sentence
from finetune.evaluation.sample import Sample, drop_embeddings
from finetune.measurement.business import BusinessCase
from finetune.measurement.business import sentence as case_sentence
from finetune.measurement.business_plot import BUSINESS_FILE, business_plot
from finetune.measurement.decision import Decision
from finetune.measurement.plots import FILE, Picture, verdict_plot
from finetune.measurement.sentences import percent
from finetune.pricing import money as dollars
from finetune.reports.comparison import answers_json

if TYPE_CHECKING:
    from finetune.measurement.findings import Bench, Findings, Request


def assemble(
    findings: Findings,
    decision: Decision,
    money: dict[str, Any],
    case: BusinessCase,
    sample: Sample,
    request: Request,
    tickets: Tickets,
    bench: Bench,
    seconds: float,
) -> dict[str, Any]:
    """The report of a measurement; draws the picture into `folder`."""
    bench.folder.mkdir(parents=True, exist_ok=True)
    return {
        "kind": "measure",
        "headline": decision.headline + (DRIFTS if findings.drifts else ""),
        "decision": decision.choice,
        "title": decision.title,
        "pilot_minutes": decision.pilot_minutes,
        "deciding_figure": decision.deciding_figure,
        "would_change": list(decision.would_change),
        "next_step": decision.next_step,
        "rows_to_label": decision.rows_to_label,
        "metric": request.metric,
        "target": request.target,
        "ladder": _ladder(findings),
        "answers": _answers(findings, sample),
        "pilot": _points(findings),
        "tuned_pilot": findings.pilot.to_json() if findings.pilot else None,
        "forecast": forecast_json(findings.more, findings.finetune, findings.at_all, findings.tuned_later),
        "doubling": " ".join(
            filter(None, (doubling_sentence(findings.more, findings.points), findings.by_class))
        ),
        "cost": money | {"sentence": _cost_sentence(case, money, decision.choice)},
        "business": case.to_json(),
        "warnings": findings.warnings,
        "signals": _signals(findings, sample, request, tickets, decision),
        "prompt_scored": any(system.role == "prompt" for system in findings.systems),
        "plots": [
            _plot(findings, money, request, decision, bench.folder),
            *([business_plot(case, bench.folder / BUSINESS_FILE)] if request.volume else []),
        ],
        "dataset": _dataset(sample, tickets, bench.dataset),
        "time": {"wall_s": round(seconds, 1)},
        "provenance": _provenance(tickets, request),
    }


DRIFTS = " Beware: the latest tickets score worse than older ones (drift)."


def _ladder(findings: Findings) -> list[dict[str, Any]]:
    """The table of alternatives: cheap systems and prompts, then every fine-tune that is known on these rows."""
    lines = [line.to_json() | {"best": line.name == findings.best.name} for line in findings.scores]
    pilot = findings.pilot
    others = [one for one in findings.evidence if pilot is None or one.job != pilot.job]
    if pilot:
        gain = {key: round(100 * value, 2) for key, value in pilot.gain.to_json().items()}
        against = f"{pilot.against} on the same {pilot.rows:,} tickets"
        line = pilot.score.to_json() | {"name": pilot.name, "role": "tuned", "best": False}
        lines.append(line | {"gain_points": gain, "against": against, "job": pilot.job})
    return lines + [
        one.score.to_json() | {"name": one.name, "role": "tuned", "best": False, "job": one.job}
        for one in others
    ]


def _answers(findings: Findings, sample: Sample) -> dict[str, Any]:
    """What the best cheap method says of the held-out tickets, for two runs side by side."""
    best, rows = best_trained(findings.systems), sample.test_rows
    ids = [sample.rows[i].id for i in rows]
    return answers_json(ids, sample.truth.tolist(), best.labels.tolist(), sample.names)


def _points(findings: Findings) -> list[dict[str, Any]]:
    """The points of the learning curve."""
    method = next(
        (
            system.name
            for system in findings.systems
            if system.name == findings.best.name and system.role != "prompt"
        ),
        best_trained(findings.systems).name,
    )
    return [
        {"method": method, "rows": p.rows, "seed": p.seed, "score": p.score}
        for p in sorted(findings.points, key=lambda point: (point.rows, point.seed))
    ]


def forecast_json(
    more: Forecast, finetune: Ahead | None, at_all: Ahead | None, later: tuple[Ahead, ...]
) -> dict[str, Any]:
    """Sizes, values and 90% bands; `band` is for other tickets, `band_same_rows` for the same held-out
    ones.
    """
    ahead = more.ahead
    part: dict[str, Any] = {
        "at": [item.rows for item in ahead],
        "points": [item.value for item in ahead],
        "band": [[item.wide_low, item.wide_high] for item in ahead],
        "band_same_rows": [[item.low, item.high] for item in ahead],
        "trust": [item.trust for item in ahead],
        "slope": more.slope,
        "tuned": asdict(finetune) if finetune else None,
        "tuned_later": [asdict(item) for item in later],
        "all_rows": asdict(at_all) if at_all else None,
        "sentence": _sentence(more, finetune),
    }
    return part | ({"refused": more.refused} if more.refused else {})


def _sentence(more: Forecast, finetune: Ahead | None) -> str:
    """The forecast in words."""
    parts = [
        f"{item.rows:,} tickets: {percent(item.value)} ({100 * item.wide_low:.1f}-{100 * item.wide_high:.1f})"
        for item in more.ahead
        if item.trust != "direction" and (item.times >= 1.9 or len(more.ahead) < 4)
    ]
    parts += [f"beyond that only: {more.slope}" for item in more.ahead[-1:] if item.trust == "direction"]
    if finetune:
        parts.append(f"a LoRA fine-tune on {finetune.rows:,}: {percent(finetune.value)}")
    return "; ".join(parts) if parts else (more.refused or "")


def _cost_sentence(case: BusinessCase, money: Mapping[str, Any], choice: str) -> str:
    """What is paid once, and what the best alternative leaves a month."""
    parts = [_once(money, choice), case_sentence(case).removesuffix(".")]
    return ". ".join(part for part in parts if part) + f". Prices as of {money['as_of']}."


def _signals(
    findings: Findings, sample: Sample, request: Request, tickets: Tickets, decision: Decision
) -> dict[str, Any]:
    """What the advisor learns, in its own vocabulary (rag/signals/schema.py): percentages, counts.

    That "nothing" meets the target is only said where a prompt was scored as well.
    """
    counts = Counter(str(row.label) for row in tickets.rows if row.label is not None)
    best = findings.score_of(findings.best).score(request.metric).value
    prompt_scored = any(system.role == "prompt" for system in findings.systems)
    signals: dict[str, Any] = {
        "task": "classify",
        "examples": sample.total,
        "classes": len(counts),
        "per_class": round(float(np.median(list(counts.values())))),
        "eval_n": sample.held_out,
        "score": round(100 * best, 1),
        "target": round(100 * request.target, 1),
        "metric": request.metric,
    }
    if best >= request.target or prompt_scored:
        signals["baseline"] = "tried_ok" if best >= request.target else "tried_fail"
    if decision.meets is not None and (decision.meets != "nothing" or prompt_scored):
        signals["measured_best"] = decision.meets
    return signals | ({"volume_month": request.volume} if request.volume else {})


def _plot(
    findings: Findings, money: Mapping[str, Any], request: Request, decision: Decision, folder: Path
) -> dict[str, str]:
    scores = [
        (line.name, line.score(request.metric).value)
        for line in findings.scores
        if line.role in ("lookup", "prompt")
    ]
    lines = sorted(scores, key=lambda line: -line[1])[:3]  # the picture has room for three: the best of them
    has_prompts = any(line.role == "prompt" for line in findings.scores)
    options = [
        (line["option"], line["usd_month"])
        for line in money["serving"]
        if line["usd_month"] > 0 and (has_prompts or line["kind"] != "api")
    ]
    near = [item for item in findings.more.ahead if item.trust != "direction"]
    sizes = {item.rows for item in near}
    picture = Picture(
        title=decision.title,
        metric=request.metric,
        target=request.target,
        points=findings.points,
        lines=lines,
        ahead=near,
        finetune=findings.finetune,
        tuned_later=[item for item in findings.tuned_later if item.rows in sizes],
        money=options[:5],
        once=_once(money, decision.choice),
    )
    return verdict_plot(folder / FILE, picture)


def _once(money: Mapping[str, Any], choice: str) -> str:
    """What is paid once, for the picture."""
    lora = next((line for line in money["training"] if line["method"] == "lora"), None)
    if choice == "more_data" and money["labelling"]:
        return f"Once: about {dollars(money['labelling']['usd'])} to label {money['labelling']['rows']:,} tickets"
    if choice in ("train", "out_of_reach") and lora:
        return f"Once: {dollars(lora['usd_high'])} of training on a CPU"
    return ""


def _dataset(sample: Sample, tickets: Tickets, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "digest": tickets.digest,
        "rows": sample.total,
        "measured": len(sample.rows),
        "train": sample.train_rows,
        "dev": len(sample.once.dev) if sample.one_split else 0,
        "left_out": len(sample.cut.left_out),
        "test": sample.held_out,
        "classes": len(sample.names),
        "split": sample.how,
        "columns": dict(tickets.columns),
    }


def _provenance(tickets: Tickets, request: Request) -> dict[str, Any]:
    from finetune.provenance import origin

    return {**origin(), "dataset_sha256": tickets.digest, "request": request.to_json()}


def too_few(
    tickets: Tickets, request: Request, labelled: int, least: int, name: str, seconds: float
) -> dict[str, Any]:
    """The report where nothing can be measured: what to do before measuring."""
    enough = max(4 * least, 8 * len({row.label for row in tickets.rows if row.label is not None}))
    return {
        "kind": "measure",
        "headline": f"Cannot tell yet: {labelled} labelled tickets are too few to measure anything. "
        "Label at least "
        f"{enough} (and no fewer than 8 a class), and use a prompt until then.",
        "decision": "cannot_tell",
        "title": "Too few tickets to measure",
        "deciding_figure": {"name": "labelled tickets", "value": labelled, "unit": "tickets"},
        "would_change": [f"{enough} labelled tickets."],
        "next_step": f"Label {enough - labelled} more tickets.",
        "rows_to_label": enough - labelled,
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
    write_whole(folder / REPORT, json.dumps(report, indent=1, allow_nan=False))
    if report["decision"] != "undecided":  # its pilot goes on from the embeddings
        drop_embeddings(folder)
    shutil.rmtree(folder / "lora-pilot", ignore_errors=True)
    return report


def finished_report(folder: Path, tickets: Tickets, request: Request) -> dict[str, Any] | None:
    """The report of an earlier run of the same request on the same rows in this folder."""
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    provenance = report.get("provenance", {})
    same = (
        provenance.get("request") == request.to_json() and provenance.get("dataset_sha256") == tickets.digest
    )
    return report if same else None
