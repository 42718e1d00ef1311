"""The registry of chat wires: a file here with a `WIRE` is one way to ask a model that a platform hosts.

Importing it loads no client: a wire imports its own where it asks.
"""

from __future__ import annotations

from collections.abc import Mapping

from finetune.registry import entries_of
from finetune.wires.wire import Wire

WIRES: Mapping[str, Wire] = {one.name: one for one in entries_of(__name__, "WIRE", Wire)}
