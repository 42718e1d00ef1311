"""Replies at work: what llama.cpp writes is what was evaluated, OpenAI's client and curl get it, and vLLM's API is spoken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml

from finetune.data.ticket import Tickets
from finetune.errors import CorruptModel, ExportError, FinetuneError
from finetune.pipeline import run
from finetune.serving.backends import backend_for
from finetune.serving.deploy import load_version, make_version, open_version
from finetune.serving.gguf_file import write_gguf
from finetune.serving.llama_process import EngineError, LlamaProcess
from finetune.serving.versions import Versions
from finetune.serving.vllm_client import COMPOSE, VllmError, name_engine
from finetune.serving.writer import Writer
from finetune.tasks.reply.model import load_tuned
from finetune.training.base_models import load_causal
from tests.finetune.serving.server_process import ServerProcess, serving
from tests.finetune.tiny import recipe, save_causal, tickets

pytest.importorskip("xllamacpp", reason="needs the extra `replies`")
pytest.importorskip("gguf", reason="needs the extra `replies`")
pytestmark = pytest.mark.integration
KEY = "key-of-the-reply-desk-01"


@dataclass(frozen=True)
class ReplyJob:
    """A finished job whose LoRA adapter writes replies, its rows, and a place with its version `v1` for llama.cpp."""

    folder: Path
    rows: Tickets
    place: Path
    card: dict[str, Any]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> ReplyJob:
    """Trained in seconds; the version is made by the backend that replies have by default."""
    root = tmp_path_factory.mktemp("replies")
    rows = tickets(60)
    base = str(save_causal(root / "llama"))
    spec = recipe(base_model=base, method="lora", epochs=3, learning_rate=2e-2, max_new_tokens=24)
    run(spec, rows, root / "job", lambda _: None, lambda: None)
    versions = make_version(root / "job", "v1", root / "home" / "artifacts" / "serving", lambda digest: rows)
    versions.use("v1", "test")
    card = json.loads((versions.folder_of("v1") / "served.json").read_text())
    return ReplyJob(root / "job", rows, root / "home" / "artifacts" / "serving", card)


@pytest.fixture(scope="module")
def writer(job: ReplyJob) -> Iterator[Writer]:
    """The version, with llama.cpp running."""
    model = open_version(Versions(job.place, "d").folder_of("v1"), 0.1)
    assert isinstance(model, Writer)
    yield model
    model.engine.close()


@pytest.fixture(scope="module")
def server(job: ReplyJob) -> Iterator[ServerProcess]:
    """`trainwise serve d` with a file of keys."""
    home = job.place.parents[1]
    (home / "keys").write_text(f"desk {KEY}\nslow key-of-a-client-held-back 2\n")
    (home / "keys").chmod(0o600)
    with serving(home, "d", "--keys", str(home / "keys"), key=KEY) as process:
        yield process


def test_what_is_served_is_what_was_evaluated(job: ReplyJob, writer: Writer) -> None:
    """Word for word on held-out tickets, and on one that is longer than the model reads."""
    assert job.card["backend"] == "llama-cpp"
    assert job.card["measured"]["same_answer_as_evaluated"] >= 0.99
    assert job.card["measured"]["rows"] == 12
    model = load_tuned(job.folder)
    texts = ["my parcel is late " * 80 + "what can I do?", "Hello, password reset please"]
    drafts = [writer.answer(text) for text in texts]
    assert [draft.text for draft in drafts] == model.answers(texts)
    assert drafts[0].tokens == model.encoder.max_length - model.max_new_tokens
    assert drafts[0].length > 0


@pytest.mark.parametrize("shape", ["tiny-llama", "tiny-mistral", "tiny-qwen", "tiny-gpt2"])
def test_each_family_goes_on_in_llama_cpp_as_in_torch(shape: str, tmp_path: Path) -> None:
    """Also with weights far from their start, where no two tokens are near each other."""
    import torch

    causal, tokenizer = load_causal(str(save_causal(tmp_path / "m", shape)))
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in causal.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    ids = {"eos": tokenizer.eos_token_id, "bos": None, "pad": tokenizer.pad_token_id}
    write_gguf(causal, tokenizer.backend_tokenizer.to_str(), ids, tmp_path / "m.gguf", "f32")
    prompt = tokenizer("Hello, my invoice is wrong again and again.")["input_ids"]
    inputs = {
        "input_ids": torch.tensor([prompt]),
        "attention_mask": torch.ones(1, len(prompt), dtype=torch.long),
    }
    causal.generation_config.pad_token_id = tokenizer.pad_token_id
    expected = causal.generate(**inputs, max_new_tokens=12, do_sample=False)[0, len(prompt) :].tolist()
    engine = LlamaProcess(tmp_path / "m.gguf", 128)
    writing = engine.write(prompt, 12, lambda tokens: " ".join(map(str, tokens)))
    engine.close()
    assert writing.text == " ".join(str(token) for token in expected if token != tokenizer.eos_token_id)
    assert len(set(expected)) > 3, "a model that repeats one token proves nothing"


def test_openai_s_client_and_curl_get_replies(job: ReplyJob, server: ServerProcess, writer: Writer) -> None:
    """The same words as from the version itself; streamed too; with keys, limits, probes and metrics as for triage."""
    ticket = job.rows.texts[0]
    messages = [{"role": "user", "content": ticket}]
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0)
    answer = client.chat.completions.create(model="d", messages=messages)  # type: ignore[arg-type]
    expected = writer.answer(ticket)
    assert answer.choices[0].message.content == expected.text
    assert answer.usage is not None
    assert answer.usage.completion_tokens == expected.length
    parts = client.chat.completions.create(model="d", messages=messages, stream=True)  # type: ignore[arg-type]
    assert "".join(part.choices[0].delta.content or "" for part in parts) == expected.text
    command = ["curl", "-sS", f"{server.url}/v1/chat/completions", "-H", f"Authorization: Bearer {KEY}"]
    command += ["-d", json.dumps({"messages": messages})]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["choices"][0]["message"]["content"] == expected.text
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="wrong", max_retries=0).models.list()
    refusal = server.client.post("/v1/triage", json={"text": ticket})
    assert refusal.status_code == 400
    assert "/v1/chat/completions" in refusal.json()["error"]["message"]
    headers = {"authorization": "Bearer key-of-a-client-held-back"}
    codes = [
        server.client.post("/v1/chat/completions", json={"messages": messages}, headers=headers).status_code
        for _ in range(3)
    ]
    assert codes == [200, 200, 429]
    assert server.client.get("/ready").status_code == 200
    metrics = server.client.get("/metrics").text
    assert 'trainwise_drafts_total{end="' in metrics
    assert ticket not in server.text


def test_the_engine_starts_again_where_it_died_and_is_gone_with_its_server(job: ReplyJob) -> None:
    """Killed, it comes back for the next ticket; SIGTERM to the whole group loses nothing and leaves no process."""
    model = open_version(Versions(job.place, "d").folder_of("v1"), 0.1)
    assert isinstance(model, Writer)
    engine: Any = model.engine
    first, before = engine.pid, model.answer("Hello, password reset").text
    os.kill(first, signal.SIGKILL)
    engine._child.wait()
    assert model.answer("Hello, password reset").text == before
    second = engine.pid
    assert second != first
    os.kill(second, signal.SIGTERM)
    assert model.answer("Hello, password reset").text == before
    engine.close()
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)
    with pytest.raises(EngineError, match="closed"):
        model.answer("Hello, password reset")


def test_a_version_that_writes_sorts_nothing(job: ReplyJob) -> None:
    """It cannot go on duty in a channel, and says so."""
    with pytest.raises(CorruptModel, match="writes replies"):
        load_version(Versions(job.place, "d").folder_of("v1"), 0.1)


def test_what_llama_cpp_cannot_run_as_evaluated_is_refused(tmp_path: Path) -> None:
    """Another family, stretched positions, another kind of tokenizer: a sentence each, and no file."""
    causal, tokenizer = load_causal(str(save_causal(tmp_path / "m")))
    words, ids = tokenizer.backend_tokenizer.to_str(), {"eos": 1, "bos": None, "pad": 0}
    unigram = json.dumps({"model": {"type": "Unigram", "vocab": []}})
    with pytest.raises(ExportError, match="no byte-level BPE"):
        write_gguf(causal, unigram, ids, tmp_path / "x.gguf", "f32")
    causal.config.rope_parameters = {"rope_type": "llama3", "rope_theta": 1e4}
    with pytest.raises(ExportError, match="stretches"):
        write_gguf(causal, words, ids, tmp_path / "x.gguf", "f32")
    causal.config.model_type = "phi3"
    with pytest.raises(ExportError, match="phi3"):
        write_gguf(causal, words, ids, tmp_path / "x.gguf", "f32")
    assert not (tmp_path / "x.gguf").exists()


def test_vllm_gets_the_adapters_and_is_asked_by_its_api(
    job: ReplyJob, writer: Writer, tmp_path: Path
) -> None:
    """Never run live: llama.cpp's server stands in for vLLM behind the same two routes, with one version on two names."""
    for name in ("desk", "shop"):
        versions = make_version(
            job.folder, "v1", tmp_path, lambda digest: job.rows, name, backend_name="vllm"
        )
    stack = yaml.safe_load((tmp_path / COMPOSE).read_text())
    command = stack["services"]["vllm-0"]["command"]
    assert command[command.index("--lora-modules") + 1 :] == [
        f"{name}--v1=/serving/{name}/versions/v1/adapter" for name in ("desk", "shop")
    ]
    assert command[command.index("--max-lora-rank") + 1] == "16"
    assert command[command.index("--shutdown-timeout") + 1] == "20"
    assert stack["services"]["vllm-0"]["ports"] == ["127.0.0.1:8001:8000"]
    assert len(stack["services"]) == 1
    adapter = json.loads((versions.folder_of("v1") / "adapter" / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == command[command.index("--model") + 1]
    with pytest.raises(VllmError, match="Nobody said where vLLM listens"):
        open_version(versions.folder_of("v1"), 0.1)
    engine: Any = writer.engine
    writer.answer("Hello")
    key = tmp_path / "key"
    key.write_text(engine._key)
    name_engine(tmp_path, engine._url, key)
    with pytest.raises(FinetuneError, match="does not serve `shop--v1`"):
        open_version(versions.folder_of("v1"), 0.1)
    key.write_text("wrong")
    with pytest.raises(VllmError, match="--engine-key"):
        open_version(versions.folder_of("v1"), 0.1)


def test_an_unknown_backend_is_told_with_those_that_are(job: ReplyJob) -> None:
    """`--backend` takes what serves the task."""
    with pytest.raises(ExportError, match="llama-cpp, vllm"):
        backend_for(job.folder, "onnx")
    assert backend_for(job.folder)[0].name == "llama-cpp"
