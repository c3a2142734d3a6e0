"""REST API Endpoints: how every part is, for people and for machines."""

from fastapi import APIRouter
from starlette.responses import Response

from alphapulse.api.auth import SystemViewer
from alphapulse.api.dependencies import AllServices, RequestId, RunningNow
from alphapulse.api.openapi import VERSION, problem_responses
from alphapulse.api.schemas.system import (
    Liveness,
    Readiness,
    SystemStatusBody,
    Version,
    WebSockets,
)
from alphapulse.api.views import system as views

router = APIRouter(tags=["system"])


@router.get(
    "/api/system/status",
    operation_id="get_system_status",
    responses=problem_responses() | {503: {"model": SystemStatusBody, "description": "Down"}},
)
async def get_status(
    viewer: SystemViewer, running: RunningNow, response: Response, request_id: RequestId
) -> SystemStatusBody:
    """Every part, with the cause of what is not well; 503 only when the whole is down."""
    services = running.services
    status = await services.system.status(viewer)
    response.status_code = 503 if status.status == "down" else 200
    hub = running.hub
    websockets = WebSockets(clients=hub.client_count, dropped=hub.dropped)
    return views.status_of(status, services.system, websockets, request_id)


@router.get(
    "/api/system/version",
    operation_id="get_system_version",
    responses=problem_responses(is_public=True),
)
async def get_version(services: AllServices) -> Version:
    """The short form of the status, for everyone."""
    return Version(status=services.system.status_word(), version=VERSION)


@router.get(
    "/health/live", operation_id="get_liveness", responses=problem_responses(is_public=True)
)
async def get_live() -> Liveness:
    """200 as long as the main loop turns: restart the process when this does not answer."""
    return Liveness()


@router.get(
    "/health/ready",
    operation_id="get_readiness",
    responses=problem_responses(is_public=True)
    | {503: {"model": Readiness, "description": "Not ready"}},
)
async def get_ready(services: AllServices, response: Response) -> Readiness:
    """200 when requests can be served; 503 with the parts that are down."""
    components = services.system.components
    is_ready = services.live.is_loaded and all(c.status != "down" for c in components)
    response.status_code = 200 if is_ready else 503
    return Readiness(
        status=services.system.status_word() if is_ready else "down",
        reasons=[views.component_view(c) for c in components if c.status != "ok"],
    )
