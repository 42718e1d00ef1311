"""The cue lexicon: which telling words stand in a message, for which signal, and where.

Loads rag/data/cues.yaml (regular expressions by signal and value) and finds them; weighs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from rag.errors import RagError

CUES = Path(__file__).parents[1] / "data" / "cues.yaml"
_QUOTES = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u00a0": " ", "\u202f": " "}
)


@dataclass(frozen=True)
class Cue:
    """One hit: the signal and value it speaks for and the span of the words."""

    signal: str
    value: str
    start: int
    end: int


@dataclass(frozen=True)
class Lexicon:
    """Compiled cues; `names` fixes the order of the feature vector."""

    patterns: Mapping[tuple[str, str], tuple[re.Pattern[str], ...]]

    @cached_property
    def names(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.patterns)

    def find(self, text: str) -> list[Cue]:
        """Every hit in the text, at most four per pattern, in no particular order."""
        plain = fold(text)
        found = []
        for (signal, value), patterns in self.patterns.items():
            for pattern in patterns:
                for number, match in enumerate(pattern.finditer(plain)):
                    if number == 4:
                        break
                    if match.end() > match.start():
                        found.append(Cue(signal, value, *match.span()))
        return found


def fold(text: str) -> str:
    """Lower case with plain quotes; every character keeps its place, so spans fit the original."""
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text.translate(_QUOTES))


def load_lexicon(path: Path = CUES) -> Lexicon:
    """The compiled lexicon; RagError names the file and the pattern that cannot be used."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Lexicon(
            {
                (signal, str(value)): tuple(re.compile(p) for p in patterns)
                for signal, values in raw.items()
                for value, patterns in values.items()
            }
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, re.error, AttributeError, TypeError) as error:
        raise RagError(f"The cue lexicon {path} cannot be used: {error}. Restore it with git.") from error
