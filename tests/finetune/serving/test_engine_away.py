"""vLLM that is away, behind a proxy, or anew: no version pays for it. A loopback server speaks vLLM's two routes; never run live."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from tokenizers import Tokenizer, models, pre_tokenizers

from bot.cli.serve import _make
from finetune.serving.deploy import name_for, open_version
from finetune.serving.server.engine import Busy, Engine, ModelFailure, Ticket
from finetune.serving.server.metrics import Metrics
from finetune.serving.versions import SERVED, Versions
from finetune.serving.vllm_client import COMPOSE, VllmClient, VllmError, name_engine, write_compose
from finetune.serving.writer import WORDS, Writer

CARD = {
    "backend": "vllm", "before": [], "after": [], "max_length": 64, "max_new_tokens": 8,
    "weights": "adapter", "base": "a/b", "commit": None, "rank": 8,
}  # fmt: skip


@dataclass
class Vllm:
    """What the server at `url` serves, and the status that it answers a completion with."""

    url: str
    models: list[str]
    status: int = 200
    prompts: list[list[int]] = field(default_factory=list)


@pytest.fixture
def vllm() -> Iterator[Vllm]:
    """A server on loopback that knows three versions."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.give(200, {"data": [{"id": name} for name in state.models]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            state.prompts.append(body["prompt"])
            choice = {"text": "Dear customer", "finish_reason": "stop"}
            self.give(state.status, {"choices": [choice], "usage": {"completion_tokens": 2}})

        def give(self, status: int, data: dict[str, Any]) -> None:
            text = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *words: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Vllm(f"http://127.0.0.1:{server.server_port}", ["d--v1", "d--v2", "d--v3"])
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def versions(tmp_path: Path, vllm: Vllm) -> Versions:
    """`v2` answers, `v1` did before, `v3` is there."""
    result = Versions(tmp_path, "d")
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "my": 1}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()

    def write(folder: Path) -> None:
        words.save(str(folder / WORDS))
        (folder / SERVED).write_text(json.dumps(CARD))

    for name in ("v1", "v2", "v3"):
        result.add(name, write)
    result.use("v1", "test")
    result.use("v2", "test")
    name_engine(tmp_path, vllm.url, None)
    return result


@pytest.fixture
def engine(versions: Versions) -> Iterator[Engine]:
    """Serves them."""
    result = Engine([versions], open_version, Metrics())
    yield result
    result.close()


def ask(engine: Engine, count: int) -> list[str]:
    """So many tickets one by one; the kind of each failure."""
    failures = []
    for at in range(count):
        try:
            asyncio.run(engine.answer("d", [Ticket(str(at), "my parcel is late")]))
        except (Busy, ModelFailure) as error:
            failures.append(type(error).__name__)
    return failures


