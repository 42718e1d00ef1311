"""Opening the forms: a trigger id lives three seconds, so each is filled and opened in one call."""

from __future__ import annotations

from collections.abc import Mapping

from slack_sdk import WebClient

from bot.estimate import estimate
from bot.slack.features.finetune import finetune_spec
from bot.slack.services import Services
from bot.slack.ui.blocks import Block
from bot.slack.ui.forms import (
    Memory,
    dataset_modal,
    documents_modal,
    finetune_modal,
    note_modal,
    reason_modal,
    recipe_of,
)
from bot.slack.ui.limits import checked_view
from finetune.spec import SpecError

NO_TICKETS = "There is no dataset yet. Add your tickets with /datasets add, then come back."


def finetune(
    services: Services,
    client: WebClient,
    trigger_id: str,
    memory: Memory,
    chosen: Mapping[str, str] | None = None,
) -> None:
    """`chosen` are fields filled in beforehand."""
    client.views_open(trigger_id=trigger_id, view=finetune_form(services, memory, chosen or {}))


def finetune_form(services: Services, memory: Memory, chosen: Mapping[str, str]) -> Block:
    """The fine-tune form with the estimate for what is chosen so far."""
    cards = services.datasets.list(services.scopes(memory.channel))
    if not cards:
        return checked_view(note_modal("Fine-tune", NO_TICKETS))
    form = {"dataset": cards[0].name, "task": cards[0].kind, **chosen}
    return checked_view(finetune_modal(cards, memory, form, _estimate(services, form, memory.channel)))


def _estimate(services: Services, form: Mapping[str, str], channel: str) -> str:
    """The cost in a sentence, or what stands in the way."""
    try:
        spec, card = finetune_spec(services, recipe_of(form), channel)
    except SpecError as wrong:
        return " ".join(wrong.problems.values())
    return estimate(spec, card, services.prices).text


def dataset(
    client: WebClient, trigger_id: str, memory: Memory, name: str = "", has_file: bool = False
) -> None:
    client.views_open(trigger_id=trigger_id, view=checked_view(dataset_modal(memory, name, has_file)))


def documents(client: WebClient, trigger_id: str, memory: Memory) -> None:
    client.views_open(trigger_id=trigger_id, view=checked_view(documents_modal(memory)))


def reason(
    client: WebClient, trigger_id: str, callback_id: str, title: str, label: str, memory: Memory
) -> None:
    view = reason_modal(callback_id, title, label, memory, optional=callback_id == "feedback_reason")
    client.views_open(trigger_id=trigger_id, view=checked_view(view))
