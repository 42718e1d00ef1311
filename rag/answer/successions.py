"""Whether a piece names the one who came before, or after, where the question asks for that one and not for the other."""

from __future__ import annotations

import re

from rag.answer.pieces import Piece
from rag.answer.question_terms import stem

_WORD = re.compile(r"[\w'’-]+")
_BEFORE = re.compile(
    r"\bwho (?:was|were|had|ran|did|held|led|used to|\w+ed)\b.{0,80}\bbefore (?!the |\d|noon|lunch|it\b|that\b)\w|\bwho (?:preceded|came before)\b|\bpredecessor\b",
    re.I,
)
_FORMERLY = re.compile(
    r"\b(?:before|former\w*|previous\w*|predecessor|until|till|took over|tak\w+ over|succe\w+|follow\w*|replac\w+|instead|in place|inherit\w*|used to|earlier|at first"
    r"|old|last|had been|resign\w*|retire\w*|left|hand\w* over|gave up|original\w*|back then|once|formerly|then|past|step\w* down|place of|19\d\d|20\d\d|ago|preced\w*|had)\b",
    re.I,
)
_SUCCESSION = (
    r"(?:replac\w+|succe\w+|follow(?:s|ed)?|(?:take|takes|took|taken|taking) over|inherit\w*|relie\w+)"
)
_ASKS_FORMER = re.compile(
    rf"\b(?:from )?whom? did (?:the )?(.{{2,40}}?) {_SUCCESSION}|\bfrom whom did (.{{2,40}}?) (?:take|get|inherit)",
    re.I,
)
_ASKS_LATTER = re.compile(
    rf"\bwho (?:will |is going to |has )?(?:{_SUCCESSION}) (?:.{{0,30}}?\bfrom )(?:the )?([\w'’ -]{{2,40}})\W*$",
    re.I,
)


def lacks_other_person(question: str, piece: Piece) -> bool:
    """Whether a predecessor or successor is asked for, and the piece tells of none or of the other direction."""
    if _BEFORE.search(question):
        return not _FORMERLY.search(piece.text)
    text = piece.text if piece.header else f"{piece.before} {piece.text}"
    if match := _ASKS_FORMER.search(question):  # the one named in the question came after
        sides = _sides(match[1] or match[2], text)
        return True not in sides and (bool(sides) or not _FORMERLY.search(piece.text))
    if match := _ASKS_LATTER.search(question):
        return _sides(match[1], text) == {True}
    return False


def _sides(name: str, text: str) -> set[bool]:
    """On which sides of a verb of succession somebody of that name stands: True where the name is who takes over."""
    words = {stem(word) for word in _WORD.findall(name) if len(word) > 2}
    sides: set[bool] = set()
    for sentence in re.split(r"(?<=[.!?;])\s", text):
        for match in re.finditer(rf"\b{_SUCCESSION}\b", sentence, re.I):
            before, behind = sentence[: match.start()], sentence[match.end() :]
            is_passive = behind.startswith(" by ")
            for part, is_subject in ((before, not is_passive), (behind, is_passive)):
                if words & {stem(word) for word in _WORD.findall(part)}:
                    sides.add(is_subject)
    return sides
