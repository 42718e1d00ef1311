"""The choice of the machine for a fine-tune: the team's workers or the machines of connected platforms. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bot.slack.ui.blocks import Block, option, select
from bot.slack.ui.blocks import field as input_field
from bot.slack.ui.escape import one_line
from bot.slack.ui.estimate import dollars
from bot.slack.ui.job_card import duration
from finetune.estimate import Machine, RunEstimate
from finetune.platforms.contract import PlaceOffer
from finetune.pricing import money

HERE = "here"
MOST_PLACES = 99


def machine_fields(places: Sequence[PlaceOffer], selection: str) -> list[Block]:
    """The field "Where" with the team's workers first; [] without a connected platform."""
    if not places:
        return []
    options = [option("This team's workers", HERE)]
    options += [option(one_line(label_of(place), 75), place.name) for place in places[:MOST_PLACES]]
    first = selection if selection in {place.name for place in places} else HERE
    return [input_field("where", "Where", select("where", options, first), live=True)]


def label_of(place: PlaceOffer) -> str:
    """The label: platform, machine, price, and the usual wait if known."""
    wait = place.offer.wait_s
    parts = [place.platform.label, place.offer.label, price_of(place)]
    return " · ".join([*parts, *([f"waits {duration(wait)}"] if wait is not None else [])])


def is_hosted(place: PlaceOffer) -> bool:
    """Whether the platform tunes with its own method and hosts the model."""
    return place.platform.gives == "hosted"


def price_of(place: PlaceOffer) -> str:
    """The price in dollars per hour, or per million trained tokens."""
    if is_hosted(place):
        return f"{money(place.offer.usd_per_million)} a million trained tokens"
    return f"{money(place.offer.usd_per_hour)} an hour"


def machine_of(place: PlaceOffer) -> Machine:
    """The machine that the model has to fit into; memory that its platform does not tell sets no limit."""
    offer = place.offer
    return Machine(
        offer.label, offer.memory_gib or math.inf, offer.gpu_gib or (math.inf if offer.gpu else 0.0)
    )


def usd_at(place: PlaceOffer, estimate: RunEstimate) -> float:
    """The highest cost in dollars, from the estimate's time and the offer's price."""
    if is_hosted(place):
        return estimate.tokens / 1e6 * place.offer.usd_per_million
    return seconds_at(place, estimate)[1] / 3600 * place.offer.usd_per_hour


def seconds_at(place: PlaceOffer, estimate: RunEstimate) -> tuple[float, float]:
    """The lowest and highest seconds; on a GPU those of the price table's cheapest GPU, which may be another kind."""
    if place.offer.gpu and estimate.gpu_seconds:
        return (estimate.gpu_seconds / 2, estimate.gpu_seconds)
    return estimate.seconds


def machine_text(place: PlaceOffer, estimate: RunEstimate, trains_without_test_rows: bool = False) -> str:
    """Time and dollars there, the date of the price, and what leaves the house (`trains_without_test_rows`: PlaceOffer.leaves)."""
    if is_hosted(place):
        return _hosted_text(place, estimate)
    low, high = seconds_at(place, estimate)
    wait = place.offer.wait_s
    text = (
        f"About {duration(low)} to {duration(high)} on {place.platform.label}, {place.offer.label}, at most "
        f"{dollars(usd_at(place, estimate))} ({money(place.offer.usd_per_hour)} an hour, price of {place.offer.as_of}); "
    )
    text += "the wait for a machine is not known." if wait is None else f"waits about {duration(wait)}."
    return f"{text} Leaves the house: {place.leaves(trains_without_test_rows)}"


def _hosted_text(place: PlaceOffer, estimate: RunEstimate) -> str:
    label, offer = place.platform.label, place.offer
    return (
        f"{label} tunes {offer.label} by its own method and keeps the model; only the epochs of this form count there. About "
        f"{estimate.tokens:,.0f} tokens, {dollars(usd_at(place, estimate))} ({price_of(place)}, price of {offer.as_of}); the "
        f"wait is not known. {place.platform.upkeep + ' ' if place.platform.upkeep else ''}Leaves the house: {place.platform.leaves}"
    )
