"""A chat's messages are grouped so that a question and its answer stand together, and nothing is lost or doubled."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from rag.ingest.readers.conversations import Message, group
from rag.ingest.readers.slack_export import is_slack_export, read_slack
from tests.rag.documents import zip_file

MINUTE = 60.0


def talk(*lines: str) -> list[list[str]]:
    """Groups of "minute author words" lines, by their words."""
    messages = []
    for line in lines:
        minute, author, words = line.split(" ", 2)
        messages.append(Message(float(minute) * MINUTE, author, words))
    return [[message.text for message in conversation.messages] for conversation in group(messages)]


def test_an_answer_stands_with_its_question() -> None:
    """Also after small talk, a question back, and a night."""
    first = ["Who signs purchases?", "Above which sum?", "2,000", "Farid signs those."]
    assert talk(
        "0 ana Who signs purchases?", "1 ben Above which sum?", "2 ana 2,000", "3 ben Farid signs those.",
        "5 cem Where is the VPN profile?", "900 ben Pinned in it-help.",
    ) == [first, ["Where is the VPN profile?", "Pinned in it-help."]]  # fmt: skip


def test_a_new_question_after_an_answer_begins_a_new_conversation() -> None:
    """Two topics share no passage; the asker's own next question does."""
    groups = talk(
        "0 ana How do I rotate a key?", "1 ben Settings, Keys, Rotate.", "2 ana And for contractors?", "3 ben The same.",
        "30 cem Is the canteen open?", "31 ana Until two.",
    )  # fmt: skip
    assert [len(one) for one in groups] == [4, 2]


def test_a_thread_is_one_conversation_wherever_its_replies_stand() -> None:
    """Replies days later, and messages of the channel between them."""
    messages = [
        Message(0, "ana", "How do I rotate a key?", "t"),
        Message(60, "ben", "Lunch is here.", ""),
        Message(90_000, "cem", "Settings, Keys, Rotate.", "t"),
    ]
    assert [[m.text for m in one.messages] for one in group(messages)] == [
        ["How do I rotate a key?", "Settings, Keys, Rotate."],
        ["Lunch is here."],
    ]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e6),
            st.sampled_from("abc"),
            st.sampled_from(["How so?", "Like this.", "ok", "Long words " * 60]),
            st.sampled_from(["", "", "t1", "t2"]),
        ),
        max_size=30,
    )
)
def test_every_message_is_in_one_conversation(rows: list[tuple[float, str, str, str]]) -> None:
    """In order of time within each."""
    messages = [Message(*row) for row in rows]
    groups = group(messages)
    assert sorted((m.at, m.text) for one in groups for m in one.messages) == sorted(
        (m.at, m.text) for m in messages
    )
    assert all([m.at for m in one.messages] == sorted(m.at for m in one.messages) for one in groups)


def test_an_export_reads_people_bots_files_and_threads_over_months(tmp_path: Path) -> None:
    """Names for ids in text too, words of attachments, a thread in the month of its question."""
    users = [{"id": "U1", "name": "maya", "profile": {"real_name": "Maya Okafor"}}]
    may = [
        {
            "user": "U1",
            "ts": "1717150000.1",
            "thread_ts": "1717150000.1",
            "text": "Who has the <@U1> key of <!subteam^S1|@ops>?",
        }
    ]
    june = [
        {"username": "Alarm", "subtype": "bot_message", "ts": "1717300000.1", "text": "",
         "attachments": [{"title": "Pump 3 is down", "text": "Since nine."}], "files": [{"name": "log.txt"}]},
        {"user": "U9", "user_profile": {"real_name": "Guest"}, "ts": "1717310000.1", "thread_ts": "1717150000.1", "text": "The desk has it."},
    ]  # fmt: skip
    path = zip_file(
        tmp_path / "x.zip",
        {
            "acme export/channels.json": json.dumps([{"id": "C1", "name": "ops"}]),
            "acme export/users.json": json.dumps(users),
            "acme export/ops/2024-05-31.json": json.dumps(may),
            "acme export/ops/2024-06-02.json": json.dumps(june),
        },
    )
    first, second = read_slack(path)
    assert first.title == "#ops, 2024-05"
    assert "Maya Okafor: Who has the @Maya Okafor key of @ops?\n\nGuest: The desk has it." in first.text
    assert "Alarm: Pump 3 is down\nSince nine.\n(file: log.txt)" in second.text
    assert not is_slack_export(["a/b/channels.json", "a/b/users.json", "channels.json"])


def test_edits_blocks_and_texts_posted_as_files_are_read(tmp_path: Path) -> None:
    """The last words of an edited message alone, none of a deleted one, those that stand in blocks only, and a snippet's."""

    def say(at: int, text: str, **more: object) -> dict[str, object]:
        return {"user": "U1", "ts": f"17171500{at:02d}.1", "text": text, **more}

    section = [
        {"type": "text", "text": "The key is in drawer "},
        {"type": "text", "text": "17", "style": {"bold": True}},
    ]
    blocks = [{"type": "rich_text", "elements": [
        {"type": "rich_text_section", "elements": [*section, {"type": "user", "user_id": "U1"}]},
        {"type": "rich_text_list", "style": "bullet", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "bring it back"}]}]},
    ]}, {"type": "section", "text": {"type": "mrkdwn", "text": "Until *noon*"}}]  # fmt: skip
    new = say(1, "The backup runs at 02:40.")
    messages = [
        say(1, "The backup runs at 03:15."),
        {
            "subtype": "message_changed",
            "ts": "1717150020.1",
            "message": new,
            "previous_message": say(1, "x"),
        },
        say(2, "This was wrong."),
        {"subtype": "message_deleted", "ts": "1717150021.1", "deleted_ts": "1717150002.1"},
        say(3, "", blocks=blocks),
        say(
            4,
            "notes",
            files=[{"title": "Notes", "mimetype": "text/plain", "plain_text": "The code changes monthly."}],
        ),
    ]
    users = [{"id": "U1", "profile": {"real_name": "Maya"}}]
    files = {"channels.json": [{"name": "ops"}], "users.json": users, "ops/2024-05-31.json": messages}
    path = zip_file(tmp_path / "x.zip", {name: json.dumps(value) for name, value in files.items()})
    (document,) = read_slack(path)
    for words in ("02:40", "drawer 17@Maya", "bring it back", "Until *noon*", "The code changes monthly."):
        assert words in document.text
    assert not any(words in document.text for words in ("03:15", "This was wrong"))
