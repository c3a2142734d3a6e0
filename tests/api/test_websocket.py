"""Live data over the WebSocket, as the contract words it."""

import asyncio
import json
import socket as socket_options
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from alphapulse.api.websocket import endpoint, frames, hub
from alphapulse.domain.account import Account
from alphapulse.domain.events import AccountRemoved, CandleUpdated, OrderChanged, TickerUpdated
from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.market import Candle, Ticker, Timeframe
from alphapulse.domain.order import Order, OrderStatus
from alphapulse.security.scopes import Scope
from tests.builders import make_order
from tests.eventually import LIMIT_S, eventually
from tests.fixtures.api import PASSWORD, USERNAME, RunningApi


class Socket:
    """One connection that remembers what it read."""

    def __init__(self, raw: aiohttp.ClientWebSocketResponse) -> None:
        self.raw = raw
        self.seen: list[dict[str, Any]] = []

    async def send(self, **message: object) -> None:
        await self.raw.send_str(json.dumps(message))

    async def read(self, kind: str | None = None, channel: str | None = None) -> dict[str, Any]:
        """The next message, or the next one of a kind and channel."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                message = await self.raw.receive()
                assert message.type is aiohttp.WSMsgType.TEXT, message
                said: dict[str, Any] = json.loads(message.data)
                self.seen.append(said)
                if kind in {None, said["type"]} and channel in {None, said.get("ch")}:
                    return said

    async def closed(self) -> int | None:
        async with asyncio.timeout(LIMIT_S):
            while (await self.raw.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
            return self.raw.close_code

    async def subscribe(self, *channels: str, max_hz: int = 20) -> list[dict[str, Any]]:
        await self.send(op="subscribe", id=1, channels=list(channels), max_hz=max_hz)
        return [await self.read("snapshot", channel) for channel in channels]


@asynccontextmanager
async def anonymous(api: RunningApi, **more: Any) -> AsyncIterator[Socket]:
    async with api.client.ws_connect(f"{api.url}/api/ws", **more) as raw:
        yield Socket(raw)


@asynccontextmanager
async def connected(api: RunningApi) -> AsyncIterator[Socket]:
    async with anonymous(api) as socket:
        assert (await socket.read())["type"] == "hello"
        await socket.send(op="auth", token=api.token)
        yield socket


def order(
    api: RunningApi,
    account: Account,
    status: OrderStatus = OrderStatus.OPEN,
    filled: str = "0",
) -> Order:
    now = api.clock.now()
    return make_order(
        account_id=account.id,
        status=status,
        quantity=Decimal(1),
        filled_quantity=Decimal(filled),
        created_at=now,
        updated_at=now,
    )


async def test_hello_comes_first(api: RunningApi) -> None:
    async with anonymous(api) as socket:
        hello = await socket.read()

    assert (hello["type"], hello["v"], hello["heartbeat_ms"]) == ("hello", 1, 15000)
    assert hello["session"]


async def test_a_ticker_is_a_snapshot_and_then_what_changed(api: RunningApi) -> None:
    await api.price("BTC/USDT", "64000")
    async with connected(api) as socket:
        (snapshot,) = await socket.subscribe("ticker:BTC/USDT")
        await api.price("BTC/USDT", "64001.5")
        delta = await socket.read("delta")
        await api.price("BTC/USDT", "64002")
        after = await socket.read("delta")

    assert (snapshot["seq"], snapshot["data"][0]["last"]) == (0, "64000")
    assert (delta["ch"], delta["seq"], delta["data"][0]["last"]) == (
        "ticker:BTC/USDT",
        1,
        "64001.5",
    )
    assert after["seq"] == 2
    assert delta["ts"].endswith("Z")


async def test_tickers_sends_only_the_markets_that_moved(api: RunningApi) -> None:
    await api.price("BTC/USDT", "64000")
    await api.price("ETH/USDT", "2400")
    async with connected(api) as socket:
        (snapshot,) = await socket.subscribe("tickers")
        await api.price("ETH/USDT", "2401")
        delta = await socket.read("delta")

    assert [row["id"] for row in snapshot["data"]] == ["binance:BTC/USDT", "binance:ETH/USDT"]
    assert [row["id"] for row in delta["data"]] == ["binance:ETH/USDT"]


async def test_a_pace_is_kept_and_the_newest_price_wins(api: RunningApi) -> None:
    await api.price("BTC/USDT", "1")
    async with connected(api) as socket:
        await socket.subscribe("ticker:BTC/USDT", max_hz=2)
        for last in range(2, 12):
            await api.price("BTC/USDT", str(last))
        await eventually(lambda: api.services.live.revision > 0)
        first = await socket.read("delta")
        second = await socket.read("delta")

    assert second["data"][0]["last"] == "11"
    assert second["seq"] == first["seq"] + 1 == 2


async def test_portfolio_and_positions_follow_prices(api: RunningApi) -> None:
    await api.price("BTC/USDT", "64000", index_price_usd=Decimal(64000))
    await api.add_account("main", BTC="2")
    async with connected(api) as socket:
        portfolio, positions = await socket.subscribe("portfolio", "positions")
        await api.price("BTC/USDT", "65000", index_price_usd=Decimal(65000))
        delta = await socket.read("delta", "portfolio")

    assert portfolio["data"][0]["total_value"] == "128000"
    assert positions["data"][0]["id"] == "binance-main.spot.BTC"
    assert delta["data"][0]["total_value"] == "130000"


async def test_a_portfolio_of_which_nothing_is_priced_is_sent_as_unknown(api: RunningApi) -> None:
    await api.add_account("main", XYZ="2")
    async with connected(api) as socket:
        (portfolio,) = await socket.subscribe("portfolio")

    assert portfolio["data"][0]["total_value"] is None
    assert portfolio["data"][0]["unpriced"][0]["asset"] == "XYZ"


async def test_every_change_of_an_order_is_sent_at_once(api: RunningApi) -> None:
    account = await api.add_account("main", BTC="1")
    async with connected(api) as socket:
        (snapshot,) = await socket.subscribe("orders")
        await api.publish(
            OrderChanged(order(api, account)),
            OrderChanged(order(api, account, OrderStatus.PARTIALLY_FILLED, filled="0.5")),
            OrderChanged(order(api, account, OrderStatus.FILLED, filled="1")),
        )
        said: list[dict[str, Any]] = []
        while len(said) < 3:
            said += (await socket.read("delta", "orders"))["data"]

    assert snapshot["data"] == []
    assert [row["status"] for row in said] == ["open", "partially_filled", "filled"]
    assert {row["id"] for row in said} == {"binance-main.BTC-USDT.1"}


async def test_accounts_say_how_they_are_and_when_they_are_gone(api: RunningApi) -> None:
    account = await api.add_account("main", BTC="1")
    async with connected(api) as socket:
        (snapshot,) = await socket.subscribe("accounts")
        await api.publish(AccountRemoved(account.id))
        delta = await socket.read("delta")

    assert snapshot["data"][0]["status"] == "ok"
    assert delta["data"] == [{"id": "binance-main", "gone": True}]


async def test_candles_of_one_market(api: RunningApi) -> None:
    candle = Candle(
        exchange=ExchangeId("binance"),
        symbol=Symbol("BTC/USDT"),
        timeframe=Timeframe.M1,
        open_time=api.clock.now().replace(second=0, microsecond=0),
        open=Decimal(1),
        high=Decimal(3),
        low=Decimal("0.5"),
        close=Decimal(2),
        volume=Decimal(7),
        is_closed=False,
    )
    async with connected(api) as socket:
        await socket.subscribe("candles:BTC/USDT:1m")
        await api.publish(CandleUpdated(candle))
        delta = await socket.read("delta")

    row = delta["data"][0]
    assert (row["o"], row["h"], row["l"], row["c"], row["closed"]) == ("1", "3", "0.5", "2", False)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"op": "subscribe", "id": 7, "channels": ["nonsense"]}, "unknown_channel"),
        ({"op": "subscribe", "id": 7, "channels": ["ticker:btc"]}, "unknown_channel"),
        ({"op": "subscribe", "id": 7, "channels": []}, "bad_request"),
        ({"op": "subscribe", "id": 7, "channels": ["tickers"], "extra": 1}, "bad_request"),
        ({"op": "dance"}, "bad_request"),
        ({"op": "auth", "token": "again"}, "bad_request"),
    ],
)
async def test_what_cannot_be_done_is_said_and_the_connection_lives(
    api: RunningApi, message: dict[str, object], code: str
) -> None:
    async with connected(api) as socket:
        await socket.send(**message)
        error = await socket.read("error")
        await socket.subscribe("tickers")

    assert error["code"] == code
    if code == "unknown_channel":
        assert error["id"] == 7


async def test_a_channel_needs_its_scope(api: RunningApi) -> None:
    access = api.services.users.verify_token(api.token)
    api.token = api.services.users._issuer.issue(
        access.user_id, access.session_id, frozenset({Scope.MARKET_READ})
    )
    async with connected(api) as socket:
        await socket.subscribe("tickers")
        await socket.send(op="subscribe", id=2, channels=["portfolio"])
        error = await socket.read("error")

    assert (error["code"], error["id"]) == ("missing_scope", 2)


async def test_what_is_unsubscribed_is_not_sent(api: RunningApi) -> None:
    await api.price("BTC/USDT", "1")
    await api.price("ETH/USDT", "1")
    async with connected(api) as socket:
        await socket.subscribe("ticker:BTC/USDT", "ticker:ETH/USDT")
        await socket.send(op="unsubscribe", id=2, channels=["ticker:BTC/USDT"])
        await socket.send(op="subscribe", id=3, channels=["nonsense"])
        await socket.read("error")
        await api.price("BTC/USDT", "2")
        await api.price("ETH/USDT", "2")
        delta = await socket.read("delta")

    assert delta["ch"] == "ticker:ETH/USDT"


async def test_a_second_subscription_starts_from_zero(api: RunningApi) -> None:
    await api.price("BTC/USDT", "1")
    async with connected(api) as socket:
        await socket.subscribe("tickers")
        await api.price("BTC/USDT", "2")
        await socket.read("delta")
        (again,) = await socket.subscribe("tickers")
        await api.price("BTC/USDT", "3")
        delta = await socket.read("delta")

    assert (again["seq"], delta["seq"]) == (0, 1)


@pytest.mark.parametrize(
    "first",
    ['{"op":"auth","token":"wrong"}', '{"op":"subscribe","id":1,"channels":["tickers"]}', "{"],
)
async def test_who_does_not_authenticate_first_is_closed_with_4401(
    api: RunningApi, first: str
) -> None:
    async with anonymous(api) as socket:
        await socket.read()
        await socket.raw.send_str(first)

        assert (await socket.read())["type"] == "error"
        assert await socket.closed() == 4401


async def test_who_says_nothing_is_closed_with_4401(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "AUTH_S", 0.2)
    async with anonymous(api) as socket:
        assert await socket.closed() == 4401


async def test_logging_out_closes_the_connection(api: RunningApi) -> None:
    async with connected(api) as socket:
        await socket.subscribe("tickers")
        assert (await api.post("/api/user/logout")).status == 204
        assert await socket.closed() == 4401

    await eventually(lambda: api.hub.client_count == 0)


async def test_a_cookie_needs_no_message(api: RunningApi) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    own = {"Origin": api.url}
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        login = {"username": USERNAME, "password": PASSWORD}
        async with browser.post(f"{api.url}/api/user/login", json=login, headers=own) as answer:
            assert answer.status == 200
        api.client = browser
        async with anonymous(api, headers=own) as socket:
            await socket.read()
            await socket.subscribe("tickers")


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
async def test_a_foreign_page_opens_no_socket(api: RunningApi, headers: dict[str, str]) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with anonymous(api, headers=headers):
            pass
    assert refused.value.status == 403


async def test_before_the_set_up_nobody_can_say_who_they_are(fresh_api: RunningApi) -> None:
    async with anonymous(fresh_api) as socket:
        await socket.read()
        await socket.send(op="auth", token="anything")

        assert await socket.closed() == 4401


async def test_heartbeats_show_that_the_connection_lives(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "HEARTBEAT_S", 0.05)
    async with connected(api) as socket:
        await socket.subscribe("tickers")
        # The loop in the hub reads the interval when it next turns.
        await api.price("BTC/USDT", "1")
        api.hub._beat()
        beat = await socket.read("heartbeat")

    assert beat["ts"].endswith("Z")


async def test_a_client_that_never_stops_talking_is_closed(api: RunningApi) -> None:
    async with connected(api) as socket:
        for _ in range(30):
            await socket.send(op="unsubscribe", id=1, channels=["tickers"])
        assert await socket.closed() == 4429


async def test_a_slow_client_is_told_to_subscribe_again_and_holds_up_nobody(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.price("BTC/USDT", "1")
    async with connected(api) as slow, connected(api) as quick:
        await slow.subscribe("ticker:BTC/USDT")
        await quick.subscribe("ticker:BTC/USDT")
        (stuck,) = [c for c in api.hub._clients if c.connection_id == slow.seen[0]["session"]]
        monkeypatch.setattr(
            type(stuck.writer), "is_drained", property(lambda w: w is not stuck.writer)
        )
        write = frames.DirectFrames.write_frame
        monkeypatch.setattr(
            frames.DirectFrames,
            "write_frame",
            lambda writer, frame: writer is not stuck.writer and write(writer, frame),
        )
        await api.price("BTC/USDT", "2")
        assert (await quick.read("delta"))["data"][0]["last"] == "2"
        await eventually(lambda: stuck.lost)
        monkeypatch.undo()
        resync = await slow.read("resync")
        (again,) = await slow.subscribe("ticker:BTC/USDT")

    assert (resync["ch"], resync["reason"]) == ("ticker:BTC/USDT", "slow_consumer")
    assert again["data"][0]["last"] == "2"
    assert api.hub.dropped == 1


async def test_a_client_that_reads_nothing_is_bounded_and_cut_off(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "LAGGING_S_MAX", 0.2)
    for number in range(300):
        api.bus.publish(_ticker_event(api, number, 0))
    async with connected(api) as socket:
        await socket.subscribe("tickers")
        (client,) = api.hub._clients
        assert isinstance(client.writer, frames.DirectFrames)
        connection = socket.raw._response.connection
        assert connection is not None
        assert isinstance(connection.transport, asyncio.Transport)
        connection.transport.pause_reading()
        # The kernel would take megabytes for a client that reads nothing.
        for end in (connection.transport, client.writer.transport):
            for buffer in (socket_options.SO_RCVBUF, socket_options.SO_SNDBUF):
                end.get_extra_info("socket").setsockopt(socket_options.SOL_SOCKET, buffer, 4096)
        for turn in range(1, 400):
            for number in range(300):
                api.bus.publish(_ticker_event(api, number, turn))
            await asyncio.sleep(0.05)
            assert client.writer.transport.get_write_buffer_size() < 2 * frames.HIGH_WATER_BYTES
            if client not in api.hub._clients:
                break
        assert client not in api.hub._clients
        # Else its goodbye would wait ten seconds for an answer that it does not read.
        connection.transport.resume_reading()


def _ticker_event(api: RunningApi, number: int, turn: int) -> TickerUpdated:
    at = api.clock.now() + timedelta(microseconds=turn)
    return TickerUpdated(
        Ticker(
            exchange=ExchangeId("binance"),
            symbol=Symbol(f"C{number}/USDT"),
            occurred_at=at,
            received_at=at,
            last=Decimal(turn + 1),
        )
    )


async def test_the_asyncapi_document_names_every_message(api: RunningApi) -> None:
    answer = await api.get("/api/asyncapi.json")
    document = json.loads(await answer.text())

    assert document["asyncapi"].startswith("3.")
    assert {"Subscribe", "Snapshot", "Delta", "Resync"} <= set(document["components"]["messages"])
    for name in document["components"]["messages"]:
        assert name in document["components"]["schemas"]
