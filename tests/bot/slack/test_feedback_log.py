"""Thumbs become evaluation rows that the advice evaluation reads."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from bot.cli.evaluate import app
from bot.slack.feedback_log import (
    FILE,
    delete_old_feedback,
    evaluation_rows,
    read_feedback,
    record_feedback,
    redact_feedback,
)
from bot.slack.thread_memory import Card, Conversation
from finetune.data.erase import mention_of
from rag.evaluation.advice import evaluate, read_rows
from rag.reply import Reply, Verdict
from rag.signals.schema import Signals


def reply(verdict: Verdict) -> Reply:
    return Reply(verdict, 0.8, "A headline.", state={"version": 2})


def test_a_thumb_up_accepts_the_verdict_and_a_thumb_down_every_other(tmp_path: Path) -> None:
    """The rows keep question, the thread's earlier questions, verdict, rating and reason; the last thumb counts."""
    conversation = Conversation().with_answer(
        "1.1", Card("U1", "our bot is bad", reply(Verdict.NEED_MORE_INFO))
    )
    conversation = conversation.with_answer(
        "1.2", Card("U1", "it is the tone, 30 mails", reply(Verdict.PROMPT))
    )
    again = Conversation.from_json(json.loads(json.dumps(conversation.to_json())))
    record_feedback(tmp_path, 1.0, "U1", "1.2", False, again.cards["1.2"], "too short")
    record_feedback(tmp_path, 2.0, "U2", "1.2", True, again.cards["1.2"])
    record_feedback(tmp_path, 3.0, "U1", "1.2", False, again.cards["1.2"], "we tried a prompt")
    down, up = sorted(evaluation_rows(read_feedback(tmp_path)), key=lambda row: row["rating"])
    assert (up["verdict"], up["accept"], up["rating"]) == ("prompt", ["prompt"], "up")
    assert up["context"] == [{"role": "user", "text": "our bot is bad"}]
    assert down["reason"] == "we tried a prompt"
    assert "prompt" not in down["accept"]
    assert len(down["accept"]) == len(Verdict) - 1


def test_the_rows_are_read_by_the_advice_evaluation(tmp_path: Path) -> None:
    """What `trainwise eval feedback --out` writes, `trainwise eval advice` scores."""
    home, out = tmp_path / "home", tmp_path / "rows.jsonl"
    card = Card("U1", "which batch size is usual?", reply(Verdict.GUIDE_ANSWER))
    record_feedback(home, 1.0, "U1", "1.1", True, card)
    process = CliRunner().invoke(app, ["feedback", "--out", str(out)], env={"TRAINWISE_HOME": str(home)})
    assert process.exit_code == 0, process.output
    result = evaluate(read_rows(out), lambda text: Signals.model_validate({"topic": "guide"}))
    assert (len(result.outcomes), result.right) == (1, 1)


def test_old_rows_are_deleted_and_newer_ones_stay(tmp_path: Path) -> None:
    """Without a file nothing happens."""
    assert delete_old_feedback(tmp_path, 5.0) == 0
    card = Card("U1", "which batch size is usual?", reply(Verdict.GUIDE_ANSWER))
    for at in (1.0, 4.9, 5.0):
        record_feedback(tmp_path, at, "U1", f"m{at}", True, card)
    assert delete_old_feedback(tmp_path, 5.0) == 2
    assert [row["message"] for row in read_feedback(tmp_path)] == ["m5.0"]


def test_a_person_is_redacted_from_the_ratings(tmp_path: Path) -> None:
    """The rows stay; the result counts the changed rows, and a second run changes none."""
    rows = [{"question": "Maria asks"}, {"question": "Otto asks"}]
    (tmp_path / FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert redact_feedback(tmp_path, mention_of("maria")) == 1
    rest = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    assert rest == [{"question": "<ERASED> asks"}, {"question": "Otto asks"}]
    assert redact_feedback(tmp_path, mention_of("maria")) == 0
