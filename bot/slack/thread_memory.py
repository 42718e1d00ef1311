"""What a Slack thread remembers: the adviser's state, and the last answers by message, for their buttons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rag.reply import Citation, Claim, FollowUp, Reply, SeenSignal, Verdict

CARDS_KEPT = 6


@dataclass(frozen=True)
class Card:
    """One answer as posted: who asked what, and the reply; `earlier` are the thread's questions before it."""

    asker: str
    question: str
    reply: Reply
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conversation:
    """A thread's memory; frozen, so that a failed turn leaves the ledger's copy as it was."""

    state: dict[str, Any] | None = None
    cards: Mapping[str, Card] = field(default_factory=dict)

    def answered(self, ts: str, card: Card) -> Conversation:
        """The conversation after `card` was posted as message `ts`; only the last few cards stay."""
        card = replace(card, earlier=tuple(known.question for known in self.cards.values()))
        kept = dict([*self.cards.items(), (ts, card)][-CARDS_KEPT:])
        return replace(self, state=card.reply.state, cards=kept)

    def to_json(self) -> dict[str, Any]:
        """Plain data for the ledger."""
        cards = {
            ts: {
                "asker": c.asker,
                "question": c.question,
                "reply": reply_to_json(c.reply),
                "earlier": list(c.earlier),
            }
            for ts, c in self.cards.items()
        }
        return {"state": self.state, "cards": cards}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Conversation:
        """What `to_json` wrote; an empty conversation for None."""
        if data is None:
            return cls()
        cards = {
            ts: Card(c["asker"], c["question"], reply_from_json(c["reply"]), tuple(c.get("earlier", ())))
            for ts, c in data["cards"].items()
        }
        return cls(data["state"], cards)


def reply_to_json(reply: Reply) -> dict[str, Any]:
    """A Reply as plain data; its `state` is kept beside, not inside."""
    return asdict(replace(reply, state={}))


def reply_from_json(data: Mapping[str, Any]) -> Reply:
    """The Reply that `reply_to_json` wrote."""
    follow_up = data["follow_up"]
    return Reply(
        verdict=Verdict(data["verdict"]),
        confidence=data["confidence"],
        headline=data["headline"],
        why=tuple(Claim(c["text"], tuple(c["cites"])) for c in data["why"]),
        signals=tuple(SeenSignal(**s) for s in data["signals"]),
        citations=tuple(Citation(**c) for c in data["citations"]),
        next_step=data["next_step"],
        would_change=tuple(data["would_change"]),
        cost_line=data["cost_line"],
        follow_up=FollowUp(follow_up["text"], tuple(follow_up["options"])) if follow_up else None,
        lean=Verdict(data["lean"]) if data["lean"] else None,
        note=data["note"],
    )
