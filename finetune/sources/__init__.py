"""The registry of help desks to pull from: a file here with a `SOURCE` is one; see docs/howto/pull-tickets.md."""

from __future__ import annotations

from collections.abc import Mapping

from finetune.registry import entries_of
from finetune.sources.contract import Source

SOURCES: Mapping[str, Source] = {one.name: one for one in entries_of(__name__, "SOURCE", Source)}
