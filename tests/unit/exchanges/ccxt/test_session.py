"""Session: clocks, shared markets, time limits, and the edge where CCXT's errors end."""

import asyncio
from typing import Any

import pytest

from alphapulse.domain.clock import Clock
from alphapulse.errors import (
    AuthenticationFailed,
    ClockSkewed,
    ExchangeUnavailable,
    InvalidInput,
    NotFound,
    OrderOutcomeUnknown,
    OrderRejected,
)
from alphapulse.exchanges.budget import Budgets
from alphapulse.exchanges.ccxt import loading
from alphapulse.exchanges.ccxt.client import MarketType, Surroundings
from alphapulse.exchanges.ccxt.errors import Intent
from alphapulse.exchanges.ccxt.session import ExchangeSession, MarketCatalog
from alphapulse.exchanges.ccxt.transport import Answer, Request
from alphapulse.exchanges.settings import ExchangesSettings
from tests.fixtures.clock import HandClock
from tests.unit.exchanges.answers import KEY, CannedTransport, answer, list_market, make_session
from tests.unit.exchanges.markets import BINANCE_EXCHANGE_INFO

SPOT = MarketType.SPOT
ACCOUNT = answer({"updateTime": 0, "balances": []})
SKEWED = answer({"code": -1021, "msg": "Timestamp for this request"}, status=400)


class VenueClock(CannedTransport):
    """Answers its time, each time as if the answer had been so long on its way."""

    def __init__(self, clock: HandClock, offset_ms: int, delays_s: list[float]) -> None:
        super().__init__({"/account": ACCOUNT, "/exchangeInfo": answer(BINANCE_EXCHANGE_INFO)})
        self.clock, self.offset_ms, self.delays_s = clock, offset_ms, delays_s

    async def send(self, request: Request) -> Answer:
        if not request.url.endswith("/time"):
            return await super().send(request)
        self.sent.append(request)
        delay_s = self.delays_s.pop(0)
        self.clock.advance(delay_s / 2)
        told = answer({"serverTime": int(self.clock.now().timestamp() * 1000) + self.offset_ms})
        self.clock.advance(delay_s / 2)
        return told


async def test_the_offset_is_the_median_of_five_probes(clock: HandClock) -> None:
    transport = VenueClock(clock, 1500, [0.02, 0.04, 4.0, 0.02, 0.02])
    session = make_session(transport, clock)

    assert await session.measure_clock() == pytest.approx(1500, abs=2)
    assert len(transport.sent) == 5
    assert session.clock_offset_ms == pytest.approx(1500, abs=2)


async def test_requests_are_signed_with_the_measured_clock(clock: HandClock) -> None:
    transport = VenueClock(clock, -7000, [0.0] * 5)
    session = make_session(transport, clock)
    await session.measure_clock()

    await session.call(SPOT, lambda client: client.private_get_account())

    venue_ms = int(clock.now().timestamp() * 1000) - 7000
    assert f"timestamp={venue_ms}" in transport.sent[-1].url


async def test_a_read_refused_for_the_clock_is_repeated_once_with_the_clock_measured(
    clock: HandClock,
) -> None:
    transport = VenueClock(clock, 30_000, [0.0] * 5)
    transport.paths["/account"] = [SKEWED, ACCOUNT]
    session = make_session(transport, clock)

    await session.call(SPOT, lambda client: client.private_get_account())

    assert len(transport.sent_to("/time")) == 5
    assert len(transport.sent_to("/account")) == 2


async def test_a_clock_that_stays_refused_is_an_error(clock: HandClock) -> None:
    transport = VenueClock(clock, 0, [0.0] * 5)
    transport.paths["/account"] = SKEWED
    session = make_session(transport, clock)

    with pytest.raises(ClockSkewed):
        await session.call(SPOT, lambda client: client.private_get_account())
    assert len(transport.sent_to("/account")) == 2


async def test_a_write_refused_for_the_clock_is_not_repeated(clock: HandClock) -> None:
    transport = VenueClock(clock, 0, [0.0] * 5)
    transport.paths["/order"] = SKEWED
    session = make_session(transport, clock)

    with pytest.raises(OrderRejected):
        await session.call(SPOT, lambda client: client.private_post_order({}), intent=Intent.PLACE)
    assert len(transport.sent_to("/order")) == 1


