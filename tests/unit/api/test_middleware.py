"""What a request passes before a route sees it, without a server."""

import asyncio
import json
from typing import Any

import pytest

from alphapulse.api import headers
from alphapulse.api.middleware import BodyGuard, RequestContext
from alphapulse.security.rate_limit import Quota


class Caller:
    """One request and what came back."""

    def __init__(self, body: bytes = b"", kind: bytes = b"application/json") -> None:
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/x",
            "headers": [(b"content-type", kind)],
            "state": {"request_id": "r"},
        }
        self._parts = [body[:5], body[5:]]
        self.messages: list[Any] = []

    async def receive(self) -> dict[str, Any]:
        if not self._parts:
            await asyncio.Event().wait()
        part = self._parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self._parts)}

    async def send(self, message: Any) -> None:
        self.messages.append(message)

    async def call(self, app: Any) -> None:
        await app(self.scope, self.receive, self.send)

    @property
    def said(self) -> dict[str, Any]:
        problem: dict[str, Any] = json.loads(self.messages[1]["body"])
        return problem

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def test_a_request_that_takes_too_long_ends_with_a_problem() -> None:
    async def forever(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    caller = Caller()
    await caller.call(RequestContext(forever, timeout_s=0.01))

    assert (caller.messages[0]["status"], caller.said["code"]) == (503, "timed_out")


async def test_a_bug_ends_with_a_problem_that_says_nothing_of_it() -> None:
    async def burst(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("secret")

    caller = Caller()
    await caller.call(RequestContext(burst, timeout_s=1))

    assert caller.said["code"] == "internal"
    assert "secret" not in json.dumps(caller.said)


async def test_a_bug_after_the_answer_began_sends_nothing_more() -> None:
    async def late(scope: Any, receive: Any, send: Any) -> None:
        await answer(scope, receive, send)
        raise RuntimeError

    caller = Caller()
    await caller.call(RequestContext(late, timeout_s=1))

    assert len(caller.messages) == 2


async def test_what_is_left_of_the_rate_is_in_the_headers() -> None:
    async def limited(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["quota"] = Quota(limit=10, remaining=7, reset_s=2.5)
        await answer(scope, receive, send)

    caller = Caller()
    await caller.call(RequestContext(limited, timeout_s=1))

    assert caller.headers[b"ratelimit"] == b"limit=10, remaining=7, reset=3"


async def test_a_body_arrives_whole_although_it_was_read_before() -> None:
    read: list[bytes] = []

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        read.append((await receive())["body"])
        await answer(scope, receive, send)

    await Caller(b'{"a":[1,2,3]}').call(BodyGuard(echo, bytes_max=100))

    assert read == [b'{"a":[1,2,3]}']


@pytest.mark.parametrize(
    ("body", "status"),
    [(b'{"a":1,"a":2}', 400), (b'{"a":{"b":1,"b":2}}', 400), (b'{"a":Infinity}', 400)],
)
async def test_an_ambiguous_body_is_refused(body: bytes, status: int) -> None:
    caller = Caller(body)
    await caller.call(BodyGuard(answer, bytes_max=100))

    assert caller.messages[0]["status"] == status


async def test_a_body_is_not_read_beyond_its_limit() -> None:
    caller = Caller(b"x" * 100)
    await caller.call(BodyGuard(answer, bytes_max=4))

    assert caller.messages[0]["status"] == 413
    assert caller._parts


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"127.0.0.1:8000", "127.0.0.1"),
        (b"LocalHost", "localhost"),
        (b"[::1]:8000", "::1"),
        (b"[::1]", "::1"),
        (b"127.0.0.1:8000.evil.example", "127.0.0.1:8000.evil.example"),
        (None, ""),
    ],
)
def test_the_name_in_a_host_header(host: bytes | None, name: str) -> None:
    assert headers.host_name(host) == name


def test_a_cookie_of_plain_http_is_not_believed_over_https() -> None:
    cookies = b"alphapulse=planted; __Host-alphapulse=real"

    assert headers.session_cookie(cookies, {"scheme": "https"}) == "real"
    assert headers.session_cookie(cookies, {"scheme": "http"}) == "planted"


async def test_a_path_that_takes_files_has_a_limit_of_its_own() -> None:
    for path, status in (("/files", 200), ("/other", 413)):
        caller = Caller(b'"' + b"x" * 100 + b'"')
        caller.scope["path"] = path
        await caller.call(BodyGuard(answer, 4, {"/files": 1000}))
        assert caller.messages[0]["status"] == status
