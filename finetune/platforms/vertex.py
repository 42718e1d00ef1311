"""Vertex AI custom jobs: our image on Google's machines, Cloud Storage as the place of the runs.

Client: httpx with google-auth's service account, since Google's own SDK does not resolve beside our pins. There is no request
id: a lost answer is found by its label. Driven in tests against a server on loopback; never run live.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from finetune.platforms.answers import Missing
from finetune.platforms.container import ContainerPlatform, matches, stage_of
from finetune.platforms.contract import (
    ENDED,
    Adapter,
    BadKey,
    Bill,
    NoAnswer,
    NotMade,
    Offer,
    Platform,
    PlatformError,
    Sighting,
    Stage,
    Submission,
    Variable,
)
from finetune.platforms.http import TIMEOUT_S, JsonClient
from finetune.platforms.machine_prices import prices_of
from finetune.platforms.runs import RunStore

LABEL = "Vertex AI"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
MACHINES = "TRAINWISE_VERTEX_MACHINES"
KEY = "trainwise"  # of the label that holds our tag
DEADLINE_EXCEEDED = 4
STAGES = {
    "JOB_STATE_QUEUED": Stage.WAITING,
    "JOB_STATE_PENDING": Stage.WAITING,
    "JOB_STATE_RUNNING": Stage.RUNNING,
    "JOB_STATE_SUCCEEDED": Stage.SUCCEEDED,
    "JOB_STATE_PARTIALLY_SUCCEEDED": Stage.SUCCEEDED,
    "JOB_STATE_FAILED": Stage.FAILED,
    "JOB_STATE_CANCELLING": Stage.RUNNING,
    "JOB_STATE_CANCELLED": Stage.CANCELLED,
    "JOB_STATE_PAUSED": Stage.RUNNING,
    "JOB_STATE_UPDATING": Stage.RUNNING,
    "JOB_STATE_EXPIRED": Stage.GONE,
}


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

    def find(self, tag: str) -> list[Sighting]:
        pattern = f"labels.{KEY}:*" if tag.endswith("-") else f'labels.{KEY}="{tag}"'
        sightings, page = [], ""
        while True:
            answer = self._client.call("GET", "/customJobs", params={"filter": pattern, "pageToken": page})
            sightings += [sighting_of(job) for job in answer.get("customJobs", [])]
            page = answer.get("nextPageToken", "")
            if not page:
                return [one for one in sightings if matches(one.tag, tag)]

    def look(self, remote_id: str) -> Sighting:
        try:
            return sighting_of(self._client.call("GET", f"/customJobs/{remote_id}"))
        except Missing:
            return Sighting(remote_id, Stage.GONE, "404")

    def cancel(self, remote_id: str) -> None:
        try:
            self._client.call("POST", f"/customJobs/{remote_id}:cancel", json={})
        except Missing:
            return
        except NotMade as error:
            if isinstance(error, BadKey) or error.retry_after_s is not None:
                raise
            return  # it has ended: the next look says so

    def bill(self, remote_id: str) -> Bill | None:
        """Seconds from start to end at the team's price of the machine."""
        try:
            job = self._client.call("GET", f"/customJobs/{remote_id}")
        except Missing:
            return None
        sighting = sighting_of(job)
        spec = job["jobSpec"]["workerPoolSpecs"][0]["machineSpec"]
        machine = "+".join(filter(None, (spec["machineType"], spec.get("acceleratorType", ""))))
        usd = (sighting.ran_s or 0.0) / 3600 * self._machines.get(machine, 0.0)
        return Bill(usd, sighting.stage in ENDED, f"{sighting.ran_s or 0:.0f} s on {machine}")


def sighting_of(job: Mapping[str, Any]) -> Sighting:
    """A custom job in our words."""
    try:
        word, fault = str(job["state"]), job.get("error") or {}
        stage, note = stage_of(word, STAGES)
        if stage in (Stage.FAILED, Stage.CANCELLED) and fault.get("code") == DEADLINE_EXCEEDED:
            stage = Stage.TIMED_OUT
        began, ended = job.get("startTime"), job.get("endTime") or job.get("updateTime")
        seconds = time_of(ended) - time_of(began) if began and ended else 0.0
        name, tag = str(job["name"]).rpartition("/")[2], str(job.get("labels", {}).get(KEY, ""))
        return Sighting(
            name, stage, word, tag, max(0.0, seconds), note or str(fault.get("message", ""))[:200]
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoAnswer(f"{LABEL} showed something that is no job ({type(error).__name__}).") from error


def time_of(text: str) -> float:
    """Google's RFC 3339 time as Unix seconds."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Login:
    """The bearer token of a service account's key file, renewed by google-auth over our own HTTP client."""

    def __init__(self, path: str, timeout_s: float) -> None:
        import httpx
        from google.oauth2 import service_account

        try:
            info = json.loads(Path(path).read_text(encoding="utf-8"))
            self._credentials: Any = service_account.Credentials.from_service_account_info(
                info, scopes=[SCOPE]
            )
        except (OSError, ValueError) as error:
            raise PlatformError(
                f"GOOGLE_APPLICATION_CREDENTIALS names {path}, which is no key file of a service account."
            ) from error
        self._client = httpx.Client(timeout=timeout_s)

    def headers(self) -> dict[str, str]:
        """The header with a token that is still valid; BadKey where Google does not give one."""
        from google.auth.exceptions import GoogleAuthError, TransportError

        if not self._credentials.valid:
            try:
                self._credentials.refresh(self._request)
            except TransportError as error:
                raise NoAnswer(f"{LABEL}: Google gave no token ({type(error).__name__}).") from error
            except GoogleAuthError as error:
                raise BadKey(
                    f"{LABEL} refuses the service account: check GOOGLE_APPLICATION_CREDENTIALS."
                ) from error
        return {"Authorization": f"Bearer {self._credentials.token}"}

    def _request(self, url: str, method: str = "GET", body: Any = None, headers: Any = None, **_: Any) -> Any:
        """google-auth's transport: an answer with status, headers and data."""
        import httpx
        from google.auth.exceptions import TransportError

        try:
            answer = self._client.request(method, url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise TransportError(type(error).__name__) from error
        return _TokenAnswer(answer.status_code, dict(answer.headers), answer.content)


class _TokenAnswer:
    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status, self.headers, self.data = status, headers, data


def connect(values: Mapping[str, str]) -> Adapter:
    """The adapter of one project and region."""
    timeout_s = float(values.get("timeout_s") or TIMEOUT_S)
    login = Login(values["GOOGLE_APPLICATION_CREDENTIALS"], timeout_s)
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
        Variable("GOOGLE_APPLICATION_CREDENTIALS", "Path of the service account's key file.", default=None),
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
    leaves="The redacted tickets, the recipe; to your own Cloud Storage bucket, erased at the end.",
    settle_s=120.0,
    longest_s=7 * 86400.0,
    steps=(
        "Push the image of `deploy/Dockerfile` to Artifact Registry.",
        "Make a bucket, and a service account that may run Vertex AI jobs and write to it.",
        "Set GOOGLE_APPLICATION_CREDENTIALS and the TRAINWISE_VERTEX_* settings; start the bot again.",
        "`trainwise doctor` searches the project's custom jobs.",
    ),
)
