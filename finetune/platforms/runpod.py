"""RunPod pods by REST v2: our image on a rented GPU, a network volume as the place of the runs.

Client: httpx. A pod has no time limit of its own and may start an ended container anew, billing on: our last word in the
volume decides, then the pod is deleted, and the remote controller deletes pods that no job owns. Written from RunPod's OpenAPI
of REST v2 (beta, 2026-08); driven in tests against a server on loopback; never run live.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from finetune.platforms.answers import Missing
from finetune.platforms.bucket_login import bucket_login, bucket_variables
from finetune.platforms.container import ContainerPlatform, matches, stage_of
from finetune.platforms.contract import (
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
from finetune.platforms.http import TIMEOUT_S, Answer, JsonClient
from finetune.platforms.machine_prices import date_of_today
from finetune.platforms.runs import RunStore

LABEL = "RunPod"
URL = "https://api.runpod.io/v2"
MOUNT = "/trainwise"
DISK_GB = 60
STAGES = {
    "PROVISIONING": Stage.WAITING,
    "STARTING": Stage.RUNNING,
    "RUNNING": Stage.RUNNING,
    "EXITED": Stage.FAILED,  # billed on, and perhaps started anew: only deleting it ends that (`restarts`)
    "ERROR": Stage.FAILED,
    "TERMINATED": Stage.GONE,
}


class Pods:
    """The pods of one account, in the data centre of its network volume."""

    def __init__(self, client: JsonClient, image: str, volume: str, data_center: str) -> None:
        self._client, self._image = client, image
        self._volume, self._data_center = volume, data_center

    def offers(self) -> list[Offer]:
        """The catalogue's GPUs with today's price, those in stock only."""
        rows = self._client.call("GET", "/catalog/gpus", params={"include": "AVAILABILITY", "product": "POD"})
        offers = []
        for row in rows["gpus"]:
            usd = (row.get("price") or {}).get("secure")
            if isinstance(usd, int | float) and row.get("stock") not in (None, "NONE"):
                name, gib = str(row["id"]), float(row.get("memory") or 0)
                offers.append(
                    Offer(name, str(row.get("displayName") or name), float(usd), date_of_today(), name, gib)
                )
        return offers

    def create(self, submission: Submission) -> str:
        """One POST. A 400 is a broken rule or no capacity, told apart by nothing: certainly no pod."""
        body = {
            "name": submission.tag,
            "image": self._image,
            "args": shlex.join(submission.command(MOUNT)[1:]),
            "env": submission.environment,
            "gpu": {"id": submission.machine, "count": 1},
            "cloud": "SECURE",
            "dataCenterIds": [self._data_center],
            "disk": DISK_GB,
            "mounts": {"network": [{"volumeId": self._volume, "path": MOUNT}]},
        }
        return str(self._client.call("POST", "/pods", json=body)["id"])

    def find(self, tag: str) -> list[RemoteStatus]:
        answer = self._client.call("GET", "/pods")
        pods = [pod for pod in answer["pods"] if matches(str(pod.get("name", "")), tag)]
        return [status_of(pod, answer) for pod in pods]

    def look(self, remote_id: str) -> RemoteStatus:
        try:
            pod = self._client.call("GET", f"/pods/{remote_id}")
            return status_of(pod, pod)
        except Missing:
            return RemoteStatus(remote_id, Stage.GONE, "404")

    def cancel(self, remote_id: str) -> None:
        """Deletes the pod: nothing less ends its bill."""
        try:
            self._client.call("DELETE", f"/pods/{remote_id}")
        except Missing:
            return
        except NotMade as error:
            if isinstance(error, BadKey):
                raise
            raise NoAnswer(str(error)) from error

    def bill(self, remote_id: str) -> Bill | None:
        """What the billing records add up to; they come late, so this is never called final before it says something."""
        record = self._client.call("GET", "/billing/pods", params={"podId": remote_id})
        usd = float(record["metadata"]["totals"]["totalAmount"])
        return Bill(usd, usd > 0, "billing records of the pod")


def status_of(pod: Mapping[str, Any], answer: Answer) -> RemoteStatus:
    """A pod in our words; its seconds by RunPod's own clock, which dated the answer, so that ours may jump."""
    try:
        stage, note = stage_of(str(pod["status"]), STAGES)
        began = pod.get("startedAt")
        seconds = answer.at - datetime.fromisoformat(str(began)).timestamp() if began and answer.at else 0.0
        return RemoteStatus(
            str(pod["id"]), stage, str(pod["status"]), str(pod["name"]), max(0.0, seconds), note
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NoAnswer(f"{LABEL} showed something that is no pod ({type(error).__name__}).") from error


def connect(values: Mapping[str, str]) -> Adapter:
    """The adapter of one account."""
    login = {"Authorization": f"Bearer {values['RUNPOD_API_KEY']}"}
    url, timeout_s = values.get("TRAINWISE_RUNPOD_URL") or URL, float(values.get("timeout_s") or TIMEOUT_S)
    client = JsonClient(LABEL, url, lambda: login, timeout_s)
    volume, center = values["TRAINWISE_RUNPOD_VOLUME"], values["TRAINWISE_RUNPOD_DATA_CENTER"]
    pods = Pods(client, values["TRAINWISE_IMAGE"], volume, center)
    runs = RunStore(values["TRAINWISE_RUNPOD_RUNS_URL"], bucket_login(values, "TRAINWISE_RUNPOD"))
    return ContainerPlatform(pods, runs)


PLATFORM = Platform(
    name="runpod",
    label=LABEL,
    gives="weights",
    extra="s3",
    modules=("httpx",),
    variables=(
        Variable(
            "RUNPOD_API_KEY", "RunPod's key, with the right to pods and billing.", secret=True, default=None
        ),
        Variable("TRAINWISE_RUNPOD_VOLUME", "Id of the network volume that the pods mount.", default=None),
        Variable(
            "TRAINWISE_RUNPOD_DATA_CENTER", "Data centre of that volume, such as EU-RO-1.", default=None
        ),
        Variable(
            "TRAINWISE_RUNPOD_RUNS_URL", "The same volume as the bot reaches it: s3://VOLUME.", default=None
        ),
        Variable("TRAINWISE_IMAGE", "Our container image, as the platforms pull it.", default=None),
        *bucket_variables("TRAINWISE_RUNPOD", "RunPod's volume"),
        Variable("TRAINWISE_RUNPOD_URL", "Another address of RunPod's REST API.", default=URL),
    ),
    connect=connect,
    leaves="to your network volume at RunPod, erased at the end.",
    settle_s=120.0,
    restarts=True,
    steps=(
        "Make a network volume in a data centre with RunPod's S3-compatible API, and an S3 key for it.",
        "Push the image of `deploy/Dockerfile` to a registry that RunPod can pull from.",
        "Set RUNPOD_API_KEY and the TRAINWISE_RUNPOD_* settings, the S3 key and its address among them.",
        "`trainwise doctor` lists the pods; the form then shows the GPUs in stock with their prices.",
    ),
)
