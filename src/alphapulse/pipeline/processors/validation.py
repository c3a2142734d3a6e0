"""Validation: market data that cannot be true is refused before anybody sees it."""

from decimal import Decimal

from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.market import Candle, Ticker
from alphapulse.domain.money import ZERO

# A price that moves this much between two messages is a mistake until a second message says so.
ABSURD_FACTOR = 10


class TickerCheck:
    """Tells which tickers of one exchange to refuse, and why.

    It remembers the last price of each symbol, and the one in doubt.
    """

    def __init__(self) -> None:
        self._prices: dict[Symbol, Decimal] = {}
        self._doubted: dict[Symbol, Decimal] = {}

    def refusal(self, ticker: Ticker) -> str | None:
        """Why ``ticker`` cannot be true, or ``None`` when it is taken."""
        if (reason := _contradiction(ticker)) is not None:
            return reason
        price = ticker.price
        if price is None:
            return None
        known = self._prices.get(ticker.symbol)
        if known is not None and _is_absurd(known, price):
            doubted = self._doubted.get(ticker.symbol)
            if doubted is None or _is_absurd(doubted, price):
                self._doubted[ticker.symbol] = price
                return "jump"
        self._doubted.pop(ticker.symbol, None)
        self._prices[ticker.symbol] = price
        return None


def is_plausible(candle: Candle) -> bool:
    """Whether its four prices fit together and it begins on its timeframe's grid."""
    lowest, highest = min(candle.open, candle.close), max(candle.open, candle.close)
    starts_on_grid = candle.open_time.timestamp() % candle.timeframe.duration.total_seconds() == 0
    return (
        ZERO < candle.low <= lowest <= highest <= candle.high
        and candle.volume >= ZERO
        and starts_on_grid
    )


def _contradiction(ticker: Ticker) -> str | None:
    for price in (ticker.last, ticker.bid, ticker.ask, ticker.mark, ticker.index):
        if price is not None and price <= ZERO:
            return "not_positive"
    if ticker.bid is not None and ticker.ask is not None and ticker.bid > ticker.ask:
        return "crossed"
    return None


def _is_absurd(known: Decimal, price: Decimal) -> bool:
    return price >= known * ABSURD_FACTOR or price * ABSURD_FACTOR <= known
