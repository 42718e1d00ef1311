"""Which of several bots over one ledger speaks: a lease in the database, renewed while its holder lives.

Cards are not handed out one by one as owed messages are, and Slack's speed limit is one for all bots; so one bot at a
time shows cards and pays what is owed. It is no lock: who comes after looks in Slack for what the last one may have sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Engine, extract, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from worker.ledger.database import reading, writing
from worker.ledger.tables import leases

LEASE_S = 30.0  # longer than one call of Slack's may take
RENEW_S = 5.0
JUMP_S = 600.0  # a lease may be renewed between our look at the clock and at it, so a little later is no jump
NAME = "voice"


def server_time(engine: Engine) -> float:
    """What time it is for a PostgreSQL server, in Unix seconds: one clock for the bots of several machines."""
    with reading(engine) as connection:
        return float(connection.execute(select(extract("epoch", func.clock_timestamp()))).scalar_one())


class Voice:
    """`turn()` is 0 while another bot speaks, else the number of this bot's turn: another one after each pause.

    `holder` names the bot and is the same after its restart. Times are Unix seconds; a lease that ends JUMP_S later than
    any could was written by a clock that has jumped, and is free.
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
        """Asks the ledger where the last answer is older than RENEW_S; a database that is away raises."""
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

    def let_go(self) -> None:
        """Another bot may speak at once."""
        self._mine = False
        with writing(self._engine) as connection:
            mine = (leases.c.name == NAME) & (leases.c.holder == self._holder)
            connection.execute(update(leases).where(mine).values(until=0.0))

    def _write(self, renew: bool) -> bool:
        """Holds the lease for LEASE_S from now: one that is this bot's and runs, or one that is free."""
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
