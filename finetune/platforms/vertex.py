"""Vertex AI custom jobs: our image on Google's machines, Cloud Storage as the place of the runs.

Client: httpx with google-auth's service account, since Google's own SDK does not resolve beside our pins. There is no request
id: a lost answer is found by its label. Driven in tests against a server on loopback; never run live.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune.platforms.answers import Missing
from finetune.platforms.container import ContainerPlatform, matches, stage_of
from finetune.platforms.contract import (
    ENDED,
    Adapter,
    Bill,
    NoAnswer,
    Offer,
    Platform,
    RemoteStatus,
    Stage,
    Submission,
    Variable,
)
from finetune.platforms.google import CREDENTIALS, KEY, STAGES, Login, cancel_job, labelled_jobs, time_of
from finetune.platforms.http import TIMEOUT_S, JsonClient
from finetune.platforms.machine_prices import prices_of
from finetune.platforms.runs import RunStore

LABEL = "Vertex AI"
MACHINES = "TRAINWISE_VERTEX_MACHINES"
DEADLINE_EXCEEDED = 4


class CustomJobs:
    """The custom jobs of one project and region; a machine is `g2-standard-4+NVIDIA_L4`, with the team's price an hour."""

    def __init__(self, client: JsonClient, image: str, inside: str, machines: Mapping[str, float]) -> None:
        self._client, self._image, self._inside, self._machines = client, image, inside, machines

    def offers(self) -> list[Offer]:
        """The machines of the setting."""
        rows = self._machines.items()
        return [Offer(n, n, usd, "your setting", gpu=n.partition("+")[2]) for n, usd in rows]

    def create(self, submission: Submission) -> str:
        """One POST; the platform's own time limit is the budget's."""
        machine, _, chip = submission.machine.partition("+")
        spec: dict[str, Any] = {"machineType": machine}
        if chip:
            spec |= {"acceleratorType": chip, "acceleratorCount": 1}
        pool = {
            "machineSpec": spec,
            "replicaCount": "1",
            "containerSpec": {
                "imageUri": self._image,
                "command": submission.command(self._inside),
                "env": [{"name": name, "value": value} for name, value in submission.environment.items()],
            },
        }
        body = {
            "displayName": submission.tag,
            "labels": {KEY: submission.tag},
            "jobSpec": {
                "workerPoolSpecs": [pool],
                "scheduling": {"timeout": f"{int(submission.limit_s)}s", "restartJobOnWorkerRestart": False},
            },
        }
        return str(self._client.call("POST", "/customJobs", json=body)["name"]).rpartition("/")[2]

    def find(self, tag: str) -> list[RemoteStatus]:
        statuses = map(status_of, labelled_jobs(self._client, "/customJobs", "customJobs", tag))
        return [one for one in statuses if matches(one.tag, tag)]

    def look(self, remote_id: str) -> RemoteStatus:
        try:
            return status_of(self._client.call("GET", f"/customJobs/{remote_id}"))
        except Missing:
            return RemoteStatus(remote_id, Stage.GONE, "404")

    def cancel(self, remote_id: str) -> None:
        cancel_job(self._client, f"/customJobs/{remote_id}")

    def bill(self, remote_id: str) -> Bill | None:
        """Seconds from start to end at the team's price of the machine."""
        try:
            job = self._client.call("GET", f"/customJobs/{remote_id}")
        except Missing:
            return None
        status = status_of(job)
        spec = job["jobSpec"]["workerPoolSpecs"][0]["machineSpec"]
        machine = "+".join(filter(None, (spec["machineType"], spec.get("acceleratorType", ""))))
        usd = (status.ran_s or 0.0) / 3600 * self._machines.get(machine, 0.0)
        return Bill(usd, status.stage in ENDED, f"{status.ran_s or 0:.0f} s on {machine}")


def status_of(job: Mapping[str, Any]) -> RemoteStatus:
    """A custom job in our words."""
    try:
        word, fault = str(job["state"]), job.get("error") or {}
        stage, note = stage_of(word, STAGES)
        if stage in (Stage.FAILED, Stage.CANCELLED) and fault.get("code") == DEADLINE_EXCEEDED:
            stage = Stage.TIMED_OUT
        began, ended = job.get("startTime"), job.get("endTime") or job.get("updateTime")
        seconds = time_of(ended) - time_of(began) if began and ended else 0.0
        name, tag = str(job["name"]).rpartition("/")[2], str(job.get("labels", {}).get(KEY, ""))
        return RemoteStatus(
            name, stage, word, tag, max(0.0, seconds), note or str(fault.get("message", ""))[:200]
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoAnswer(f"{LABEL} showed something that is no job ({type(error).__name__}).") from error


def connect(values: Mapping[str, str]) -> Adapter:
    """The adapter of one project and region."""
    timeout_s = float(values.get("timeout_s") or TIMEOUT_S)
    login = Login(LABEL, values[CREDENTIALS.name], timeout_s)
    project, region = values["TRAINWISE_VERTEX_PROJECT"], values["TRAINWISE_VERTEX_REGION"]
    address = values.get("TRAINWISE_VERTEX_URL") or f"https://{region}-aiplatform.googleapis.com"
    client = JsonClient(
        LABEL, f"{address}/v1/projects/{project}/locations/{region}", login.headers, timeout_s
    )
    runs_url = values["TRAINWISE_VERTEX_RUNS_URL"]
    machines = prices_of(values[MACHINES], MACHINES)
    jobs = CustomJobs(client, values["TRAINWISE_VERTEX_IMAGE"], mounted(runs_url), machines)
    return ContainerPlatform(jobs, RunStore(runs_url))


def mounted(runs_url: str) -> str:
    """`gs://bucket/path` as Vertex mounts it into a job's container."""
    return runs_url.replace("gs://", "/gcs/", 1)


PLATFORM = Platform(
    name="vertex",
    label=LABEL,
    gives="weights",
    extra="gcp",
    modules=("google",),
    variables=(
        CREDENTIALS,
        Variable("TRAINWISE_VERTEX_PROJECT", "Google Cloud project that is billed.", default=None),
        Variable("TRAINWISE_VERTEX_RUNS_URL", "gs:// prefix for the runs.", default=None),
        Variable("TRAINWISE_VERTEX_IMAGE", "Our container image in Artifact Registry.", default=None),
        Variable(
            MACHINES,
            "Machines with your dollars an hour: `g2-standard-4+NVIDIA_L4=0.71, n1-standard-4=0.22`.",
            default=None,
        ),
        Variable("TRAINWISE_VERTEX_REGION", "Region of the jobs.", default="us-central1"),
        Variable("TRAINWISE_VERTEX_URL", "Another address of Vertex AI."),
    ),
    connect=connect,
    leaves="to your own Cloud Storage bucket, erased at the end.",
    settle_s=120.0,
    longest_s=7 * 86400.0,
    steps=(
        "Push the image of `deploy/Dockerfile` to Artifact Registry.",
        "Make a bucket, and a service account that may run Vertex AI jobs and write to it.",
        "Set GOOGLE_APPLICATION_CREDENTIALS and the TRAINWISE_VERTEX_* settings; start the bot again.",
        "`trainwise doctor` searches the project's custom jobs.",
    ),
)
