"""Hugging Face Jobs: our image on the Hub's machines, a bucket of the Hub mounted as the place of the runs.

Client: huggingface_hub, whose create is sent once and would wait for ever without a limit of ours. Driven in tests against
a server on loopback that speaks the Hub's wire; never run live.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from finetune.platforms.answers import Missing, refusal
from finetune.platforms.container import ContainerPlatform, matches, stage_of
from finetune.platforms.contract import (
    CONTAINER_ENVIRONMENT,
    ENDED,
    Adapter,
    BadKey,
    Bill,
    NoAnswer,
    NotMade,
    Offer,
    Platform,
    RemoteStatus,
    Stage,
    Submission,
    Variable,
)
from finetune.platforms.machine_prices import date_of_today
from finetune.platforms.runs import RunStore

if TYPE_CHECKING:
    from huggingface_hub import HfApi, JobInfo

LABEL = "Hugging Face Jobs"
MOUNT = "/trainwise"
KEY = "trainwise"  # of the label that holds our tag
TIMEOUT_S = 30.0
STAGES = {
    "SCHEDULING": Stage.WAITING,
    "RUNNING": Stage.RUNNING,
    "COMPLETED": Stage.SUCCEEDED,
    "ERROR": Stage.FAILED,
    "CANCELED": Stage.CANCELLED,
    "DELETED": Stage.GONE,
}


class HubMachines:
    """The machines of one namespace; `image` is ours, `bucket` the Hub's bucket (namespace/name) that it mounts."""

    def __init__(self, api: HfApi, namespace: str, image: str, bucket: str) -> None:
        self._api, self._namespace, self._image, self._bucket = api, namespace, image, bucket
        self._usd_per_minute: dict[str, float] = {}

    def offers(self) -> list[Offer]:
        """The Hub's hardware with its price a minute, as it is told today."""
        with translate_errors():
            rows = self._api.list_jobs_hardware()
        self._usd_per_minute = {row.name: row.unit_cost_usd for row in rows if row.unit_label == "minute"}
        return [
            Offer(
                row.name,
                row.pretty_name,
                60 * row.unit_cost_usd,
                date_of_today(),
                gpu=row.accelerator.model if row.accelerator else "",
                gpu_gib=gib_of(row.accelerator.vram) if row.accelerator else 0.0,
                memory_gib=gib_of(row.ram),
            )
            for row in rows
            if row.name in self._usd_per_minute
        ]

    def create(self, submission: Submission) -> str:
        """One POST, without the client's `whoami`, which would ask another server with another token."""
        from huggingface_hub import Volume

        volume = Volume(type="bucket", source=self._bucket, mount_path=MOUNT, read_only=False)
        with translate_errors():
            job = self._api.run_job(
                image=self._image,
                command=submission.command(MOUNT),
                env=dict(CONTAINER_ENVIRONMENT),
                secrets=submission.secrets,
                flavor=submission.machine,
                timeout=int(submission.limit_s),
                attempts=1,
                name=submission.tag,
                labels={KEY: submission.tag},
                volumes=[volume],
                namespace=self._namespace,
            )
        return str(job.id)

    def find(self, tag: str) -> list[RemoteStatus]:
        labels = None if tag.endswith("-") else {KEY: tag}
        with translate_errors():
            jobs = list(self._api.list_jobs(namespace=self._namespace, labels=labels))
        statuses = [status_of(job) for job in jobs]
        return [one for one in statuses if one.tag and matches(one.tag, tag)]

    def look(self, remote_id: str) -> RemoteStatus:
        try:
            with translate_errors():
                return status_of(self._api.inspect_job(job_id=remote_id, namespace=self._namespace))
        except Missing:
            return RemoteStatus(remote_id, Stage.GONE, "404")

    def cancel(self, remote_id: str) -> None:
        try:
            with translate_errors():
                self._api.cancel_job(job_id=remote_id, namespace=self._namespace)
        except BadKey:
            raise
        except NotMade as error:
            if error.retry_after_s is not None:
                raise NoAnswer(str(error)) from error
            return  # it has ended or is unknown, as the next look shows

    def bill(self, remote_id: str) -> Bill | None:
        """Seconds that the job ran at the price of its machine; starting is billed too, so this is a little low."""
        try:
            with translate_errors():
                job = self._api.inspect_job(job_id=remote_id, namespace=self._namespace)
        except Missing:
            return None
        if not self._usd_per_minute:
            self.offers()
        seconds = (job.durations.running_secs if job.durations else None) or 0
        usd = seconds / 60 * self._usd_per_minute.get(str(job.flavor), 0.0)
        is_final = status_of(job).stage in ENDED
        return Bill(usd, is_final, f"{seconds} s on {job.flavor}")


