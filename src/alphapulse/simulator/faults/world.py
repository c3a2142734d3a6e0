"""Faults that change the world, just before the request that they strike is served, and those of
single orders. What they changed stays so."""

from typing import Literal

from pydantic import Field

from alphapulse.simulator.core.instrument import MarketStatus
from alphapulse.simulator.core.refusal import RefusalReason
from alphapulse.simulator.faults.fault import ORDER, BaseFault, Occasion


class WorldFault(BaseFault):
    """Base of what changes the world."""


class _OfAccount(WorldFault):
    """Base of what befalls the account that asks; who asks nothing of an account is let pass."""

    def concerns(self, occasion: Occasion) -> bool:
        return bool(occasion.account) and super().concerns(occasion)


class RevokedKey(_OfAccount):
    """The account's key stops existing."""

    kind: Literal["revoked_key"] = "revoked_key"


class ChangedPermissions(_OfAccount):
    """What the account's key may do, where it is given. ``ip_refused``: not from this address."""

    kind: Literal["changed_permissions"] = "changed_permissions"
    read: bool | None = None
    trade: bool | None = None
    withdraw: bool | None = None
    ip_refused: bool | None = None


class EndedUserStream(_OfAccount):
    """The account's own streams end, their sockets stay open: ``eventStreamTerminated`` on Binance
    spot and ``listenKeyExpired`` on USD-M, whose key is then unknown. Bybit knows no such thing."""

    kind: Literal["ended_user_stream"] = "ended_user_stream"


class OfSymbol(WorldFault):
    """Base of what befalls a symbol, the venue's own: its spot market and its perpetual."""

    symbol: str


class SkewedClock(WorldFault):
    """The venue's clock is off by ``offset_s`` (positive: ahead)."""

    kind: Literal["skewed_clock"] = "skewed_clock"
    offset_s: float = Field(default=30, ge=-86_400, le=86_400)


class HaltedSymbol(OfSymbol):
    """A symbol stops trading: ``halt``, ``break``, or for good with ``delisted``."""

    kind: Literal["halted_symbol"] = "halted_symbol"
    status: MarketStatus = MarketStatus.HALT


class ChangedFilters(OfSymbol):
    """The venue asks so many times more of new orders: tick, step of quantity, least notional."""

    kind: Literal["changed_filters"] = "changed_filters"
    tick_times: int = Field(default=1, ge=1, le=1_000)
    lot_times: int = Field(default=1, ge=1, le=1_000)
    notional_times: int = Field(default=1, ge=1, le=1_000)


class RestartedBooks(OfSymbol):
    """The venue's stream service starts again: Bybit sends a new snapshot with ``u`` 1."""

    kind: Literal["restarted_books"] = "restarted_books"


class TradeBurst(OfSymbol):
    """So many trades at once, each of the smallest quantity, with all the frames they make."""

    kind: Literal["trade_burst"] = "trade_burst"
    trades: int = Field(default=1_000, ge=1, le=100_000)


class OrderFault(BaseFault):
    """Base of what befalls a new order; matched by venue, account and symbol."""

    def concerns(self, occasion: Occasion) -> bool:
        return occasion.method == ORDER and super().concerns(occasion)


class RefusedOrder(OrderFault):
    """The venue refuses the order in its own words. The second half of a cancel-replace, too."""

    kind: Literal["refused_order"] = "refused_order"
    reason: RefusalReason = RefusalReason.INSUFFICIENT_BALANCE


class RejectedOrder(OrderFault):
    """The order is accepted, and rejected afterwards on the account's stream."""

    kind: Literal["rejected_order"] = "rejected_order"
    why: str = "EC_NoEnoughQtyToFill"


AnyWorldFault = (
    RevokedKey
    | ChangedPermissions
    | EndedUserStream
    | SkewedClock
    | HaltedSymbol
    | ChangedFilters
    | RestartedBooks
    | TradeBurst
)
AnyOrderFault = RefusedOrder | RejectedOrder
