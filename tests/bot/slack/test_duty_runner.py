"""The duty runner on a real ledger: bursts, alarms that move a model back to shadow, recalibration on fresh labels."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from bot.errors import BotError
from bot.slack.delivery.duty_runner import DutyRunner
from bot.slack.features.duty_corrections import on_confirm
from bot.slack.features.triage_duty import activate_watch
from bot.slack.launch import LaunchRefusal
from bot.slack.on_duty import IN_DOUBT, card_of, threshold_of
from bot.slack.ui.duty import card_message, labelled_line, ticket_line
from bot.slack.ui.limits import texts_of
from finetune.evaluation.promise import Threshold
from finetune.serving.answers import Answer
from tests.bot.slack.watches import watch_of
from worker.ledger import duty
from worker.ledger.duty import DutyTicket, Label
from worker.ledger.ledger import Ledger
from worker.ledger.tables import posts

EVERY_S = 7_200.0  # 360 tickets a month: with a promise of 2% each answer is shown to people
NOW = 80_000.0 + 300 * EVERY_S


class Sorter:
    """A model that answers `billing` with a confidence that depends on the ticket's number, as in its calibration."""

    classes = ("billing", "login")
    threshold = Threshold(0.5, 200, 200, 2, 0.04)
    confidences = np.random.default_rng(0).uniform(0.6, 1.0, 400)

    def answer(self, ticket: str) -> Answer:
        confidence = float(np.random.default_rng(int(ticket.split()[-1])).uniform(0.6, 1.0))
        ranking = (("billing", confidence), ("login", 1 - confidence))
        return Answer("billing", confidence, ranking, is_near="strange" not in ticket)


@pytest.fixture
def case(tmp_path: Path) -> Any:
    """A runner whose channel has a live watch, on a fixed clock."""
    ledger = Ledger(str(tmp_path / "ledger.db"))
    watch = duty.open_watch(ledger.engine, watch_of(error_rate=0.02))
    services: Any = SimpleNamespace(
        ledger=ledger,
        clock=lambda: NOW,
        wake=lambda: None,
        duty=None,
        is_closed_to_jobs=lambda channel: False,
    )

    def conversations_history(oldest: str, **query: Any) -> dict[str, Any]:
        tickets = duty.tickets_of(ledger.engine, watch.id)
        rows = [{"ts": one.ts, "user": "U5", "text": one.text} for one in tickets]
        return {"messages": [one for one in rows if float(one["ts"]) > float(oldest)]}

    history = SimpleNamespace(
        auth_test=lambda: {"user_id": "U0"}, conversations_history=conversations_history
    )
    runner = DutyRunner(services, history, tmp_path)  # type: ignore[arg-type]
    runner._models[(watch.id, "job1", 0.02, None)] = Sorter()
    return SimpleNamespace(runner=runner, services=services, ledger=ledger, watch=watch, model=Sorter())


def enter(case: Any, count: int, words: str = "ticket") -> list[str]:
    """Enters `count` tickets; returns their keys."""
    start = len(duty.tickets_of(case.ledger.engine, case.watch.id))
    keys = [f"C1:{start + n}.0" for n in range(count)]
    for n, key in enumerate(keys):
        duty.add_ticket(
            case.ledger.engine,
            case.watch.id,
            key,
            key[3:],
            f"{words} {start + n}",
            80_000.0 + EVERY_S * (start + n),
        )
    return keys


def work(case: Any) -> None:
    """Runs rounds until no ticket waits."""
    while duty.waiting_tickets(case.ledger.engine, case.watch.id):
        case.runner.work_once()


def notes(case: Any) -> list[str]:
    """The notes that were posted in the channel."""
    with case.ledger.engine.connect() as connection:
        rows = connection.execute(select(posts.c.dedupe_key, posts.c.body)).all()
    return [row.body["answer"]["text"] for row in rows if row.dedupe_key.startswith("duty-note")]