async def test_accounts_of_one_exchange_load_its_markets_once(clock: Clock) -> None:
    transport = CannedTransport({"/exchangeInfo": answer(BINANCE_EXCHANGE_INFO)})
    around = Surroundings(
        "binance", ExchangesSettings(), transport, Budgets("binance", clock, max_wait_s=0), clock
    )
    catalog = MarketCatalog()
    sessions = [ExchangeSession(around, catalog, KEY) for _ in range(3)]

    clients = await asyncio.gather(*(session.loaded(SPOT) for session in sessions))

    assert len(transport.sent_to("/exchangeInfo")) == 1
    assert {id(client.markets) for client in clients} == {id(clients[0].markets)}
    reloaded = await sessions[0].reload_markets(SPOT)
    assert len(transport.sent_to("/exchangeInfo")) == 2
    assert (await sessions[1].loaded(SPOT)).markets is reloaded.markets


async def test_one_who_gives_up_on_loading_does_not_stop_the_others(clock: Clock) -> None:
    loading_began, go_on = asyncio.Event(), asyncio.Event()

    class Slow(CannedTransport):
        async def send(self, request: Request) -> Answer:
            loading_began.set()
            await go_on.wait()
            return await super().send(request)

    transport = Slow({"/exchangeInfo": answer(BINANCE_EXCHANGE_INFO)})
    session = make_session(transport, clock)
    impatient = asyncio.create_task(session.loaded(SPOT))
    await loading_began.wait()
    patient = asyncio.create_task(session.loaded(SPOT))
    impatient.cancel()
    go_on.set()

    assert "BTC/USDT" in (await patient).markets
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_a_call_has_a_total_time_limit(clock: Clock) -> None:
    settings = ExchangesSettings(call_timeout_s=0.02)
    transport = CannedTransport()
    around = Surroundings(
        "binance", settings, transport, Budgets("binance", clock, max_wait_s=0), clock
    )
    session = ExchangeSession(around, MarketCatalog(), KEY)
    list_market(session, SPOT, "BTC/USDT")

    async def never(_: Any) -> None:
        await asyncio.Event().wait()

    with pytest.raises(ExchangeUnavailable, match="in time"):
        await session.call(SPOT, never)
    with pytest.raises(OrderOutcomeUnknown):
        await session.call(SPOT, never, intent=Intent.PLACE)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        ("ArgumentsRequired", InvalidInput),
        ("NotSupported", InvalidInput),
        ("OrderNotFound", NotFound),
        ("AuthenticationError", AuthenticationFailed),
        ("NullResponse", ExchangeUnavailable),
        ("ExchangeError", ExchangeUnavailable),
    ],
)
async def test_what_ccxt_raises_by_itself_becomes_an_error_of_ours(
    raised: str, expected: type[Exception], clock: Clock
) -> None:
    session = make_session(CannedTransport(), clock)
    list_market(session, SPOT, "BTC/USDT")
    loading.base_error()
    from ccxt.base import errors

    async def fail(_: Any) -> None:
        raise getattr(errors, raised)("binance GET https://api.binance.com/?signature=abc")

    with pytest.raises(expected) as caught:
        await session.call(SPOT, fail)
    error = caught.value
    assert "signature" not in f"{error} {error!r} {error.__cause__} {error.__context__}"


@pytest.mark.parametrize("trip", [KeyError, TypeError, AttributeError, IndexError, ValueError])
async def test_ccxt_tripping_over_an_answer_is_no_answer(
    trip: type[Exception], clock: Clock
) -> None:
    session = make_session(CannedTransport(), clock)
    list_market(session, SPOT, "BTC/USDT")

    async def fail(_: Any) -> None:
        raise trip("spot")

    with pytest.raises(ExchangeUnavailable):
        await session.call(SPOT, fail)


async def test_without_a_key_private_calls_say_that_one_is_needed(clock: Clock) -> None:
    session = make_session(CannedTransport(), clock, credentials=None)
    list_market(session, SPOT, "BTC/USDT")

    with pytest.raises(AuthenticationFailed):
        await session.call(SPOT, lambda client: client.private_get_account())


async def test_a_stream_client_knows_the_markets_and_the_clock(clock: HandClock) -> None:
    session = make_session(VenueClock(clock, 900, [0.0] * 5), clock)
    await session.measure_clock()

    client = await session.pro_client(SPOT)

    assert "BTC/USDT" in client.markets
    assert client.nonce() == int(clock.now().timestamp() * 1000) + 900
    await client.close()
