"""Parse CCXT's unified structures, once, into exact values of ours.

CCXT fills what a broken answer lacks with ``None`` and calls it an order. Here an id, a symbol, a
time or a price that is missing is a broken answer, and the whole page is refused.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from alphapulse.domain.cash_flow import CashFlow
from alphapulse.domain.identifiers import (
    AccountId,
    Asset,
    ClientOrderId,
    ExchangeId,
    ExchangeOrderId,
    Symbol,
    asset,
    symbol,
)
from alphapulse.domain.instrument import Instrument, InstrumentType
from alphapulse.domain.market import Candle, Ticker, Timeframe
from alphapulse.domain.money import ZERO, decimal_of
from alphapulse.domain.order import (
    Fill,
    Order,
    OrderOrigin,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from alphapulse.domain.order_states import is_newer
from alphapulse.domain.position import MarginMode, Position, PositionSide
from alphapulse.errors import ExchangeUnavailable, InstrumentUnavailable, InvalidInput

Raw = Mapping[str, Any]

# Nothing on an exchange happened before Bitcoin, or later than a day from now.
_EARLIEST = datetime(2009, 1, 3, tzinfo=UTC)
_LATEST_AHEAD = timedelta(days=1)

# CCXT's precision modes: digits after the point, or the step itself.
_DECIMAL_PLACES = 2
_TICK_SIZE = 4

_STATUS = {
    "canceled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}

_TYPES = {
    InstrumentType.SPOT.value: InstrumentType.SPOT,
    "swap": InstrumentType.PERPETUAL,
    "future": InstrumentType.FUTURE,
}


def broken(what: str, **facts: object) -> ExchangeUnavailable:
    """The error for an answer that has the right form and cannot be true."""
    return ExchangeUnavailable("broken answer", what=what, **facts)


def decimal(raw: Raw, key: str) -> Decimal:
    """A number that must be there."""
    found = optional_decimal(raw, key)
    if found is None:
        raise broken("a number is missing", field=key)
    return found


def optional_decimal(raw: Raw, key: str) -> Decimal | None:
    """A number, or ``None`` where the venue sends nothing or an empty text."""
    value = raw.get(key)
    if value is None or value == "":
        return None
    try:
        return decimal_of(value, field=key)
    except InvalidInput as wrong:
        raise broken("not a number", field=key) from wrong


def positive_decimal(raw: Raw, key: str) -> Decimal | None:
    """A price or size; venues write "none" as zero."""
    found = optional_decimal(raw, key)
    return found if found is not None and found > 0 else None


def text(raw: Raw, key: str) -> str:
    """A text that must be there and not be empty; ids may come as numbers."""
    value = raw.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value:
        return value
    raise broken("a text is missing", field=key)


def moment(raw: Raw, key: str, now: datetime) -> datetime:
    """A time in ms since 1970 that must be there."""
    found = optional_moment(raw, key, now)
    if found is None:
        raise broken("a time is missing", field=key)
    return found


def optional_moment(raw: Raw, key: str, now: datetime) -> datetime | None:
    """A time in ms since 1970; zero and nothing are ``None``."""
    value = raw.get(key)
    if value in {None, "", 0, "0"}:
        return None
    try:
        found = datetime.fromtimestamp(int(value) / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError) as wrong:
        raise broken("not a time", field=key) from wrong
    if not _EARLIEST <= found <= now + _LATEST_AHEAD:
        raise broken("a time that cannot be", field=key)
    return found


def optional_expiry(raw: Raw, key: str) -> datetime | None:
    """When a key ends: ms since 1970 or ISO 8601 in UTC; nothing and the epoch are never."""
    value = raw.get(key) or 0
    try:
        if isinstance(value, str) and not value.isdecimal():
            found = datetime.fromisoformat(value).astimezone(UTC)
        else:
            found = datetime.fromtimestamp(int(value) / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError) as wrong:
        raise broken("not a time", field=key) from wrong
    return found if found > _EARLIEST else None


def symbol_of(raw: Raw) -> Symbol:
    """The unified symbol; CCXT leaves the venue's spelling where it knows no such market."""
    name = text(raw, "symbol")
    try:
        return symbol(name)
    except InvalidInput as wrong:
        raise InstrumentUnavailable("an instrument we do not know", exchange_symbol=name) from wrong


