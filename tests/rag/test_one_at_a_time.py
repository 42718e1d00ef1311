"""A load that several threads ask for at once is done by one of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from rag.one_at_a_time import one_at_a_time


def test_all_who_ask_at_once_get_what_one_of_them_loads() -> None:
    """Four ask while the first still loads: one load, one object for all."""
    loads, others_asked = list[int](), threading.Event()

    @one_at_a_time
    @cache
    def load(number: int) -> object:
        loads.append(number)
        others_asked.wait(0.2)  # a second load would begin meanwhile
        return object()

    with ThreadPoolExecutor(4) as pool:
        things = list(pool.map(load, [7] * 4))
    assert loads == [7]
    assert len(set(map(id, things))) == 1


def test_one_load_may_ask_for_another_of_its_kind() -> None:
    """A load that needs itself for something smaller does not wait for its own end."""

    @one_at_a_time
    @cache
    def load(number: int) -> int:
        return number + (load(number - 1) if number else 0)

    assert load(3) == 6
