"""The registry of job kinds: one file for each thing that a worker can do."""

from __future__ import annotations

from collections.abc import Mapping

from worker.jobs.records import TRY
from worker.kinds.finetune import finetune_kind, try_kind
from worker.kinds.measure import measure_kind
from worker.runtime.attempt import Kind

KINDS: Mapping[str, Kind] = {"finetune": finetune_kind, "measure": measure_kind, TRY: try_kind}
