"""Which of several bots over one ledger sends to Slack: a lease in the database, renewed while its holder lives.

Cards are not claimed one by one as posts are, and Slack's rate limit counts all bots together; so one bot at a time
sends cards and posts. It is no lock: the next holder looks in Slack for what the last one may have sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Engine, extract, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from worker.ledger.database import reading, writing
from worker.ledger.tables import leases

LEASE_S = 30.0  # longer than one call to Slack may take
RENEW_S = 5.0
JUMP_S = 600.0  # a renewal between reading our clock and the lease is no jump
NAME = "voice"


def server_time(engine: Engine) -> float:
    """The time of a PostgreSQL server in Unix seconds: one clock for bots on several machines."""
    with reading(engine) as connection:
        return float(connection.execute(select(extract("epoch", func.clock_timestamp()))).scalar_one())


class SpeakerLease:
    """`turn()` is 0 while another bot holds the lease, else the number of this bot's turn, which grows after each gap.

    `holder` names the bot, also after a restart. Times are Unix seconds; a lease that ends JUMP_S later than possible was
    written by a clock that jumped, and is free.
    """

    def __init__(
        self,
        engine: Engine,
        holder: str,
        clock: Callable[[], float] = time.time,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._holder, self._clock, self._tick = engine, holder[:120], clock, tick
        self._turns, self._mine = 0, False
        self._ask_at = float("-inf")

    def turn(self) -> int:
        """Asks the ledger if the last answer is older than RENEW_S; raises where the database does not answer."""
        if self._mine and self._tick() < self._ask_at:
            return self._turns
        was_mine, self._mine = self._mine, False
        began = self._tick()
        is_renewal = was_mine and self._write(renew=True)
        if not is_renewal and not self._write(renew=False):
            return 0
        self._turns += not is_renewal
        self._mine, self._ask_at = True, began + RENEW_S
        return self._turns

    def release(self) -> None:
        """Releases the lease, so that another bot can take it at once."""
        self._mine = False
        with writing(self._engine) as connection:
            mine = (leases.c.name == NAME) & (leases.c.holder == self._holder)
            connection.execute(update(leases).where(mine).values(until=0.0))

    def _write(self, renew: bool) -> bool:
        """Renews this bot's running lease, or takes a free one, for LEASE_S from now."""
        now = self._clock()
        is_over = (leases.c.until <= now) | (leases.c.until > now + LEASE_S + JUMP_S)
        is_free = is_over | (leases.c.holder == self._holder)
        runs = (leases.c.holder == self._holder) & (leases.c.until > now)
        values = {"holder": self._holder, "until": now + LEASE_S}
        with reading(self._engine) as connection:
            other = connection.execute(select(leases.c.name).where(leases.c.name == NAME)).first()
        if other is None and not renew:
            try:
                with writing(self._engine) as connection:
                    connection.execute(insert(leases).values(name=NAME, **values))
                return True
            except IntegrityError:  # another bot was faster
                return False
        with writing(self._engine) as connection:
            query = update(leases).where((leases.c.name == NAME) & (runs if renew else is_free))
            return connection.execute(query.values(**values)).rowcount == 1
