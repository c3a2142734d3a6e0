"""Middleware Stack: what every request passes before a route sees it, as plain ASGI.

In this order: an id and a log line, the name that was addressed, the set-up, foreign pages, the
rate, the body. Each either answers with a problem or hands on.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn

from loguru import logger
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alphapulse.api import headers, problems
from alphapulse.api.answer import send_problem
from alphapulse.api.problems import Kind, problem, problem_of
from alphapulse.domain.clock import Clock
from alphapulse.errors import AlphaPulseError, CrossOrigin, SetupRequired, TooManyRequests
from alphapulse.observability import error_tracking, metrics
from alphapulse.security.rate_limit import Quota, Rate, RateLimiter

_CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
_OPEN_BEFORE_SETUP = ("/setup", "/health/", "/docs", "/assets/")
_OPEN_BEFORE_SETUP_EXACTLY = {
    "/",
    "/api/user/setup",
    "/api/openapi.json",
    "/api/asyncapi.json",
    "/api/system/version",
}


class RequestContext:
    """Gives each request its id, its time limit, its log line and its last resort.

    The limit is for each part of an answer: a long file may take its time, a standstill may not.
    """

    def __init__(self, app: ASGIApp, timeout_s: float) -> None:
        self._app = app
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        given = headers.header(scope["headers"], b"x-request-id")
        request_id = headers.request_id(given).decode()
        scope.setdefault("state", {})["request_id"] = request_id
        with logger.contextualize(request_id=request_id):
            if scope["type"] == "http":
                await self._serve(scope, receive, send, request_id)
            else:
                await self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        began_s = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _completed(message, scope, request_id)
            await send(message)

        async def fail(kind: Kind) -> None:
            if not status:
                failure = problem(kind, path=scope["path"], request_id=request_id)
                await send_problem(send_with_headers, failure)

        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                send_in_time = _in_time(send_with_headers, limit, self._timeout_s)
                await self._app(scope, receive, send_in_time)
        except TimeoutError as error:
            if not limit.expired():
                error_tracking.count(error)
            logger.bind(path=scope["path"]).error("request took too long")
            await fail(problems.TIMED_OUT)
        except Exception as error:  # noqa: BLE001 - the last resort of the API
            error_tracking.count(error)
            logger.opt(exception=error).bind(path=scope["path"]).error("request failed")
            await fail(problems.INTERNAL)
        finally:
            _record(scope, status, time.perf_counter() - began_s)


class HostGuard:
    """Answers only to names this server is meant to have, which defeats DNS rebinding."""

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_allowed(scope):
            await self._app(scope, receive, send)
        else:
            await _refuse(scope, send, problems.HOST_NOT_ALLOWED)

    def _is_allowed(self, scope: Scope) -> bool:
        return headers.host_name(headers.header(scope["headers"], b"host")) in self._allowed


class SetupGuard:
    """Until a first user exists, nothing answers but what makes one.

    Who brings a credential is let through to have it checked: the only one there can be is the
    local operator's, who holds the key file.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_open(scope):
            await self._app(scope, receive, send)
        else:
            await _refuse_error(scope, send, SetupRequired("no user exists yet"))

    def _is_open(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return (
            scope["state"]["running"].services.users.is_set_up
            or path in _OPEN_BEFORE_SETUP_EXACTLY
            or path.startswith(_OPEN_BEFORE_SETUP)
            or headers.header(scope["headers"], b"authorization") is not None
            or scope["type"] == "websocket"  # its credential comes in the first message
        )


class OriginGuard:
    """Keeps foreign pages from using a visitor's cookie: they may change nothing and open no
    WebSocket. A client that is no browser sends neither header and is not concerned."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        concerns = scope["type"] == "websocket" or scope.get("method") in _CHANGING
        if concerns and not self._is_own_page(scope):
            await _refuse_error(scope, send, CrossOrigin("a page of another origin sent this"))
        else:
            await self._app(scope, receive, send)

    def _is_own_page(self, scope: Scope) -> bool:
        site = headers.header(scope["headers"], b"sec-fetch-site")
        if site is not None and site not in {b"same-origin", b"none"}:
            return False
        origin = headers.header(scope["headers"], b"origin")
        host = headers.header(scope["headers"], b"host")
        if origin is None or host is None:
            return origin is None
        return origin.partition(b"://")[2].lower() == host.lower()


class RateGuard:
    """Slows down one address. What a user may do in all is counted where the user is known."""

    def __init__(self, app: ASGIApp, rate: Rate, clock: Clock) -> None:
        self._app = app
        self._addresses = RateLimiter(rate, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            try:
                scope["state"]["quota"] = self._addresses.hit(client_address(scope))
            except TooManyRequests as error:
                scope["state"]["quota"] = error.facts["quota"]
                await _refuse_error(scope, send, error)
                return
        await self._app(scope, receive, send)


class BodyGuard:
    """Reads a body once: not too large, JSON, and every key of it once.

    A parser that takes the last of two equal keys and a proxy that takes the first would see
    different requests.
    """

    def __init__(
        self, app: ASGIApp, bytes_max: int, bytes_max_of: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        self._app = app
        self._bytes_max = bytes_max
        self._bytes_max_of = bytes_max_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _CHANGING:
            await self._app(scope, receive, send)
            return
        bytes_max = self._bytes_max_of.get(scope["path"], self._bytes_max)
        body = await _read(receive, bytes_max)
        kind = problems.BODY_TOO_LARGE if body is None else _flaw_of(body, scope)
        if body is None or kind is not None:
            await _refuse(scope, send, kind or problems.BODY_TOO_LARGE)
            return
        has_been_read = False

        async def replay() -> Message:
            nonlocal has_been_read
            if has_been_read:
                return await receive()
            has_been_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


def _in_time(send: Send, limit: asyncio.Timeout, timeout_s: float) -> Send:
    """Sends, and gives the next part as long as the first had."""

    async def send_in_time(message: Message) -> None:
        await send(message)
        if not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time() + timeout_s)

    return send_in_time


def client_address(scope: Scope) -> str:
    """Who is calling; one key for all where the server cannot tell."""
    client = scope.get("client")
    return client[0] if client else "unknown"


async def _read(receive: Receive, bytes_max: int) -> bytes | None:
    """The whole body; ``None`` as soon as it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > bytes_max:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _flaw_of(body: bytes, scope: Scope) -> Kind | None:
    if not body:
        return None
    content_type = headers.header(scope["headers"], b"content-type") or b""
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        return problems.UNSUPPORTED_MEDIA_TYPE
    try:
        json.loads(body, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return problems.BAD_REQUEST
    return None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _completed(message: Message, scope: Scope, request_id: str) -> headers.Headers:
    """What the route said, and what every answer says."""
    said: headers.Headers = list(message.get("headers", []))
    names = {name for name, _ in said}
    said += [pair for pair in headers.SECURITY if pair[0] not in names]
    said.append((b"x-request-id", request_id.encode()))
    quota: Quota | None = scope["state"].get("quota")
    if quota is not None:
        said.append((b"ratelimit", headers.rate_limit(quota)))
    return said


def _record(scope: Scope, status: int, took_s: float) -> None:
    route = getattr(scope.get("route"), "path", "unmatched")
    method = scope["method"] if scope["method"] in _CHANGING | {"GET", "HEAD"} else "other"
    metrics.HTTP_REQUEST.labels(route, method, status).observe(took_s)
    log = logger.bind(method=method, route=route, status=status, took_ms=round(took_s * 1000, 1))
    if method in _CHANGING:
        log.info("request")
    else:
        log.debug("request")


async def _refuse_error(scope: Scope, send: Send, error: AlphaPulseError) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4403, "reason": error.code})
        return
    path, request_id = scope["path"], scope["state"]["request_id"]
    await send_problem(send, problem_of(error, path=path, request_id=request_id))


async def _refuse(scope: Scope, send: Send, kind: Kind) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4403, "reason": kind.code})
        return
    path, request_id = scope["path"], scope["state"]["request_id"]
    await send_problem(send, problem(kind, path=path, request_id=request_id))
