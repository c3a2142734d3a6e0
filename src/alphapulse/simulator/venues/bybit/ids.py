"""Bybit's ids: numbers of the core in the forms the venue gives them."""

from uuid import NAMESPACE_OID, UUID, uuid5

from alphapulse.simulator.core.desk import FORCED_IDS
from alphapulse.simulator.core.events import FundingCharged
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.order import Fill, Order

# Spot orders have long decimal numbers, contracts have UUIDs; both hold the core's number.
_SPOT_BASE = 1_900_000_000_000_000_000
_INVENTED = ("sim-", *FORCED_IDS.values())
_LINEAR_BASE = 0x5105_0000_0000_4000_8000_0000_0000_0000


def order_id(order: Order) -> str:
    """The venue's id of an order."""
    return order_id_of(order.instrument.category, order.id)


def order_id_of(category: Category, number: int) -> str:
    if category is Category.SPOT:
        return str(_SPOT_BASE + number)
    return str(UUID(int=_LINEAR_BASE + number))


def order_number(text: str) -> int | None:
    """The core's number of an order id; ``None`` when it cannot be one of ours."""
    if text.isdigit() and len(text) == len(str(_SPOT_BASE)):
        return int(text) - _SPOT_BASE
    try:
        return UUID(text).int - _LINEAR_BASE
    except ValueError:
        return None


def link_id(client_order_id: str, number: int) -> str:
    """The client's id; empty where the core had to invent one, because Bybit invents none."""
    is_invented = client_order_id in {f"{prefix}{number}" for prefix in _INVENTED}
    return "" if is_invented else client_order_id


def execution_id(fill: Fill) -> str:
    """Differs between the two sides of a trade."""
    return event_id(fill.instrument.category, fill.instrument.name, fill.trade_id, fill.order_id)


def charge_id(charge: FundingCharged) -> str:
    """The execution that a funding charge is listed as."""
    return event_id("funding", charge.account_id, charge.instrument.name, charge.trade_id)


def event_number(*parts: object) -> int:
    """A long number that is the same for the same parts."""
    return uuid5(NAMESPACE_OID, ":".join(str(part) for part in parts)).int >> 68


def event_id(*parts: object) -> str:
    """A UUID that is the same for the same parts."""
    return str(uuid5(NAMESPACE_OID, ":".join(str(part) for part in parts)))
