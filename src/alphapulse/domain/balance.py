"""Balance: how much of one asset one wallet holds."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.money import EXACT


class Wallet(StrEnum):
    """Where in an account the asset lies."""

    SPOT = "spot"
    UNIFIED = "unified"
    FUNDING = "funding"
    MARGIN = "margin"
    FUTURES = "futures"
    EARN = "earn"


@dataclass(frozen=True, slots=True)
class Balance:
    """In units of ``asset``: total = free + locked; ``borrowed`` is owed on top, never netted."""

    wallet: Wallet
    asset: Asset
    free: Decimal
    locked: Decimal
    borrowed: Decimal

    @property
    def total(self) -> Decimal:
        return EXACT.add(self.free, self.locked)

    @property
    def is_empty(self) -> bool:
        """Nothing there, and nothing owed."""
        return not (self.total or self.borrowed)


@dataclass(frozen=True, slots=True)
class BalanceReport:
    """Every balance of the wallets that were asked, at one moment.

    An asset that is absent is zero *only* in ``wallets``; of any other wallet nothing is known.
    ``is_partial`` marks a stream's report of changed assets alone.
    """

    account_id: AccountId
    wallets: frozenset[Wallet]
    balances: tuple[Balance, ...]
    occurred_at: datetime
    received_at: datetime
    is_partial: bool = False
