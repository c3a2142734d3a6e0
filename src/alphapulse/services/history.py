"""History: what was recorded of net worth, over a span of time, and how the money did."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from alphapulse.database.connection import Database
from alphapulse.domain.account import Account
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import Asset, Symbol
from alphapulse.domain.market import Timeframe
from alphapulse.domain.net_worth import Moment, Worth, WorthFlow, summed
from alphapulse.domain.performance.history import Point
from alphapulse.domain.valuation import USD
from alphapulse.errors import InvalidInput
from alphapulse.services.live_state import LiveState

SAMPLES_MAX = 5000
SAMPLES_FEW = 500
"""A chart needs no more; so many the interval that is chosen for it gives at most."""

INTERVALS = tuple(one for one in Timeframe if one is not Timeframe.M1)

CHUNK = timedelta(days=31)
"""Read at once, so that nothing else waits long while years are read."""

CANDLES_MAX = 10_000


class Range(StrEnum):
    """Up to now."""

    DAY = "1d"
    WEEK = "7d"
    MONTH = "1m"
    QUARTER = "3m"
    THIS_YEAR = "ytd"
    YEAR = "1y"
    ALL = "all"


_DAYS = {Range.DAY: 1, Range.WEEK: 7, Range.MONTH: 30, Range.QUARTER: 91, Range.YEAR: 365}


@dataclass(frozen=True, slots=True)
class Span:
    """``start <= t < end``"""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class NetWorthHistory:
    """What is recorded of a span. ``began_at`` is the first moment of all; ``None`` without any."""

    span: Span
    currency: Asset
    began_at: datetime | None
    moments: tuple[Moment, ...]

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(moment.point for moment in self.moments)


class HistoryService:
    """Reads the database; whose accounts they are is the caller's to know."""

    def __init__(self, database: Database, live: LiveState, clock: Clock) -> None:
        self._database = database
        self._live = live
        self._clock = clock

    def span(self, range_: Range | None, start: datetime | None, end: datetime | None) -> Span:
        """The span that is asked for: a range, or from and to; the last month without either.

        Raises:
            InvalidInput: both, the wrong way round, or in the future.
        """
        now = self._clock.now()
        if range_ is not None and (start is not None or end is not None):
            raise InvalidInput("a range, or from and to, not both", field="range")
        if start is None and end is None:
            return Span(_start_of(range_ or Range.MONTH, now), now)
        span = Span(start or _EPOCH, end or now)
        if span.start >= min(span.end, now):
            raise InvalidInput("must be before `to`, and not in the future", field="from")
        return span

    async def read(
        self, accounts: Sequence[Account], currency: Asset, span: Span
    ) -> NetWorthHistory:
        """What is recorded of these accounts together.

        Raises:
            InvalidInput: the span ends before anything was recorded, or nothing is recorded in
                this currency.
        """
        ids = [account.id for account in accounts]
        async with self._database.read() as unit:
            began_at = await unit.net_worth.began_at(ids, currency)
            in_usd_from = await unit.net_worth.began_at(ids, USD)
        if began_at is None and in_usd_from is not None:
            detail = "net worth is recorded in USD and in the currencies of the users"
            raise InvalidInput(detail, field="currency")
        if began_at is None:
            return NetWorthHistory(span, currency, None, ())
        if span.end <= began_at:
            raise InvalidInput(f"nothing is recorded before {began_at:%Y-%m-%dT%H:%MZ}", field="to")
        worths: list[Worth] = []
        flows: list[WorthFlow] = []
        start = max(span.start, began_at)
        while start < span.end:
            end = min(start + CHUNK, span.end)
            async with self._database.read() as unit:
                more_worths, more_flows = await unit.net_worth.series(ids, currency, start, end)
            worths += more_worths
            flows += more_flows
            start = end
        return NetWorthHistory(span, currency, began_at, summed(worths, flows))

    def interval(self, history: NetWorthHistory, asked: Timeframe | None) -> Timeframe:
        """Between two samples: the one that is asked for, or one that makes a good chart.

        Raises:
            InvalidInput: it would make too many samples.
        """
        span = history.span
        length = span.end - max(span.start, history.began_at or span.end)
        if asked is not None:
            if length / asked.duration > SAMPLES_MAX:
                raise InvalidInput(f"more than {SAMPLES_MAX} samples", field="interval")
            return asked
        few = (one for one in INTERVALS if length / one.duration <= SAMPLES_FEW)
        return next(few, INTERVALS[-1])

    async def benchmark(self, asset: Asset, history: NetWorthHistory) -> tuple[Point, ...]:
        """Closing prices of ``asset`` in the history's currency, as far as candles of a market of
        exactly these two are stored.

        Raises:
            InvalidInput: no market knows the asset.
        """
        if not self._live.book.knows(asset) and asset != history.currency:
            raise InvalidInput("no market knows this asset", field="benchmark")
        symbol = Symbol(f"{asset}/{history.currency}")
        span = history.span
        for exchange in sorted(self._live.tickers.get(symbol, {})):
            for timeframe in INTERVALS:
                async with self._database.read_market() as market:
                    candles = await market.candles.range(
                        exchange, symbol, timeframe, span.start, span.end, CANDLES_MAX
                    )
                if candles:
                    length = timeframe.duration
                    return tuple(Point(one.open_time + length, one.close) for one in candles)
        return ()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _start_of(range_: Range, now: datetime) -> datetime:
    if range_ is Range.ALL:
        return _EPOCH
    if range_ is Range.THIS_YEAR:
        return now.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    return now - timedelta(days=_DAYS[range_])
