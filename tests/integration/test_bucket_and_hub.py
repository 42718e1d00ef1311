"""Rows in a bucket, base models from a hub: the whole way from Slack through a real worker, and back to the hub.

A minute of CPU: run it by `python -m pytest -m slow tests/integration/test_bucket_and_hub.py`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.demo.stack import LocalStack, local_stack
from bot.playground import Person
from tests.finetune.tiny import save_encoder
from tests.homes import home_with_graphs
from tests.hub_server import Account, Hub
from tests.integration.conftest import CHANNEL, DATASET, appears, few_tickets, until
from tests.integration.test_listeners_jobs import id_of, shows, thread
from tests.s3_server import S3Server, s3_server
from tests.terminal import ROOT, trainwise

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ENDS = (f"Fine-tune on {DATASET}: failed", "Tuned with LoRA")
TOKEN = "hf_writeseverything1"
PULL = """
import sys
import torch
from peft import PeftModel
from transformers import AutoModel, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained("me/merged")
rows = tokenizer(["I was charged twice", "cannot sign in"], padding=True, return_tensors="pt")
made = [AutoModel.from_pretrained("me/merged"),
        PeftModel.from_pretrained(AutoModel.from_pretrained("org/tiny-bert"), "me/adapter"),
        AutoModel.from_pretrained(sys.argv[1]), AutoModel.from_pretrained("org/tiny-bert")]
with torch.no_grad():
    merged, adapter, here, base = [model.eval()(**rows).last_hidden_state for model in made]
print(float((merged - here).abs().max()), float((adapter - here).abs().max()), float((base - here).abs().max()))
"""


@dataclass
class Place:
    """What runs, and who is in it."""

    stack: LocalStack
    hub: Hub
    s3: S3Server
    ravi: Person


@pytest.fixture(scope="module")
def place(embed_cache: Path) -> Iterator[Place]:
    """A stack whose datasets are in a bucket and whose base models come from a hub on this machine."""
    home = home_with_graphs(Path(tempfile.mkdtemp(prefix="tw")), embed_cache)
    hub = Hub()
    hub.accounts[TOKEN] = Account("me")
    encoder = save_encoder(home / "bert")
    hub.put("org/tiny-bert", encoder)
    hub.put("org/gated", encoder, gate=True)
    with s3_server(home) as s3:
        env = {**s3.env, **hub.env(home, TOKEN), "TRAINWISE_DATASETS_URL": s3.bucket("tickets")}
        (home / f"{DATASET}.csv").write_bytes(few_tickets(60))
        result = trainwise(home, env, "datasets", "add", f"{DATASET}.csv", "--yes")
        assert result.returncode == 0, result.stderr
        talkative = {"TRAINWISE_CARD_INTERVAL": "1", "TRAINWISE_LOG_LEVEL": "debug"}
        with local_stack(home, more_env={**env, **talkative}) as stack:
            stack.workspace.set_rates(enforce=False)
            stack.wait_for_bot()
            yield Place(stack, hub, s3, Person(stack.url, "ravi", timeout=60))
    hub.stop()
    shutil.rmtree(home, ignore_errors=True)


def end_of(place: Place, base: str) -> tuple[str, str]:
    """(job, all that was said under its card) of a fine-tune on that base, once its report is there."""

    def launch() -> None:
        place.ravi.command("/finetune", "", CHANNEL)
        form = {"dataset": DATASET, "method": "lora", "epochs": "1", "hub_model": base}
        assert not place.ravi.submit(place.ravi.wait_view(), form).get("errors")

    job = id_of(appears(place.ravi, launch, f"Fine-tune · {DATASET}"))
    text = until(
        lambda: next((t for t in [thread(place.ravi, job)] if any(end in t for end in ENDS)), ""), 200
    )
    return job, text


@pytest.mark.parametrize(
    ("base", "reason_text"),
    [
        ("org/gated", "is gated: accept its licence on the hub, then set HF_TOKEN on the training machine"),
        ("org/absent", "The hub has no base model `org/absent`, or it is private: check the name"),
    ],
)
def test_a_base_model_that_cannot_be_had_ends_in_one_report(
    place: Place, base: str, reason_text: str
) -> None:
    """The channel reads why and what to do, once; no token and no address of ours stands in it."""
    job, text = end_of(place, base)
    _, reason, report = text.partition(ENDS[0])
    assert reason, text
    assert reason_text in report
    shows(place.ravi, job, reason_text)
    assert ENDS[0] not in report
    assert TOKEN not in text
    assert "Run it again" in report


def test_rows_from_the_bucket_a_base_from_the_hub_and_the_model_back_to_it(place: Place) -> None:
    """A worker trains on both; adapter and merged model are pushed, and plain peft and transformers agree with ours."""
    job, text = end_of(place, "org/tiny-bert")
    assert "Tuned with LoRA" in text, text
    home = place.stack.home
    env = {**place.stack.env, "HF_TOKEN": TOKEN}
    for form in (["--push", "me/adapter"], ["merged", "--merged", "--push", "me/merged"]):
        result = trainwise(home, env, "export", job, *form)
        assert result.returncode == 0, result.stderr
    output = subprocess.run(
        [sys.executable, "-c", PULL, str(home / "merged")],
        env={**env, "HF_HOME": str(home / "elsewhere")},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert output.returncode == 0, output.stderr
    merged_score, adapter, base = map(float, output.stdout.split())
    assert (merged_score, adapter < 1e-3, base > 1e-3) == (0.0, True, True), output.stdout
    card = place.hub.repositories["me/adapter"].files["README.md"]
    assert isinstance(card, bytes)
    assert b"base_model: org/tiny-bert" in card
    assert place.hub.repositories["org/tiny-bert"].head.encode() in card
    rest = [path for path in home.rglob("*") if path.is_file() and "redis" not in path.parts]
    assert not [path for path in rest if TOKEN.encode() in path.read_bytes()]
    assert not [path for path in rest if place.s3.secret.encode() in path.read_bytes()]
    logs = "".join(path.read_text(errors="replace") for path in place.stack.logs.glob("*.log"))
    assert "AWS4-HMAC-SHA256" not in logs
