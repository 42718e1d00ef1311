"""The machines of a platform that tells no price by itself: written into a setting with the team's dollars an hour. Pure."""

from __future__ import annotations

from finetune.platforms.contract import PlatformError


def prices_of(text: str, variable: str) -> dict[str, float]:
    """`ml.g5.xlarge=1.41, ml.m5.xlarge=0.23` as machines with dollars an hour; PlatformError names the wrong part."""
    prices: dict[str, float] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, _, usd = part.partition("=")
        try:
            prices[name.strip()] = float(usd)
        except ValueError:
            raise PlatformError(
                f"{variable} has {part[:60]!r}: write a machine, =, and dollars an hour."
            ) from None
    return prices
