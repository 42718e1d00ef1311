"""Repairing tickets in Slack: one form, one question at a time, each answer a version, and no ticket in a channel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bot.playground import Person
from bot.playground.state.seed import RAVI
from finetune.data.label_check import LabelCheck, LabelIssue
from finetune.data.store import DatasetStore
from rag.search.embedding import MiniLM
from tests.integration.conftest import private_reply, text_of, until
from tests.integration.slack_harness import SlackHarness, open_slack

pytestmark = pytest.mark.integration
HERE = "#support-ml"
Json = dict[str, Any]
QUEUES = {"Billing": 14, "Biling": 4, "Login": 14}
SECRET = "the invoice of kestrel number"


@pytest.fixture(scope="module")
def slack(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[SlackHarness]:
    """The app with its workspace."""
    with open_slack(tmp_path_factory.mktemp("repair"), embed) as running:
        yield running


@pytest.fixture
def name(slack: SlackHarness, request: pytest.FixtureRequest) -> str:
    """A dataset of Ravi's of its own for a test: two spellings of a queue, two tests, one label in doubt."""
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].strip("-")
    lines = [
        f"{SECRET} {queue} {at} {word} is wrong,{queue}"
        for queue, count in QUEUES.items()
        for at, word in zip(
            range(count),
            [
                "ash",
                "oak",
                "elm",
                "fir",
                "yew",
                "fig",
                "bay",
                "ivy",
                "box",
                "tea",
                "pea",
                "rye",
                "hay",
                "nut",
            ],
            strict=False,
        )
    ]
    file = slack.services.home / f"{name}.csv"
    file.write_text("\n".join(["text,label", *lines, "test one,Login", "asdf,Login"]))
    store = slack.services.datasets
    card = store.add(file, name, RAVI, frozenset({"channel:C0SUPPORTML"}), "ours")
    row = next(row for row in store.tickets(card.digest).rows if row.label == "Billing")
    store.repairs.save_check(
        card.digest, LabelCheck(34, 34, (LabelIssue(row.id, "Billing", "Login", 0.1, 0.8),))
    )
    return name


def shows(person: Person, part: str) -> Json:
    """The form once it holds this."""

    def match() -> Json | None:
        view = person.view()
        return view if view and part in text_of(view) else None

    view: Json = until(match)
    return view


def versions(slack: SlackHarness, name: str) -> list[int]:
    return [card.version for card in slack.services.datasets.versions(name)]


def test_spellings_are_merged_with_one_click_and_undone(slack: SlackHarness, name: str) -> None:
    """From the button of the dataset's page: counts and examples of both, a version, who did it, and back."""
    ravi, store = slack.person("ravi"), slack.services.datasets
    before = {m["ts"] for m in ravi.messages(HERE)}
    ravi.command("/datasets", f"show {name}", HERE)
    page = ravi.wait_message(HERE, lambda m: m["ts"] not in before and "To look at" in text_of(m))
    assert "“Biling” and “Billing”; 2 rows that look like tests" in text_of(page)
    ravi.click(HERE, page["ts"], "dataset_repair")
    form = shows(ravi, "Are these one label?")
    text = text_of(form)
    assert "“Biling” (4 tickets) and “Billing” (14 tickets)" in text
    assert text.count(SECRET) == 6
    ravi.use(form, "repair:merge")
    form = shows(ravi, "“Biling” counts as “Billing” (4 rows): version 2")
    assert "2 rows look like tests" in text_of(form)  # the next question stands there already
    card = store.get(name)
    assert card.classes == (("Billing", 18), ("Login", 16))
    assert card.repairs["decisions"][0]["by"] == RAVI
    ravi.use(form, "repair:undo")
    shows(ravi, "Decision 1 is taken back: version 3")
    assert dict(store.get(name).classes) == {"Billing": 14, "Biling": 4, "Login": 16}
    assert store.get(name).digest == store.versions(name)[0].digest


def test_test_rows_and_doubtful_labels_are_decided_one_by_one(slack: SlackHarness, name: str) -> None:
    """From the command: Next passes, one test is dropped, the other is real, the doubtful label is changed."""
    ravi, store = slack.person("ravi"), slack.services.datasets
    ravi.command("/datasets", f"repair {name}", HERE)
    ravi.use(shows(ravi, "Are these one label?"), "repair:apart")
    form = shows(ravi, "“Biling” and “Billing” stay apart")
    assert "2 rows look like tests" in text_of(form)
    ravi.use(form, "repair:only", next_value(form, "repair:only", 1))
    form = shows(ravi, "1 row looks like a test")
    assert versions(slack, name) == [1, 2]
    ravi.use(form, "repair:next")
    form = shows(ravi, "Which label is right?")
    assert "gives its label 10%, the other one 80%" in text_of(form)
    ravi.use(form, "repair:change")
    form = shows(ravi, "1 row from “Billing” to “Login”: version 3")
    ravi.use(form, "repair:stay")
    shows(ravi, "nothing to decide")
    assert (store.get(name).rows, dict(store.get(name).classes)["Login"]) == (33, 16)


