"""How the figures of every report read: shares out of a hundred, and what such a number counts."""

from __future__ import annotations

RIGHT = {
    "accuracy": "of 100 new tickets would go to the right queue",
    "macro_f1": "macro-F1 points of 100 are expected",
}


def of_100(*shares: float, target: float | None = None) -> list[str]:
    """Shares as numbers of a hundred: whole ones, unless two different ones would then read the same.

    `target` comes last and is told as the person named it: then all have its decimals.
    """
    values = shares if target is None else (*shares, target)
    whole = [f"{100 * share:.0f}" for share in values]
    exact = [f"{100 * share:.1f}".removesuffix(".0") for share in values]
    has_decimals = target is not None and whole[-1] != exact[-1]
    return whole if len(set(whole)) == len(set(exact)) and not has_decimals else exact
