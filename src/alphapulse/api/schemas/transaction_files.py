"""Bodies of export and import: files of transactions, and what one would change."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from alphapulse.api.schemas.base import Body, Dec, Input, Timestamp, View
from alphapulse.api.schemas.ledger import PostingView
from alphapulse.domain.ledger import EntryKind
from alphapulse.domain.transaction_files import mapping
from alphapulse.domain.transaction_files.mapping import FeeRule
from alphapulse.domain.transaction_files.reading import FileFormat
from alphapulse.services.transaction_export import ExportFormat

_Word = Annotated[str, Field(max_length=200)]
_ACCOUNTS: list[str] = Field(
    default=[], max_length=100, description="Only these; all of yours without."
)


class ExportQuery(Input):
    """Which entries, the earliest first. Occurred in `from` <= at < `to`."""

    format: ExportFormat = ExportFormat.CSV
    account: list[str] = _ACCOUNTS
    kind: list[EntryKind] = Field(default=[], max_length=len(EntryKind))
    from_: datetime | None = Field(default=None, alias="from")
    to: datetime | None = None


class MappingBody(Input):
    """How another program's file is read: which of its columns is which field of ours, and its
    words. For a known format only what differs from it."""

    columns: dict[mapping.Field, _Word] = Field(
        default={}, examples=[{"at": "Date", "amount": "Quantity", "asset": "Coin"}]
    )
    kinds: dict[_Word, EntryKind] = Field(
        default={}, max_length=500, examples=[{"Staking": "reward"}]
    )
    assets: dict[_Word, _Word] = Field(default={}, max_length=2000, examples=[{"bitcoin": "BTC"}])
    date_format: str | None = Field(
        default=None,
        max_length=60,
        description="As of Python's strptime; ISO 8601 without.",
        examples=["%d.%m.%Y %H:%M:%S"],
    )
    timezone: str = Field(
        default="UTC",
        max_length=60,
        description="Of times without an offset; of one that a clock showed twice, the first.",
        examples=["Europe/Berlin"],
    )
    decimal_separator: Literal[".", ","] = "."
    group_separator: Literal[",", ".", " ", "'"] | None = None
    delimiter: Literal[",", ";", "\t", "|"] = ","
    fee: FeeRule = Field(
        default=FeeRule.ON_TOP, description="Whether the amounts are without the fee or with it."
    )


class ImportBody(Input):
    """A file of transactions for one account. Without `dry_run: false` nothing is written."""

    account_id: str = Field(max_length=100, examples=["binance-1a2b3c4d"])
    format: FileFormat = FileFormat.CSV
    file_name: str = Field(min_length=1, max_length=200, examples=["transactions.csv"])
    content: str = Field(description="The text of the file.")
    mapping: MappingBody | None = None
    from_account: _Word | None = Field(
        default=None, description="Whose rows, where a file of ours has those of several accounts."
    )
    include_similar: bool = Field(
        default=False, description="Import too what seems to be there under another key."
    )
    dry_run: bool = True


class EffectView(View):
    """What the new entries do to one asset, or contract.

    `opening` is what no entry explains, null while the exchange was never compared. What is
    `after_opening` lies in the time that the exchange's own history covers, and leaves a residual
    of that much unless that history missed it.
    """

    asset: str
    sum_before: Dec
    change: Dec
    after_opening: Dec
    opening_before: Dec | None
    opening_after: Dec | None


class RowView(View):
    """An entry of the file; `line` is where it begins, in JSON which item it is."""

    line: int
    key: str
    kind: EntryKind
    at: Timestamp
    postings: list[PostingView]


class ContradictionView(View):
    """An entry that is known by its key with other postings, which stay."""

    told: RowView
    stored: list[PostingView]


class SimilarView(View):
    """An entry that moved as much, besides fees, within a minute of one under another key."""

    told: RowView
    stored_key: str
    stored_at: Timestamp


class DifferenceView(View):
    """What a file brings, each of its entries in one of four groups. Of each group but `known`
    the first 50 are shown. `skipped_count` are entries of other accounts."""

    new_count: int
    known_count: int
    contradicting_count: int
    similar_count: int
    skipped_count: int
    first_at: Timestamp | None
    last_at: Timestamp | None
    effects: list[EffectView]
    new: list[RowView]
    contradicting: list[ContradictionView]
    similar: list[SimilarView]


class ImportView(View):
    """One file that was brought in. `digest` is the SHA-256 of its text."""

    id: str
    account_id: str
    user_id: str
    imported_at: Timestamp
    file_name: str
    file_format: FileFormat
    digest: str
    new_count: int
    known_count: int
    contradicting_count: int
    similar_count: int
    undone_at: Timestamp | None
    undone_by: str | None


class ImportedBody(Body):
    """`imported` is null for a dry run; `difference` is null in an answer that was lost and is
    given again."""

    imported: ImportView | None
    digest: str
    difference: DifferenceView | None


class ImportList(Body):
    """The newest first, at most 500."""

    items: list[ImportView]


class UndoneBody(Body):
    """The import that was taken back."""

    undone: ImportView
