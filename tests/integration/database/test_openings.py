"""Since when contracts are held, as the ledger tells it and as it grows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from alphapulse.database.connection import Database
from alphapulse.domain.identifiers import Symbol
from alphapulse.domain.order import Side
from alphapulse.domain.position import Position, PositionSide
from alphapulse.domain.trading import AssetBook
from alphapulse.services import openings as module
from alphapulse.services.openings import Openings
from tests.builders import ACCOUNT, BINANCE, NOW, make_fill, make_position

PERPETUAL = Symbol("BTC/USDT:USDT")


def at(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


@dataclass
class World:
    """An account whose books were opened at the start, and what is known of its contracts."""

    database: Database
    openings: Openings = field(default_factory=Openings)

    async def open_books(self, **anchors: str) -> None:
        books = [
            AssetBook(ACCOUNT, name, Decimal(held), NOW, Decimal(0), Decimal(held), NOW)
            for name, held in {"USDT": "0", **anchors}.items()
        ]
        async with self.database.begin() as tx:
            await tx.reconciliations.replace_books(ACCOUNT, books)

    async def trade(self, quantities: dict[int, str], symbol: str = PERPETUAL) -> None:
        """At these minutes; negative is sold."""
        fills = [
            make_fill(
                minute,
                symbol=Symbol(symbol),
                side=Side.BUY if Decimal(told) > 0 else Side.SELL,
                quantity=abs(Decimal(told)),
                occurred_at=at(minute),
            )
            for minute, told in quantities.items()
        ]
        async with self.database.begin() as tx:
            await tx.fills.record(fills, at(0))

    async def since(self, *held: str) -> list[datetime | None]:
        """What is known once the exchange shows these positions; negative ones are short."""
        positions = list(map(_position, held))
        async with self.database.begin() as tx:
            await tx.positions.replace(ACCOUNT, BINANCE, positions, at(0))
        await self.refresh()
        return self.told(positions)

    async def refresh(self) -> None:
        async with self.database.read() as tx:
            await self.openings.refresh(tx)

    def told(self, positions: Iterable[Position]) -> list[datetime | None]:
        return [self.openings.of(position) for position in positions]


def _position(held: str) -> Position:
    quantity = Decimal(held)
    side = PositionSide.LONG if quantity > 0 else PositionSide.SHORT
    return make_position(symbol=PERPETUAL, side=side, quantity=abs(quantity))


@pytest.fixture
async def world(account_database: Database) -> World:
    world = World(account_database)
    await world.open_books()
    return world


async def test_a_contract_is_held_since_it_last_left_zero(world: World) -> None:
    await world.trade({1: "2", 2: "-2", 3: "1", 4: "1"})
    await world.trade({5: "7"}, "ETH/USDT:USDT")

    assert await world.since("2") == [at(3)]


async def test_what_grows_keeps_its_date_and_what_was_closed_and_opened_again_gets_another(
    world: World,
) -> None:
    await world.trade({1: "2"})
    assert await world.since("2") == [at(1)]
    await world.trade({2: "1"})
    assert await world.since("3") == [at(1)]
    await world.trade({3: "-3", 4: "3"})  # the exchange shows the same as before
    assert await world.since("3") == [at(4)]
    await world.trade({5: "-4"})
    assert await world.since("-1") == [at(5)]


async def test_history_that_comes_late_corrects_the_date(world: World) -> None:
    await world.trade({10: "2"})
    assert await world.since("2") == [at(10)]
    await world.trade({3: "1", 20: "-1"})
    assert await world.since("2") == [at(3)]


async def test_a_position_from_before_the_known_history_has_no_date(world: World) -> None:
    await world.open_books(**{PERPETUAL: "1"})
    await world.trade({1: "1"})

    assert await world.since("2") == [None]


async def test_nothing_is_said_while_the_ledger_does_not_add_up_to_the_position(
    world: World,
) -> None:
    await world.trade({1: "2"})
    assert await world.since("3") == [None]
    await world.trade({2: "1"})
    await world.refresh()
    assert world.told([_position("3")]) == [at(1)]
    assert world.told([_position("-3")]) == [None]  # as a later look at the exchange may show


async def test_nothing_is_said_of_two_sides_or_before_the_first_comparison(world: World) -> None:
    await world.trade({1: "3", 2: "-1"})
    assert await world.since("3", "-1") == [None, None]

    async with world.database.begin() as tx:
        await tx.reconciliations.replace_books(ACCOUNT, [])
    assert await world.since("2") == [None]


async def test_a_position_of_too_many_moves_has_no_date(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOVES_MAX", 2)
    await world.trade({1: "1", 2: "1", 3: "1"})

    assert await world.since("3") == [None]
