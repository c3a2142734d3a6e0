"""Positions Sync: open derivative positions, from REST and from the private stream."""

import asyncio
from datetime import datetime

from alphapulse.database.connection import Database
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import PositionsChanged
from alphapulse.domain.identifiers import AccountId, Symbol
from alphapulse.domain.position import Position, PositionSide
from alphapulse.errors import ExchangeUnavailable
from alphapulse.exchanges.port import Exchange
from alphapulse.runtime.bus import EventBus

Exposure = tuple[Symbol, PositionSide]
"""In hedge mode a symbol has two positions."""


class PositionSync:
    """Keeps one account's positions.

    The list is complete: a position absent from it is flat. Because a broken answer would flatten
    everything, one that vanishes without a word of the stream is looked for a second time. What
    the stream says while a list is under way is newer than the list; what it said before, and is
    written only now, is older.
    """

    def __init__(
        self,
        account_id: AccountId,
        exchange: Exchange,
        database: Database,
        bus: EventBus,
        clock: Clock,
    ) -> None:
        self._account_id = account_id
        self._exchange = exchange
        self._database = database
        self._bus = bus
        self._clock = clock
        self._open: set[Exposure] = set()
        self._streamed: dict[Exposure, Position] = {}
        self._read_began: datetime | None = None
        self._storing = asyncio.Lock()

    async def load(self) -> None:
        """Begin with what is stored."""
        async with self._database.read() as tx:
            stored = await tx.positions.list(self._account_id)
        self._open = {_exposure(position) for position in stored}

    async def read(self) -> bool:
        """Fetch and store every open position; whether others are open than before.

        Raises:
            ExchangeUnavailable: two lists in a row lack different positions.
        """
        began = self._clock.now()
        positions = await self._exchange.fetch_positions()
        if missing := self._open - set(map(_exposure, positions)):
            positions = await self._exchange.fetch_positions()
            if not self._open - set(map(_exposure, positions)) <= missing:
                raise ExchangeUnavailable(
                    "two position lists in a row lack different positions",
                    exchange=self._exchange.id,
                )
        async with self._storing:
            before = set(self._open)
            await self._replace(self._with_newer(positions, began))
            self._read_began = began
            return before != self._open

    async def take(self, positions: tuple[Position, ...]) -> bool:
        """Store what the stream said; quantity 0 is closed.

        Returns:
            Whether a complete list is wanted: with one side opened and the other not yet closed,
            only the list tells a reversal from a hedge.
        """
        async with self._storing:
            if (began := self._read_began) is not None:
                positions = tuple(p for p in positions if p.received_at >= began)
            async with self._database.begin() as tx:
                is_changed = await tx.positions.upsert(positions)
            for position in positions:
                exposure = _exposure(position)
                self._streamed[exposure] = position
                (self._open.add if position.quantity else self._open.discard)(exposure)
        if is_changed:
            self._bus.publish(PositionsChanged(self._account_id))
        symbols = {position.symbol for position in positions}
        return any({(s, PositionSide.LONG), (s, PositionSide.SHORT)} <= self._open for s in symbols)

    async def _replace(self, positions: tuple[Position, ...]) -> None:
        async with self._database.begin() as tx:
            is_changed = await tx.positions.replace(
                self._account_id, self._exchange.id, positions, self._clock.now()
            )
        self._open = set(map(_exposure, positions))
        if is_changed:
            self._bus.publish(PositionsChanged(self._account_id))

    def _with_newer(self, positions: tuple[Position, ...], began: datetime) -> tuple[Position, ...]:
        newer = {e: p for e, p in self._streamed.items() if p.received_at >= began}
        older = [p for p in positions if _exposure(p) not in newer]
        return (*older, *(p for p in newer.values() if p.quantity))


def _exposure(position: Position) -> Exposure:
    return (position.symbol, position.side)
