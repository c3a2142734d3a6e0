"""The control API and the facade reach into the running simulator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr, ValidationError

from alphapulse.domain.order import Side
from alphapulse.errors import PortTaken
from alphapulse.simulator.settings import (
    CandleReplaySettings,
    SimulatedAccountSettings,
    SimulatorSettings,
)
from alphapulse.simulator.simulator import Simulator
from tests.eventually import eventually
from tests.fixtures.simulator import QUICK, WEEKS
from tests.plain_bybit import plain_bybit

LABEL = "bybit-unified"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - refused, which is the point


class Control:
    """Speaks to ``/_control``."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = f"{url}/_control"

    async def get(self, path: str) -> Any:
        async with self._http.get(f"{self._url}{path}") as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def post(self, path: str, **body: object) -> Any:
        async with self._http.post(f"{self._url}{path}", json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def status(self, method: str, path: str, **options: Any) -> int:
        async with self._http.request(method, f"{self._url}{path}", **options) as response:
            return response.status


@pytest.fixture
async def control(simulator: Simulator) -> AsyncIterator[Control]:
    async with aiohttp.ClientSession() as http:
        yield Control(http, simulator.url)


async def test_state_names_accounts_and_never_secrets(
    control: Control, simulator: Simulator
) -> None:
    state = await control.get("/state")

    assert {account["label"] for account in state["accounts"]} == {
        "binance-main",
        "binance-second",
        "bybit-unified",
    }
    assert state["venues"] == {"binance": {"is_stopped": False}, "bybit": {"is_stopped": False}}
    assert not any(account.api_secret in str(state) for account in simulator.accounts)


async def test_books_are_exact_and_in_text(control: Control, simulator: Simulator) -> None:
    simulator.pause()
    books = await control.get(f"/accounts/{LABEL}")
    exact = simulator.books(LABEL)

    assert len(exact.balances) >= 8
    assert {asset: Decimal(row["free"]) for asset, row in books["balances"].items()} == {
        asset: book.free for asset, book in exact.balances.items()
    }
    assert Decimal(books["prices"]["BTC/USDT"]["last"]) == exact.prices["BTC/USDT"].last
    assert {row["symbol"]: Decimal(row["quantity"]) for row in books["positions"]} == {
        "BTC/USDT:USDT": Decimal("0.25"),
        "ETH/USDT:USDT": Decimal("-3.5"),
    }


@pytest.mark.parametrize("simulator_settings", [WEEKS], ids=["weeks"])
async def test_demo_accounts_have_a_past(simulator: Simulator) -> None:
    for account in simulator.accounts:
        books = simulator.books(account.label)
        fills = simulator.world.venues[account.venue].accounts[account.label].fills
        assert books.fills >= 40
        assert len({fill.instrument.name for fill in fills}) >= 4
        assert len({fill.at_ms // 86_400_000 for fill in fills}) >= 8
        assert books.open_orders >= 2
        assert account.api_key.startswith("sim-")


async def test_deposit_and_withdrawal_change_the_wallet(
    control: Control, simulator: Simulator
) -> None:
    before = simulator.books(LABEL).balances["BTC"].total

    await control.post(f"/accounts/{LABEL}/deposit", asset="BTC", amount="1.5")
    await control.post(f"/accounts/{LABEL}/deposit", asset="BTC", amount="-0.25")

    assert simulator.books(LABEL).balances["BTC"].total == before + Decimal("1.25")


async def test_trade_by_hand_is_a_fill_like_any_other(
    control: Control, simulator: Simulator
) -> None:
    before = simulator.books(LABEL).fills

    done = await control.post(
        f"/accounts/{LABEL}/trade", symbol="ETH/USDT", side="buy", quantity="0.5"
    )

    assert done["state"] == "filled"
    assert simulator.books(LABEL).fills > before


async def test_paused_prices_stand_still_and_can_be_set(
    control: Control, simulator: Simulator
) -> None:
    await control.post("/driver/pause")
    await control.post("/venues/bybit/price", symbol="BTC/USDT:USDT", price="90000")
    marked = simulator.books(LABEL).prices["BTC/USDT:USDT"].mark
    await asyncio.sleep(0.6)

    assert marked == Decimal(90000)
    assert simulator.books(LABEL).prices["BTC/USDT:USDT"].mark == marked

    await control.post("/driver/resume")
    await eventually(lambda: simulator.books(LABEL).prices["BTC/USDT:USDT"].mark != marked)


async def test_funding_is_paid_now(control: Control, simulator: Simulator) -> None:
    before = simulator.books(LABEL).balances["USDT"].total

    await control.post("/venues/bybit/funding")

    async with plain_bybit(simulator) as client:
        charged = await client.get("/v5/execution/list", category="linear", execType="Funding")
    newest = charged["result"]["list"][:2]
    paid = sum(Decimal(row["execFee"]) for row in newest)
    assert simulator.books(LABEL).balances["USDT"].total == before - paid


async def test_money_is_moved_without_an_order(control: Control, simulator: Simulator) -> None:
    simulator.pause()
    binance = "/accounts/binance-main"

    def has(asset: str) -> Decimal:
        return simulator.books("binance-main").balances[asset].total

    usdt, bnb, eth = has("USDT"), has("BNB"), has("ETH")

    await control.post(f"{binance}/withdraw", asset="USDT", amount="10", fee="0.5", network="TRX")
    out, into = await control.post(
        f"{binance}/send", to=LABEL, asset="ETH", amount="1", after_s=3600
    )
    await control.post(f"{binance}/reward", asset="BNB", amount="0.25", note="Launchpool")
    await control.post(f"{binance}/transfer", asset="USDT", amount="5", into="linear")

    assert (has("USDT"), has("BNB"), has("ETH")) == (
        usdt - Decimal("15.5"),
        bnb + Decimal("0.25"),
        eth - 1,
    )
    assert out["txid"] == into["txid"]
    known = await control.get(f"{binance}/crossings")
    assert [one["state"] for one in known[-2:]] == ["done", "pending"]
    await control.post(f"{binance}/crossings/{out['id']}/fail")
    assert has("ETH") == eth
    await control.post(f"{binance}/convert", spent={"ETH": "0.1"}, into="BNB")
    assert (has("ETH"), has("BNB") > bnb + Decimal("0.25")) == (eth - Decimal("0.1"), True)


async def test_venue_stops_and_starts(control: Control, simulator: Simulator) -> None:
    await control.post("/venues/bybit/stop")
    async with plain_bybit(simulator) as client:
        with pytest.raises(aiohttp.ClientError):
            await client.public("/v5/market/time")
        await control.post("/venues/bybit/start")
        assert (await client.public("/v5/market/time"))["retCode"] == 0


async def test_faults_are_listed_counted_and_lifted(control: Control, simulator: Simulator) -> None:
    added = await control.post("/faults", kind="status", status=503, count=2)
    async with plain_bybit(simulator) as client:
        with pytest.raises(aiohttp.ContentTypeError):
            await client.public("/v5/market/time")
    (entry,) = await control.get("/faults")

    assert (entry["id"], entry["struck"]) == (added["id"], 1)
    assert await control.status("DELETE", f"/faults/{entry['id']}") == 200
    assert await control.status("DELETE", f"/faults/{entry['id']}") == 404
    assert await control.get("/faults") == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/accounts/nobody/revoke", None, 404),
        ("/venues/kraken/stop", None, 404),
        (f"/accounts/{LABEL}/deposit", {"asset": "BTC", "amount": "-1000"}, 400),
        (f"/accounts/{LABEL}/deposit", {"asset": "BTC"}, 400),
        (f"/accounts/{LABEL}/withdraw", {"asset": "BTC", "amount": "-1"}, 400),
        (f"/accounts/{LABEL}/send", {"asset": "BTC", "amount": "0.1", "to": "nobody"}, 404),
        (f"/accounts/{LABEL}/transfer", {"asset": "BTC", "amount": "1", "into": "linear"}, 404),
        (f"/accounts/{LABEL}/convert", {"spent": {"NOSUCH": "1"}, "into": "BTC"}, 400),
        (f"/accounts/{LABEL}/crossings/999/fail", None, 404),
        ("/venues/bybit/status", {"symbol": "NO/THING", "status": "halt"}, 404),
        ("/faults", {"kind": "meteor"}, 400),
    ],
)
async def test_control_refuses_what_makes_no_sense(
    path: str, body: object, status: int, control: Control
) -> None:
    assert await control.status("POST", path, json=body) == status


async def test_control_serves_no_page_in_a_browser(control: Control) -> None:
    foreign = {"Host": "evil.example"}

    assert await control.status("GET", "/state", headers=foreign) == 403
    assert await control.status("POST", "/driver/pause", data="{}") == 403


async def test_keys_are_new_each_start_unless_given() -> None:
    given = SimulatedAccountSettings(
        venue="bybit", label="mine", api_key="sim-given-key", api_secret=SecretStr("sim-given")
    )
    anew = SimulatedAccountSettings(venue="bybit", label="anew")
    settings = QUICK.model_copy(update={"accounts": (given, anew), "history_days": 0})

    async with Simulator.running(settings) as one, Simulator.running(settings) as two:
        assert one.account("mine").api_key == two.account("mine").api_key == "sim-given-key"
        assert one.account("anew").api_key != two.account("anew").api_key
        assert "api_secret" not in repr(one.account("mine"))
        with pytest.raises(KeyError):
            one.account("nobody")


async def test_same_seed_is_the_same_past() -> None:
    async with Simulator.running(QUICK) as one, Simulator.running(QUICK) as two:
        first, second = one.books("binance-main"), two.books("binance-main")
        other = QUICK.model_copy(update={"seed": 8})
        async with Simulator.running(other) as three:
            third = three.books("binance-main")

    assert first.balances == second.balances
    assert first.balances != third.balances


async def test_nothing_is_left_when_it_stops() -> None:
    before = asyncio.all_tasks()
    settings = QUICK.model_copy(update={"history_days": 0})
    async with (
        Simulator.running(settings) as simulator,
        plain_bybit(simulator) as client,
        client.socket("/v5/public/spot") as socket,
    ):
        await socket.subscribe("tickers.BTCUSDT")

    assert asyncio.all_tasks() == before
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", simulator.port)


async def test_stops_while_clients_are_connected() -> None:
    async with aiohttp.ClientSession() as http:
        async with Simulator.running(QUICK.model_copy(update={"history_days": 0})) as simulator:
            url = f"{simulator.url}/stream.bybit.com/v5/public/linear"
            socket = await http.ws_connect(url)
            await socket.send_str('{"op":"subscribe","args":["tickers.BTCUSDT"]}')
        while not (await socket.receive()).type.name.startswith("CLOS"):
            pass
        await socket.close()


async def test_connections_beyond_the_limit_are_cut(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alphapulse.simulator.server.CONNECTIONS_MAX", 2)
    async with plain_bybit(simulator) as client, client.socket("/v5/public/spot"):
        async with client.socket("/v5/public/spot"):
            with pytest.raises(aiohttp.ClientError):
                await client.public("/v5/market/time")

        async def is_served() -> bool:
            with suppress(aiohttp.ClientError):
                return bool((await client.public("/v5/market/time"))["retCode"] == 0)
            return False

        await eventually(is_served)


def test_public_bind_must_be_meant() -> None:
    with pytest.raises(ValidationError, match="reachable from other machines"):
        SimulatorSettings(host=EVERYWHERE)

    assert SimulatorSettings(host=EVERYWHERE, allow_public_bind=True).host == EVERYWHERE


async def test_recorded_candles_are_the_market(tmp_path: Any) -> None:
    recording = tmp_path / "candles.csv"
    recording.write_text(
        "timestamp,open,high,low,close,volume\n"
        "2022-01-01 00:00:00,47000,47100,46900,47050,12.5\n"
        "2022-01-01 00:01:00,47050,47200,47000,47150,8\n"
    )
    settings = SimulatorSettings(
        driver=CandleReplaySettings(files={"BTC/USDT:USDT": recording}), speed=None
    )

    async with Simulator.running(settings) as simulator, plain_bybit(simulator) as client:

        async def closed() -> bool:
            answer = await client.public(
                "/v5/market/kline", category="linear", symbol="BTCUSDT", interval=1
            )
            rows = {row[0]: row[1:6] for row in answer["result"]["list"]}
            first = ["47000", "47100", "46900", "47050", "12.5"]
            second = ["47050", "47200", "47000", "47150", "8"]
            return rows.get("1640995200000") == first and rows.get("1640995260000") == second

        await eventually(closed)
        answer = await client.get("/v5/account/info")
        done = simulator.world.trade(LABEL, "BTC/USDT:USDT", Side.BUY, Decimal("0.01"))

    assert answer["retCode"] == 0
    assert done.average_price > 47_000


@pytest.mark.parametrize("name", ["port", "tls_port"])
async def test_taken_port_is_named(name: str, simulator: Simulator) -> None:
    settings = QUICK.model_copy(update={name: simulator.port, "history_days": 0})

    with pytest.raises(PortTaken) as raised:
        async with Simulator.running(settings):
            pass

    assert raised.value.facts == {"host": "127.0.0.1", "port": simulator.port}
    assert simulator.accounts
