"""Lets one of many concurrent threads do a load while the others wait."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def one_at_a_time(load: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Serialises calls of `load`. Needed around a cache, because functools runs a missing load once per concurrent thread."""
    turn = threading.RLock()

    @functools.wraps(load)
    def wait_and_load(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with turn:
            return load(*args, **kwargs)

    return wait_and_load
