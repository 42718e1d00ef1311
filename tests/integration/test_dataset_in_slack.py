"""A file of tickets in Slack: its columns confirmed, the card and its picture for the channel, bad rows for the sender."""

from __future__ import annotations

from typing import Any

import pytest

from bot.demo.stack import LocalStack
from bot.playground import Person
from finetune.data.store import DatasetStore
from tests.integration.conftest import (
    after_reading,
    appears,
    few_tickets,
    offer_file,
    private_reply,
    text_of,
    until,
)

pytestmark = pytest.mark.integration
CHANNEL = "#support-ml"
LINES = few_tickets(60).decode().splitlines()[1:]


def test_a_dropped_file_becomes_a_card_a_picture_and_a_list(
    stack: LocalStack, maya: Person, ravi: Person
) -> None:
    """Good rows are kept and redacted; the list of bad ones reaches the sender and nobody else."""
    bad = b'=cmd|calc,"x",extra\n,empty_text\nmy card 4111 1111 1111 1111 was charged twice on the old plan,billing\n'
    content = few_tickets(60) + bad
    form = offer_file(maya, "Tickets (1).csv", content, name="from-slack", scope="channel")
    assert "guessed them by their names" in text_of(form)
    since = stack.workspace.state()["calls"]
    assert maya.submit(form)["ok"]
    card = maya.wait_message(CHANNEL, lambda m: "added *from-slack*" in m.get("text", ""), 120)
    steps = [
        text_of(call["params"])
        for call in stack.workspace.api_log(since)
        if "Step " in text_of(call["params"])
    ]
    assert [
        part for part in ("▰▰▱▱  Step 2", "▰▰▰▱  Step 3", "▰▰▰▰  Step 4") if any(part in one for one in steps)
    ] == ["▰▰▱▱  Step 2", "▰▰▰▱  Step 3", "▰▰▰▰  Step 4"]
    assert "Step " not in text_of(card)  # the card stands in the bar's place
    text = text_of(card)
    assert "1 wrong number of cells" in text
    assert "1 no text" in text
    assert "1 CARD" in text
    assert "Redacted is not anonymous" in text
    assert "Languages: English" in text

    def picture() -> list[str]:
        replies = ravi.messages(CHANNEL, card["ts"])
        return [f["name"] for m in replies for f in m.get("files", [])]

    assert until(lambda: "from-slack.png" in picture())

    def listing(person: Person) -> list[str]:
        return [f["name"] for m in person.messages("@trainwise") for f in m.get("files", [])]

    assert until(lambda: "from-slack.problems.csv" in listing(maya))
    assert "from-slack.problems.csv" not in listing(ravi)
    for action, title in (("measure_tickets", "Measure it"), ("finetune_tickets", "Fine-tune")):
        maya.click(CHANNEL, card["ts"], action)
        form = maya.wait_view(title=title)
        assert "from-slack" in str([block for block in form["blocks"] if "initial_option" in str(block)][:1])
        maya.close(form)


def test_an_import_is_cancelled_by_who_started_it(stack: LocalStack, maya: Person, ravi: Person) -> None:
    """The bar has a button: another person is refused, the one who added the file ends it, and nothing was added."""
    rows = (f"{line.rpartition(',')[0]},{n % 3}" for n in range(900) for line in LINES)
    form = offer_file(maya, "cut-off.csv", "\n".join(("text,label", *rows)).encode())
    assert maya.submit(form)["ok"]

    def is_reading(message: dict[str, Any]) -> bool:
        return "cut-off" in text_of(message) and "Step 3" in text_of(message)

    ts = maya.wait_message(CHANNEL, is_reading, 120)["ts"]
    refusal = private_reply(ravi, lambda: ravi.click(CHANNEL, ts, "import_cancel"))
    assert "Only who added the file" in refusal
    maya.click(CHANNEL, ts, "import_cancel")

    def is_over() -> bool:
        message = next(m for m in ravi.messages(CHANNEL) if m["ts"] == ts)
        return "cancelled adding *cut-off*" in text_of(message)

    assert until(is_over)
    assert DatasetStore(str(stack.home / "datasets")).versions("cut-off") == []