def asset_of(code: str) -> Asset:
    """A unified asset code."""
    try:
        return asset(code)
    except InvalidInput as wrong:
        raise broken("not an asset", asset=code[:40]) from wrong


def instruments(
    markets: Iterable[Raw], exchange: ExchangeId, precision_mode: int
) -> tuple[Instrument, ...]:
    """Every spot, perpetual and future market that can be expressed exactly.

    Options, and markets whose steps the venue does not state, are left out.
    """
    found = (instrument(market, exchange, precision_mode) for market in markets)
    return tuple(one for one in found if one is not None)


def instrument(market: Raw, exchange: ExchangeId, precision_mode: int) -> Instrument | None:
    """One market of CCXT, or ``None`` where it is of a kind we do not serve."""
    kind = _TYPES.get(str(market.get("type")))
    precision = market["precision"]
    tick_size = _step(precision.get("price"), precision_mode)
    lot_size = _step(precision.get("amount"), precision_mode)
    if kind is None or tick_size is None or lot_size is None:
        return None
    limits = market["limits"]
    try:
        return Instrument(
            exchange=exchange,
            symbol=symbol(text(market, "symbol")),
            exchange_symbol=text(market, "id"),
            type=kind,
            base=asset(text(market, "base")),
            quote=asset(text(market, "quote")),
            settle=None if kind is InstrumentType.SPOT else asset(text(market, "settle")),
            tick_size=tick_size,
            lot_size=lot_size,
            min_quantity=positive_decimal(limits["amount"], "min"),
            max_quantity=positive_decimal(limits["amount"], "max"),
            min_notional=positive_decimal(limits["cost"], "min"),
            contract_size=positive_decimal(market, "contractSize") or Decimal(1),
            is_active=market.get("active") is not False,
        )
    except InvalidInput:
        return None  # a name outside every form we know, like a meme coin in Chinese


def _step(precision: object, mode: int) -> Decimal | None:
    if precision is None:
        return None
    number = decimal_of(precision)
    if mode == _DECIMAL_PLACES:
        return Decimal(1).scaleb(-int(number))
    return number if mode == _TICK_SIZE and number > 0 else None


def ticker(raw: Raw, exchange: ExchangeId, received_at: datetime) -> Ticker:
    """One ticker with at least one price in it."""
    found = Ticker(
        exchange=exchange,
        symbol=symbol_of(raw),
        occurred_at=optional_moment(raw, "timestamp", received_at) or received_at,
        received_at=received_at,
        last=positive_decimal(raw, "last"),
        bid=positive_decimal(raw, "bid"),
        ask=positive_decimal(raw, "ask"),
        mark=positive_decimal(raw, "markPrice"),
        index=positive_decimal(raw, "indexPrice"),
        open_24h=positive_decimal(raw, "open"),
        high_24h=positive_decimal(raw, "high"),
        low_24h=positive_decimal(raw, "low"),
        base_volume_24h=optional_decimal(raw, "baseVolume"),
        quote_volume_24h=optional_decimal(raw, "quoteVolume"),
    )
    if found.price is None:
        raise broken("a ticker without a price", symbol=found.symbol)
    return found


def candle(
    row: list[Any],
    exchange: ExchangeId,
    name: Symbol,
    timeframe: Timeframe,
    venue_now: datetime,
) -> Candle:
    """One row of open time, open, high, low, close, volume.

    ``venue_now`` is a time on the venue's clock *before* the answer was made: a candle that ended
    by then cannot change.
    """
    if len(row) < 6:
        raise broken("a candle with missing columns")
    raw = dict(zip(("time", "open", "high", "low", "close", "volume"), row, strict=False))
    open_time = moment(raw, "time", venue_now)
    return Candle(
        exchange=exchange,
        symbol=name,
        timeframe=timeframe,
        open_time=open_time,
        open=decimal(raw, "open"),
        high=decimal(raw, "high"),
        low=decimal(raw, "low"),
        close=decimal(raw, "close"),
        volume=decimal(raw, "volume"),
        is_closed=open_time + timeframe.duration <= venue_now,
    )


