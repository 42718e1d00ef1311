"""Triage on a CPU: one ONNX graph with the head in it, run by onnxruntime in the serving process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from finetune.data.ticket import Tickets
from finetune.serving.answers import ServedModel
from finetune.serving.backends import Backend
from finetune.serving.held_out import held_out


def publish(
    run: Path,
    report: Mapping[str, Any],
    tickets_of: Callable[[str], Tickets],
    out: Path,
    note: Callable[[str], None],
) -> None:
    """Export, score and write the version."""
    from finetune.serving import publish as publishing

    rows = held_out(dict(report), tickets_of)
    publishing.publish(run, rows, dict(report), out, note)


def load(folder: Path, error_rate: float) -> ServedModel:
    """The version, ready to answer."""
    from finetune.serving.classifier import ServedTriage

    return ServedTriage(folder, error_rate)


BACKEND = Backend("onnx", "triage", publish, load)
