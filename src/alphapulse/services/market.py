"""Market: the newest prices, converted where a currency is asked for."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import Asset, ExchangeId, Symbol
from alphapulse.domain.market import Ticker
from alphapulse.domain.money import EXACT
from alphapulse.domain.valuation import Price, Quality, legs_of, parts
from alphapulse.services.live_state import LiveState

DISAGREEMENT = Decimal("0.01")
"""Exchanges that differ by more than this on one symbol are named: one of them is wrong."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A ticker, how far to trust it, and its price in the asked currency."""

    ticker: Ticker
    quality: Quality
    converted: Price | None


class MarketService:
    """Reads the live state."""

    def __init__(self, live: LiveState, clock: Clock) -> None:
        self._live = live
        self._clock = clock

    def quotes(
        self,
        *,
        symbols: Collection[Symbol] = (),
        assets: Collection[Asset] = (),
        exchange: ExchangeId | None = None,
        currency: Asset | None = None,
    ) -> tuple[Quote, ...]:
        """By symbol and exchange; every market when neither symbols nor assets are named."""
        return tuple(
            self.quote(ticker, currency)
            for ticker in sorted(self._live.markets(), key=lambda t: (t.symbol, t.exchange))
            if (exchange is None or ticker.exchange == exchange)
            and _is_wanted(ticker, symbols, assets)
        )

    def quote(self, ticker: Ticker, currency: Asset | None = None) -> Quote:
        """``ticker`` with its quality, and its base asset in ``currency``."""
        now = self._clock.now()
        legs = legs_of(ticker)
        book = self._live.book
        quality = book.quality_of(legs[0], now) if legs else Quality.STALE
        converted = None
        if currency is not None:
            quoted = parts(ticker.symbol)[1]
            price, rate = ticker.price, book.price(quoted, currency, now=now, near=ticker.exchange)
            if price is not None and rate is not None:
                converted = Price(
                    value=EXACT.multiply(price, rate.value),
                    currency=currency,
                    as_of=min(ticker.occurred_at, ticker.received_at, rate.as_of),
                    source=f"{ticker.exchange}:{ticker.symbol} > {rate.source}",
                    quality=max(quality, rate.quality, key=lambda q: q.rank),
                )
        return Quote(ticker, quality, converted)


def disagreements(quotes: Iterable[Quote]) -> dict[Symbol, Decimal]:
    """Symbols on which live exchanges differ, and by what share of the lower price."""
    prices: dict[Symbol, list[Decimal]] = {}
    for quote in quotes:
        if quote.ticker.price is not None and quote.quality is Quality.LIVE:
            prices.setdefault(quote.ticker.symbol, []).append(quote.ticker.price)
    spreads = {
        symbol: EXACT.divide(EXACT.subtract(max(seen), min(seen)), min(seen))
        for symbol, seen in prices.items()
        if min(seen) > 0
    }
    return {symbol: spread for symbol, spread in spreads.items() if spread > DISAGREEMENT}


def _is_wanted(ticker: Ticker, symbols: Collection[Symbol], assets: Collection[Asset]) -> bool:
    if not symbols and not assets:
        return True
    return ticker.symbol in symbols or parts(ticker.symbol)[0] in assets
