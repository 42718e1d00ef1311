"""Amazon Bedrock's model customization: AWS tunes Nova on our redacted rows in S3, and hosts the custom model.

Client: boto3, which repeats nothing. The model is deployed on demand, so nobody pays for an hour in which it is not asked; a base
that needs Provisioned Throughput is not offered. Driven in tests against a server on loopback that checks every body by botocore's
model of the service, and against moto; never run live.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from finetune.hosted import Endpoint
from finetune.platforms.answers import Missing
from finetune.platforms.aws import KEYS, TIMEOUT_S, InUse, WrongStatus, key_in, translate_errors
from finetune.platforms.bedrock_jobs import (
    BASES,
    LABEL,
    MAX_EPOCHS,
    METRICS,
    MIN_EXAMPLES,
    TOKENS,
    bedrock_files,
    end_of,
    has_begun,
    losses_of,
    status_of,
)
from finetune.platforms.chats import TRAIN
from finetune.platforms.contract import (
    ENDED,
    Bill,
    NoAnswer,
    NotMade,
    Offer,
    Platform,
    PlatformError,
    Reference,
    RemoteStatus,
    Result,
    Stage,
    Submission,
    Variable,
)
from finetune.platforms.s3_files import S3Files
from finetune.platforms.token_prices import PriceList, epochs_of, price_list, tokens_to_train
from finetune.wires.bedrock import client_of

MODELS = "TRAINWISE_BEDROCK_MODELS"
DATA_URL = "TRAINWISE_BEDROCK_DATA_URL"
OUTPUT = "output"
OURS = "tw-"  # how the name of every model of ours begins
NOBODY = "nobody"


class Customizations:
    """The customization jobs of one account and region; `login` is the key and another address, as the chat wire takes them.

    Job, custom model and deployment bear the tag as their name, which is taken for ever. A model's name is its ARN.
    """

    def __init__(
        self, client: Any, files: S3Files, role: str, prices: PriceList, login: tuple[str, str | None]
    ) -> None:
        self._client, self._files, self._role, self._prices = client, files, role, prices
        self._key, self._address = login

    def offers(self) -> list[Offer]:
        """The base models of the settings, once the place of the rows can be read."""
        self._files.versions(NOBODY)
        return self._prices.offers()

    def upload(self, submission: Submission) -> list[str]:
        """The rows below the tag, once the budget is known to pay for them; a second time replaces them."""
        self._prices.afford(submission, MIN_EXAMPLES)
        if epochs_of(submission) > MAX_EPOCHS:
            raise NotMade(f"{LABEL} goes through the rows {MAX_EPOCHS} times at most: ask for fewer epochs.")
        path = f"{submission.tag}/{TRAIN}"
        self._files.write(path, submission.files[TRAIN])
        return [self._files.url_of(path)]

    def create(self, submission: Submission) -> str:
        """One request; a name that is in use means that an earlier one was made."""
        tag = submission.tag
        try:
            with translate_errors(LABEL):
                self._client.create_model_customization_job(
                    jobName=tag,
                    customModelName=tag,
                    roleArn=self._role,
                    clientRequestToken=tag,
                    baseModelIdentifier=submission.machine,
                    customizationType="FINE_TUNING",
                    jobTags=[
                        {"key": "trainwise", "value": tag},
                        {"key": TOKENS, "value": f"{tokens_to_train(submission):.0f}"},
                    ],
                    trainingDataConfig={"s3Uri": self._files.url_of(f"{tag}/{TRAIN}")},
                    outputDataConfig={"s3Uri": self._files.url_of(f"{tag}/{OUTPUT}/")},
                    hyperParameters={"epochCount": str(epochs_of(submission))},
                )["jobArn"]
        except InUse:
            return tag
        return tag

    def find(self, tag: str) -> list[RemoteStatus]:
        """By the exact name, which is consistent at once; the listing is used for a prefix only."""
        if not tag.endswith("-"):
            status = self.look(Reference(tag, tag))
            return [] if status.stage is Stage.GONE else [status]
        names: list[str] = []
        with translate_errors(LABEL):
            pages = self._client.get_paginator("list_model_customization_jobs")
            for page in pages.paginate(nameContains=tag.rstrip("-")):
                rows = page["modelCustomizationJobSummaries"]
                names += [one["jobName"] for one in rows if one["status"] in ("InProgress", "Stopping")]
        return [RemoteStatus(name, Stage.RUNNING, tag=name) for name in names if name.startswith(tag)]

    def look(self, reference: Reference) -> RemoteStatus:
        """The job and its last word; AWS writes the losses at the end, so the card shows the phase alone."""
        try:
            job = self._job(reference.remote_id)
        except Missing:
            return RemoteStatus(reference.remote_id, Stage.GONE, "not found", cursor=reference.cursor)
        return status_of(job, reference.cursor, end_of(job))

    def _job(self, name: str) -> Mapping[str, Any]:
        with translate_errors(LABEL):
            job: Mapping[str, Any] = self._client.get_model_customization_job(jobIdentifier=name)
            if job["jobName"] != name:
                raise NoAnswer(f"{LABEL} showed another job.")
            return job

    def cancel(self, reference: Reference) -> None:
        try:
            with translate_errors(LABEL):
                self._client.stop_model_customization_job(jobIdentifier=reference.remote_id)
        except (Missing, InUse, WrongStatus):
            return  # it has ended, as the next look shows

    def result(self, reference: Reference, folder: Path) -> Result:
        """The model's ARN once its deployment answers, and the losses that AWS wrote into the bucket.

        A failure bears the ARN, as AWS bills the model's storage from now on.
        """
        arn = str(self._job(reference.remote_id)["outputModelArn"])
        try:
            return self._result_of(reference.tag, arn)
        except PlatformError as error:
            error.model = arn
            raise

    def _result_of(self, tag: str, arn: str) -> Result:
        deployment = self._deployment(tag, arn)
        if deployment["status"] == "Failed":
            raise PlatformError(
                f"{LABEL} could not deploy {arn}: {str(deployment.get('failureMessage') or 'no reason was given')[:200]}"
            )
        if deployment["status"] != "Active":
            raise NoAnswer(f"{LABEL} is still deploying the model.")
        names = [key for key, _ in self._files.versions(f"{tag}/{OUTPUT}") if key.endswith(METRICS)]
        return Result({"loss": losses_of(self._files.read(names[0])) if names else []}, model=arn)

    def _deployment(self, tag: str, arn: str) -> Mapping[str, Any]:
        """The deployment of the tag, which is made where there is none: on demand, billed by the question."""
        with translate_errors(LABEL):
            try:
                answer: Mapping[str, Any] = self._client.get_custom_model_deployment(
                    customModelDeploymentIdentifier=tag
                )
                return answer
            except self._client.exceptions.ResourceNotFoundException:
                self._client.create_custom_model_deployment(
                    modelDeploymentName=tag, modelArn=arn, clientRequestToken=tag
                )
        return {"status": "Creating"}

    def bill(self, reference: Reference) -> Bill | None:
        """The rows' tokens times the epochs at the settings' price, by our own count: AWS shows none.

        A job that was stopped while it trained is billed whole.
        """
        try:
            job = self._job(reference.remote_id)
        except Missing:
            return None
        status = status_of(job, 0, None)
        if status.stage in ENDED and not has_begun(job) and job["status"] != "Completed":
            return Bill(0.0, True, "never started")
        with translate_errors(LABEL):
            tags = self._client.list_tags_for_resource(resourceARN=job["jobArn"])["tags"]
        tokens = int(next((one["value"] for one in tags if one["key"] == TOKENS), 0))
        base = str(job["baseModelArn"]).rpartition("/")[2]
        usd = tokens / 1e6 * self._prices.price_of(base).training
        text = f"estimated from the rows: at most {tokens:,} tokens, price of {self._prices.as_of}"
        return Bill(usd, True, text) if status.stage in ENDED else None

    def erase(self, reference: Reference) -> list[str]:
        """Rows and metrics of the tag in every version; the model too, unless it is the one that is wanted."""
        if not reference.keeps_model:
            try:
                with translate_errors(LABEL):
                    model = self._client.get_custom_model(modelIdentifier=reference.tag)["modelArn"]
                self._drop(str(model))
            except Missing:
                pass  # nothing was tuned
        return self._files.erase(reference.tag)

    def erase_model(self, model: str) -> list[str]:
        """The deployments, then the custom model, whose storage is billed until it is gone; NoAnswer while AWS is at it.

        One that no job of ours has tuned is left alone, whoever names it.
        """
        try:
            with translate_errors(LABEL):
                name = str(self._client.get_custom_model(modelIdentifier=model)["modelName"])
        except Missing:
            return []
        if not name.startswith(OURS):
            return [f"{model} at {LABEL}, which no job of Trainwise has tuned"]
        self._drop(model)
        return []

    def _drop(self, arn: str) -> None:
        with translate_errors(LABEL):
            rows = self._client.list_custom_model_deployments(modelArnEquals=arn)["modelDeploymentSummaries"]
        for name in [one["customModelDeploymentArn"] for one in rows]:
            with suppress(Missing, InUse, WrongStatus), translate_errors(LABEL):
                self._client.delete_custom_model_deployment(customModelDeploymentIdentifier=name)
        try:
            with translate_errors(LABEL):
                self._client.delete_custom_model(modelIdentifier=arn)
        except Missing:
            return
        except (InUse, WrongStatus) as error:
            raise NoAnswer(f"{LABEL} is still deleting the model's deployment.") from error

    def endpoint(self, base_model: str, model: str) -> Endpoint:
        price = self._prices.price_of(base_model)
        return Endpoint(LABEL, model, self._key, self._address, price.reading, price.writing, "bedrock")


def connect(values: Mapping[str, str]) -> Customizations:
    """The adapter of one account and region; credentials come as for every AWS client."""
    prices = price_list(LABEL, MODELS, values[MODELS], values["TRAINWISE_BEDROCK_PRICES_DATE"])
    if others := [name for name in prices.prices if not name.startswith(BASES)]:
        raise PlatformError(
            f"{MODELS} names {others[0]}: a model tuned from it answers with Provisioned Throughput only, which is billed by the "
            f"hour whether it is asked or not. Name bases that begin with {BASES}."
        )
    region, key = values["TRAINWISE_BEDROCK_REGION"], key_in(values)
    timeout_s = float(values.get("timeout_s") or TIMEOUT_S)
    own = values.get("TRAINWISE_BEDROCK_URL") or None
    store = client_of("s3", region, key, values.get("AWS_ENDPOINT_URL_S3") or None, timeout_s)
    files = S3Files(LABEL, store, values[DATA_URL], DATA_URL)
    client = client_of("bedrock", region, key, own, timeout_s)
    return Customizations(client, files, values["TRAINWISE_BEDROCK_ROLE"], prices, (key, own))


PLATFORM = Platform(
    name="bedrock",
    label=LABEL,
    gives="hosted",
    extra="aws",
    modules=("boto3",),
    variables=(
        Variable(
            "TRAINWISE_BEDROCK_ROLE", "Role (ARN) by which Bedrock reads and writes the bucket.", default=None
        ),
        Variable(DATA_URL, "s3:// prefix for the rows that Bedrock tunes on.", default=None),
        Variable(
            MODELS,
            "Nova models to tune, with dollars a million tokens for training/reading/writing: amazon.nova-micro-v1:0:128k=1/0.035/0.14, ...",
            default=None,
        ),
        Variable(
            "TRAINWISE_BEDROCK_PRICES_DATE", "The day of those prices, such as 2026-11-29.", default=None
        ),
        Variable("TRAINWISE_BEDROCK_REGION", "AWS region of the customization jobs.", default="us-east-1"),
        Variable("TRAINWISE_BEDROCK_URL", "Another address of Bedrock, for jobs and questions alike."),
        Variable("AWS_ENDPOINT_URL_S3", "Another address of S3."),
        *KEYS,
    ),
    connect=connect,
    leaves="The redacted tickets to train on, as chat lines, to your own S3 bucket, erased at the end. Held-out tickets are not "
    "uploaded: each is asked once, without its answer, when the model is measured.",
    unique_names=True,
    settle_s=60.0,
    queue_s=24 * 3600.0,
    longest_s=5 * 86400.0,
    model_prefix="arn:aws",
    upkeep="AWS bills a custom model's storage by the month until it is erased.",
    steps=(
        "Make a bucket and a role that Bedrock may assume to read and write its prefix.",
        "Give the bot bedrock's rights on model customization jobs, custom models, custom model deployments and InvokeModel, "
        "iam:PassRole, and reading, writing, listing and deleting versions below the prefix.",
        "Set the TRAINWISE_BEDROCK_* settings, for bot and workers alike; install the extras `aws` and `train`.",
        "`trainwise doctor` asks for a job that nobody has and reads the bucket.",
    ),
    training_files=bedrock_files,
)
