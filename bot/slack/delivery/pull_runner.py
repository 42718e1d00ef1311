"""Runs due pulls from help desks; reports changes to the channel and failures to the person who set up the pull.

The ledger holds the schedule and the lease, so a restart loses nothing and two bots do not run the same pull.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any

from slack_sdk import WebClient

from bot.errors import OURS
from bot.pulling import Puller, PullInterrupt, find_source
from bot.slack.delivery.answer_message import AnswerMessage
from bot.slack.delivery.background_loop import BackgroundLoop
from bot.slack.failures import error_text, send_direct_message
from bot.slack.services import Services
from bot.slack.slack_errors import SLACK_ERRORS
from bot.slack.ui.blocks import section
from bot.slack.ui.limits import validate_message
from bot.slack.ui.pulls import pull_report
from bot.slack.users import UNKNOWN
from finetune.data.prepare import open_preparer
from finetune.pulls.change_report import Change, change_lines
from finetune.pulls.page_import import Prepare
from finetune.pulls.pull import Order, PullResult
from finetune.sources import SOURCES
from finetune.sources.contract import AskedToWait, Query, Source
from worker.ledger.pulls import Pull, due_pulls, end_pull, stop_pull, take_due

LONGEST_PAUSE_S = 60.0
FIRST_RETRY_S, LONGEST_RETRY_S = 60.0, 3600.0
DAY_S = 86_400.0
log = logging.getLogger(__name__)


class PullRunner:
    """`start()` runs `work_once` until `stop()`; `wake()` starts the next round at once."""

    def __init__(
        self,
        services: Services,
        client: WebClient,
        values: Mapping[str, str],
        holder: str,
        preparing: Callable[[], AbstractContextManager[Prepare]] = open_preparer,
    ) -> None:
        self.services, self._client, self._values, self._holder = services, client, values, holder
        self._preparing = preparing
        self._loop = BackgroundLoop(self.work_once, "pulls", LONGEST_PAUSE_S)

    def start(self) -> None:
        """Starts running due pulls."""
        self._loop.start()

    def stop(self) -> None:
        """Stops after the current page; the pull resumes there after a restart."""
        self._loop.stop()

    def wake(self) -> None:
        """Starts the next round at once, for a due pull."""
        self._loop.wake()

    def sources(self) -> list[Source]:
        """The help desks whose settings are complete."""
        return [one for one in SOURCES.values() if one.is_configured(self._values)]

    def check(self, source: str, project: str) -> None:
        """Raises BotError or SourceError when this project cannot be pulled from the source."""
        find_source(source).check(self._values, project)

    def work_once(self) -> None:
        """Runs every due pull whose lease is free."""
        for pull in due_pulls(self.services.ledger.engine, self.services.clock()):
            if self._loop.is_stopping:
                return
            if take_due(self.services.ledger.engine, pull, self._holder, self.services.clock()):
                self._run_due(pull)

    def _run_due(self, pull: Pull) -> None:
        """Runs one pull and records its outcome before it releases the lease."""
        if why := self._end_reason(pull):
            self._stop_pull(pull, why)
            return
        try:
            result = self._run(pull)
        except PullInterrupt as end:
            log.info("the pull of %s is interrupted: %s", pull.dataset, end)
            self._release(pull, {})
        except AskedToWait as error:
            log.info("the pull of %s waits, as its source asked", pull.dataset)
            self._release(
                pull, {"next_at": self.services.clock() + min(error.wait_s, DAY_S), "last": str(error)}
            )
        except Exception as error:  # the edge: this thread has no caller to tell
            self._note_failure(pull, error)
        else:
            self._note_result(pull, result)

    def _end_reason(self, pull: Pull) -> str:
        """The reason to stop this pull: its dataset was removed, or its requester is no member any more; else ""."""
        state = self.services.datasets.pulls.state(pull.dataset)
        versions = self.services.datasets.versions(pull.dataset)
        was_made = bool(
            pull.version or (state and state.get("done"))
        )  # a day after the removal the state is deleted too
        if was_made and all(card.erased for card in versions):
            return "its dataset was removed"
        if pull.by.startswith(("U", "W")):
            person = self.services.users.person(pull.by)
            if person.outside and person.outside != UNKNOWN:
                return "who set it is no member of the team any more"
        return ""

    def _stop_pull(self, pull: Pull, why: str) -> None:
        if stop_pull(self.services.ledger.engine, pull.dataset) and pull.by.startswith(("U", "W")):
            text = f"🛑 {pull.dataset} is not pulled any more: {why}."
            send_direct_message(self._client, pull.by, text, [section(text)])

    def _run(self, pull: Pull) -> PullResult:
        services = self.services
        puller = Puller(
            services.datasets,
            services.ledger.engine,
            self._values,
            self._holder,
            services.clock,
            should_stop=lambda: self._loop.is_stopping,
        )
        query, scopes = Query.from_json(pull.query), frozenset(pull.scopes)
        order = Order(pull.dataset, query, pull.by, scopes, pull.licence)
        with self._preparing() as prepare:
            return puller.run(
                find_source(pull.source), order, prepare, lambda text: log.debug("pull: %s", text)
            )

    def _note_result(self, pull: Pull, result: PullResult) -> None:
        """Records the result. The channel is told of a new version, and of no change when a person asked for this pull.

        It is also told of a version that a pull made before it was killed.
        """
        now = self.services.clock()
        result = self._with_unreported_change(pull, result)
        values = {
            "next_at": now + pull.every_s if pull.every_s else None,
            "last_at": now,
            "last": change_lines(result.change)[0],
            "is_asked": False,
            "last_trouble": "",
            "tries": 0,
            "version": result.change.version or pull.version,
        }
        message = None
        if pull.is_asked or result.change.version is not None:
            message = self._message(pull, result, now)
        self._release(pull, values, message)

    def _with_unreported_change(self, pull: Pull, result: PullResult) -> PullResult:
        state = self.services.datasets.pulls.state(pull.dataset)
        last = (state or {}).get("last")
        if result.change.version is not None or not last or last["version"] != result.card.version:
            return result
        return result if last["version"] == pull.version else replace(result, change=Change.from_json(last))

    def _message(self, pull: Pull, result: PullResult, now: float) -> dict[str, Any] | None:
        place = self._target_channel(pull)
        if not place:
            return None
        text, blocks = pull_report(
            result.card, change_lines(result.change), result.change.version is not None
        )
        about = result.change.version or f"same:{now:.3f}"
        key = f"pull:{pull.dataset}:{pull.created_at:.0f}:{about}"
        answer = AnswerMessage(place, "", pull.by, text, validate_message(blocks, text), key=key)
        return replace(answer, since=now).to_json()

    def _target_channel(self, pull: Pull) -> str:
        """The pull's channel; its requester's direct messages when the channel is closed to jobs; "" for a terminal's pull."""
        if pull.channel and self.services.is_closed_to_jobs(pull.channel) is False:
            return pull.channel
        if not pull.by.startswith(("U", "W")):
            return ""
        with suppress(*SLACK_ERRORS):
            return str(self._client.conversations_open(users=[pull.by])["channel"]["id"])
        return ""

    def _note_failure(self, pull: Pull, error: Exception) -> None:
        """Schedules a retry where it may help; tells the requester once per problem, and after each pull they asked for."""
        now, text = self.services.clock(), error_text(error)
        may_help = not isinstance(error, OURS) or bool(getattr(error, "retryable", False))
        pause = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** min(pull.tries, 16)) if may_help else pull.every_s
        values = {
            "next_at": now + pause if pause else None,
            "last_at": now,
            "last": str(error) if isinstance(error, OURS) else text,
            "is_asked": False,
            "last_trouble": text,
            "tries": pull.tries + 1,
        }
        is_news = pull.is_asked or (text != pull.last_trouble and (not may_help or pause == LONGEST_RETRY_S))
        if self._release(pull, values) and is_news and pull.by.startswith(("U", "W")):
            again = f" It is tried again in {pause / 60:.0f} min." if pause and pause < DAY_S else ""
            words = f"⚠️ *{pull.dataset}* could not be pulled. {text}{again}"
            send_direct_message(self._client, pull.by, words, [section(words[:2900])])

    def _release(
        self, pull: Pull, values: Mapping[str, Any], message: Mapping[str, Any] | None = None
    ) -> bool:
        engine, holder = self.services.ledger.engine, self._holder
        is_mine = end_pull(engine, pull.dataset, holder, values, message, pull.next_at)
        if message is not None:
            self.services.wake()
        return is_mine
