"""Each source pulled from a help desk on loopback that speaks its wire (never run live): pages, limits, expiry, kills, changes."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from finetune.data.dataset_repair import Decider
from finetune.data.filesystem import Files
from finetune.data.repair import Draft
from finetune.data.staging import LostPages
from finetune.data.store import DatasetStore
from finetune.data.ticket import DatasetError
from finetune.pulls.change_report import change_lines
from finetune.sources.contract import AskedToWait, BadToken, Missing, NoAnswer, SourceError
from tests.finetune.sources.conftest import NAME, Rig
from tests.finetune.sources.help_desk import NOTE, TOKEN, Answer, ticket
from tests.s3_server import S3Server

pytestmark = pytest.mark.integration


class Kill(BaseException):
    """The process ends here."""


def test_a_first_pull_reads_every_page_redacted_and_nothing_else(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """Every ticket with its queue, no address of a person, no field that nobody asked for, no token: at no moment on disk."""
    caplog.set_level(logging.DEBUG)
    snapshots: list[bytes] = []
    result = rig.pull(step=lambda text: snapshots.append(rig.bytes()))
    snapshots.append(rig.bytes())
    assert rig.labels() == {str(one.id): one.queue for one in rig.desk.tickets}
    assert rig.desk.rows <= 24 + 6  # one row a page is read twice where pages go by time
    everything = b"\n".join(snapshots)
    assert b"example.org" not in everything
    assert NOTE.encode() not in everything
    assert b"Ada Quimby" not in everything
    assert TOKEN.encode() not in everything
    assert TOKEN not in caplog.text
    assert result.card.redactions["EMAIL"] >= 24
    assert result.card.intake["rows"] == result.card.intake["kept"] + sum(
        result.card.intake["left_out"].values()
    )
    assert change_lines(result.change)[0].startswith(f"{rig.desk.source.label}")
    assert rig.store.get(NAME).version == 1
    assert [path.name for path in (rig.folder / "pulls" / NAME).iterdir()] == ["state.json"]


def test_the_next_pull_reads_only_what_changed_and_makes_a_version(rig: Rig) -> None:
    """New, changed and unlabelled tickets are told apart; what changed nothing makes no version and says so."""
    rig.pull()
    rig.desk.rows = 0
    rig.desk.add(ticket(31), ticket(32))
    rig.desk.touch(
        3, text="Something else altogether is wrong here: the lamp in the garden burns all night long."
    )
    rig.desk.touch(4, queue="")
    result = rig.pull()
    assert (result.change.new_rows, result.change.changed_rows, result.change.gone_rows) == (2, 1, 1)
    assert result.card.version == 2
    assert rig.desk.rows <= 8
    assert "no label" in result.change.left_out
    labels = rig.labels()
    assert "4" not in labels
    assert set(labels) == {str(one.id) for one in rig.desk.tickets if one.queue}
    card = result.card
    assert card.intake["rows"] == card.intake["kept"] + sum(card.intake["left_out"].values())
    again = rig.pull()
    assert again.change.version is None
    assert again.card.version == 2
    assert change_lines(again.change)[0].startswith("Nothing new from")
    rig.desk.touch(5)  # changed there, but says the same
    assert rig.pull().change.version is None


def test_it_waits_as_long_as_it_is_told(rig: Rig) -> None:
    """Limits in each of the ways in which APIs say them, and errors of the server, cost time and nothing else."""
    slow = {"date": "Sun, 29 Nov 2026 12:00:00 GMT"}
    rig.desk.faults = {
        2: Answer(429, {"error": "slow down"}, {"Retry-After": "7"}),
        4: Answer(429, {}, {**slow, "X-RateLimit-Reset": "1795953611"}),
        6: Answer(503, {}),
    }
    rig.pull()
    assert [seconds for seconds, _ in rig.waits] == [7.0, 11.0, 2.0]
    assert len(rig.labels()) == 24


def test_a_pause_that_is_too_long_ends_the_pull_which_then_goes_on(rig: Rig) -> None:
    """What was read is kept: the next pull asks for the rest alone."""
    rig.desk.faults = {4: Answer(429, {}, {"Retry-After": "3600"})}
    with pytest.raises(AskedToWait, match="goes on from there") as refusal:
        rig.pull()
    assert refusal.value.wait_s == 3600
    assert rig.store.versions(NAME) == []
    rig.pull()
    assert len(rig.labels()) == 24
    assert rig.desk.rows <= 24 + 6


def test_killed_at_any_moment_it_goes_on_and_ends_the_same(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill before, in and after each write, over and over: the rows are those of a pull that nobody disturbed."""
    left = [0]

    def dying(call: Any) -> Any:
        def run(*args: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Kill
            result = call(*args)
            if left[0] == 0 and len(str(args)) % 2:  # also after the write, before anybody hears of it
                raise Kill
            return result

        return run

    for name in ("write", "create", "delete"):
        monkeypatch.setattr(Files, name, dying(getattr(Files, name)))
    for attempt in range(60):
        left[0] = 2 + attempt % 4
        try:
            rig.pull()
            break
        except Kill:
            continue
    else:
        pytest.fail("no attempt came to its end")
    left[0] = 10**6
    assert attempt > 3
    assert rig.labels() == {str(one.id): one.queue for one in rig.desk.tickets}
    state = rig.store.pulls.state(NAME)
    assert state is not None
    assert (
        state["last"]["new_rows"] == 24
    )  # also where it was killed after its end, so that the next one found nothing new
    assert [card.version for card in rig.store.versions(NAME)] == [1]
    assert rig.pull().change.version is None


def test_a_token_that_expires_on_the_way_costs_nothing(rig: Rig) -> None:
    """The sentence names the setting and not the token; with a new token the pull goes on where it was."""
    expire_at = 4

    def expire(number: int) -> None:
        rig.desk.token = "another" if number == expire_at else rig.desk.token

    rig.desk.before = expire
    with pytest.raises(BadToken, match=f"TRAINWISE_{rig.desk.source.name.upper()}_TOKEN") as refusal:
        rig.pull()
    assert TOKEN not in str(refusal.value)
    rig.desk.token = TOKEN
    rig.pull()
    assert len(rig.labels()) == 24
    assert rig.desk.rows <= 24 + 6


def test_a_cursor_that_the_source_has_forgotten_loses_no_ticket(rig: Rig) -> None:
    """In the middle of a pull and between two: it goes on by the time of the last change."""
    rig.desk.before = lambda number: setattr(rig.desk, "generation", number // 4)
    rig.pull()
    assert len(rig.labels()) == 24
    rig.desk.before = lambda number: None
    rig.desk.generation = 99
    rig.desk.add(ticket(31))
    assert rig.pull().change.new_rows == 1


def test_a_ticket_that_changes_meanwhile_shifts_none_out_of_sight(rig: Rig) -> None:
    """A change on a page that was read already: the ticket comes again as it is now, and no other is skipped."""
    changes = {4: 2, 5: 7, 6: 1}

    def change(number: int) -> None:
        if number in changes:
            rig.desk.touch(changes[number], queue="Legal")

    rig.desk.before = change
    rig.pull()
    labels = rig.labels()
    assert len(labels) == 24
    assert {key for key, label in labels.items() if label == "Legal"} == {"2", "7", "1"}


def test_rows_deleted_at_the_source_are_deleted_here(rig: Rig) -> None:
    """Zendesk tells of deletions; of the others a full pull finds them, and nothing is made where it finds none."""
    rig.pull()
    rig.desk.touch(6, is_deleted=True)
    result = rig.pull(full=not rig.desk.tells_deletions)
    assert result.change.gone_rows == 1
    assert "6" not in rig.labels()
    assert rig.pull(full=True).change.version is None
    assert len(rig.labels()) == 23


def test_bad_input_gets_a_sentence_that_says_what_to_do(rig: Rig) -> None:
    """A wrong token, a wrong project, a field that is not there, no tickets, too few, a wrong address: nothing is made."""
    name = rig.desk.source.name.upper()
    rig.desk.token = "another"
    with pytest.raises(BadToken, match=f"TRAINWISE_{name}_TOKEN"):
        rig.pull()
    rig.desk.token = TOKEN
    with pytest.raises(SourceError, match="Name one of: "):
        rig.pull(rig.query(label="no_such_field"))
    if rig.desk.project:
        with pytest.raises(Missing, match="rights"):
            rig.pull(rig.query(project="OTHER" if rig.desk.project == "SUP" else "acme/other"))
        with pytest.raises(SourceError, match="write"):
            rig.pull(rig.query(project='x" OR project = "y'))
    tickets, rig.desk.tickets = rig.desk.tickets, []
    with pytest.raises(SourceError, match="has no tickets"):
        rig.pull()
    rig.desk.tickets = tickets[:3]
    with pytest.raises(DatasetError, match="at least 10") as refusal:
        rig.pull()
    assert "the next pull adds to it" in str(refusal.value)
    rig.desk.tickets = tickets
    assert rig.pull().card.rows == 24  # those that were kept and the others
    assert len(rig.store.versions(NAME)) == 1


def test_every_ticket_without_a_label_is_one_sentence(rig: Rig) -> None:
    """No version of nothing: the sentence counts the tickets and names the field."""
    for one in rig.desk.tickets:
        one.queue = ""
    with pytest.raises(SourceError, match=r"None of the 24 tickets .* no label.*--label-column"):
        rig.pull()


FIELDS = {
    "zendesk": ("Topic", {"billing", "login"}),
    "intercom": ("tags", {"billing", "login"}),
    "freshdesk": ("cf_topic", {"billing", "login"}),
    "jira": ("Request Type", {"Help with Billing", "Help with Login"}),
    "github": ("labels", {"Billing", "Login"}),
}


def test_the_label_s_field_is_named_as_people_know_it(rig: Rig) -> None:
    """A custom field by its title; another field for the same dataset reads everything again."""
    rig.pull()
    field, labels = FIELDS[rig.desk.source.name]
    result = rig.pull(rig.query(label=field))
    assert {name for name, _ in result.card.classes} == labels


def test_only_labels_that_were_named_count_and_only_tickets_since_a_day(rig: Rig) -> None:
    """Of several labels the named one is taken, tickets without any of them are left out and counted; older ones are not read."""
    for number in (5, 6, 7):
        rig.desk.touch(number, queue="Legal")
    query = replace(rig.query(), labels=("Billing", "Login"))
    result = rig.pull(query)
    assert {name for name, _ in result.card.classes} == {"Billing", "Login"}
    assert result.card.rows == 21
    assert result.change.left_out["no label"] == 3
    rig.store.remove(NAME, "U1")
    for one in rig.desk.tickets[:8]:
        one.updated_at -= 400 * 86_400
    rig.desk.rows = 0
    assert rig.pull(replace(query, since="2025-01-01")).card.rows >= 13
    assert rig.desk.rows <= 16 + 6


def test_a_dataset_has_one_source(zendesk: Rig) -> None:
    """Another source, or project, needs another name."""
    zendesk.pull()
    state = zendesk.store.pulls.state(NAME)
    assert state is not None
    zendesk.store.pulls.keep_state(NAME, {**state, "source": "jira"})
    with pytest.raises(SourceError, match="under another name"):
        zendesk.pull()


def test_rows_that_were_there_before_the_first_pull_stay(zendesk: Rig) -> None:
    """A dataset that began as a file is added to, and a full pull takes nothing away that it did not bring."""
    zendesk.pull()
    base = zendesk.store.tickets(zendesk.store.get(NAME).digest)
    zendesk.store.remove(NAME, "U1")
    assert zendesk.store.pulls.state(NAME) is None
    zendesk.store.keep(base, NAME, "U1", frozenset({"channel:C1"}), "theirs")
    zendesk.desk.touch(6, is_deleted=True)
    zendesk.desk.tickets = [one for one in zendesk.desk.tickets if one.id != 7]
    zendesk.desk.add(ticket(31))
    card = zendesk.pull(full=True).card
    assert (card.scopes, card.licence) == (("channel:C1",), "theirs")
    assert {"7", "31"} <= set(zendesk.labels())
    assert "6" not in zendesk.labels()


def test_peoples_decisions_apply_to_pulled_rows(zendesk: Rig) -> None:
    """Labels that they merged stay merged, a label that they settled stays until the help desk gives another, tests stay out."""
    zendesk.pull()
    ana = Decider("U1", "Ana")
    for draft in (
        Draft("label", ("Billing", "Refunds"), ("2", "4")),
        Draft("merge", ("Login", "Billing")),
        Draft("drop", (), ("6",)),
    ):
        zendesk.store.repairs.decide(NAME, draft, ana)
    zendesk.desk.add(ticket(31, "Login"), ticket(32, "Legal"))
    zendesk.desk.touch(2, requester="another")
    zendesk.desk.touch(4, queue="Legal")
    zendesk.desk.touch(6, requester="another")
    result = zendesk.pull()
    labels = zendesk.labels()
    assert "6" not in labels
    assert "Login" not in labels.values()  # nor of the rows that did not come again
    assert (labels["31"], labels["32"], labels["2"], labels["4"]) == ("Billing", "Legal", "Refunds", "Legal")
    assert result.change.left_out == {"dropped by people before": 1}
    assert [one["kind"] for one in result.card.repairs["decisions"]] == ["label", "merge", "drop"]
    zendesk.desk.add(ticket(33, "Login"))
    assert zendesk.pull().change.new_queues == ()
    assert zendesk.labels()["33"] == "Billing"
    zendesk.store.repairs.decide(NAME, Draft("drop", (), ("8", "9")), ana)
    zendesk.store.repairs.decide(NAME, Draft("label", ("Billing", "Refunds"), ("10",)), ana)
    zendesk.desk.add(ticket(34))
    result = zendesk.pull(by="root")
    assert (result.change.before, result.change.rows) == (24, 25)
    assert (result.card.rows, result.card.added_by) == (25, "U1")
    assert zendesk.pull().change.rows == 25
    assert zendesk.labels()["10"] == "Refunds"
    assert not {"6", "8", "9"} & zendesk.labels().keys()
    zendesk.store.repairs.undo(NAME, 3, ana)  # a decision stays one that can be taken back
    assert "6" in zendesk.labels()
    card = zendesk.store.get(NAME)
    assert card.intake["rows"] == card.intake["kept"] + sum(card.intake["left_out"].values())


def test_decisions_apply_to_later_rows(zendesk: Rig) -> None:
    """Somebody was forgotten, so the rows before the decisions are gone: what comes is decided all the same."""
    zendesk.pull()
    for draft in (
        Draft("label", ("Billing", "Refunds"), ("2",)),
        Draft("merge", ("Login", "Billing")),
        Draft("drop", (), ("6",)),
    ):
        zendesk.store.repairs.decide(NAME, draft, Decider("U1", "Ana"))
    zendesk.store.forget("number 12", "U1")
    assert zendesk.store.get(NAME).repairs["decisions"][0]["is_settled"]
    zendesk.desk.add(ticket(31, "Login"), ticket(32, "Legal"))
    for number in (2, 6):
        zendesk.desk.touch(number, requester="another")
    for _ in range(2):
        result = zendesk.pull()
        labels = zendesk.labels()
        assert (labels["31"], labels["2"], "6" in labels) == ("Billing", "Refunds", False)
        assert "Login" not in labels.values()
        assert [one["kind"] for one in result.card.repairs["decisions"]] == ["label", "merge", "drop"]
        zendesk.desk.add(ticket(33, "Login"))
    assert zendesk.labels()["33"] == "Billing"


def test_forgetting_also_erases_a_running_pull(zendesk: Rig) -> None:
    """Its pages are erased, and it reads on from its last version."""
    zendesk.desk.faults = {3: Answer(429, {}, {"Retry-After": "3600"})}
    with pytest.raises(AskedToWait):
        zendesk.pull()
    assert list((zendesk.folder / "pulls" / NAME).glob("page-*"))
    zendesk.store.forget("somebody@example.org", "U1")
    assert not list((zendesk.folder / "pulls" / NAME).glob("page-*"))
    zendesk.pull()
    assert len(zendesk.labels()) == 24


@pytest.mark.parametrize("moment", ["0 tickets", "6 tickets", "making the version"])
def test_who_is_forgotten_during_a_pull_costs_what_was_read(zendesk: Rig, moment: str) -> None:
    """The pages go in the middle of it: the pull says so and ends, and the next one reads everything."""
    zendesk.pull()
    zendesk.desk.add(*[ticket(number) for number in range(30, 50)])

    def step(text: str) -> None:
        if text.startswith(moment):
            zendesk.store.forget("somebody@example.org", "U1")

    with suppress(LostPages):
        zendesk.pull(full=True, step=step)
    zendesk.pull(full=True)
    assert len(zendesk.labels()) == 44


def test_a_dataset_that_is_removed_during_a_pull_stays_removed(zendesk: Rig) -> None:
    """The pull keeps nothing of what it has read."""
    zendesk.pull()

    def step(text: str) -> None:
        if text.startswith("making"):
            zendesk.store.remove(NAME, "U1")

    with pytest.raises(DatasetError, match="removed meanwhile"):
        zendesk.pull(full=True, step=step)
    assert zendesk.store.list() == []
    assert not list((zendesk.folder / "pulls" / NAME).glob("page-*"))


def test_a_bucket_holds_pages_and_place_as_a_folder_does(zendesk: Rig, s3_here: S3Server) -> None:
    """Over S3's real wire: stopped on the way, gone on with, and nothing left but the state."""
    url = s3_here.bucket("pull-test")
    zendesk.store = DatasetStore(url)
    zendesk.desk.faults = {3: Answer(429, {}, {"Retry-After": "3600"})}
    with pytest.raises(AskedToWait):
        zendesk.pull()
    zendesk.store = DatasetStore(url)  # another machine
    zendesk.pull()
    assert len(zendesk.labels()) == 24
    assert Files(url).names("pulls") == ["support/state.json"]


def test_a_help_desk_without_an_answer_is_asked_four_times(zendesk: Rig) -> None:
    """Then the sentence names the setting of its address."""
    zendesk.desk.close()
    with pytest.raises(NoAnswer, match="TRAINWISE_ZENDESK_URL"):
        zendesk.pull()
    assert [seconds for seconds, _ in zendesk.waits] == [2.0, 4.0, 8.0]


def test_what_people_repaired_outlives_the_next_pull(zendesk: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A label that was corrected and a ticket that was dropped come again from the source; a kill in between loses nothing."""
    zendesk.pull()
    queues = sorted({one.queue for one in zendesk.desk.tickets if one.queue})
    rows = zendesk.store.tickets(zendesk.store.get(NAME).digest).rows
    ids = {row.id.removeprefix("SUP-"): row.id for row in rows}
    wrong = next(row for row in rows if row.label == queues[0])
    who, repairs = Decider("U2", "Ana"), zendesk.store.repairs
    repairs.decide(NAME, Draft("label", (queues[0], queues[1]), (wrong.id,)), who)
    repairs.decide(NAME, Draft("drop", (), (ids["3"] if ids["3"] != wrong.id else ids["4"],)), who)
    drops = {row.id for row in rows} - {
        row.id for row in zendesk.store.tickets(zendesk.store.get(NAME).digest).rows
    }
    assert (
        zendesk.pull().change.version is None
    )  # what people changed is not taken for a change of the source
    zendesk.desk.add(ticket(31))
    for id in (wrong.id, *drops):
        zendesk.desk.touch(
            int(id.removeprefix("SUP-")), text=f"{id}: it says something else now, about the lamp."
        )

    def die(*_: object) -> None:
        raise Kill

    with monkeypatch.context() as patch:
        patch.setattr(type(repairs), "carry_over", die)
        with pytest.raises(Kill):
            zendesk.pull()
    result = zendesk.pull()
    labels = zendesk.labels()
    assert result.change.new_rows == 1
    assert labels[wrong.id.removeprefix("SUP-")] == queues[1]
    assert labels["31"]
    assert not drops & {row.id for row in zendesk.store.tickets(result.card.digest).rows}
    assert [one["by"] for one in result.card.repairs["decisions"]] == ["U2", "U2"]
