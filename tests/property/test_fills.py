"""Fills and descriptions of an order in any order, repeated, and split between stream and poll
end in the same rows."""

import asyncio
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alphapulse.database.connection import Database, open_database
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain import order_states
from alphapulse.domain.identifiers import AccountId, ClientOrderId, ExchangeOrderId
from alphapulse.domain.money import EXACT
from alphapulse.domain.order import Fill, Order, OrderOrigin, OrderStatus
from tests.builders import NOW, make_account, make_fill, make_own_order

S = OrderStatus
NUMBER = ExchangeOrderId("1")
NAME = ClientOrderId("ap" + "a" * 26)
QUANTITY = Decimal(12)

# Each portion of all of them is one round of statements.
AT_ONCE = 10

sizes = st.lists(st.integers(1, 2), min_size=1, max_size=6)


@dataclass(frozen=True)
class Story:
    """What happened at the venue: an order, its fills, and what was said of both, as it was
    told. ``told`` is what arrives, in whatever order, whatever often, in these portions."""

    fills: tuple[Fill, ...]
    end: OrderStatus
    told: tuple[tuple[Fill | Order, ...], ...]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    fills = tuple(
        make_fill(
            number,
            exchange_order_id=NUMBER,
            quantity=Decimal(size),
            price=Decimal(64_000 + number),
            fee=Decimal("0.001"),
        )
        for number, size in enumerate(draw(sizes), start=1)
    )
    total = sum((fill.quantity for fill in fills), Decimal(0))
    end = S.FILLED if total == QUANTITY else draw(st.sampled_from([S.CANCELED, S.PARTIALLY_FILLED]))
    said = [
        _described(fills[:count], S.PARTIALLY_FILLED if count else S.OPEN)
        for count in range(len(fills))
    ]
    said.append(_described(fills, end))
    # A stream may leave out the fee and our name; the poll has both, and is complete at last.
    streamed = [replace(fill, fee=None, fee_asset=None, client_order_id=NAME) for fill in fills]
    # Drawn by one seed: shuffles of that many are what takes hypothesis longest.
    chance = random.Random(draw(st.integers(0, 2**32)))
    told: list[Fill | Order] = [*fills, *streamed, *said]
    told += chance.choices(told, k=chance.randrange(8))
    chance.shuffle(told)
    cuts = sorted({chance.randrange(1, len(told) + 1) for _ in range(3)} | {len(told)})
    portions = [tuple(told[a:b]) for a, b in itertools.pairwise([0, *cuts])]
    return Story(fills, end, tuple(portions))


def _described(fills: Sequence[Fill], status: OrderStatus) -> Order:
    """The order as an honest venue describes it after these fills."""
    filled = sum((fill.quantity for fill in fills), Decimal(0))
    notional = sum((fill.quantity * fill.price for fill in fills), Decimal(0))
    return make_own_order(
        client_order_id=NAME,
        quantity=QUANTITY,
        exchange_order_id=NUMBER,
        status=status,
        filled_quantity=filled,
        average_price=EXACT.divide(notional, filled) if filled else None,
        updated_at=NOW + timedelta(seconds=len(fills) + 2),
        origin=OrderOrigin.EXTERNAL,
    )


@dataclass
class Books:
    """A database in which each example has an account of its own."""

    database: Database
    accounts: "itertools.count[int]"

    async def after(self, stories: Sequence[Story]) -> list[tuple[Order, list[Fill]]]:
        """The rows after everything of all of them was told, portion by portion."""
        accounts = [AccountId(f"account {next(self.accounts)}") for _ in stories]
        told = [
            [[_of(account, one) for one in portion] for portion in story.told]
            for story, account in zip(stories, accounts, strict=True)
        ]
        async with self.database.begin() as tx:
            for account in accounts:
                await tx.accounts.add(make_account(account, label=account))
                await tx.orders.add(_sending(account))
            for portions in itertools.zip_longest(*told, fillvalue=[]):
                mine = [one for portion in portions for one in portion]
                recorded = await tx.fills.record(
                    [one for one in mine if isinstance(one, Fill)], NOW
                )
                assert not recorded.contradicted
                await tx.orders.count_in(recorded, NOW)
                await tx.orders.record([one for one in mine if isinstance(one, Order)], NOW)
            since = NOW - timedelta(days=1)
            return [
                (
                    await tx.orders.load(account, _name(account)),
                    list(await tx.fills.since(account, since)),
                )
                for account in accounts
            ]


def _name(account: AccountId) -> ClientOrderId:
    return ClientOrderId(f"{NAME}{account}")


def _of(account: AccountId, told: Fill | Order) -> Fill | Order:
    name = None if told.client_order_id is None else _name(account)
    number = ExchangeOrderId(f"{NUMBER} of {account}")
    return replace(told, account_id=account, client_order_id=name, exchange_order_id=number)


def _sending(account: AccountId) -> Order:
    name = _name(account)
    prepared = make_own_order(account_id=account, client_order_id=name, quantity=QUANTITY)
    return order_states.moved(prepared, S.SENDING, NOW)


def _check(story: Story, order: Order, fills: list[Fill]) -> None:
    assert [(f.trade_id, f.quantity, f.price, f.fee, f.fee_asset) for f in fills] == [
        (f.trade_id, f.quantity, f.price, f.fee, f.fee_asset) for f in story.fills
    ]
    truth = _described(story.fills, story.end)
    assert (order.status, order.filled_quantity) == (truth.status, truth.filled_quantity)
    assert order.average_price == truth.average_price
    assert order.exchange_order_id == f"{NUMBER} of {order.account_id}"
    assert order.origin is OrderOrigin.ALPHAPULSE


async def _tell(settings_: DatabaseSettings, examples: int) -> None:
    """So many stories, ten at a time, in one loop and one database."""
    loop = asyncio.get_running_loop()
    async with open_database(settings_, name="test") as database:
        books = Books(database, itertools.count())

        @settings(max_examples=examples // AT_ONCE, suppress_health_check=list(HealthCheck))
        @given(st.lists(stories(), min_size=AT_ONCE, max_size=AT_ONCE))
        def tell(told: list[Story]) -> None:
            telling = asyncio.run_coroutine_threadsafe(books.after(told), loop)
            for story, found in zip(told, telling.result(), strict=True):
                _check(story, *found)

        await asyncio.to_thread(tell)


async def test_2000_tellings_of_the_same_fills_end_in_the_same_rows(
    sqlite_settings: DatabaseSettings,
) -> None:
    await _tell(sqlite_settings, 2_000)


async def test_tellings_end_in_the_same_rows_on_postgresql(
    postgres_settings: DatabaseSettings,
) -> None:
    await _tell(postgres_settings, 200)
