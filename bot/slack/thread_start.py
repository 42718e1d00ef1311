"""Pools whose threads run before the first event comes.

`submit` of any pool holds one lock of the whole process while it starts a thread, which on a busy machine takes tens of
milliseconds; in a burst after a start the acknowledgements stood in line behind sixty of them.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor


def start_threads(pool: ThreadPoolExecutor, count: int) -> ThreadPoolExecutor:
    """Starts `count` threads of a pool that is idle and may have that many; the pool."""
    everyone = threading.Barrier(count)
    for arrival in [pool.submit(everyone.wait) for _ in range(count)]:
        arrival.result()
    return pool
