"""Streams: the market streams of the futures, by name."""

import re
from collections.abc import Callable

from alphapulse.simulator.core.candles import INTERVALS
from alphapulse.simulator.core.events import (
    AggregatePrinted,
    BestChanged,
    CoreEvent,
    ForcedClose,
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
from alphapulse.simulator.venues.binance_usdm import frames

# Pulses between two frames: a quarter and half of a second, two and three seconds.
QUARTER = 3
HALF = 5
TICKER = 20
MARK = 30

_SYMBOL_STREAM = re.compile(r"([a-z0-9]+)@(.+)")
_DEPTH = re.compile(r"depth(5|10|20)?(@100ms|@250ms|@500ms)?")
_DEPTH_PULSES = {"@100ms": FAST, "@500ms": HALF}


_MINI_TICKER = of_day(market_frames.mini_ticker)
_TICKER = of_day(market_frames.ticker)

_INSTANT: dict[str, tuple[type[CoreEvent], Callable[..., Row]]] = {
    "trade": (TradePrinted, frames.trade),
    "aggTrade": (AggregatePrinted, market_frames.aggregate),
    "bookTicker": (BestChanged, frames.best),
    "forceOrder": (ForcedClose, frames.forced_close),
}
_POLLED: dict[str, tuple[int, Callable[[Market, int], Row | None]]] = {
    "miniTicker": (TICKER, _MINI_TICKER),
    "ticker": (TICKER, _TICKER),
    "markPrice": (MARK, frames.mark_price),
    "markPrice@1s": (SECOND, frames.mark_price),
}
_ALL_MARKETS = {
    "!miniTicker@arr": _MINI_TICKER,
    "!ticker@arr": _TICKER,
    "!markPrice@arr": frames.mark_price,
    "!markPrice@arr@1s": frames.mark_price,
}
_EVERY_ONE: dict[str, tuple[type[CoreEvent], Callable[..., Row]]] = {
    "!bookTicker": (BestChanged, frames.best),
    "!forceOrder@arr": (ForcedClose, frames.forced_close),
}


def make_topic(name: str, venue: Venue) -> Topic:
    """The stream of this name."""
    if name in _ALL_MARKETS:
        return AllMarketsTopic(name, venue, Category.LINEAR, _ALL_MARKETS[name])
    if name in _EVERY_ONE:
        return InstantTopic(name, None, *_EVERY_ONE[name])
    found = _SYMBOL_STREAM.fullmatch(name)
    market = venue.markets.get((Category.LINEAR, found[1].upper())) if found else None
    if found is None or market is None:
        return Topic(name, None)
    kind = found[2]
    if kind in _INSTANT:
        return InstantTopic(name, market, *_INSTANT[kind])
    if kind in _POLLED:
        return PolledTopic(name, market, *_POLLED[kind])
    interval = kind.removeprefix("kline_")
    if kind.startswith("kline_") and interval in INTERVALS:
        return CandleTopic(name, market, interval)
    return _depth_topic(name, market, kind)


def _depth_topic(name: str, market: Market, kind: str) -> Topic:
    found = _DEPTH.fullmatch(kind)
    if found is None:
        return Topic(name, None)
    every_pulses = _DEPTH_PULSES.get(found[2] or "", QUARTER)
    if found[1] is None:
        return DepthTopic(name, market, every_pulses, frames.depth)
    levels = int(found[1])
    return PolledTopic(
        name,
        market,
        every_pulses,
        lambda market, at_ms: frames.partial_depth(market, levels, at_ms),
    )
