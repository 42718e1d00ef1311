"""The stored state of a Slack thread: the adviser's state, and the last answers by message, for their buttons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rag.reply import Reply, State

MOST_CARDS = 6


@dataclass(frozen=True)
class Card:
    """One posted answer: asker, question, reply; `earlier` are the thread's questions before it.

    `uses_workspace`: it may quote the workspace's documents, so people from outside may not open it.
    """

    asker: str
    question: str
    reply: Reply
    earlier: tuple[str, ...] = ()
    uses_workspace: bool = True


@dataclass(frozen=True)
class Conversation:
    """A thread's state; frozen, so that a failed answer does not change it.

    `uses_workspace`: the state may hold facts of the workspace's documents (assumed for states of earlier versions).
    """

    state: State | None = None
    uses_workspace: bool = False
    cards: Mapping[str, Card] = field(default_factory=dict)

    def with_answer(self, ts: str, card: Card) -> Conversation:
        """The conversation after `card` was posted as message `ts`; keeps the last MOST_CARDS cards."""
        card = replace(card, earlier=tuple(old.question for old in self.cards.values()))
        cards = dict([*self.cards.items(), (ts, card)][-MOST_CARDS:])
        return replace(self, state=card.reply.state, uses_workspace=card.uses_workspace, cards=cards)

    def limited_to(self, scopes: frozenset[str]) -> Conversation:
        """The conversation for an answer of these scopes: drops a state from workspace documents that are out of scope."""
        return (
            replace(self, state=None, uses_workspace=False)
            if self.uses_workspace and "workspace" not in scopes
            else self
        )

    def with_correction(self, ts: str, reply: Reply, uses_workspace: bool) -> Conversation:
        """The conversation after the answer `ts` was replaced by a corrected reply to the same question."""
        card = replace(self.cards[ts], reply=reply, uses_workspace=uses_workspace)
        return replace(self, state=reply.state, uses_workspace=uses_workspace, cards={**self.cards, ts: card})

    def with_card_ts(self, key: str, ts: str) -> Conversation:
        """The conversation with the card of an unsent answer moved from its `key` to its message `ts`."""
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
                "wide": c.uses_workspace,
            }
            for ts, c in self.cards.items()
        }
        return {"state": self.state, "wide": self.uses_workspace, "cards": cards}

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
