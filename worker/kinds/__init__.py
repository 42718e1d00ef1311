"""The registry of job kinds: every file in this folder that defines `KIND` is one; see docs/howto/add-a-job-kind.md.

Light: bot, ledger and queue read it too, so a kind's file imports heavy libraries only inside its `run`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping

from worker.kinds.job_kind import JobKind


def _find_kinds() -> dict[str, JobKind]:
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    kinds = [module.KIND for module in modules if hasattr(module, "KIND")]
    return {kind.name: kind for kind in kinds}


KINDS: Mapping[str, JobKind] = _find_kinds()
UNLISTED = tuple(kind.name for kind in KINDS.values() if not kind.in_lists)


def kind_of(name: str) -> JobKind:
    """The kind by its name; for one that this version does not know (an old job), an ordinary one called "Job"."""
    return KINDS.get(name) or JobKind(name, "Job")
