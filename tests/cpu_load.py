"""Load on the CPU for checks that it changes no decision."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def burning(processes: int) -> Iterator[None]:
    """So many processes that do nothing but burn the CPU, at the usual priority."""
    context = multiprocessing.get_context("spawn")
    burners = [context.Process(target=_burn, daemon=True) for _ in range(processes)]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.terminate()
            burner.join()


def _burn() -> None:
    parent = multiprocessing.parent_process()
    while parent is None or parent.is_alive():  # a killed run leaves no load behind
        for _ in range(1_000):
            sum(range(10_000))
