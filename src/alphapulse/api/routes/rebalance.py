"""REST API Endpoints: rebalancing, as a plan first, and executed once."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Security
from starlette.requests import Request
from starlette.responses import Response

from alphapulse.api.auth import PortfolioViewer, Trader, authorize, call
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.keyed import REPLAYED, IdempotencyKey, key_of, response_of
from alphapulse.api.openapi import problem_responses
from alphapulse.api.schemas.rebalance import AimInput, PlanBody, RebalanceInput, RunBody, RunPage
from alphapulse.api.views import rebalance as views
from alphapulse.errors import (
    Conflict,
    IdempotencyKeyReused,
    InProgress,
    InputsNotGood,
    InvalidInput,
    MissingIdempotencyKey,
    NotFound,
    PlanChanged,
    PlanExpired,
    RunInProgress,
    TradingHalted,
)
from alphapulse.security.scopes import Scope, require
from alphapulse.security.tokens import Access
from alphapulse.services.rebalancing.target_sets import wish_for
from alphapulse.services.viewer import Caller

router = APIRouter(prefix="/api/portfolio/rebalance", tags=["portfolio"])

PortfolioCaller = Annotated[Caller, Security(call, scopes=[Scope.PORTFOLIO_READ])]
PortfolioAccess = Annotated[Access, Security(authorize, scopes=[Scope.PORTFOLIO_READ])]
RunPath = Annotated[str, Path(max_length=80, description="The id from the list of runs.")]
PlanPath = Annotated[str, Path(max_length=80, description="The id that the plan came with.")]


@router.post(
    "",
    operation_id="rebalance_portfolio",
    response_model=PlanBody,
    responses=problem_responses(
        *(MissingIdempotencyKey, NotFound, PlanChanged, RunInProgress, InProgress, PlanExpired),
        *(IdempotencyKeyReused, TradingHalted, InputsNotGood),
    )
    | {
        202: {
            "model": RunBody,
            "description": "It was started; or it was before, and this is how it is.",
            "headers": REPLAYED,
        }
    },
)
async def post_rebalance(
    body: RebalanceInput,
    caller: PortfolioCaller,
    access: PortfolioAccess,
    services: AllServices,
    request: Request,
    request_id: RequestId,
    key: IdempotencyKey = None,
) -> Response:
    """Plan a rebalance, or execute a plan.

    A plan is made of balances, orders, prices and fees that are read anew, and refused when one of
    them is missing, stale or in doubt. It shows every trade in the order they would be sent, what
    is held before and after, and what stays off its target and why; nothing is sent. `execute`
    needs `trade:write` and an Idempotency-Key: it makes the plan again and starts only when that
    is the same one. A plan is executed once; a second time, the first one's run is the answer.
    """
    if body.mode == "execute":
        require(access.scopes, Scope.TRADE_WRITE)
        return await _execute(body, caller, services, request, request_id, key)
    wish = views.wish_of(body)
    if body.target_set_id is not None:
        _require_only_the_set(body)
        one = await services.target_sets.load(caller.viewer, body.target_set_id)
        wish = wish_for(one, body.ttl_s)
    stored = await services.planner.plan(caller, wish, is_kept=not body.dry_run)
    shown = views.plan_of(stored, stored.plan, services.clock, request_id, is_kept=not body.dry_run)
    return Response(shown.model_dump_json(by_alias=True), media_type="application/json")


@router.get("", operation_id="list_rebalances", responses=problem_responses())
async def get_runs(
    viewer: PortfolioViewer,
    services: AllServices,
    request_id: RequestId,
    limit: Annotated[int, Query(ge=1, le=100, description="The newest so many.")] = 20,
) -> RunPage:
    """The newest runs, each with its orders."""
    records = await services.runs.newest(viewer, limit)
    return views.runs_of(records, services.clock, request_id)


@router.get(
    "/plans/{plan_id}",
    operation_id="get_rebalance_plan",
    responses=problem_responses(NotFound),
)
async def get_plan(
    plan_id: PlanPath, viewer: PortfolioViewer, services: AllServices, request_id: RequestId
) -> PlanBody:
    """A plan as it was made."""
    stored = await services.planner.load(viewer, plan_id)
    return views.plan_of(stored, stored.plan, services.clock, request_id)


@router.get("/{run_id}", operation_id="get_rebalance", responses=problem_responses(NotFound))
async def get_run(
    run_id: RunPath, viewer: PortfolioViewer, services: AllServices, request_id: RequestId
) -> RunBody:
    """One run with its orders; the WebSocket channel `rebalance` tells the same as it happens."""
    return views.run_body(await services.runs.find(viewer, run_id), services.clock, request_id)


@router.post(
    "/{run_id}/pause",
    operation_id="pause_rebalance",
    responses=problem_responses(NotFound, Conflict),
)
async def post_pause(
    run_id: RunPath, caller: Trader, services: AllServices, request_id: RequestId
) -> RunBody:
    """Send nothing new; orders that are open stay, and time out as ever."""
    record = await services.runs.pause(caller, run_id)
    return views.run_body(record, services.clock, request_id)


@router.post(
    "/{run_id}/resume",
    operation_id="resume_rebalance",
    responses=problem_responses(NotFound, Conflict, TradingHalted),
)
async def post_resume(
    run_id: RunPath, caller: Trader, services: AllServices, request_id: RequestId
) -> RunBody:
    """Go on where it was paused, or halted by the kill switch."""
    record = await services.runs.resume(caller, run_id)
    return views.run_body(record, services.clock, request_id)


@router.post(
    "/{run_id}/stop",
    operation_id="stop_rebalance",
    responses=problem_responses(NotFound, Conflict),
)
async def post_stop(
    run_id: RunPath, caller: Trader, services: AllServices, request_id: RequestId
) -> RunBody:
    """Cancel what is open, send nothing more, and end. What was traded stays."""
    record = await services.runs.stop(caller, run_id)
    return views.run_body(record, services.clock, request_id)


def _require_only_the_set(body: RebalanceInput) -> None:
    """A set says all of it; what else came with it would be ignored in silence."""
    given = body.model_fields_set & AimInput.model_fields.keys()
    if given:
        raise InvalidInput("the target set says this already", field=min(given))


async def _execute(
    body: RebalanceInput,
    caller: Caller,
    services: AllServices,
    request: Request,
    request_id: str,
    key: str | None,
) -> Response:
    if body.plan_id is None:
        raise InvalidInput("name the plan that you saw", field="plan_id")
    if body.dry_run:
        plan = await services.runs.check(caller, body.plan_id)
        stored = await services.planner.load(caller.viewer, body.plan_id)
        shown = views.plan_of(stored, plan, services.clock, request_id)
        return Response(shown.model_dump_json(by_alias=True), media_type="application/json")
    if key is None:
        raise MissingIdempotencyKey("an execution needs an Idempotency-Key header")
    answer = await services.runs.execute(
        caller,
        body.plan_id,
        key_of(caller.user_id, key, request, body),
        views.RunComposer(services.clock, request_id),
    )
    return response_of(answer)
