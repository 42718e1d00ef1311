"""vLLM as an engine: how its container is started with every version of one base, and how it is asked. Never run live here.

Flags and API as of vLLM 0.33.0: `--lora-modules name=path`, `--shutdown-timeout` (0 aborts what is under way), and
`POST /v1/completions` with token ids.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from finetune.artifacts import write_whole
from finetune.errors import FinetuneError
from finetune.serving.versions import SERVED
from finetune.serving.writer import EngineAway, Writing

IMAGE = "vllm/vllm-openai:v0.33.0"
COMPOSE, ENGINE = "vllm.yml", "vllm.json"
MOUNT = "/serving"
DRAINS_S = 20
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that `--max-lora-rank` takes
LONGEST_S = 300.0
FIRST_PORT = 8001
LOOPBACK = ("127.0.0.1", "::1", "localhost")
REFUSALS = (400, 413, 422)  # of what was asked; every other status is vLLM's own trouble


class VllmError(FinetuneError):
    """vLLM refuses what it was asked; the text says what to do."""


class VllmAway(VllmError, EngineAway):
    """vLLM is not there, or does not know the version yet: once it is started anew it may."""


def model_name(name: str, version: str) -> str:
    """What a version is called at vLLM."""
    return f"{name}--{version}"


@dataclass(frozen=True)
class VllmClient:
    """A version at the vLLM that listens at `url`."""

    url: str
    key: str = field(repr=False)
    model: str

    @classmethod
    def of(cls, place: Path, model: str) -> VllmClient:
        """As PLACE/NAME/vllm.json says, else PLACE/vllm.json, once vLLM answers that it has the model; VllmAway says what to start otherwise."""
        own = place / model.partition("--")[0] / ENGINE
        file = own if own.is_file() else place / ENGINE
        try:
            data = json.loads(file.read_text())
            key = Path(data["key_file"]).read_text().strip() if data.get("key_file") else ""
            client = cls(str(data["url"]).rstrip("/"), key, model)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise VllmAway(
                f"Nobody said where vLLM listens: start it (`docker compose -f {place / COMPOSE} up -d`), then `trainwise serve "
                "NAME --engine http://127.0.0.1:8001 --engine-key FILE`."
            ) from error
        client.check()
        return client

    def check(self) -> None:
        """VllmAway where vLLM does not answer, refuses the key, or does not serve this version."""
        data = self._ask("GET", "/v1/models")
        names = [str(one.get("id")) for one in data.get("data") or ()]
        if self.model not in names:
            raise VllmAway(
                f"vLLM at {self.url} does not serve `{self.model}` (it has {', '.join(names) or 'nothing'}): it reads {COMPOSE} when it "
                "starts, so start it anew."
            )

    def write(self, ids: Sequence[int], most: int, decode: Callable[[Sequence[int]], str]) -> Writing:
        """Greedily on from `ids`, by the version's adapter; vLLM reads its tokens back itself."""
        body = {"model": self.model, "prompt": list(ids), "max_tokens": most, "temperature": 0}
        data = self._ask("POST", "/v1/completions", body)
        choice = data["choices"][0]
        count = int((data.get("usage") or {}).get("completion_tokens") or 0)
        return Writing(str(choice["text"]), count, choice.get("finish_reason") == "length")

    def close(self) -> None:
        """vLLM was started by its operator and goes on."""

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        import httpx

        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        away = f"vLLM at {self.url} does not answer: is it running there?"
        try:
            response = httpx.request(
                method,
                f"{self.url}{path}",
                json=body,
                headers=headers,
                timeout=LONGEST_S,
                verify=self.url.startswith(
                    "https:"
                ),  # else certificates are read for nothing, at each request
                trust_env=urlsplit(self.url).hostname not in LOOPBACK,  # no proxy for this machine itself
            )
            response.raise_for_status()
            data: dict[str, Any] = response.json()
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            advice = "give its key with --engine-key FILE" if status == 401 else "its log says why"
            kind = VllmError if status in REFUSALS else VllmAway
            raise kind(f"vLLM at {self.url} answered with status {status}: {advice}.") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise VllmAway(away) from error
        return data


def name_engine(place: Path, url: str, key_file: Path | None) -> None:
    """Write down where vLLM listens and which file holds its key."""
    data = {"url": url, "key_file": str(key_file.absolute()) if key_file else ""}
    write_whole(place / ENGINE, json.dumps(data))


def write_compose(place: Path) -> None:
    """PLACE/vllm.yml: a service for each base, with every version on it as an adapter; whole models have one each."""
    import yaml

    groups: dict[tuple[str, str], list[tuple[str, str, dict[str, Any]]]] = defaultdict(list)
    files = place.glob(f"*/versions/[!.]*/{SERVED}")  # a draft's name begins with a dot
    for file in sorted(files, key=lambda one: (one.stat().st_mtime, str(one))):  # a new base moves no port
        card = json.loads(file.read_text())
        if card.get("backend") != "vllm":
            continue
        folder = f"{MOUNT}/{file.parent.relative_to(place)}/{card['weights']}"
        name = model_name(file.parents[2].name, file.parent.name)
        key = (card["base"], card["commit"] or "") if card["base"] else (folder, "")
        groups[key].append((name, folder, card))
    services = {
        f"vllm-{at}": _service(base, commit, rows, FIRST_PORT + at)
        for at, ((base, commit), rows) in enumerate(groups.items())
    }
    stack = {"name": "trainwise-vllm", "services": services, "volumes": {"vllm-cache": {}}}
    write_whole(place / COMPOSE, yaml.safe_dump(stack, sort_keys=False))


def _service(
    base: str, commit: str, rows: Sequence[tuple[str, str, dict[str, Any]]], port: int
) -> dict[str, Any]:
    """One base's container: loopback only, its key from the environment, draining before it leaves."""
    longest = max(int(card["max_length"]) for _, _, card in rows)
    command = ["--model", base, "--max-model-len", str(longest), "--shutdown-timeout", str(DRAINS_S)]
    if commit:
        command += ["--revision", commit]
    adapters = [(name, folder, card) for name, folder, card in rows if card["weights"] == "adapter"]
    if adapters:
        rank = max(int(card["rank"]) for _, _, card in adapters)
        fitting = next((size for size in RANKS if size >= rank), RANKS[-1])
        command += [
            "--enable-lora",
            "--max-loras",
            str(min(len(adapters), 8)),
            "--max-lora-rank",
            str(fitting),
        ]
        command += ["--lora-modules", *(f"{name}={folder}" for name, folder, _ in adapters)]
    else:
        command += ["--served-model-name", *(name for name, _, _ in rows)]
    return {
        "image": IMAGE,
        "command": command,
        "environment": {
            "VLLM_API_KEY": "${VLLM_API_KEY:?set a key}",
            "HF_TOKEN": "${HF_TOKEN:-}",
        },
        "volumes": [f".:{MOUNT}:ro", "vllm-cache:/root/.cache/huggingface"],
        "ports": [f"127.0.0.1:{port}:8000"],
        "ipc": "host",
        "stop_grace_period": f"{DRAINS_S + 5}s",
        "deploy": {
            "resources": {
                "reservations": {"devices": [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]}
            }
        },
        "restart": "unless-stopped",
    }
