"""Constraints: how far a plan may go, and what it must leave alone. Pure.

Per cent are of a hundred; values are in the base currency of the plan. ``None`` is no limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.money import ZERO
from alphapulse.domain.order import OrderType
from alphapulse.errors import InvalidInput

_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a weight may be from its target before it is worth a trade.

    Of two bands the narrower counts; with none, every difference does. ``to_edge`` trades back to
    the edge of the band, and not to the target.
    """

    absolute_pct: Decimal | None = None
    """Points of weight."""
    relative_pct: Decimal | None = None
    """Of the target weight."""
    to_edge: bool = False

    def __post_init__(self) -> None:
        _require_not_negative(self, "tolerance", "absolute_pct", "relative_pct")

    def band(self, target: Decimal) -> Decimal:
        """Half the width of the band around a target weight, as a share of one."""
        widths = []
        if self.absolute_pct is not None:
            widths.append(self.absolute_pct / _HUNDRED)
        if self.relative_pct is not None:
            widths.append(self.relative_pct / _HUNDRED * target)
        return min(widths, default=ZERO)


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a person allows a plan to do.

    ``keep`` is what of an asset is never sold, in its units over all accounts. An asset in
    ``exclude`` is neither traded nor counted. With ``avoid_gain_above``, no sale is planned that
    would take the realized gain of the plan above it, or whose gain nobody knows.
    """

    max_turnover_pct: Decimal | None = None
    """The larger of what is sold and what is bought, of the base value."""
    min_trade_value: Decimal | None = None
    max_spread_pct: Decimal | None = None
    max_slippage_pct: Decimal | None = None
    max_fee: Decimal | None = None
    """All fees of the plan."""
    keep: Mapping[Asset, Decimal] = field(default_factory=dict)
    exclude: frozenset[Asset] = frozenset()
    allow_sell: bool = True
    allow_buy: bool = True
    avoid_gain_above: Decimal | None = None

    def __post_init__(self) -> None:
        _require_not_negative(
            self, "constraints", "max_turnover_pct", "min_trade_value", "max_spread_pct",
            "max_slippage_pct", "max_fee",
        )  # fmt: skip
        for asset, quantity in self.keep.items():
            if quantity < 0:
                raise InvalidInput(
                    "cannot be negative", field=f"constraints/keep/{asset}", value=quantity
                )


class OnTimeout(StrEnum):
    """What becomes of a limit order that is not filled in time."""

    CANCEL = "cancel"
    MARKET = "market"
    """Canceled, and what is left of it goes to the market."""
    LEAVE = "leave"
    """It stays in the book, and the run goes on without it."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a plan trades.

    A limit order crosses the spread and goes ``offset_bps`` beyond the other side's best price;
    with ``post_only`` it rests that far behind the best price of its own side.
    """

    type: OrderType = OrderType.LIMIT
    post_only: bool = False
    offset_bps: Decimal = ZERO
    step_timeout_s: int = 60
    on_timeout: OnTimeout = OnTimeout.CANCEL

    def __post_init__(self) -> None:
        if self.type not in {OrderType.LIMIT, OrderType.MARKET}:
            raise InvalidInput("only limit or market", field="style/type", value=self.type)
        if self.post_only and self.type is OrderType.MARKET:
            raise InvalidInput("a market order cannot rest", field="style/post_only")
        if not 0 <= self.offset_bps < 10_000:
            raise InvalidInput("0 to 10000 bps", field="style/offset_bps", value=self.offset_bps)
        if self.step_timeout_s <= 0:
            raise InvalidInput("must be positive", field="style/step_timeout_s")


def _require_not_negative(of: Tolerance | Constraints, where: str, *names: str) -> None:
    for name in names:
        value: Decimal | None = getattr(of, name)
        if value is not None and value < 0:
            raise InvalidInput("cannot be negative", field=f"{where}/{name}", value=value)
