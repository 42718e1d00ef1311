"""Updates the alarms of a watch in the ledger with the events since the last update."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from sqlalchemy import Engine

from bot.slack.on_duty import observation_of
from finetune.evaluation.alarms import VERSION, Alarms
from finetune.evaluation.duty_monitoring import LOOKED_AT, Observation
from worker.ledger.duty import DELETED, Watch
from worker.ledger.duty_events import Event, NewEvents, State, advance, checked_events_since

READ_FACTOR = 2  # read twice as many judged tickets as are needed, because people disagree on some


def update_alarms(engine: Engine, watch: Watch, confidences: np.ndarray) -> Alarms | None:
    """Applies each new event once, whichever bot calls it; returns the alarms, or None when the watch's mode has changed.

    `confidences` are those of the rows that the model's threshold was set on.
    """

    def apply_news(news: NewEvents) -> State:
        first_alarms = Alarms.begin(watch.error_rate, confidences.tolist())
        alarms = first_alarms if news.state is None else Alarms.from_json(news.state)
        if news.all_judged is not None:
            alarms.recompute_checks(_correct_flags(news.all_judged))
        for event in news.events:
            _apply_event(alarms, event)
        return alarms.to_json()

    is_more = True
    while is_more:
        state, is_more = advance(engine, watch, VERSION, apply_news)
    return None if state is None else Alarms.from_json(state)


def judged_observations(engine: Engine, watch: Watch) -> list[Observation]:
    """The newest tickets of this mode that were drawn for checking and that people agree on, oldest first."""
    events = checked_events_since(engine, watch, READ_FACTOR * LOOKED_AT)
    existing = [event for event in events if event.ticket.state != DELETED]
    rows = [observation_of(event.ticket, event.words or ()) for event in existing]
    return [one for one in rows if one is not None and one.right is not None]


def _apply_event(alarms: Alarms, event: Event) -> None:
    if event.words is not None:
        for right in _correct_flags([event]):
            alarms.add_check(right)
    elif event.ticket.confidence is not None:
        alarms.add_ticket(event.ticket.confidence, event.ticket.is_near)


def _correct_flags(events: Sequence[Event]) -> Iterable[bool]:
    for event in events:
        one = observation_of(event.ticket, event.words or ())
        if one is not None and one.is_answer and one.is_audit and one.right is not None:
            yield one.right
