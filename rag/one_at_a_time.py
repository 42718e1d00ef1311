"""Loads that many threads ask for at once and that one of them does."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def one_at_a_time(load: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Callers wait for each other. Around a cache: functools' own run what is missing once for each thread that asks."""
    turn = threading.RLock()

    @functools.wraps(load)
    def wait_and_load(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with turn:
            return load(*args, **kwargs)

    return wait_and_load
