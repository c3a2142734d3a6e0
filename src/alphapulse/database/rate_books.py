"""Database Layer: the rate book of some moments, put together from both stores."""

from collections.abc import Collection
from datetime import datetime

from alphapulse.database.connection import Database
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.market import Timeframe
from alphapulse.domain.rate_book import BRIDGES, NEAREST_WITHIN, RateBook, markets_for, minute_of


async def read_rate_book(
    database: Database, currency: Asset, assets: Collection[Asset], times: Collection[datetime]
) -> RateBook:
    """What is said, noted and stored about these assets around these times, at least one."""
    start, end = min(times) - NEAREST_WITHIN, max(times) + NEAREST_WITHIN
    minutes = {minute_of(at) for at in times}
    async with database.read() as tx:
        said = [one.rate for one in await tx.manual_prices.list() if one.asset in assets]
        known = {*assets, *(rate.currency for rate in said)} - {currency}
        notes = await tx.rates.between(currency, [*known, *BRIDGES], start, end)
    wanted = markets_for(known, currency)
    async with database.read_market() as market:
        candles = [
            candle
            for ticker in await market.tickers.list()
            if ticker.symbol in wanted
            for candle in await market.candles.closed_at(
                ticker.exchange, ticker.symbol, Timeframe.M1, minutes
            )
        ]
    return RateBook(currency, [*said, *notes], candles)
