"""Upkeep: what keeps the database from growing without end, once an hour."""

import asyncio
from datetime import timedelta

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.domain.clock import Clock
from alphapulse.errors import DatabaseError

INTERVAL_S = 3600.0
RETRY_S = 60.0

SESSION_KEPT = timedelta(days=30)
"""After its end: so long a login can still say when and from where the one before it was."""

KEY_KEPT = timedelta(hours=48)
"""Of a request, at least; a day is promised, and that of an order that lives stays."""


PLAN_KEPT = timedelta(days=7)
"""Of a rebalance that was never executed, after it expired."""


class Upkeep:
    """Removes logins that ended long ago, codes, request keys and plans nobody can use; cuts the
    write-ahead logs."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run(self) -> None:
        """Do it now and every hour; what the database refuses is tried again a minute later."""
        while True:
            try:
                await self.do()
            except DatabaseError as error:
                logger.bind(error=str(error)).warning("upkeep of the database will be tried again")
                await asyncio.sleep(RETRY_S)
            else:
                await asyncio.sleep(INTERVAL_S)

    async def do(self) -> None:
        """Once.

        Raises:
            DatabaseError: not now; nothing is lost.
        """
        now = self._clock.now()
        async with self._database.begin() as unit:
            await unit.sessions.prune(now - SESSION_KEPT)
            await unit.setup_codes.prune(now)
            await unit.idempotency_keys.forget_before(now - KEY_KEPT)
            await unit.rebalances.forget_plans(now - PLAN_KEPT)
        await self._database.checkpoint()
