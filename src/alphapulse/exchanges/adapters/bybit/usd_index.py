"""Bybit's index prices of inverse contracts: what an asset was worth in US dollars, by minutes.

Source: https://bybit-exchange.github.io/docs/v5/market/index-kline, read 2026-11.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from alphapulse.domain.identifiers import Asset
from alphapulse.errors import InvalidInput
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.session import ExchangeSession, ms_of
from alphapulse.exchanges.port import MinuteClose

CONTRACTS: Mapping[Asset, str] = {Asset("BTC"): "BTCUSD", Asset("ETH"): "ETHUSD"}
"""Contracts that have a past of years, by the asset that they price."""

MINUTE = timedelta(minutes=1)
ROWS_PER_PAGE = 1000


async def closed_minutes(
    session: ExchangeSession, contract: str, since: datetime, limit: int
) -> tuple[MinuteClose, ...]:
    """The minutes of ``limit`` from ``since`` on that are over, oldest first.

    Raises:
        InvalidInput: more than a page, or nothing, was asked for.
    """
    if not 1 <= limit <= ROWS_PER_PAGE:
        raise InvalidInput(f"1 to {ROWS_PER_PAGE} minutes at a time", field="limit", value=limit)
    asked_at = session.venue_now()
    end = min(since + limit * MINUTE, asked_at)
    if since >= end:
        return ()
    request = {
        "category": "inverse",
        "symbol": contract,
        "interval": "1",
        "start": ms_of(since),
        "end": ms_of(end) - 1,
        "limit": limit,
    }

    async def read(client: Any) -> tuple[MinuteClose, ...]:
        answer = await client.public_get_v5_market_index_price_kline(request)
        result = answer["result"]
        if result.get("symbol") != contract:
            raise parse.broken("the index of another contract", asked=contract)
        minutes = [_minute(row, asked_at) for row in result["list"]]
        # What the venue's clock says where it runs behind of what we take it for.
        over_at = min(asked_at, parse.moment(answer, "time", asked_at))
        wanted = (m for m in minutes if since <= m.open_time < end)
        return tuple(sorted(m for m in wanted if m.open_time + MINUTE <= over_at))

    return await session.call(MarketType.SPOT, read)


def _minute(row: Any, asked_at: datetime) -> MinuteClose:
    """One row of open time, open, high, low, close."""
    if not isinstance(row, list) or len(row) < 5:
        raise parse.broken("a candle with missing columns")
    raw = dict(zip(("time", "open", "high", "low", "close"), row, strict=False))
    close = parse.positive_decimal(raw, "close")
    if close is None:
        raise parse.broken("a price that cannot be", field="close")
    return MinuteClose(parse.moment(raw, "time", asked_at), close)
