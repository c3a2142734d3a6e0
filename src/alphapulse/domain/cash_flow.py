"""Cash flows: what moved an account's assets besides its fills, as the venue tells it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, Symbol


class FlowKind(StrEnum):
    DEPOSIT = "deposit"
    """From outside the venue."""
    WITHDRAWAL = "withdrawal"
    """To outside the venue."""
    TRANSFER = "transfer"
    """Between wallets of the venue, or from another account there."""
    FUNDING = "funding"
    PROFIT = "profit"
    """Realized by a contract; the fee of its fill is told with the fill."""
    CONVERSION = "conversion"
    """One half of an exchange of one asset for another that was no order: dust, a quick swap. Both
    halves have the same ``reference``."""
    REWARD = "reward"
    INTEREST = "interest"
    """Earned, or paid when negative."""
    FEE = "fee"
    """Beside fills: of a liquidation, of borrowing, of a withdrawal told apart from it."""
    OTHER = "other"
    """The venue tells the movement and a name for it that we do not know."""


@dataclass(frozen=True, slots=True)
class CashFlow:
    """One movement of one asset.

    ``id`` is the adapter's, the same whenever the movement is told again and unique in its account
    (``deposit:8812``, ``income:FUNDING_FEE:99``). ``quantity`` is the change of the account's
    total, signed, without ``fee``; a ``fee`` is positive, in units of the same asset, and leaves
    the account on top.
    """

    account_id: AccountId
    exchange: ExchangeId
    id: str
    kind: FlowKind
    asset: Asset
    quantity: Decimal
    occurred_at: datetime
    fee: Decimal | None = None
    symbol: Symbol | None = None
    """What it was paid for: funding, profit."""
    reference: str | None = None
    """The venue's or the chain's name of it, which the other side of a transfer shows too."""
    note: str | None = None
    """The venue's own word for its kind."""


@dataclass(frozen=True, slots=True)
class FlowCursor:
    """Where the reading of one list of cash flows stands; opaque outside the adapter.

    ``source`` names the list (``deposits``, ``income``). ``position`` is stored with the flows it
    follows.
    """

    source: str
    position: str
