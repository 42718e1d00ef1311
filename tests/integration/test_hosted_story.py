"""A model that a platform tunes and keeps, whole, through Slack: form, card with the loss, cancel, report, try.

OpenAI's wire is a server on loopback (never run live); bot, worker, Redis and the measurement at home are real.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.demo.stack import LocalStack, local_stack
from bot.playground import Person
from tests.integration.conftest import CHANNEL, DATASET, add_dataset, appears, text_of, until
from tests.integration.test_platform_story import card_of
from tests.platforms.openai_machines import OpenAiMachines
from tests.platforms.openai_server import BASE, settings_for
from tests.platforms.standin import BILLED

pytestmark = [pytest.mark.integration, pytest.mark.slow]
PLACE = f"openai/{BASE}"


@pytest.fixture(scope="module")
def openai() -> Iterator[OpenAiMachines]:
    server = OpenAiMachines()
    yield server
    server.close()


@pytest.fixture(scope="module")
def stack(openai: OpenAiMachines, short_folder: Path) -> Iterator[LocalStack]:
    home = short_folder / "hosted"
    add_dataset(home / "datasets", DATASET)
    env = settings_for(openai, "") | {"TRAINWISE_CARD_INTERVAL": "1"}
    with local_stack(home, more_env=env) as running:
        running.workspace.set_rates(enforce=False)
        running.wait_for_bot()
        yield running


@pytest.fixture(scope="module")
def ravi(stack: LocalStack) -> Person:
    return Person(stack.url, "ravi", timeout=120)


def test_a_tuning_is_watched_and_cancelled_and_leaves_nothing_there(
    openai: OpenAiMachines, ravi: Person
) -> None:
    """The form shows the price by tokens and what leaves the house, the card the loss; cancelled means: no job, file or model."""
    openai.holds.set()

    def look() -> object:
        ravi.command("/finetune", "", CHANNEL)
        view = ravi.wait_view(60, title="Fine-tune")
        if PLACE in str(view):
            return view
        ravi.close(view)
        return None

    view = until(look, 120)
    assert "$1.50 a million trained tokens" in str(view)
    form = {"dataset": DATASET, "epochs": "3", "budget_usd": "5", "where": PLACE}
    card = appears(ravi, lambda: ravi.submit(view, form), f"Fine-tune · {DATASET}")
    until(lambda: "loss" in card_of(ravi, card["ts"]), 300)
    job_id = next(iter(openai.jobs.values())).tag.split("-")[2]
    ravi.click(CHANNEL, card["ts"], "job_cancel", job_id)
    until(lambda: "Cancelled" in card_of(ravi, card["ts"]), 300)
    assert [job for job in openai.jobs.values() if job.stage in BILLED] == []
    assert (openai.files, openai.models, openai.violations) == ({}, {}, [])


def test_a_hosted_model_is_measured_at_home_and_answers_a_ticket(
    openai: OpenAiMachines, ravi: Person
) -> None:
    """The report in the thread, the files erased, the model kept; "Try it" asks it where it is, by a worker."""
    openai.holds.clear()
    words = f"{DATASET} epochs=3 budget=5 where={PLACE}"
    card = appears(ravi, lambda: ravi.command("/finetune", words, CHANNEL), f"Fine-tune · {DATASET}")
    report = ravi.wait_message(CHANNEL, lambda m: "job_try" in str(m.get("blocks")), 600, card["ts"])
    until(lambda: "Done" in card_of(ravi, card["ts"]), 60)
    assert f"{BASE}, tuned at OpenAI" in text_of(report)
    assert "job_deploy" not in str(report["blocks"])
    assert openai.files == {}
    assert len(openai.models) == 1
    row = next(block for block in report["blocks"] if block["type"] == "actions")
    job = next(one["value"] for one in row["elements"] if one["action_id"] == "job_try")
    ravi.click(CHANNEL, report["ts"], "job_try", job)
    ravi.submit(ravi.wait_view(60, title="Try the model"), {"text": "I was charged twice on my invoice"})
    until(lambda: f"tuned, {BASE}" in text_of(ravi.view() or {"blocks": []}), 300)
