"""The Situation: all that the checks of an order look at."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from alphapulse.domain.account import Account
from alphapulse.domain.instrument import Instrument
from alphapulse.domain.market import Ticker
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.order import OrderType
from alphapulse.domain.order_cost import OrderCost
from alphapulse.domain.position import Position
from alphapulse.domain.trading import TradingLimits, TradingMode

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

    @property
    def left_today(self) -> Decimal | None:
        """``None``: no limit."""
        most = self.limits.max_daily_value
        return None if most is None else max(ZERO, EXACT.subtract(most, self.used_today))


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
