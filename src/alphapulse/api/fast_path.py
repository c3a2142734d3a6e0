"""Fast path: answers the hot reads before the framework is asked, at the cost of a constant.

Only what is beyond doubt is answered here: a known path without parameters, an addressed name that
is ours, a credential that was verified before and still holds, a scope that is held. Everything
else, every error included, is left to the routes, which answer the same.
"""

from datetime import datetime
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from alphapulse.api import headers
from alphapulse.api.dependencies import Running
from alphapulse.api.encoded import HOT
from alphapulse.api.wire import open_exchange, write_ok
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import UserId
from alphapulse.errors import AlphaPulseError
from alphapulse.observability import metrics
from alphapulse.security.scopes import Scope
from alphapulse.security.tokens import Access
from alphapulse.services.users import UserService
from alphapulse.services.viewer import Viewer

CALLERS_MAX = 1024
"""So many sets of headers are known at once. Who polls sends the same each time."""

_ALWAYS = headers.lines([(b"content-type", b"application/json"), *headers.SECURITY])


class _Caller(NamedTuple):
    """Who sends the same headers again. Holds ``until`` then, and as long as ``revision`` says
    that no session ended and no user changed."""

    user_id: UserId
    viewer: Viewer
    scopes: frozenset[Scope]
    given_id: bytes | None
    until: datetime
    revision: int


class FastPath:
    """Stands before everything else."""

    def __init__(self, app: ASGIApp, allowed_hosts: frozenset[str], clock: Clock) -> None:
        self._app = app
        self._allowed_hosts = allowed_hosts
        self._clock = clock
        self._callers: dict[tuple[object, ...], _Caller] = {}
        metrics.HOT_ANSWERS.by_route.update(dict.fromkeys(HOT, 0))

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in HOT:
            exchange = open_exchange(send)
            answer = None if exchange is None else self._answer(scope)
            if exchange is not None and answer is not None:
                write_ok(exchange, *answer)
                metrics.HOT_ANSWERS.by_route[scope["path"]] += 1
                return
        await self._app(scope, receive, send)

    def _answer(self, scope: Connection) -> tuple[bytes, bytes] | None:
        """Headers and body of the answer, or ``None`` where there is any doubt."""
        if scope["method"] != "GET" or scope["query_string"]:
            return None
        running: Running = scope["state"]["running"]
        path: str = scope["path"]
        try:
            caller = self._caller(scope, running.services.users)
            if caller is None or HOT[path] not in caller.scopes:
                return None
            quota = running.limits.hit(caller.user_id)
            request_id = headers.request_id(caller.given_id)
            body = running.answers.body(path, caller.viewer, request_id)
        except AlphaPulseError:
            return None
        limits = headers.rate_limit(quota)
        return b"%sx-request-id: %s\r\nratelimit: %s\r\n" % (_ALWAYS, request_id, limits), body

    def _caller(self, scope: Connection, users: UserService) -> _Caller | None:
        """Who is asking: read out of the headers once, then known by them while it holds."""
        sent = (scope["scheme"], *scope["headers"])  # each scheme has a cookie of its own
        known = self._callers.get(sent)
        now = self._clock.now()
        if known is not None and known.revision == users.revision and now < known.until:
            return known
        known = self._read(scope, users)
        if known is not None:
            if len(self._callers) >= CALLERS_MAX:
                self._callers.clear()
            self._callers[sent] = known
        return known

    def _read(self, scope: Connection, users: UserService) -> _Caller | None:
        given = dict(scope["headers"])
        # A header that came twice may mean two things, so the routes decide.
        is_clear = len(given) == len(scope["headers"])
        if not is_clear or headers.host_name(given.get(b"host")) not in self._allowed_hosts:
            return None
        access = _access(given, scope, users)
        viewer = None if access is None else users.known_viewer(access.user_id)
        if access is None or viewer is None:
            return None
        return _Caller(
            access.user_id,
            viewer,
            access.scopes,
            given.get(b"x-request-id"),
            access.expires_at,
            users.revision,
        )


def _access(given: dict[bytes, bytes], scope: Connection, users: UserService) -> Access | None:
    """Whose credential it is, as far as that is known without the database."""
    token = headers.bearer_token(given.get(b"authorization"))
    if token is not None:
        return users.verify_token(token)
    cookie = headers.session_cookie(given.get(b"cookie"), scope)
    return None if cookie is None else users.verify_known_cookie(cookie)
