"""Hosted models after their job: finds the platform of a model name, and deletes models with retries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from finetune.platforms.contract import Host, NoAnswer, Platform

AGAIN_S = 10.0
PATIENCE_S = 180.0


def host_of_name(model: str, platforms: Iterable[Platform], values: Mapping[str, str]) -> Platform | None:
    """The connected platform whose models have such names; None where there is none."""
    hosts = [one for one in platforms if one.gives == "hosted" and one.is_configured(values)]
    fitting = [one for one in hosts if model.startswith(one.model_prefix)]
    return max(fitting, key=lambda one: len(one.model_prefix), default=None)


def is_model_name(text: str, platforms: Iterable[Platform]) -> bool:
    """Whether a text is a hosted model's name: a job's id or folder has no colon and none of the platforms' prefixes."""
    prefixes = tuple(one.model_prefix for one in platforms if one.model_prefix)
    return ":" in text or text.startswith(prefixes)


def erase_hosted(host: Host, model: str, sleep: Callable[[float], None] = time.sleep) -> list[str]:
    """Delete a hosted model, asking again while the platform is at it; what could not be deleted, in words.

    NoAnswer where it is not done after PATIENCE_S: the same call goes on later.
    """
    for _ in range(int(PATIENCE_S / AGAIN_S)):
        try:
            return host.erase_model(model)
        except NoAnswer:
            sleep(AGAIN_S)
    return host.erase_model(model)
