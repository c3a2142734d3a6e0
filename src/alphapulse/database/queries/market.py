"""Query Builders: candles as columns, the form in which charts and indicators take them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, type_coerce

from alphapulse.database.tables.base import EPOCH, Real
from alphapulse.database.tables.history import candles
from alphapulse.database.unit_of_work import MarketUnitOfWork
from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.market import Timeframe

MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class CandleColumns:
    """Equally long, oldest first; ``open_time_ms`` since 1970 UTC, prices in quote currency."""

    open_time_ms: tuple[int, ...]
    open: tuple[float, ...]
    high: tuple[float, ...]
    low: tuple[float, ...]
    close: tuple[float, ...]
    volume: tuple[float, ...]
    is_closed: tuple[bool, ...]


async def candle_columns(
    tx: MarketUnitOfWork,
    exchange: ExchangeId,
    symbol: Symbol,
    timeframe: Timeframe,
    *,
    start: datetime,
    end: datetime,
    limit: int,
) -> CandleColumns:
    """The last ``limit`` stored candles that open in ``start <= t < end``."""
    c = candles.c
    # As the doubles they are stored as: no decimal is made of a point on a chart.
    numbers = [type_coerce(column, Real) for column in (c.open, c.high, c.low, c.close, c.volume)]
    latest = (
        select(c.open_time, *numbers, c.is_closed)
        .where(c.exchange == exchange, c.symbol == symbol, c.timeframe == timeframe)
        .where(c.open_time >= start, c.open_time < end)
        .order_by(c.open_time.desc())
        .limit(limit)
    )
    rows = await tx.statements.rows(latest)
    times, *columns = zip(*reversed(rows), strict=True) if rows else ((),) * 7
    return CandleColumns(tuple((time - EPOCH) // MILLISECOND for time in times), *columns)
