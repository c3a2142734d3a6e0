"""Bodies of the cost basis: lots, disposals, and the transfers that carry them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from alphapulse.api.schemas.base import Body, Cursor, Dec, Input, Limit, Page, Timestamp, View
from alphapulse.domain.cost_basis.disposals import Reason
from alphapulse.domain.cost_basis.lots import BasisQuality, Method, Source
from alphapulse.domain.cost_basis.records import Unexplained
from alphapulse.domain.rates import RateQuality
from alphapulse.domain.transfer_matching import Evidence

_Accounts: list[str] = Field(
    default=[], max_length=100, description="Only these; all of yours without."
)
_LotId = Annotated[str, Field(max_length=500, examples=["binance-1a2b3c4d|flow:deposit:77|BTC"])]


class LotsQuery(Input):
    """Which lots or disposals, newest first, by which method."""

    account: list[str] = _Accounts
    exchange: str | None = None
    asset: Annotated[str, Field(max_length=40, examples=["BTC"])] | None = None
    method: Method = Method.FIFO
    cursor: Cursor = None
    limit: Limit = 100


class PositionLotsQuery(Input):
    """By which method, and which page."""

    method: Method = Method.FIFO
    cursor: Cursor = None
    limit: Limit = 100


class TransferMatchView(View):
    """Two movements that are held to be one transfer, and why.

    `network_fee` was sent and did not arrive. `evidence` is `manual` where a person said so.
    """

    outgoing_account_id: str
    incoming_account_id: str
    asset: str
    sent: Dec
    received: Dec
    network_fee: Dec
    sent_at: Timestamp
    received_at: Timestamp
    evidence: Evidence
    reason: str


class LotView(View):
    """A quantity that was acquired at once and is held.

    `cost` is of what is `left`, fees included; `unit_cost` of one unit; `fee_share` how much of
    the cost of `quantity` was fees. They are null while the basis is unknown, and `missing` says
    what would help: `origin` means say what it cost or where it was sent from, `rate` that nobody
    knows the rate of its moment.
    """

    lot_id: str
    account_id: str
    exchange: str
    asset: str
    acquired_at: Timestamp
    source: Source
    quantity: Dec
    left: Dec
    cost: Dec | None
    unit_cost: Dec | None
    fee_share: Dec | None
    basis_quality: BasisQuality
    missing: Unexplained | None
    transfers: list[TransferMatchView]


class LotPage(Page[LotView]):
    """Lots, newest first. `meta.currency` is the currency of costs."""

    method: Method


class RateView(View):
    """What one `asset` was worth in `currency`, and who says so."""

    asset: str
    value: Dec
    currency: str
    as_of: Timestamp
    source: str
    quality: RateQuality


class DisposedLotView(View):
    """What one lot gave. Without a `lot_id` it is what the account was not known to hold."""

    lot_id: str | None
    quantity: Dec
    acquired_at: Timestamp | None
    cost: Dec | None
    proceeds: Dec | None
    gain: Dec | None


class DisposalView(View):
    """What left an account for something of value.

    `proceeds` are what it brought after `fees`; `gain` is theirs above the cost of the lots, null
    where any part of that is unknown. `missing_quantity` was not known to be held. `rates` are
    what the values were made with; none where it was paid in the currency itself.
    """

    id: str
    account_id: str
    exchange: str
    asset: str
    reason: Reason
    disposed_at: Timestamp
    quantity: Dec
    proceeds: Dec | None
    fees: Dec | None
    gain: Dec | None
    missing_quantity: Dec
    lots: list[DisposedLotView]
    rates: list[RateView]


class DisposalPage(Page[DisposalView]):
    """Disposals, newest first. `meta.currency` is the currency of values."""

    method: Method


class RepairBody(Input):
    """What a lot of unknown basis cost, all of it, in your currency, and when it was acquired.

    An opening is such a lot too: `ACCOUNT|opening|ASSET`.
    """

    account_id: str = Field(max_length=100)
    lot_id: _LotId
    cost: Annotated[Dec, Field(ge=0)]
    acquired_at: datetime | None = None


class RepairedBody(Body):
    """What was said; it is being counted."""

    account_id: str
    lot_id: str
    cost: Dec
    currency: str
    acquired_at: Timestamp | None
    status: Literal["recounting"] = "recounting"


class TransfersMatchedQuery(Input):
    """With an end in which accounts."""

    account: list[str] = _Accounts


class TransferMatchItem(TransferMatchView):
    """As it is listed. Undo it by its `id`."""

    id: str


class TransferMatchList(Page[TransferMatchItem]):
    """Every transfer that is known, the oldest first."""


class MatchBody(Input):
    """The ids of two transactions: what was sent, and what came in."""

    outgoing_id: Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]
    incoming_id: Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]


class MatchedBody(Body):
    """The transfer that was made of them; lots are being counted again."""

    transfer: TransferMatchView
