"""A model on duty in the local workspace end to end: request, approval, answers, corrections, retraining, stop."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import insert

from bot.demo.stack import LocalStack
from bot.playground import Person
from bot.slack.retraining import LEAST_FRESH, comparison_tickets, judged_tickets
from finetune.data.store import DatasetStore
from tests.integration.conftest import CHANNEL, DATASET, Message, appears, private_reply, text_of, until
from worker.ledger import duty
from worker.ledger.duty_tables import duty_tickets
from worker.ledger.ledger import Ledger

pytestmark = pytest.mark.integration
SECRET = "jo.miller@example.com"


@pytest.fixture(scope="module")
def ledger(stack: LocalStack) -> Ledger:
    """The bot's ledger."""
    return Ledger(str(stack.home / "ledger.db"))


@pytest.fixture(scope="module")
def job(ravi: Person) -> str:
    """A finished `linear` fine-tune."""
    card = appears(
        ravi, lambda: ravi.command("/finetune", f"{DATASET} linear", CHANNEL), f"Fine-tune · {DATASET}"
    )
    match = ravi.wait_message(CHANNEL, lambda m: "job_try" in str(m.get("blocks")), 90, card["ts"])
    row = next(block for block in match["blocks"] if block["type"] == "actions")
    return str(next(one["value"] for one in row["elements"] if one["action_id"] == "job_try"))


@pytest.fixture(scope="module")
def channel_id(ravi: Person) -> str:
    """The channel's id, as Slack writes it into a command."""
    return str(ravi.say(CHANNEL, "good morning")["channel"])


def put_on_duty(person: Person, order: str, **fields: str) -> Message:
    """Types the command and submits its form; returns the form's result."""
    person.command("/triage", order, CHANNEL)
    view = person.wait_view(title="Put a model on duty")
    return person.submit(view, {"error_rate": "40", "mode": "live", "correctors": "everyone"} | fields)


def line_under(person: Person, ts: str, part: str, seconds: float = 120) -> Message:
    """The line in a ticket's thread that contains `part`."""
    return person.wait_message(CHANNEL, lambda m: part in text_of(m), seconds, ts)


@pytest.fixture(scope="module")
def watch(ravi: Person, ana: Person, job: str, channel_id: str, ledger: Ledger) -> duty.Watch:
    """A live watch: Ravi requested it, Ana approved it."""
    request = appears(
        ravi, lambda: put_on_duty(ravi, f"watch <#{channel_id}|support-ml> with {job}"), "asks to put"
    )
    ravi.click(CHANNEL, request["ts"], "duty_approve")
    current = duty.watch_in(ledger.engine, channel_id)
    assert current is not None
    assert current.mode == duty.ASKED, "only an admin may agree"
    appears(ana, lambda: ana.click(CHANNEL, request["ts"], "duty_approve"), "is on duty here")
    current = duty.watch_in(ledger.engine, channel_id)
    assert current is not None
    assert current.mode == duty.LIVE
    return current


def test_a_ticket_gets_one_line_and_people_label_it(
    watch: duty.Watch, ravi: Person, maya: Person, ledger: Ledger
) -> None:
    """The line shows the queue; "Right" and "Other queue…" store labels with their person, disagreements too."""
    ticket = maya.say(CHANNEL, f"Hello, I was charged twice on my invoice, refund please, write to {SECRET}")
    line = line_under(maya, ticket["ts"], "Right")
    maya.click(CHANNEL, line["ts"], "duty_right")
    line_under(maya, ticket["ts"], "✅")
    ravi.click(CHANNEL, line["ts"], "duty_other")
    form = ravi.wait_view(title="Which queue?")
    assert not ravi.submit(form, {})["ok"]
    assert ravi.submit(form, {"new_queue": "double charges"})["ok"]
    line_under(maya, ticket["ts"], "disagree")
    key = f"{watch.channel}:{ticket['ts']}"
    labels = duty.labels_of(ledger.engine, watch.id)[key]
    assert len({label.person for label in labels}) == 2
    assert duty.majority_queue(labels) is None
    assert SECRET not in duty.ticket_of(ledger.engine, watch.id, key).text
    assert len([m for m in maya.messages(CHANNEL, ticket["ts"]) if m["ts"] != ticket["ts"]]) == 1


