"""A Ray cluster of one's own: one training over several machines, a folder that all of them mount as the place of the runs.

Client: httpx on Ray's Jobs API. Ray's status proves nothing: after its head was lost a job with nothing running still read
RUNNING, and a training went on that Ray had forgotten. What counts is the run's own sign of life, which its driver writes
only while the first rank shows life, and its claim: whoever does not hold that leaves. Driven against a stand-in in
tests and, marked slow, against a real head with two nodes.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    Reference,
    RemoteStatus,
    Stage,
    Submission,
    Variable,
)
from finetune.platforms.http import TIMEOUT_S, Answer, JsonClient
from finetune.platforms.machine_prices import prices_of
from finetune.platforms.machine_shape import parse_shape
from finetune.platforms.plain_json import plain_object
from finetune.platforms.run_key import TEXT
from finetune.platforms.runs import CLAIM, DONE, LIFE, WORK, RunStore, earlier_tags

LABEL = "Ray cluster"
MACHINES = "TRAINWISE_RAY_MACHINES"
LEASE_S = 300.0
"""A run that shows no life for so long is lost, whatever Ray's status says."""
QUIET_S = 60.0
"""So long after its last sign of life nothing of a run is left: the ranks leave 45 s after their driver."""
PATIENCE = {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "900"}
"""For a group's machines to be free and its processes to start; Ray's own minute is short for both."""
STAGES = {
    "PENDING": Stage.WAITING,
    "RUNNING": Stage.RUNNING,
    "STOPPED": Stage.CANCELLED,
    "SUCCEEDED": Stage.SUCCEEDED,
    "FAILED": Stage.FAILED,
}


@dataclass(frozen=True)
class RayStatus(RemoteStatus):
    """A job as Ray shows it: `at` is now, `since` its beginning or end there, both by the cluster's clock."""

    at: float = 0.0
    since: float = 0.0
    machine: str = ""


class RayJobs:
    """The jobs of one cluster; a submission's id there is its tag. `mount` is where each machine has the place of the runs."""

    def __init__(
        self, client: JsonClient, stranger: JsonClient, mount: str, prices: dict[str, float]
    ) -> None:
        self._client, self._stranger, self._mount = client, stranger, mount.rstrip("/")
        self.prices = prices

    def offers(self) -> list[Offer]:
        """The groups of the setting; NotMade where the cluster answers people without a token."""
        self.demand_token()
        return [
            Offer(name, label_of(name), usd, "your setting", gpu="GPU" if name.endswith("gpu") else "")
            for name, usd in self.prices.items()
        ]

    def demand_token(self) -> None:
        """NotMade for a cluster that answers whoever reaches it, since whoever reaches it can run code there."""
        try:
            self._stranger.call("GET", "/api/version")
        except BadKey:
            return
        raise NotMade(
            f"The {LABEL} answers without a token: whoever reaches it can run code there. Start every machine of it with "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, and give the bot that token."
        )

    def create(self, submission: Submission) -> str:
        """One POST; of two with one tag Ray refuses the second, which counts as no answer and is found by the tag."""
        command = [*submission.command(self._mount), "--machines", submission.machine]
        body = {
            "submission_id": submission.tag,
            "entrypoint": shlex.join(command),
            "metadata": {"trainwise": submission.tag, "machine": submission.machine},
            "runtime_env": {"env_vars": {**submission.environment, **PATIENCE}},
        }
        return str(self._client.call("POST", "/api/jobs/", json=body)["submission_id"])

    def find(self, tag: str) -> list[RemoteStatus]:
        """By the exact id, which is consistent at once; the listing is used for a prefix only."""
        if not tag.endswith("-"):
            status = self.look(tag)
            return [] if status.stage is Stage.GONE else [status]
        rows = self._client.rows("/api/jobs/")
        return [status_of(row) for row in rows if matches(str(row.get("submission_id") or ""), tag)]

    def look(self, remote_id: str) -> RemoteStatus:
        try:
            return status_of(self._client.call("GET", f"/api/jobs/{remote_id}"))
        except Missing:
            at = self._client.call("GET", "/api/version").at
            return RayStatus(remote_id, Stage.GONE, "404", remote_id, at=at or time.time())

    def cancel(self, remote_id: str) -> None:
        """SIGTERM, and SIGKILL three seconds later; of an ended or unknown job it is no error."""
        try:
            self._client.call("POST", f"/api/jobs/{remote_id}/stop")
        except Missing:
            return

    def forget(self, remote_id: str) -> None:
        """Deletes the record of an ended job, which shows the run's key to whoever has the cluster's token."""
        try:
            self._client.call("DELETE", f"/api/jobs/{remote_id}")
        except Missing:
            return

    def bill(self, remote_id: str) -> Bill | None:
        """None: `RayCluster` makes it of the seconds that the run itself showed life."""
        return None


