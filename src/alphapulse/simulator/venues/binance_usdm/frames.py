"""Frames: the payloads of the futures' market streams, where spot's are others."""

from alphapulse.domain.order import Side
from alphapulse.simulator.core.events import BestChanged, ForcedClose, TradePrinted
from alphapulse.simulator.core.instrument import Instrument
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.venues.binance import market_frames
from alphapulse.simulator.venues.binance.market_rows import SIDES, Row, text
from alphapulse.simulator.venues.binance_usdm.market import next_funding_ms
from alphapulse.simulator.venues.binance_usdm.rows import STATES, average_price, grid


def trade(event: TradePrinted) -> Row:
    """``X`` says that the market made it, not the insurance fund."""
    return {**market_frames.trade(event), "X": "MARKET"}


def best(event: BestChanged) -> Row:
    return {
        "e": "bookTicker",
        "E": event.at_ms,
        "T": event.at_ms,
        **market_frames.best(event),
    }


def depth(
    instrument: Instrument,
    first_id: int,
    last_id: int,
    bids: dict[int, int],
    asks: dict[int, int],
    at_ms: int,
) -> Row:
    """``pu`` is the ``u`` before: here ids have no gaps."""
    row = market_frames.depth(instrument, first_id, last_id, bids, asks, at_ms)
    return {**row, "T": at_ms, "pu": first_id - 1}


def partial_depth(market: Market, levels: int, at_ms: int) -> Row:
    """The best levels, in the form of an update."""
    book, instrument = market.book, market.instrument
    bids = dict(book.levels(Side.BUY, levels))
    asks = dict(book.levels(Side.SELL, levels))
    return depth(instrument, book.update_id, book.update_id, bids, asks, at_ms)


def mark_price(market: Market, at_ms: int) -> Row:
    mark = text(market.mark_price)
    return {
        "e": "markPriceUpdate",
        "E": at_ms,
        "s": market.instrument.name,
        "p": mark,
        "i": mark,
        "P": mark,
        "r": text(market.funding_rate),
        "T": next_funding_ms(at_ms),
    }


def forced_close(event: ForcedClose) -> Row:
    """A liquidation, without a name."""
    order = event.order
    last = order.fills[-1].lots if order.fills else 0
    return {
        "e": "forceOrder",
        "E": event.at_ms,
        "o": {
            "s": order.instrument.name,
            "S": SIDES[order.side],
            "o": "LIMIT",
            "f": "IOC",
            "q": grid(order.quantity),
            "p": grid(order.instrument.price(order.fills[-1].ticks if order.fills else 0)),
            "ap": average_price(order),
            "X": STATES[order.state],
            "l": grid(order.instrument.quantity(last)),
            "z": grid(order.filled_quantity),
            "T": event.at_ms,
        },
    }