def test_a_burst_shows_on_the_card_and_each_ticket_is_answered_once(case: Any) -> None:
    """With 300 tickets the card shows how many wait and for how long; then each has one answer and one line."""
    enter(case, 300)
    watch = duty.watch_in(case.ledger.engine, "C1")
    assert watch is not None
    text = " ".join(texts_of(card_message(card_of(case.services, watch, None))[1]))
    assert "300 tickets wait for an answer, the oldest for 2160000 s" in text
    began = time.process_time()
    work(case)
    assert time.process_time() - began < 60, "a thousand a minute and more"
    tickets = duty.tickets_of(case.ledger.engine, case.watch.id)
    assert {one.state for one in tickets} == {duty.ANSWERED}
    with case.ledger.engine.connect() as connection:
        keys = list(connection.execute(select(posts.c.dedupe_key)).scalars())
    assert len([key for key in keys if key.startswith("duty:")]) == 300
    assert len([key for key in keys if key.startswith("duty-card:")]) == 1, "it is a Monday"


def test_a_broken_promise_moves_the_model_to_shadow(case: Any) -> None:
    """A third of the checked answers is wrong: the model goes to shadow, and the channel is told once."""
    keys = enter(case, 90)
    work(case)
    for n, key in enumerate(keys):
        queue = "login" if n % 3 == 0 else "billing"
        duty.label(case.ledger.engine, case.watch.id, key, "U2", queue, 95_000.0)
    case.runner.work_once()
    case.runner.work_once()
    watch = duty.watch_in(case.ledger.engine, "C1")
    assert watch is not None
    assert watch.mode == duty.SHADOW
    assert "promise is broken" in watch.why
    assert len([text for text in notes(case) if "back to shadow" in text]) == 1


