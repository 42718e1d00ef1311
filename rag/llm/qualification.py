"""The first call to a server: a test of eight statements about short messages that a model must pass.

A model that obeys a grammar and answers nonsense passes every format check but fails here. The call is also long
enough for its time to first token to show the server's pace.
"""

from __future__ import annotations

from typing import ClassVar

from rag.llm.dialect import Message
from rag.llm.structured_output import Shape

MIN_RIGHT = 7  # of eight; a random guesser passes 3.5 of 100 times, "always yes" and "always no" never
MAX_TOKENS = 500
STATEMENTS: tuple[tuple[str, str, bool], ...] = (
    ("The answers are right but sound like a robot.", "The tone is wrong.", True),
    ("We have 900 approved replies.", "They have 90 approved replies.", False),
    ("Should we train a model?", "A training run is under way.", False),
    ("We tried three prompts and none was good enough.", "A prompt has been tried.", True),
    ("Our prices change every week.", "The facts change weekly.", True),
    ("Each answer takes nine seconds, which is too slow.", "Each answer costs too much.", False),
    ("Nobody here does machine learning.", "The team has researchers.", False),
    ("It has to run on our own servers.", "It must run on their own hardware.", True),
)


class Qualification(Shape):
    """Whether each message supports its statement, in order."""

    list_field: ClassVar[str] = "said"

    said: list[bool]

    def right(self) -> int:
        """How many of the statements were judged right."""
        return sum(judgement is true for judgement, (_, _, true) in zip(self.said, STATEMENTS, strict=False))


def qualification_request() -> list[Message]:
    """The messages of the test."""
    pairs = [
        f"{number}. Message: {message} Statement: {statement}"
        for number, (message, statement, _) in enumerate(STATEMENTS, start=1)
    ]
    system = (
        "Each line below has a message and a statement. Tell for each line whether the message says what the "
        f"statement says: said is a list of {len(STATEMENTS)} values, true or false, in the order of the lines."
    )
    return [("system", system), ("human", "\n".join(pairs))]
