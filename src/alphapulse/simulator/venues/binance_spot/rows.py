"""Rows: the core's things in Binance's JSON. Numbers are texts with eight decimals."""

from decimal import Decimal

from alphapulse.domain.money import EXACT, plain
from alphapulse.domain.order import Side
from alphapulse.simulator.core.candles import Candle
from alphapulse.simulator.core.instrument import Instrument
from alphapulse.simulator.core.market import AggregateTrade, DayStatistics, Market, PublicTrade
from alphapulse.simulator.core.order import Fill, Order, OrderKind, OrderState, TimeInForce

Row = dict[str, object]

ZERO = "0.00000000"
_EIGHT = Decimal("0.00000001")
_THREE = Decimal("0.001")
_NAUGHT = Decimal(0)
_NOTHING_YET = DayStatistics(_NAUGHT, _NAUGHT, _NAUGHT, _NAUGHT, _NAUGHT, _NAUGHT, 0, -1, -1, 0, 0)

SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}
STATES = {
    OrderState.NEW: "NEW",
    OrderState.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderState.FILLED: "FILLED",
    OrderState.CANCELED: "CANCELED",
    OrderState.EXPIRED: "EXPIRED",
    OrderState.REJECTED: "REJECTED",
}
_TIMES_IN_FORCE = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.POST_ONLY: "GTC",
}


def text(number: Decimal) -> str:
    """Padded to eight decimals; a recording's longer ones are kept whole."""
    rounded = EXACT.quantize(number, _EIGHT)
    return format(rounded, "f") if rounded == number else plain(number)


def order_type(order: Order) -> str:
    if order.kind is OrderKind.MARKET:
        return "MARKET"
    return "LIMIT_MAKER" if order.time_in_force is TimeInForce.POST_ONLY else "LIMIT"


def time_in_force(order: Order) -> str:
    return "GTC" if order.kind is OrderKind.MARKET else _TIMES_IN_FORCE[order.time_in_force]


def _order_state(order: Order) -> Row:
    """What every view of an order has."""
    return {
        "price": text(order.limit_price),
        "origQty": text(order.quantity),
        "executedQty": text(order.filled_quantity),
        "origQuoteOrderQty": text(order.quote_quantity),
        "cummulativeQuoteQty": text(order.filled_notional),
        "status": STATES[order.state],
        "timeInForce": time_in_force(order),
        "type": order_type(order),
        "side": SIDES[order.side],
        "selfTradePreventionMode": "NONE",
    }


def _order_identity(order: Order) -> Row:
    return {
        "symbol": order.instrument.name,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
    }


def order(order: Order) -> Row:
    """An order as queries show it."""
    return {
        **_order_identity(order),
        **_order_state(order),
        "stopPrice": ZERO,
        "icebergQty": ZERO,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
        "workingTime": order.created_ms,
    }


def placed(order: Order, kind: str) -> Row:
    """The answer to a new order, as much of it as ``newOrderRespType`` asks for."""
    row = {**_order_identity(order), "transactTime": order.updated_ms}
    if kind == "ACK":
        return row
    row |= {**_order_state(order), "workingTime": order.created_ms}
    return row if kind == "RESULT" else row | {"fills": [placed_fill(f) for f in order.fills]}


def placed_fill(fill: Fill) -> Row:
    return {
        "price": text(fill.price),
        "qty": text(fill.quantity),
        "commission": text(fill.fee),
        "commissionAsset": fill.fee_asset,
        "tradeId": fill.trade_id,
    }


def canceled(order: Order, cancel_id: str) -> Row:
    """The answer to a cancel: the client id is the cancel's own."""
    return {
        **_order_identity(order),
        "clientOrderId": cancel_id,
        "origClientOrderId": order.client_order_id,
        "transactTime": order.updated_ms,
        **_order_state(order),
    }


def fill(fill: Fill) -> Row:
    """A trade of the account."""
    return {
        "symbol": fill.instrument.name,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": text(fill.price),
        "qty": text(fill.quantity),
        "quoteQty": text(fill.notional),
        "commission": text(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.at_ms,
        "isBuyer": fill.side is Side.BUY,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def trade(trade: PublicTrade, instrument: Instrument) -> Row:
    price, quantity = instrument.price(trade.ticks), instrument.quantity(trade.lots)
    return {
        "id": trade.id,
        "price": text(price),
        "qty": text(quantity),
        "quoteQty": text(EXACT.multiply(price, quantity)),
        "time": trade.at_ms,
        "isBuyerMaker": trade.taker_side is Side.SELL,
        "isBestMatch": True,
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
        "M": True,
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
    """The last 24 hours, with best bid and ask."""
    day = _day(market, now_ms)
    return {
        **mini_day_of(market, now_ms),
        **best(market),
        "priceChange": text(day.change),
        "priceChangePercent": percent(day),
        "weightedAvgPrice": eight(day.average_price),
        "prevClosePrice": text(day.open),
        "lastQty": text(market.last_quantity),
    }


def percent(day: DayStatistics) -> str:
    """Change of the day in per cent, three decimals."""
    return format(EXACT.quantize(day.change_share * 100, _THREE), "f")


def _day(market: Market, now_ms: int) -> DayStatistics:
    """Zeros before the first price, as for a symbol that was listed a moment ago."""
    return market.day(now_ms) or _NOTHING_YET
