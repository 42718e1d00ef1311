"""Publishes a triage run: exports it, scores the export on held-out tickets, and uses int8 only if it is as good."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.artifacts import LINEAR_HALF, write_whole
from finetune.catalog import MULTILINGUAL
from finetune.errors import ExportError
from finetune.evaluation.promise import loosest_threshold
from finetune.evaluation.risk_coverage import ERROR_RATES
from finetune.serving.classifier import (
    EMBEDDER,
    EMBEDDER_WORDS,
    NEAR,
    NETWORK,
    NETWORK_WORDS,
    ServedTriage,
)
from finetune.serving.export import MODEL_CARD
from finetune.serving.graph import quantise, write_classifier, write_embedder
from finetune.serving.held_out import HeldOut
from finetune.serving.ticket_text import languages_of
from finetune.serving.versions import SERVED

MAX_DROP = 0.003  # of held-out accuracy that int8 may cost
MIN_AGREEMENT = 0.99  # of the float32 graph with the model that the report scored
FAR_SHARE = 0.05  # of held-out tickets that count as near no training ticket
TIMED = 50


@dataclass(frozen=True)
class ExportForm:
    """One form of the exported model: its scores of the held-out tickets, vectors, and CPU milliseconds for one."""

    name: str
    folder: Path
    scores: np.ndarray
    vectors: np.ndarray
    cpu_ms: float


def publish(job: Path, rows: HeldOut, report: dict[str, Any], out: Path, note: Callable[[str], None]) -> None:
    """Write the version into the folder `out`: graphs, tokenizers, what its answers rest on, card, and served.json last.

    Raises ExportError where the graph does not answer as the evaluated model does, or cannot be made.
    """
    from finetune.tasks.triage.model import load_tuned

    model = load_tuned(job)
    classes = tuple(model.classes)
    number = {name: at for at, name in enumerate(classes)}
    truth = np.array([number.get(label, -1) for label in rows.labels], dtype=int)
    note("exporting")
    card = _write_graphs(model, job, out / "float32")
    note("scoring")
    reference = model.probabilities(list(rows.texts)) if rows.texts else np.zeros((0, len(classes)))
    exact = _score(out / "float32", "float32", card, rows)
    agreement = _same(exact.scores, reference)
    if agreement < MIN_AGREEMENT:
        raise ExportError(
            f"The exported graph answers {1 - agreement:.1%} of the held-out tickets otherwise than the model that was "
            "scored, so it is not served. Train on another base model (minilm works)."
        )
    small = _quantised(out, card, rows)
    drop = _accuracy(exact.scores, truth) - _accuracy(small.scores, truth)
    form = small if len(truth) and drop <= MAX_DROP else exact
    facts = _facts(form, exact, small, reference, truth)
    note("writing")
    near = _near(form.folder, card, rows)
    for file in form.folder.iterdir():
        shutil.move(str(file), out / file.name)
    for folder in ("float32", "int8"):
        shutil.rmtree(out / folder, ignore_errors=True)
    np.save(out / NEAR, near.astype(np.float16))
    similarity = (form.vectors @ near.T).max(axis=1) if len(near) and len(truth) else np.ones(0)
    card |= {
        "form": form.name,
        "measured": facts,
        "calibration": _calibration(form.scores, truth),
        "languages": languages_of(rows.training),
        "far_below": float(np.quantile(similarity, FAR_SHARE)) if len(similarity) else -1.0,
        "dataset": {name: report["dataset"].get(name) for name in ("name", "digest")},
    }
    _write_card(job, out, card)
    write_whole(out / SERVED, json.dumps(card))


def _write_graphs(model: Any, job: Path, out: Path) -> dict[str, Any]:
    """The float32 graphs of a network, of a linear model or of both, averaged; gives the card's first lines."""
    from finetune.artifacts import find_model
    from finetune.tasks.triage.model import Blend, TunedTriage
    from finetune.training.embedding import MAX_LENGTH

    out.mkdir(parents=True)
    network = model.network if isinstance(model, Blend) else model if isinstance(model, TunedTriage) else None
    linear = model.linear if isinstance(model, Blend) else model if network is None else None
    card: dict[str, Any] = {"backend": "onnx", "task": "triage", "classes": list(model.classes)}
    card |= {"max_length": 0, "embedder_length": MAX_LENGTH, "averaged": isinstance(model, Blend)}
    if network is not None:
        write_classifier(network, out / NETWORK)
        network.tokenizer.backend_tokenizer.save(str(out / NETWORK_WORDS))
        card["max_length"] = network.max_length
    if linear is not None:
        half = find_model(job) / LINEAR_HALF if isinstance(model, Blend) else find_model(job)
        shutil.copytree(half, out / LINEAR_HALF)
        if linear.embedder.key == MULTILINGUAL:
            linear.embedder.save(out)
            return card
        write_embedder(linear.embedder, out / EMBEDDER)
        linear.embedder.tokenizer.backend_tokenizer.save(str(out / EMBEDDER_WORDS))
    return card


def _quantised(out: Path, card: dict[str, Any], rows: HeldOut) -> ExportForm:
    """The same with int8 MatMuls."""
    shutil.copytree(out / "float32", out / "int8")
    for name in (NETWORK, EMBEDDER):
        if (out / "float32" / name).is_file():
            (out / "int8" / name).unlink()
            quantise(out / "float32" / name, out / "int8" / name)
    return _score(out / "int8", "int8", card, rows)