class RayCluster(ContainerPlatform):
    """The nine calls; what Ray says is held to what the run itself shows, and a cancel takes the run's claim away."""

    def __init__(self, jobs: RayJobs, runs: RunStore) -> None:
        super().__init__(jobs, runs)
        self._jobs = jobs

    def upload(self, submission: Submission) -> list[str]:
        self._jobs.demand_token()
        return super().upload(submission)

    def find(self, tag: str) -> list[RemoteStatus]:
        return [self._judge(one) for one in self._jobs.find(tag)]

    def look(self, reference: Reference) -> RemoteStatus:
        return judge(super().look(reference))

    def cancel(self, reference: Reference) -> None:
        """Takes the claim away and asks Ray: where Ray has forgotten the job, its driver leaves for want of the claim."""
        if self.runs.read(reference.tag, CLAIM) is not None:
            self.runs.write(reference.tag, CLAIM, b'{"instance": ""}')
        super().cancel(reference)

    def bill(self, reference: Reference) -> Bill | None:
        """Seconds from its start to its end, or to its last sign of life, at the team's price of the group."""
        status = self._judge(self._jobs.look(reference.remote_id))
        if status.ran_s is None or not isinstance(status, RayStatus):
            is_gone = status.stage is Stage.GONE  # then the seconds between its signs of life count
            return Bill(0.0, True, f"the {LABEL} has no record of it") if is_gone else None
        usd = status.ran_s / 3600 * self._jobs.prices.get(status.machine, 0.0)
        return Bill(usd, status.stage in ENDED, f"{status.ran_s:.0f} s on {status.machine}")

    def erase(self, reference: Reference) -> list[str]:
        """The run, what its earlier ones left to go on from, and Ray's record; checkpoints stay where they are wanted."""
        left = self.runs.erase(reference.tag, WORK if reference.keeps_checkpoints else "")
        if not reference.keeps_checkpoints:
            left += [place for tag in earlier_tags(reference.tag) for place in self.runs.erase(tag)]
        return left + (self._forget(reference) if reference.remote_id else [])

    def _forget(self, reference: Reference) -> list[str]:
        try:
            self._jobs.forget(reference.remote_id)
        except NoAnswer:  # also what Ray says of a job that it takes for running
            if self._jobs.look(reference.remote_id).stage in ENDED:
                raise
            return [f"the record of {reference.tag} in the {LABEL}, which takes it for running"]
        return []

    def _judge(self, status: RemoteStatus) -> RemoteStatus:
        """A job beside the sign of life and the last word as they stand there, unproved: forged ones end nothing that runs."""
        try:
            outer = plain_object(self.runs.read(status.tag, LIFE, 4096) or b"") or {}
            has_last_word = self.runs.read(status.tag, DONE, 1) is not None
        except NoAnswer as error:
            return judge(replace(status, unread=str(error)[:300]))
        at = (plain_object(str(outer.get(TEXT, "")).encode()) or {}).get("at")
        return judge(
            replace(
                status,
                life_at=float(at) if isinstance(at, int | float) else None,
                end={} if has_last_word else None,
            )
        )


def judge(status: RemoteStatus) -> RemoteStatus:
    """What Ray shows, held to the sign of life: none for LEASE_S is lost, and an end counts QUIET_S after the last one.

    What is billed ends with the last sign of life. Where the place of the runs cannot be read, a running job counts as
    running, and an end after LEASE_S.
    """
    if not isinstance(status, RayStatus) or status.end is not None:
        return status
    life_at = status.life_at or 0.0
    quiet_s = status.at - (max(life_at, status.since) if status.stage is Stage.RUNNING else life_at)
    if status.stage is Stage.RUNNING and not status.unread:
        ran_s = max(0.0, (status.ran_s or 0.0) - max(0.0, quiet_s))
        status = replace(status, ran_s=ran_s)
        # another word may mean waiting
        has_begun = status.word == "RUNNING" or status.life_at is not None
        if has_begun and quiet_s > LEASE_S:
            note = f"no sign of life for {quiet_s:.0f} s"
            return replace(status, stage=Stage.GONE, word=f"{status.word}, but {note}", note=note)
    if status.stage in ENDED:
        patience_s, silence_s = (LEASE_S, status.at - status.since) if status.unread else (QUIET_S, quiet_s)
        if silence_s < patience_s:
            note = f"Ray says {status.word}, but it showed life {max(0.0, quiet_s):.0f} s ago"
            return replace(status, stage=Stage.RUNNING, note=note)
    return status


