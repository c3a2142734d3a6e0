"""`alphapulse order` and `alphapulse trading` as a person and a program use them."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.test_command_line import Demo, running_demo
from tests.eventually import eventually


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One for all tests here, with its own orders."""
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo
        assert demo.stop() == 0


@pytest.fixture
async def account(demo: Demo) -> str:
    """One that may trade: it is read, and compared with its exchange."""
    items = demo.json("accounts")["items"]
    account = next(str(one["id"]) for one in items if one["label"] == "bybit-unified")

    def is_ready() -> bool:
        looked = demo.run(*buying(account, price_of(demo, "0.97")), "--yes", "--json")
        if looked.returncode:
            return False
        demo.run("order", "cancel", "all", "--account", account, "--yes")
        return True

    await eventually(is_ready)
    return account


def price_of(demo: Demo, share: str) -> str:
    """A share of the last price of BTC at Bybit, whole dollars."""
    lines: list[dict[str, Any]] = demo.json("prices", "BTC/USDT")["items"]
    last = next(float(line["last"]) for line in lines if line["exchange"] == "bybit")
    return str(int(last * float(share)))


def buying(account: str, price: str, quantity: str = "0.001") -> tuple[str, ...]:
    order = ("order", "place", "buy", "btc/usdt", quantity, "--limit", price)
    return (*order, "--account", account, "--again")


async def test_an_order_is_shown_agreed_to_placed_listed_and_canceled(
    demo: Demo, account: str
) -> None:
    price = price_of(demo, "0.97")
    placed = demo.run(*buying(account, price), stdin="btc/usdt\n")

    assert placed.returncode == 0, placed.stderr
    assert "Buy 0.001 BTC/USDT" in placed.stderr
    assert "Cost" in placed.stderr
    assert "USDT free" in placed.stderr
    assert "--key" in placed.stderr
    assert placed.stdout.startswith("open ")

    (order,) = demo.json("order", "list", "--account", account, "--symbol", "BTC/USDT")["items"]
    assert (order["quantity"], order["limit_price"]) == ("0.001", price)
    assert order["id"] in demo.run("order", "list").stdout

    lower = price_of(demo, "0.96")
    changed = demo.json("order", "amend", order["id"], "--limit", lower, "--yes")
    assert (changed["id"], changed["limit_price"]) == (order["id"], lower)

    canceled = demo.json("order", "cancel", order["id"], "--yes")
    assert canceled["status"] == "canceled"


async def test_without_the_typed_word_nothing_is_done(demo: Demo, account: str) -> None:
    before = demo.json("order", "list", "all")["items"]
    for typed in ("no\n", ""):
        refused = demo.run(*buying(account, price_of(demo, "0.97")), stdin=typed)
        assert refused.returncode == 1
        assert "not_agreed" in refused.stderr
        assert refused.stdout == ""
    assert demo.json("order", "list", "all")["items"] == before


async def test_a_repeat_with_its_key_is_the_same_order(demo: Demo, account: str) -> None:
    order = (*buying(account, price_of(demo, "0.97")), "--yes", "--key", "mine")
    first, again = demo.json(*order), demo.json(*order)
    assert again == first
    demo.run("order", "cancel", first["id"], "--yes")


async def test_what_a_limit_refuses_ends_with_its_own_code(demo: Demo, account: str) -> None:
    refused = demo.run(*buying(account, price_of(demo, "0.5")), "--yes")
    assert refused.returncode == 4
    assert "price_band" in refused.stderr


async def test_a_halt_is_seen_and_holds_until_resumed(demo: Demo, account: str) -> None:
    halted = demo.run("trading", "halt", "odd prices", "--cancel-open")
    assert "halted" in halted.stdout
    assert "odd prices" in demo.run("trading", "status").stdout

    refused = demo.run(*buying(account, price_of(demo, "0.97")), "--yes")
    assert refused.returncode == 4
    assert "trading_halted" in refused.stderr

    assert demo.json("trading", "resume", "they are right")["mode"] == "active"


def test_of_several_accounts_one_has_to_be_named(demo: Demo) -> None:
    refused = demo.run("order", "place", "buy", "BTC/USDT", "1", "--yes")
    assert refused.returncode == 2
    assert "--account" in refused.stderr
