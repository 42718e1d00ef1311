"""Permissions to ask, launch, approve and set, by users, user groups and channels; each denial names a contact."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bot.errors import BotError
from bot.slack import home_tab as home
from bot.slack.features import channel_settings
from bot.slack.features.answering import Question, ask
from bot.slack.permissions import Permissions
from bot.slack.users import Person
from worker.jobs.records import JobRequest
from worker.ledger.budgets import month_of_team
from worker.ledger.ledger import Ledger

RAVI, MAYA, ANA = Person("URAVI", "ravi"), Person("UMAYA", "maya"), Person("UANA", "ana", admin=True)


def in_group(user: str, groups: frozenset[str]) -> bool:
    return user == "UMAYA" and "SML" in groups


@pytest.mark.parametrize("member", ["URAVI", "SML", "C1"])
def test_a_list_allows_exactly_its_people_groups_and_channels(member: str) -> None:
    """It holds for questions and launches; admins are always allowed; an empty list allows everyone."""
    permissions = Permissions(
        askers=frozenset({member}), launchers=frozenset({member}), admins=frozenset({"UBOSS"})
    )
    welcome = {
        "URAVI": {("URAVI", "C1"), ("URAVI", "C2")},
        "SML": {("UMAYA", "C1"), ("UMAYA", "C2")},
        "C1": {("URAVI", "C1"), ("UMAYA", "C1")},
    }[member]
    for person in (RAVI, MAYA, ANA):
        for channel in ("C1", "C2"):
            denials = (
                permissions.denies_question(person, channel, in_group),
                permissions.denies_launch(person, 0, in_group, channel),
            )
            may = person is ANA or (person.id, channel) in welcome
            assert [denial is None for denial in denials] == [may, may], (person, channel)
            assert all("<@UBOSS>" in denial for denial in denials if denial)
    assert Permissions().denies_question(RAVI, "D1", in_group) is None


def test_a_denial_names_an_allowed_channel() -> None:
    """The channels of the list are in the sentence."""
    denial = Permissions(askers=frozenset({"C1"})).denies_question(RAVI, "C2", in_group)
    assert denial is not None
    assert "<#C1>" in denial


def test_approvers_may_not_approve_their_own_jobs(ledger: Ledger) -> None:
    """Approvers and admins approve jobs of others; everybody else is told who can."""
    job = ledger.submit(JobRequest("finetune", {}, "d", RAVI.id, "ravi", "T1", "C1", None, "k"))
    permissions = Permissions(approvers=frozenset({"SML", RAVI.id}))
    assert permissions.denies_approval(MAYA, job, in_group) is None
    assert permissions.denies_approval(ANA, job, in_group) is None
    assert "someone else" in str(permissions.denies_approval(RAVI, job, in_group))
    assert "an approver" in str(permissions.denies_approval(Person("UX", "x"), job, in_group))
    assert "Only an admin" in str(Permissions().denies_approval(MAYA, job, in_group))


@pytest.fixture
def ledger(tmp_path: Any) -> Ledger:
    return Ledger(str(tmp_path / "l.db"), clock=lambda: 1_800_000_000.0)


@pytest.fixture
def services(ledger: Ledger) -> Any:
    """The services that budgets use."""
    users = SimpleNamespace(person={p.id: p for p in (RAVI, ANA)}.__getitem__)
    return SimpleNamespace(
        ledger=ledger, permissions=Permissions(month_budget_usd=500), users=users, clock=ledger.clock
    )


def test_an_admin_sets_the_months_budget_and_everyone_sees_it(services: Any) -> None:
    """The budget holds for one workspace and month; before that the default counts; bad amounts and other people change nothing."""
    text: list[str] = []

    def respond(**message: Any) -> None:
        text.append(message["text"])

    channel_settings.on_budget(services, [], "T1", RAVI.id, respond)  # type: ignore[arg-type]
    channel_settings.on_budget(services, ["$1,200"], "T1", ANA.id, respond)  # type: ignore[arg-type]
    assert ["0 cents of $500" in text[0], "0 cents of $1,200" in text[1]] == [True, True]
    with pytest.raises(BotError, match="Only an admin sets the budget"):
        channel_settings.change_budget(services, ["9"], "T1", RAVI.id)
    for odd in (["nan"], ["-5"], ["lots"], ["1e99"]):
        with pytest.raises(BotError, match="Write an amount"):
            channel_settings.change_budget(services, odd, "T1", ANA.id)
    assert month_of_team(services.ledger.engine, "T1", "2027-01").limit == 1200
    assert channel_settings.this_month(services, "T2").limit == 500


def test_the_home_tab_says_how_old_the_index_is() -> None:
    """It shows the date of the newest document; a broken index becomes a line of text."""
    documents = [
        SimpleNamespace(updated_at="2026-11-02 08:00:00"),
        SimpleNamespace(updated_at="2026-11-20 09:00:00"),
    ]
    index = SimpleNamespace(stats=lambda: SimpleNamespace(documents=2, chunks=9), documents=lambda: documents)
    failing = SimpleNamespace(stats=lambda: 1 / 0)
    assert home.index_health(SimpleNamespace(index=index)).endswith("9 passages, last change 2026-11-20")  # type: ignore[arg-type]
    assert "cannot be read" in home.index_health(SimpleNamespace(index=failing))  # type: ignore[arg-type]


def test_a_denied_question_is_explained_but_a_reply_without_mention_is_ignored() -> None:
    """The question is denied before it is queued; a reply that does not mention the bot gets no answer."""
    waiting: list[Any] = []
    users = SimpleNamespace(person=lambda user: RAVI, in_group=in_group)
    thread_queue = SimpleNamespace(submit=lambda key, work, order: waiting.append(key))
    services: Any = SimpleNamespace(
        permissions=Permissions(askers=frozenset({"C1"})), users=users, thread_queue=thread_queue
    )
    client: Any = None
    with pytest.raises(BotError, match="I answer only some people"):
        ask(services, client, Question("should we train?", RAVI.id, "T1", "C2", "1.1"))
    ask(services, client, Question("lunch?", RAVI.id, "T1", "C2", "1.1", without_mention=True))
    assert waiting == []
    ask(services, client, Question("should we train?", RAVI.id, "T1", "C1", "1.1"))
    assert waiting == [("C1", "1.1")]
