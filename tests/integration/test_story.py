"""The demo's story, whole: real Redis, the real bot over Socket Mode, a real worker, real training."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from bot.demo.stack import local_stack
from bot.demo.story import CHANNEL, play_story
from bot.playground.client.person import Person
from tests.homes import home_with_graphs
from tests.integration.conftest import private_reply, text_of

pytestmark = pytest.mark.integration


def pressed_with(message: dict[str, Any], action: str) -> list[str]:
    """The values of a message's buttons of this action."""
    elements = [element for block in message.get("blocks", []) for element in block.get("elements", [])]
    return [str(one["value"]) for one in elements if str(one.get("action_id", "")).startswith(action)]


def test_a_question_a_measurement_a_fine_tune_and_a_trial_end_in_the_channel(
    tmp_path: Path, embed_cache: Path
) -> None:
    """A cited verdict, a measured one, one report with pictures beside the forecast, one ticket answered; in that order."""
    out = io.StringIO()
    home = home_with_graphs(tmp_path, embed_cache)
    with local_stack(home, fresh=True, processes=("bot",)) as stack:
        stack.wait_for_bot()
        play_story(stack, Console(file=out, width=200))
        ravi = Person(stack.url, "ravi")
        threads = [ravi.messages(CHANNEL, m["ts"]) for m in ravi.messages(CHANNEL)]
        messages = {m["ts"]: m for thread in threads for m in thread}.values()
        assert sum("Fine-tune · sample-tickets" in text_of(m) for m in messages) == 1
        assert sum("Tuned with LoRA" in text_of(m) for m in messages) == 1
        assert sum(bool(m.get("files")) for m in messages) >= 2
        jobs = sorted({value for m in messages for value in pressed_with(m, "job_details")})
        assert len(jobs) == 2
        side_by_side = private_reply(
            ravi, lambda: ravi.command("/datasets", f"compare sample-tickets {' '.join(jobs)}", CHANNEL)
        )
        assert "held-out tickets both are right on" in side_by_side
        memory = psutil.Process(stack.processes["bot"].pid).memory_info().rss / 2**20
        assert memory < 600
    text = " ".join(out.getvalue().split())
    steps = (
        "Prompt first",
        "now rests on these figures",
        "Worth it",
        "Forecast",
        "target of measurement",
        "After: tuned",
    )
    places = [text.index(step, text.index("Worth it") if step == "Forecast" else 0) for step in steps]
    assert places == sorted(places)
    assert "95%" in text
