"""The parts of a text in which a pattern can match, told by a sign that it must hold: long texts are mostly passed over. Pure.

A pattern that begins with many words is tried at each letter of a text; what it looks for has a digit, an `@` or a `:`, which
are found at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Near:
    """A pattern and its sign: every match reaches from at most `before` characters before a sign (and the word there) to the
    first blank that is `after` characters behind one."""

    pattern: re.Pattern[str]
    sign: re.Pattern[str]
    before: int
    after: int

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """What `pattern.finditer(text)` finds."""
        for start, end in stretches(text, self.sign, self.before, self.after):
            yield from self.pattern.finditer(text, start, end)


def stretches(text: str, sign: re.Pattern[str], before: int, after: int) -> Iterator[tuple[int, int]]:
    """The places around the signs, in order and apart; each begins and ends at a blank or the text's end."""
    start = end = -1
    for match in sign.finditer(text):
        if match.end() + after <= end:
            continue
        left = max(0, match.start() - before)
        if left > end and (left := _blank_before(text, left)) > end:
            if end >= 0:
                yield start, end
            start = left
        end = _blank_behind(text, match.end() + after)
    if end >= 0:
        yield start, end


def _blank_before(text: str, at: int) -> int:
    while at > 0 and not text[at - 1].isspace():
        at -= 1
    return at


def _blank_behind(text: str, at: int) -> int:
    size = len(text)
    while at < size and not text[at].isspace():
        at += 1
    return min(at, size)


def longest_word(text: str) -> int:
    """The most characters without a blank."""
    return max(map(len, text.split()), default=0)