def status_of(job: JobInfo) -> RemoteStatus:
    """A job of the Hub in our words."""
    word = getattr(job.status.stage, "value", str(job.status.stage))
    stage, note = stage_of(word, STAGES)
    message = job.status.message or ""
    if stage is Stage.FAILED and "timeout" in message.lower():
        stage = Stage.TIMED_OUT
    ran_s = job.durations.running_secs if job.durations else None
    return RemoteStatus(
        str(job.id), stage, word, (job.labels or {}).get(KEY, ""), ran_s, note or message[:200]
    )


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translates the client's errors into ours; an unreadable answer counts as none."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status == 404:
            raise Missing(f"{LABEL} does not know it.") from error
        raise refusal(LABEL, status, error.server_message or "", error.response.headers) from error
    except (httpx2.HTTPError, OSError) as error:
        raise NoAnswer(f"{LABEL} did not answer ({type(error).__name__}).") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoAnswer(f"{LABEL} answered something that is no job ({type(error).__name__}).") from error


def gib_of(text: str) -> float:
    """The number in `16 GB`."""
    try:
        return float(text.split()[0])
    except (ValueError, IndexError):
        return 0.0


def connect(values: Mapping[str, str]) -> Adapter:
    """The adapter of one namespace; the client gets a time limit, since it has none of its own."""
    import httpx2
    from huggingface_hub import HfApi, set_client_factory

    limit: Any = httpx2.Timeout(float(values.get("timeout_s") or TIMEOUT_S))
    set_client_factory(lambda: httpx2.Client(timeout=limit, follow_redirects=True))
    api = HfApi(endpoint=values["HF_ENDPOINT"], token=values["HF_TOKEN"])
    image, bucket = values["TRAINWISE_IMAGE"], values["TRAINWISE_HF_BUCKET"]
    runs_url = values.get("TRAINWISE_HF_RUNS_URL") or f"hf://buckets/{bucket}"
    return ContainerPlatform(
        HubMachines(api, values["TRAINWISE_HF_NAMESPACE"], image, bucket), RunStore(runs_url)
    )


PLATFORM = Platform(
    name="huggingface",
    label=LABEL,
    gives="weights",
    extra="train",
    modules=("huggingface_hub",),
    variables=(
        Variable("HF_TOKEN", "Token of the model hub with the right to run jobs.", secret=True, default=None),
        Variable("TRAINWISE_HF_NAMESPACE", "User or organisation that the jobs are billed to.", default=None),
        Variable(
            "TRAINWISE_HF_BUCKET", "Private bucket of the Hub (owner/name) that the jobs mount.", default=None
        ),
        Variable("TRAINWISE_IMAGE", "Our container image, as the platforms pull it.", default=None),
        Variable(
            "TRAINWISE_HF_RUNS_URL", "The same bucket as the bot reaches it; default: hf://buckets/BUCKET."
        ),
        Variable("HF_ENDPOINT", "Another address of the Hub.", default="https://huggingface.co"),
    ),
    connect=connect,
    leaves="to a private bucket of the Hub, erased at the end.",
    settle_s=120.0,
    steps=(
        "Make a token with the right to run jobs, and a private bucket, both on huggingface.co.",
        "Push the image of `deploy/Dockerfile` to a registry that the Hub can pull from.",
        "Set HF_TOKEN, TRAINWISE_HF_NAMESPACE, TRAINWISE_HF_BUCKET and TRAINWISE_IMAGE, and start the bot again.",
        "`trainwise doctor` looks up a job that nobody has and says whether the token may.",
    ),
)
