"""The user's own words around a hit: the clause it stands in, or the nearest words of a long one. Pure."""

from __future__ import annotations

import re

MOST = 70
_EDGE = re.compile(r"[;!?\n()]+\s*|[.,:](?:\s+|$)|\s[-–—]\s|\s->\s")


def words_around(text: str, start: int, end: int) -> str:
    """At most about seventy characters, cut at the ends of clauses and words; always holds text[start:end]."""
    left, right = 0, len(text)
    for edge in _EDGE.finditer(text):
        if edge.end() <= start:
            left = edge.end()
        elif edge.start() >= end:
            right = edge.start()
            break
    if right - left > MOST:
        spare = max(0, MOST - (end - start))
        left, right = max(left, start - spare // 2), min(right, end + spare - spare // 2)
        while left > 0 and left < start and text[left - 1] not in " \n":
            left += 1
        while right > end and right < len(text) and text[right] not in " \n":
            right -= 1
    return " ".join(text[left:right].split()).strip(" ,;:.")
