"""The kind `deploy`: a finished job's model becomes a version that `trainwise serve` answers with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.jobs.records import JOB_ID
from worker.kinds.job_kind import JobKind, JobSpec, Report

if TYPE_CHECKING:
    from worker.runtime.attempt import Work

DEPLOY = "deploy"
PHASES = (("exporting", 0.3), ("scoring", 0.4), ("writing", 0.3))


def run(work: Work) -> Report:
    """Creates the version beside the jobs' folders; the first one of its name serves at once, later ones once selected."""
    import json

    from finetune.data.store import DatasetStore
    from finetune.errors import FinetuneError, Stopped
    from finetune.reports.deployment import DeploymentReport
    from finetune.serving.deploy import FOLDER, load_version, make_version, task_of
    from finetune.serving.versions import SERVED, VersionError
    from finetune.serving.writer import describe

    spec = work.envelope.spec
    model, root = str(spec["model"]), str(spec["root"])
    if not (JOB_ID.fullmatch(root) and JOB_ID.fullmatch(model)):
        raise FinetuneError("This deployment names no job.")

    def note(phase: str) -> None:
        if reason := work.should_stop():
            raise Stopped(reason)
        work.emit({"kind": "phase", "phase": phase})

    artifacts = work.folder.parents[1]
    tickets_of = DatasetStore(work.datasets_url).tickets
    versions = make_version(artifacts / root, model, artifacts / FOLDER, tickets_of, note=note)
    try:
        pointer = versions.pointer()
    except VersionError:
        pointer = versions.use(model, "the first version")
    folder = versions.folder_of(model)
    card: dict[str, Any] = json.loads((folder / SERVED).read_text())
    if task_of(folder) == "reply":
        promise = describe(card)
    else:
        promise = load_version(folder, pointer.error_rate).threshold.describe(pointer.error_rate)
    return DeploymentReport(
        headline=f"Version {model} of {versions.name} is ready to serve.",
        name=versions.name,
        version=model,
        form=str(card["form"]),
        promise=promise,
        takes_over=pointer.current == model,
        cpu_ms=float(card["measured"]["cpu_ms"].get(card["form"], 0.0)),
        rows=int(card["measured"]["rows"]),
    ).to_json()


def recipe(spec: JobSpec) -> list[str]:
    """Which model."""
    return [f"model {spec.get('model', '')}"]


KIND = JobKind(DEPLOY, "Deployment", run, recipe=recipe, phases=PHASES)
