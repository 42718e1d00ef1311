"""What a machine costs an hour: as a setting of the team has it, or as a platform told it on a date."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from finetune.platforms.contract import PlatformError


def prices_of(text: str, variable: str) -> dict[str, float]:
    """`ml.g5.xlarge=1.41, ml.m5.xlarge=0.23` as machines with dollars an hour; PlatformError names the wrong part."""
    prices: dict[str, float] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, _, usd = part.partition("=")
        try:
            price = float(usd)
        except ValueError:
            price = math.nan
        if not name.strip() or not 0 < price < math.inf:
            raise PlatformError(
                f"{variable} has {part[:60]!r}: write a machine, =, and dollars an hour, more than 0."
            )
        prices[name.strip()] = price
    return prices


def date_of_today() -> str:
    """The day (UTC) on which a platform told a price; the price may be shown later."""
    return datetime.now(UTC).date().isoformat()


def token_prices_of(text: str, variable: str) -> dict[str, tuple[float, float, float]]:
    """`gpt-4.1-nano=1.50/0.20/0.80` as models with dollars a million tokens: trained, read, written."""
    prices: dict[str, tuple[float, float, float]] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, _, usd = part.rpartition("=")
        try:
            training, reading, writing = (float(one) for one in usd.split("/"))
        except ValueError:
            training = reading = writing = math.nan
        if not name.strip() or not all(0 < one < math.inf for one in (training, reading, writing)):
            raise PlatformError(
                f"{variable} has {part[:60]!r}: write a model, =, and three prices in dollars a million tokens (training, "
                "reading, writing), such as 1.50/0.20/0.80."
            )
        prices[name.strip()] = (training, reading, writing)
    return prices
