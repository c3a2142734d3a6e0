"""Authentication & Authorization: who is asking, and whether they may."""

from typing import Annotated

from fastapi import Security
from fastapi.security import APIKeyCookie, HTTPBearer, SecurityScopes
from starlette.requests import Request

from alphapulse.api import headers
from alphapulse.api.credentials import identify
from alphapulse.api.dependencies import RunningNow
from alphapulse.security.scopes import Scope, require
from alphapulse.security.tokens import Access
from alphapulse.services.viewer import Caller, Viewer

_READING = {"GET", "HEAD"}

# Only for the OpenAPI document; the credential is read by `identify`, which knows both kinds.
_token = HTTPBearer(
    auto_error=False, scheme_name="token", description="An access token from /api/user/login."
)
_cookie = APIKeyCookie(
    name=headers.COOKIE_NAME.decode(),
    auto_error=False,
    scheme_name="session",
    description="A browser's session. Named `__Host-alphapulse` over HTTPS.",
)


async def authorize(
    request: Request,
    needed: SecurityScopes,
    running: RunningNow,
    _token: Annotated[object, Security(_token)],
    _cookie: Annotated[object, Security(_cookie)],
) -> Access:
    """Let pass who holds the scope of the route, and count what they do.

    Raises:
        Unauthenticated: nobody known is asking.
        Forbidden: the scope is not held.
        TooManyRequests: the user is too fast.
    """
    users = running.services.users
    access = await identify(request, users)
    for scope in needed.scopes:
        require(access.scopes, Scope(scope))
    await users.load_user(access.user_id)
    if request.method not in _READING:
        running.write_limits.hit(access.user_id)
    request.state.quota = running.limits.hit(access.user_id)
    return access


async def see(caller: Annotated[Access, Security(authorize)], running: RunningNow) -> Viewer:
    """Let pass as `authorize` does, for a route that shows what is the caller's to see."""
    return await running.services.users.viewer(caller.user_id)


async def call(caller: Annotated[Access, Security(authorize)], running: RunningNow) -> Caller:
    """Let pass as `authorize` does, for a route that does something in the caller's name."""
    users = running.services.users
    viewer = await users.viewer(caller.user_id)
    return Caller(caller.user_id, users.owner_id(caller.user_id), viewer)


PortfolioViewer = Annotated[Viewer, Security(see, scopes=[Scope.PORTFOLIO_READ])]
PortfolioKeeper = Annotated[Caller, Security(call, scopes=[Scope.PORTFOLIO_WRITE])]
ExchangeViewer = Annotated[Viewer, Security(see, scopes=[Scope.EXCHANGE_READ])]
ExchangeKeeper = Annotated[Viewer, Security(see, scopes=[Scope.EXCHANGE_WRITE])]
SystemViewer = Annotated[Viewer, Security(see, scopes=[Scope.SYSTEM_READ])]
ExchangeCaller = Annotated[Caller, Security(call, scopes=[Scope.EXCHANGE_READ])]
LimitKeeper = Annotated[Caller, Security(call, scopes=[Scope.EXCHANGE_WRITE])]
Trader = Annotated[Caller, Security(call, scopes=[Scope.TRADE_WRITE])]
ExchangeWriter = Annotated[Access, Security(authorize, scopes=[Scope.EXCHANGE_WRITE])]
MarketReader = Annotated[Access, Security(authorize, scopes=[Scope.MARKET_READ])]
ProfileReader = Annotated[Access, Security(authorize, scopes=[Scope.PROFILE_READ])]
ProfileWriter = Annotated[Access, Security(authorize, scopes=[Scope.PROFILE_WRITE])]
SystemAdmin = Annotated[Access, Security(authorize, scopes=[Scope.SYSTEM_ADMIN])]
