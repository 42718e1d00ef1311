"""Builds the form that connects a language model, and the line on a connected one. Pure."""

from __future__ import annotations

from bot.endpoint import LOCATIONS, LONGEST_MODEL, LONGEST_URL, Endpoint
from bot.slack.ui.blocks import (
    Block,
    actions,
    button,
    confirm,
    context,
    field,
    modal,
    number_field,
    option,
    section,
    select,
    text_input,
)
from bot.slack.ui.escape import escape
from finetune.pricing import money

FIELDS = ("base_url", "model", "api_key", "location", "measurement_cap_usd", "month_cap_usd")
PRIVACY = (
    "Tickets are redacted before they are kept; their texts then go to this server when prompts are measured. "
    "The key is encrypted and never shown again."
)


def connect_modal(metadata: str, current: Endpoint | None, spent_usd: float) -> Block:
    """The form; with a connected model it shows its values and a Remove button."""
    places = [option(text.capitalize(), name) for name, text in LOCATIONS.items()]
    values = current or Endpoint("", "", "", 1.0, 20.0)
    blocks = [section(connected_line(current, spent_usd))] if current else []
    if current:
        dialog = confirm(
            "Remove it?", "Its key is deleted. Prompts are no longer measured.", "Remove", "Keep"
        )
        blocks.append(actions([button("Remove", "endpoint_remove", style="danger") | {"confirm": dialog}]))
    blocks += [
        field(
            "base_url",
            "Address (OpenAI-compatible)",
            text_input("base_url", values.base_url, "https://api.example.eu/v1", longest=LONGEST_URL),
        ),
        field("model", "Model", text_input("model", values.model, "llama3.1:8b", longest=LONGEST_MODEL)),
        field(
            "api_key",
            "API key",
            text_input("api_key", hint="Leave empty where the server needs none", longest=500),
            optional=True,
        ),
        field("location", "Where does it run?", select("location", places, values.location or None)),
        number_field(
            "measurement_cap_usd",
            "At most for one measurement, in dollars",
            f"{values.measurement_cap_usd:g}",
            decimal=True,
        ),
        number_field(
            "month_cap_usd",
            "At most in a month, in dollars",
            f"{values.month_cap_usd:g}",
            decimal=True,
        ),
        context(PRIVACY),
    ]
    return modal("connect_model", "Connect a model", blocks, "Test and connect", metadata)


def connected_line(endpoint: Endpoint, spent_usd: float) -> str:
    """The line on the connected model: name, server, location, spending."""
    return (
        f"*{escape(endpoint.model)}* at {escape(endpoint.host)}, {LOCATIONS.get(endpoint.location, '')}: "
        f"{money(spent_usd)} of {money(endpoint.month_cap_usd)} spent this month, at most "
        f"{money(endpoint.measurement_cap_usd)} for one measurement."
    )


def result_modal(text: str) -> Block:
    """The modal with the result of the test."""
    return modal("note", "Connect a model", [section(text)])
