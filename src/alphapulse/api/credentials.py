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
    token = headers.bearer_token(connection.scope["headers"])
    if token is not None:
        return users.verify_token(token)
    cookie = headers.session_cookie(connection.scope)
    if cookie is None:
        raise Unauthenticated("no credential came with the request")
    return await users.verify_cookie(cookie)


def identify_at_once(
    given: headers.Headers, cookie: str | None, users: UserService
) -> Access | None:
    """The same as far as it is known without the database; ``None`` where it is not."""
    token = headers.bearer_token(given)
    if token is not None:
        return users.verify_token(token)
    return None if cookie is None else users.verify_known_cookie(cookie)
