"""A pull under its lease: whoever runs it, the bot's clerk or the command line, holds the dataset while it works."""

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
from finetune.pulls.arrival import Prepare
from finetune.pulls.pull import Order, PullResult, pull
from finetune.sources import SOURCES
from finetune.sources.contract import Source
from worker.ledger.pulls import LEASE_S, renew_lease

log = logging.getLogger(__name__)

PIECE_S = 20.0  # of a pause; the lease is renewed after each


class EndOfPull(BotError):
    """The pull ends here and goes on later: the bot stops, or the lease is another's."""


def find_source(name: str) -> Source:
    """The source of this name; BotError that names those that there are."""
    if name in SOURCES:
        return SOURCES[name]
    raise BotError(
        f"There is no help desk {name[:40]!r} to pull from.{did_you_mean(name, SOURCES)} There is: {', '.join(SOURCES)}."
    )


@dataclass(frozen=True)
class Puller:
    """Pulls into one store; `values` are the settings of sources, tokens included, `holder` names this process in the ledger.

    `pause` sleeps, `is_over` says that the process is to end.
    """

    store: DatasetStore
    engine: Engine
    values: Mapping[str, str]
    holder: str
    clock: Callable[[], float] = time.time
    pause: Callable[[float], None] = time.sleep
    is_over: Callable[[], bool] = lambda: False
    renew_s: float = LEASE_S / 4

    def run(self, source: Source, order: Order, prepare: Prepare, show: Callable[[str], None]) -> PullResult:
        """Pulls while the lease that was taken before is held; EndOfPull where it is not. `show` is told each step."""
        source.check(self.values, order.query.project)

        def step(text: str) -> None:
            self._hold(order.dataset)
            show(text)

        def wait(seconds: float, why: str) -> None:
            show(why)
            until = self.clock() + seconds
            while (left := until - self.clock()) > 0:
                self.pause(min(PIECE_S, left))
                self._hold(order.dataset)

        connection = source.connect(self.values, wait)
        with self._holding(order.dataset):
            return pull(self.store, source, connection, order, prepare, step)

    @contextmanager
    def _holding(self, dataset: str) -> Iterator[None]:
        """Renews the lease while one step takes long, as a version of many rows does; who lost it hears so at the next step."""
        is_done = threading.Event()

        def renew() -> None:
            while not is_done.wait(self.renew_s):
                try:
                    renew_lease(self.engine, dataset, self.holder, self.clock())
                except SQLAlchemyError as error:  # a database that is back in a moment costs nothing
                    log.warning("the lease of %s was not renewed: %s", dataset, type(error).__name__)

        thread = threading.Thread(target=renew, name="pull-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_done.set()
            thread.join()

    def _hold(self, dataset: str) -> None:
        if self.is_over():
            raise EndOfPull("The bot is stopping: the pull goes on from here when it is back.")
        if not renew_lease(self.engine, dataset, self.holder, self.clock()):
            raise EndOfPull(f"The pull of {dataset} was ended, or is gone on with elsewhere.")