def next_value(form: Json, action_id: str, place: int) -> str:
    """The value of a button of the form."""
    values = [
        block["accessory"]["value"]
        for block in form["blocks"]
        if (block.get("accessory") or {}).get("action_id") == action_id
    ]
    return str(values[place])


def test_only_the_owner_and_admins_repair(slack: SlackHarness, name: str) -> None:
    """Others are told whom to ask; an admin's work is told to the owner, once, without a ticket's words."""
    maya, ana, ravi = slack.person("maya"), slack.person("ana"), slack.person("ravi")
    told = private_reply(maya, lambda: maya.command("/datasets", f"repair {name}", HERE))
    assert "Only the person who added" in told
    earlier = {m["ts"] for m in ravi.messages("@trainwise")}
    ana.command("/datasets", f"repair {name}", HERE)
    ana.use(shows(ana, "Are these one label?"), "repair:merge")
    ana.use(shows(ana, "2 rows look like tests"), "repair:drop")
    shows(ana, "2 rows dropped as tests: version 3")
    word = ravi.wait_message(
        "@trainwise", lambda m: m["ts"] not in earlier and "an admin, repairs" in text_of(m)
    )
    slack.settle()
    new = [m for m in ravi.messages("@trainwise") if m["ts"] not in earlier]
    assert new == [word]
    assert SECRET not in text_of(word)


def test_a_second_decision_on_a_question_is_refused(slack: SlackHarness, name: str) -> None:
    """Two forms show one question: the second person is told that it is decided; forged buttons are refused too."""
    ravi, ana = slack.person("ravi"), slack.person("ana")
    forms = []
    for person in (ravi, ana):
        person.command("/datasets", f"repair {name}", HERE)
        forms.append(shows(person, "Are these one label?"))
    ravi.use(forms[0], "repair:merge")
    shows(ravi, "version 2")
    ana.use(forms[1], "repair:other")
    shows(ana, "Somebody has decided this already")
    assert versions(slack, name) == [1, 2]
    maya = slack.person("maya")
    before = {m["ts"] for m in maya.messages(HERE)}
    forged = slack.button("U0MAYA00001", "repair:drop", "x", ("C0SUPPORTML", "1.1", "1.1"))
    forged["view"]["private_metadata"] = json.dumps(
        {"channel": "C0SUPPORTML", "thread_ts": None, "about": name}
    )
    slack.send(forged)
    maya.wait_message(HERE, lambda m: m["ts"] not in before and "Only the person who added" in text_of(m))


def test_no_ticket_reaches_a_channel(slack: SlackHarness, name: str) -> None:
    """Only forms quote tickets, whatever is asked and answered."""
    ravi, since = slack.person("ravi"), slack.calls()
    ravi.command("/datasets", f"repair {name}", HERE)
    ravi.use(shows(ravi, "Are these one label?"), "repair:merge")
    shows(ravi, "version 2")
    slack.settle()
    calls = slack.workspace.api_log(since)
    assert any(SECRET in str(call["params"]) for call in calls if call["method"] == "views.update")
    assert not any(SECRET in str(call["params"]) for call in calls if not call["method"].startswith("views."))


def test_a_launched_job_keeps_its_version(slack: SlackHarness, name: str) -> None:
    """A job names its rows by digest: they are the same after repairs, and the version can be named by it."""
    store: DatasetStore = slack.services.datasets
    digest = store.get(name).digest
    rows = store.tickets(digest).rows
    ravi = slack.person("ravi")
    ravi.command("/datasets", f"repair {name}", HERE)
    ravi.use(shows(ravi, "Are these one label?"), "repair:merge")
    shows(ravi, "version 2")
    assert store.get(name).digest != digest
    assert store.tickets(digest).rows == rows


def test_a_reused_dataset_name_shows_nothing_of_the_removed_dataset(slack: SlackHarness, name: str) -> None:
    """The form quotes only the new dataset's tickets."""
    ravi, store = slack.person("ravi"), slack.services.datasets
    ravi.command("/datasets", f"repair {name}", HERE)
    assert SECRET in text_of(shows(ravi, "Are these one label?"))
    store.remove(name, RAVI)
    file = slack.services.home / f"{name}.csv"
    file.write_text(file.read_text().replace(SECRET, "the parcel of osprey number"))
    store.add(file, name, RAVI, frozenset({"channel:C0SUPPORTML"}), "ours")
    ravi.command("/datasets", f"repair {name}", HERE)
    assert SECRET not in text_of(shows(ravi, "the parcel of osprey number"))
