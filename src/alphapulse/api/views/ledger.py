"""Views of the ledger: movements, transfers, and the proof that they add up."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from alphapulse.api.schemas.base import Meta, WarningView
from alphapulse.api.schemas.ledger import (
    AcceptedBody,
    AccountProofView,
    PostingView,
    ProofView,
    ReconcileBody,
    ReconcileQuery,
    TransactionPage,
    TransactionsQuery,
    TransactionView,
    TransferPage,
    TransfersQuery,
    TransferView,
)
from alphapulse.api.schemas.trading import CycleView
from alphapulse.api.views.meta import plain_meta
from alphapulse.api.views.orders import utc
from alphapulse.database.queries.ledger import EntryFilter
from alphapulse.database.queries.page import Page
from alphapulse.domain.account import Account
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.ledger import Book, EntryKind, RecordedEntry, sums_of
from alphapulse.domain.money import EXACT
from alphapulse.domain.trading import CycleOutcome
from alphapulse.services.idempotency import Answer
from alphapulse.services.ledger import Proof, ProofLine

TRANSFERS = {EntryKind.DEPOSIT: Book.EXTERNAL, EntryKind.WITHDRAWAL: Book.EXTERNAL,
             EntryKind.TRANSFER: Book.TRANSIT}  # fmt: skip
"""Where each comes from, or goes to."""


def filter_of(query: TransactionsQuery | TransfersQuery) -> EntryFilter:
    """What ``query`` asks the database for."""
    kinds = [EntryKind(kind) for kind in query.kind]
    if isinstance(query, TransfersQuery) and not kinds:
        kinds = list(TRANSFERS)
    return EntryFilter(
        kinds=kinds or None,
        subject=query.asset,
        start=utc(query.from_),
        end=utc(query.to),
    )


def transactions_of(
    page: Page[RecordedEntry], accounts: Sequence[Account], meta: Meta
) -> TransactionPage:
    """One page of movements."""
    known = _by_id(accounts)
    items = [transaction_view(one.item, known) for one in page.items]
    return TransactionPage(meta=meta, items=items, next_cursor=page.next_cursor)


def transfers_of(
    page: Page[RecordedEntry], accounts: Sequence[Account], meta: Meta
) -> TransferPage:
    """One page of transfers."""
    known = _by_id(accounts)
    items = [_transfer(one.item, known) for one in page.items]
    return TransferPage(meta=meta, items=items, next_cursor=page.next_cursor)


def transaction_view(
    stored: RecordedEntry, accounts: Mapping[AccountId, Account]
) -> TransactionView:
    """One movement with all of its postings."""
    entry = stored.entry
    return TransactionView(
        id=str(stored.id),
        account_id=entry.account_id,
        exchange=accounts[entry.account_id].exchange,
        kind=entry.kind,
        at=entry.occurred_at,
        recorded_at=stored.recorded_at,
        symbol=entry.symbol,
        reference=entry.reference,
        note=entry.note,
        postings=[
            PostingView(book=one.book, asset=one.subject, quantity=one.quantity)
            for one in entry.postings
        ],
    )


def proof_of(
    proofs: Sequence[Proof], query: ReconcileQuery, now: datetime, request_id: str
) -> ReconcileBody:
    """How far everything adds up, and what it could not be compared with."""
    accounts = [_account(proof, query) for proof in proofs]
    unfinished = tuple(one.account_id for one in accounts if not one.complete)
    warnings: tuple[WarningView, ...] = ()
    if unfinished:
        message = "A history is still being read, or the last comparison was not completed."
        warnings = (WarningView(code="proof_incomplete", message=message, subject=unfinished),)
    meta = plain_meta(now, request_id, *warnings)
    return ReconcileBody(
        meta=meta.model_copy(update={"complete": not unfinished}),
        accounts=accounts,
        residual_count=sum(bool(line.residual) for one in accounts for line in one.assets),
    )


class AcceptComposer:
    """Puts the adjustment that was booked into an answer."""

    def __init__(self, accounts: Sequence[Account], now: datetime, request_id: str) -> None:
        self._accounts = _by_id(accounts)
        self._meta = plain_meta(now, request_id)

    def __call__(self, stored: RecordedEntry) -> Answer:
        view = transaction_view(stored, self._accounts)
        body = AcceptedBody(meta=self._meta, transaction=view)
        return Answer(201, body.model_dump_json(), stored.entry.key)


def _by_id(accounts: Iterable[Account]) -> dict[AccountId, Account]:
    return {account.id: account for account in accounts}


def _transfer(stored: RecordedEntry, accounts: Mapping[AccountId, Account]) -> TransferView:
    entry = stored.entry
    other_side = TRANSFERS[entry.kind]
    (asset,) = {one.subject for one in entry.postings}
    sums = sums_of([entry])
    return TransferView.model_validate(
        {
            "id": str(stored.id),
            "account_id": entry.account_id,
            "exchange": accounts[entry.account_id].exchange,
            "kind": entry.kind.value,
            "asset": asset,
            "quantity": EXACT.minus(sums[other_side, asset]),
            "fee": sums.get((Book.FEES, asset)),
            "reference": entry.reference,
            "note": entry.note,
            "at": entry.occurred_at,
        }
    )


def _account(proof: Proof, query: ReconcileQuery) -> AccountProofView:
    report = proof.report
    is_compared = report is not None and report.outcome is not CycleOutcome.VOID
    return AccountProofView(
        account_id=proof.account.id,
        exchange=proof.account.exchange,
        label=proof.account.label,
        complete=proof.is_read and is_compared,
        assets=[
            _line(line)
            for line in proof.lines
            if query.asset in {None, line.book.subject}
            and (line.book.off_by or not query.residuals)
        ],
        last_report=None if report is None else CycleView.of(report),
    )


def _line(line: ProofLine) -> ProofView:
    book = line.book
    return ProofView(
        asset=book.subject,
        opening=line.opening,
        entries=line.entries,
        expected=book.expected,
        exchange_total=book.held,
        residual=book.off_by,
        since=book.off_since,
        cause=book.cause,
        opened_at=book.opened_at,
        compared_at=book.compared_at,
    )
