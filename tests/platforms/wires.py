"""Each platform with its stand-in: what the contract test and benchmarks/platforms.py run."""

from __future__ import annotations

from finetune.platforms import PLATFORMS
from tests.platforms.huggingface_server import NAMESPACE, HuggingFaceServer
from tests.platforms.standin import KEY, StandIn
from tests.platforms.world import Wire

IMAGE = "registry.example.com/trainwise:test"


def huggingface(standin: StandIn, runs_url: str) -> dict[str, str]:
    """The settings of Hugging Face Jobs before its stand-in."""
    return {
        "HF_TOKEN": KEY,
        "HF_ENDPOINT": standin.url,
        "TRAINWISE_HF_NAMESPACE": NAMESPACE,
        "TRAINWISE_HF_BUCKET": f"{NAMESPACE}/runs",
        "TRAINWISE_HF_RUNS_URL": runs_url,
        "TRAINWISE_IMAGE": IMAGE,
    }


WIRES = {"huggingface": Wire(PLATFORMS["huggingface"], HuggingFaceServer, huggingface, "cpu-basic")}
