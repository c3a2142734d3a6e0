"""REST API Endpoints: accounts and balances at the exchanges."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from alphapulse.api.auth import ExchangeKeeper, ExchangeViewer, ExchangeWriter
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.openapi import problem_responses
from alphapulse.api.schemas.exchange import (
    AccountBody,
    AccountPage,
    AccountsQuery,
    BalanceBody,
    BalanceQuery,
    KeyCheckBody,
    NewAccount,
    PermissionsView,
    StepView,
    SyncedAccounts,
    SyncRequest,
)
from alphapulse.api.views import exchange as views
from alphapulse.api.views.meta import plain_meta
from alphapulse.domain.account import Account
from alphapulse.domain.identifiers import AccountId, exchange_id
from alphapulse.domain.sync import SyncKind
from alphapulse.errors import (
    Conflict,
    KeyRefused,
    KeyTooPowerful,
    NotFound,
    NotReady,
    RefreshTimedOut,
    SecretUnreadable,
    WorkerStopped,
)
from alphapulse.services.accounts import NewAccount as Connection
from alphapulse.services.business_logic import Services

router = APIRouter(prefix="/api/exchange", tags=["exchange"])

AccountPath = Annotated[
    AccountId, Path(max_length=100, description="The id from the list of accounts.")
]

QUEUE_S = 0.1
"""How long ``refresh=queue`` waits for the reading to be under way."""


@router.get(
    "/balance",
    operation_id="get_exchange_balance",
    responses=problem_responses(NotFound, NotReady, RefreshTimedOut, WorkerStopped),
)
async def get_balance(
    query: Annotated[BalanceQuery, Query()],
    viewer: ExchangeViewer,
    services: AllServices,
    request_id: RequestId,
) -> BalanceBody:
    """Every account with every balance, as last read.

    `refresh=wait` reads the active accounts first, and gives up after `wait_s`; a reading that
    ended badly shows what was read last, and its account says so. `refresh=queue` asks for a
    reading and does not wait. Either may be asked for ten times a minute for one account.
    """
    viewer = services.portfolio.seen_in(viewer, query.currency)
    only = [AccountId(account) for account in query.account]
    if query.refresh != "none":
        late = await services.accounts.refresh(
            services.portfolio.accounts(viewer, only),
            [SyncKind.BALANCES],
            timeout_s=query.wait_s if query.refresh == "wait" else QUEUE_S,
        )
        if late and query.refresh == "wait":
            labels = ", ".join(account.label for account in late)
            raise RefreshTimedOut(f"not read within {query.wait_s:g} s: {labels}")
    snapshot = services.portfolio.snapshot(viewer, only)
    service, book = services.portfolio, services.live.book
    return views.balances_of(snapshot, service, book, query, request_id)


@router.get("/accounts", operation_id="list_exchange_accounts", responses=problem_responses())
async def get_accounts(
    query: Annotated[AccountsQuery, Query()],
    viewer: ExchangeViewer,
    services: AllServices,
    request_id: RequestId,
) -> AccountPage:
    """Every connected account, with what its key may do and how fresh each kind of data is."""
    found = await services.accounts.list(viewer)
    return views.accounts_page(
        found, services.portfolio, query, plain_meta(services.clock.now(), request_id)
    )


@router.post(
    "/accounts",
    operation_id="create_exchange_account",
    status_code=201,
    responses=problem_responses(KeyRefused, KeyTooPowerful, Conflict, WorkerStopped),
)
async def post_account(
    body: NewAccount, caller: ExchangeWriter, services: AllServices, request_id: RequestId
) -> AccountBody:
    """Connect an account: check its key step by step, store it encrypted, begin to read.

    A key that may withdraw is refused unless `allow_withdraw` says otherwise: nothing here needs
    it.
    """
    account, check = await services.accounts.connect(
        services.users.owner_id(caller.user_id),
        Connection(
            exchange=exchange_id(body.exchange),
            label=body.label,
            api_key=body.api_key.get_secret_value(),
            api_secret=body.api_secret.get_secret_value(),
            password=None if body.password is None else body.password.get_secret_value(),
            allow_withdraw=body.allow_withdraw,
        ),
    )
    steps = tuple(StepView.of(step) for step in check.steps)
    return _body(account, services, request_id, steps)


@router.get(
    "/accounts/{account_id}",
    operation_id="get_exchange_account",
    responses=problem_responses(NotFound),
)
async def get_account(
    account_id: AccountPath, viewer: ExchangeViewer, services: AllServices, request_id: RequestId
) -> AccountBody:
    """One connected account."""
    account = await services.accounts.load(viewer, account_id)
    return _body(account, services, request_id)


@router.post(
    "/accounts/{account_id}/test",
    operation_id="test_exchange_account",
    responses=problem_responses(NotFound, SecretUnreadable, WorkerStopped),
)
async def post_account_test(
    account_id: AccountPath, viewer: ExchangeKeeper, services: AllServices, request_id: RequestId
) -> KeyCheckBody:
    """Check the stored key again, step by step; a refusal is an answer here, not an error."""
    _, check = await services.accounts.test(viewer, account_id)
    return KeyCheckBody(
        meta=plain_meta(services.clock.now(), request_id),
        ok=check.is_ok,
        steps=[StepView.of(step) for step in check.steps],
        permissions=PermissionsView.of(check.permissions),
        clock_offset_ms=check.clock_offset_ms,
    )


@router.post(
    "/accounts/{account_id}/pause",
    operation_id="pause_exchange_account",
    responses=problem_responses(NotFound, WorkerStopped),
)
async def post_account_pause(
    account_id: AccountPath, viewer: ExchangeKeeper, services: AllServices, request_id: RequestId
) -> AccountBody:
    """Stop reading the account; what is known of it stays, marked."""
    account = await services.accounts.pause(viewer, account_id)
    return _body(account, services, request_id)


@router.post(
    "/accounts/{account_id}/resume",
    operation_id="resume_exchange_account",
    responses=problem_responses(NotFound, WorkerStopped),
)
async def post_account_resume(
    account_id: AccountPath, viewer: ExchangeKeeper, services: AllServices, request_id: RequestId
) -> AccountBody:
    """Read the account again, also when it was disabled because its key was refused."""
    account = await services.accounts.resume(viewer, account_id)
    return _body(account, services, request_id)


@router.delete(
    "/accounts/{account_id}",
    operation_id="delete_exchange_account",
    status_code=204,
    responses=problem_responses(NotFound, Conflict, WorkerStopped),
)
async def delete_account(
    account_id: AccountPath, viewer: ExchangeKeeper, services: AllServices
) -> None:
    """Forget the account, its key and everything that was read from it.

    Refused while an order that was placed here has not ended there.
    """
    await services.accounts.remove(viewer, account_id)


@router.post(
    "/sync",
    operation_id="sync_exchange",
    responses=problem_responses(NotFound, Conflict, WorkerStopped),
)
async def post_sync(
    body: SyncRequest, viewer: ExchangeKeeper, services: AllServices, request_id: RequestId
) -> SyncedAccounts:
    """Read accounts now. Answers when the readings have ended, well or badly, or after `wait_s`;
    how each went is in its `sync`."""
    read = await services.accounts.sync(
        viewer,
        None if body.account is None else AccountId(body.account),
        [SyncKind(kind) for kind in body.kinds],
        timeout_s=body.wait_s,
    )
    return SyncedAccounts(
        meta=plain_meta(services.clock.now(), request_id),
        accounts=[views.account_view(account, services.portfolio) for account in read],
    )


def _body(
    account: Account, services: Services, request_id: str, checks: tuple[StepView, ...] = ()
) -> AccountBody:
    return AccountBody(
        meta=plain_meta(services.clock.now(), request_id),
        account=views.account_view(account, services.portfolio),
        checks=checks,
    )
