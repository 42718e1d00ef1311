"""The five buttons of Home: each opens its form; a person without permission gets the reason there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.demo.stack import LocalStack
from bot.playground import Person
from bot.slack.permissions import Permissions
from bot.slack.ui.verdict_card import SERVICE_BUTTONS
from rag.search.embedding import MiniLM
from tests.integration.conftest import DATASET, MENTION, answer, text_of, until, workspace_page
from tests.integration.slack_harness import SlackHarness, open_slack

pytestmark = pytest.mark.integration
BUTTONS = {
    "home_ask": "Ask",
    "home_measure": "Measure it",
    "home_finetune": "Fine-tune",
    "home_datasets": "Tickets",
    "home_documents": "Documents",
}
RAVI = "U0RAVI00001"


@pytest.fixture
def press(maya: Person) -> Callable[[str], dict[str, Any]]:
    """Presses a button of Home and returns the form that opens."""

    def press(action_id: str) -> dict[str, Any]:
        home = maya.wait_home(lambda view: "Queue" in text_of(view))
        maya.use(home, action_id)
        return maya.wait_view(title=BUTTONS[action_id])

    return press


def test_home_has_five_buttons(maya: Person) -> None:
    """They are the first row, in this order."""
    home = maya.wait_home(lambda view: "Queue" in text_of(view))
    rows = [block["elements"] for block in home["blocks"] if block["type"] == "actions"]
    assert [button["text"]["text"] for button in rows[0]] == [
        "Ask",
        "Measure",
        "Fine-tune",
        "Tickets",
        "Documents",
    ]
    assert [button["action_id"] for button in rows[0]] == list(BUTTONS)


@pytest.mark.parametrize("action_id", BUTTONS)
def test_a_button_opens_what_it_says(
    maya: Person, press: Callable[[str], dict[str, Any]], action_id: str
) -> None:
    """By its title; closing leads back to Home."""
    form = press(action_id)
    assert form["title"]["text"] == BUTTONS[action_id]
    maya.close(form)
    assert maya.view() is None


def test_a_question_is_asked_from_home(maya: Person, press: Callable[[str], dict[str, Any]]) -> None:
    """One of those to try; the answer stands in the direct messages; an empty form says what to do."""
    form = press("home_ask")
    assert "question" in maya.submit(form, {})["errors"]
    assert maya.submit(form, {"example": "Our own foundation model"})["ok"]
    question = maya.wait_message(
        "@trainwise", lambda m: "asks: Should we pre-train" in text_of(m).replace("*", "")
    )
    maya.close(maya.view() or {})  # the note that says where the answer comes
    assert "training from scratch is for labs" in text_of(answer(maya, question["ts"], "@trainwise"))


def test_the_plan_of_a_measurement_follows_the_tickets(
    maya: Person, press: Callable[[str], dict[str, Any]]
) -> None:
    """What will be done and for how long, for the tickets that are chosen."""
    form = press("home_measure")
    assert "at most" in text_of(form)
    assert "minutes of computing" in text_of(form)
    maya.use(form, "measure_dataset", DATASET)
    until(lambda: f"tickets of {DATASET}" in text_of(maya.view() or {}))
    maya.use(maya.view() or {}, "measure_dataset", "sample-tickets")
    until(lambda: "the 658 tickets of sample-tickets" in text_of(maya.view() or {}))
    maya.close(maya.view() or {})


@pytest.mark.parametrize(
    ("action_id", "add", "title"),
    [
        ("home_datasets", "home_add_dataset", "Add tickets"),
        ("home_documents", "home_add_document", "Add documents"),
    ],
)
def test_a_list_leads_to_the_form_that_adds(
    maya: Person, press: Callable[[str], dict[str, Any]], action_id: str, add: str, title: str
) -> None:
    """In the list's place."""
    listing = press(action_id)
    maya.use(listing, add)
    form = maya.wait_view(title=title)
    assert form["id"] == listing["id"]
    maya.close(form)


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("how do I add our tickets", "Add tickets"),
        ("how do I add our documents", "Add documents"),
        ("measure it", "Measure it"),
        ("train it", "Fine-tune"),
    ],
)
def test_the_button_beneath_an_answer_about_the_bot_opens_its_form(
    maya: Person, question: str, title: str
) -> None:
    """In a channel, where no form and no home tab stands behind it."""
    ts = maya.say("#support-ml", f"{MENTION} {question}")["ts"]
    reply = until(
        lambda: next((m for m in maya.messages("#support-ml", ts) if "service" in str(m.get("blocks"))), None)
    )
    (button,) = [e for block in reply["blocks"] if block["type"] == "actions" for e in block["elements"]]
    assert button["action_id"] in {action for _, action in SERVICE_BUTTONS.values()}
    maya.click("#support-ml", reply["ts"], button["action_id"])
    maya.close(maya.wait_view(title=title))


@pytest.fixture(scope="module")
def strict_slack(tmp_path_factory: pytest.TempPathFactory, embed: MiniLM) -> Iterator[SlackHarness]:
    """A workspace where Ravi alone may ask and launch."""
    rules = Permissions(askers=frozenset({RAVI}), launchers=frozenset({RAVI}))
    with open_slack(Path(tmp_path_factory.mktemp("strict")), embed, rules) as slack:
        yield slack


@pytest.mark.parametrize(
    ("action_id", "refusal"),
    [
        ("home_ask", "I answer only some people"),
        ("home_measure", "Only some people may launch jobs"),
        ("home_finetune", "Only some people may launch jobs"),
    ],
)
def test_a_denied_person_gets_the_reason_over_home(
    strict_slack: SlackHarness, action_id: str, refusal: str
) -> None:
    """A modal over Home names the reason and a contact; a permitted person gets the form."""
    for name, expected in (("maya", refusal), ("ravi", "")):
        person = strict_slack.person(name)
        home = person.wait_home(lambda view: "Queue" in text_of(view))
        person.use(home, action_id)
        form = person.wait_view()
        assert (refusal in text_of(form)) == bool(expected)
        assert (form["title"]["text"] == BUTTONS[action_id]) == (not expected)
        person.close(form)


def test_the_five_buttons_work_in_a_browser(maya: Person, browser: Any) -> None:
    """Each is found by its name and opens a dialog of its title; Escape closes it."""
    maya.wait_home(lambda view: "Queue" in text_of(view))
    with workspace_page(browser, str(maya._http.base_url), "maya", 30) as page:
        page.get_by_role("button", name="trainwise").first.click()
        page.get_by_role("tab", name="Home").click()
        for label, title in zip(
            ("Ask", "Measure", "Fine-tune", "Tickets", "Documents"), BUTTONS.values(), strict=True
        ):
            page.get_by_role("button", name=label, exact=True).click()
            dialog = page.get_by_role("dialog", name=title)
            dialog.wait_for()
            page.keyboard.press("Escape")
            dialog.wait_for(state="detached")


def test_what_a_form_began_is_seen_in_home(
    stack: LocalStack, maya: Person, press: Callable[[str], dict[str, Any]]
) -> None:
    """The form closes, and Home says what goes on and where, with the job in its list."""
    form, since = press("home_measure"), stack.workspace.state()["calls"]
    assert maya.submit(form, {"dataset": DATASET, "target": "80", "volume": "100"})["ok"]

    def home_then() -> str:
        calls = stack.workspace.api_log(since)
        return " ".join(str(call["params"]) for call in calls if call["method"] == "views.publish")

    until(lambda: f"The measurement of *{DATASET}* is on its way: see *Messages*" in home_then())
    assert "target 80%" in home_then()