def test_edits_and_deletions_change_the_line(watch: duty.Watch, maya: Person, ledger: Ledger) -> None:
    """An edit updates the line; a deleted ticket keeps an entry without text, and no line."""
    ticket = maya.say(CHANNEL, "12345 67890")
    line = line_under(maya, ticket["ts"], "no words")
    maya.edit(CHANNEL, ticket["ts"], "my card was charged twice, please refund the invoice")
    until(lambda: "no words" not in text_of(_message(maya, ticket["ts"], line["ts"])))
    assert len(maya.messages(CHANNEL, ticket["ts"])) == 2
    maya.delete(CHANNEL, ticket["ts"])
    key = f"{watch.channel}:{ticket['ts']}"
    until(lambda: duty.ticket_of(ledger.engine, watch.id, key).state == duty.DELETED)
    assert duty.ticket_of(ledger.engine, watch.id, key).text == ""


def _message(person: Person, thread: str, ts: str) -> Message:
    return next(one for one in person.messages(CHANNEL, thread) if one["ts"] == ts)


def test_a_killed_bot_loses_no_ticket_and_answers_none_twice(
    stack: LocalStack, watch: duty.Watch, maya: Person, ledger: Ledger
) -> None:
    """Tickets that came while the bot was dead are read from the history; each has one entry and one line.

    One that was deleted meanwhile leaves its entry without words, one that was edited is answered anew.
    """
    first_ticket, second_ticket = (
        maya.say(CHANNEL, text) for text in ("4711 4711", "my card was charged twice, please help")
    )
    for ticket in (first_ticket, second_ticket):
        line_under(maya, ticket["ts"], "queue")
    first = [maya.say(CHANNEL, f"where is my refund number {n}, please?") for n in range(3)]
    bot = stack.processes.pop("bot")
    bot.kill()
    bot.wait()
    maya.edit(CHANNEL, first_ticket["ts"], "my card was charged twice, please refund the invoice")
    maya.delete(CHANNEL, second_ticket["ts"])
    later = [maya.say(CHANNEL, f"the invoice {n} shows a wrong amount, help") for n in range(3)]
    stack.launch("bot")
    stack.wait_for_bot()
    for ticket in [*first, *later]:
        line_under(maya, ticket["ts"], "queue")
    time.sleep(1)
    for ticket in [*first, *later]:
        lines = [m for m in maya.messages(CHANNEL, ticket["ts"]) if m["ts"] != ticket["ts"]]
        assert len(lines) == 1
    until(lambda: duty.ticket_of(ledger.engine, watch.id, f"{watch.channel}:{first_ticket['ts']}").edits == 1)
    lost_key = f"{watch.channel}:{second_ticket['ts']}"
    until(lambda: duty.ticket_of(ledger.engine, watch.id, lost_key).state == duty.DELETED)
    assert duty.ticket_of(ledger.engine, watch.id, lost_key).text == ""
    keys = [one.key for one in duty.tickets_of(ledger.engine, watch.id)]
    assert len(keys) == len(set(keys))
    assert {f"{watch.channel}:{ticket['ts']}" for ticket in [*first, *later]} <= set(keys)


def test_tickets_are_answered_without_redis(stack: LocalStack, watch: duty.Watch, maya: Person) -> None:
    """A model on duty needs only the ledger and Slack; the queue carries jobs."""
    stack.kill_redis()
    try:
        ticket = maya.say(CHANNEL, "the parcel came broken, I want my money back")
        line_under(maya, ticket["ts"], "queue")
    finally:
        stack.restart_redis()


def test_the_card_and_home_show_the_figures(watch: duty.Watch, ravi: Person) -> None:
    """The card shows tickets seen, answered, the error against the promise, and buttons; App Home lists the model."""
    text = private_reply(ravi, lambda: ravi.command("/triage", "", CHANNEL))
    for part in ("Seen", "would answer alone", "Error", "at most 40%", "Corrections"):
        assert part in text
    ravi.wait_home(lambda view: "On duty" in text_of(view))


def test_bad_requests_are_refused_with_a_sentence(
    watch: duty.Watch, ravi: Person, job: str, channel_id: str
) -> None:
    """An unknown job, a channel that the bot cannot read, a second model, an invalid rate."""
    order = f"watch <#{channel_id}|x> with"
    assert "no job" in private_reply(ravi, lambda: ravi.command("/triage", f"{order} zzzz9999", CHANNEL))
    away = "watch <#C0NOWHERE99|x> with"
    assert "cannot see" in private_reply(ravi, lambda: ravi.command("/triage", f"{away} {job}", CHANNEL))
    assert "watch #channel with JOB" in private_reply(ravi, lambda: ravi.command("/triage", "dance", CHANNEL))
    refusal = put_on_duty(ravi, f"{order} {job}", error_rate="99")
    assert "0.5 to 50" in refusal["errors"]["error_rate"]
    ravi.close(ravi.view() or {})
    text = private_reply(ravi, lambda: put_on_duty(ravi, f"{order} {job}"))
    assert "on duty in this channel already" in text


