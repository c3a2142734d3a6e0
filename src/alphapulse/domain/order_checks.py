"""Order Checks: everything that must hold before an order may be sent, each by name. Pure.

A check that fails carries the error it is refused with, and the limit it broke.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import Protocol

from alphapulse.domain.account import Account, AccountState
from alphapulse.domain.instrument import Instrument
from alphapulse.domain.market import Ticker
from alphapulse.domain.money import EXACT, ZERO, add, multiply, plain
from alphapulse.domain.order import OrderRequest, OrderType, Side, TimeInForce, Trigger
from alphapulse.domain.order_cost import OrderCost
from alphapulse.domain.order_grid import OffGrid, off_grid, on_grid
from alphapulse.domain.position import Position, PositionSide
from alphapulse.domain.trading import TradingLimits, TradingMode
from alphapulse.errors import (
    AlphaPulseError,
    BadStep,
    BelowMinimum,
    Conflict,
    InstrumentUnavailable,
    InvalidInput,
    KeyReadOnly,
    NotEnoughFree,
    OrderBudgetSpent,
    OrderNotSupported,
    OrderRefused,
    OverLimit,
    PriceNotGood,
    PriceOutOfBand,
    TradingHalted,
)

_HUNDRED = Decimal(100)
_TWO = Decimal(2)
_SHOWN = Decimal("0.0001")
MINUTE_S = 60.0


class OrderAbilities(Protocol):
    """Which orders a venue takes in a market; its profile says so."""

    @property
    def types(self) -> frozenset[OrderType]: ...
    @property
    def has_quote_quantity(self) -> bool: ...
    @property
    def has_attached_exits(self) -> bool: ...
    @property
    def has_gtd(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Allowance:
    """The limits of one subject, ``account:ID`` or ``user:ID``, and how much of them is used.

    ``counted_today`` is the value of all that was ordered, in the currency of the limits, and
    ``undone_today`` that of which nothing came; ``orders`` are those of the last minute, of which
    the oldest drops out ``oldest_in_s`` from now.
    """

    subject: str
    limits: TradingLimits
    counted_today: Decimal = ZERO
    undone_today: Decimal = ZERO
    orders: int = 0
    oldest_in_s: float = MINUTE_S

    @property
    def used_today(self) -> Decimal:
        return max(ZERO, EXACT.subtract(self.counted_today, self.undone_today))


@dataclass(frozen=True, slots=True)
class OrderSituation:
    """All that the checks look at, as it is at one moment.

    ``available`` is what is free of the asset the order needs and not held by other orders. In
    ``currency``, ``value`` is that of the whole order, ``added_value`` what it adds to the day:
    less of an order that is only changed. ``abilities`` is ``None`` where we do not trade at all.
    """

    now: datetime
    account: Account
    instrument: Instrument
    abilities: OrderAbilities | None
    ticker: Ticker | None
    positions: tuple[Position, ...]
    mode: TradingMode
    allowances: tuple[Allowance, ...]
    cost: OrderCost
    available: Decimal | None
    value: Decimal | None
    added_value: Decimal | None
    currency: str
    is_paper: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """``limit`` is what was allowed and ``value`` what was found, in words or plain decimals;
    ``failure`` is the error to refuse with."""

    name: str
    limit: str | None = None
    value: str | None = None
    failure: AlphaPulseError | None = None

    @property
    def ok(self) -> bool:
        return self.failure is None


def run_checks(request: OrderRequest, situation: OrderSituation) -> tuple[Check, ...]:
    """Every check there is for this request, the gravest first.

    What is not on the venue's grid fails on the grid, and is looked at as if it were on it
    everywhere else.
    """
    found: list[Check] = []
    normal = on_grid(request, situation.instrument)
    for check in _CHECKS:
        found += check(request if check is _grid else normal, situation)
    return tuple(found)


def require(checks: Iterable[Check]) -> None:
    """Raise the failure of the first check that has one."""
    for check in checks:
        if check.failure is not None:
            raise check.failure


def with_trigger(request: OrderRequest, ticker: Ticker | None) -> OrderRequest:
    """The request with the side of the price on which its stop waits.

    Raises:
        PriceNotGood: there is no price to compare with.
        InvalidInput: the price is there already, so it would not wait at all.
    """
    if request.stop_price is None:
        return request
    price = None if ticker is None else ticker.price
    if price is None:
        raise PriceNotGood("there is no price to say on which side the stop waits")
    if request.stop_price == price:
        raise InvalidInput("the price is at the stop already", field="stop_price", limit=price)
    rises = request.stop_price > price
    return replace(request, trigger=Trigger.RISES if rises else Trigger.FALLS)


def _account(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    account = situation.account
    state, may_trade = account.state, account.permissions.trade
    inactive = wrong_money = read_only = None
    if state is not AccountState.ACTIVE:
        inactive = Conflict(f"the account is {state}", check="account_active", state=state.value)
    if situation.is_paper and not account.is_simulated:
        wrong_money = InvalidInput(
            "paper is asked for, and this account is real", field="paper", check="paper"
        )
    if may_trade is False:
        read_only = KeyReadOnly("the key of this account may not trade", check="key_may_trade")
    return [
        Check("account_active", AccountState.ACTIVE, state, inactive),
        Check("paper", value="simulated" if account.is_simulated else "real", failure=wrong_money),
        Check("key_may_trade", "trade", _said(may_trade), read_only),
    ]


def _mode(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    mode, failure = situation.mode, None
    if not mode.allows(request):
        detail = {
            TradingMode.HALTED: "trading is halted",
            TradingMode.REDUCING: "only orders that make a position smaller may be sent",
        }
        failure = TradingHalted(detail.get(mode, str(mode)), check="trading_mode", limit=mode)
    return [Check("trading_mode", TradingMode.ACTIVE, mode, failure)]


def _market(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    is_active = situation.instrument.is_active
    closed = None
    if not is_active:
        closed = InstrumentUnavailable(
            f"{request.symbol} is not traded at present", check="market_active"
        )
    checks = [Check("market_active", "active", "active" if is_active else "halted", closed)]
    for allowance in situation.allowances:
        symbols = allowance.limits.symbols
        if symbols is None:
            continue
        limit, failure = ", ".join(sorted(symbols)), None
        if request.symbol not in symbols:
            failure = _over("market_allowed", f"{request.symbol} is not on the list of markets of"
                            f" {allowance.subject}", limit, request.symbol)  # fmt: skip
        checks.append(Check("market_allowed", limit, request.symbol, failure))
    return checks


def _supported(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    able = situation.abilities
    if able is None:
        unable = OrderNotSupported(
            "orders cannot be placed on this exchange", check="supported", field="account_id"
        )
        return [Check("supported", failure=unable)]
    types = ", ".join(sorted(able.types))
    exits = request.take_profit is not None or request.stop_loss is not None
    for field, is_possible in (
        ("type", request.type in able.types),
        ("quote_quantity", able.has_quote_quantity or request.quote_quantity is None),
        ("time_in_force", able.has_gtd or request.time_in_force is not TimeInForce.GTD),
        ("take_profit", able.has_attached_exits or not exits),
    ):
        if not is_possible:
            unable = OrderNotSupported(
                f"this exchange takes no order with this {field} in this market",
                check="supported", field=field, limit=types,
            )  # fmt: skip
            return [Check("supported", types, request.type, unable)]
    return [Check("supported", types, request.type), *_exits(request, situation)]


def _exits(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    """A profit lies beyond the price of the order, a loss on its other side."""
    price = situation.cost.price
    sign = 1 if request.side is Side.BUY else -1
    checks = []
    for field, direction in (("take_profit", sign), ("stop_loss", -sign)):
        exit_price: Decimal | None = getattr(request, field)
        if exit_price is None or price is None:
            continue
        is_beyond = (exit_price > price) if direction > 0 else (exit_price < price)
        limit = f"{'above' if direction > 0 else 'below'} {plain(price)}"
        failure = None
        if not is_beyond:
            failure = InvalidInput(
                f"the {field} must be {limit}",
                field=field,
                check=field,
                limit=limit,
                value=exit_price,
            )
        checks.append(Check(field, limit, plain(exit_price), failure))
    return checks


def _grid(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    flaws = {flaw.field: flaw for flaw in off_grid(request, situation.instrument)}
    checks = []
    for field in ("quantity", "limit_price", "stop_price", "take_profit", "stop_loss"):
        value: Decimal | None = getattr(request, field)
        if value is not None:
            instrument = situation.instrument
            step = instrument.lot_size if field == "quantity" else instrument.tick_size
            flaw = flaws.get(field)
            failure = None if flaw is None else _bad_step(flaw)
            checks.append(Check(f"{field}_step", plain(step), plain(value), failure))
    return checks


def _bad_step(flaw: OffGrid) -> BadStep:
    above, below, step = plain(flaw.above), plain(flaw.below), plain(flaw.step)
    nearest = f"the nearest are {below} or {above}" if flaw.below > 0 else f"the least is {above}"
    return BadStep(
        f"the {flaw.field} must be a multiple of {step}; {nearest}",
        field=flaw.field,
        check=f"{flaw.field}_step",
        limit=flaw.step,
        value=flaw.value,
        below=flaw.below,
        above=flaw.above,
    )


def _size(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    instrument, quantity = situation.instrument, request.quantity
    notional = situation.cost.notional
    checks = []
    if quantity is not None:
        checks += [
            _at_least("min_quantity", instrument.min_quantity, quantity, "quantity"),
            _at_most("max_quantity", instrument.max_quantity, quantity,
                     "more than the exchange takes in one order", "quantity"),
        ]  # fmt: skip
    if notional is not None and not request.reduce_only:
        checks.append(_at_least("min_notional", instrument.min_notional, notional, "quantity"))
    return [check for check in checks if check.limit is not None]


def _price(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    limits = [allowance.limits for allowance in situation.allowances]
    ticker = situation.ticker
    price = None if ticker is None else ticker.price
    if ticker is None or price is None or price <= 0:
        none = PriceNotGood(f"there is no price of {request.symbol}", check="price_age")
        return [Check("price_age", failure=none)]
    return [
        _price_age(situation, ticker, _least(one.max_price_age_s for one in limits)),
        _spread(ticker, _least(one.max_spread_pct for one in limits)),
        *_bands(request, price, _least(one.price_band_pct for one in limits)),
    ]


def _price_age(situation: OrderSituation, ticker: Ticker, limit: Decimal | None) -> Check:
    age_ms = max(0, (situation.now - ticker.received_at) // timedelta(milliseconds=1))
    age_s = Decimal(age_ms).scaleb(-3)
    failure = None
    if limit is not None and age_s > limit:
        failure = PriceNotGood(
            f"the last price is {plain(age_s)} s old; {plain(limit)} s are allowed",
            check="price_age", limit=limit, value=age_s,
        )  # fmt: skip
    return Check("price_age", _plain(limit), plain(age_s), failure)


def _spread(ticker: Ticker, limit: Decimal | None) -> Check:
    failure = spread = None
    if ticker.bid is not None and ticker.ask is not None and ticker.bid > 0:
        middle = EXACT.divide(add(ticker.bid, ticker.ask), _TWO)
        spread = _percent(EXACT.subtract(ticker.ask, ticker.bid), middle)
    if limit is not None and (spread is None or spread > limit):
        found = "not known" if spread is None else f"{plain(spread)} %"
        failure = PriceNotGood(
            f"the spread of bid and ask is {found}; {plain(limit)} % are allowed",
            check="spread", limit=limit, value=spread,
        )  # fmt: skip
    return Check("spread", _plain(limit), _plain(spread), failure)


def _bands(request: OrderRequest, price: Decimal, limit: Decimal | None) -> list[Check]:
    checks = []
    for field in ("limit_price", "stop_price"):
        asked: Decimal | None = getattr(request, field)
        if asked is None:
            continue
        off = _percent(abs(EXACT.subtract(asked, price)), price)
        failure = None
        if limit is not None and off > limit:
            failure = PriceOutOfBand(
                f"the {field} is {plain(off)} % off the last price of {plain(price)};"
                f" {plain(limit)} % are allowed",
                field=field, check="price_band", limit=limit, value=off,
            )  # fmt: skip
        checks.append(Check("price_band", _plain(limit), plain(off), failure))
    return checks


def _position(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    """A reduce-only order needs a position on the other side."""
    if not request.reduce_only:
        return []
    reduced = PositionSide.SHORT if request.side is Side.BUY else PositionSide.LONG
    held = [p.quantity for p in situation.positions
            if p.symbol == request.symbol and p.side is reduced]  # fmt: skip
    failure = None
    if not held:
        failure = OrderRefused(
            f"there is no {reduced} position in {request.symbol} to reduce",
            field="reduce_only", check="position", limit=reduced.value,
        )  # fmt: skip
    return [Check("position", reduced, plain(sum(held, ZERO)), failure)]


def _value(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    checks = []
    for one in situation.allowances:
        limits, value, currency = one.limits, situation.value, situation.currency
        is_limited = limits.max_order_value is not None or limits.max_daily_value is not None
        if value is None and is_limited:
            unknown = PriceNotGood(
                f"what it is worth in {currency} is not known, so no limit can be kept",
                check="max_order_value",
            )
            return [Check("max_order_value", failure=unknown)]
        if value is None:
            continue
        today = add(one.used_today, situation.added_value or ZERO)
        checks += [
            _at_most("max_order_value", limits.max_order_value, value,
                     f"worth more {currency} than {one.subject} may order at once"),
            _at_most("max_daily_value", limits.max_daily_value, today,
                     f"with it {one.subject} would order more {currency} than allowed in a day"),
        ]  # fmt: skip
    return [check for check in checks if check.limit is not None]


def _pace(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    checks = []
    for one in situation.allowances:
        limit = one.limits.orders_per_minute
        if limit is None:
            continue
        failure = None
        if one.orders >= limit:
            failure = OrderBudgetSpent(
                f"{one.subject} may place {limit} orders in a minute",
                check="orders_per_minute", limit=limit, value=one.orders,
                retry_after_s=one.oldest_in_s,
            )  # fmt: skip
        checks.append(Check("orders_per_minute", str(limit), str(one.orders), failure))
    return checks


def _funds(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    needed, asset = situation.cost.needed, situation.cost.asset
    available = situation.available
    failure = None
    if needed is not None and (available is None or available < needed):
        free = "an unknown amount" if available is None else plain(available)
        failure = NotEnoughFree(
            f"it needs {plain(needed)} {asset}, and {free} is free",
            check="funds", limit=available, value=needed, asset=asset,
        )  # fmt: skip
    return [Check("funds", _plain(available), _plain(needed), failure)]


_CHECKS: tuple[Callable[[OrderRequest, OrderSituation], list[Check]], ...] = (
    *(_account, _mode, _market, _supported, _grid, _size, _price),
    *(_position, _value, _pace, _funds),
)


def _at_least(name: str, limit: Decimal | None, value: Decimal, field: str) -> Check:
    failure = None
    if limit is not None and value < limit:
        what = "worth" if name == "min_notional" else field
        failure = BelowMinimum(
            f"{what} {plain(value)} is less than the {plain(limit)} that the exchange trades",
            field=field, check=name, limit=limit, value=value,
        )  # fmt: skip
    return Check(name, _plain(limit), plain(value), failure)


def _at_most(
    name: str, limit: Decimal | None, value: Decimal, detail: str, field: str | None = None
) -> Check:
    failure = None
    if limit is not None and value > limit:
        detail = f"{detail}: {plain(value)}, {plain(limit)} is allowed"
        failure = _over(name, detail, limit, value, field)
    return Check(name, _plain(limit), plain(value), failure)


def _over(
    name: str, detail: str, limit: object, value: object, field: str | None = None
) -> OverLimit:
    facts = {} if field is None else {"field": field}
    return OverLimit(detail, check=name, limit=limit, value=value, **facts)


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    exactly = multiply(EXACT.divide(part, whole), _HUNDRED)
    return exactly.quantize(_SHOWN, rounding=ROUND_UP, context=EXACT)


def _least(limits: Iterable[Decimal | None]) -> Decimal | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _plain(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)


def _said(may: bool | None) -> str:
    return {True: "trade", False: "read only", None: "unknown"}[may]
