"""Guarded transport against real sockets: what is no answer, and what never leaves."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from alphapulse.exchanges.ccxt.transport import Answer, NoAnswer, Request, Transport
from alphapulse.exchanges.settings import ExchangesSettings
from tests.eventually import LIMIT_S

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SETTINGS = ExchangesSettings(
    request_timeout_s=LIMIT_S, connect_timeout_s=LIMIT_S, max_answer_bytes=100_000
)


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    transport = Transport(SETTINGS)
    yield transport
    await transport.close()


@pytest.fixture
async def impatient() -> AsyncIterator[Transport]:
    transport = Transport(SETTINGS.model_copy(update={"request_timeout_s": 0.5}))
    yield transport
    await transport.close()


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """The address of a server with one handler for everything."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(answer: bytes) -> AsyncIterator[str]:
    """Sends these bytes whatever is asked, and hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def get(url: str) -> Request:
    return Request("GET", url, {"X-MBX-APIKEY": "the-api-key"}, None)


async def ask(transport: Transport, handler: Handler, request: Request | None = None) -> Answer:
    async with served(handler) as url:
        return await transport.send(request or get(url))


async def test_a_redirect_is_handed_back_and_the_key_goes_nowhere(transport: Transport) -> None:
    reached: list[str] = []

    async def thief(request: web.Request) -> web.Response:
        reached.append(request.headers.get("X-MBX-APIKEY", ""))
        return web.json_response({})

    async with served(thief) as elsewhere:

        async def redirect(_: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": elsewhere})

        answer = await ask(transport, redirect)

    assert answer.status == 307
    assert reached == []


async def test_a_proxy_of_the_environment_is_not_used(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def hello(_: web.Request) -> web.Response:
        return web.json_response({"hello": 1})

    assert (await ask(transport, hello)).json() == {"hello": 1}


async def test_no_cookie_is_kept(transport: Transport) -> None:
    seen: list[str | None] = []

    async def bake(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Cookie"))
        return web.json_response({}, headers={"Set-Cookie": "who=me"})

    async with served(bake) as url:
        await transport.send(get(url))
        await transport.send(get(url))

    assert seen == [None, None]


async def test_an_answer_that_never_comes_ends_in_time(impatient: Transport) -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    with pytest.raises(NoAnswer, match="in time") as caught:
        await ask(impatient, hang)
    assert caught.value.was_sent


async def test_an_answer_that_drips_ends_in_time(impatient: Transport) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.1)

    with pytest.raises(NoAnswer) as caught:
        await ask(impatient, drip)
    assert caught.value.was_sent


async def test_an_answer_that_is_too_large_is_dropped(transport: Transport) -> None:
    async def flood(_: web.Request) -> web.Response:
        return web.Response(body=b"[" + b"1," * 200_000 + b"1]")

    with pytest.raises(NoAnswer, match="too large"):
        await ask(transport, flood)


async def test_an_answer_that_grows_too_large_when_unpacked_is_dropped(
    transport: Transport,
) -> None:
    async def bomb(_: web.Request) -> web.Response:
        response = web.Response(body=b"[" + b" " * 5_000_000 + b"]")
        response.enable_compression()
        return response

    with pytest.raises(NoAnswer, match="too large"):
        await ask(transport, bomb)


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"cut": ',
        b"",
        b"not http at all\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"cut',
    ],
    ids=["cut by length", "nothing", "no http", "cut in a chunk"],
)
async def test_bytes_that_are_no_answer_are_none(transport: Transport, answer: bytes) -> None:
    async with raw_server(answer) as url:
        with pytest.raises(NoAnswer) as caught:
            await transport.send(Request("POST", url, {}, "a=1"))
    assert caught.value.was_sent


async def test_a_refused_connection_proves_that_nothing_was_sent(transport: Transport) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        with pytest.raises(NoAnswer, match="refused") as caught:
            await transport.send(get(f"http://127.0.0.1:{taken.getsockname()[1]}"))
    assert not caught.value.was_sent


async def test_a_name_that_does_not_resolve_proves_that_nothing_was_sent(
    transport: Transport,
) -> None:
    with pytest.raises(NoAnswer, match="resolved") as caught:
        await transport.send(get("http://no-such-host.invalid"))
    assert not caught.value.was_sent


async def test_what_went_wrong_is_told_without_the_address(transport: Transport) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/?signature=abc"
        with pytest.raises(NoAnswer) as caught:
            await transport.send(get(url))
    assert "signature" not in f"{caught.value!r} {caught.value.__cause__} {get(url)!r}"


@pytest.mark.parametrize(
    ("body", "exact"),
    [
        (b'{"price": 0.123456789012345678901}', "0.123456789012345678901"),
        (b'{"price": "123456789012345678901.5"}', "123456789012345678901.5"),
        (b'{"price": 1e-8}', "1e-8"),
        (b'{"price": 123456789012345678901}', "123456789012345678901"),
    ],
)
async def test_numbers_lose_no_digit(transport: Transport, body: bytes, exact: str) -> None:
    async def tell(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    assert str((await ask(transport, tell)).json()["price"]) == exact


async def test_closing_twice_leaves_nothing(transport: Transport) -> None:
    async def hello(_: web.Request) -> web.Response:
        return web.json_response({})

    await ask(transport, hello)

    await transport.close()
    await transport.close()


async def test_an_order_on_a_connection_that_is_reset_is_sent_once(transport: Transport) -> None:
    heads: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The first is answered and the connection kept; what comes next on it is cut off.
        for is_answered in (True, False):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            if is_answered:
                await reader.readexactly(4)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()
        writer.transport.abort()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/order"
    order = Request("POST", url, {}, "a=1&")
    try:
        assert (await transport.send(order)).status == 200
        with pytest.raises(NoAnswer) as silence:
            await transport.send(order)
    finally:
        server.close()
        await server.wait_closed()

    assert silence.value.was_sent
    assert len(heads) == 2
    assert all(head.startswith(b"POST /order") for head in heads)
