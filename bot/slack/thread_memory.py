"""What a Slack thread remembers: the adviser's state, and the last answers by message, for their buttons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rag.reply import Reply, State

CARDS_KEPT = 6


@dataclass(frozen=True)
class Card:
    """One answer as posted: who asked what, and the reply; `earlier` are the thread's questions before it.

    `wide`: it may rest on the workspace's documents, so it is not opened for people from outside.
    """

    asker: str
    question: str
    reply: Reply
    earlier: tuple[str, ...] = ()
    wide: bool = True


@dataclass(frozen=True)
class Conversation:
    """A thread's memory; frozen, so that a failed turn leaves the ledger's copy as it was.

    `wide`: the state has seen the workspace's documents (and so has one of an earlier version).
    """

    state: State | None = None
    wide: bool = False
    cards: Mapping[str, Card] = field(default_factory=dict)

    def with_answer(self, ts: str, card: Card) -> Conversation:
        """The conversation after `card` was posted as message `ts`; only the last few cards stay."""
        card = replace(card, earlier=tuple(old.question for old in self.cards.values()))
        cards = dict([*self.cards.items(), (ts, card)][-CARDS_KEPT:])
        return replace(self, state=card.reply.state, wide=card.wide, cards=cards)

    def within(self, scopes: frozenset[str]) -> Conversation:
        """The memory as an answer of these scopes may use it: what the workspace's documents told is left out."""
        return replace(self, state=None, wide=False) if self.wide and "workspace" not in scopes else self

    def with_correction(self, ts: str, reply: Reply, wide: bool) -> Conversation:
        """The conversation after the answer `ts` was decided anew in its place: same asker, same question."""
        card = replace(self.cards[ts], reply=reply, wide=wide)
        return replace(self, state=reply.state, wide=wide, cards={**self.cards, ts: card})

    def with_place(self, key: str, ts: str) -> Conversation:
        """The conversation whose card under `key` stands as the message `ts` now."""
        cards = {ts if old == key else old: card for old, card in self.cards.items()}
        return replace(self, cards=cards)

    def with_menus(self, ts: str, menus_open: bool) -> Conversation:
        """The conversation with the menus of the answer `ts` opened or closed."""
        card = self.cards[ts]
        reply = replace(card.reply, menus_open=menus_open)
        return replace(self, cards={**self.cards, ts: replace(card, reply=reply)})

    def to_json(self) -> dict[str, Any]:
        """Plain data for the ledger."""
        cards = {
            ts: {
                "asker": c.asker,
                "question": c.question,
                "reply": c.reply.to_json(),
                "earlier": list(c.earlier),
                "wide": c.wide,
            }
            for ts, c in self.cards.items()
        }
        return {"state": self.state, "wide": self.wide, "cards": cards}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Conversation:
        """What `to_json` wrote; an empty conversation for None."""
        if data is None:
            return cls()
        cards = {
            ts: Card(
                c["asker"],
                c["question"],
                Reply.from_json(c["reply"]),
                tuple(c.get("earlier", ())),
                bool(c.get("wide", True)),
            )
            for ts, c in data["cards"].items()
        }
        return cls(data["state"], bool(data.get("wide", True)), cards)
