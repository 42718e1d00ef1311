"""Prompting among a fine-tune's baselines, against an OpenAI-compatible server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune.evaluation.prompting import FEW, RETRIEVED, ZERO
from finetune.llm import Llm, asker
from finetune.pipeline import run
from finetune.pricing import Rates
from finetune.spec import parse_spec
from tests.finetune.evaluation.test_prompting import LABELS, MODEL, reader
from tests.finetune.measurement.measuring import PRICES, sample_rows, tickets
from tests.openai_server import OpenAIServer

pytestmark = pytest.mark.integration


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """Knows the answer where examples were retrieved."""
    with OpenAIServer(answer=reader) as running:
        yield running


def linear_report(server: OpenAIServer, folder: Path, rows: int | None = None) -> dict[str, Any]:
    """The report of a `linear` run on the bundled tickets (the first `rows`) with a language model configured."""
    spec = parse_spec({"dataset": "sample", "method": "linear"})
    llm = Llm(asker(MODEL, "sk-test", server.base_url, 5), MODEL, 0.015)
    some = tickets(sample_rows()[:rows])
    return run(spec, some, folder, lambda _: None, lambda: None, Rates(0.0, PRICES), llm=llm)


def test_prompts_are_in_the_baselines_and_training_must_beat_the_best(
    server: OpenAIServer, tmp_path: Path
) -> None:
    """Four prompts on the same tickets; the one that the choosing rows name is compared on the tickets it
    answered; what was sent and spent is told."""
    report = linear_report(server, tmp_path)
    by_name = {system["name"]: system for system in report["systems"]}
    assert {ZERO, FEW, RETRIEVED} <= set(by_name)
    assert report["systems"][-1]["role"] == "tuned"
    assert by_name[RETRIEVED]["accuracy"]["value"] == 1.0
    assert by_name[RETRIEVED]["rows"] < report["dataset"]["test"]
    assert report["difference"]["against"] == RETRIEVED
    assert report["difference"]["rows"] == by_name[RETRIEVED]["rows"]
    assert report["worth_it"] != "yes"
    assert any(f"requests with ticket texts went to {MODEL}" in note for note in report["notes"])
    assert 0 < report["cost"]["api_usd"] < 0.015
    assert "for prompts" in report["cost"]["basis"]


def test_a_resumed_run_asks_nothing_again(server: OpenAIServer, tmp_path: Path) -> None:
    """Without its report a folder is run again: what a language model answered, and was paid for, is still there."""
    first = linear_report(server, tmp_path, rows=150)
    count = len(server.requests)
    assert count > 0
    (tmp_path / "report.json").unlink()
    again = linear_report(server, tmp_path, rows=150)
    assert len(server.requests) == count
    assert again["difference"] == first["difference"]


def test_a_server_that_refuses_costs_the_prompts_and_not_the_run(
    server: OpenAIServer, tmp_path: Path
) -> None:
    """The report has its ladder without them and says why."""
    server.always("wrong_key")
    report = linear_report(server, tmp_path, rows=150)
    assert not any(system.get("prompt") for system in report["systems"])
    assert any("did not answer" in note for note in report["notes"])
    assert report["cost"]["api_usd"] == 0


@pytest.mark.slow
def test_a_worse_prompt_is_not_the_baseline_to_beat(tmp_path: Path) -> None:
    """A model that always says one class: shown, and the linear baseline stays the opponent."""
    first = sorted(set(LABELS.values()))[0]
    with OpenAIServer(answer=lambda _: first) as server:
        report = linear_report(server, tmp_path)
    assert report["difference"]["against"] not in (ZERO, FEW, RETRIEVED)
    assert sum(bool(system.get("prompt")) for system in report["systems"]) == 4
