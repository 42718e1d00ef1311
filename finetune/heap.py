"""Freed memory handed back to the system: glibc keeps it, and batches of ever other lengths leave holes in it."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Return free pages from all of the heap to the system; does nothing where the C library is not glibc.

    Measured on sgd_replies: without it a 12M model's training grew from 1.8 to 8 GB over 1,860 steps (docs/decisions).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
