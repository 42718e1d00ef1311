"""Amazon SageMaker training jobs: our image from ECR, S3 as the place of the runs, names that are unique for ever.

Client: boto3, whose repeats of a create are switched off. Driven in tests against a server on loopback that checks every
body by botocore's own model of the service; never run live.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune.platforms.answers import Missing
from finetune.platforms.aws import KEYS, TIMEOUT_S, InUse, WrongStatus, key_in, translate_errors
from finetune.platforms.container import ContainerPlatform, stage_of
from finetune.platforms.contract import (
    ENDED,
    Adapter,
    Bill,
    Offer,
    Platform,
    RemoteStatus,
    Stage,
    Submission,
    Variable,
)
from finetune.platforms.machine_prices import prices_of
from finetune.platforms.runs import RunStore
from finetune.wires.bedrock import client_of

LABEL = "Amazon SageMaker"
DISK_GB = 100
MACHINES = "TRAINWISE_SAGEMAKER_MACHINES"
STAGES = {
    "InProgress": Stage.RUNNING,
    "Completed": Stage.SUCCEEDED,
    "Failed": Stage.FAILED,
    "Stopping": Stage.RUNNING,
    "Stopped": Stage.CANCELLED,
    "Deleting": Stage.CANCELLED,
}
BEFORE_TRAINING = frozenset(
    {
        "Starting",
        "LaunchingMLInstances",
        "PreparingTrainingStack",
        "Downloading",
        "DownloadingTrainingImage",
        "Pending",
    }
)


class TrainingJobs:
    """The training jobs of one account and region; `machines` are instance types with the team's price an hour."""

    def __init__(
        self, client: Any, image: str, role: str, runs_url: str, machines: Mapping[str, float]
    ) -> None:
        self._client, self._image, self._role = client, image, role
        self._runs_url, self._machines = runs_url, machines

    def offers(self) -> list[Offer]:
        """The instance types of the setting: SageMaker itself tells no price."""
        rows = self._machines.items()
        return [Offer(name, name, usd, "your setting", gpu=gpu_of(name)) for name, usd in rows]

    def create(self, submission: Submission) -> str:
        """One request; a name that is in use means that an earlier one was made."""
        body: dict[str, Any] = {
            "TrainingJobName": submission.tag,
            "AlgorithmSpecification": {
                "TrainingImage": self._image,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": submission.command(self._runs_url),
            },
            "RoleArn": self._role,
            "OutputDataConfig": {"S3OutputPath": f"{self._runs_url}/{submission.tag}/sagemaker"},
            "ResourceConfig": {
                "InstanceType": submission.machine,
                "InstanceCount": 1,
                "VolumeSizeInGB": DISK_GB,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": int(submission.limit_s)},
            "Environment": submission.environment,
            "Tags": [{"Key": "trainwise", "Value": submission.tag}],
        }
        try:
            with translate_errors(LABEL):
                arn = self._client.create_training_job(**body)["TrainingJobArn"]
        except InUse:
            return submission.tag
        return str(arn).rpartition("/")[2]

    def find(self, tag: str) -> list[RemoteStatus]:
        """By the exact name, which is consistent at once; the listing is used for a prefix only."""
        if not tag.endswith("-"):
            status = self.look(tag)
            return [] if status.stage is Stage.GONE else [status]
        names: list[str] = []
        with translate_errors(LABEL):
            for page in self._client.get_paginator("list_training_jobs").paginate(NameContains=tag):
                rows = page["TrainingJobSummaries"]
                names += [
                    r["TrainingJobName"] for r in rows if r["TrainingJobStatus"] in ("InProgress", "Stopping")
                ]
        return [RemoteStatus(name, Stage.RUNNING, tag=name) for name in names if name.startswith(tag)]

    def look(self, remote_id: str) -> RemoteStatus:
        try:
            with translate_errors(LABEL):
                job = self._client.describe_training_job(TrainingJobName=remote_id)
                return status_of(job)
        except Missing:
            return RemoteStatus(remote_id, Stage.GONE, "not found")

    def cancel(self, remote_id: str) -> None:
        try:
            with translate_errors(LABEL):
                self._client.stop_training_job(TrainingJobName=remote_id)
        except (Missing, WrongStatus):
            return  # it has ended, as the next look shows

    def bill(self, remote_id: str) -> Bill | None:
        """Billable seconds at the team's price of the instance type."""
        try:
            with translate_errors(LABEL):
                job = self._client.describe_training_job(TrainingJobName=remote_id)
                machine = job["ResourceConfig"]["InstanceType"]
                status = status_of(job)
        except Missing:
            return None
        seconds = float(job.get("BillableTimeInSeconds") or 0)
        usd = seconds / 3600 * self._machines.get(machine, 0.0)
        return Bill(usd, status.stage in ENDED, f"{seconds:.0f} billable s on {machine}")


def status_of(job: Mapping[str, Any]) -> RemoteStatus:
    """A described job in our words; reaching its time limit is no cancel."""
    name, word, detail = job["TrainingJobName"], job["TrainingJobStatus"], str(job.get("SecondaryStatus", ""))
    stage, note = stage_of(word, STAGES)
    if word == "InProgress" and detail in BEFORE_TRAINING:
        stage = Stage.WAITING
    if detail in ("MaxRuntimeExceeded", "MaxWaitTimeExceeded"):
        stage = Stage.TIMED_OUT
    seconds = job.get("BillableTimeInSeconds") or job.get("TrainingTimeInSeconds")
    note = note or str(job.get("FailureReason") or "")[:200]
    return RemoteStatus(name, stage, f"{word} {detail}".strip(), name, float(seconds or 0), note)


def gpu_of(machine: str) -> str:
    """The kind of chip behind an instance type, "" for a CPU."""
    family = machine.removeprefix("ml.").split(".")[0]
    chips = {"g4dn": "T4", "g5": "A10G", "g6": "L4", "g6e": "L40S", "p3": "V100", "p4d": "A100", "p5": "H100"}
    return chips.get(family, "")


def connect(values: Mapping[str, str]) -> Adapter:
    """The adapter of one account and region; credentials come as for every AWS client."""
    address = values.get("AWS_ENDPOINT_URL_SAGEMAKER") or None
    client = client_of(
        "sagemaker",
        values["TRAINWISE_SAGEMAKER_REGION"],
        key_in(values),
        address,
        float(values.get("timeout_s") or TIMEOUT_S),
    )
    runs_url = values["TRAINWISE_SAGEMAKER_RUNS_URL"].rstrip("/")
    machines = prices_of(values[MACHINES], MACHINES)
    image, role = values["TRAINWISE_SAGEMAKER_IMAGE"], values["TRAINWISE_SAGEMAKER_ROLE"]
    login = {"key": values.get("AWS_ACCESS_KEY_ID"), "secret": values.get("AWS_SECRET_ACCESS_KEY")}
    runs = RunStore(runs_url, {word: text for word, text in login.items() if text})
    return ContainerPlatform(TrainingJobs(client, image, role, runs_url, machines), runs)


PLATFORM = Platform(
    name="sagemaker",
    label=LABEL,
    gives="weights",
    extra="aws",
    modules=("boto3",),
    variables=(
        Variable("TRAINWISE_SAGEMAKER_ROLE", "Role (ARN) that the training jobs run under.", default=None),
        Variable("TRAINWISE_SAGEMAKER_IMAGE", "Our container image in ECR.", default=None),
        Variable(
            "TRAINWISE_SAGEMAKER_RUNS_URL",
            "s3:// prefix for the runs, for the bot and the role.",
            default=None,
        ),
        Variable(
            MACHINES,
            "Instance types with your dollars an hour: `ml.g5.xlarge=1.41, ml.m5.xlarge=0.23`.",
            default=None,
        ),
        Variable("TRAINWISE_SAGEMAKER_REGION", "AWS region of the training jobs.", default="us-east-1"),
        *KEYS,
        Variable("AWS_ENDPOINT_URL_SAGEMAKER", "Another address of SageMaker."),
    ),
    connect=connect,
    leaves="to your own S3 bucket, erased at the end.",
    unique_names=True,
    settle_s=60.0,
    longest_s=5 * 86400.0,
    steps=(
        "Push the image of `deploy/Dockerfile` to ECR in the region of the jobs.",
        "Make a role for SageMaker that may read and write the runs' prefix in S3 and pull the image.",
        "Give the bot sagemaker:CreateTrainingJob, DescribeTrainingJob, StopTrainingJob, ListTrainingJobs, AddTags, and iam:PassRole.",
        "Set the TRAINWISE_SAGEMAKER_* settings and start the bot again; `trainwise doctor` checks them.",
    ),
)
