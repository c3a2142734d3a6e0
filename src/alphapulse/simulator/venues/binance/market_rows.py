"""Market rows: what is public of a market, in Binance's JSON.

Numbers are texts with eight decimals.
"""

from decimal import Decimal

from alphapulse.domain.money import EXACT, plain
from alphapulse.domain.order import Side
from alphapulse.simulator.core.candles import Candle
from alphapulse.simulator.core.instrument import Instrument
from alphapulse.simulator.core.market import AggregateTrade, DayStatistics, Market, PublicTrade

Row = dict[str, object]

ZERO = "0.00000000"
_EIGHT = Decimal("0.00000001")
_THREE = Decimal("0.001")
_NAUGHT = Decimal(0)
_NOTHING_YET = DayStatistics(_NAUGHT, _NAUGHT, _NAUGHT, _NAUGHT, _NAUGHT, _NAUGHT, 0, -1, -1, 0, 0)

SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}


def text(number: Decimal) -> str:
    """Padded to eight decimals; a recording's longer ones are kept whole."""
    rounded = EXACT.quantize(number, _EIGHT)
    return format(rounded, "f") if rounded == number else plain(number)


def trade(trade: PublicTrade, instrument: Instrument) -> Row:
    price, quantity = instrument.price(trade.ticks), instrument.quantity(trade.lots)
    return {
        "id": trade.id,
        "price": text(price),
        "qty": text(quantity),
        "quoteQty": text(EXACT.multiply(price, quantity)),
        "time": trade.at_ms,
        "isBuyerMaker": trade.taker_side is Side.SELL,
    }


def aggregate(trade: AggregateTrade, instrument: Instrument) -> Row:
    return {
        "a": trade.id,
        "p": text(instrument.price(trade.ticks)),
        "q": text(instrument.quantity(trade.lots)),
        "f": trade.first_trade_id,
        "l": trade.last_trade_id,
        "T": trade.at_ms,
        "m": trade.taker_side is Side.SELL,
    }


def candle(candle: Candle) -> list[object]:
    return [
        candle.open_ms,
        text(candle.open),
        text(candle.high),
        text(candle.low),
        text(candle.close),
        text(candle.volume),
        candle.close_ms,
        text(candle.quote_volume),
        candle.trades,
        text(candle.taker_volume),
        text(candle.taker_quote_volume),
        "0",
    ]


def levels(instrument: Instrument, levels: list[tuple[int, int]]) -> list[list[str]]:
    return [[text(instrument.price(t)), text(instrument.quantity(n))] for t, n in levels]


def best(market: Market) -> Row:
    """Best bid and ask with their quantities."""
    instrument = market.instrument
    bid, ask = market.book.best(Side.BUY), market.book.best(Side.SELL)
    return {
        "bidPrice": text(instrument.price(bid[0])),
        "bidQty": text(instrument.quantity(bid[1])),
        "askPrice": text(instrument.price(ask[0])),
        "askQty": text(instrument.quantity(ask[1])),
    }


def eight(number: Decimal) -> str:
    """Rounded to eight decimals."""
    return format(EXACT.quantize(number, _EIGHT), "f")


def last_price(market: Market, _: int) -> Row:
    return {"symbol": market.instrument.name, "price": text(market.last_price or Decimal(0))}


def mini_day_of(market: Market, now_ms: int) -> Row:
    """The last 24 hours, short."""
    day = _day(market, now_ms)
    return {
        "symbol": market.instrument.name,
        "openPrice": text(day.open),
        "highPrice": text(day.high),
        "lowPrice": text(day.low),
        "lastPrice": text(day.last),
        "volume": text(day.volume),
        "quoteVolume": text(day.quote_volume),
        "openTime": day.open_ms,
        "closeTime": day.close_ms,
        "firstId": day.first_trade_id,
        "lastId": day.last_trade_id,
        "count": day.trades,
    }


def day_of(market: Market, now_ms: int) -> Row:
    """The last 24 hours."""
    day = _day(market, now_ms)
    return {
        **mini_day_of(market, now_ms),
        "priceChange": text(day.change),
        "priceChangePercent": percent(day),
        "weightedAvgPrice": eight(day.average_price),
        "lastQty": text(market.last_quantity),
    }


def percent(day: DayStatistics) -> str:
    """Change of the day in per cent, three decimals."""
    return format(EXACT.quantize(day.change_share * 100, _THREE), "f")


def _day(market: Market, now_ms: int) -> DayStatistics:
    """Zeros before the first price, as for a symbol that was listed a moment ago."""
    return market.day(now_ms) or _NOTHING_YET
