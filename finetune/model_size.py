"""The number of weights of a base model: from the catalogue, its files, the hub's small files, or its name.

Nothing large is downloaded. The hub is asked for config.json and the index of the weights, or the size of the one
weights file; that takes at most `WAIT_S` of the caller's time, and the answer is kept for this process.
"""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.catalog import BASE_MODELS, FOLDER_STARTS, HUB_MODEL, hub_id_of

WAIT_S = 1.5  # Slack waits 3 s for a form
REQUEST_S = 5.0  # for one answer of the hub, in the background
RETRY_S = 300.0  # a hub that did not answer is asked again after so long
INDEX, WEIGHTS = "model.safetensors.index.json", "model.safetensors"
BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1}
IN_NAME = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", re.IGNORECASE)


@dataclass(frozen=True)
class ModelSize:
    """The weights of a base model and the source of that number; None where it is unknown."""

    parameters: float | None
    source: str  # catalogue | files | hub | name | unknown


def size_of(base_model: str, wait_s: float = WAIT_S) -> ModelSize:
    """The size of a base model by short name, folder or hub id; never raises, waits at most `wait_s`."""
    if base_model in BASE_MODELS:
        return ModelSize(BASE_MODELS[base_model].parameters, "catalogue")
    if base_model.startswith(FOLDER_STARTS):
        return _from_folder(Path(base_model).expanduser()) or _from_name(Path(base_model).name)
    if not HUB_MODEL.fullmatch(base_model):
        return ModelSize(None, "unknown")
    return _from_hub(base_model, wait_s) or _from_name(hub_id_of(base_model)[0].rpartition("/")[2])


def _from_name(name: str) -> ModelSize:
    """`Qwen3-0.6B` has 0.6 billion weights, `SmolLM2-135M` 135 million, `Mixtral-8x7B` at most 56 billion."""
    match = IN_NAME.search(name.replace("_", "-"))
    if match is None:
        return ModelSize(None, "unknown")
    times, number, unit = match.groups()
    return ModelSize(int(times or 1) * float(number) * (1e9 if unit in "bB" else 1e6), "name")


def _from_folder(folder: Path) -> ModelSize | None:
    try:
        config = json.loads((folder / "config.json").read_text())
        size = sum(path.stat().st_size for path in folder.glob("model*.safetensors"))
    except (OSError, ValueError):
        return None
    return _from_bytes(config, size, "files")


def _from_bytes(config: dict[str, Any], size: float, source: str) -> ModelSize | None:
    """Bytes of weights as a number of them; None where they are packed (quantised) or there are none."""
    if not size or not isinstance(config, dict) or config.get("quantization_config"):
        return None
    dtype = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
    return ModelSize(size / BYTES.get(dtype, 4), source)


_lock = threading.Lock()
_lookups: dict[str, tuple[float, Future[ModelSize | None]]] = {}


def _from_hub(base_model: str, wait_s: float) -> ModelSize | None:
    """The hub's answer if it comes in time; a late one serves the next caller."""
    with _lock:
        began, lookup = _lookups.get(base_model, (0.0, None))
        has_failed = lookup is not None and lookup.done() and lookup.result() is None
        if lookup is None or (has_failed and time.monotonic() - began > RETRY_S):
            lookup = Future()
            _lookups[base_model] = (time.monotonic(), lookup)
            threading.Thread(target=_look_up, args=(base_model, lookup), daemon=True).start()
    try:
        return lookup.result(wait_s)
    except NotYet:
        return None


def _look_up(base_model: str, answer: Future[ModelSize | None]) -> None:
    try:
        answer.set_result(_ask_hub(*hub_id_of(base_model)))
    except Exception:  # the edge: the hub's client, its HTTP library and Xet have their own kinds
        answer.set_result(None)


def _ask_hub(hub_id: str, commit: str | None) -> ModelSize | None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    def read(name: str) -> dict[str, Any]:
        path = hf_hub_download(hub_id, name, revision=commit, etag_timeout=REQUEST_S)
        values: dict[str, Any] = json.loads(Path(path).read_text())
        return values

    config = read("config.json")
    try:
        metadata = read(INDEX).get("metadata", {})
    except EntryNotFoundError:
        url = hf_hub_url(hub_id, WEIGHTS, revision=commit)
        return _from_bytes(config, get_hf_file_metadata(url, timeout=REQUEST_S).size or 0, "hub")
    if count := metadata.get("total_parameters"):
        return ModelSize(float(count), "hub")
    return _from_bytes(config, float(metadata.get("total_size", 0)), "hub")
