"""Trading: who may send what, how much of it, and whether books and venue agree."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.identifiers import AccountId, Symbol
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.order import OrderRequest, Side


class TradingMode(StrEnum):
    """The kill switch. It survives a restart and is looked at again right before each send."""

    ACTIVE = "active"
    REDUCING = "reduce_only"
    """Only orders that make a position smaller, and cancels."""
    HALTED = "halted"
    """Cancels only."""

    def allows(self, request: OrderRequest) -> bool:
        """Whether an order may be sent: on spot, a sale is what makes a holding smaller."""
        if self is TradingMode.REDUCING:
            is_spot = ":" not in request.symbol
            return request.reduce_only or (is_spot and request.side is Side.SELL)
        return self is TradingMode.ACTIVE


@dataclass(frozen=True, slots=True)
class TradingSwitch:
    """``account_id`` is ``None`` for the switch over all accounts."""

    account_id: AccountId | None
    mode: TradingMode
    reason: str
    changed_by: str | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class TradingLimits:
    """``None`` means no such limit. Values are in the currency of the settings."""

    max_order_value: Decimal | None = None
    max_daily_value: Decimal | None = None
    """Of all orders sent since midnight UTC."""
    orders_per_minute: int | None = None
    price_band_pct: Decimal | None = None
    """How far a limit or stop price may be from the last good one."""
    max_price_age_s: Decimal | None = None
    max_spread_pct: Decimal | None = None
    symbols: frozenset[Symbol] | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send for one account. A sender whose ``fence`` is not the newest has lost it,
    whatever it believes of the time."""

    account_id: AccountId
    holder: str
    fence: int
    expires_at: datetime


class CycleOutcome(StrEnum):
    CLEAN = "clean"
    VOID = "void"
    """Something could not be read completely; nothing was concluded."""
    DRIFT = "drift"
    """Books and venue disagree."""


@dataclass(frozen=True, slots=True)
class CycleReport:
    """What one reconciliation of one account found."""

    account_id: AccountId
    cause: str
    """boot, reconnect, timer or asked"""
    began_at: datetime
    ended_at: datetime
    outcome: CycleOutcome
    orders_read: int
    fills_new: int
    external: int
    """Orders of others seen for the first time."""
    unresolved: int
    """Orders whose fate is still unknown."""
    differences: int
    """Assets and positions in which books and venue disagree."""
    detail: str | None = None


class ResidualCause(StrEnum):
    """The likely cause of a residual, by what evidence there is."""

    FEE_IN_DOUBT = "fee_in_doubt"
    """The venue has yet to tell the fee of a fill."""
    UNREAD_FLOWS = "unread_flows"
    """Deposits, funding and the like are not read to their end."""
    MISSING_FILLS = "missing_fills"
    """Fills are not read to their end, or what moved can only have been a trade."""
    VENUE_LAG = "venue_lag"
    """Seen once so far: the venue's lists lag behind each other."""
    UNMATCHED_TRANSFER = "unmatched_transfer"
    """Only one end of a transfer is known."""
    UNKNOWN_DEPOSIT = "unknown_deposit"
    UNKNOWN_WITHDRAWAL = "unknown_withdrawal"


@dataclass(frozen=True, slots=True)
class AssetBook:
    """What an asset or a position of an account must be: what the exchange held when the book was
    opened, and what the ledger moved since.

    ``subject`` is an asset, or the symbol of a position. ``moved`` is the sum of the ledger's
    entries after ``opened_at``, on the venue's clock, and ``held`` what the exchange showed, both
    as of ``compared_at``.
    """

    account_id: AccountId
    subject: str
    anchor: Decimal
    """What the exchange held at ``opened_at``."""
    opened_at: datetime
    moved: Decimal
    held: Decimal
    compared_at: datetime
    cycles_off: int = 0
    """In how many cycles in a row the venue showed something else."""
    off_by: Decimal = ZERO
    """What the venue held beyond ``expected``, where that is more than rounding."""
    off_since: datetime | None = None
    """The first comparison that showed a difference."""
    cause: ResidualCause | None = None

    @property
    def expected(self) -> Decimal:
        return EXACT.add(self.anchor, self.moved)
