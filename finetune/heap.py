"""Freed memory handed back to the system: glibc keeps it, and batches of ever other lengths leave holes in it."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Return free pages from all of the heap to the system; does nothing where the C library is not glibc.

    Measured: docs/decisions.d/training.md.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
