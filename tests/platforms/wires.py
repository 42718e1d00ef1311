"""Each platform with its stand-in: every `*_server.py` here that has a `WIRE`; what the contract test and the benchmark run."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path

from tests.platforms.world import Wire

NAMES = sorted(
    one.name for one in pkgutil.iter_modules([str(Path(__file__).parent)]) if one.name.endswith("_server")
)
MODULES = [importlib.import_module(f"tests.platforms.{name}") for name in NAMES]
WIRES: Mapping[str, Wire] = {module.WIRE.platform.name: module.WIRE for module in MODULES}