def order(raw: Raw, account_id: AccountId, exchange: ExchangeId, received_at: datetime) -> Order:
    """One order as the venue describes it now.

    Adapters add what CCXT leaves out: ``quoteAmount``, ``expireTimestamp`` (ms), ``isTrailing``
    and ``reason``, the venue's word on why it ended.
    """
    filled = optional_decimal(raw, "filled") or ZERO
    quote_quantity = positive_decimal(raw, "quoteAmount")
    quantity = _quantity(raw, filled, is_by_quote=quote_quantity is not None)
    created_at = moment(raw, "timestamp", received_at)
    client_order_id = raw.get("clientOrderId")
    limit_price = positive_decimal(raw, "price")
    stop_price = positive_decimal(raw, "triggerPrice") or positive_decimal(raw, "stopPrice")
    is_trailing = bool(raw.get("isTrailing"))
    kind = (
        OrderType.TRAILING_STOP
        if is_trailing
        else _order_type(str(raw.get("type") or ""), limit_price, stop_price)
    )
    return Order(
        account_id=account_id,
        exchange=exchange,
        symbol=symbol_of(raw),
        exchange_order_id=ExchangeOrderId(text(raw, "id")),
        client_order_id=ClientOrderId(str(client_order_id)) if client_order_id else None,
        side=_side(raw),
        type=kind,
        time_in_force=_time_in_force(raw.get("timeInForce")),
        post_only=bool(raw.get("postOnly")),
        reduce_only=bool(raw.get("reduceOnly")),
        quantity=quantity,
        filled_quantity=filled,
        # CCXT writes the average into the price of a market order.
        limit_price=limit_price if _is_by_limit(raw, kind) else None,
        stop_price=stop_price,
        average_price=positive_decimal(raw, "average"),
        status=_order_status(raw, quantity, filled),
        origin=OrderOrigin.EXTERNAL,
        created_at=created_at,
        updated_at=_updated_at(raw, received_at) or created_at,
        quote_quantity=quote_quantity,
        expires_at=optional_expiry(raw, "expireTimestamp"),
        status_reason=str(raw["reason"]) if raw.get("reason") else None,
    )


def _is_by_limit(raw: Raw, kind: OrderType) -> bool:
    if kind is OrderType.TRAILING_STOP:
        return raw.get("type") == "limit"
    return kind in {OrderType.LIMIT, OrderType.STOP_LIMIT}


def _quantity(raw: Raw, filled: Decimal, *, is_by_quote: bool) -> Decimal | None:
    """What was asked for; of an order by quote amount nobody knows before it is done."""
    if not is_by_quote:
        return positive_decimal(raw, "amount") or (filled if filled > 0 else None)
    return None if raw.get("status") == "open" else filled


def fill(
    raw: Raw,
    account_id: AccountId,
    exchange: ExchangeId,
    received_at: datetime,
    *,
    client_order_id: str | None = None,
) -> Fill:
    """One execution of an order of ours."""
    fee = raw.get("fee") or {}
    cost = optional_decimal(fee, "cost")
    currency = fee.get("currency")
    role = raw.get("takerOrMaker")
    price, quantity = decimal(raw, "price"), decimal(raw, "amount")
    if price <= 0 or quantity <= 0:
        raise broken("a fill of nothing", trade_id=raw.get("id"))
    return Fill(
        account_id=account_id,
        exchange=exchange,
        symbol=symbol_of(raw),
        trade_id=text(raw, "id"),
        exchange_order_id=ExchangeOrderId(text(raw, "order")),
        client_order_id=ClientOrderId(client_order_id) if client_order_id else None,
        side=_side(raw),
        price=price,
        quantity=quantity,
        fee=cost if currency else None,
        fee_asset=asset_of(str(currency)) if currency and cost is not None else None,
        is_maker=None if role is None else role == "maker",
        occurred_at=moment(raw, "timestamp", received_at),
    )


def unique_fills(fills: Iterable[Fill]) -> tuple[Fill, ...]:
    """Oldest first, each once; a trade id that names two different fills is a broken answer."""
    by_key: dict[tuple[Symbol, str], Fill] = {}
    for one in fills:
        known = by_key.setdefault((one.symbol, one.trade_id), one)
        if known != one:
            raise broken("one trade id for two fills", trade_id=one.trade_id)
    return tuple(sorted(by_key.values(), key=lambda one: (one.occurred_at, one.trade_id)))


