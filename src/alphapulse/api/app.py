"""FastAPI Application: everything above put together, in the order a request meets it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TypeAlias, TypedDict

import msgspec
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from alphapulse.api import exception_handlers, openapi, pages
from alphapulse.api.dependencies import Running
from alphapulse.api.encoded import EncodedAnswers
from alphapulse.api.fast_path import FastPath
from alphapulse.api.middleware import (
    BodyGuard,
    HostGuard,
    OriginGuard,
    RateGuard,
    RequestContext,
    SetupGuard,
)
from alphapulse.api.routes import (
    exchange,
    history,
    ledger,
    lots,
    market,
    orders,
    portfolio,
    prices,
    rebalance,
    system,
    target_sets,
    trading,
    transaction_files,
    user,
)
from alphapulse.api.settings import ApiSettings
from alphapulse.api.websocket.endpoint import SocketEndpoint
from alphapulse.api.websocket.hub import Hub
from alphapulse.api.websocket.rows import LiveRows
from alphapulse.domain.clock import Clock
from alphapulse.runtime.watchdog import watching
from alphapulse.runtime.worker import Worker
from alphapulse.security.rate_limit import Rate, RateLimiter
from alphapulse.services.business_logic import Services

TELEMETRY_OFF: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
}
"""FastAPI's own costs a fifth of a request without an exporter, and records exception texts."""


Application: TypeAlias = ASGIApp
"""What a server serves."""


class _State(TypedDict):
    running: Running
    services: Services
    hub: Hub


def create_app(
    settings: ApiSettings,
    *,
    open_services: Callable[[], AbstractAsyncContextManager[Services]],
    workers: Sequence[Worker],
    clock: Clock,
    on_ready: Callable[[str | None], None],
) -> Application:
    """The whole API as one ASGI application.

    Args:
        open_services: `BusinessLogic.running`; entered on the main loop.
        workers: started in this order after the services, stopped in reverse.
        on_ready: called once everything runs, with a one-time set-up code when there is no user.
    """
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry=TELEMETRY_OFF,
        lifespan=partial(
            _lifespan,
            settings=settings,
            open_services=open_services,
            workers=workers,
            clock=clock,
            on_ready=on_ready,
        ),
    )
    for routes in (
        *(portfolio, history, rebalance, target_sets, exchange, orders, ledger),
        *(lots, prices, transaction_files),
        *(trading, market, user, system),
    ):
        app.include_router(routes.router)
    app.router.routes += [
        WebSocketRoute("/api/ws", SocketEndpoint()),
        Route("/api/openapi.json", _openapi, include_in_schema=False),
        *pages.routes(),
    ]
    app.openapi = partial(openapi.describe, app)  # type: ignore[method-assign]
    exception_handlers.register(app)
    return _guarded(app, settings, clock)


def _guarded(app: ASGIApp, settings: ApiSettings, clock: Clock) -> ASGIApp:
    """``app`` behind everything a request passes first; the outermost is the last here."""
    hosts = frozenset(settings.allowed_hosts)
    files = {transaction_files.IMPORT_PATH: settings.import_bytes_max}
    app = BodyGuard(app, settings.body_bytes_max, files)
    app = RateGuard(app, Rate(settings.requests_per_minute, window_s=60), clock)
    app = OriginGuard(app)
    app = SetupGuard(app)
    app = HostGuard(app, hosts)
    app = RequestContext(app, settings.request_timeout_s)
    return FastPath(app, hosts, clock)


@asynccontextmanager
async def _lifespan(
    app: FastAPI,
    *,
    settings: ApiSettings,
    open_services: Callable[[], AbstractAsyncContextManager[Services]],
    workers: Sequence[Worker],
    clock: Clock,
    on_ready: Callable[[str | None], None],
) -> AsyncIterator[_State]:
    """Services first, then the hub, then the workers; everything ends in the reverse order."""
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services())
        hub = Hub(LiveRows(services), clock)
        services.live.listen(hub.on_changes)
        services.users.on_session_end(hub.end_session)
        services.supervisor.run("hub", hub.run)
        loops = [services.system.heartbeat, *(worker.heartbeat for worker in workers)]
        stack.enter_context(watching(loops))
        users = services.users
        # Before the workers: they write so much at first that this could wait too long.
        code = None if users.is_set_up else await users.make_setup_code()
        for worker in workers:
            await worker.start()
            stack.push_async_callback(worker.stop)
        on_ready(code)
        yield {
            "running": Running(
                services=services,
                answers=EncodedAnswers(services),
                hub=hub,
                limits=RateLimiter(Rate(settings.requests_per_minute, window_s=60), clock),
                write_limits=RateLimiter(Rate(settings.writes_per_minute, window_s=60), clock),
            ),
            "services": services,
            "hub": hub,
        }


async def _openapi(request: Request) -> Response:
    return Response(msgspec.json.encode(request.app.openapi()), media_type="application/json")
