"""What Bedrock's customization jobs show, in our words, and the limits that AWS sets for Nova."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from typing import Any

from finetune.data.ticket import Tickets
from finetune.platforms.chats import TRAIN, files_by
from finetune.platforms.container import stage_of
from finetune.platforms.contract import NoAnswer, RemoteStatus, Stage
from finetune.platforms.http import time_of

LABEL = "Amazon Bedrock"
BASES = "amazon.nova-"
"""Custom models of these answer on demand; those of other bases need Provisioned Throughput, billed by the hour."""
MIN_EXAMPLES, MAX_EPOCHS = 8, 5
TOKENS = "trainwise-tokens"  # a tag: the tokens that we expect to be trained
METRICS = "step_wise_training_metrics.csv"
STAGES = {
    "InProgress": Stage.RUNNING,
    "Completed": Stage.SUCCEEDED,
    "Failed": Stage.FAILED,
    "Stopping": Stage.RUNNING,
    "Stopped": Stage.CANCELLED,
}


def bedrock_line(question: str, answer: str) -> dict[str, Any]:
    """A chat as Nova's tuning reads it."""
    turns = (("user", question), ("assistant", answer))
    messages = [{"role": role, "content": [{"text": text}]} for role, text in turns]
    return {"schemaVersion": "bedrock-conversation-2024", "messages": messages}


def bedrock_files(tickets: Tickets, recipe: Mapping[str, Any]) -> dict[str, bytes]:
    """The training rows in Nova's format; no validation rows, as Bedrock does not use them."""
    return {TRAIN: files_by(bedrock_line, tickets, recipe)[TRAIN]}


def status_of(job: Mapping[str, Any], cursor: int, end: Mapping[str, Any] | None) -> RemoteStatus:
    """A described job in our words; seconds by AWS's clock, the phase once training has begun."""
    try:
        name, word = str(job["jobName"]), str(job["status"])
        stage, note = stage_of(word, STAGES)
        if word == "InProgress" and not has_begun(job):
            stage = Stage.WAITING
        until = job.get("endTime")
        headers = job["ResponseMetadata"].get("HTTPHeaders") or {}
        at = until.timestamp() if until else time_of(str(headers.get("date", "")))
        ran_s = max(0.0, at - job["creationTime"].timestamp()) if at and stage is not Stage.WAITING else 0.0
        note = note or str(job.get("failureMessage") or "")[:200]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoAnswer(f"{LABEL} showed something that is no job ({type(error).__name__}).") from error
    is_new = cursor == 0 and stage is not Stage.WAITING
    events = ({"kind": "phase", "phase": "training"},) if is_new else ()
    return RemoteStatus(name, stage, word, name, ran_s, note, events, 1 if is_new else cursor, end)


def has_begun(job: Mapping[str, Any]) -> bool:
    """Whether training has begun; AWS promises details for distillation alone, and without any a job counts as begun."""
    details = job.get("statusDetails")
    return not details or (details.get("trainingDetails") or {}).get("status") not in (None, "NotStarted")


def end_of(job: Mapping[str, Any]) -> dict[str, Any] | None:
    """The job's last word: done once it names its model, failed with AWS's reason."""
    if job.get("status") == "Completed" and job.get("outputModelArn"):
        return {"kind": "finished", "data": {}}
    if job.get("status") == "Failed":
        why = job.get("failureMessage") or "no reason was given"
        return {"kind": "failed", "data": {"error": f"{LABEL}: {why}"}}
    return None


def losses_of(table: bytes) -> list[dict[str, float]]:
    """Steps with their loss from the table that AWS writes (columns step_number and training_loss); none where it is another."""
    try:
        rows = list(csv.DictReader(io.StringIO(table.decode())))
        losses = [{"step": int(row["step_number"]) + 1, "loss": float(row["training_loss"])} for row in rows]
        return [one for one in losses if math.isfinite(one["loss"])]
    except (KeyError, ValueError, TypeError):
        return []
