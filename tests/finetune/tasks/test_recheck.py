"""A container's own report on replies, held to the model that came back with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune.data.ticket import Tickets
from finetune.pipeline import run
from finetune.spec import Spec
from finetune.tasks import TASKS
from finetune.tasks.reply.recheck import MAX_REPLIES, recheck
from tests.finetune.tiny import recipe, save_causal, tickets

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> tuple[Spec, Tickets, Path, dict[str, Any]]:
    """A tiny model that learned to reply, with the report that its container made."""
    folder, rows = tmp_path_factory.mktemp("training"), tickets(60)
    base = save_causal(folder / "base")
    spec = recipe(base_model=str(base), method="full", digest=rows.digest)
    return spec, rows, folder / "job", run(spec, rows, folder / "job", lambda event: None, lambda: None)


def with_pairs(report: Mapping[str, Any], **fields: str) -> dict[str, Any]:
    """The report with these fields in each pair of replies."""
    rows = [{**row, **fields} for row in report["pairs"]["rows"]]
    return {**report, "pairs": {**report["pairs"], "rows": rows}}


def test_an_honest_report_is_repeated(training: tuple[Spec, Tickets, Path, dict[str, Any]]) -> None:
    """The same model on the same machine writes the same replies."""
    spec, rows, folder, report = training
    check = TASKS["reply"].recheck
    assert check is not None
    assert f"{MAX_REPLIES} are the same" in check(spec, rows, folder, report)


def test_replies_of_another_model_and_strange_tickets_are_told(
    training: tuple[Spec, Tickets, Path, dict[str, Any]],
) -> None:
    """Whoever made the figures up did not have this model write them."""
    spec, rows, folder, report = training
    praise = with_pairs(report, tuned="Dear customer, your refund was sent this morning, with our apologies.")
    assert "do not rely on its figures" in recheck(spec, rows, folder, praise)
    strange = with_pairs(report, ticket="A ticket of nobody's.")
    assert "were not held out" in recheck(spec, rows, folder, strange)


def test_what_cannot_be_checked_says_why(training: tuple[Spec, Tickets, Path, dict[str, Any]]) -> None:
    """A large base model is not loaded on the bot's machine, and a slow one is asked once."""
    spec, rows, folder, report = training
    large = replace(spec, base_model="example/Large-8B")
    assert "too large" in recheck(large, rows, folder, report)
    ticks = iter(range(0, 10**6, 400))
    assert recheck(spec, rows, folder, report, lambda: float(next(ticks))).startswith("1 of")
