"""Rules of the Venue: kinds of orders, steps of price and quantity, sizes, positions to reduce."""

from decimal import Decimal

from alphapulse.domain.money import ZERO, plain
from alphapulse.domain.order import OrderRequest, Side, TimeInForce
from alphapulse.domain.order_checks.check import Check, at_most, in_words, plainly
from alphapulse.domain.order_checks.situation import OrderSituation
from alphapulse.domain.order_grid import OffGrid, off_grid
from alphapulse.domain.position import PositionSide
from alphapulse.errors import BadStep, BelowMinimum, InvalidInput, OrderNotSupported, OrderRefused


def check_kind(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    """The venue takes orders of this kind in this market, with these exits."""
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
                f"this exchange takes no order with this {in_words(field)} in this market;"
                f" its types are {in_words(types)}",
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
                f"the {in_words(field)} must be {limit}, the price of the order",
                field=field,
                check=field,
                limit=limit,
                value=exit_price,
            )
        checks.append(Check(field, limit, plain(exit_price), failure))
    return checks


def check_steps(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    """Price and quantity are multiples of what the venue counts in."""
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
        f"the {in_words(flaw.field)} must be a multiple of {step}; {nearest}",
        field=flaw.field,
        check=f"{flaw.field}_step",
        limit=flaw.step,
        value=flaw.value,
        below=flaw.below,
        above=flaw.above,
    )


def check_size(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    """Neither too small nor too large for the venue."""
    instrument, quantity = situation.instrument, request.quantity
    notional = situation.cost.notional
    checks = []
    if quantity is not None:
        checks += [
            _at_least("min_quantity", instrument.min_quantity, quantity, "quantity"),
            at_most("max_quantity", instrument.max_quantity, quantity,
                     "the quantity is more than the exchange takes in one order", "quantity"),
        ]  # fmt: skip
    if notional is not None and not request.reduce_only:
        checks.append(_at_least("min_notional", instrument.min_notional, notional, "quantity"))
    return [check for check in checks if check.limit is not None]


def _at_least(name: str, limit: Decimal | None, value: Decimal, field: str) -> Check:
    failure = None
    if limit is not None and value < limit:
        what = "it is worth" if name == "min_notional" else f"the {in_words(field)} is"
        failure = BelowMinimum(
            f"{what} {plain(value)}, and the least that the exchange takes is {plain(limit)}",
            field=field, check=name, limit=limit, value=value,
        )  # fmt: skip
    return Check(name, plainly(limit), plain(value), failure)


def check_position(request: OrderRequest, situation: OrderSituation) -> list[Check]:
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
