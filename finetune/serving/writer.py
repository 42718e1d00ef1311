"""A version that writes replies: encodes tickets as in the evaluation; an engine generates from the token ids.

Prompts are built here, not by the engine's chat template, so that serving and evaluation use the same prompts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from finetune.errors import CorruptModel, FinetuneError
from finetune.serving.answers import Draft
from finetune.serving.ticket_text import read_ticket
from finetune.serving.versions import SERVED

WORDS = "tokenizer.json"


class EngineAway(FinetuneError):
    """The engine is not available, through no fault of the version; the text says what to do."""


@dataclass(frozen=True)
class Writing:
    """What an engine wrote: the text as the tokenizer reads it, how many tokens, and whether it was cut off."""

    text: str
    tokens: int
    is_cut: bool


class WritingEngine(Protocol):
    """An engine that generates greedily from token ids."""

    def write(self, ids: Sequence[int], most: int, decode: Callable[[Sequence[int]], str]) -> Writing:
        """At most `most` tokens after `ids`, up to the end token; raises whatever its client raises."""
        ...

    def close(self) -> None:
        """Ends what it started."""
        ...


class Writer:
    """The version in `folder`; CorruptModel where a file is missing or damaged."""

    def __init__(self, folder: Path, engine: Callable[[dict[str, Any]], WritingEngine]) -> None:
        from tokenizers import Tokenizer

        try:
            self.card: dict[str, Any] = json.loads((folder / SERVED).read_text())
            self.tokenizer = Tokenizer.from_file(str(folder / WORDS))
            self.before: list[int] = list(self.card["before"])
            self.after: list[int] = list(self.card["after"])
            self.room, self.most = int(self.card["max_length"]), int(self.card["max_new_tokens"])
        except Exception as error:  # the edge: the tokenizer's library raises plain Exception
            raise CorruptModel(
                f"The version in {folder} does not load: make it anew with `trainwise serve JOB`."
            ) from error
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.engine = engine(self.card)

    def prompt(self, text: str) -> list[int]:
        """The ids up to where the answer starts; a long ticket loses its oldest words, as in training."""
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        left = self.room - self.most - len(self.before) - len(self.after)
        return [*self.before, *ids[-max(left, 1) :], *self.after]

    def answer(self, ticket: str) -> Draft:
        """The reply to a raw ticket, cleaned and redacted as the training tickets were; "" where it has no words."""
        reading = read_ticket(ticket, {})
        if not any(letter.isalpha() for letter in reading.text):
            return Draft("")
        ids = self.prompt(reading.text)
        writing = self.engine.write(ids, self.most, self.decode)
        return Draft(writing.text.strip(), len(ids), writing.tokens, writing.is_cut)

    def decode(self, ids: Sequence[int]) -> str:
        """The words of token ids, without the tokens that mark ends."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))


def describe(card: Mapping[str, Any]) -> str:
    """What a version that writes promises of its replies, in a sentence, from its served.json."""
    facts = card.get("measured") or {}
    if not facts.get("rows"):
        return "It writes drafts, which a person has to check before they are sent."
    same = round(facts["same_answer_as_evaluated"] * facts["rows"])
    return (
        f"It writes drafts, which a person has to check before they are sent; {same:,} of {facts['rows']:,} on held-out tickets "
        "are word for word those of the evaluated model."
    )
