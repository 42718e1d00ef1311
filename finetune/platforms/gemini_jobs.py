"""What Vertex AI's tuning jobs show, in our words: number, tag, stage, seconds, last word, statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune.data.ticket import Tickets
from finetune.platforms.chats import files_by
from finetune.platforms.container import stage_of
from finetune.platforms.contract import NoAnswer, RemoteStatus, Stage
from finetune.platforms.google import KEY, STAGES, time_of

LABEL = "Google Gemini"
TOKENS = "trainwise_tokens"  # a label: the tokens that we expect to be trained
MAX_DEV = 5000  # validation rows that Google accepts


def gemini_line(question: str, answer: str) -> dict[str, Any]:
    """A chat as Gemini's tuning reads it."""
    turns = (("user", question), ("model", answer))
    return {"contents": [{"role": role, "parts": [{"text": text}]} for role, text in turns]}


def gemini_files(tickets: Tickets, recipe: Mapping[str, Any]) -> dict[str, bytes]:
    """The files in Gemini's shape."""
    return files_by(gemini_line, tickets, recipe, MAX_DEV)


def status_of(job: Mapping[str, Any]) -> RemoteStatus:
    """A tuning job in our words; its seconds are those between Google's own times."""
    try:
        word, fault = str(job["state"]), job.get("error") or {}
        stage, note = stage_of(word, STAGES)
        start, end = job.get("startTime"), job.get("endTime") or job.get("updateTime")
        seconds = max(0.0, time_of(end) - time_of(start)) if start and end else 0.0
        note = note or str(job.get("tuningJobState") or fault.get("message") or "")[:200]
        return RemoteStatus(number_of(job), stage, word, tag_of(job), seconds, note)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoAnswer(f"{LABEL} showed something that is no job ({type(error).__name__}).") from error


def number_of(job: Mapping[str, Any]) -> str:
    """The last part of a job's name."""
    return str(job["name"]).rpartition("/")[2]


def labels_of(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """A job's labels."""
    return job.get("labels") or {}


def tag_of(job: Mapping[str, Any]) -> str:
    """Our tag; "" for a job of somebody else."""
    return str(labels_of(job).get(KEY, ""))


def model_of(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tuned model with its `model` and its `endpoint`; empty before the end."""
    return job.get("tunedModel") or {}


def epochs_in(job: Mapping[str, Any]) -> int:
    """How often the job goes through its rows."""
    return int(((job.get("supervisedTuningSpec") or {}).get("hyperParameters") or {}).get("epochCount") or 1)


def statistics_of(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """What Google counted in the rows, a few of them as examples among it."""
    return (job.get("tuningDataStats") or {}).get("supervisedTuningDataStats") or {}


def end_of(job: Mapping[str, Any], stage: Stage) -> dict[str, Any] | None:
    """The job's last word: done once an endpoint answers for its model, failed with Google's reason."""
    if stage is Stage.SUCCEEDED and model_of(job).get("endpoint"):
        return {"kind": "finished", "data": {}}
    if stage is Stage.FAILED:
        why = (job.get("error") or {}).get("message") or "no reason was given"
        return {"kind": "failed", "data": {"error": f"{LABEL}: {why}"}}
    return None