def _open(folder: Path, card: dict[str, Any]) -> ServedTriage:
    """A form before its threshold is known; its card is there only while it opens, so that a cut leaves no version."""
    (folder / SERVED).write_text(json.dumps(card | {"calibration": {"confidence": [], "right": []}}))
    candidate = ServedTriage(folder, 1.0)
    (folder / SERVED).unlink()
    return candidate


def _score(folder: Path, name: str, card: dict[str, Any], rows: HeldOut) -> ExportForm:
    """What the form in the folder says of the held-out tickets, by the code that will serve it."""
    candidate = _open(folder, card)
    scores, vectors, times = [], [], []
    for text in rows.texts:
        began = time.thread_time()
        score, vector, _ = candidate.score(text)
        times.append(time.thread_time() - began)
        scores.append(score)
        vectors.append(vector)
    if not scores:
        return ExportForm(name, folder, np.zeros((0, len(candidate.classes))), np.zeros((0, 1)), 0.0)
    return ExportForm(
        name, folder, np.stack(scores), np.stack(vectors), 1000 * float(np.median(times[-TIMED:]))
    )


def _near(folder: Path, card: dict[str, Any], rows: HeldOut) -> np.ndarray:
    """(rows, hidden) unit vectors of training tickets."""
    candidate = _open(folder, card)
    vectors = [candidate.score(text)[1] for text in rows.training]
    return np.stack(vectors) if vectors else np.zeros((0, 1), dtype=np.float32)


def _calibration(scores: np.ndarray, truth: np.ndarray) -> dict[str, list[Any]]:
    """Confidence and right or wrong by held-out ticket: what every threshold is set on."""
    confidence = [round(float(row.max()), 6) for row in scores]
    return {
        "confidence": confidence,
        "right": [int(row.argmax()) == label for row, label in zip(scores, truth.tolist(), strict=True)],
    }


def _accuracy(scores: np.ndarray, truth: np.ndarray) -> float:
    return float((scores.argmax(axis=1) == truth).mean()) if len(truth) else 0.0


def _same(first: np.ndarray, second: np.ndarray) -> float:
    """The share of rows on which two forms give the same answer."""
    return float((first.argmax(axis=1) == second.argmax(axis=1)).mean()) if len(first) else 1.0


def _facts(
    form: ExportForm, exact: ExportForm, small: ExportForm, reference: np.ndarray, truth: np.ndarray
) -> dict[str, Any]:
    return {
        "rows": len(truth),
        "accuracy": {
            "evaluated": _accuracy(reference, truth),
            "float32": _accuracy(exact.scores, truth),
            "int8": _accuracy(small.scores, truth),
        },
        "same_answer_as_evaluated": _same(form.scores, reference),
        "largest_change_of_a_probability": float(np.abs(form.scores - reference).max())
        if len(truth)
        else 0.0,
        "cpu_ms": {"float32": exact.cpu_ms, "int8": small.cpu_ms},
        "bytes": sum(file.stat().st_size for file in form.folder.rglob("*") if file.is_file()),
    }


def _write_card(job: Path, out: Path, card: dict[str, Any]) -> None:
    """The run's model card, if it has one, with a section on the form that is served."""
    sources = [
        place / MODEL_CARD for place in (job, job.parent, *job.glob("*")) if (place / MODEL_CARD).is_file()
    ]
    text = sources[0].read_text() if sources else "# Served model\n"
    (out / MODEL_CARD).write_text(f"{text}\n{served_section(card)}")


def served_section(card: dict[str, Any]) -> str:
    """What is served, how good it is beside what was evaluated, and from which confidence on it answers."""
    facts, calibration = card["measured"], card["calibration"]
    accuracy = facts["accuracy"]
    lines = [
        "## As it is served\n",
        f"One ONNX graph{' averaged with the linear model' if card['averaged'] else ''}, {card['form']}: int8 in the MatMuls only, "
        f"where it costs at most {100 * MAX_DROP:.1f} points on held-out tickets. On {facts['rows']} of them:\n",
        "| form | accuracy % | CPU ms a ticket |",
        "| --- | --- | --- |",
        f"| as evaluated | {100 * accuracy['evaluated']:.1f} | |",
        *(
            f"| {name} | {100 * accuracy[name]:.1f} | {facts['cpu_ms'][name]:.1f} |"
            for name in ("float32", "int8")
        ),
        f"\n{100 * facts['same_answer_as_evaluated']:.1f}% of the answers are the evaluated model's; a probability moves by up to "
        f"{facts['largest_change_of_a_probability']:.2f}, so thresholds are set on the served form's own scores:\n",
        "| promised error rate | answers from | answered % | wrong, at most (95%) |",
        "| --- | --- | --- | --- |",
    ]
    for rate in ERROR_RATES:
        limit = loosest_threshold(np.array(calibration["confidence"]), np.array(calibration["right"]), rate)
        lines.append(
            f"| {rate:.0%} | none | 0 | |"
            if limit.value is None
            else f"| {rate:.0%} | {limit.value:.2f} | {100 * limit.answers / limit.rows:.0f} | {limit.upper:.1%} |"
        )
    return "\n".join(lines) + "\n"
