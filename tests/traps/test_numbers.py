"""Traps of numbers: broken answers that look like zero, binary floats, prices in other money."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.identifiers import Asset, Symbol
from alphapulse.domain.money import plain
from alphapulse.domain.order import OrderStatus
from alphapulse.domain.sync import SyncKind
from alphapulse.domain.valuation import PriceBook, Quality
from alphapulse.simulator.faults.fault import Match
from alphapulse.simulator.faults.requests import Garbled, Status
from tests.builders import NOW, make_ticker
from tests.traps.customer import Customer

DOGE = Symbol("DOGE/USDT")
BALANCES = {"binance": "*/api/v3/account", "bybit": "*/v5/account/wallet-balance"}


async def test_t15_answers_without_balances_leave_what_is_known(
    customer: Customer,
) -> None:
    """What exists of it now; that no plan is made from such answers comes with rebalancing."""
    sync_now = customer.sync.synchronizer.sync_now
    await sync_now(customer.account, {SyncKind.BALANCES})
    known = await customer.sync.totals(customer.account)
    match = Match(venue=customer.venue, path=BALANCES[customer.venue])
    for fault in (
        Status(match=match, status=502, body="<html>Bad Gateway</html>", count=None),
        Garbled(match=match, body="html", count=None),
        Garbled(match=match, body="object", count=None),
        Garbled(match=match, body="empty", count=None),
    ):
        entry = customer.simulator.faults.add(fault)
        await sync_now(customer.account, {SyncKind.BALANCES})
        assert entry.struck
        assert await customer.sync.totals(customer.account) == known
        customer.simulator.faults.clear()
        await sync_now(customer.account, {SyncKind.BALANCES})


async def test_t19_prices_and_quantities_reach_the_venue_digit_by_digit(
    customer: Customer,
) -> None:
    for number, quantity in enumerate(("0.0006", "0.0011", "0.0023", "0.0007")):
        key = f"BTC {number}"
        await customer.place(key, quantity=Decimal(quantity))
        await customer.becomes(OrderStatus.OPEN, key)
        ((placed,), mine) = customer.at_venue(key), await customer.order(key)
        assert placed.quantity == mine.quantity == Decimal(quantity)
        assert placed.limit_price == mine.limit_price == customer.request().limit_price
    price = customer.price("0.97", DOGE)
    await customer.place("DOGE", symbol=DOGE, quantity=Decimal(123), limit_price=price)
    await customer.becomes(OrderStatus.OPEN, "DOGE")
    (placed,) = customer.at_venue("DOGE")
    assert (placed.limit_price, placed.quantity) == (price, Decimal(123))


@given(st.decimals("1e-18", "1e18", places=18))
def test_t19_a_number_is_written_as_it_is(number: Decimal) -> None:
    written = plain(number)
    assert Decimal(written) == number
    assert "e" not in written.lower()


def test_t22_a_price_in_other_money_is_converted_or_unknown_and_never_taken_as_it_is() -> None:
    book = PriceBook()
    book.put(make_ticker("GOLD/JPY", last=Decimal(9_000_000)))
    assert book.price(Asset("GOLD"), Asset("USDT"), now=NOW) is None

    book.put(make_ticker("USDT/JPY", last=Decimal(150)))
    found = book.price(Asset("GOLD"), Asset("USDT"), now=NOW)
    assert found is not None
    assert (found.value, found.currency) == (Decimal(60_000), Asset("USDT"))


def test_t22_a_last_price_that_is_fallen_back_on_is_marked_and_says_how_old_it_is() -> None:
    book = PriceBook()
    then = NOW - timedelta(hours=3)
    book.put(make_ticker("GOLD/USDT", occurred_at=then, received_at=then))
    found = book.price(Asset("GOLD"), Asset("USDT"), now=NOW)
    assert found is not None
    assert (found.quality, found.as_of, found.currency) == (Quality.STALE, then, Asset("USDT"))
