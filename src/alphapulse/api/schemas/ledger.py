"""Bodies of the ledger: movements, transfers, and the proof that they add up."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from alphapulse.api.schemas.base import Body, Cursor, Dec, Input, Limit, Page, Timestamp, View
from alphapulse.api.schemas.trading import CycleView, Reason
from alphapulse.domain.ledger import Book, EntryKind
from alphapulse.domain.trading import ResidualCause

_Account: list[str] = Field(
    default=[], max_length=100, description="Only these; all of yours without."
)
_Subject = Annotated[str, Field(max_length=80, examples=["BTC"])]


class TransactionsQuery(Input):
    """Which entries, newest first. `asset` is an asset, or the symbol of a contract."""

    account: list[str] = _Account
    exchange: str | None = None
    kind: list[EntryKind] = Field(default=[], max_length=len(EntryKind))
    asset: _Subject | None = None
    from_: datetime | None = Field(default=None, alias="from")
    to: datetime | None = None
    cursor: Cursor = None
    limit: Limit = 100


class PostingView(View):
    """`quantity` of an asset, or of a contract under its symbol, came into `book`; negative went
    out of it. `venue` is what the exchange holds."""

    book: Book
    asset: str
    quantity: Dec


class TransactionView(View):
    """One movement. Its postings sum to zero for each asset.

    `at` is the exchange's time, `recorded_at` ours. `reference` is the exchange's or the chain's
    name of it, `note` the exchange's word for its kind, or a person's reason.
    """

    id: str
    account_id: str
    exchange: str
    kind: EntryKind
    at: Timestamp
    recorded_at: Timestamp
    symbol: str | None
    reference: str | None
    note: str | None
    postings: list[PostingView]


class TransactionPage(Page[TransactionView]):
    """Movements, newest first."""


class TransfersQuery(Input):
    """Which transfers, newest first."""

    account: list[str] = _Account
    exchange: str | None = None
    kind: list[Literal["deposit", "withdrawal", "transfer"]] = Field(default=[], max_length=3)
    asset: _Subject | None = None
    from_: datetime | None = Field(default=None, alias="from")
    to: datetime | None = None
    cursor: Cursor = None
    limit: Limit = 100


class TransferView(View):
    """One deposit, withdrawal, or transfer between wallets or accounts of the exchange.

    `quantity` is what came into the account, negative what left it, without `fee`, which left it
    on top, in the same asset.
    """

    id: str
    account_id: str
    exchange: str
    kind: Literal["deposit", "withdrawal", "transfer"]
    asset: str
    quantity: Dec
    fee: Dec | None
    reference: str | None
    note: str | None
    at: Timestamp


class TransferPage(Page[TransferView]):
    """Transfers, newest first."""


class ReconcileQuery(Input):
    """The proof of which accounts, and of which asset."""

    account: list[str] = _Account
    exchange: str | None = None
    asset: _Subject | None = None
    residuals: bool = Field(default=False, description="Only what does not add up.")


class ProofView(View):
    """One asset, or one position under its symbol: `opening` + `entries` = `expected`, and
    `expected` + `residual` = `exchange_total`, as of `compared_at`.

    `opening` was there before the history that is known: nothing tells where it came from.
    `since` is the first comparison that showed the residual, `cause` the likely one.
    """

    asset: str
    opening: Dec
    entries: Dec
    expected: Dec
    exchange_total: Dec
    residual: Dec
    since: Timestamp | None
    cause: ResidualCause | None
    opened_at: Timestamp
    compared_at: Timestamp


class AccountProofView(View):
    """The proof of one account. `complete` is false while a history is being read, before the
    first comparison, and when the last one could not be completed."""

    account_id: str
    exchange: str
    label: str
    complete: bool
    assets: list[ProofView]
    last_report: CycleView | None


class ReconcileBody(Body):
    """How far the ledger adds up to what the exchanges show."""

    accounts: list[AccountProofView]
    residual_count: int


class AcceptBody(Input):
    """A residual that you accept: exactly this much, or nothing is booked."""

    account_id: str = Field(max_length=100, examples=["binance-1a2b3c4d"])
    asset: _Subject
    residual: Dec
    reason: Reason = Field(examples=["airdrop of 2021, the exchange lists it no more"])


class AcceptedBody(Body):
    """The adjustment that was booked."""

    transaction: TransactionView
