"""Views of the cost basis: lots, disposals, and the transfers that carry them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from alphapulse.api.schemas.base import Meta
from alphapulse.api.schemas.lots import (
    DisposalPage,
    DisposalView,
    DisposedLotView,
    LotPage,
    LotView,
    RateView,
    TransferMatchItem,
    TransferMatchList,
    TransferMatchView,
)
from alphapulse.api.views.meta import plain_meta
from alphapulse.database.queries.page import Page
from alphapulse.domain.account import Account
from alphapulse.domain.cost_basis.books import reason_of
from alphapulse.domain.cost_basis.disposals import Disposal
from alphapulse.domain.cost_basis.lots import Lot, Method
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId
from alphapulse.domain.money import EXACT
from alphapulse.domain.rates import Rate
from alphapulse.domain.transfer_matching import Match


def meta_in(currency: Asset, now: datetime, request_id: str) -> Meta:
    """For an answer with values in the book currency."""
    return plain_meta(now, request_id).model_copy(update={"currency": currency})


def lots_of(page: Page[Lot], method: Method, accounts: Sequence[Account], meta: Meta) -> LotPage:
    """One page of what is held."""
    exchanges = _exchanges(accounts)
    return LotPage(
        meta=meta,
        method=method,
        items=[_lot(one.item, exchanges) for one in page.items],
        next_cursor=page.next_cursor,
    )


def disposals_of(
    page: Page[Disposal], method: Method, accounts: Sequence[Account], meta: Meta
) -> DisposalPage:
    """One page of what is gone."""
    exchanges = _exchanges(accounts)
    return DisposalPage(
        meta=meta,
        method=method,
        items=[_disposal(one.item, exchanges) for one in page.items],
        next_cursor=page.next_cursor,
    )


def transfers_of(matches: Mapping[int, Match], meta: Meta) -> TransferMatchList:
    """Every match with its evidence."""
    return TransferMatchList(
        meta=meta,
        items=[
            TransferMatchItem(id=str(row_id), **dict(match_view(match)))
            for row_id, match in matches.items()
        ],
    )


def match_view(match: Match) -> TransferMatchView:
    """One transfer."""
    return TransferMatchView(
        outgoing_account_id=match.outgoing.account_id,
        incoming_account_id=match.incoming.account_id,
        asset=match.asset,
        sent=match.sent,
        received=match.received,
        network_fee=EXACT.subtract(match.sent, match.received),
        sent_at=match.sent_at,
        received_at=match.received_at,
        evidence=match.evidence,
        reason=match.reason,
    )


def _lot(lot: Lot, exchanges: Mapping[AccountId, ExchangeId]) -> LotView:
    return LotView(
        lot_id=lot.lot_id,
        account_id=lot.account_id,
        exchange=exchanges[lot.account_id],
        asset=lot.asset,
        acquired_at=lot.acquired_at,
        source=lot.source,
        quantity=lot.quantity,
        left=lot.left,
        cost=lot.cost,
        unit_cost=lot.unit_cost,
        fee_share=lot.fee_share,
        basis_quality=lot.quality,
        missing=reason_of(lot) if lot.cost is None else None,
        transfers=[match_view(match) for match in lot.transfers],
    )


def _disposal(disposal: Disposal, exchanges: Mapping[AccountId, ExchangeId]) -> DisposalView:
    return DisposalView(
        id=disposal.id,
        account_id=disposal.account_id,
        exchange=exchanges[disposal.account_id],
        asset=disposal.asset,
        reason=disposal.reason,
        disposed_at=disposal.disposed_at,
        quantity=disposal.quantity,
        proceeds=disposal.proceeds,
        fees=disposal.fees,
        gain=disposal.gain,
        missing_quantity=disposal.missing,
        lots=[
            DisposedLotView(
                lot_id=part.lot_id,
                quantity=part.quantity,
                acquired_at=part.acquired_at,
                cost=part.cost,
                proceeds=part.proceeds,
                gain=part.gain,
            )
            for part in disposal.parts
        ],
        rates=[_rate(rate) for rate in disposal.rates],
    )


def _rate(rate: Rate) -> RateView:
    return RateView(
        asset=rate.asset,
        value=rate.value,
        currency=rate.currency,
        as_of=rate.as_of,
        source=rate.source,
        quality=rate.quality,
    )


def _exchanges(accounts: Sequence[Account]) -> dict[AccountId, ExchangeId]:
    return {account.id: account.exchange for account in accounts}
