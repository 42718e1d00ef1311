"""Runs a pull under its lease in the ledger, for the bot and for the command line."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from bot.errors import BotError
from finetune.data.store import DatasetStore
from finetune.errors import did_you_mean
from finetune.pulls.page_import import Prepare
from finetune.pulls.pull import Order, PullResult, pull
from finetune.sources import SOURCES
from finetune.sources.contract import Source
from worker.ledger.pulls import LEASE_S, renew_lease

log = logging.getLogger(__name__)

RENEW_PAUSE_S = 20.0  # of a pause; the lease is renewed after each


class PullInterrupt(BotError):
    """The pull stops here and resumes later: the bot stops, or another process holds the lease."""


def find_source(name: str) -> Source:
    """The source of this name; raises BotError with the known names."""
    if name in SOURCES:
        return SOURCES[name]
    raise BotError(
        f"There is no help desk {name[:40]!r} to pull from.{did_you_mean(name, SOURCES)} There is: {', '.join(SOURCES)}."
    )


@dataclass(frozen=True)
class Puller:
    """Pulls into one store; `values` are the settings of sources, tokens included, `holder` names this process in the ledger.

    `pause` sleeps; `should_stop` tells that the process has to end.
    """

    store: DatasetStore
    engine: Engine
    values: Mapping[str, str]
    holder: str
    clock: Callable[[], float] = time.time
    pause: Callable[[float], None] = time.sleep
    should_stop: Callable[[], bool] = lambda: False
    renew_s: float = LEASE_S / 4

    def run(self, source: Source, order: Order, prepare: Prepare, show: Callable[[str], None]) -> PullResult:
        """Pulls while this process holds the lease; raises PullInterrupt when it does not. Calls `show` with each step."""
        source.check(self.values, order.query.project)

        def step(text: str) -> None:
            self._renew_lease(order.dataset)
            show(text)

        def wait(seconds: float, why: str) -> None:
            show(why)
            until = self.clock() + seconds
            while (left := until - self.clock()) > 0:
                self.pause(min(RENEW_PAUSE_S, left))
                self._renew_lease(order.dataset)

        connection = source.connect(self.values, wait)
        with self._renewing_lease(order.dataset):
            return pull(self.store, source, connection, order, prepare, step)

    @contextmanager
    def _renewing_lease(self, dataset: str) -> Iterator[None]:
        """Renews the lease during a long step; a lost lease raises PullInterrupt at the next step."""
        is_done = threading.Event()

        def renew() -> None:
            while not is_done.wait(self.renew_s):
                try:
                    renew_lease(self.engine, dataset, self.holder, self.clock())
                except SQLAlchemyError as error:  # a short outage of the database loses no lease
                    log.warning("the lease of %s was not renewed: %s", dataset, type(error).__name__)

        thread = threading.Thread(target=renew, name="pull-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_done.set()
            thread.join()

    def _renew_lease(self, dataset: str) -> None:
        if self.should_stop():
            raise PullInterrupt("The bot is stopping: the pull goes on from here when it is back.")
        if not renew_lease(self.engine, dataset, self.holder, self.clock()):
            raise PullInterrupt(f"The pull of {dataset} was ended, or is gone on with elsewhere.")
