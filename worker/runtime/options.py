"""What a worker is started with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.hosted import FindEndpoint, no_endpoint
from worker.errors import WorkerError
from worker.kinds import KINDS
from worker.kinds.job_kind import JobKind
from worker.teams import place_of

if TYPE_CHECKING:
    from finetune.llm import Llm


def no_llm(team: str) -> Llm | None:
    """No language model: no prompt is scored."""
    return None


@dataclass(frozen=True)
class WorkerOptions:
    """How one worker runs. Only `redis_url`, `name` and the folders must be given.

    `artifacts` outlives this machine if jobs are to resume elsewhere; `spool` is on its own disk. `preload` names
    modules to import once, so that jobs start at once (imports only: CUDA must not start there). `gpus` is what
    multi_gpu.choose_devices takes; `ranks` the processes of a fine-tune (None: one for each GPU of this worker).
    `find_llm` is asked with the team as each job of a kind that uses one begins: a model may be connected meanwhile.
    `find_endpoint` says where a model that a platform hosts answers. `max_jobs` ends the worker after so many.
    """

    redis_url: str
    name: str
    keys: Path
    spool: Path
    artifacts: Path
    datasets_url: str
    kinds: Mapping[str, JobKind] = field(default_factory=lambda: KINDS)
    find_llm: Callable[[str], Llm | None] = no_llm
    find_endpoint: FindEndpoint = no_endpoint
    prices: Mapping[str, Any] = field(default_factory=dict)
    price_per_hour: float = 0.0
    gpus: str | None = None
    min_free_gib: float = 2.0
    ranks: int | None = None
    health_port: int = 0
    preload: Sequence[str] = ()
    max_jobs: int | None = None

    def artifacts_of(self, team: str) -> Path:
        """Where the team's weights and checkpoints go."""
        return Path(place_of(str(self.artifacts), team))


def local_folder(url: str) -> Path:
    """The folder behind a path or file:// URL; WorkerError for anything else."""
    if "://" in url and not url.startswith("file://"):
        raise WorkerError(
            f"Artifacts must be in a folder that this machine sees (a shared mount for several), not {url}."
        )
    folder = Path(url.removeprefix("file://")).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()
