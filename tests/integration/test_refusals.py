"""Answers that Slack refuses at their start, middle or end: a few cases of each kind; all are in benchmarks/slack_refusals.py."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.playground import Playground
from tests.integration.notifier_harness import MANIFEST

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from slack_refusals import Case, RefusalHarness

pytestmark = pytest.mark.integration
CASES = [
    Case("start", {"chat.startStream": ("error:restricted_action",)}),
    Case("start unheard", {"chat.startStream": ("accepted_500",)}),
    Case("append", {"chat.appendStream": ("error:stopped_by_user",)}),
    *(Case(f"stop {code}", {"chat.stopStream": (f"error:{code}",) * 2})
      for code in ("user_not_found", "invalid_blocks", "msg_blocks_too_long", "rate_limited")),
    Case("stop unheard", {"chat.stopStream": ("accepted_drop",)}),
    Case("message gone", {"chat.stopStream": ("error:user_not_found",), "chat.update": ("error:message_not_found",)}),
    *(Case(f"post {code}", {"chat.startStream": ("error:user_not_found",), "chat.postMessage": (f"error:{code}",) * 2})
      for code in ("rate_limited", "message_limit_exceeded", "ekm_access_denied", "restricted_action_thread_locked",
                   "token_revoked", "never_heard_of")),
    *(Case(f"look {code}", {"chat.startStream": ("error:user_not_found",), "chat.postMessage": ("accepted_500",),
                            "conversations.replies": (f"error:{code}",) * 2}) for code in ("ekm_access_denied", "no_permission")),
    Case("look never", {"chat.startStream": ("error:user_not_found",), "chat.postMessage": ("drop",),
                        "conversations.replies": ("error:ekm_access_denied",) * 40}),
    Case("post unheard", {"chat.startStream": ("error:user_not_found",), "chat.postMessage": ("accepted_drop",)}),
]  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RefusalHarness]:
    with Playground(MANIFEST) as workspace:
        workspace.set_rates(enforce=False)
        yield RefusalHarness(workspace, tmp_path_factory.mktemp("refusals"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_answer_arrives_exactly_once_and_no_stream_stays_open(bench: RefusalHarness, case: Case) -> None:
    """It arrives in its thread, or in the asker's direct messages."""
    assert bench.answer(case) == {"shown": 1, "turning": 0}
