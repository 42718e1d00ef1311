"""Starts the threads of a pool before the first event arrives.

`submit` holds a process-wide lock while it starts a thread, which takes tens of milliseconds on a busy machine. In a burst
after a start, acknowledgements had to wait for sixty such starts.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor


def start_threads(pool: ThreadPoolExecutor, count: int) -> ThreadPoolExecutor:
    """Starts `count` threads of an idle pool that allows that many; returns the pool."""
    everyone = threading.Barrier(count)
    for arrival in [pool.submit(everyone.wait) for _ in range(count)]:
        arrival.result()
    return pool
