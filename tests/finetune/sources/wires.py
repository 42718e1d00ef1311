"""Each source with its help desk: every `*_server.py` here that has a `WIRE`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path

from tests.finetune.sources.help_desk import HelpDesk

NAMES = sorted(
    one.name for one in pkgutil.iter_modules([str(Path(__file__).parent)]) if one.name.endswith("_server")
)
MODULES = [importlib.import_module(f"tests.finetune.sources.{name}") for name in NAMES]
WIRES: Mapping[str, type[HelpDesk]] = {module.WIRE.source.name: module.WIRE for module in MODULES}
