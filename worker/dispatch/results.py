"""Fetches the result of a finished submission: files by their manifest or a hosted model, evaluated here; all or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from finetune.artifacts import BASE, MODEL, TRAINED
from finetune.errors import FinetuneError
from finetune.hosted import PROMPTS, measuring_usd
from finetune.llm import spent_in
from finetune.llm_access import FindLlm
from finetune.platforms.contract import Bill, NoAnswer, NotMade, Result
from finetune.platforms.run_key import CorruptResult
from finetune.reports.training import TRAINING
from finetune.spec import DEFAULT_TASK
from finetune.tasks import TASKS
from worker.dispatch.local_evaluation import HostedRun, Measure, TrainedRun
from worker.dispatch.packing import Packer, attempt_name
from worker.jobs.remotes import Outcome, Remote
from worker.jobs.report_notes import with_notes
from worker.kinds import kind_of
from worker.ledger import remotes
from worker.ledger.ledger import Ledger
from worker.logs import scrub
from worker.runtime.attempt import api_usd, drop_earlier

if TYPE_CHECKING:
    from worker.dispatch.remote_controller import Connection

CORRUPT_S = 60.0
FETCH_S = 900.0


@dataclass(frozen=True)
class Fetcher:
    """Stores results of one connection's jobs under `artifacts`; `measure` evaluates the models, weights one at a time (`turn`)."""

    ledger: Ledger
    connection: Connection
    packer: Packer
    artifacts: Path
    measure: Measure
    find_llm: FindLlm
    should_stop: Callable[[], bool]
    turn: Lock

    def fetch(self, remote: Remote, since_s: float, now: float) -> Remote:
        """Stores the job's files in its folder and its report in the ledger; the job fails if the result never comes.

        `since_s` is how long it has been tried. NoAnswer: try again later.
        """
        if remote.outcome != Outcome.FINISHED or remote.report is not None:
            return remote
        home, model, trained = self.artifacts / self.ledger.job(remote.job_id).root, "", None
        draft = home / f".{remote.tag}"
        with self._turn(remote, now):
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            try:
                result = self.connection.adapter.result(self.packer.reference(remote), draft)
                model = result.model
                if model:
                    result = self._measure(remote, result, now)
                elif result.report.get("kind") == TRAINING:
                    trained = draft / "files"
                    result = self._measure_weights(remote, result, trained, now)
                else:
                    self._check_rows(remote, result)
                    result = self._recheck(remote, result, draft / "files", now)
                if (draft / "files").is_dir():
                    self._keep(draft / "files", home / attempt_name(remote))
            except (FinetuneError, OSError) as error:
                is_open = isinstance(error, NoAnswer | NotMade | OSError)
                if since_s <= (FETCH_S if is_open else CORRUPT_S):
                    raise NoAnswer(str(error)) from error
                return self._give_up(remote, model or getattr(error, "model", ""), trained, error)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        report = dict(result.report)
        if model:
            label, upkeep = self.connection.platform.label, self.connection.platform.upkeep
            stays = f"The model {model} stays at {label}; `trainwise erase-model {remote.job_id}` deletes it there."
            stays += f" {upkeep}" if upkeep else ""
            report = with_notes(report, stays) | {"hosted_model": model}
        return remotes.keep_result(self.ledger.engine, remote, report, result.plots)

    @contextmanager
    def _turn(self, remote: Remote, now: float) -> Iterator[None]:
        """Evaluates weights one after another, because each evaluation loads a model; NoAnswer while another one runs."""
        platform = self.connection.platform
        if platform.gives == "hosted" or not self.packer.measures_here(
            self.ledger.job(remote.job_id), platform
        ):
            yield
            return
        if not self.turn.acquire(blocking=False):
            remotes.note_state(self.ledger.engine, remote, "waits until another model has been measured", now)
            raise NoAnswer("Another model is being measured here.")
        try:
            yield
        finally:
            self.turn.release()

    def _measure_weights(self, remote: Remote, result: Result, folder: Path, now: float) -> Result:
        """Evaluates the weights in `folder` on all rows; of the other returned files it uses only those that the evaluation needs."""
        for path in list(folder.iterdir()):
            if path.name not in (MODEL, TRAINED, BASE):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        job, label = self.ledger.job(remote.job_id), self.connection.platform.label
        remotes.note_state(
            self.ledger.engine, remote, f"measuring here what {label} has trained, on held-out tickets", now
        )
        tickets = self.packer.rows_of(job)
        hour = self.packer.prices.get("cpu_hour")
        usd = float(hour["usd"]) if isinstance(hour, Mapping) else 0.0
        return self.measure(TrainedRun(dict(job.spec), tickets, result.report, folder, usd), self.should_stop)

    def _loads_models(self, remote: Remote) -> bool:
        """Whether weights that come back are loaded here, to measure them or to recheck a report."""
        is_apart = kind_of(self.ledger.job(remote.job_id).kind).trains_without_test_rows
        return self.connection.platform.gives != "hosted" and self.packer.keeps_held_out and is_apart

    def _recheck(self, remote: Remote, result: Result, folder: Path, now: float) -> Result:
        """The container's own report with a note on how far it can be repeated here; a check that fails costs the job nothing."""
        job = self.ledger.job(remote.job_id)
        task = TASKS.get(str(job.spec.get("task") or DEFAULT_TASK))
        if not self._loads_models(remote) or self.packer.gap or task is None or task.recheck is None:
            return result
        remotes.note_state(self.ledger.engine, remote, "writing some of its replies again here", now)
        tickets = self.packer.rows_of(job)
        try:
            run = TrainedRun(dict(job.spec), tickets, result.report, folder)
            note = str(self.measure(run, self.should_stop).report.get("note") or "")
        except FinetuneError as error:
            if self.should_stop():
                raise
            note = f"The container's figures could not be checked here: {error}"
        return replace(result, report=with_notes(result.report, *([note] if note else [])))

    def _check_rows(self, remote: Remote, result: Result) -> None:
        """A container's own measurement must be of the job's rows."""
        part, digest = result.report.get("dataset"), self.ledger.job(remote.job_id).spec.get("digest")
        told = part.get("digest") if isinstance(part, Mapping) else None
        if told and digest and told != digest:
            raise CorruptResult(
                "The container measured on other tickets than this job's: its image is older than the bot. Push the image of "
                "this version, then launch it again."
            )

    def _measure(self, remote: Remote, result: Result, now: float) -> Result:
        """Evaluates the hosted model on the held-out rows; keeps its answers for the next try."""
        job, folder, account = self.ledger.job(remote.job_id), self._measured(remote), self.find_llm()
        bill = self.connection.adapter.bill(self.packer.reference(remote))
        note = f"measuring {result.model} here on held-out tickets"
        remotes.note_state(self.ledger.engine, remote, note, now)
        host: Any = self.connection.adapter
        run = HostedRun(
            dict(job.spec),
            self.packer.rows_of(job),
            host.endpoint(remote.machine, result.model),
            remote.platform,
            remote.machine,
            bill or Bill(remote.usd, False, "not billed yet"),
            result,
            folder,
            account.access if account else None,
            self.packer.prices,
            max(0.0, job.spent_usd - remote.usd),
        )
        before = spent_in(folder / PROMPTS)
        try:
            evaluation = self.measure(run, self.should_stop)
        finally:
            if account and (usd := spent_in(folder / PROMPTS) - before) > 0:
                account.record(usd)
        if folder.is_dir():
            self._keep(folder, self.artifacts / remote.root / attempt_name(remote))
        return evaluation

    def _keep(self, files: Path, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        files.replace(folder)
        drop_earlier(folder)

    def _give_up(self, remote: Remote, model: str, trained: Path | None, error: Exception) -> Remote:
        words = scrub(str(error), [self.packer.key.run_secret(remote.tag)])[:500]
        why = f"The result could not be fetched: {words}"
        if trained is not None and (trained / MODEL).is_dir():
            self._keep(trained, self.artifacts / remote.root / attempt_name(remote))
            why = (
                f"It was trained at {self.connection.platform.label}, but it could not be measured here: {words} The model is "
                f"kept: `trainwise try {remote.job_id}` asks it."
            )
        if model:
            label = self.connection.platform.label
            why = f"{model} was tuned and stays at {label}, but it could not be measured here: {words} `trainwise erase-model {model}` deletes it there."
        return remotes.change(self.ledger.engine, remote, outcome=Outcome.FAILED, why=why)

    def measuring_usd(self, remote: Remote) -> float:
        """The cost of evaluating a hosted model, also of a failed try; 0 for other platforms."""
        if self.connection.platform.gives != "hosted":
            return 0.0
        home = self.artifacts / remote.root
        folder = self._measured(remote) if remote.report is None else home / attempt_name(remote)
        if usd := measuring_usd(folder):
            return usd
        return max(0.0, api_usd(remote.report) - remote.usd) if remote.report else 0.0

    def _measured(self, remote: Remote) -> Path:
        return self.artifacts / remote.root / f".{remote.tag}-measured"
