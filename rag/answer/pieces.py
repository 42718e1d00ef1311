"""The pieces of an answer: sentences, chat lines and table rows of a passage, with their headings and context."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.search.chunking import sentences
from rag.search.retrieval import Passage
from rag.search.tables import cells_of, is_row, is_rule
from rag.signals.document_injection import is_injection

MIN_WORDS, MIN_WORDS_ALONE, MAX_WORDS = 3, 5, 70
MAX_WORDS_BEFORE = 16  # of the sentence before a piece, for the answerability model
SHORT_WORDS = 8  # an opener like "Retrieval and tuning add up." stays with the next sentence
CORRECTION = "Correction ("
_LEANS = re.compile(
    r"(?:it|they|this|these|those|that|such|both|he|she|its|their|use it|consider it|result:|for example|then"
    r"|however|otherwise|the latter|until then|instead|check the)\b",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[A-Z]\w+: \S")
_HEADING = re.compile(r"#{1,6}\s")
_SMALL_TALK = re.compile(
    r"(?:\[?\d\d:\d\d\]? )?(?:[\w'’-]+: )?(?:(?:good|morning|afternoon|evening|night|hi|hello|hey|all|everyone|everybody|team|folks|there|again|many|thanks"
    r"|thank|you|thx|cheers|ok|okay|great|cool|nice|perfect|super|bye|welcome|lol|np|so|very|much|and|to|a|lot)\b\W*)+",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"[?？][\"')\]*_]*$")


@dataclass(frozen=True)
class Piece:
    """One run of a passage's text. `before` is its context besides the heading: the sentence before it, or a row's
    header line. `label` precedes it in a list; `said` is the claim that it proves, if different."""

    passage: Passage
    text: str
    label: str = ""
    said: str = ""
    before: str = ""

    @property
    def leaf(self) -> str:
        return self.passage.heading.rsplit(" > ", 1)[-1]

    @property
    def claim(self) -> str:
        return self.said or (f"{self.label}: {self.text}" if self.label else self.text)

    @property
    def is_correction(self) -> bool:
        return self.text.startswith(CORRECTION)

    @property
    def is_table_row(self) -> bool:
        return is_row(self.text)

    @property
    def header(self) -> list[str]:
        """The names of a row's columns."""
        return cells_of(self.before) if self.is_table_row and self.before else []


def split_pieces(passage: Passage) -> list[Piece]:
    """The pieces of a passage in order; questions, headings and small talk are none, for they answer nothing."""
    pieces: dict[str, Piece] = {}
    run: list[str] = []
    header = ""
    before = ""
    lines = [line.strip() for line in passage.text.splitlines()]
    for at, line in enumerate(lines):
        if is_rule(line):
            continue
        if is_row(line):
            before = _flush(passage, run, pieces, before)
            if (at + 1 < len(lines) and is_rule(lines[at + 1])) or not header:
                header = line
            else:
                pieces.setdefault(line, Piece(passage, line, before=header))
            continue
        header = ""
        if _HEADING.match(line):  # one without text of its own (rag/search/chunking.py)
            _flush(passage, run, pieces, before)
            before = line.lstrip("# ")
            continue
        run.append(line)
    _flush(passage, run, pieces, before)
    return list(pieces.values())


def _flush(passage: Passage, run: list[str], pieces: dict[str, Piece], before: str) -> str:
    for text in units("\n".join(run)):
        asks = _QUESTION.search(text) and len(list(sentences(text))) == 1
        if not asks and not _SMALL_TALK.fullmatch(text):
            pieces.setdefault(text, Piece(passage, text, before=before))
        before = text
    run.clear()
    return before


def units(text: str) -> list[str]:
    """The sentences and list items of prose; a sentence that needs the one before it is joined to it."""
    return [run for run in _runs(text, keep_leaning=True) if _has_words(run, MIN_WORDS)]


def sentences_alone(text: str) -> list[str]:
    """The sentences that are complete on their own: long enough, no half of a labelled pair, none that needs a
    missing sentence."""
    runs = [run for run in _runs(text, keep_leaning=False) if _has_words(run, MIN_WORDS_ALONE)]
    return [run for run in runs if not _is_half_label(run)]


def _runs(text: str, keep_leaning: bool) -> list[str]:
    runs: list[str] = []
    for line in re.split(r"\n+", text):
        open_run = False
        for sentence in sentences(line.strip().lstrip("-*•").strip()):
            leans = bool(_LEANS.match(sentence))
            if open_run and (leans or len(runs[-1].split()) < SHORT_WORDS):
                if is_injection(sentence):  # must not be joined to the fact before it
                    runs.append(sentence)
                    open_run = False
                    continue
                runs[-1] = f"{runs[-1]} {sentence}"
            elif keep_leaning or not leans:
                runs.append(sentence)
                open_run = True
    return list(dict.fromkeys(runs))


def _has_words(text: str, least: int) -> bool:
    return least <= len(text.split()) <= MAX_WORDS and bool(re.search(r"\w", text))


def _is_half_label(text: str) -> bool:
    return bool(_LABEL.match(text)) and len(text.split()) < 10 and not text.startswith("Correction")


def piece_in_context(title: str, leaf: str, text: str, before: str, header: Sequence[str]) -> str:
    """A piece with its context, as the answerability model reads it; a row's cells carry their column names."""
    above = title if leaf.lower() in title.lower() else f"{title} > {leaf}"
    if header:
        cells = zip(header, cells_of(text), strict=False)
        return f"{above} | " + "; ".join(f"{name}: {cell}" if name else cell for name, cell in cells)
    last = " ".join(before.split()[-MAX_WORDS_BEFORE:])
    return f"{above} | {last} | {text}" if last else f"{above} | {text}"
