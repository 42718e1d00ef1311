"""The registry of job kinds: every file in this folder that defines `KIND` is one; see docs/howto/add-a-job-kind.md.

Light: bot, ledger and queue read it too, so a kind's file imports heavy libraries only inside its `run`.
"""

from __future__ import annotations

from collections.abc import Mapping

from finetune.registry import entries_of
from worker.kinds.job_kind import JobKind

KINDS: Mapping[str, JobKind] = {kind.name: kind for kind in entries_of(__name__, "KIND", JobKind)}
UNLISTED = tuple(kind.name for kind in KINDS.values() if not kind.in_lists)


def kind_of(name: str) -> JobKind:
    """The kind by its name; for one that this version does not know (an old job), an ordinary one called "Job"."""
    return KINDS.get(name) or JobKind(name, "Job")
