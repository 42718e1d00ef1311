"""Each documented refusal of each call by which an answer reaches Slack, at the answer's start, middle and end.

The real answer stream and notifier before the local workspace, which refuses what a case says (bot/playground).
Counted for each case: the answer is readable in its thread or in the asker's own messages exactly once, and no message
goes on being streamed. `--quick` takes every eighth case.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import yaml

from bot.demo.transcript import message_lines
from bot.playground import Person, Playground
from bot.playground.state.seed import MAYA, TEAM_ID
from bot.slack.app import posting_client, slack_client
from bot.slack.delivery.answer_outbox import enqueue_answer
from bot.slack.delivery.answer_stream import AnswerStream
from bot.slack.delivery.notifier import Notifier
from bot.slack.ui.verdict_card import verdict_card, verdict_text, verdict_title
from rag.reply import Claim, Reply, Verdict
from worker.ledger.ledger import Ledger

HERE = Path(__file__).parents[1]
ROUNDS = 30  # of the notifier, with the workspace's clock moved between them
EVERYWHERE = (
    "access_denied", "account_inactive", "accesslimited", "ekm_access_denied", "enterprise_is_restricted",
    "fatal_error", "internal_error", "invalid_arguments", "invalid_arg_name", "invalid_auth", "invalid_charset",
    "invalid_form_data", "invalid_post_type", "method_deprecated", "missing_scope", "no_permission",
    "not_allowed_token_type", "not_authed", "org_login_required", "ratelimited", "rate_limited", "request_timeout",
    "service_unavailable", "team_access_not_granted", "team_added_to_org", "token_expired", "token_revoked",
    "two_factor_setup_required",
)  # fmt: skip
"""Codes that Slack documents for (nearly) every method."""
SENDING = (
    "as_user_not_supported", "attachment_payload_limit_exceeded", "cannot_reply_to_message",
    "channel_is_limited_access", "channel_not_found", "deprecated_endpoint", "duplicate_channel_not_found",
    "duplicate_message_not_found", "external_channel_migrating", "invalid_attachments", "invalid_blocks",
    "invalid_blocks_format", "invalid_metadata_format", "invalid_metadata_schema", "is_archived", "is_inactive",
    "markdown_text_conflict", "message_limit_exceeded", "messages_tab_disabled", "metadata_must_be_sent_from_app",
    "metadata_too_large", "msg_blocks_too_long", "msg_too_long", "no_dual_broadcast_content_update", "no_text",
    "not_in_channel", "restricted_action", "restricted_action_non_threadable_channel",
    "restricted_action_read_only_channel", "restricted_action_thread_locked", "restricted_action_thread_only_channel",
    "slack_connect_canvas_sharing_blocked", "slack_connect_file_link_sharing_blocked",
    "slack_connect_lists_sharing_blocked", "team_not_found", "thread_not_found", "too_many_attachments",
    "too_many_contact_cards", "user_not_found",
)  # fmt: skip
STREAMING = (
    "channel_not_found", "channel_type_not_supported", "invalid_blocks", "invalid_chunks", "invalid_ts",
    "message_not_found", "message_not_in_streaming_state", "message_not_owned_by_app", "missing_recipient_team_id",
    "missing_recipient_user_id", "msg_blocks_too_long", "msg_too_long", "no_text", "not_in_channel",
    "restricted_action", "stopped_by_user", "streaming_mode_mismatch", "team_not_found", "thread_not_found",
    "user_not_found",
)  # fmt: skip
CHANGING = (
    "cant_broadcast_message", "cant_update_message", "channel_not_found", "edit_window_closed", "invalid_blocks",
    "invalid_blocks_format", "is_inactive", "message_not_found", "msg_blocks_too_long", "msg_too_long",
    "streaming_state_conflict", "update_failed",
)  # fmt: skip
LOST = ("500", "503", "drop", "accepted_500", "accepted_drop")


@dataclass(frozen=True)
class Case:
    """What is refused: faults by method, in the order of its calls ("pass" lets one through)."""

    name: str
    faults: dict[str, tuple[str, ...]]


def cases() -> Iterator[Case]:
    """Each code at the start, in the middle, at the end, alone and on top of a stream that does not stop."""
    for code in (*(f"error:{one}" for one in sorted({*EVERYWHERE, *STREAMING})), *LOST):
        yield Case(f"start {code}", {"chat.startStream": (code,)})
        yield Case(f"append {code}", {"chat.appendStream": (code,)})
        yield Case(f"second append {code}", {"chat.appendStream": ("pass", code)})
        yield Case(f"stop {code}", {"chat.stopStream": (code,)})
        yield Case(f"stop always {code}", {"chat.stopStream": (code,) * 6})
        yield Case(
            f"append and stop {code}", {"chat.appendStream": (code,) * 3, "chat.stopStream": (code,) * 2}
        )
    for code in (*(f"error:{one}" for one in sorted({*EVERYWHERE, *CHANGING})), *LOST):
        stop = {"chat.stopStream": ("error:user_not_found",)}
        yield Case(f"update {code}", {**stop, "chat.update": (code,)})
        yield Case(f"update always {code}", {**stop, "chat.update": (code,) * 6})
    for code in (*(f"error:{one}" for one in sorted({*EVERYWHERE, *SENDING})), *LOST):
        start = {"chat.startStream": ("error:user_not_found",)}
        yield Case(f"post {code}", {**start, "chat.postMessage": (code,)})
        yield Case(f"post thrice {code}", {**start, "chat.postMessage": (code,) * 3})
        nowhere = {"chat.stopStream": ("error:user_not_found",), "chat.update": ("error:message_not_found",)}
        yield Case(f"post after all {code}", {**nowhere, "chat.postMessage": (code,) * 2})
    for code in (*(f"error:{one}" for one in sorted(EVERYWHERE)), *LOST):
        start = {"chat.startStream": ("error:user_not_found",)}
        look = {"chat.postMessage": ("accepted_500",), "conversations.replies": (code,) * 2}
        yield Case(f"look {code}", {**start, **look})
        never = {"chat.postMessage": ("drop",), "conversations.replies": (code,) * 8}
        yield Case(f"look always {code}", {**start, **never})
        shut = {"chat.postMessage": ("error:is_archived",), "conversations.open": (code,)}
        yield Case(f"open {code}", {**start, **shut})
        yield Case(f"session {code}", {"agents.sessions.setStatus": (code,) * 2})


class RefusalHarness:
    """The workspace, a ledger and a notifier, and one answer that is given again and again."""

    def __init__(self, workspace: Playground, folder: Path) -> None:
        self.workspace, self.now = workspace, 0.0
        self.client = slack_client(workspace.bot_token, workspace.api_url)
        for handler in self.client.retry_handlers:
            handler.interval_calculator.calculate_sleep_duration = lambda state: 0.0  # type: ignore[method-assign,attr-defined]
        self.ledger = Ledger(str(folder / "ledger.db"), clock=lambda: self.now)
        self.poster = posting_client(workspace.bot_token, workspace.api_url)
        self.maya = Person(workspace.url, "maya")
        self.count, self.ticks = 0, 0.0

    def answer(self, case: Case) -> dict[str, Any]:
        """One answer under the case's refusals, and what of it can be read when all is quiet."""
        self.now, self.count = time.time(), self.count + 1
        notifier = Notifier(self.poster, self.ledger, 1.0, clock=lambda: self.now, tick=lambda: self.now)
        self.workspace.forget_faults()
        question = self.maya.say("#support-ml", f"question {self.count}: {case.name}")
        for method, hows in case.faults.items():
            for how in hows:
                self.workspace.fail(method, how=how)
        mark = f"headline-{self.count:05d}-end"
        reply = Reply(
            Verdict.RAG,
            0.8,
            mark,
            (Claim("Facts that change belong in retrieval."),),
            next_step="Index them.",
        )
        stream = AnswerStream(
            self.client, question["channel"], question["ts"], TEAM_ID, MAYA, Event(), clock=self.tick
        )
        for step in ("reading", "searching", "checking"):
            stream.step(step)
        stream.finish(verdict_title(reply), verdict_card(reply), verdict_text(reply))
        for owed in stream.unsent_answers:
            enqueue_answer(self.ledger, owed)
        for _ in range(ROUNDS):
            if not self.ledger.due_posts(self.now + 10**6, limit=1):
                break
            self.now += 61
            notifier.work_once()
        return self.read(question, mark)

    def tick(self) -> float:
        """Each step is far from the one before, so that each is sent."""
        self.ticks += 10.0
        return self.ticks

    def read(self, question: dict[str, Any], mark: str) -> dict[str, Any]:
        """How often the answer can be read, and what is still turning."""
        thread = self.maya.messages("#support-ml", question["ts"])
        direct = [m for m in self.maya.messages("@trainwise") if mark in json.dumps(m)]
        texts = [
            "\n".join([m.get("text") or "", *message_lines(m.get("blocks"), "")]) for m in [*thread, *direct]
        ]
        count = sum(mark in text and "retrieval" in text for text in texts)
        streams = [m for m in thread if m.get("streaming_state") == "in_progress"]
        turning = [m for m in thread if "Working it out" in json.dumps(m) and mark not in json.dumps(m)]
        return {"shown": count, "turning": len(streams) + len(turning)}


def main() -> int:
    """Runs the cases, prints the bad ones and a table, and writes the rows where `--out` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    manifest = yaml.safe_load((HERE / "manifest.yml").read_text(encoding="utf-8"))
    selection = [case for case in cases() if args.only in case.name][:: 8 if args.quick else 1]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, Playground(manifest) as workspace:
        workspace.set_rates(enforce=False)
        bench = RefusalHarness(workspace, Path(folder))
        for case in selection:
            row = {"case": case.name, **bench.answer(case)}
            row["good"] = row["shown"] == 1 and row["turning"] == 0
            rows.append(row)
            if not row["good"]:
                sys.stdout.write(f"BAD {row}\n")
    by_kind = Counter((row["case"].rpartition(" ")[0], row["good"]) for row in rows)
    for kind in dict.fromkeys(row["case"].rpartition(" ")[0] for row in rows):
        sys.stdout.write(
            f"{kind:18} {by_kind[kind, True]:4} of {by_kind[kind, True] + by_kind[kind, False]:4}\n"
        )
    good = sum(row["good"] for row in rows)
    sys.stdout.write(f"readable exactly once and nothing turning: {good} of {len(rows)}\n")
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0 if good == len(rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
