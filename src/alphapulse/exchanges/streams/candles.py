"""Candle topics: a venue's bars into Candles, each closed one handed out once."""

from typing import Protocol

from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.market import Candle, Timeframe
from alphapulse.domain.money import exact
from alphapulse.exchanges.port import MarketSink
from alphapulse.exchanges.streams.fields import moment
from alphapulse.exchanges.streams.memory import StreamMemory
from alphapulse.exchanges.streams.watchdog import Topic


class Bar(Protocol):
    """What every venue says of a candle, in its own words on the wire."""

    open_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    is_closed: bool
    trades: int | None


class CandleTopic(Topic):
    """The bars of one symbol and timeframe."""

    __slots__ = ("_memory", "_said_ms", "_sink", "timeframe")

    def __init__(
        self,
        name: str,
        symbol: Symbol,
        timeframe: Timeframe,
        *,
        memory: StreamMemory,
        sink: MarketSink,
    ) -> None:
        super().__init__(name, symbol)
        self.timeframe = timeframe
        self._memory = memory
        self._sink = sink
        self._said_ms = 0

    def take(self, bar: Bar, said_ms: int) -> None:
        """Hand the candle out, unless it was handed out closed or the bar was overtaken.

        A closed bar counts however late it comes: nothing will say it again.

        Raises:
            InvalidInput: one of its numbers is none.
        """
        memory = self._memory
        is_overtaken = said_ms <= self._said_ms and not bar.is_closed
        if is_overtaken or memory.is_closed(self.symbol, self.timeframe, bar.open_ms):
            memory.counts.stale += 1
            return
        candle = Candle(
            exchange=memory.exchange,
            symbol=self.symbol,
            timeframe=self.timeframe,
            open_time=moment(bar.open_ms),
            open=exact(bar.open),
            high=exact(bar.high),
            low=exact(bar.low),
            close=exact(bar.close),
            volume=exact(bar.volume),
            is_closed=bar.is_closed,
            trades=bar.trades,
        )
        self.heard = True
        self._said_ms = max(self._said_ms, said_ms)
        if bar.is_closed:
            memory.close(self.symbol, self.timeframe, bar.open_ms)
        self._sink.on_candle(candle)
