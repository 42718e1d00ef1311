"""Bedrock's wire (jobs, custom models, deployments, Converse) and S3's; bodies are held to botocore's models. Never run live."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from finetune.platforms import PLATFORMS
from tests.platforms.harness import Wire
from tests.platforms.lessons import answer_to, lessons_of
from tests.platforms.sagemaker_server import KEY_ID, service, violations
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
from tests.platforms.vertex_server import stamp

WORDS = {
    WAITING: ("InProgress", "NotStarted"),
    RUNNING: ("InProgress", "InProgress"),
    SUCCEEDED: ("Completed", "Completed"),
    FAILED: ("Failed", "Failed"),
    CANCELLED: ("Stopped", "Stopped"),
    TIMED_OUT: ("Failed", "Failed"),
}
BASE, BUCKET = "amazon.nova-micro-v1:0:128k", "northwind-tuning"
HOME = "arn:aws:bedrock:us-east-1:123456789012"
DEPLOYING_S, LEAVING_S = 60.0, 20.0
JOBS, DEPLOYMENTS = "/model-customization-jobs", "/model-customization/custom-model-deployments"


class BedrockServer(StandIn):
    """One account with one bucket: names are taken for ever; `models` are the custom ones by their ARN."""

    name = "bedrock"

    def __init__(self, clock: Callable[[], float]) -> None:
        self.files: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, str]] = {}
        self.names: dict[str, str] = {}
        self.deployments: dict[str, dict[str, Any]] = {}
        self.questions: list[str] = []
        super().__init__(clock)

    def reset(self) -> None:
        super().reset()
        for one in (self.files, self.models, self.names, self.deployments, self.questions):
            one.clear()

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and request.path == JOBS

    def is_authorised(self, request: Request) -> bool:
        return f"Credential={KEY_ID}/" in request.headers.get("authorization", "")

    def refusal(self, status: int) -> Answer:
        kinds = {
            401: "UnrecognizedClientException",
            404: "ResourceNotFoundException",
            409: "ConflictException",
            429: "ThrottlingException",
            503: "ServiceUnavailable",
        }
        return Answer(status, {"message": "refused"}, headers={"x-amzn-errortype": kinds[status]})

    def check(self, operation: str, value: dict[str, Any], name: str = "bedrock") -> None:
        """Holds a request to what botocore's model of the service publishes."""
        self.violations += violations(service(name).operation_model(operation).input_shape, value, operation)

    def answer(self, request: Request) -> Answer:
        path = unquote(request.path)
        self.deployments = {
            arn: one for arn, one in self.deployments.items() if one.get("gone_at", 9e18) > self.clock()
        }
        if path.startswith(f"/{BUCKET}"):
            return self.on_store(request, path.removeprefix(f"/{BUCKET}").lstrip("/"))
        if path.startswith(JOBS):
            return self.on_jobs(request, path.removeprefix(JOBS).strip("/"))
        if path.startswith(DEPLOYMENTS):
            return self.on_deployments(request, path.removeprefix(DEPLOYMENTS).strip("/"))
        if path.startswith("/custom-models/"):
            return self.on_models(request, path.removeprefix("/custom-models/"))
        if path == "/listTagsForResource":
            self.check("ListTagsForResource", request.json)
            number = request.json["resourceARN"].rpartition("/")[2]
            job = next(job for job in self.jobs.values() if code_of(job.id) == number)
            return Answer(200, {"tags": job.body["jobTags"]})
        match = re.fullmatch(r"/model/(.+)/converse", path)
        return self.on_question(match[1], request.json) if match else self.refusal(404)

    def on_store(self, request: Request, key: str) -> Answer:
        """S3: one object, or the versions below a prefix."""
        if request.method == "PUT":
            lines = [json.loads(line) for line in request.body.decode().splitlines()]
            if any([one["role"] for one in line["messages"]] != ["user", "assistant"] for line in lines):
                self.violations.append(f"the chats of {key}")
            self.files[key] = {"filename": key, "data": request.body}
            return Answer(200)
        if not key:
            names = [name for name in self.files if name.startswith(request.query["prefix"])]
            rows = "".join(
                f"<Version><Key>{escape(n)}</Key><VersionId>v1</VersionId></Version>" for n in names
            )
            text = f"<ListVersionsResult><IsTruncated>false</IsTruncated>{rows}</ListVersionsResult>"
            return Answer(200, text.encode(), "application/xml")
        if key not in self.files:
            return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")
        if request.method == "DELETE":
            if request.query["versionId"] != "v1":
                self.violations.append("a deletion that leaves the version")
            del self.files[key]
            return Answer(204)
        return Answer(200, self.files[key]["data"], "application/octet-stream")

    def on_jobs(self, request: Request, rest: str) -> Answer:
        """Create, list, show, stop."""
        if request.method == "POST" and not rest:
            return self.take(request.json)
        if not rest:
            self.check("ListModelCustomizationJobs", dict(request.query))
            rows = [job for job in self.visible_jobs() if request.query["nameContains"] in job.tag]
            return Answer(200, {"modelCustomizationJobSummaries": [self.row(job) for job in rows]})
        name, _, verb = rest.partition("/")
        self.check("GetModelCustomizationJob", {"jobIdentifier": name})
        job = next((job for job in self.jobs.values() if job.tag == name and not job.is_gone), None)
        if job is None:
            return self.refusal(404)
        if verb != "stop":
            return Answer(200, self.show(job))
        if job.ended_at is not None:
            return self.refusal(409)
        self.cancel(job)
        return Answer(200, {})

    def take(self, body: dict[str, Any]) -> Answer:
        """The job of a create; a token that came before makes nothing and is no error."""
        self.check("CreateModelCustomizationJob", body)
        uri = body["trainingDataConfig"]["s3Uri"]
        if self.file(uri) is None:
            self.violations.append(f"{uri} is not there")
        same = next((job for job in self.jobs.values() if job.tag == body["jobName"]), None)
        if same is not None and same.body["clientRequestToken"] != body["clientRequestToken"]:
            return self.refusal(409)
        job = same or self.make(body["jobName"], body)
        return Answer(201, {"jobArn": self.row(job)["jobArn"]})

    def file(self, uri: str) -> dict[str, Any] | None:
        """The object behind an s3:// address."""
        return self.files.get(uri.removeprefix(f"s3://{BUCKET}/"))

    def on_deployments(self, request: Request, rest: str) -> Answer:
        """Deployments on demand: made, listed by their model, shown by name or ARN, deleted after a while."""
        if request.method == "POST":
            body = request.json
            self.check("CreateCustomModelDeployment", body)
            arn = f"{HOME}:custom-model-deployment/{code_of(body['modelDeploymentName'])}"
            self.deployments.setdefault(arn, {**body, "at": self.clock()})
            return Answer(202, {"customModelDeploymentArn": arn})
        if not rest:
            query = dict(request.query)
            self.check("ListCustomModelDeployments", query)
            rows = [self.deployment(arn) for arn in self.deployments]
            rows = [one for one in rows if one["modelArn"] == query["modelArnEquals"]]
            rows = [one for one in rows if one["status"] == query.get("statusEquals", one["status"])]
            return Answer(200, {"modelDeploymentSummaries": rows})
        self.check("GetCustomModelDeployment", {"customModelDeploymentIdentifier": rest})
        names = {one["modelDeploymentName"]: arn for arn, one in self.deployments.items()}
        arn = names.get(rest, rest)
        if arn not in self.deployments:
            return self.refusal(404)
        if request.method == "DELETE":
            self.deployments[arn].setdefault("gone_at", self.clock() + LEAVING_S)
            return Answer(200, {})
        return Answer(200, self.deployment(arn))

    def deployment(self, arn: str) -> dict[str, Any]:
        """A deployment as Bedrock shows it."""
        one = self.deployments[arn]
        name, at = one["modelDeploymentName"], stamp(one["at"])
        status = "Active" if self.clock() - one["at"] >= DEPLOYING_S else "Creating"
        facts = {"customModelDeploymentArn": arn, "modelArn": one["modelArn"], "status": status}
        return {**facts, "modelDeploymentName": name, "customModelDeploymentName": name, "createdAt": at}

    def on_models(self, request: Request, name: str) -> Answer:
        """A custom model by name or ARN: shown, or deleted once no deployment holds it."""
        arn = self.names.get(name, name)
        if arn not in self.models:
            return self.refusal(404)
        if request.method == "GET":
            facts = {"jobArn": f"{HOME}:model-customization-job/x", "creationTime": stamp(self.clock())}
            own = next(one for one, there in self.names.items() if there == arn)
            return Answer(200, {"modelArn": arn, "modelName": own, **facts})
        if any(one["modelArn"] == arn for one in self.deployments.values()):
            return self.refusal(409)
        del self.models[arn]
        return Answer(200, {})

    def on_question(self, deployment: str, body: dict[str, Any]) -> Answer:
        """Converse with a deployment that is active."""
        self.check("Converse", {"modelId": deployment, **body}, "bedrock-runtime")
        one = self.deployments.get(deployment)
        if one is None or self.deployment(deployment)["status"] != "Active":
            return self.refusal(404)
        question = body["messages"][-1]["content"][0]["text"]
        self.questions.append(question)
        text, count = answer_to(question, self.models[one["modelArn"]]), len(question.split())
        message = {"role": "assistant", "content": [{"text": text}]}
        usage = {"inputTokens": count, "outputTokens": 3, "totalTokens": count + 3}
        facts = {"stopReason": "end_turn", "metrics": {"latencyMs": 1}}
        return Answer(200, {"output": {"message": message}, "usage": usage, **facts})

    def end(self, job: PlatformJob, stage: str) -> None:
        """A success leaves a custom model and a table of its losses."""
        if job.ended_at is None and stage == SUCCEEDED:
            file = self.file(job.body["trainingDataConfig"]["s3Uri"]) or {"data": b""}
            chats = [json.loads(line)["messages"] for line in file["data"].decode().splitlines()]
            arn = f"{HOME}:custom-model/{job.body['baseModelIdentifier']}/{code_of(job.id)}"
            texts = [[turn["content"][0]["text"] for turn in chat] for chat in chats]
            self.models[arn] = lessons_of((ask, tell) for ask, tell in texts)
            self.names[job.body["customModelName"]] = arn
            place = job.body["outputDataConfig"]["s3Uri"].removeprefix(f"s3://{BUCKET}/")
            key = f"{place}model-customization-job-{code_of(job.id)}/training_artifacts/step_wise_training_metrics.csv"
            table = b"step_number,epoch_number,training_loss,perplexity\n0,0,2.0,7.4\n1,0,1.0,2.7\n"
            self.files[key] = {"filename": key, "data": table}
        super().end(job, stage)

    def row(self, job: PlatformJob) -> dict[str, Any]:
        """A line of the listing."""
        base = job.body["baseModelIdentifier"]
        return {
            "jobArn": f"{HOME}:model-customization-job/{base}/{code_of(job.id)}",
            "baseModelArn": f"arn:aws:bedrock:us-east-1::foundation-model/{base}",
            "jobName": job.tag,
            "status": job.odd_word or WORDS[job.stage][0],
            "creationTime": stamp(job.made_at),
        }

    def show(self, job: PlatformJob) -> dict[str, Any]:
        """The described job."""
        training = WORDS[job.stage][1] if job.started_at is not None else "NotStarted"
        shared = (
            "roleArn",
            "trainingDataConfig",
            "outputDataConfig",
            "hyperParameters",
            "clientRequestToken",
        )
        more: dict[str, Any] = {"endTime": stamp(job.ended_at)} if job.ended_at is not None else {}
        if job.stage == SUCCEEDED:
            more["outputModelArn"] = self.names[job.body["customModelName"]]
        if job.stage in (FAILED, TIMED_OUT):
            more["failureMessage"] = "The rows are no chats."
        return {
            **self.row(job),
            **{name: job.body[name] for name in shared},
            "outputModelName": job.body["customModelName"],
            "statusDetails": {"trainingDetails": {"status": training}},
            **more,
        }


def code_of(name: str) -> str:
    """Twelve letters and digits, as an ARN ends."""
    return re.sub("[^a-z0-9]", "", name.lower())[-12:].rjust(12, "0")


def settings_for(standin: StandIn, runs_url: str) -> dict[str, str]:
    """The settings of Bedrock before its stand-in."""
    return {
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_ENDPOINT_URL_S3": standin.url,
        "TRAINWISE_BEDROCK_URL": standin.url,
        "TRAINWISE_BEDROCK_REGION": "us-east-1",
        "TRAINWISE_BEDROCK_ROLE": "arn:aws:iam::123456789012:role/trainwise",
        "TRAINWISE_BEDROCK_DATA_URL": f"s3://{BUCKET}/trainwise",
        "TRAINWISE_BEDROCK_MODELS": f"{BASE}=1/0.035/0.14, amazon.nova-lite-v1:0:300k=2/0.06/0.24",
        "TRAINWISE_BEDROCK_PRICES_DATE": "2026-11-29",
    }


WIRE = Wire(PLATFORMS["bedrock"], BedrockServer, settings_for, BASE)
