"""Order Shape: whether a request says one thing, before any market or account is looked at. Pure.

A market order has no price of its own, a limit order has one, a stop waits for one.
"""

from datetime import datetime
from decimal import Decimal

from alphapulse.domain.money import ZERO
from alphapulse.domain.order import OrderRequest, OrderType, TimeInForce
from alphapulse.errors import InvalidInput

# No token supply has more before the point, no venue more after it.
WHOLE_DIGITS_MAX = 20
FRACTION_DIGITS_MAX = 18

_NUMBERS = (
    *("quantity", "quote_quantity", "limit_price", "stop_price", "trailing_pct", "leverage"),
    *("take_profit", "stop_loss"),
)
_LIMITED = (OrderType.LIMIT, OrderType.STOP_LIMIT)
_STOPPED = (OrderType.STOP, OrderType.STOP_LIMIT)


def require_one_meaning(request: OrderRequest, now: datetime) -> None:
    """Let pass what can be understood in one way only.

    Raises:
        InvalidInput: a field is missing, impossible, or contradicts another; it is named.
    """
    for field in _NUMBERS:
        _require_number(field, getattr(request, field))
    _require_amount(request)
    _require_prices(request)
    _require_time_in_force(request, now)
    _require_contract(request)


def _require_number(field: str, number: Decimal | None) -> None:
    if number is None:
        return
    if number <= ZERO:
        raise InvalidInput(
            f"the {field} must be more than 0",
            field=field,
            check=field,
            limit="more than 0",
            value=number,
        )
    whole = max(number.adjusted() + 1, 1)
    exponent = number.as_tuple().exponent
    fraction = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    if whole > WHOLE_DIGITS_MAX or fraction > FRACTION_DIGITS_MAX:
        raise InvalidInput(
            f"the {field} has more than {WHOLE_DIGITS_MAX} digits before the point"
            f" or more than {FRACTION_DIGITS_MAX} after it",
            field=field,
            check=field,
            limit=f"{WHOLE_DIGITS_MAX}.{FRACTION_DIGITS_MAX}",
            value=f"{whole}.{fraction}",
        )


def _require_amount(request: OrderRequest) -> None:
    if (request.quantity is None) == (request.quote_quantity is None):
        raise InvalidInput("give either quantity or quote_quantity", field="quantity")
    if request.quote_quantity is not None and request.type is not OrderType.MARKET:
        raise InvalidInput("only a market order has a quote_quantity", field="quote_quantity")


def _require_prices(request: OrderRequest) -> None:
    kind = request.type
    if kind is OrderType.OTHER:
        raise InvalidInput("no order of this type can be placed", field="type")
    for field, is_wanted in (
        ("limit_price", kind in _LIMITED),
        ("stop_price", kind in _STOPPED),
        ("trailing_pct", kind is OrderType.TRAILING_STOP),
    ):
        if (getattr(request, field) is not None) != is_wanted:
            verb = "needs a" if is_wanted else "has no"
            raise InvalidInput(f"a {kind} order {verb} {field}", field=field)


def _require_time_in_force(request: OrderRequest, now: datetime) -> None:
    force = request.time_in_force
    if force is not None and request.type not in _LIMITED:
        raise InvalidInput(f"a {request.type} order has no time_in_force", field="time_in_force")
    is_good_till_date = force is TimeInForce.GTD
    if (request.expires_at is not None) != is_good_till_date:
        raise InvalidInput("expires_at goes with time_in_force gtd, and only there",
                           field="expires_at")  # fmt: skip
    if request.expires_at is not None and request.expires_at <= now:
        raise InvalidInput("expires_at is not in the future", field="expires_at")
    if request.post_only and not _may_rest(request):
        raise InvalidInput("post_only is for limit orders that may rest in the book",
                           field="post_only")  # fmt: skip


def _may_rest(request: OrderRequest) -> bool:
    is_kept = request.time_in_force in {None, TimeInForce.GTC, TimeInForce.GTD}
    return request.type is OrderType.LIMIT and is_kept


def _require_contract(request: OrderRequest) -> None:
    if ":" in request.symbol:
        if request.quote_quantity is not None:
            raise InvalidInput("a contract is ordered by quantity", field="quote_quantity")
        return
    for field in ("reduce_only", "leverage", "margin_mode"):
        if getattr(request, field):
            raise InvalidInput(f"the {field} is for contracts, and this is spot", field=field)
