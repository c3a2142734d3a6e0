"""Market: one instrument's book, tape, candles and day statistics."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

import msgspec

from alphapulse.domain.money import EXACT
from alphapulse.domain.order import Side
from alphapulse.simulator.core.book import Book
from alphapulse.simulator.core.candles import (
    DAY_MS,
    MINUTE_MS,
    Candle,
    CandleSeries,
    bounds_ms,
    flat,
    merged,
    summed,
)
from alphapulse.simulator.core.instrument import Instrument, MarketStatus, amount_of
from alphapulse.simulator.core.trigger import PriceKind

# A REST page is 1000; a few pages of each busy market.
TRADES_KEPT = 5_000

DEFAULT_FUNDING_RATE = Decimal("0.0001")
"""The real venues' interest part, paid when the premium is inside its band."""


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """A line of the tape; order ids are 0 for the venue's own flow."""

    id: int
    ticks: int
    lots: int
    taker_side: Side
    buyer_order_id: int
    seller_order_id: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class AggregateTrade:
    """Trades of one taker order at one price, as one."""

    id: int
    ticks: int
    lots: int
    taker_side: Side
    first_trade_id: int
    last_trade_id: int
    at_ms: int


class Bar(msgspec.Struct, frozen=True, gc=False):
    """One minute of a recording, or as much of it as has gone by."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal


class Past(Protocol):
    """What went before the first trade."""

    @property
    def last_trade_id(self) -> int:
        """The highest number that a trade in it has."""
        ...

    def candles(self, instrument: Instrument) -> Sequence[Candle]:
        """Closed minutes, oldest first, on the instrument's grid."""
        ...


@dataclass(frozen=True, slots=True)
class DayStatistics:
    """The last 24 hours, in whole minutes; prices in quote currency, volume in base units."""

    open: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    first_trade_id: int
    last_trade_id: int
    open_ms: int
    close_ms: int

    @property
    def change(self) -> Decimal:
        return self.last - self.open

    @property
    def change_share(self) -> Decimal:
        """0.01 is one per cent."""
        return EXACT.divide(self.change, self.open) if self.open else Decimal(0)

    @property
    def average_price(self) -> Decimal:
        """Weighted by volume; the last price when nothing was traded."""
        return EXACT.divide(self.quote_volume, self.volume) if self.volume else self.last


