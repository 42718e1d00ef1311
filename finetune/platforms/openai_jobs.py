"""What OpenAI's tuning wire shows, in our words: jobs, steps, last words, errors, and until when jobs are taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from finetune.platforms.answers import Missing, refusal
from finetune.platforms.container import stage_of
from finetune.platforms.contract import NoAnswer, PlatformError, RemoteStatus, Stage

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob

LABEL = "OpenAI"
URL = "https://api.openai.com/v1"
KEY = "trainwise"  # of the metadata that hold our tag
CLOSING = date(2027, 1, 6)
"""From here on OpenAI takes no new fine-tuning jobs, whatever its list says; other addresses only follow their list."""
STAGES = {
    "validating_files": Stage.WAITING,
    "queued": Stage.WAITING,
    "running": Stage.RUNNING,
    "succeeded": Stage.SUCCEEDED,
    "failed": Stage.FAILED,
    "cancelled": Stage.CANCELLED,
}


def status_of(job: FineTuningJob, at: float | None) -> RemoteStatus:
    """A job in our words; its seconds by the platform's clock `at`, None: not told."""
    stage, note = stage_of(str(job.status), STAGES)
    until = job.finished_at or at
    ran_s = max(0.0, until - job.created_at) if until and stage is not Stage.WAITING else None
    return RemoteStatus(str(job.id), stage, str(job.status), tag_of(job), ran_s, note)


def tag_of(job: FineTuningJob) -> str:
    """Our tag, from the metadata or the suffix; "" for a job of somebody else."""
    suffix = getattr(job, "user_provided_suffix", None)
    return str((job.metadata or {}).get(KEY) or suffix or "")


def end_of(job: FineTuningJob) -> dict[str, Any] | None:
    """The job's last word: done once it names its model, failed with the platform's reason."""
    if job.status == "succeeded" and job.fine_tuned_model:
        return {"kind": "finished", "data": {}}
    if job.status == "failed":
        why = job.error.message if job.error else "no reason was given"
        return {"kind": "failed", "data": {"error": f"{LABEL}: {why}"}}
    return None


def step_of(event: Any) -> dict[str, Any] | None:
    """A step with its loss, as our containers tell it; None for an event that is none."""
    data = event.data if event.type == "metrics" and isinstance(event.data, dict) else {}
    step, loss, steps = data.get("step"), data.get("train_loss"), data.get("total_steps")
    if not isinstance(step, int) or not isinstance(loss, int | float):
        return None
    return {"kind": "step", "step": step, "steps": steps if isinstance(steps, int) else step, "loss": loss}


def closing_day(url: str, shutdown: Any) -> date:
    """The day from which a model takes no job: OpenAI's own, or an earlier one that the list of models names."""
    days = [CLOSING] if urlsplit(url).hostname == urlsplit(URL).hostname else []
    with suppress(ValueError):
        days += [date.fromisoformat(str(shutdown)[:10])] if shutdown else []
    return min(days, default=date.max)


def closing_words(day: date) -> str:
    """The sentence for a platform that takes no jobs any more."""
    return (
        f"{LABEL} takes no new fine-tuning jobs since {day.isoformat()}: choose another place, or a gateway that keeps the "
        "wire (TRAINWISE_OPENAI_URL)."
    )


@contextmanager
def translate_errors(key: str) -> Iterator[None]:
    """Translates the client's errors into ours; an unreadable answer counts as none; never shows the key."""
    import openai

    try:
        yield
    except PlatformError:
        raise
    except openai.APIStatusError as error:
        body = error.body if isinstance(error.body, dict) else {}
        detail = str(body.get("message") or "").replace(key, "***")
        if error.status_code == 404:
            raise Missing(f"{LABEL} does not know it.") from error
        raise refusal(LABEL, error.status_code, detail, error.response.headers) from error
    except openai.OpenAIError as error:
        raise NoAnswer(f"{LABEL} did not answer ({type(error).__name__}).") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoAnswer(f"{LABEL} answered something unexpected ({type(error).__name__}).") from error
