"""SageMaker's wire (JSON 1.1, X-Amz-Target); every body is checked by botocore's model of the service. Never run live."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from finetune.platforms import PLATFORMS
from tests.platforms.harness import Wire
from tests.platforms.standin import (
    CANCELLED,
    FAILED,
    KEY,
    RUNNING,
    SUCCEEDED,
    TIMED_OUT,
    WAITING,
    Answer,
    PlatformJob,
    Request,
    StandIn,
)

KEY_ID = "AKIATESTTESTTEST"
WORDS = {
    WAITING: ("InProgress", "LaunchingMLInstances"),
    RUNNING: ("InProgress", "Training"),
    SUCCEEDED: ("Completed", "Completed"),
    FAILED: ("Failed", "Failed"),
    CANCELLED: ("Stopped", "Stopped"),
    TIMED_OUT: ("Stopped", "MaxRuntimeExceeded"),
}


@cache
def service(name: str) -> Any:
    """botocore's model of a service."""
    import botocore.session

    return botocore.session.get_session().get_service_model(name)


def plain_pattern(pattern: str) -> str:
    """Java's classes of letters, spaces and digits as Python writes them."""
    for java, python in ((r"\p{L}", r"\w"), (r"\p{Z}", r"\s"), (r"\p{N}", r"\d")):
        pattern = pattern.replace(java, python)
    return pattern


def violations(shape: Any, value: Any, place: str = "") -> list[str]:
    """What a value breaks of a shape's published types, lengths, patterns, enumerations and required members."""
    if shape.type_name == "structure":
        lines = [f"{place}.{name} is missing" for name in shape.required_members if name not in value]
        lines += [f"{place}.{name} is unknown" for name in value if name not in shape.members]
        parts = [(shape.members[n], v, f"{place}.{n}") for n, v in value.items() if n in shape.members]
        return lines + [line for part in parts for line in violations(*part)]
    if shape.type_name == "list":
        return [
            line for at, one in enumerate(value) for line in violations(shape.member, one, f"{place}[{at}]")
        ]
    facts, lines = shape.metadata, []
    if shape.type_name == "string":
        if not facts.get("min", 0) <= len(value) <= facts.get("max", 10**6):
            lines.append(f"{place} has {len(value)} characters")
        if "pattern" in facts and not re.fullmatch(plain_pattern(facts["pattern"]), value, re.S):
            lines.append(f"{place} {value!r} does not match {facts['pattern']}")
        if shape.enum and value not in shape.enum:
            lines.append(f"{place} {value!r} is not in the list")
    if shape.type_name in ("integer", "long") and not facts.get("min", 0) <= value <= facts.get("max", 10**9):
        lines.append(f"{place} is {value}")
    return lines


class SageMakerServer(StandIn):
    """Training jobs of one account: a name is taken for ever."""

    name = "sagemaker"

    def is_create(self, request: Request) -> bool:
        return request.headers.get("x-amz-target") == "SageMaker.CreateTrainingJob"

    def is_authorised(self, request: Request) -> bool:
        return f"Credential={KEY_ID}/" in request.headers.get("authorization", "")

    def refusal(self, status: int) -> Answer:
        kinds = {401: "UnrecognizedClientException", 429: "ThrottlingException", 503: "ServiceUnavailable"}
        return Answer(
            {401: 400, 429: 400}.get(status, status), {"__type": kinds[status], "message": "refused"}
        )

    def answer(self, request: Request) -> Answer:
        action = request.headers["x-amz-target"].partition(".")[2]
        body = request.json
        self.violations += violations(service("sagemaker").operation_model(action).input_shape, body, action)
        if action == "ListTrainingJobs":
            rows = [job for job in self.visible_jobs() if body["NameContains"] in job.tag]
            return Answer(200, {"TrainingJobSummaries": [self.row(job) for job in rows]})
        name = body["TrainingJobName"]
        job = next((job for job in self.jobs.values() if job.tag == name), None)
        if action == "CreateTrainingJob":
            if job is not None:
                return Answer(400, {"__type": "ResourceInUse", "message": f"{name} is in use"})
            self.make(name, body)
            return Answer(
                200, {"TrainingJobArn": f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{name}"}
            )
        if job is None or job.is_gone:
            return Answer(400, {"__type": "ValidationException", "message": "Requested resource not found."})
        if action == "StopTrainingJob":
            if job.ended_at is not None:
                text = (
                    f"The request was rejected because the training job is in status {WORDS[job.stage][0]}."
                )
                return Answer(400, {"__type": "ValidationException", "message": text})
            self.cancel(job)
            return Answer(200, {})
        return Answer(200, self.show(job))

    def row(self, job: PlatformJob) -> dict[str, Any]:
        """A line of the listing."""
        arn = f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{job.tag}"
        word = job.odd_word or WORDS[job.stage][0]
        return {
            "TrainingJobName": job.tag,
            "TrainingJobArn": arn,
            "CreationTime": job.made_at,
            "TrainingJobStatus": word,
        }

    def show(self, job: PlatformJob) -> dict[str, Any]:
        """The described job."""
        body, (word, detail) = job.body, WORDS[job.stage]
        shared = {
            name: body[name]
            for name in ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition", "RoleArn")
        }
        return {
            **self.row(job),
            **shared,
            "TrainingJobStatus": job.odd_word or word,
            "SecondaryStatus": detail,
            "ModelArtifacts": {"S3ModelArtifacts": "s3://b/x"},
            "BillableTimeInSeconds": int(job.ran_s(self.clock())),
        }


def settings_for(standin: StandIn, runs_url: str) -> dict[str, str]:
    """The settings of SageMaker before its stand-in."""
    return {
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_ENDPOINT_URL_SAGEMAKER": standin.url,
        "TRAINWISE_SAGEMAKER_REGION": "us-east-1",
        "TRAINWISE_SAGEMAKER_ROLE": "arn:aws:iam::123456789012:role/trainwise",
        "TRAINWISE_SAGEMAKER_IMAGE": "123456789012.dkr.ecr.us-east-1.amazonaws.com/trainwise:1",
        "TRAINWISE_SAGEMAKER_RUNS_URL": "s3://runs/trainwise",
        "TRAINWISE_SAGEMAKER_MACHINES": "ml.m5.xlarge=0.23, ml.g5.xlarge=1.41",
    }


WIRE = Wire(PLATFORMS["sagemaker"], SageMakerServer, settings_for, "ml.m5.xlarge")
