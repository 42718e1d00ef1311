"""OpenAI's fine-tuning wire: their tuning on our redacted rows, a hosted model comes back; also for gateways that keep the wire.

Client: openai, its own repeats switched off. OpenAI itself takes no new jobs from 2027-01-06; its list of models may name
an earlier day. Driven in tests with the real client against a server on loopback; never run live.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.hosted import Endpoint
from finetune.platforms.answers import Missing
from finetune.platforms.chats import chat_files, tokens_of_size
from finetune.platforms.container import matches
from finetune.platforms.contract import (
    ENDED,
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
from finetune.platforms.http import time_of
from finetune.platforms.openai_jobs import (
    KEY,
    LABEL,
    STAGES,
    URL,
    closing_day,
    closing_words,
    end_of,
    status_of,
    step_of,
    tag_of,
    translate_errors,
)
from finetune.platforms.token_prices import PriceList, epochs_of, price_list

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob

TIMEOUT_S = 30.0
MIN_EXAMPLES = 10
MODELS = "TRAINWISE_OPENAI_MODELS"
LISTED_S = 15.0
MAX_JOBS = 500  # of an account that a search reads, newest first
EXPIRY_S = (3600, 30 * 86400)


class Tunings:
    """The fine-tuning jobs of one account at the prices of the settings; `today` gives the day (UTC)."""

    def __init__(
        self,
        client: OpenAI,
        prices: PriceList,
        login: tuple[str, str],
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self._client, self._today, self._list = client, today, prices
        self._url, self._key = login
        self._closes: dict[str, date] = {}

    def offers(self) -> list[Offer]:
        """The base models of the settings that still take jobs; NotMade with the day where none does any more."""
        with translate_errors(self._key):
            days = {model.id: getattr(model, "shutdown_date", None) for model in self._client.models.list()}
        self._closes = {name: closing_day(self._url, days.get(name)) for name in self._list.prices}
        names = [name for name in self._list.prices if self._today() < self._closes[name]]
        if not names:
            raise NotMade(closing_words(min(self._closes.values())))
        return self._list.offers({name: self._label(name) for name in names})

    def _label(self, name: str) -> str:
        day = self._closes[name]
        return name if day == date.max else f"{name} (jobs until {day.isoformat()})"

    def upload(self, submission: Submission) -> list[str]:
        """The chat files under the tag's name, with an expiry, once the budget is known to pay for them."""
        self._list.afford(submission, MIN_EXAMPLES)
        names = {name: f"{submission.tag}-{name}" for name in submission.files}
        present = self._files(submission.tag)
        seconds = int(min(max(EXPIRY_S[0], 2 * submission.limit_s), EXPIRY_S[1]))
        for name, data in submission.files.items():
            if names[name] in present:
                continue
            with translate_errors(self._key):
                self._client.files.create(
                    file=(names[name], data, "application/jsonl"),
                    purpose="fine-tune",
                    expires_after={"anchor": "created_at", "seconds": seconds},
                )
        return [f"{LABEL}, the file {name}" for name in names.values()]

    def create(self, submission: Submission) -> str:
        """One POST with the tag as metadata and as suffix; the file names lead to the files, also after a crash."""
        day = self._closes.get(submission.machine) or closing_day(self._url, None)
        if self._today() >= day:
            raise NotMade(closing_words(day))
        files = self._files(submission.tag)
        train, *dev = [files.get(f"{submission.tag}-{name}") for name in submission.files]
        if train is None:
            raise NotMade(f"{LABEL} does not list the file that was uploaded yet.", LISTED_S)
        hyperparameters: Any = {"n_epochs": epochs_of(submission)}
        more: Any = {"validation_file": dev[0]} if dev and dev[0] else {}
        with translate_errors(self._key):
            job = self._client.fine_tuning.jobs.create(
                model=submission.machine,
                training_file=train,
                method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
                suffix=submission.tag[:64],
                seed=int(submission.recipe.get("seed") or 0),
                metadata={KEY: submission.tag},
                **more,
            )
            return str(job.id)

    def find(self, tag: str) -> list[RemoteStatus]:
        return [status_of(job, None) for job in self._jobs(tag)]

    def _jobs(self, tag: str) -> list[FineTuningJob]:
        """By the metadata, and where a gateway drops those by the suffix among the newest jobs."""
        with translate_errors(self._key):
            jobs = self._client.fine_tuning.jobs
            own = [] if tag.endswith("-") else list(jobs.list(limit=100, metadata={KEY: tag}))
            rows = own or list(islice(jobs.list(limit=100), MAX_JOBS))
            return [job for job in rows if matches(tag_of(job), tag)]

    def look(self, reference: Reference) -> RemoteStatus:
        """The job, its last word where it has ended, and its loss since the step that was seen last."""
        try:
            job, at = self._job(reference.remote_id)
        except Missing:
            return RemoteStatus(reference.remote_id, Stage.GONE, "404", cursor=reference.cursor)
        with translate_errors(self._key):
            status = replace(status_of(job, at), cursor=reference.cursor, end=end_of(job))
        if status.stage is Stage.WAITING:
            return status
        try:
            steps = [step for step in self._losses(job.id) if int(step["step"]) > reference.cursor]
        except (NoAnswer, NotMade) as error:
            return replace(status, unread=str(error)[:300])
        if not steps:
            return status
        first = [{"kind": "phase", "phase": "training"}] if reference.cursor == 0 else []
        return replace(status, events=(*first, *steps), cursor=int(steps[-1]["step"]))

    def _job(self, remote_id: str) -> tuple[FineTuningJob, float | None]:
        """The job, and when it was shown by the platform's own clock."""
        with translate_errors(self._key):
            raw = self._client.fine_tuning.jobs.with_raw_response.retrieve(remote_id)
            job = raw.parse()
            if str(job.id) != remote_id:
                raise NoAnswer(f"{LABEL} showed another job.")
            return job, time_of(raw.headers.get("date", ""))

    def _losses(self, remote_id: str) -> list[dict[str, Any]]:
        """The newest hundred steps with their loss, in order."""
        with translate_errors(self._key):
            page = self._client.fine_tuning.jobs.list_events(remote_id, limit=100)
            return sorted(
                (step for event in page.data if (step := step_of(event))), key=lambda step: int(step["step"])
            )

    def cancel(self, reference: Reference) -> None:
        try:
            with translate_errors(self._key):
                self._client.fine_tuning.jobs.cancel(reference.remote_id)
        except Missing:
            return
        except NotMade as error:
            if type(error) is not NotMade or error.retry_after_s is not None:
                raise
            return  # it has ended, as the next look shows

    def result(self, reference: Reference, folder: Path) -> Result:
        """The name of the hosted model, and the loss as it went; there are no files."""
        job, _ = self._job(reference.remote_id)
        if not job.fine_tuned_model:
            raise NoAnswer(f"{LABEL} does not name the model yet.")
        loss = [{"step": step["step"], "loss": step["loss"]} for step in self._losses(job.id)]
        return Result({"loss": loss}, model=job.fine_tuned_model)

    def bill(self, reference: Reference) -> Bill | None:
        """Trained tokens at the settings' price; where the platform tells none of an ended job, what its steps suggest."""
        try:
            job, _ = self._job(reference.remote_id)
        except Missing:
            return None
        has_ended = STAGES.get(job.status) in ENDED
        price = self._list.price_of(job.model).training / 1e6
        if job.trained_tokens is not None:
            text = f"{job.trained_tokens:,} trained tokens, price of {self._list.as_of}"
            return Bill(job.trained_tokens * price, has_ended, text)
        if not has_ended:
            return None
        steps = self._losses(job.id)
        if not steps:
            return Bill(0.0, True, "no step was trained")
        share = int(steps[-1]["step"]) / max(1, int(steps[-1]["steps"]))
        return Bill(share * self._whole_tokens(job) * price, True, f"estimated: {share:.0%} of its steps")

    def _whole_tokens(self, job: FineTuningJob) -> float:
        with translate_errors(self._key):
            size = self._client.files.retrieve(job.training_file).bytes
        epochs = job.hyperparameters.n_epochs if job.hyperparameters else 1
        return tokens_of_size(int(size), epochs if isinstance(epochs, int) else 1)

    def erase(self, reference: Reference) -> list[str]:
        """The files of the tag and what its jobs wrote; a model too, unless it is the one that is wanted."""
        left: list[str] = []
        files = [number for _, number in self._listed(reference.tag)]
        for job in self._jobs_to_erase(reference):
            files += job.result_files
            if job.fine_tuned_model and not (reference.keeps_model and job.id == reference.remote_id):
                left += self.erase_model(job.fine_tuned_model)
        for file in files:
            try:
                with translate_errors(self._key):
                    self._client.files.delete(file)
            except Missing:
                continue
        return left + [f"the file {name} at {LABEL}" for name in self._files(reference.tag)]

    def _jobs_to_erase(self, reference: Reference) -> list[FineTuningJob]:
        """Every job of the tag; the one whose id is known also where the list does not show it yet."""
        jobs = self._jobs(reference.tag)
        if reference.remote_id and reference.remote_id not in {job.id for job in jobs}:
            with suppress(Missing):
                jobs.append(self._job(reference.remote_id)[0])
        return jobs

    def erase_model(self, model: str) -> list[str]:
        try:
            with translate_errors(self._key):
                self._client.models.delete(model)
        except Missing:
            return []
        except NotMade as error:
            if error.retry_after_s is not None:
                raise
            return [f"the model {model} at {LABEL}, whose deletion needs an owner of the account ({error})"]
        return []

    def endpoint(self, base_model: str, model: str) -> Endpoint:
        price = self._list.price_of(base_model)
        own = None if self._url == URL else self._url
        return Endpoint(LABEL, model, self._key, own, price.reading, price.writing)

    def _files(self, tag: str) -> dict[str, str]:
        """The ids of the tag's files by name."""
        return dict(self._listed(tag))

    def _listed(self, tag: str) -> list[tuple[str, str]]:
        """Name and id of each file of the tag; two of a name where an upload was repeated that had not been listed yet."""
        with translate_errors(self._key):
            rows = [(file.filename, file.id) for file in self._client.files.list(purpose="fine-tune")]
        return [(name, number) for name, number in rows if name.startswith(f"{tag}-")]