def test_doubtful_labels_are_looked_for_and_sent_to_who_added_them(maya: Person, ravi: Person) -> None:
    """The card in the channel counts them; the list goes to the sender, and to who asks for it later."""
    lines = few_tickets(200).decode().splitlines()
    queues = sorted({line.rpartition(",")[2] for line in lines[1:]})
    line_parts = lines[5].rpartition(",")
    lines[5] = f"{line_parts[0]},{queues[line_parts[2] == queues[0]]}"
    form = offer_file(maya, "doubtful.csv", "\n".join(lines).encode())
    ts = appears(maya, lambda: maya.submit(form), "added *doubtful*")["ts"]

    def tally() -> bool:
        return any(m["ts"] == ts and "look wrong" in text_of(m) for m in ravi.messages(CHANNEL))

    assert until(tally, 150)

    def message(person: Person) -> list[str]:
        files = (f for m in person.messages("@trainwise") for f in m.get("files", []))
        return [f["id"] for f in files if f["name"] == "doubtful.labels.csv"]

    (file,) = until(lambda: message(maya))
    assert line_parts[0].strip('"')[:40].encode() in maya.file(file)
    assert message(ravi) == []
    assert "Checking the labels" in private_reply(
        ravi, lambda: ravi.command("/datasets", "check doubtful", CHANNEL)
    )
    assert until(lambda: message(ravi), 150)
    maya.click(CHANNEL, ts, "dataset_repair")  # the button of the card in the channel
    question = until(lambda: "Which label is right?" in text_of(maya.view() or {}) and maya.view())
    assert line_parts[0].strip('"')[:40] in text_of(question)
    maya.use(question, "repair:change")
    until(lambda: "version 2" in text_of(maya.view() or {}))
    assert "Only the person who added" in private_reply(
        ravi, lambda: ravi.command("/datasets", "repair doubtful", CHANNEL)
    )


def test_columns_are_chosen_on_the_message_s_own_form(stack: LocalStack, maya: Person) -> None:
    """A file with names that mean nothing, dropped in the channel: what the person chooses is what is read."""
    rows = (
        f'{n % 7},{line},"Thanks, we look into number {n}.","{"vip, late" if n % 3 else "late"}"'
        for n, line in enumerate(LINES)
    )
    content = "ref,notes,area,sent back,tags\n" + "\n".join(rows)
    text = maya.say(
        CHANNEL, "our tickets", files=[maya.upload(None, "Q3 export.csv", content.encode())["file"]["id"]]
    )
    maya.shortcut("add_dataset_from_message", CHANNEL, text["ts"])
    first = maya.wait_view(title="Add tickets")
    assert maya.submit(first, {"licence": "ours", "name": "chosen-columns"})["ok"]
    form = after_reading(maya)
    assert "notes · " in str(form["blocks"])  # a column stands there with an example
    maya.use(form, "column:text", "c3")
    until(
        lambda: "“Thanks, we look into number 0.”" in text_of(maya.view() or {})
    )  # the first rows follow the choice
    maya.use(maya.view() or {}, "column:label", "c4")
    until(
        lambda: "Several labels" in str((maya.view() or {}).get("blocks"))
    )  # asked only where the column has some
    form = maya.view() or {}
    choice = {"text": "c1", "label": "none", "answer": "c3", "customer": "c0"}
    card = text_of(appears(maya, lambda: maya.submit(form, choice), "added *chosen-columns*"))
    assert "reply tickets" in card
    assert "Columns: text from “notes”, answer from “sent back”" in card
    store = DatasetStore(str(stack.home / "datasets"))
    rows_kept = store.tickets("chosen-columns").rows
    assert rows_kept[0].answer.startswith("Thanks, we look into number")
    assert len({row.customer for row in rows_kept}) == 7
    assert "no labels" in private_reply(
        maya, lambda: maya.command("/datasets", "check chosen-columns", CHANNEL)
    )


def test_a_form_closed_before_its_end_adds_nothing(stack: LocalStack, maya: Person) -> None:
    """Closed while the head was read, the person is told so; closed after, it is simply not added."""
    form = offer_file(maya, "second-thoughts.csv", few_tickets(60))
    maya.close(form)
    file = maya.upload(None, "gone.csv", few_tickets(60) * 400)["file"]["id"]
    maya.command("/datasets", "add", CHANNEL)
    first = maya.wait_view(title="Add tickets")

    def close_at_once() -> None:
        assert maya.submit(first, {"file": file, "name": "gone", "licence": "ours"})["ok"]
        maya.close(first)

    assert "nothing was added" in private_reply(maya, close_at_once)
    listing = private_reply(maya, lambda: maya.command("/datasets", "", CHANNEL))
    assert "second-thoughts" not in listing
    assert "gone" not in listing
