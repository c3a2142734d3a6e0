"""Health Checks: how the database is, asked in time, so that nobody has to wait to be told."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.domain.clock import Clock
from alphapulse.errors import DatabaseBusy, DatabaseError
from alphapulse.observability.health import ComponentHealth

INTERVAL_S = 5.0
NAME = "database"


class DatabaseWatch:
    """Knows since when the database is not well, and why."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._health = ComponentHealth(NAME, "ok")

    def health(self) -> ComponentHealth:
        """Busy is degraded: it is there, and what waits for it may be sent again."""
        return self._health

    async def run(self) -> None:
        """Ask again and again."""
        while True:
            with self.noting():
                await self._database.ping()
            await asyncio.sleep(INTERVAL_S)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note how the database is by how the block ends; what it refuses ends the block alone."""
        try:
            yield
        except DatabaseError as error:
            self._note_failure(error)
        else:
            if self._health.status != "ok":
                logger.info("the database answers again")
            self._health = ComponentHealth(NAME, "ok")

    def _note_failure(self, error: DatabaseError) -> None:
        if self._health.status == "ok":
            logger.bind(error=str(error)).warning("the database does not answer")
        self._health = ComponentHealth(
            NAME,
            "degraded" if isinstance(error, DatabaseBusy) else "down",
            str(error),
            self._health.since or self._clock.now(),
        )
