"""Quote: one symbol's Ticker, put together from the frames that each say a part of it."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.market import Ticker
from alphapulse.exchanges.port import MarketSink
from alphapulse.exchanges.streams.fields import moment

# How often a Ticker is repeated while frames only confirm what it says, so that its age stays true.
CONFIRM_EVERY = timedelta(seconds=1)

NEVER = moment(0)


class Quote:
    """Hands out a Ticker for each frame that changed it, and one a second while frames confirm it.

    ``occurred_at`` never runs backwards: some parts carry the venue's time and some only ours, and
    the whole is as new as its newest part.
    """

    __slots__ = ("_last_ms", "ticker")

    def __init__(self, exchange: ExchangeId, symbol: Symbol) -> None:
        self.ticker = Ticker(exchange, symbol, NEVER, NEVER)
        self._last_ms = 0

    def offer(
        self, sink: MarketSink, occurred_at: datetime, received_at: datetime, /, **changes: object
    ) -> None:
        """Merge the named fields and hand the Ticker out if that is due."""
        ticker = self.ticker
        changed = any(getattr(ticker, name) != value for name, value in changes.items())
        if not changed and not self.is_due(received_at):
            return
        self.ticker = ticker = replace(
            ticker,
            occurred_at=max(occurred_at, ticker.occurred_at),
            received_at=received_at,
            **changes,
        )
        sink.on_ticker(ticker)

    def take_last(self, milliseconds: int) -> bool:
        """Whether a last price of that time may replace the known one; two streams bring it."""
        if milliseconds < self._last_ms:
            return False
        self._last_ms = milliseconds
        return True

    def is_due(self, received_at: datetime) -> bool:
        """Whether the Ticker should be repeated although nothing changed."""
        return received_at - self.ticker.received_at >= CONFIRM_EVERY
