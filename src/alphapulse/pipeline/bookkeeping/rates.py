"""Rates for the bookkeeping: live prices noted when something moves, and what is stored, read."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from alphapulse.database.connection import Database
from alphapulse.database.rate_books import read_rate_book
from alphapulse.domain.identifiers import Asset, ExchangeId, Symbol
from alphapulse.domain.ledger import Entry
from alphapulse.domain.market import Ticker
from alphapulse.domain.rate_book import LIVE_WITHIN, RateBook, minute_of
from alphapulse.domain.rates import Rate, RateWant, rate_of
from alphapulse.domain.valuation import PriceBook, Quality

NOTED_WITHIN = timedelta(minutes=1)
"""What occurred longer ago than this is not priced at what holds now."""


def assets_of(entries: Iterable[Entry], currency: Asset) -> frozenset[Asset]:
    """What moved, but for the book currency and contracts."""
    subjects = {posting.subject for entry in entries for posting in entry.postings}
    return frozenset(Asset(one) for one in subjects if ":" not in one) - {currency}


class LiveRates:
    """The newest prices, and those of them that are worth keeping."""

    def __init__(self) -> None:
        self._tickers: dict[tuple[ExchangeId, Symbol], Ticker] = {}
        self._noted: dict[tuple[Asset, Asset], datetime] = {}

    def hear(self, ticker: Ticker) -> None:
        self._tickers[ticker.exchange, ticker.symbol] = ticker

    def to_note(self, assets: Iterable[Asset], currency: Asset, now: datetime) -> list[Rate]:
        """The rates of now that are not stale; of each asset one a minute."""
        book = PriceBook()
        for ticker in self._tickers.values():
            book.put(ticker)
        rates = []
        for asset in sorted(assets):
            noted_at = self._noted.get((asset, currency))
            price = book.price(asset, currency, now=now)
            is_due = noted_at is None or abs(now - noted_at) >= LIVE_WITHIN / 2
            if price is not None and price.quality is not Quality.STALE and is_due:
                self._noted[asset, currency] = now
                rates.append(rate_of(asset, price))
        return rates


class StoredPrices:
    """The `Rates` of one currency, for the entries that were loaded last."""

    def __init__(self, database: Database, currency: Asset) -> None:
        self._database = database
        self._currency = currency
        self._book = RateBook(currency, (), ())
        self._wanted: set[RateWant] = set()

    def rate(self, asset: Asset, at: datetime) -> Rate | None:
        """What is known best; what is not firm is wanted from now on."""
        rate = self._book.rate(asset, at)
        if rate is None or not rate.quality.is_firm:
            lacking = self._book.lacking(asset, at)
            self._wanted.add(RateWant(self._currency, lacking, minute_of(at)))
        return rate

    def take_wanted(self) -> set[RateWant]:
        """What was asked for and not known for sure, since the last time."""
        wanted, self._wanted = self._wanted, set()
        return wanted

    async def load(self, entries: Sequence[Entry]) -> None:
        """Read what is known about the moments of these."""
        assets = assets_of(entries, self._currency)
        if not assets:
            return
        times = [entry.occurred_at for entry in entries]
        self._book = await read_rate_book(self._database, self._currency, assets, times)