def status_of(job: Answer) -> RayStatus:
    """A job of the Jobs API in our words; its seconds by the cluster's clock, which dated the answer."""
    try:
        word, tag = str(job["status"]), str(job["submission_id"])
        stage, note = stage_of(word, STAGES)
        at = job.at or time.time()
        began, end = float(job.get("start_time") or 0) / 1000, float(job.get("end_time") or 0) / 1000
        ran_s = max(0.0, (end or at) - began) if began else 0.0
        machine = str((job.get("metadata") or {}).get("machine", ""))
        facts: dict[str, Any] = {"at": at, "since": end or began, "machine": machine}
        return RayStatus(tag, stage, word, tag, ran_s, note or str(job.get("message") or "")[:200], **facts)
    except (TypeError, ValueError, AttributeError) as error:
        raise NoAnswer(f"The {LABEL} showed something that is no job ({type(error).__name__}).") from error


def label_of(machine: str) -> str:
    """`2x4gpu` in words; PlatformError for another shape."""
    shape = parse_shape(machine)
    if shape is None:
        raise PlatformError(
            f"{MACHINES} has {machine[:40]!r}: write machines, x, and what each has, such as 2x4gpu or 4x8cpu."
        )
    unit = "GPU" if shape.on_gpu else "core"
    return f"{shape.machines} machines, {shape.units} {unit}{'s' if shape.units != 1 else ''} each"


def connect(values: Mapping[str, str]) -> Adapter:
    """The adapter of one cluster."""
    prices = prices_of(values[MACHINES], MACHINES)
    for name in prices:
        label_of(name)
    login = {"Authorization": f"Bearer {values['TRAINWISE_RAY_TOKEN']}"}
    url, timeout_s = values["TRAINWISE_RAY_ADDRESS"], float(values.get("timeout_s") or TIMEOUT_S)
    runs_url = values["TRAINWISE_RAY_RUNS_URL"]
    mount = values.get("TRAINWISE_RAY_MOUNT") or runs_url
    if not mount.startswith("/"):
        raise PlatformError(
            f"TRAINWISE_RAY_MOUNT has {mount[:60]!r}: name a folder that every machine mounts."
        )
    jobs = RayJobs(
        JsonClient(LABEL, url, lambda: login, timeout_s),
        JsonClient(LABEL, url, dict, timeout_s),
        mount,
        prices,
    )
    return RayCluster(jobs, RunStore(runs_url))


PLATFORM = Platform(
    name="ray",
    label=LABEL,
    gives="weights",
    extra="train",
    modules=("httpx",),
    variables=(
        Variable(
            "TRAINWISE_RAY_ADDRESS",
            "Address of the cluster's Jobs API, such as http://10.0.0.5:8265.",
            default=None,
        ),
        Variable(
            "TRAINWISE_RAY_TOKEN", "The cluster's token (its RAY_AUTH_TOKEN).", secret=True, default=None
        ),
        Variable(
            "TRAINWISE_RAY_RUNS_URL",
            "The folder that every machine of the cluster mounts, as the bot reaches it.",
            default=None,
        ),
        Variable("TRAINWISE_RAY_MOUNT", "The same folder on the machines of the cluster; default: the same."),
        Variable(
            MACHINES,
            "Groups with your dollars an hour for the whole group: `2x1gpu=4.00, 4x8cpu=0.80`.",
            default=None,
        ),
    ),
    connect=connect,
    leaves="to your own cluster's shared folder, erased at the end.",
    unique_names=True,
    resumes=True,
    most_losses=3,
    settle_s=30.0,
    queue_s=3600.0,
    longest_s=7 * 86400.0,
    steps=(
        "Start every machine of the cluster with RAY_AUTH_MODE=token, our worker's image with Ray, and one shared folder.",
        "Set the TRAINWISE_RAY_* settings and start the bot again; deploy/ray has the files for the cluster.",
        "`trainwise doctor` refuses a cluster that answers without its token.",
    ),
)
