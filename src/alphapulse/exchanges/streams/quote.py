"""Quote: one symbol's Ticker, put together from the frames that each say a part of it."""

from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.market import Ticker, Trade
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

    __slots__ = ("_last_ms", "_on_ticker", "due_at", "ticker")

    def __init__(self, exchange: ExchangeId, symbol: Symbol, sink: MarketSink) -> None:
        self.ticker = Ticker(exchange, symbol, NEVER, NEVER)
        self.due_at = NEVER
        """When the Ticker is repeated although nothing changed."""
        self._on_ticker = sink.on_ticker
        self._last_ms = 0

    def offer(self, occurred_at: datetime, received_at: datetime, /, **changes: object) -> None:
        """Merge the named fields and hand the Ticker out if that is due."""
        known = self.ticker
        changed = any(getattr(known, name) != value for name, value in changes.items())
        if changed or received_at >= self.due_at:
            occurred_at = max(occurred_at, known.occurred_at)
            self._hand_out(
                replace(known, occurred_at=occurred_at, received_at=received_at, **changes)
            )

    def offer_book(self, bid: Decimal | None, ask: Decimal | None, received_at: datetime) -> None:
        """`offer` of a book that is known to have changed and carries no time of the venue's."""
        known = self.ticker
        # Ours stands in, unless it lags behind the venue's; not `max`, which costs three times.
        occurred_at = received_at if received_at > known.occurred_at else known.occurred_at
        self.ticker = ticker = replace(
            known, bid=bid, ask=ask, occurred_at=occurred_at, received_at=received_at
        )
        self.due_at = received_at + CONFIRM_EVERY
        self._on_ticker(ticker)

    def offer_last(self, trade: Trade, milliseconds: int) -> None:
        """`offer` of a trade's price alone."""
        known, received_at = self.ticker, trade.received_at
        if not self.is_newest_last(milliseconds):
            return
        if trade.price == known.last and received_at < self.due_at:
            return
        occurred_at = max(trade.occurred_at, known.occurred_at)
        self._hand_out(
            replace(known, last=trade.price, occurred_at=occurred_at, received_at=received_at)
        )

    def is_newest_last(self, milliseconds: int) -> bool:
        """Whether a last price of that time may replace the known one; two streams bring it."""
        if milliseconds < self._last_ms:
            return False
        self._last_ms = milliseconds
        return True

    def _hand_out(self, ticker: Ticker) -> None:
        self.ticker = ticker
        self.due_at = ticker.received_at + CONFIRM_EVERY
        self._on_ticker(ticker)
