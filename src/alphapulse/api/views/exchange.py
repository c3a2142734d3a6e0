"""Views of accounts and balances."""

from collections.abc import Sequence

from alphapulse.api.schemas.base import Meta, PriceView
from alphapulse.api.schemas.exchange import (
    AccountBalances,
    AccountPage,
    AccountsQuery,
    AccountView,
    BalanceBody,
    BalanceLine,
    BalanceQuery,
    ErrorView,
    PermissionsView,
    SyncLine,
)
from alphapulse.api.views import day_change
from alphapulse.api.views.meta import meta_of
from alphapulse.domain.account import Account
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.money import ZERO
from alphapulse.domain.portfolio import HoldingValue
from alphapulse.domain.sync import SyncKind, SyncState, SyncStatus
from alphapulse.domain.valuation import PriceBook
from alphapulse.errors import InvalidInput
from alphapulse.services.portfolio import PortfolioService, Snapshot

LATER = ("raw_asset", "interest", "wallets_asked", "wallets_not_asked")

_SHOWN_KINDS = (
    *(SyncKind.BALANCES, SyncKind.POSITIONS, SyncKind.ORDERS),
    *(SyncKind.FILLS, SyncKind.FLOWS),
)


def balances_of(
    snapshot: Snapshot,
    service: PortfolioService,
    book: PriceBook,
    query: BalanceQuery,
    request_id: str,
) -> BalanceBody:
    """Every account with its balances, as ``query`` asks."""
    by_account: dict[AccountId, list[HoldingValue]] = {}
    for line in snapshot.valuation.holdings:
        if _is_wanted(line, query):
            by_account.setdefault(line.holding.account_id, []).append(line)
    accounts = [
        _account(account, by_account.get(account.id, []), snapshot, service, book)
        for account in snapshot.accounts
        if query.exchange is None or account.exchange == query.exchange
    ]
    lines = (line for account in accounts for line in account.balances)
    unknown = (line.asset for line in lines if line.change_24h is None)
    return BalanceBody(
        meta=day_change.naming_unknown(meta_of(snapshot, request_id, LATER), unknown),
        accounts=accounts,
        total_value=snapshot.valuation.total,
    )


def accounts_page(
    accounts: Sequence[Account], service: PortfolioService, query: AccountsQuery, meta: Meta
) -> AccountPage:
    """A part of ``accounts``, which are in the order they were connected."""
    start = 0
    if query.cursor is not None:
        known = [account.id for account in accounts]
        if query.cursor not in known:
            raise InvalidInput("not a cursor of ours", field="cursor")
        start = known.index(AccountId(query.cursor)) + 1
    page = accounts[start : start + query.limit]
    is_last = start + query.limit >= len(accounts)
    return AccountPage(
        meta=meta,
        items=[account_view(account, service) for account in page],
        next_cursor=None if is_last else page[-1].id,
    )


def account_view(account: Account, service: PortfolioService) -> AccountView:
    """One account with the freshness of each kind of its data."""
    statuses = (service.status_of(account, kind) for kind in _SHOWN_KINDS)
    return AccountView(
        id=account.id,
        exchange=account.exchange,
        label=account.label,
        state=account.state.value,
        state_reason=account.state_reason,
        status=service.health_of(account).value,
        is_simulated=account.is_simulated,
        permissions=PermissionsView.of(account.permissions),
        permissions_checked_at=account.permissions_checked_at,
        sync=[_sync_line(status) for status in statuses if status is not None],
        created_at=account.created_at,
        updated_at=account.updated_at,
    )


def error_of(status: SyncStatus | None) -> ErrorView | None:
    """Why a reading fails now; ``None`` when it does not."""
    if status is None or status.state is SyncState.OK or status.error_code is None:
        return None
    return ErrorView(
        class_=status.error_code,
        message=status.error_message or "",
        since=status.failing_since,
        fix=status.error_fix,
    )


def _account(
    account: Account,
    lines: list[HoldingValue],
    snapshot: Snapshot,
    service: PortfolioService,
    book: PriceBook,
) -> AccountBalances:
    status = service.status_of(account, SyncKind.BALANCES)
    return AccountBalances(
        id=account.id,
        exchange=account.exchange,
        label=account.label,
        status=snapshot.health[account.id].value,
        as_of=service.as_of(account),
        next_sync_at=None if status is None else status.next_try_at,
        error=error_of(status),
        permissions=PermissionsView.of(account.permissions),
        value=snapshot.valuation.accounts.get(account.id, ZERO),
        balances=[_balance(line, snapshot, book) for line in lines],
    )


def _balance(line: HoldingValue, snapshot: Snapshot, book: PriceBook) -> BalanceLine:
    balance, price = line.holding.balance, line.price
    return BalanceLine(
        wallet=balance.wallet,
        asset=balance.asset,
        free=balance.free,
        locked=balance.locked,
        borrowed=balance.borrowed,
        total=balance.total,
        price=None if price is None else PriceView.of(price, snapshot.valuation.as_of),
        value=line.value,
        change_24h=day_change.of_holding(line, book, snapshot.valuation),
    )


def _is_wanted(line: HoldingValue, query: BalanceQuery) -> bool:
    balance = line.holding.balance
    if query.asset is not None and balance.asset != query.asset:
        return False
    if query.wallet not in {"all", balance.wallet}:
        return False
    return query.include_zero or not balance.is_empty


def _sync_line(status: SyncStatus) -> SyncLine:
    return SyncLine(
        kind=status.kind.value,
        state=status.state.value,
        last_ok_at=status.last_ok_at,
        next_try_at=status.next_try_at,
        progress=status.progress,
        stream=None if status.stream is None else status.stream.value,
        error=error_of(status),
    )
