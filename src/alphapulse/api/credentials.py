"""Credentials: who is behind a request or a WebSocket, by token or by cookie."""

from starlette.requests import HTTPConnection

from alphapulse.api import headers
from alphapulse.errors import Unauthenticated
from alphapulse.security.tokens import Access
from alphapulse.services.users import UserService


async def identify(connection: HTTPConnection, users: UserService) -> Access:
    """Say who is asking; a token counts before a cookie.

    Raises:
        Unauthenticated: no credential came, or one that is not ours; its children say more.
    """
    given = connection.scope["headers"]
    token = headers.bearer_token(headers.header(given, b"authorization"))
    if token is not None:
        return users.verify_token(token)
    cookie = headers.session_cookie(headers.header(given, b"cookie"), connection.scope)
    if cookie is None:
        raise Unauthenticated("no credential came with the request")
    return await users.verify_cookie(cookie)