THINGS = (
    "the vpn tunnel",
    "the office wifi",
    "the dns server",
    "the ethernet port",
    "the switch in rack two",
    "the guest wifi router",
    "the proxy",
    "the fibre line",
    "the access point",
    "the dhcp lease",
    "the firewall rule",
    "the packet gateway",
)
TROUBLES = (
    "drops every ten minutes",
    "cannot be reached from the meeting room",
    "fails since this morning",
    "is dead on the second floor",
    "loses packets all evening",
    "broke after the firmware update",
    "is very slow from home",
    "blocks the build server",
    "reboots every hour in the lobby",
    "is down again in the branch office",
    "rejects my laptop",
    "times out from the printer subnet",
)


def enter_drawn_tickets(ledger: Ledger, watch: duty.Watch, person: str) -> None:
    """Tickets of the day before the model went live, drawn for checking and named `network` by a person.

    They are written into the ledger as the clerk would have left them: through the channel so many take minutes.
    """
    for n, (thing, trouble) in enumerate((thing, trouble) for thing in THINGS for trouble in TROUBLES):
        ts = f"{watch.mode_at - 86_400 + n:.6f}"
        ticket = duty.DutyTicket(
            watch.id, f"{watch.channel}:{ts}", ts, f"{thing} {trouble}", duty.ANSWERED, float(ts)
        )
        row = {**vars(ticket), "likeliest": [["billing", 0.5]], "is_audit": True, "settled_at": float(ts)}
        with ledger.engine.begin() as connection:
            connection.execute(insert(duty_tickets).values(row))
        duty.label(ledger.engine, watch.id, ticket.key, person, "network", float(ts) + 60)


def test_corrections_train_a_better_model_that_takes_over(
    watch: duty.Watch, ravi: Person, maya: Person, ledger: Ledger
) -> None:
    """People name a queue that the model does not know; the card proposes to retrain, its button trains on a new version of the
    dataset without the fresh tickets, and the model that is shown to be better on drawn ones takes over."""
    for words in ("the vpn client asks for an expired certificate", "nobody on our floor has network"):
        ticket = maya.say(CHANNEL, words)
        line = line_under(maya, ticket["ts"], "queue")
        maya.click(CHANNEL, line["ts"], "duty_other")
        assert maya.submit(maya.wait_view(title="Which queue?"), {"new_queue": "network"})["ok"]
    enter_drawn_tickets(ledger, watch, "U0MAYA")
    rows = judged_tickets(duty.tickets_of(ledger.engine, watch.id), duty.labels_of(ledger.engine, watch.id))
    fresh = [one for one in rows if one.is_fresh]
    assert len(comparison_tickets(rows)) >= LEAST_FRESH
    before = {message["ts"] for message in ravi.messages(CHANNEL)}
    ravi.command("/triage", "", CHANNEL)
    card = ravi.wait_message(CHANNEL, lambda m: m["ts"] not in before and "Retrain?" in text_of(m), 60)
    assert "points" in text_of(card)
    assert "Only" in private_reply(maya, lambda: maya.command("/triage", "stop", CHANNEL))
    ravi.click(CHANNEL, card["ts"], "duty_retrain")
    end = ravi.wait_message(
        CHANNEL, lambda m: "takes over from" in text_of(m) or "not shown to be better" in text_of(m), 300
    )
    assert "takes over from" in text_of(end)
    current = duty.watch_in(ledger.engine, watch.channel)
    assert current is not None
    assert current.version != watch.version
    assert current.successor is None
    new = ledger.job(current.version)
    tickets = DatasetStore(str(stack_home(ledger) / "datasets")).tickets(str(new.spec["digest"]))
    trained_on = {row.id.removeprefix("duty-") for row in tickets.rows}
    assert not trained_on & {one.key for one in fresh}
    assert len(trained_on & {one.key for one in rows}) >= 5


def stack_home(ledger: Ledger) -> Path:
    """The home whose ledger this is."""
    return Path(str(ledger.engine.url.database)).parent


def test_stop_ends_a_watch_at_once(watch: duty.Watch, ravi: Person, maya: Person, ledger: Ledger) -> None:
    """Only the requester or an admin may stop it; afterwards no ticket is entered."""
    assert "Only" in private_reply(maya, lambda: maya.command("/triage", "stop", CHANNEL))
    assert "Stopped" in private_reply(ravi, lambda: ravi.command("/triage", "stop", CHANNEL))
    count = len(duty.tickets_of(ledger.engine, watch.id))
    maya.say(CHANNEL, "is anybody there? my invoice is wrong")
    time.sleep(1.5)
    assert len(duty.tickets_of(ledger.engine, watch.id)) == count
    assert "No model is on duty" in private_reply(ravi, lambda: ravi.command("/triage", "", CHANNEL))
