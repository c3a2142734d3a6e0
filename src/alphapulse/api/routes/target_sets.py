"""REST API Endpoints: targets under a name, and how far the portfolio is from them."""

from typing import Annotated

from fastapi import APIRouter, Path, Security

from alphapulse.api.auth import PortfolioKeeper, PortfolioViewer, authorize
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.openapi import problem_responses
from alphapulse.api.schemas.rebalance import (
    TargetSetBody,
    TargetSetChange,
    TargetSetInput,
    TargetSetPage,
)
from alphapulse.api.views import target_sets as views
from alphapulse.domain.rebalance.records import TargetSet
from alphapulse.errors import Conflict, NotFound, VersionMismatch
from alphapulse.security.scopes import Scope, require
from alphapulse.security.tokens import Access
from alphapulse.services.business_logic import Services
from alphapulse.services.viewer import Viewer

router = APIRouter(prefix="/api/portfolio/target-sets", tags=["portfolio"])

KeeperAccess = Annotated[Access, Security(authorize, scopes=[Scope.PORTFOLIO_WRITE])]
SetPath = Annotated[str, Path(max_length=80, description="The id from the list.")]


@router.get("", operation_id="list_target_sets", responses=problem_responses())
async def get_sets(
    viewer: PortfolioViewer, services: AllServices, request_id: RequestId
) -> TargetSetPage:
    """Every target set with its drift, and the plan that was proposed last."""
    found = [
        views.set_view(one, await services.target_sets.drift(viewer, one))
        for one in await services.target_sets.list(viewer)
    ]
    return views.sets_of(found, services.clock, request_id)


@router.post(
    "",
    operation_id="create_target_set",
    status_code=201,
    responses=problem_responses(NotFound, Conflict),
)
async def post_set(
    body: TargetSetInput,
    caller: PortfolioKeeper,
    access: KeeperAccess,
    services: AllServices,
    request_id: RequestId,
) -> TargetSetBody:
    """Keep targets under a name. Nothing trades unless `may_execute` is set, which is off."""
    _require_may_execute(body, access)
    one = await services.target_sets.add(caller, views.set_of(body))
    return await _shown(services, caller.viewer, one, request_id)


@router.get("/{set_id}", operation_id="get_target_set", responses=problem_responses(NotFound))
async def get_set(
    set_id: SetPath, viewer: PortfolioViewer, services: AllServices, request_id: RequestId
) -> TargetSetBody:
    """One target set with its drift."""
    one = await services.target_sets.load(viewer, set_id)
    return await _shown(services, viewer, one, request_id)


@router.put(
    "/{set_id}",
    operation_id="change_target_set",
    responses=problem_responses(NotFound, Conflict, VersionMismatch),
)
async def put_set(
    set_id: SetPath,
    body: TargetSetChange,
    caller: PortfolioKeeper,
    access: KeeperAccess,
    services: AllServices,
    request_id: RequestId,
) -> TargetSetBody:
    """Replace it; refused when somebody else changed it since you read it."""
    _require_may_execute(body, access)
    one = await services.target_sets.change(caller, set_id, body.version, views.set_of(body))
    return await _shown(services, caller.viewer, one, request_id)


@router.delete(
    "/{set_id}",
    operation_id="delete_target_set",
    status_code=204,
    responses=problem_responses(NotFound),
)
async def delete_set(set_id: SetPath, caller: PortfolioKeeper, services: AllServices) -> None:
    """Forget it. A run that was started for it goes on."""
    await services.target_sets.remove(caller, set_id)


def _require_may_execute(body: TargetSetInput, access: Access) -> None:
    if body.may_execute:
        require(access.scopes, Scope.TRADE_WRITE)


async def _shown(
    services: Services, viewer: Viewer, one: TargetSet, request_id: str
) -> TargetSetBody:
    drift = await services.target_sets.drift(viewer, one)
    return views.set_body(one, drift, services.clock, request_id)
