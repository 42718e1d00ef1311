"""Each platform with its stand-in: every `*_server.py` here that has a `WIRE`; what the contract test and the benchmark run."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.platforms.harness import Wire

NAMES = sorted(
    one.name for one in pkgutil.iter_modules([str(Path(__file__).parent)]) if one.name.endswith("_server")
)
MODULES = [importlib.import_module(f"tests.platforms.{name}") for name in NAMES]
WIRES: Mapping[str, Wire] = {module.WIRE.platform.name: module.WIRE for module in MODULES}


def waits_of_clients(platform: str) -> dict[str, Any]:
    """What to put in the place of a client's own waiting between the tries of a call, by its dotted name."""
    if platform == "huggingface":
        quick = SimpleNamespace(sleep=lambda seconds: None, monotonic=time.monotonic, time=time.time)
        return {"huggingface_hub.utils._http.time": quick}
    if platform == "modal":
        hasty = SimpleNamespace(**{**vars(asyncio), "sleep": lambda seconds: asyncio.sleep(0)})
        return {"modal._utils.grpc_utils.asyncio": hasty}
    return {}
