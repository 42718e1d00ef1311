"""What a clerk knows of its models' promises: the bets in the ledger, taken on by what has happened since the last look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from sqlalchemy import Engine

from bot.slack.on_duty import observation_of
from finetune.evaluation.alarms import VERSION, Alarms
from finetune.evaluation.on_duty import LOOKED_AT, Observation
from worker.ledger.duty import DELETED, Watch
from worker.ledger.duty_evidence import Event, News, State, advance, judged_since

SPLIT = 2  # so many times as many judged tickets are read as are looked at: in some of them people are of two minds


def look(engine: Engine, watch: Watch, confidences: np.ndarray) -> Alarms | None:
    """Bets on what happened since the last look, each event once whoever looks; None where the watch has left its mode.

    `confidences` are those that the model's threshold was set on.
    """

    def take(news: News) -> State:
        begun = Alarms.begin(watch.error_rate, confidences.tolist())
        alarms = begun if news.state is None else Alarms.from_json(news.state)
        if news.all_words is not None:
            alarms.check_anew(_rights(news.all_words))
        for event in news.events:
            _take(alarms, event)
        return alarms.to_json()

    is_more = True
    while is_more:
        state, is_more = advance(engine, watch, VERSION, take)
    return None if state is None else Alarms.from_json(state)


def judged_observations(engine: Engine, watch: Watch) -> list[Observation]:
    """The newest tickets of this mode that were drawn and that people agree on, the oldest first."""
    events = judged_since(engine, watch, SPLIT * LOOKED_AT)
    there = [event for event in events if event.ticket.state != DELETED]
    rows = [observation_of(event.ticket, event.words or ()) for event in there]
    return [one for one in rows if one is not None and one.right is not None]


def _take(alarms: Alarms, event: Event) -> None:
    if event.words is not None:
        for right in _rights([event]):
            alarms.take_check(right)
    elif event.ticket.confidence is not None:
        alarms.take_ticket(event.ticket.confidence, event.ticket.is_near)


def _rights(events: Sequence[Event]) -> Iterable[bool]:
    for event in events:
        one = observation_of(event.ticket, event.words or ())
        if one is not None and one.is_answer and one.is_audit and one.right is not None:
            yield one.right
