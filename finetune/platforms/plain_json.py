"""Parses untrusted JSON, accepting only values that a database and a float can hold. Pure."""

from __future__ import annotations

import json
import math
import re
from typing import Any

DIGITS = 18
NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")  # as JSON writes it; not a backslash and the letters u0000


def plain_object(data: bytes) -> dict[str, Any] | None:
    """The JSON object in `data` without NUL; None where it is none, or holds what a database refuses."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    def finite(text: str) -> float:
        if not math.isfinite(value := float(text)):
            raise ValueError(text)
        return value

    def whole(text: str) -> int:
        if len(text) > DIGITS:
            raise ValueError(text)
        return int(text)

    try:
        text = NUL.sub(rb"\1", data)
        value = json.loads(text, parse_constant=refuse, parse_float=finite, parse_int=whole)
        json.dumps(value, ensure_ascii=False).encode()  # half a character has no UTF-8
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