class Market:
    """What the public sees of one instrument. Money is not its business."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.rules = instrument
        """What new orders are held to; asks no less than the grid of the instrument."""
        self.status = MarketStatus.TRADING
        self.book = Book()
        self.candles = CandleSeries()
        self.trades: deque[PublicTrade] = deque(maxlen=TRADES_KEPT)
        self.aggregates: deque[AggregateTrade] = deque(maxlen=TRADES_KEPT)
        self.reference_price: Decimal | None = None
        """The driver's price: the middle of the quotes, and index and mark of a perpetual."""
        self.funding_rate = DEFAULT_FUNDING_RATE
        self.is_recorded = False
        """Somebody else tells the candles, or nobody; trades here do not change them."""
        self._last_ticks = 0
        self._last_lots = 0
        self._latest_ticks = 0
        self._trade_id = 0
        self._aggregate_id = 0
        self._day_key = (-1, -1)
        self._day: Candle | None = None

    @property
    def last_price(self) -> Decimal | None:
        """Of the last trade; before the first one the driver's price."""
        if self._last_ticks:
            return self.instrument.price(self._last_ticks)
        return self.reference_price

    @property
    def last_quantity(self) -> Decimal:
        return self.instrument.quantity(self._last_lots)

    @property
    def mark_price(self) -> Decimal:
        """Reference price on the grid; zero before the driver spoke."""
        if self.reference_price is None:
            return Decimal(0)
        return self.instrument.price(self.instrument.ticks(self.reference_price))

    @property
    def tape_ids(self) -> tuple[int, int]:
        """Numbers of the last trade and the last aggregate trade."""
        return self._trade_id, self._aggregate_id

    def resume(self, trade_id: int, aggregate_id: int) -> None:
        """Go on numbering the tape from there."""
        self._trade_id = max(self._trade_id, trade_id)
        self._aggregate_id = max(self._aggregate_id, aggregate_id)

    def arrive(self) -> None:
        """The market is where its driver says, whatever was traded on the way there."""
        if self.reference_price is not None:
            self._latest_ticks = self.instrument.ticks(self.reference_price)

    def ticks_by(self, kind: PriceKind) -> int:
        """What triggers compare with; 0 before the first price."""
        if kind is PriceKind.LAST:
            return self._latest_ticks
        return self.instrument.ticks(self.reference_price) if self.reference_price else 0

    def print_trades(
        self, taker_side: Side, parts: Sequence[tuple[int, int, int]], taker_id: int, at_ms: int
    ) -> tuple[list[PublicTrade], list[AggregateTrade]]:
        """Put one taker order's matches on the tape; parts are (ticks, lots, maker order id)."""
        printed = [
            self._print(taker_side, ticks, lots, maker_id, taker_id, at_ms)
            for ticks, lots, maker_id in parts
        ]
        return printed, self._aggregate(printed)

    def _print(
        self, taker_side: Side, ticks: int, lots: int, maker_id: int, taker_id: int, at_ms: int
    ) -> PublicTrade:
        self._trade_id += 1
        buyer, seller = (taker_id, maker_id) if taker_side is Side.BUY else (maker_id, taker_id)
        trade = PublicTrade(self._trade_id, ticks, lots, taker_side, buyer, seller, at_ms)
        self.trades.append(trade)
        self._last_ticks = self._latest_ticks = ticks
        self._last_lots = lots
        if not self.is_recorded:
            self._add_to_minute(trade)
        return trade

    def _aggregate(self, printed: list[PublicTrade]) -> list[AggregateTrade]:
        whole: list[AggregateTrade] = []
        for trade in printed:
            if whole and whole[-1].ticks == trade.ticks:
                lots = whole[-1].lots + trade.lots
                whole[-1] = replace(whole[-1], lots=lots, last_trade_id=trade.id)
                continue
            self._aggregate_id += 1
            whole.append(
                AggregateTrade(
                    self._aggregate_id,
                    trade.ticks,
                    trade.lots,
                    trade.taker_side,
                    trade.id,
                    trade.id,
                    trade.at_ms,
                )
            )
        self.aggregates.extend(whole)
        return whole

    def _add_to_minute(self, trade: PublicTrade) -> None:
        price = self.instrument.price(trade.ticks)
        volume = self.instrument.quantity(trade.lots)
        quote = amount_of(self.instrument.notional_atoms(trade.ticks, trade.lots))
        is_buy = trade.taker_side is Side.BUY
        zero = Decimal(0)
        open_ms, close_ms = bounds_ms("1m", trade.at_ms)
        one = Candle(
            open_ms,
            close_ms,
            price,
            price,
            price,
            price,
            volume,
            quote,
            1,
            volume if is_buy else zero,
            quote if is_buy else zero,
            trade.id,
            trade.id,
            False,
        )
        minute = self.candles.minute
        if minute is None or minute.trades == 0:
            self.candles.set_minute(one)
        else:
            self.candles.set_minute(merged(minute, one))

    def record_minute(self, bar: Bar) -> None:
        """Take the open minute from a recording."""
        self.is_recorded = True
        minute = self.candles.minute
        is_same = minute is not None and minute.open_ms == bar.open_ms
        first_id = minute.first_trade_id if minute is not None and is_same else self._trade_id
        self.candles.set_minute(_candle(bar, max(1, first_id), self._trade_id))

    def remember(self, past: Past) -> None:
        """Give the market a past before its first trade of today; it is made when looked at."""
        self._trade_id = max(self._trade_id, past.last_trade_id)
        self.candles.defer(lambda: past.candles(self.instrument))

    def drift(self, price: Decimal, at_ms: int) -> None:
        """Move the reference price, and the open minute with it, without a trade."""
        self.reference_price = price
        if not self.is_recorded:
            here = flat(bounds_ms("1m", at_ms)[0], price)
            minute = self.candles.minute
            self.candles.set_minute(here if minute is None else merged(minute, here))

    def open_minute(self, at_ms: int) -> None:
        """Begin a minute at the last price; a recording brings its own candles."""
        price = self.last_price
        if not self.is_recorded and price is not None:
            self.candles.set_minute(flat(bounds_ms("1m", at_ms)[0], price))

    def day(self, now_ms: int) -> DayStatistics | None:
        """Statistics of the last 24 hours; ``None`` before the first candle."""
        since_ms = bounds_ms("1m", now_ms)[0] + MINUTE_MS - DAY_MS
        parts = [c for c in (self._closed_day(since_ms), self.candles.minute) if c is not None]
        if not parts:
            return None
        day = summed(parts)
        return DayStatistics(
            open=day.open,
            high=day.high,
            low=day.low,
            last=self.last_price or day.close,
            volume=day.volume,
            quote_volume=day.quote_volume,
            trades=day.trades,
            first_trade_id=day.first_trade_id,
            last_trade_id=day.last_trade_id,
            open_ms=now_ms - DAY_MS,
            close_ms=now_ms,
        )

    def _closed_day(self, since_ms: int) -> Candle | None:
        """All closed minutes since then in one; kept until another minute closes."""
        key = (self.candles.closed_minutes, since_ms)
        if self._day_key != key:
            minutes = [c for c in self.candles.closed("1m") if c.open_ms >= since_ms]
            self._day_key, self._day = key, summed(minutes) if minutes else None
        return self._day

    def average_price(self, minutes: int) -> Decimal | None:
        """Volume-weighted over the last minutes, the open one included; else the last price."""
        candles = [*self.candles.closed("1m")][1 - minutes :] if minutes > 1 else []
        if self.candles.minute is not None:
            candles.append(self.candles.minute)
        whole = summed(candles) if candles else None
        if whole is None or not whole.volume:
            return self.last_price
        return EXACT.divide(whole.quote_volume, whole.volume)


def _candle(bar: Bar, first_id: int, last_id: int) -> Candle:
    half = Decimal("0.5")  # Recordings do not say who took; neither side is the best guess.
    return Candle(
        open_ms=bar.open_ms,
        close_ms=bar.open_ms + MINUTE_MS - 1,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume,
        quote_volume=bar.quote_volume,
        trades=last_id - first_id + 1,
        taker_volume=bar.volume * half,
        taker_quote_volume=bar.quote_volume * half,
        first_trade_id=first_id,
        last_trade_id=last_id,
        is_closed=False,
    )
