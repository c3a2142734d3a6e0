"""What people say an asset is worth, over HTTP and the WebSocket, and over a restart."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.events import ManualPricesChanged, SyncStatusChanged
from alphapulse.domain.identifiers import UserId
from alphapulse.domain.sync import SyncState
from alphapulse.domain.user import Role
from alphapulse.runtime.mailbox import Mailbox
from alphapulse.security.scopes import scopes_of
from tests.api.test_websocket import connected
from tests.builders import make_user
from tests.eventually import eventually
from tests.fixtures.api import USERNAME, RunningApi, body, serve_api

PRICES, LUNA = "/api/portfolio/prices", "/api/portfolio/prices/LUNA"
SUMMARY, POSITIONS = "/api/portfolio/summary", "/api/portfolio/positions"


async def say(api: RunningApi, value: str = "0.25", status: int = 200, **more: object) -> Any:
    return await send(api, {"value": value} | more, status)


async def send(api: RunningApi, sent: dict[str, object], status: int) -> Any:
    whole = {"value": "0.25", "currency": "USD"} | sent
    return await body(await api.request("PUT", LUNA, json=whole), status)


async def items(api: RunningApi, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await body(await api.get(PRICES + query)))["items"]
    return found


async def summary(api: RunningApi) -> Any:
    return await body(await api.get(SUMMARY))


async def total_is(api: RunningApi, value: str | None) -> None:
    async def is_shown() -> bool:
        return bool((await summary(api))["total_value"] == value)

    await eventually(is_shown)


async def be(api: RunningApi, name: str, role: Role) -> None:
    """From now on, another user."""
    users = api.services.users
    user = make_user(id=UserId(name), username=name, role=role)
    async with users._database.begin() as unit:
        await unit.users.add(user, "no password opens this")
    api.token = users._issuer.issue(user.id, f"s-{name}", scopes_of(role))


async def test_what_a_person_says_values_what_no_market_prices(api: RunningApi) -> None:
    await api.add_account("main", LUNA="1000")
    before = await summary(api)
    assert (before["total_value"], before["unpriced"][0]["asset"]) == (None, "LUNA")

    said = (await say(api))["said"]
    assert {name: said[name] for name in ("asset", "value", "currency", "said_by")} == {
        "asset": "LUNA", "value": "0.25", "currency": "USD", "said_by": USERNAME,
    }  # fmt: skip
    await total_is(api, "250")

    after = await summary(api)
    assert (after["unpriced"], after["meta"]["complete"]) == ([], True)
    assert ("price_manual", ["LUNA"]) in [
        (one["code"], one["subject"]) for one in after["meta"]["warnings"]
    ]
    (line,) = (await body(await api.get(POSITIONS)))["items"]
    assert (line["price"]["quality"], line["price"]["source"], line["stale"]) == (
        "manual", "manual", False,
    )  # fmt: skip
    assert line["price"]["as_of"] == said["as_of"]
    (listed,) = await items(api)
    assert listed["price"]["value"] == "0.25"

    assert (await api.request("DELETE", LUNA)).status == 204
    await total_is(api, None)
    assert await items(api) == []
    assert (await body(await api.request("DELETE", LUNA), 404))["code"] == "not_found"


async def test_a_market_goes_first_and_the_list_says_so(api: RunningApi) -> None:
    await api.add_account("main", LUNA="1000")
    await say(api)
    await api.price("LUNA/USD", "0.5")
    await total_is(api, "500")
    (listed,) = await items(api)
    assert (listed["value"], listed["price"]["value"], listed["price"]["quality"]) == (
        "0.25", "0.5", "live",
    )  # fmt: skip


async def test_the_list_has_the_newest_of_each_and_of_one_asset_all(api: RunningApi) -> None:
    await say(api, "80", as_of="2022-04-05T00:00:00Z")
    await say(api, "0.25")
    await say(api, "81", as_of="2022-04-05")
    assert [one["value"] for one in await items(api)] == ["0.25"]
    told = await items(api, "?asset=luna")
    assert [one["value"] for one in told] == ["0.25", "81"]
    assert told[1]["as_of"] == "2022-04-05T00:00:00.000Z"

    gone = await api.request("DELETE", f"{LUNA}?as_of={told[0]['as_of']}")
    assert gone.status == 204
    assert [one["value"] for one in await items(api)] == ["81"]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"value": "0"}, "value"),
        ({"value": "-1"}, "value"),
        ({"value": "NaN"}, "value"),
        ({"value": "Infinity"}, "value"),
        ({"value": 0.25}, "value"),
        ({"value": "1." + "3" * 40}, "value"),
        ({"value": "1" * 40}, "value"),
        ({"currency": "US$"}, "currency"),
        ({"currency": "NOSUCH"}, "currency"),
        ({"currency": "LUNA"}, "currency"),
        ({"as_of": "2999-01-01T00:00:00Z"}, "as_of"),
        ({"as_of": "0001-01-01T00:00:00+14:00"}, "as_of"),
        ({"as_of": "yesterday"}, "as_of"),
        ({"more": "1"}, "more"),
    ],
)
async def test_what_is_no_price_is_refused_and_the_field_is_named(
    api: RunningApi, sent: dict[str, object], field: str
) -> None:
    problem = await send(api, sent, 422)
    assert problem["code"] == "validation_failed"
    assert field in str(problem["errors"])
    assert await items(api) == []


async def test_what_is_no_asset_is_refused(api: RunningApi) -> None:
    path = f"{PRICES}/LU%20NA"
    answer = await api.request("PUT", path, json={"value": "1", "currency": "USD"})
    assert (await body(answer, 422))["code"] == "validation_failed"
    moment = await api.request("DELETE", f"{LUNA}?as_of=0001-01-01T00:00:00%2B14:00")
    assert (await body(moment, 422))["code"] == "validation_failed"


async def test_a_price_holds_for_everybody_with_the_name_of_who_said_it(api: RunningApi) -> None:
    await be(api, "tom", Role.TRADER)
    await say(api)
    await be(api, "vera", Role.VIEWER)
    await api.add_account("vera", owner="vera", LUNA="4")
    await total_is(api, "1")
    assert [one["said_by"] for one in await items(api)] == ["tom"]
    assert (await say(api, status=403))["code"] == "missing_scope"
    assert (await body(await api.request("DELETE", LUNA), 403))["code"] == "missing_scope"


async def test_whoever_may_say_prices_may_replace_another_ones(api: RunningApi) -> None:
    await say(api, "1")
    await be(api, "tom", Role.TRADER)
    await say(api, "2")
    assert [(one["value"], one["said_by"]) for one in await items(api)] == [("2", "tom")]


async def test_no_plan_of_a_rebalance_is_made_with_it(api: RunningApi) -> None:
    await api.add_account("main", LUNA="1000", USDT="100")
    await api.price("USDT/USD", "1")
    await say(api)
    await total_is(api, "350")
    asked = {"targets": [{"asset": "LUNA", "weight": "0.5"}, {"asset": "USDT", "weight": "0.5"}]}
    problem = await body(await api.post("/api/portfolio/rebalance", asked), 503)
    assert ("/LUNA", "price_missing") in [(e["pointer"], e["code"]) for e in problem["errors"]]


async def test_the_bookkeeper_hears_of_it(api: RunningApi) -> None:
    heard = Mailbox("heard", 10)
    api.bus.subscribe(heard, ManualPricesChanged)
    await say(api)
    assert [type(event) for event in (await heard.take()).events] == [ManualPricesChanged]


async def test_the_portfolio_of_the_websocket_follows(api: RunningApi) -> None:
    await api.add_account("main", LUNA="1000")
    async with connected(api) as socket:
        shown, lines = await socket.subscribe("portfolio", "positions")
        assert shown["data"][0]["total_value"] is None
        assert lines["data"][0]["price"] is None
        await say(api)
        delta = await socket.read("delta", "positions")
        assert [delta["data"][0]["price"][name] for name in ("value", "quality")] == [
            "0.25", "manual",
        ]  # fmt: skip
        await say(api, "0.5")
        after = await socket.read("delta", "portfolio")
        while after["data"][0]["total_value"] != "500":
            after = await socket.read("delta", "portfolio")


async def test_it_is_known_after_a_restart(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    async with serve_api(sqlite_settings, tmp_path) as api:
        await api.set_up()
        token = api.token
        account = await api.add_account("main", LUNA="1000")
        said = (await say(api))["said"]
    async with serve_api(sqlite_settings, tmp_path) as api:
        api.token = token
        await eventually(lambda: api.services.live.is_loaded)
        await api.publish(SyncStatusChanged(api.status_of(account, SyncState.OK)))
        (line,) = (await body(await api.get(POSITIONS)))["items"]
        assert (line["value"], line["price"]["as_of"]) == ("250", said["as_of"])
        moment = datetime.fromisoformat(said["as_of"])
        assert line["price"]["age_ms"] <= (api.clock.now() - moment) / timedelta(milliseconds=1)
