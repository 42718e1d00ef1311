"""A training on a machine or on several, whole, through Slack: form, card with the loss, cancel, report, try.

The platform is a server on loopback that runs our real command as a process; bot, worker, Redis and training are real.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.demo.stack import LocalStack, local_stack
from bot.playground import Person
from tests.integration.conftest import CHANNEL, DATASET, Message, add_dataset, appears, text_of, until
from tests.platforms import huggingface_server, ray_server
from tests.platforms.huggingface_machines import HuggingFaceMachines
from tests.platforms.ray_machines import RayMachines
from tests.platforms.standin import BILLED, StandIn

pytestmark = [pytest.mark.integration, pytest.mark.slow]
Server = HuggingFaceMachines | RayMachines


@dataclass(frozen=True)
class Site:
    """A platform whose jobs run here: its server, the choice in the form, its name on the card, the price in the form.

    `nearest` is the machine that is named to whoever asks for one that is not there.
    """

    server: Server
    place: str
    label: str
    price: str
    nearest: str
    settings: Callable[[StandIn, str], dict[str, str]]


def huggingface(bucket: Path) -> Site:
    """One machine, rented."""
    server, place = HuggingFaceMachines(bucket), "huggingface/cpu-basic"
    words = "Hugging Face Jobs", "60 cents an hour", "t4-small"
    return Site(server, place, *words, huggingface_server.settings_for)


def ray(bucket: Path) -> Site:
    """Two machines of a cluster, on which the ranks train together."""
    server = RayMachines(bucket)
    words = "Ray cluster", "10 cents an hour", "2x1cpu"
    return Site(server, "ray/2x1cpu", *words, ray_server.settings_for)


@pytest.fixture(scope="module", params=[huggingface, ray], ids=["huggingface", "ray"])
def site(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site: Site = request.param(tmp_path_factory.mktemp("bucket"))
    yield site
    site.server.close()


@pytest.fixture(scope="module")
def stack(site: Site, short_folder: Path) -> Iterator[LocalStack]:
    home = short_folder / site.place.partition("/")[0]
    add_dataset(home / "datasets", DATASET)
    env = site.settings(site.server, str(site.server.bucket)) | {"TRAINWISE_CARD_INTERVAL": "1"}
    with local_stack(home, more_env=env) as running:
        running.workspace.set_rates(enforce=False)
        running.wait_for_bot()
        yield running


@pytest.fixture(scope="module")
def ravi(stack: LocalStack) -> Person:
    return Person(stack.url, "ravi", timeout=120)


def open_form(person: Person, place: str) -> Message:
    """The form with the field "Where": the offers are there as soon as the controller has asked once."""

    def look() -> Message | None:
        person.command("/finetune", "", CHANNEL)
        view = person.wait_view(60, title="Fine-tune")
        if place in str(view):
            return view
        person.close(view)
        return None

    view: Message = until(look, 120)
    return view


def card_of(person: Person, ts: str) -> str:
    """What the job's card says now."""
    return next(text_of(m) for m in person.messages(CHANNEL) if m["ts"] == ts)


def uploads(site: Site) -> list[Path]:
    """What lies in the bucket beside the platform's own logs."""
    return [path for path in site.server.bucket.rglob("*") if path.is_file() and path.suffix != ".log"]


def test_a_training_is_watched_and_cancelled_and_the_card_waits_for_the_platform(
    site: Site, ravi: Person
) -> None:
    """The form shows price, date and what leaves the house; the card shows the loss; cancelled means: nothing runs, nothing
    is left in the bucket."""
    view = open_form(ravi, site.place)
    assert "This team's workers" in str(view)
    assert site.price in str(view)
    ravi.use(view, "where", site.place)
    until(lambda: "Held-out tickets stay here" in str(ravi.view()), 60)
    view = ravi.view() or view
    form = {"dataset": DATASET, "method": "lora", "epochs": "40", "budget_usd": "5", "where": site.place}
    card = appears(ravi, lambda: ravi.submit(view, form), f"Fine-tune · {DATASET}")
    until(lambda: "loss" in card_of(ravi, card["ts"]), 600)
    assert site.label in card_of(ravi, card["ts"])
    job_id = next(iter(site.server.jobs.values())).tag.split("-")[2]
    ravi.click(CHANNEL, card["ts"], "job_cancel", job_id)
    until(lambda: "Cancelled" in card_of(ravi, card["ts"]), 300)
    assert [job for job in site.server.jobs.values() if job.stage in BILLED] == []
    assert uploads(site) == []
    assert site.server.violations == []


def test_a_result_comes_back_is_reported_erased_there_and_answers_a_ticket(site: Site, ravi: Person) -> None:
    """Report with pictures in the thread, dollars on the card, the bucket empty, and the model answers on a worker."""
    words = f"{DATASET} linear budget=2 where={site.place}"
    card = appears(ravi, lambda: ravi.command("/finetune", words, CHANNEL), f"Fine-tune · {DATASET}")
    report = ravi.wait_message(CHANNEL, lambda m: "job_try" in str(m.get("blocks")), 600, card["ts"])
    until(lambda: "Done" in card_of(ravi, card["ts"]), 60)
    assert uploads(site) == []
    row = next(block for block in report["blocks"] if block["type"] == "actions")
    job = next(one["value"] for one in row["elements"] if one["action_id"] == "job_try")
    ravi.click(CHANNEL, report["ts"], "job_try", job)
    ravi.submit(ravi.wait_view(60, title="Try the model"), {"text": "I was charged twice on my invoice"})
    until(lambda: "After: tuned" in text_of(ravi.view() or {"blocks": []}), 300)


def test_a_machine_that_nobody_offers_is_refused_on_the_spot(site: Site, ravi: Person) -> None:
    """The sentence names what there is."""
    ravi.close(open_form(ravi, site.place))  # the offers have been read
    before = {m["ts"] for m in ravi.messages(CHANNEL)}
    ravi.command("/finetune", f"{DATASET} linear budget=2 where={site.place.partition('/')[0]}/moon", CHANNEL)

    def new(message: Message) -> bool:
        return message["ts"] not in before and "moon" in text_of(message)

    assert site.nearest in text_of(ravi.wait_message(CHANNEL, new))
