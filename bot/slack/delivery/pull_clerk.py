"""The clerk of pulls: does those that are due, tells the channel what changed, and whoever set one what is in its way.

The ledger says what is due and holds the lease, so a restart loses nothing and two bots do not pull the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any

from slack_sdk import WebClient

from bot.errors import OURS
from bot.pulling import EndOfPull, Puller, find_source
from bot.slack.delivery.placing import Answer
from bot.slack.delivery.rounds import Rounds
from bot.slack.failures import advice, tell_privately
from bot.slack.services import Services
from bot.slack.trouble import SLACK_TROUBLE
from bot.slack.ui.blocks import section
from bot.slack.ui.limits import validate_message
from bot.slack.ui.pulls import pull_report
from bot.slack.users import UNKNOWN
from finetune.data.prepare import preparing_apart
from finetune.pulls.arrival import Prepare
from finetune.pulls.change_report import Change, change_lines
from finetune.pulls.pull import Order, PullResult
from finetune.sources import SOURCES
from finetune.sources.contract import AskedToWait, Query, Source
from worker.ledger.pulls import Pull, due_pulls, end_pull, stop_pull, take_due

LONGEST_PAUSE_S = 60.0
FIRST_RETRY_S, LONGEST_RETRY_S = 60.0, 3600.0
DAY_S = 86_400.0
log = logging.getLogger(__name__)


class PullClerk:
    """`start()` runs `work_once` until `stop()`; `wake()` makes the next round come at once."""

    def __init__(
        self,
        services: Services,
        client: WebClient,
        values: Mapping[str, str],
        holder: str,
        preparing: Callable[[], AbstractContextManager[Prepare]] = preparing_apart,
    ) -> None:
        self.services, self._client, self._values, self._holder = services, client, values, holder
        self._preparing = preparing
        self._rounds = Rounds(self.work_once, "pulls", LONGEST_PAUSE_S)

    def start(self) -> None:
        """Begins to look for due pulls."""
        self._rounds.start()

    def stop(self) -> None:
        """Ends after the page under way; the pull goes on from there."""
        self._rounds.stop()

    def wake(self) -> None:
        """A pull is due."""
        self._rounds.wake()

    def sources(self) -> list[Source]:
        """The help desks whose settings are complete."""
        return [one for one in SOURCES.values() if one.is_configured(self._values)]

    def check(self, source: str, project: str) -> None:
        """BotError or SourceError where this project cannot be pulled from there."""
        find_source(source).check(self._values, project)

    def work_once(self) -> None:
        """One round over what is due."""
        for pull in due_pulls(self.services.ledger.engine, self.services.clock()):
            if self._rounds.is_over:
                return
            if take_due(self.services.ledger.engine, pull, self._holder, self.services.clock()):
                self._do(pull)

    def _do(self, pull: Pull) -> None:
        """One pull, whatever comes of it written down before the lease is let go."""
        if why := self._why_ended(pull):
            self._end_for_good(pull, why)
            return
        try:
            result = self._run(pull)
        except EndOfPull as end:
            log.info("the pull of %s ends for now: %s", pull.dataset, end)
            self._settle(pull, {})
        except AskedToWait as error:
            log.info("the pull of %s waits for its source", pull.dataset)
            self._settle(
                pull, {"next_at": self.services.clock() + min(error.wait_s, DAY_S), "last": str(error)}
            )
        except Exception as error:  # the edge: this thread has no caller to tell
            self._note_failure(pull, error)
        else:
            self._note_result(pull, result)

    def _why_ended(self, pull: Pull) -> str:
        """Why this pull shall not go on: its dataset was removed, or who set it is no member any more. "" otherwise."""
        state = self.services.datasets.pulls.state(pull.dataset)
        versions = self.services.datasets.versions(pull.dataset)
        was_made = bool(pull.version or (state and state.get("done")))  # a day later the state is gone too
        if was_made and all(card.erased for card in versions):
            return "its dataset was removed"
        if pull.by.startswith(("U", "W")):
            person = self.services.users.person(pull.by)
            if person.outside and person.outside != UNKNOWN:
                return "who set it is no member of the team any more"
        return ""

    def _end_for_good(self, pull: Pull, why: str) -> None:
        if stop_pull(self.services.ledger.engine, pull.dataset) and pull.by.startswith(("U", "W")):
            text = f"🛑 {pull.dataset} is not pulled any more: {why}."
            tell_privately(self._client, pull.by, text, [section(text)])

    def _run(self, pull: Pull) -> PullResult:
        services = self.services
        puller = Puller(
            services.datasets,
            services.ledger.engine,
            self._values,
            self._holder,
            services.clock,
            is_over=lambda: self._rounds.is_over,
        )
        query, scopes = Query.from_json(pull.query), frozenset(pull.scopes)
        order = Order(pull.dataset, query, pull.by, scopes, pull.licence)
        with self._preparing() as prepare:
            return puller.run(
                find_source(pull.source), order, prepare, lambda text: log.debug("pull: %s", text)
            )

    def _note_result(self, pull: Pull, result: PullResult) -> None:
        """The channel hears of a new version, and of nothing new where somebody asked for this pull.

        So also of a version that a pull made which was killed before it could tell.
        """
        now = self.services.clock()
        result = self._with_untold(pull, result)
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
        self._settle(pull, values, message)

    def _with_untold(self, pull: Pull, result: PullResult) -> PullResult:
        state = self.services.datasets.pulls.state(pull.dataset)
        last = (state or {}).get("last")
        if result.change.version is not None or not last or last["version"] != result.card.version:
            return result
        return result if last["version"] == pull.version else replace(result, change=Change.from_json(last))

    def _message(self, pull: Pull, result: PullResult, now: float) -> dict[str, Any] | None:
        place = self._place(pull)
        if not place:
            return None
        text, blocks = pull_report(
            result.card, change_lines(result.change), result.change.version is not None
        )
        about = result.change.version or f"same:{now:.3f}"
        key = f"pull:{pull.dataset}:{pull.created_at:.0f}:{about}"
        answer = Answer(place, "", pull.by, text, validate_message(blocks, text), key=key)
        return replace(answer, since=now).to_json()

    def _place(self, pull: Pull) -> str:
        """The pull's channel; the direct messages of who set it, where people from outside read along; "" for a terminal's."""
        if pull.channel and self.services.keeps_jobs_out(pull.channel) is False:
            return pull.channel
        if not pull.by.startswith(("U", "W")):
            return ""
        with suppress(*SLACK_TROUBLE):
            return str(self._client.conversations_open(users=[pull.by])["channel"]["id"])
        return ""

    def _note_failure(self, pull: Pull, error: Exception) -> None:
        """Tries again later where that may help; whoever set it is told once what is in the way, and of each try that they asked for."""
        now, text = self.services.clock(), advice(error)
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
        if self._settle(pull, values) and is_news and pull.by.startswith(("U", "W")):
            again = f" It is tried again in {pause / 60:.0f} min." if pause and pause < DAY_S else ""
            words = f"⚠️ *{pull.dataset}* could not be pulled. {text}{again}"
            tell_privately(self._client, pull.by, words, [section(words[:2900])])

    def _settle(
        self, pull: Pull, values: Mapping[str, Any], message: Mapping[str, Any] | None = None
    ) -> bool:
        engine, holder = self.services.ledger.engine, self._holder
        is_mine = end_pull(engine, pull.dataset, holder, values, message, pull.next_at)
        if message is not None:
            self.services.wake()
        return is_mine