def connect(values: Mapping[str, str]) -> Tunings:
    """The adapter of one account; the client repeats nothing."""
    from openai import OpenAI

    url, key = values.get("TRAINWISE_OPENAI_URL") or URL, values["TRAINWISE_OPENAI_KEY"]
    prices = price_list(LABEL, MODELS, values[MODELS], values["TRAINWISE_OPENAI_PRICES_DATE"])
    limit_s = float(values.get("timeout_s") or TIMEOUT_S)
    client = OpenAI(api_key=key, base_url=url, timeout=limit_s, max_retries=0)
    return Tunings(client, prices, (url.rstrip("/"), key))


PLATFORM = Platform(
    name="openai",
    label=LABEL,
    gives="hosted",
    extra="",
    modules=("openai",),
    variables=(
        Variable(
            "TRAINWISE_OPENAI_KEY",
            "Key for tuning at OpenAI or a gateway; OPENAI_API_KEY is another's, which answers questions.",
            secret=True,
            default=None,
        ),
        Variable(
            MODELS,
            "Base models to tune at OpenAI, with dollars a million tokens for training/reading/writing: MODEL=1.50/0.20/0.80, ...",
            default=None,
        ),
        Variable(
            "TRAINWISE_OPENAI_PRICES_DATE", "The day of those prices, such as 2026-11-29.", default=None
        ),
        Variable("TRAINWISE_OPENAI_URL", "Another address that keeps OpenAI's tuning wire.", default=URL),
    ),
    connect=connect,
    leaves="The redacted tickets to train and choose on, as chat lines, erased at the end. Held-out tickets are not "
    "uploaded: each is asked once, without its answer, when the model is measured.",
    settle_s=120.0,
    steps=(
        "Make a key with the right to files, fine-tuning and models at OpenAI or your gateway.",
        "Set TRAINWISE_OPENAI_KEY, TRAINWISE_OPENAI_MODELS and TRAINWISE_OPENAI_PRICES_DATE, for bot and workers alike.",
        "Install the extra `train` where the bot runs: it measures the model there.",
        "`trainwise doctor` searches the account's fine-tuning jobs and says until when it takes new ones.",
    ),
    training_files=chat_files,
)
