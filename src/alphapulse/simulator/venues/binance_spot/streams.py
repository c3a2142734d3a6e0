"""Streams: the market streams of Binance spot, by name."""

import re
from collections.abc import Callable

from alphapulse.simulator.core.candles import INTERVALS
from alphapulse.simulator.core.events import (
    AggregatePrinted,
    BestChanged,
    CoreEvent,
    TradePrinted,
)
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.venues.binance import market_frames
from alphapulse.simulator.venues.binance.market_frames import of_day
from alphapulse.simulator.venues.binance.market_rows import Row
from alphapulse.simulator.venues.binance.topics import (
    FAST,
    SECOND,
    AllMarketsTopic,
    CandleTopic,
    DepthTopic,
    InstantTopic,
    PolledTopic,
    Topic,
)
from alphapulse.simulator.venues.binance_spot import frames
from alphapulse.simulator.venues.binance_spot.market import AVERAGE_MINUTES

_SYMBOL_STREAM = re.compile(r"([a-z0-9]+)@(.+)")
_DEPTH = re.compile(r"depth(5|10|20)?(@100ms|@1000ms)?")


def _average_price(market: Market, at_ms: int) -> Row:
    return frames.average_price(market, AVERAGE_MINUTES, at_ms)


_MINI_TICKER = of_day(market_frames.mini_ticker)
_TICKER = of_day(frames.ticker)

_INSTANT: dict[str, tuple[type[CoreEvent], Callable[..., Row]]] = {
    "trade": (TradePrinted, frames.trade),
    "aggTrade": (AggregatePrinted, frames.aggregate),
    "bookTicker": (BestChanged, market_frames.best),
}
_POLLED: dict[str, Callable[[Market, int], Row | None]] = {
    "miniTicker": _MINI_TICKER,
    "ticker": _TICKER,
    "avgPrice": _average_price,
}
_ALL_MARKETS = {
    "!miniTicker@arr": _MINI_TICKER,
    "!ticker@arr": _TICKER,
}


def make_topic(name: str, venue: Venue) -> Topic:
    """The stream of this name. One that does not exist can be followed and stays silent, as on
    the venue."""
    if name in _ALL_MARKETS:
        return AllMarketsTopic(name, venue, Category.SPOT, _ALL_MARKETS[name])
    found = _SYMBOL_STREAM.fullmatch(name)
    market = venue.markets.get((Category.SPOT, found[1].upper())) if found else None
    if found is None or market is None:
        return Topic(name, None)
    kind = found[2]
    if kind in _INSTANT:
        return InstantTopic(name, market, *_INSTANT[kind])
    if kind in _POLLED:
        return PolledTopic(name, market, SECOND, _POLLED[kind])
    interval = kind.removeprefix("kline_")
    if kind.startswith("kline_") and interval in INTERVALS:
        return CandleTopic(name, market, interval)
    return _depth_topic(name, market, kind)


def _depth_topic(name: str, market: Market, kind: str) -> Topic:
    found = _DEPTH.fullmatch(kind)
    if found is None:
        return Topic(name, None)
    every_pulses = FAST if found[2] == "@100ms" else SECOND
    if found[1] is None:
        return DepthTopic(name, market, every_pulses, market_frames.depth)
    levels = int(found[1])
    return PolledTopic(
        name, market, every_pulses, lambda market, _: frames.partial_depth(market, levels)
    )