def unique_flows(flows: Iterable[CashFlow]) -> tuple[CashFlow, ...]:
    """Oldest first, each once; an id that names two different movements is a broken answer."""
    by_id: dict[str, CashFlow] = {}
    for one in flows:
        if by_id.setdefault(one.id, one) != one:
            raise broken("one id for two cash flows", flow=one.id)
    return tuple(sorted(by_id.values(), key=lambda one: (one.occurred_at, one.id)))


def unique_orders(orders: Iterable[Order]) -> tuple[Order, ...]:
    """Each order once, as last described: lists by kind overlap."""
    by_id: dict[tuple[Symbol, str | None], Order] = {}
    for one in orders:
        # One that waits for its price may have no id of the engine yet.
        key = (one.symbol, one.exchange_order_id or one.client_order_id)
        known = by_id.get(key)
        if known is None or is_newer(one, known):
            by_id[key] = one
    return tuple(by_id.values())


def _side(raw: Raw) -> Side:
    side = raw.get("side")
    if side not in {"buy", "sell"}:
        raise broken("neither bought nor sold", side=side)
    return Side(side)


def _order_type(kind: str, limit_price: Decimal | None, stop_price: Decimal | None) -> OrderType:
    if "trailing" in kind:
        return OrderType.TRAILING_STOP
    if stop_price is not None or "stop" in kind or "take_profit" in kind:
        by_market = limit_price is None or "market" in kind
        return OrderType.STOP if by_market else OrderType.STOP_LIMIT
    if kind in {"market", "limit"}:
        return OrderType(kind)
    return OrderType.LIMIT if "limit" in kind else OrderType.OTHER


def _time_in_force(value: object) -> TimeInForce | None:
    if value == "PO":
        return TimeInForce.GTC  # post-only is told apart
    known = {"GTC", "IOC", "FOK", "GTD"}
    return TimeInForce(str(value).lower()) if value in known else None


def _order_status(raw: Raw, quantity: Decimal | None, filled: Decimal) -> OrderStatus:
    status = raw.get("status")
    if status == "open":
        return OrderStatus.PARTIALLY_FILLED if filled > 0 else OrderStatus.OPEN
    if status == "closed":
        # Bybit's PartiallyFilledCanceled is "closed" to CCXT.
        is_whole = quantity is None or filled >= quantity
        return OrderStatus.FILLED if is_whole else OrderStatus.CANCELED
    if status not in _STATUS:
        raise broken("an order without a status", status=status)
    return _STATUS[status]


def _updated_at(raw: Raw, received_at: datetime) -> datetime | None:
    times = (
        optional_moment(raw, key, received_at)
        for key in ("lastUpdateTimestamp", "lastTradeTimestamp")
    )
    return max((at for at in times if at is not None), default=None)


def position(
    raw: Raw, account_id: AccountId, exchange: ExchangeId, received_at: datetime
) -> Position | None:
    """One open position; ``None`` when it is flat."""
    quantity = optional_decimal(raw, "contracts") or ZERO
    if quantity == 0:
        return None
    side = raw.get("side")
    if side not in {"long", "short"}:
        raise broken("a position without a side", side=side)
    mode = raw.get("marginMode")
    return Position(
        account_id=account_id,
        exchange=exchange,
        symbol=symbol_of(raw),
        side=PositionSide(side),
        quantity=abs(quantity),
        contract_size=positive_decimal(raw, "contractSize") or Decimal(1),
        entry_price=decimal(raw, "entryPrice"),
        mark_price=positive_decimal(raw, "markPrice"),
        unrealized_pnl=optional_decimal(raw, "unrealizedPnl"),
        realized_pnl=optional_decimal(raw, "realizedPnl"),
        leverage=positive_decimal(raw, "leverage"),
        margin_mode=MarginMode(mode) if mode in {"cross", "isolated"} else None,
        initial_margin=optional_decimal(raw, "initialMargin"),
        maintenance_margin=optional_decimal(raw, "maintenanceMargin"),
        liquidation_price=positive_decimal(raw, "liquidationPrice"),
        occurred_at=_updated_at(raw, received_at) or received_at,
        received_at=received_at,
    )
