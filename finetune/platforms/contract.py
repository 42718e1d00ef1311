"""The interface of a platform: nine calls, their values, and three kinds of failure.

A create is sent once, by a client without retries. It has three outcomes: made, certainly not made (NotMade), or unknown
(NoAnswer). After an unknown one the job is looked up by its tag; the create is never sent again at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from finetune.errors import FinetuneError
from finetune.registry import Variable as Variable

if TYPE_CHECKING:
    from finetune.data.ticket import Tickets
    from finetune.hosted import Endpoint


class PlatformError(FinetuneError):
    """A platform did not do what it was asked; `model` is one that it hosts already and that nobody can use yet."""

    model = ""


class NotMade(PlatformError):
    """The platform refused: certainly nothing was made. `retry_after_s`: it said when to ask again."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NoAnswer(PlatformError):
    """No reliable answer: the call may have taken effect; a later look shows it."""

    retryable = True


class BadKey(NotMade):
    """The platform rejects the key: nothing was made, and nothing can be read until it is replaced."""


class Stage(StrEnum):
    """The stage of a job at its platform."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    GONE = "gone"


ENDED = frozenset({Stage.SUCCEEDED, Stage.FAILED, Stage.CANCELLED, Stage.TIMED_OUT, Stage.GONE})
"""The platform bills nothing more in these."""


@dataclass(frozen=True)
class RemoteStatus:
    """One job as its platform shows it: `word` is the platform's own status, `ran_s` the billed seconds.

    `events` are new since the cursor of the reference, `cursor` is the next one; `end` is the final event that the job
    wrote (kind and data), `life_at` its last sign of life; `unread` says why these cannot be read now, `refusal` why a
    final event was rejected.
    """

    remote_id: str
    stage: Stage
    word: str = ""
    tag: str = ""
    ran_s: float | None = None
    note: str = ""
    events: tuple[Mapping[str, Any], ...] = ()
    cursor: int = 0
    end: Mapping[str, Any] | None = None
    life_at: float | None = None
    unread: str = ""
    refusal: str = ""


@dataclass(frozen=True)
class Offer:
    """A machine on offer: US dollars an hour, usual wait in seconds (None: not known), date of the price.

    For a platform that tunes by itself it is a base model, priced in dollars per million trained tokens.
    """

    name: str
    label: str
    usd_per_hour: float
    as_of: str
    gpu: str = ""
    gpu_gib: float = 0.0
    memory_gib: float = 0.0
    wait_s: float | None = None
    usd_per_million: float = 0.0


@dataclass(frozen=True)
class Bill:
    """What a job has cost so far in US dollars; `is_final` once the platform will add nothing."""

    usd: float
    is_final: bool
    basis: str


CONTAINER_ENVIRONMENT = {"HF_HUB_OFFLINE": "0"}
"""The container's environment: our image disables the model hub, but there is no cache in a container."""
RUN_KEY = "TRAINWISE_RUN_KEY"
"""The variable in which the container gets the run's key; it goes through the platform, never through the bucket."""


@dataclass(frozen=True)
class Submission:
    """One job for a platform: `files` are uploaded before the create, by path below the tag.

    `limit_s` is the platform's own time limit, `bot_key` the bot's public key, `run_key` the secret that proves the
    container's words; `recipe` and `budget_usd`, which the job may still cost, are for platforms that tune by themselves.
    """

    tag: str
    machine: str
    limit_s: float
    files: Mapping[str, bytes]
    bot_key: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    run_key: str = field(default="", repr=False)
    budget_usd: float | None = None

    @property
    def secrets(self) -> dict[str, str]:
        """What the container gets by the platform's store of secrets, or in its environment where there is none."""
        return {RUN_KEY: self.run_key}

    @property
    def environment(self) -> dict[str, str]:
        """The container's whole environment, its secret included."""
        return {**CONTAINER_ENVIRONMENT, **self.secrets}

    def command(self, place: str) -> list[str]:
        """What our image runs; `place` is where the runs lie as the container sees it."""
        return ["trainwise", "remote", f"{place.rstrip('/')}/{self.tag}", "--bot-key", self.bot_key]


@dataclass(frozen=True)
class Reference:
    """A job that exists or may exist: `remote_id` is "" while unknown; `cursor` counts the events read.

    `run_key` is the secret without which nothing that its container wrote is believed; `keeps_model` says that erasing it
    leaves the model that the platform hosts, `keeps_checkpoints` that it leaves what the job's next submission goes on from.
    """

    tag: str
    remote_id: str = ""
    cursor: int = 0
    run_key: str = field(default="", repr=False)
    keeps_model: bool = False
    keeps_checkpoints: bool = False


@dataclass(frozen=True)
class Result:
    """A result: the report, its plots in base64 by name, and the name of a hosted model."""

    report: Mapping[str, Any]
    plots: Mapping[str, str] = field(default_factory=dict)
    model: str = ""


