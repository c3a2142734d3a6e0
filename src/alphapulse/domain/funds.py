"""Funds: what of an account is free for one more order. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from alphapulse.domain.balance import Balance, Wallet
from alphapulse.domain.identifiers import Asset, Symbol
from alphapulse.domain.money import EXACT, ZERO, total

_SPOT = (Wallet.SPOT, Wallet.UNIFIED)
_CONTRACTS = (Wallet.FUTURES, Wallet.UNIFIED)


@dataclass(frozen=True, slots=True)
class Hold:
    """What one order holds back; ``is_at_venue`` when the venue has it and has locked it too."""

    symbol: Symbol
    asset: Asset
    amount: Decimal
    is_at_venue: bool


def left_of(reserved: Decimal, quantity: Decimal | None, filled: Decimal) -> Decimal:
    """What an order still holds back after a part of it was filled."""
    if not quantity:
        return reserved
    left = max(ZERO, EXACT.subtract(quantity, filled))
    return EXACT.divide(EXACT.multiply(reserved, left), quantity)


def available(
    balances: Iterable[Balance], holds: Iterable[Hold], asset: Asset, *, for_contract: bool
) -> Decimal:
    """How much of ``asset`` another order in this kind of market may take.

    The venue locks what its open orders hold, but tells of it later or earlier than of the order.
    So two bounds, of which the lower counts: what it calls free without the orders it may not know
    yet, and all that is there without any order of ours. Orders of others are in the first alone;
    the venue has the last word.
    """
    wallets = _CONTRACTS if for_contract else _SPOT
    mine = [one for one in balances if one.asset == asset and one.wallet in wallets]
    is_unified = any(one.wallet is Wallet.UNIFIED for one in mine)
    held = [
        hold
        for hold in holds
        if hold.asset == asset and (is_unified or (":" in hold.symbol) is for_contract)
    ]
    on_their_way = total([hold.amount for hold in held if not hold.is_at_venue])
    free = EXACT.subtract(total([one.free for one in mine]), on_their_way)
    left = EXACT.subtract(total([one.total for one in mine]), total([h.amount for h in held]))
    return min(free, left)
