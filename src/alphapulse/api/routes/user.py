"""REST API Endpoints: set-up, login and the caller's own profile."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from alphapulse.api import headers
from alphapulse.api.auth import ProfileReader, ProfileWriter, SystemAdmin
from alphapulse.api.dependencies import AllServices, RequestId
from alphapulse.api.middleware import client_address
from alphapulse.api.openapi import problem_responses
from alphapulse.api.schemas.base import not_available_yet
from alphapulse.api.schemas.user import (
    LoginAnswer,
    LoginBody,
    PreviousLogin,
    Profile,
    RefreshBody,
    SessionView,
    SettingsView,
    SetupBody,
    SetupCode,
    UserView,
)
from alphapulse.api.views.meta import plain_meta
from alphapulse.domain.session import SessionKind
from alphapulse.errors import (
    Conflict,
    InvalidCredentials,
    InvalidInput,
    SetupCodeInvalid,
    TokenExpired,
    TokenRevoked,
    Unauthenticated,
    UserDisabled,
)
from alphapulse.security.scopes import scopes_of
from alphapulse.services.business_logic import Services
from alphapulse.services.users import BROWSER_LIFE, Device, Login

router = APIRouter(prefix="/api/user", tags=["user"])

LATER = (
    "email", "display_name", "mfa", "api_tokens", "notification_channels", "last_login_ip",
    "failed_logins_since", "password_changed_at",
)  # fmt: skip


@router.post(
    "/setup",
    operation_id="create_first_user",
    status_code=201,
    responses=problem_responses(SetupCodeInvalid, InvalidInput, Conflict, is_public=True),
)
async def post_setup(
    body: SetupBody,
    request: Request,
    response: Response,
    services: AllServices,
    request_id: RequestId,
) -> LoginAnswer:
    """Make the first user, an administrator, with the one-time code that the server printed.

    The code is good once and for 15 minutes. A password that is refused leaves it unspent.
    """
    login = await services.users.set_up(
        body.code,
        body.username,
        body.password.get_secret_value(),
        body.currency,
        _device(request, None),
    )
    return _answer(login, request, response, services, request_id)


@router.post(
    "/setup-code",
    operation_id="create_setup_code",
    status_code=201,
    responses=problem_responses(Conflict),
)
async def post_setup_code(
    caller: SystemAdmin, services: AllServices, request_id: RequestId
) -> SetupCode:
    """A new one-time code while there is no user yet; for the commands on this machine."""
    code = await services.users.make_setup_code()
    return SetupCode(meta=plain_meta(services.clock.now(), request_id), code=code)


@router.post(
    "/login",
    operation_id="log_in",
    responses=problem_responses(InvalidCredentials, UserDisabled, is_public=True),
)
async def post_login(
    body: LoginBody,
    request: Request,
    response: Response,
    services: AllServices,
    request_id: RequestId,
) -> LoginAnswer:
    """Begin a session.

    A browser, known by its Origin header, gets the session as an HttpOnly cookie; any other client
    gets a refresh token. An unknown name and a wrong password look the same and take the same time.
    """
    login = await services.users.log_in(
        body.username, body.password.get_secret_value(), _device(request, body.device_name)
    )
    return _answer(login, request, response, services, request_id)


@router.post(
    "/refresh",
    operation_id="refresh_token",
    responses=problem_responses(TokenExpired, TokenRevoked, Unauthenticated, is_public=True),
)
async def post_refresh(
    body: RefreshBody,
    request: Request,
    response: Response,
    services: AllServices,
    request_id: RequestId,
) -> LoginAnswer:
    """Exchange a refresh token for new tokens. Each works once: a second use ends the session,
    because one of the two who used it stole it. The same client may repeat a request whose answer
    was lost, within 10 s, and gets the same refresh token again."""
    login = await services.users.refresh(
        body.refresh_token.get_secret_value(), _device(request, None)
    )
    return _answer(login, request, response, services, request_id)


@router.post("/logout", operation_id="log_out", status_code=204, responses=problem_responses())
async def post_logout(
    request: Request, response: Response, caller: ProfileWriter, services: AllServices
) -> None:
    """End this session: its tokens, its cookie and its WebSockets, at once."""
    await services.users.log_out(caller.session_id)
    response.headers["set-cookie"] = headers.set_cookie(request.scope, "", 0)


@router.get("/profile", operation_id="get_profile", responses=problem_responses())
async def get_profile(
    caller: ProfileReader, services: AllServices, request_id: RequestId
) -> Profile:
    """Who the caller is, what they may do, and where they are logged in."""
    user = await services.users.load_user(caller.user_id)
    viewer = await services.users.viewer(caller.user_id)
    return Profile(
        meta=plain_meta(services.clock.now(), request_id, not_available_yet(*LATER)),
        id=user.id,
        username=user.username,
        roles=[user.role.value],
        scopes=sorted(caller.scopes),
        accounts_granted=[account.id for account in services.portfolio.accounts(viewer)],
        settings=SettingsView(version=user.version, currency=user.currency, timezone=user.timezone),
        sessions=[
            SessionView(
                id=session.id,
                created_at=session.created_at,
                last_seen_at=session.last_seen_at,
                ip=session.ip,
                agent=session.agent,
                current=session.id == caller.session_id,
            )
            for session in await services.users.sessions(user.id)
        ],
        last_login_at=user.last_login_at,
        created_at=user.created_at,
    )


def _device(request: Request, name: str | None) -> Device:
    is_browser = "origin" in request.headers
    agent = name or request.headers.get("user-agent")
    return Device(
        address=client_address(request.scope),
        agent=None if agent is None else agent[:200],
        kind=SessionKind.BROWSER if is_browser else SessionKind.API,
    )


def _answer(
    login: Login, request: Request, response: Response, services: Services, request_id: str
) -> LoginAnswer:
    is_browser = login.session.kind is SessionKind.BROWSER
    if is_browser:
        max_age_s = int(BROWSER_LIFE.total_seconds())
        response.headers["set-cookie"] = headers.set_cookie(request.scope, login.token, max_age_s)
    user, previous = login.user, login.previous
    return LoginAnswer(
        meta=plain_meta(services.clock.now(), request_id),
        access_token=login.access_token,
        expires_in=services.users.access_lifetime_s,
        refresh_token=None if is_browser else login.token,
        session_id=login.session.id,
        user=UserView(
            id=user.id,
            username=user.username,
            roles=[user.role.value],
            scopes=sorted(scopes_of(user.role)),
        ),
        previous_login=None
        if previous is None
        else PreviousLogin(at=previous.created_at, ip=previous.ip),
    )
