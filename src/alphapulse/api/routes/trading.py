"""REST API Endpoints: the kill switch, the limits of trading, and reconciliation."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from alphapulse.api.auth import (
    ExchangeCaller,
    ExchangeKeeper,
    ExchangeViewer,
    LimitKeeper,
    Trader,
)
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.openapi import problem_responses
from alphapulse.api.schemas.trading import (
    CycleBody,
    CyclesBody,
    CycleView,
    HaltBody,
    LimitsAnswer,
    LimitsBody,
    LimitsChange,
    ResumeBody,
    TradingBody,
)
from alphapulse.api.views.meta import plain_meta
from alphapulse.api.views.trading import limits_item, limits_of, trading_of
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.trading import TradingMode
from alphapulse.errors import Conflict, NotFound, OrderRejected, VersionMismatch, WorkerStopped

router = APIRouter(tags=["trading"])

AccountPath = Annotated[
    AccountId, Path(max_length=100, description="The id from the list of accounts.")
]


@router.get("/api/trading", operation_id="get_trading", responses=problem_responses())
async def get_trading(
    viewer: ExchangeViewer, services: AllServices, request_id: RequestId
) -> TradingBody:
    """Whether orders are sent, and every order whose fate is unknown."""
    state = await services.control.state(viewer)
    return trading_of(state, services.clock, request_id)


@router.post(
    "/api/trading/halt",
    operation_id="halt_trading",
    responses=problem_responses(NotFound, Conflict, OrderRejected, WorkerStopped),
)
async def post_halt(
    body: HaltBody, caller: Trader, services: AllServices, request_id: RequestId
) -> TradingBody:
    """Send no more orders: the kill switch.

    It holds for what is about to be sent too, and until somebody resumes, over restarts. Cancels
    go on. An administrator who names no account halts all of them, also those to come.
    """
    account_id = None if body.account_id is None else AccountId(body.account_id)
    mode = TradingMode.REDUCING if body.reduce_only else TradingMode.HALTED
    state = await services.control.switch(caller, mode, account_id=account_id, reason=body.reason)
    canceled = None
    if body.cancel_open:
        canceled = await services.trading.cancel_all(caller, account_id, None)
    return trading_of(state, services.clock, request_id, canceled)


@router.post(
    "/api/trading/resume", operation_id="resume_trading", responses=problem_responses(NotFound)
)
async def post_resume(
    body: ResumeBody, caller: Trader, services: AllServices, request_id: RequestId
) -> TradingBody:
    """Send orders again. The stricter of an account's own switch and that of all holds."""
    account_id = None if body.account_id is None else AccountId(body.account_id)
    state = await services.control.switch(
        caller, TradingMode.ACTIVE, account_id=account_id, reason=body.reason
    )
    return trading_of(state, services.clock, request_id)


@router.get(
    "/api/trading/limits", operation_id="list_trading_limits", responses=problem_responses()
)
async def get_limits(
    caller: ExchangeCaller, services: AllServices, request_id: RequestId
) -> LimitsBody:
    """The limits of each account and your own, and how much of today's is used."""
    found = await services.control.limits(caller)
    return LimitsBody(
        meta=plain_meta(services.clock.now(), request_id),
        items=[limits_item(one) for one in found],
    )


@router.put(
    "/api/trading/limits",
    operation_id="update_trading_limits",
    responses=problem_responses(NotFound, VersionMismatch),
)
async def put_limits(
    body: LimitsChange, caller: LimitKeeper, services: AllServices, request_id: RequestId
) -> LimitsAnswer:
    """Replace the limits of one account, or your own. They hold from the next order on."""
    found = await services.control.set_limits(
        caller,
        limits_of(body),
        account_id=None if body.account_id is None else AccountId(body.account_id),
        version=body.version,
    )
    meta = plain_meta(services.clock.now(), request_id)
    return LimitsAnswer(meta=meta, limits=limits_item(found))


@router.post(
    "/api/exchange/accounts/{account_id}/reconcile",
    operation_id="reconcile_exchange_account",
    responses=problem_responses(NotFound, Conflict, WorkerStopped),
)
async def post_reconcile(
    account_id: AccountPath, viewer: ExchangeKeeper, services: AllServices, request_id: RequestId
) -> CycleBody:
    """Compare an account with its exchange now, completely or not at all."""
    report = await services.control.reconcile(viewer, account_id)
    meta = plain_meta(services.clock.now(), request_id)
    return CycleBody(meta=meta, report=CycleView.of(report))


@router.get(
    "/api/exchange/accounts/{account_id}/reconciliations",
    operation_id="list_exchange_reconciliations",
    responses=problem_responses(NotFound),
)
async def get_reconciliations(
    account_id: AccountPath,
    viewer: ExchangeViewer,
    services: AllServices,
    request_id: RequestId,
    limit: Annotated[int, Query(ge=1, le=500, description="The newest so many.")] = 50,
) -> CyclesBody:
    """What the last comparisons of an account with its exchange found, the newest first."""
    found = await services.control.reconciliations(viewer, account_id, limit)
    return CyclesBody(
        meta=plain_meta(services.clock.now(), request_id),
        items=[CycleView.of(report) for report in found],
    )