def test_the_proxy_of_the_house_sees_no_ticket(
    versions: Versions, monkeypatch: pytest.MonkeyPatch, vllm: Vllm
) -> None:
    """HTTP_PROXY is set, as many servers have it, and NO_PROXY is not: loopback is asked without it."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    model = open_version(versions.folder_of("v2"), 0.1)
    assert isinstance(model, Writer)
    assert model.answer("my parcel is late").text == "Dear customer"
    assert len(vllm.prompts) == 1


def test_an_engine_that_is_away_takes_no_version_off_duty(
    engine: Engine, versions: Versions, vllm: Vllm
) -> None:
    """vLLM is started anew under 60 tickets: each is told to come again, and v2 answers the next."""
    vllm.status = 503
    assert ask(engine, 60) == ["Busy"] * 60
    assert versions.pointer().current == "v2"
    vllm.status = 200
    assert ask(engine, 1) == []
    vllm.status = 400
    assert set(ask(engine, 60)) == {"ModelFailure"}
    assert versions.pointer().current == "v1", "what vLLM refuses is the version's own fault"


def test_leaving_takes_no_version_off_duty(engine: Engine, versions: Versions, vllm: Vllm) -> None:
    """Replies that end with the server say nothing of their version."""
    ask(engine, 50)
    vllm.status = 400
    engine._stopping.set()
    assert len(ask(engine, 10)) == 10
    assert versions.pointer().current == "v2"


def test_a_version_that_vllm_gets_later_is_served_then(
    engine: Engine, versions: Versions, vllm: Vllm
) -> None:
    """The pointer moves before vLLM was started anew: v2 goes on, v3 answers once vLLM has it; told once."""
    vllm.models = ["d--v1", "d--v2"]
    versions.use("v3", "test")
    engine.refresh()
    engine.refresh()
    assert engine.slots["d"].pointer.current == "v2"
    assert 'load_failures_total{model="d"} 1.0' in engine.metrics.text().decode()
    vllm.models = ["d--v3"]
    engine.refresh()
    assert engine.slots["d"].pointer.current == "v3"


def test_a_pointer_that_cannot_be_written_costs_no_answer(
    engine: Engine, versions: Versions, vllm: Vllm
) -> None:
    """The version is too slow and the disk says no: the tickets are answered all the same."""
    (versions.folder / "current.json.part").mkdir()
    engine._slowest_s = 0.0
    assert ask(engine, 60) == []


def test_another_promise_starts_no_second_engine(engine: Engine, versions: Versions) -> None:
    """A writer promises no error rate: its engine, which may hold gigabytes, goes on."""
    model = engine.slots["d"].models["v2"]
    versions.use("v2", "another promise", 0.2)
    engine.refresh()
    assert engine.slots["d"].pointer.error_rate == 0.2
    assert engine.slots["d"].models["v2"] is model


def test_each_name_may_have_a_vllm_of_its_own(versions: Versions, tmp_path: Path, vllm: Vllm) -> None:
    """Two bases have two ports: what is told for a name holds for it alone."""
    name_engine(tmp_path, "http://127.0.0.1:9", None)
    with pytest.raises(VllmError, match="does not answer"):
        open_version(versions.folder_of("v2"), 0.1)
    name_engine(versions.folder, vllm.url, None)
    assert isinstance(open_version(versions.folder_of("v2"), 0.1), Writer)


def test_an_address_that_is_none_is_told(versions: Versions, tmp_path: Path) -> None:
    """A port that is no number; the key stands in no error or log."""
    (tmp_path / "key").write_text("key-of-the-engine")
    name_engine(tmp_path, "http://127.0.0.1:port", tmp_path / "key")
    with pytest.raises(VllmError, match="does not answer"):
        open_version(versions.folder_of("v2"), 0.1)
    assert "key-of-the-engine" not in repr(VllmClient("http://127.0.0.1:1", "key-of-the-engine", "d--v2"))


def test_a_draft_is_in_no_container(versions: Versions, tmp_path: Path) -> None:
    """A version that was being made when its process died stays out of vllm.yml, and stops nothing."""
    draft = versions.folder / "versions" / ".v4.77"
    draft.mkdir()
    (draft / SERVED).write_text(json.dumps({"backend": "vllm", "max_length": 64}))
    write_compose(tmp_path)
    text = yaml.safe_load((tmp_path / COMPOSE).read_text())["services"]["vllm-0"]["command"]
    assert [one.partition("=")[0] for one in text[text.index("--lora-modules") + 1 :]] == [
        "d--v1",
        "d--v2",
        "d--v3",
    ]


def test_two_tasks_of_one_dataset_have_two_names(versions: Versions, tmp_path: Path) -> None:
    """Who asks `d` for drafts never gets a queue, and the other way round."""
    assert name_for(tmp_path, "D", "reply") == "d"
    assert name_for(tmp_path, "D", "triage") == "d-triage"
    assert name_for(tmp_path, "e" * 90, "triage") == "e" * 60


@pytest.mark.parametrize(("backend", "version"), [("", "job"), ("llama-cpp", "job"), ("vllm", "job-vllm")])
def test_another_backend_makes_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, version: str
) -> None:
    """`--backend vllm` on a job that llama.cpp serves already is not taken for made."""
    (tmp_path / "job" / "model").mkdir(parents=True)
    report = {"task": "reply", "dataset": {"name": "d"}}
    (tmp_path / "job" / "report.json").write_text(json.dumps(report))
    monkeypatch.setattr("finetune.serving.deploy.make_version", lambda *_, **__: Versions(tmp_path, "d"))
    url = str(tmp_path / "datasets")
    assert _make(tmp_path / "job", "job", tmp_path, url, backend) == ("d", version)
