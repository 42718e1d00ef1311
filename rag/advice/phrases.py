"""The fixed words of an answer in the asker's language: translated tables, English where a word is missing.

rag/signals/language.py detects the language of a message. Does not translate documents: citations stay in the original
language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import yaml

from rag.errors import RagError

FOLDER = Path(__file__).parents[1] / "data" / "phrases"


@dataclass(frozen=True)
class Phrases:
    """The words of one language by a dotted key ("opening.rag"); `table` are translations of the table's lines."""

    language: str
    words: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The words with the values in their braces; KeyError for a key that English does not have."""
        text = self.words[key]
        return text.format(**values) if values else text

    def get(self, key: str, otherwise: str) -> str:
        """The words of this key, or `otherwise` where this language has none."""
        return self.words.get(key, otherwise)


@cache
def load_phrases_of(language: str) -> Phrases:
    """The phrases of a language, English ones where it lacks some; RagError when the file cannot be used."""
    path = FOLDER / f"{language}.yaml"
    try:
        words = dict(_flat(yaml.safe_load(path.read_text(encoding="utf-8")), ""))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        raise RagError(f"{path} cannot be used ({type(error).__name__}). Restore it with git.") from error
    return Phrases(language, words if language == "en" else {**load_phrases_of("en").words, **words})


def _flat(node: Mapping[str, object], prefix: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in node.items():
        if isinstance(value, Mapping):
            pairs += _flat(cast("Mapping[str, object]", value), f"{prefix}{name}.")
        else:
            pairs.append((f"{prefix}{name}", str(value)))
    return pairs
