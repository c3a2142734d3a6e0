"""Binance USD-M tickers: the last 24 h, the best prices, and mark, index and funding, as one.

The venue tells them apart, each for one symbol or for all. Source:
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data, read 2026-11.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.market import Ticker
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.exchange import require_listed

EXCHANGE = ExchangeId("binance")


async def tickers(client: Any, names: Sequence[Symbol], received_at: datetime) -> list[Ticker]:
    """Of every symbol that the venue still tells something of."""
    by_id = {require_listed(client, name)["id"]: name for name in names}
    asked = {"symbol": next(iter(by_id))} if len(by_id) == 1 else {}
    days = _by_symbol(await client.fapipublic_get_ticker_24hr(asked))
    bests = _by_symbol(await client.fapipublic_get_ticker_bookticker(asked))
    marks = _by_symbol(await client.fapipublic_get_premiumindex(asked))
    return [
        _ticker(name, days[wanted], bests.get(wanted, {}), marks.get(wanted, {}), received_at)
        for wanted, name in by_id.items()
        if wanted in days
    ]


def _by_symbol(rows: Any) -> dict[str, parse.Raw]:
    listed = rows if isinstance(rows, list) else [rows]
    return {row["symbol"]: row for row in listed}


def _ticker(
    name: Symbol, day: parse.Raw, best: parse.Raw, mark: parse.Raw, received_at: datetime
) -> Ticker:
    return Ticker(
        exchange=EXCHANGE,
        symbol=name,
        occurred_at=parse.optional_moment(best, "time", received_at) or received_at,
        received_at=received_at,
        last=parse.positive_decimal(day, "lastPrice"),
        bid=parse.positive_decimal(best, "bidPrice"),
        ask=parse.positive_decimal(best, "askPrice"),
        mark=parse.positive_decimal(mark, "markPrice"),
        index=parse.positive_decimal(mark, "indexPrice"),
        open_24h=parse.positive_decimal(day, "openPrice"),
        high_24h=parse.positive_decimal(day, "highPrice"),
        low_24h=parse.positive_decimal(day, "lowPrice"),
        base_volume_24h=parse.optional_decimal(day, "volume"),
        quote_volume_24h=parse.optional_decimal(day, "quoteVolume"),
        funding_rate=parse.optional_decimal(mark, "lastFundingRate"),
        next_funding_at=parse.optional_moment(mark, "nextFundingTime", received_at),
    )
