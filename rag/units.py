"""A passage as pieces that can stand alone in an answer: sentences, with the one before where they lean on it.

Covers sentences that open with a pronoun ("It takes ..."), labelled halves ("Approach: ... Result: ...") and
introductions that only point at what follows. Knows English openings; other languages pass unchanged.
"""

from __future__ import annotations

import re

from rag.search.chunking import sentences

LEAST_WORDS = 5
SHORT = 8  # words: an opener like "Retrieval and tuning add up." takes the next sentence with it
MOST_WORDS = 70
_LEANS = re.compile(
    r"(?:it|they|this|these|those|that|such|both|he|she|its|their|use it|consider it|result:|for example|then"
    r"|however|otherwise|the latter|until then|instead|check the)\b",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[A-Z]\w+: \S")


def units(text: str) -> list[str]:
    """The pieces in order; each is one run of the passage's own text, white space apart."""
    found: list[str] = []
    for line in re.split(r"\n+", text):
        open_run = False
        for sentence in sentences(line.strip().lstrip("-*•").strip()):
            leans = bool(_LEANS.match(sentence))
            if open_run and (leans or len(found[-1].split()) < SHORT):
                found[-1] = f"{found[-1]} {sentence}"
            elif not leans:
                found.append(sentence)
            open_run = open_run or not leans
    return [unit for unit in dict.fromkeys(found) if _whole(unit)]


def _whole(unit: str) -> bool:
    """Long enough to say something, and not half of a labelled pair."""
    words = len(unit.split())
    half = _LABEL.match(unit) and words < 10 and not unit.startswith("Correction")
    return LEAST_WORDS <= words <= MOST_WORDS and not half
