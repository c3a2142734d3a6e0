"""Repository Pattern Implementation: candles, in batches."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, not_, or_, select

from alphapulse.database.adapters.adapter import Upsert
from alphapulse.database.repositories.rows import Rows
from alphapulse.database.statements import Statements
from alphapulse.database.tables.history import candles
from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.market import Candle, Timeframe

CANDLE = Rows(Candle, candles)
KEY_COLUMNS = len(candles.primary_key)


class Candles:
    """One candle per exchange, symbol, timeframe and opening time."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def upsert(self, told: Sequence[Candle]) -> int:
        """Store a batch; of one candle the last given counts. How many different ones it held.

        A closed candle is replaced by a closed one only: a late update of an open one is older.
        """
        rows = [
            (
                candle.exchange,
                candle.symbol,
                candle.timeframe.value,
                self._statements.stored_moment(candle.open_time),
                float(candle.open),
                float(candle.high),
                float(candle.low),
                float(candle.close),
                float(candle.volume),
                candle.is_closed,
                candle.trades,
            )
            for candle in told
        ]
        await self._statements.upsert_stored(candles, rows, where=_is_no_step_back)
        return len({row[:KEY_COLUMNS] for row in rows})

    async def range(
        self,
        exchange: ExchangeId,
        symbol: Symbol,
        timeframe: Timeframe,
        start: datetime,
        end: datetime,
        limit: int,
    ) -> tuple[Candle, ...]:
        """The last ``limit`` candles that open in ``start <= t < end``, oldest first."""
        c = candles.c
        latest = (
            select(*CANDLE.columns)
            .where(c.exchange == exchange, c.symbol == symbol, c.timeframe == timeframe)
            .where(c.open_time >= start, c.open_time < end)
            .order_by(c.open_time.desc())
            .limit(limit)
        )
        return tuple(CANDLE.read(row) for row in reversed(await self._statements.rows(latest)))

    async def closed_at(
        self,
        exchange: ExchangeId,
        symbol: Symbol,
        timeframe: Timeframe,
        open_times: Collection[datetime],
    ) -> tuple[Candle, ...]:
        """Those that open at one of these times and are closed."""
        c = candles.c
        wanted = select(*CANDLE.columns).where(
            c.exchange == exchange,
            c.symbol == symbol,
            c.timeframe == timeframe,
            c.open_time.in_(open_times),
            c.is_closed,
        )
        return tuple(CANDLE.read(row) for row in await self._statements.rows(wanted))


def _is_no_step_back(insert: Upsert) -> ColumnElement[bool]:
    return or_(not_(candles.c.is_closed), insert.excluded.is_closed)
