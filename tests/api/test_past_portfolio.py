"""The portfolio as it was at a moment: by the ledger, at the prices of that minute."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphapulse.domain.account import Account
from alphapulse.domain.cash_flow import FlowKind
from alphapulse.domain.identifiers import Asset, UserId
from alphapulse.domain.ledger import Entry
from alphapulse.domain.rate_book import end_of
from alphapulse.domain.rates import Rate, RateQuality, RateWant
from alphapulse.domain.trading import AssetBook
from alphapulse.domain.valuation import USD
from alphapulse.security.scopes import Scope
from tests.builders import make_user
from tests.fixtures.api import RunningApi, body
from tests.ledgers import bought, day, flowed, sold

SUMMARY, POSITIONS = "/api/portfolio/summary", "/api/portfolio/positions"
BTC = Asset("BTC")


def then(number: float) -> str:
    """That day, as a client says it."""
    return f"as_of={(day(0) + timedelta(days=number)).isoformat().replace('+00:00', 'Z')}"


async def record(api: RunningApi, *entries: Entry) -> None:
    async with api.services.accounts._database.begin() as tx:
        await tx.ledger.record(entries, api.clock.now())


async def note(api: RunningApi, asset: str, value: str, number: float) -> None:
    """The close of that minute, as it is fetched."""
    at = day(0) + timedelta(days=number)
    rate = Rate(Asset(asset), Decimal(value), USD, end_of(at), f"market {asset}", RateQuality.CLOSE)
    async with api.services.accounts._database.begin() as tx:
        await tx.rates.save([rate])


async def open_books(api: RunningApi, account: Account, anchors: dict[str, str]) -> None:
    now = api.clock.now()
    books = [
        AssetBook(account.id, name, Decimal(held), now, Decimal(0), Decimal(held), now)
        for name, held in anchors.items()
    ]
    async with api.services.accounts._database.begin() as tx:
        await tx.reconciliations.replace_books(account.id, books)


@pytest.fixture
async def main(api: RunningApi) -> Account:
    """1,000 USD paid in, two BTC bought with it one after the other, one sold again."""
    main = await api.add_account("main", BTC="1", USD="1050")
    await record(
        api,
        flowed(0, FlowKind.DEPOSIT, "USD", "1000", account=main.id),
        bought(2, "BTC/USD", "1", "100", account=main.id),
        bought(4, "BTC/USD", "1", "200", account=main.id),
        sold(6, "BTC/USD", "1", "350", account=main.id),
    )
    await open_books(api, main, {"BTC": "1", "USD": "1050"})
    return main


async def summary(api: RunningApi, query: str, status: int = 200) -> Any:
    return await body(await api.get(f"{SUMMARY}?{query}"), status)


async def positions(api: RunningApi, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await body(await api.get(f"{POSITIONS}?{query}")))["items"]
    return found


def subjects(found: Any, code: str) -> Sequence[str] | None:
    return next((w["subject"] for w in found["meta"]["warnings"] if w["code"] == code), None)


async def test_it_is_what_was_held_then_at_the_prices_of_then(
    api: RunningApi, main: Account
) -> None:
    await note(api, "BTC", "150", 3)
    found = await summary(api, then(3))

    assert (found["total_value"], found["cash_value"]) == ("1050", "900")
    assert found["meta"]["as_of"] == "2026-01-04T00:00:00.000Z"
    assert found["meta"]["complete"] is True
    (account,) = found["accounts"]
    assert (account["id"], account["value"]) == (main.id, "1050")
    assert {(s["kind"], s["key"], s["value"]) for s in found["allocation"]} == {
        ("asset", "BTC", "150"),
        ("asset", "USD", "900"),
        ("exchange", "binance", "1050"),
        ("account", main.id, "1050"),
    }
    assert found["first_activity_at"] == "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("number", "btc", "usd"),
    [(0, None, "1000"), (1.9, None, "1000"), (2, "1", "900"), (5, "2", "700"), (9, "1", "1050")],
)
async def test_each_entry_counts_from_its_own_moment_on(
    api: RunningApi, main: Account, number: float, btc: str | None, usd: str
) -> None:
    held = {line["asset"]: line["quantity"] for line in await positions(api, then(number))}
    assert held == ({"USD": usd} if btc is None else {"BTC": btc, "USD": usd})


async def test_a_position_of_then_has_its_price_and_null_for_what_no_ledger_tells(
    api: RunningApi, main: Account
) -> None:
    await note(api, "BTC", "150", 3)
    bitcoin, _ = await positions(api, then(3))
    assert (bitcoin["id"], bitcoin["value"]) == (f"{main.id}.BTC", "150")
    price = bitcoin["price"]
    assert (price["value"], price["source"], price["quality"]) == ("150", "market BTC", "live")
    assert price["as_of"] == "2026-01-04T00:01:00.000Z"
    for name in ("wallet", "available", "debt", "cost_basis", "opened_at", "fees_paid"):
        assert bitcoin[name] is None
    assert [line["asset"] for line in await positions(api, f"{then(3)}&asset=USD")] == ["USD"]


async def test_a_price_nobody_knows_yet_is_null_listed_and_asked_for(
    api: RunningApi, main: Account
) -> None:
    found = await summary(api, then(3))
    assert (found["total_value"], found["meta"]["complete"]) == ("900", False)
    (line,) = found["unpriced"]
    assert (line["asset"], line["quantity"]) == ("BTC", "1")
    assert line["reason"] == "no price of that minute is known, or not yet"
    async with api.services.accounts._database.read() as tx:
        assert await tx.rates.wanted(api.clock.now(), 9) == (RateWant(USD, BTC, day(3)),)
    await note(api, "BTC", "150", 3)
    assert (await summary(api, then(3)))["total_value"] == "1050"


async def test_what_no_entry_explains_is_taken_as_there_all_along_and_named(
    api: RunningApi, main: Account
) -> None:
    await open_books(api, main, {"BTC": "1.5", "USD": "1050"})
    held = {line["asset"]: line["quantity"] for line in await positions(api, then(1))}
    assert held == {"BTC": "0.5", "USD": "1000"}
    assert subjects(await summary(api, then(1)), "opening_assumed") == ["BTC"]


async def test_contracts_of_then_are_named_and_in_no_total(api: RunningApi, main: Account) -> None:
    await record(api, bought(3, "BTC/USDT:USDT", "2", "100", account=main.id))
    assert subjects(await summary(api, then(2)), "contracts_not_valued") is None
    found = await summary(api, then(4))
    assert subjects(found, "contracts_not_valued") == ["BTC/USDT:USDT"]
    assert [line["asset"] for line in found["unpriced"]] == ["BTC", "USDT"]
    assert found["meta"]["complete"] is False


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("as_of=2025-12-31T23:59:59Z", "first activity"),
        ("as_of=2999-01-01T00:00:00Z", "future"),
        ("as_of=2026-01-04T00:00:00Z&range=7d", "span"),
        ("as_of=2026-01-04T00:00:00Z&include=performance", "span"),
        ("as_of=yesterday", "as_of"),
    ],
)
async def test_a_moment_of_which_nothing_can_be_said_is_refused(
    api: RunningApi, main: Account, query: str, said: str
) -> None:
    problem = await summary(api, query, 422)
    assert problem["code"] == "validation_failed"
    assert said in str(problem)


async def test_nobody_sees_what_another_person_had(api: RunningApi, main: Account) -> None:
    users = api.services.users
    async with users._database.begin() as unit:
        user = make_user(id=UserId("u"), username="u", role="trader")
        await unit.users.add(user, "no password opens this")
    mine = await api.add_account("mine", owner=users.verify_token(api.token).user_id)
    await record(api, flowed(0, FlowKind.DEPOSIT, "USD", "7", account=mine.id))
    api.token = users._issuer.issue(UserId("u"), "s", frozenset(Scope))
    await summary(api, f"{then(3)}&account={mine.id}", 404)
    # As if there were nothing at all: with the deposit counted it would be an answer.
    await summary(api, then(3), 422)


async def test_what_a_person_says_of_that_day_is_its_price(api: RunningApi) -> None:
    main = await api.add_account("main", LUNA="10")
    await record(api, flowed(1, FlowKind.DEPOSIT, "LUNA", "10", account=main.id))
    assert (await summary(api, then(3)))["total_value"] is None
    sent = {"value": "80", "currency": "USD", "as_of": then(3.5).removeprefix("as_of=")}
    assert (await api.request("PUT", "/api/portfolio/prices/LUNA", json=sent)).status == 200
    assert (await summary(api, then(3)))["total_value"] == "800"
    (line,) = await positions(api, then(3))
    assert (line["price"]["source"], line["price"]["quality"]) == ("manual", "manual")
    assert (await summary(api, then(4)))["total_value"] is None