class Adapter(Protocol):
    """One connected platform. Every call may raise NoAnswer or BadKey; `upload` and `create` also NotMade."""

    def offers(self) -> list[Offer]:
        """The machines to choose from, cheapest first."""
        ...

    def upload(self, submission: Submission) -> list[str]:
        """Upload the files; returns their places as texts. Idempotent."""
        ...

    def create(self, submission: Submission) -> str:
        """Send the create once; returns the platform's job id."""
        ...

    def find(self, tag: str) -> list[RemoteStatus]:
        """Every job with this tag, ended or not; with a tag that ends in "-" every job whose tag begins so."""
        ...

    def look(self, reference: Reference) -> RemoteStatus:
        """The job as it is now; GONE where the platform does not know it any more."""
        ...

    def cancel(self, reference: Reference) -> None:
        """Request its end; only a later look proves it. No error for an ended job."""
        ...

    def result(self, reference: Reference, folder: Path) -> Result:
        """Download the files into `folder`, verified by their manifest; NoAnswer while some are missing."""
        ...

    def bill(self, reference: Reference) -> Bill | None:
        """The cost by the platform's own figures; None while there is none."""
        ...

    def erase(self, reference: Reference) -> list[str]:
        """Erase uploads and outputs; returns what could not be erased, as texts. Idempotent."""
        ...


class Host(Protocol):
    """The further calls of an adapter whose platform hosts models."""

    def endpoint(self, base_model: str, model: str) -> Endpoint:
        """The endpoint of the tuned model; makes no call."""
        ...

    def erase_model(self, model: str) -> list[str]:
        """Delete the hosted model; returns what could not be deleted, as texts. Idempotent."""
        ...


SHARED = ("TRAINWISE_IMAGE",)
"""Settings that several platforms share; a set one does not enable a platform."""


def no_files(tickets: Tickets, recipe: Mapping[str, Any]) -> dict[str, bytes]:
    """Nothing: a container reads our own rows."""
    return {}


@dataclass(frozen=True)
class Platform:
    """One platform as data, and `connect`, which makes its adapter of the settings' values.

    `gives` is `weights` or `hosted`; `settle_s` how long a listing may lag behind a create; `queue_s` how long it may
    wait for a machine; `leaves` says where what leaves the house goes, of a hosting platform also what it is; `secrets` in `variables` never show in an error.
    """

    name: str
    label: str
    gives: str
    extra: str
    modules: tuple[str, ...]
    variables: tuple[Variable, ...]
    connect: Callable[[Mapping[str, str]], Adapter]
    leaves: str
    unique_names: bool = False
    restarts: bool = (
        False  # a container that has ended may be started anew and billed on: it must be cancelled
    )
    hears_stop: bool = True  # whether a container can be told to stop training and keep the best
    resumes: bool = False  # whether a submission goes on from the checkpoints of the job's earlier one
    most_losses: int = 1  # submissions that may be lost before a person decides: each costs money anew
    settle_s: float = 120.0
    queue_s: float = 6 * 3600.0
    longest_s: float = 24 * 3600.0
    steps: tuple[str, ...] = ()
    training_files: Callable[[Tickets, Mapping[str, Any]], dict[str, bytes]] = (
        no_files  # what a recipe platform reads
    )
    model_prefix: str = ""
    upkeep: str = ""

    @property
    def can_end_early(self) -> bool:
        """Whether a training there can be ended with its best weights so far."""
        return self.gives == "weights" and self.hears_stop

    def is_configured(self, values: Mapping[str, str]) -> bool:
        """Whether every setting without a default has a value."""
        return all(values.get(one.name) for one in self.variables if one.default is None)

    def gaps(self, values: Mapping[str, str]) -> list[str]:
        """The missing settings, if one that only this platform has is set; else none."""
        must = [one.name for one in self.variables if one.default is None]
        own = [name for name in must if name.startswith("TRAINWISE_") and name not in SHARED]
        has_begun = any(values.get(name) for name in own)
        return [name for name in must if not values.get(name)] if has_begun else []


@dataclass(frozen=True)
class PlaceOffer:
    """A machine of a connected platform, as a person chooses it; `keeps_held_out` as the bot is set up (worker/dispatch/packing.py)."""

    platform: Platform
    offer: Offer
    keeps_held_out: bool = False

    @property
    def name(self) -> str:
        """`huggingface/cpu-basic`: the choice in a form and on a command line."""
        return f"{self.platform.name}/{self.offer.name}"

    def leaves(self, trains_without_test_rows: bool) -> str:
        """What is uploaded; `trains_without_test_rows`: the task can be trained without its held-out rows."""
        if self.platform.gives == "hosted":
            return self.platform.leaves
        if trains_without_test_rows and self.keeps_held_out:
            return (
                f"the redacted tickets to train and choose on and the recipe, {self.platform.leaves} Held-out tickets stay here, "
                "where the model is measured."
            )
        return f"all redacted tickets and the recipe, {self.platform.leaves}"
