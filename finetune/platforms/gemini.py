"""Vertex AI's tuning of Gemini: Google tunes on our redacted rows in Cloud Storage, an endpoint with the model comes back.

Client: httpx with google-auth's service account. A lost answer is found by its label; a tuning job's record cannot be deleted.
Driven in tests against a server on loopback that follows the v1 reference of tuningJobs; never run live.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from finetune.hosted import Endpoint
from finetune.platforms.answers import Missing
from finetune.platforms.chats import DEV, TRAIN
from finetune.platforms.cloud_storage import URL as STORAGE_URL
from finetune.platforms.cloud_storage import Bucket
from finetune.platforms.container import matches
from finetune.platforms.contract import (
    ENDED,
    BadKey,
    Bill,
    NoAnswer,
    NotMade,
    Offer,
    Platform,
    Reference,
    RemoteStatus,
    Result,
    Stage,
    Submission,
    Variable,
)
from finetune.platforms.gemini_jobs import (
    LABEL,
    TOKENS,
    end_of,
    epochs_in,
    gemini_files,
    labels_of,
    model_of,
    number_of,
    statistics_of,
    status_of,
    tag_of,
)
from finetune.platforms.google import CREDENTIALS, KEY, Login, cancel_job, labelled_jobs
from finetune.platforms.http import TIMEOUT_S, Answer, JsonClient
from finetune.platforms.token_prices import PriceList, epochs_of, price_list, tokens_to_train

MODELS = "TRAINWISE_GEMINI_MODELS"
DATA_URL = "TRAINWISE_GEMINI_DATA_URL"
MIN_EXAMPLES = 10
NOBODY = "nobody"


class GeminiTunings:
    """The tuning jobs below `home`, a project and region; `login` is the key and another address, as the chat wire takes them.

    A model's name is the endpoint that answers for it: Google refuses questions to the model itself.
    """

    def __init__(
        self, client: JsonClient, home: str, bucket: Bucket, prices: PriceList, login: tuple[str, str | None]
    ) -> None:
        self._client, self._home, self._bucket, self._prices = client, home, bucket, prices
        self._key, self._address = login

    def offers(self) -> list[Offer]:
        """The base models of the settings, once the place of the rows can be read."""
        self._bucket.names(NOBODY)
        return self._prices.offers()

    def upload(self, submission: Submission) -> list[str]:
        """The chat files below the tag, once the budget is known to pay for them; a second time replaces them."""
        self._prices.afford(submission, MIN_EXAMPLES)
        paths = {f"{submission.tag}/{name}": data for name, data in submission.files.items()}
        for path, data in paths.items():
            self._bucket.write(path, data)
        return [self._bucket.url_of(path) for path in paths]

    def create(self, submission: Submission) -> str:
        """One POST; the tag is the label by which the job is found, and the model's display name."""
        tag = submission.tag
        spec: dict[str, Any] = {
            "trainingDatasetUri": self._bucket.url_of(f"{tag}/{TRAIN}"),
            "hyperParameters": {"epochCount": str(epochs_of(submission))},
            "exportLastCheckpointOnly": True,  # one endpoint, not one for each checkpoint
        }
        if DEV in submission.files:
            spec["validationDatasetUri"] = self._bucket.url_of(f"{tag}/{DEV}")
        body = {
            "baseModel": submission.machine,
            "supervisedTuningSpec": spec,
            "tunedModelDisplayName": tag,
            "labels": {KEY: tag, TOKENS: f"{tokens_to_train(submission):.0f}"},
        }
        return number_of(self._client.call("POST", f"{self._home}/tuningJobs", json=body))

    def find(self, tag: str) -> list[RemoteStatus]:
        return [status_of(job) for job in self._jobs(tag)]

    def _jobs(self, tag: str) -> list[Mapping[str, Any]]:
        jobs = labelled_jobs(self._client, f"{self._home}/tuningJobs", "tuningJobs", tag)
        return [job for job in jobs if not tag or matches(tag_of(job), tag)]

    def look(self, reference: Reference) -> RemoteStatus:
        """The job and its last word; Google tells no loss before the end, so the card shows the phase alone."""
        try:
            job = self._job(reference.remote_id)
        except Missing:
            return RemoteStatus(reference.remote_id, Stage.GONE, "404", cursor=reference.cursor)
        status = status_of(job)
        is_new = reference.cursor == 0 and status.stage is not Stage.WAITING
        return RemoteStatus(
            status.remote_id,
            status.stage,
            status.word,
            status.tag,
            status.ran_s,
            status.note,
            events=({"kind": "phase", "phase": "training"},) if is_new else (),
            cursor=1 if is_new else reference.cursor,
            end=end_of(job, status.stage),
        )

    def _job(self, remote_id: str) -> Answer:
        return self._client.call("GET", f"{self._home}/tuningJobs/{remote_id}")

    def cancel(self, reference: Reference) -> None:
        cancel_job(self._client, f"{self._home}/tuningJobs/{reference.remote_id}")

    def result(self, reference: Reference, folder: Path) -> Result:
        """The endpoint that answers; there are no files and no losses."""
        job = self._job(reference.remote_id)
        endpoint = model_of(job).get("endpoint")
        if not endpoint:
            raise NoAnswer(f"{LABEL} does not name the endpoint yet.")
        return Result({"loss": []}, model=str(endpoint))

    def bill(self, reference: Reference) -> Bill | None:
        """Google's count of the rows' tokens times the epochs at the settings' price; before it counts, ours of the rows.

        A job that was cancelled while it trained is billed whole: Google tells no share.
        """
        try:
            job = self._job(reference.remote_id)
        except Missing:
            return None
        has_ended = status_of(job).stage in ENDED
        price = self._prices.price_of(str(job.get("baseModel", ""))).training / 1e6
        count = statistics_of(job).get("totalBillableTokenCount")
        if not job.get("startTime"):
            return Bill(0.0, True, "never started") if has_ended else None
        if count:
            tokens = int(count) * epochs_in(job)
            return Bill(tokens * price, has_ended, f"{tokens:,} tokens, price of {self._prices.as_of}")
        if not has_ended:
            return None
        tokens = int(labels_of(job).get(TOKENS) or 0)
        return Bill(tokens * price, True, f"estimated from the rows: at most {tokens:,} tokens")

    def erase(self, reference: Reference) -> list[str]:
        """The files of the tag; a model too, unless it is the one that is wanted. Records that show rows stay, and are named."""
        left: list[str] = []
        for job in self._jobs_to_erase(reference):
            number = number_of(job)
            if not (reference.keeps_model and number == reference.remote_id):
                left += self._drop(model_of(job))
            if statistics_of(job).get("userDatasetExamples"):
                left.append(
                    f"the record of the tuning job {number} at {LABEL}, which shows a few training rows: Google has no call "
                    "to delete it"
                )
        return left + self._bucket.erase(reference.tag)

    def _jobs_to_erase(self, reference: Reference) -> list[Mapping[str, Any]]:
        """Every job of the tag; the one whose id is known also where the list does not show it yet."""
        jobs = self._jobs(reference.tag)
        if reference.remote_id and reference.remote_id not in {number_of(job) for job in jobs}:
            with suppress(Missing):
                jobs.append(self._job(reference.remote_id))
        return jobs

    def erase_model(self, model: str) -> list[str]:
        """The endpoint and the model behind it; NoAnswer while Google is still at it.

        Google keeps the job's record: an endpoint that none of ours names is another's, and left alone.
        """
        models = [model_of(job) for job in self._jobs("")]
        ours = next((one for one in models if one.get("endpoint") == model), None)
        if ours is not None:
            return self._drop(ours)
        try:
            self._client.call("GET", f"/v1/{model}")
        except Missing:
            return []
        return [f"{model} at {LABEL}, which no job of Trainwise has tuned"]

    def _drop(self, model: Mapping[str, Any]) -> list[str]:
        """Undeploys, then deletes endpoint and model; each is asked for once and may take until a later call."""
        names = {str(name).partition("@")[0] for name in (model.get("model"),) if name}
        endpoint = str(model.get("endpoint") or "")
        try:
            deployments = (
                self._client.call("GET", f"/v1/{endpoint}").get("deployedModels", []) if endpoint else []
            )
        except Missing:
            endpoint, deployments = "", []
        for one in deployments:
            names.add(str(one["model"]).partition("@")[0])
            self._finish("POST", f"/v1/{endpoint}:undeployModel", {"deployedModelId": one["id"]})
        for name in filter(None, (endpoint, *sorted(names))):
            try:
                self._finish("DELETE", f"/v1/{name}")
            except Missing:
                continue
        return []

    def _finish(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        """One call that Google carries out by itself; NoAnswer until it is done."""
        try:
            answer = self._client.call(method, path, **({"json": body} if body is not None else {}))
        except NotMade as error:
            if isinstance(error, BadKey | Missing):
                raise
            raise NoAnswer(f"{LABEL} is still at it: {error}") from error
        if answer.get("error"):
            raise NoAnswer(f"{LABEL} could not do it: {str(answer['error'].get('message'))[:200]}")
        if not answer.get("done"):
            raise NoAnswer(f"{LABEL} is still deleting the model.")

    def endpoint(self, base_model: str, model: str) -> Endpoint:
        price = self._prices.price_of(base_model)
        return Endpoint(LABEL, model, self._key, self._address, price.reading, price.writing, "google")


def connect(values: Mapping[str, str]) -> GeminiTunings:
    """The adapter of one project and region."""
    timeout_s = float(values.get("timeout_s") or TIMEOUT_S)
    login = Login(LABEL, values[CREDENTIALS.name], timeout_s)
    project, region = values["TRAINWISE_GEMINI_PROJECT"], values["TRAINWISE_GEMINI_REGION"]
    own = (values.get("TRAINWISE_GEMINI_URL") or "").rstrip("/") or None
    address = own or f"https://{region}-aiplatform.googleapis.com"
    storage = values.get("TRAINWISE_GEMINI_STORAGE_URL") or STORAGE_URL
    bucket = Bucket(JsonClient(LABEL, storage, login.headers, timeout_s), values[DATA_URL], DATA_URL)
    return GeminiTunings(
        JsonClient(LABEL, address, login.headers, timeout_s),
        f"/v1/projects/{project}/locations/{region}",
        bucket,
        price_list(LABEL, MODELS, values[MODELS], values["TRAINWISE_GEMINI_PRICES_DATE"]),
        (login.text, own),
    )


PLATFORM = Platform(
    name="gemini",
    label=LABEL,
    gives="hosted",
    extra="gcp",
    modules=("google",),
    variables=(
        CREDENTIALS,
        Variable(
            "TRAINWISE_GEMINI_PROJECT", "Google Cloud project that pays for tuning Gemini.", default=None
        ),
        Variable(DATA_URL, "gs:// prefix for the rows that Gemini is tuned on.", default=None),
        Variable(
            MODELS,
            "Gemini models to tune, with dollars a million tokens for training/reading/writing: gemini-2.5-flash=5/0.30/2.50, ...",
            default=None,
        ),
        Variable(
            "TRAINWISE_GEMINI_PRICES_DATE", "The day of those prices, such as 2026-11-29.", default=None
        ),
        Variable("TRAINWISE_GEMINI_REGION", "Region of the tuning jobs.", default="us-central1"),
        Variable("TRAINWISE_GEMINI_URL", "Another address of Vertex AI for tuning Gemini."),
        Variable("TRAINWISE_GEMINI_STORAGE_URL", "Another address of Cloud Storage.", default=STORAGE_URL),
    ),
    connect=connect,
    leaves="The redacted tickets to train and choose on, as chat lines, to your own Cloud Storage bucket, erased at the end; "
    "Google's record of the job shows a few of them and cannot be deleted. Held-out tickets are not uploaded: each is asked "
    "once, without its answer, when the model is measured.",
    settle_s=120.0,
    queue_s=24 * 3600.0,
    longest_s=7 * 86400.0,
    model_prefix="projects/",
    steps=(
        "Make a bucket in the region of the jobs, with soft delete switched off, and a service account that may use Vertex AI "
        "and read, write and delete in the bucket.",
        "Set GOOGLE_APPLICATION_CREDENTIALS and the TRAINWISE_GEMINI_* settings, for bot and workers alike.",
        "Install the extras `gcp` and `train` where the bot runs: it measures the model there.",
        "`trainwise doctor` searches the project's tuning jobs and reads the bucket.",
    ),
    training_files=gemini_files,
)
