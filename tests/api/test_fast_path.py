"""The fast path over real sockets: what it answers, what it leaves, and what ends its trust."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from alphapulse.api.settings import ApiSettings
from alphapulse.database.settings import DatabaseSettings
from alphapulse.observability import metrics
from tests.api.test_login import log_in, own_page
from tests.fixtures.api import RunningApi, body, serve_api

HOT = "/api/portfolio/summary"
ROUTE = "/api/portfolio/summary?currency=USD"


def answered() -> int:
    """How often the fast path has answered so far."""
    return metrics.HOT_ANSWERS.by_route[HOT]


async def said_on_one_connection(api: RunningApi, *requests: str) -> str:
    """Send these at once, and read until the server closes."""
    port = int(api.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write("".join(requests).encode())
        async with asyncio.timeout(10):
            return (await reader.read()).decode()
    finally:
        writer.close()
        await writer.wait_closed()


def request(api: RunningApi, path: str, *lines: str, version: str = "1.1") -> str:
    port = api.url.rpartition(":")[2]
    more = "".join(f"{line}\r\n" for line in lines)
    return (
        f"GET {path} HTTP/{version}\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {api.token}\r\n{more}\r\n"
    )


async def test_a_hot_read_is_answered_before_the_framework_is_asked(api: RunningApi) -> None:
    before = answered()

    assert (await api.get(HOT)).status == 200
    assert answered() == before + 1
    assert (await api.get(ROUTE)).status == 200
    assert answered() == before + 1


async def test_a_hot_answer_has_the_headers_of_its_route(api: RunningApi) -> None:
    fast, route = (await api.get(HOT)).headers, (await api.get(ROUTE)).headers

    assert Counter(name.lower() for name in fast) == Counter(name.lower() for name in route)
    for name in fast.keys() - {"Date", "X-Request-ID", "RateLimit", "Content-Length"}:
        assert fast[name] == route[name]


async def test_what_is_left_of_the_rate_counts_down_on_either_way(api: RunningApi) -> None:
    left = []
    for path in (HOT, ROUTE, HOT):
        fields = (await api.get(path)).headers["RateLimit"].split(", ")
        assert [field.partition("=")[0] for field in fields] == ["limit", "remaining", "reset"]
        left.append(int(fields[1].removeprefix("remaining=")))

    assert left == [left[0], left[0] - 1, left[0] - 2]


async def test_a_refusal_says_which_rate_was_too_much(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    settings = ApiSettings(port=0, requests_per_minute=20)
    async with serve_api(sqlite_settings, tmp_path, settings) as api:
        await api.set_up()
        for path in (HOT, "/api/system/version"):  # the user's rate, and the address's
            answers = [await api.get(path) for _ in range(25)]

            assert answers[-1].status == 429
            wait_s = answers[-1].headers["Retry-After"]
            assert answers[-1].headers.getall("RateLimit") == [
                f"limit=20, remaining=0, reset={wait_s}"
            ]


async def test_headers_that_were_known_end_when_the_user_is_switched_off(api: RunningApi) -> None:
    assert (await api.get(HOT)).status == 200

    users = api.services.users
    (user,) = users._users.values()
    users._know(replace(user, is_disabled=True))

    assert (await body(await api.get(HOT), 403))["code"] == "account_disabled"


async def test_known_headers_show_what_the_user_changed(api: RunningApi) -> None:
    assert (await body(await api.get(HOT)))["meta"]["currency"] == "USD"

    users = api.services.users
    (user,) = users._users.values()
    users._know(replace(user, currency="EUR"))

    assert (await body(await api.get(HOT)))["meta"]["currency"] == "EUR"


async def test_a_cookie_is_believed_a_minute_before_the_database_is_asked_again(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.token = ""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        api.client = browser
        assert (await log_in(api, headers=own_page(api))).status == 200
        before, start = answered(), api.clock.now()
        # At 61 s the route asks the database, which is good for another minute.
        for seconds, count in ((1, 1), (30, 2), (61, 2), (62, 3)):
            now = start + timedelta(seconds=seconds)
            monkeypatch.setattr(api.clock, "now", lambda now=now: now)
            assert (await api.get(HOT)).status == 200
            assert answered() == before + count


async def test_requests_sent_ahead_are_answered_in_order(api: RunningApi) -> None:
    before = answered()
    asked = [request(api, HOT, f"X-Request-ID: id-{number}") for number in range(3)]
    asked.insert(1, request(api, ROUTE, "X-Request-ID: by-route"))

    said = await said_on_one_connection(
        api, *asked, request(api, HOT, "X-Request-ID: last", "Connection: close")
    )

    ids = [line.partition(": ")[2] for line in said.splitlines() if line.startswith("x-request-id")]
    assert ids == ["id-0", "by-route", "id-1", "id-2", "last"]
    assert said.count("HTTP/1.1 200 OK") == 5
    assert answered() == before + 4


@pytest.mark.parametrize(("version", "line"), [("1.0", "X-Any: 1"), ("1.1", "Connection: close")])
async def test_a_connection_ends_after_the_whole_answer_where_that_is_asked(
    api: RunningApi, version: str, line: str
) -> None:
    before = answered()

    said = await said_on_one_connection(api, request(api, HOT, line, version=version))

    head, _, text = said.partition("\r\n\r\n")
    assert answered() == before + 1
    assert "connection: close" in head.splitlines()
    assert f"content-length: {len(text)}" in head.splitlines()


async def test_a_header_that_comes_twice_is_left_to_the_route(api: RunningApi) -> None:
    before = answered()

    said = await said_on_one_connection(
        api, request(api, HOT, "X-Any: 1", "X-Any: 2", "Connection: close")
    )

    assert said.startswith("HTTP/1.1 200 OK")
    assert answered() == before
