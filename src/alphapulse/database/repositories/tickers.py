"""Repository Pattern Implementation: the last known ticker of each instrument."""

from collections.abc import Sequence

from sqlalchemy import select

from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.exchange_cache import tickers
from alphapulse.domain.market import Ticker

TICKER = Rows(Ticker, tickers)


class Tickers:
    """What a restart shows until the first live price."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def save(self, latest: Sequence[Ticker]) -> None:
        """Replace the stored ones; of one instrument the last given counts."""
        rows = {(t.exchange, t.symbol): TICKER.values(t) for t in latest}
        await self._statements.upsert(tickers, list(rows.values()))

    async def list(self) -> tuple[Ticker, ...]:
        ordered = select(*TICKER.columns).order_by(tickers.c.exchange, tickers.c.symbol)
        return tuple(TICKER.read(row) for row in await self._statements.rows(ordered))
