"""Market frames: payloads of market streams, as far as spot and futures agree on them."""

from collections.abc import Callable

from alphapulse.domain.order import Side
from alphapulse.simulator.core.candles import Candle
from alphapulse.simulator.core.events import AggregatePrinted, BestChanged, TradePrinted
from alphapulse.simulator.core.instrument import Instrument
from alphapulse.simulator.core.market import DayStatistics, Market
from alphapulse.simulator.venues.binance import market_rows
from alphapulse.simulator.venues.binance.market_rows import Row, eight, text


def trade(event: TradePrinted) -> Row:
    return {
        "e": "trade",
        "E": event.at_ms,
        "s": event.instrument.name,
        "t": event.trade_id,
        "p": text(event.price),
        "q": text(event.quantity),
        "T": event.at_ms,
        "m": event.taker_side is Side.SELL,
    }


def aggregate(event: AggregatePrinted) -> Row:
    return {
        "e": "aggTrade",
        "E": event.at_ms,
        "s": event.instrument.name,
        "a": event.aggregate_id,
        "p": text(event.price),
        "q": text(event.quantity),
        "f": event.first_trade_id,
        "l": event.last_trade_id,
        "T": event.at_ms,
        "m": event.taker_side is Side.SELL,
    }


def best(event: BestChanged) -> Row:
    instrument = event.instrument
    return {
        "u": event.update_id,
        "s": instrument.name,
        "b": text(instrument.price(event.bid_ticks)),
        "B": text(instrument.quantity(event.bid_lots)),
        "a": text(instrument.price(event.ask_ticks)),
        "A": text(instrument.quantity(event.ask_lots)),
    }


def candle(instrument: Instrument, interval: str, candle: Candle, at_ms: int) -> Row:
    return {
        "e": "kline",
        "E": at_ms,
        "s": instrument.name,
        "k": {
            "t": candle.open_ms,
            "T": candle.close_ms,
            "s": instrument.name,
            "i": interval,
            "f": candle.first_trade_id,
            "L": candle.last_trade_id,
            "o": text(candle.open),
            "c": text(candle.close),
            "h": text(candle.high),
            "l": text(candle.low),
            "v": text(candle.volume),
            "n": candle.trades,
            "x": candle.is_closed,
            "q": text(candle.quote_volume),
            "V": text(candle.taker_volume),
            "Q": text(candle.taker_quote_volume),
            "B": "0",
        },
    }


def of_day(
    row: Callable[[Market, DayStatistics, int], Row],
) -> Callable[[Market, int], Row | None]:
    """A row of the last 24 hours, or none before the market's first candle."""

    def made(market: Market, at_ms: int) -> Row | None:
        day = market.day(at_ms)
        return None if day is None else row(market, day, at_ms)

    return made


def mini_ticker(market: Market, day: DayStatistics, at_ms: int) -> Row:
    return {
        "e": "24hrMiniTicker",
        "E": at_ms,
        "s": market.instrument.name,
        "c": text(day.last),
        "o": text(day.open),
        "h": text(day.high),
        "l": text(day.low),
        "v": text(day.volume),
        "q": text(day.quote_volume),
    }


def ticker(market: Market, day: DayStatistics, at_ms: int) -> Row:
    return {
        "e": "24hrTicker",
        "E": at_ms,
        "s": market.instrument.name,
        "p": text(day.change),
        "P": market_rows.percent(day),
        "w": eight(day.average_price),
        "c": text(day.last),
        "Q": text(market.last_quantity),
        "o": text(day.open),
        "h": text(day.high),
        "l": text(day.low),
        "v": text(day.volume),
        "q": text(day.quote_volume),
        "O": day.open_ms,
        "C": day.close_ms,
        "F": day.first_trade_id,
        "L": day.last_trade_id,
        "n": day.trades,
    }


def depth(
    instrument: Instrument,
    first_id: int,
    last_id: int,
    bids: dict[int, int],
    asks: dict[int, int],
    at_ms: int,
) -> Row:
    return {
        "e": "depthUpdate",
        "E": at_ms,
        "s": instrument.name,
        "U": first_id,
        "u": last_id,
        "b": market_rows.levels(instrument, sorted(bids.items(), reverse=True)),
        "a": market_rows.levels(instrument, sorted(asks.items())),
    }
