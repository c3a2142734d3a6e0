"""Frames: the payloads of Binance's spot streams, where they are not those of futures, too."""

from alphapulse.domain.order import Side
from alphapulse.simulator.core.events import AggregatePrinted, TradePrinted
from alphapulse.simulator.core.market import DayStatistics, Market
from alphapulse.simulator.venues.binance import market_frames, market_rows
from alphapulse.simulator.venues.binance.market_rows import Row, eight


def trade(event: TradePrinted) -> Row:
    return {**market_frames.trade(event), "M": True}


def aggregate(event: AggregatePrinted) -> Row:
    return {**market_frames.aggregate(event), "M": True}


def ticker(market: Market, day: DayStatistics, at_ms: int) -> Row:
    """With best bid and ask."""
    row, best = market_frames.ticker(market, day, at_ms), market_rows.best(market)
    return {
        **row,
        "x": row["o"],
        "b": best["bidPrice"],
        "B": best["bidQty"],
        "a": best["askPrice"],
        "A": best["askQty"],
    }


def average_price(market: Market, minutes: int, at_ms: int) -> Row:
    price = market.average_price(minutes)
    return {
        "e": "avgPrice",
        "E": at_ms,
        "s": market.instrument.name,
        "i": f"{minutes}m",
        "w": market_rows.ZERO if price is None else eight(price),
        "T": market.trades[-1].at_ms if market.trades else at_ms,
    }


def partial_depth(market: Market, levels: int) -> Row:
    book, instrument = market.book, market.instrument
    return {
        "lastUpdateId": book.update_id,
        "bids": market_rows.levels(instrument, book.levels(Side.BUY, levels)),
        "asks": market_rows.levels(instrument, book.levels(Side.SELL, levels)),
    }
