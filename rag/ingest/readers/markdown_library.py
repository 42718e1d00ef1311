"""markitdown, loaded without the libraries of the formats that we read ourselves."""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType

NOT_NEEDED = ("pandas", "pdfminer")
"""markitdown loads them with its first converter, for spreadsheets and PDF: most of the time that loading it takes."""


@cache
def load_markitdown() -> ModuleType:
    """The package markitdown with its converters; what it wants for other formats stays unloaded unless it is there.

    Raises ModuleNotFoundError where the extra `documents` is not installed.
    """
    absent = [name for name in NOT_NEEDED if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment] # Python's own sign for "cannot be imported"
    try:
        import markitdown
        import markitdown.converters
    finally:
        for name in absent:
            del sys.modules[name]
    return markitdown