def test_a_failed_alarm_check_is_repeated(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger was locked at the alarm: the next round raises it again without a new ticket or label."""
    enter(case, 60, "strange ticket")
    while duty.waiting_tickets(case.ledger.engine, case.watch.id):
        case.runner._answer_waiting(case.watch, case.model)
    with monkeypatch.context() as patch:
        patch.setattr(duty, "change_watch", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            case.runner.work_once()
    case.runner.work_once()
    watch = duty.watch_in(case.ledger.engine, "C1")
    assert watch is not None
    assert watch.mode == duty.SHADOW


def test_unfamiliar_tickets_move_the_model_to_shadow_without_labels(case: Any) -> None:
    """Half of the tickets are far from every training ticket."""
    enter(case, 40)
    enter(case, 40, "strange ticket")
    work(case)
    case.runner.work_once()
    watch = duty.watch_in(case.ledger.engine, "C1")
    assert watch is not None
    assert watch.mode == duty.SHADOW
    assert "near none" in watch.why


def test_fresh_labels_recalibrate_the_threshold_in_shadow(case: Any) -> None:
    """After an alarm new labels set the threshold; when no confidence is safe the model abstains and says so."""
    assert duty.set_mode(case.ledger.engine, case.watch, duty.SHADOW, "the tickets have changed", 80_000.0)
    keys = enter(case, 120)
    work(case)
    for key in keys:
        duty.label(case.ledger.engine, case.watch.id, key, "U2", "login", 95_000.0)
    case.runner.work_once()
    watch = duty.watch_in(case.ledger.engine, "C1")
    assert watch is not None
    assert watch.threshold == 2.0
    assert any("abstains on everything" in text for text in notes(case))


def test_a_ticket_on_which_the_model_fails_goes_to_people(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model abstains on that ticket; the others get answers."""
    monkeypatch.setattr(Sorter, "answer", lambda model, text: {}[text] if text.endswith(" 0") else WELL)
    enter(case, 3)
    work(case)
    first, *others = duty.tickets_of(case.ledger.engine, case.watch.id)
    assert (first.state, first.reason, first.confidence) == (duty.ABSTAINED, "it failed on this ticket", None)
    assert {one.state for one in others} == {duty.ANSWERED}


WELL = Answer("billing", 0.9, (("billing", 0.9),))


def test_a_failure_in_one_channel_does_not_stop_another(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second channel's ticket is answered; the failure is raised at the end of the round."""
    engine = case.ledger.engine
    other = duty.open_watch(engine, replace(case.watch, channel="C2", created_at=2.0))
    case.runner._models[(other.id, "job1", 0.02, None)] = Sorter()
    duty.add_ticket(engine, other.id, "C2:1.0", "1.0", "ticket 1", 2.0)
    read_history = case.runner.read_history
    monkeypatch.setattr(
        case.runner, "read_history", lambda one: read_history(one) if one.channel == "C2" else 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        case.runner.work_once()
    assert not duty.waiting_tickets(engine, other.id)


def test_a_stopped_model_is_unloaded(case: Any) -> None:
    """The runner drops the model of a watch that has ended."""
    assert duty.set_mode(case.ledger.engine, case.watch, duty.STOPPED, "", NOW)
    case.runner.work_once()
    assert not case.runner._models


def test_external_readers_stop_a_watch(case: Any) -> None:
    """A guest joins: nothing more is posted in the channel, and the watch's requester is told privately."""
    enter(case, 2)
    told: list[str] = []
    case.services.is_closed_to_jobs = lambda channel: True
    case.runner._client.chat_postMessage = lambda channel, **message: told.append(channel)
    case.runner.work_once()
    case.runner.work_once()
    assert duty.watch_in(case.ledger.engine, "C1") is None
    assert told == ["U1"]
    assert notes(case) == []


def test_a_long_downtime_loses_no_message(case: Any) -> None:
    """Slack returns 6,000 messages in pages of 200, newest first: each is entered, then the position is stored."""

    def page(cursor: str = "0", **query: Any) -> dict[str, Any]:
        numbers = range(6_000 - int(cursor), 5_800 - int(cursor), -1)
        messages = [{"ts": f"{number}.0", "user": "U5", "text": f"ticket {number}"} for number in numbers]
        further = "" if numbers[-1] == 1 else str(int(cursor) + 200)
        return {"messages": messages, "response_metadata": {"next_cursor": further}}

    case.runner._client.conversations_history = page
    engine, entries = case.ledger.engine, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duty, "add_ticket", lambda engine, watch, key, ts, text, at: entries.append((key, at)))
        patch.setattr("bot.slack.delivery.duty_history.without_personal_data", lambda text: text)
        case.runner.read_history(case.watch)
    assert len({key for key, _ in entries}) == 6_000
    assert ("C1:1.0", 1.0) in entries, "when it was said, not when it was read"
    watch = duty.watch_in(engine, "C1")
    assert watch is not None
    assert watch.read_ts == "6000.0"


def test_a_version_that_may_not_be_made_leaves_the_request_open(
    case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An admin approves, but the launch is refused: the model does not go on duty, and can be approved later."""
    engine = case.ledger.engine
    assert duty.set_mode(engine, case.watch, duty.ASKED, "", 2.0)
    asked = duty.find_watch(engine, case.watch.id)

    def refuse(*_: object) -> None:
        raise LaunchRefusal("You have 5 unfinished jobs.")

    monkeypatch.setattr("bot.slack.features.triage_duty.launch_deployment", refuse)
    monkeypatch.setattr(case.ledger, "job", lambda job_id: None)
    case.services.duty = case.runner
    with pytest.raises(LaunchRefusal):
        activate_watch(case.services, case.runner._client, asked, "U1")
    assert duty.find_watch(engine, asked.id).mode == duty.ASKED


def test_the_reason_names_a_missing_safe_threshold(case: Any) -> None:
    """A threshold of 2.0 means that none is safe; the reason names the promise, not a confidence of 2.00."""
    own = Sorter.threshold
    assert threshold_of(case.watch, own) == own
    assert threshold_of(replace(case.watch, threshold=0.8), own).value == 0.8
    assert threshold_of(replace(case.watch, threshold=2.0), own).value is None


def test_the_line_of_another_systems_ticket_names_the_ticket() -> None:
    """The line shows the ticket's number and beginning, before and after people label it."""
    ticket = DutyTicket("w", "zendesk:4711", "", "charged twice", duty.ANSWERED, 1.0, "billing", 0.9)
    for text, _ in (ticket_line(ticket), labelled_line(ticket, [Label(ticket.key, "U1", "billing", 1.0)])):
        assert "zendesk:4711" in text
        assert "charged twice" in text


def test_a_button_of_an_outdated_line_labels_nothing(case: Any) -> None:
    """The ticket was edited and its line still shows the earlier answer: the press is refused with the reason."""
    engine, shown = case.ledger.engine, []
    case.services.permissions = SimpleNamespace(
        denies_outsider=lambda person: None, is_admin=lambda person: True
    )
    case.services.users = SimpleNamespace(person=lambda user: SimpleNamespace(id=user))
    client: Any = SimpleNamespace(chat_update=lambda **message: shown.append(message["channel"]))
    (key,) = enter(case, 1)
    work(case)
    body = {"user": {"id": "U1"}, "container": {"channel_id": "D7", "message_ts": "9.0"}}

    def press(line: DutyTicket) -> None:
        row = ticket_line(line)[1][1]["elements"]
        on_confirm(case.services, lambda: None, body, row[0], client)  # type: ignore[arg-type, return-value]

    before = duty.ticket_of(engine, case.watch.id, key)
    assert duty.edit_ticket(engine, case.watch.id, key, "ticket 7")
    with pytest.raises(BotError, match="edited"):
        press(before)
    assert duty.labels_of(engine, case.watch.id) == {}
    work(case)
    press(duty.ticket_of(engine, case.watch.id, key))
    assert len(duty.labels_of(engine, case.watch.id)[key]) == 1
    assert shown == ["D7"], "the line that was pressed, wherever it stands"


def test_a_reserve_makes_thresholds_stricter_and_keeps_the_alarms(case: Any) -> None:
    """Of 120 labels 2 are wrong: that is safe for a promise of 10%, but not with a reserve of 50%."""
    engine = case.ledger.engine
    assert duty.set_mode(engine, case.watch, duty.SHADOW, "the tickets have changed", 80_000.0)
    keys = enter(case, 120)
    work(case)
    for at, key in enumerate(keys):
        duty.label(engine, case.watch.id, key, "U2", "login" if at in (3, 70) else "billing", 95_000.0)
    watch = duty.find_watch(engine, case.watch.id)
    case.runner._update_alarms(replace(watch, error_rate=0.1), case.model)
    loose = duty.find_watch(engine, case.watch.id).threshold
    case.runner._checked_states, case.runner._reserve = {}, 0.5
    case.runner._update_alarms(replace(duty.find_watch(engine, case.watch.id), error_rate=0.1), case.model)
    strict = duty.find_watch(engine, case.watch.id).threshold
    assert loose is not None
    assert strict is not None
    assert strict > loose


def test_people_check_every_answer_while_the_model_is_in_doubt(case: Any) -> None:
    """Three of fifteen checked answers are wrong: no alarm yet, but every new answer is checked until right ones end the doubt."""
    engine, watch = case.ledger.engine, case.watch
    assert duty.change_watch(engine, watch, {"error_rate": 0.1})
    case.runner._models[(watch.id, "job1", 0.1, None)] = Sorter()

    def latest(count: int) -> list[DutyTicket]:
        enter(case, count)
        work(case)
        return duty.tickets_of(engine, watch.id)[-count:]

    first = latest(250)
    drawn = [one for one in first if one.is_audit]
    assert len(drawn) < 200, "150 a month of 300"
    for number, one in enumerate(drawn[:15]):
        duty.label(engine, watch.id, one.key, "U2", "login" if number >= 12 else "billing", NOW)
    case.runner.work_once()
    case.runner._in_doubt, case.runner._checked_states = {}, {}  # as after a restart
    in_doubt = latest(15)
    assert [(one.is_audit, one.reason) for one in in_doubt] == [(True, IN_DOUBT)] * 15
    assert "in doubt" in ticket_line(in_doubt[0])[0]
    assert card_of(case.services, watch, None).figures.answers == 250
    for one in in_doubt:
        duty.label(engine, watch.id, one.key, "U2", "billing", NOW)
    case.runner.work_once()
    assert not all(one.is_audit for one in latest(10))
    assert duty.find_watch(engine, watch.id).mode == duty.LIVE
