"""Orders Sync: open orders, and what became of those that are no longer open."""

from collections import Counter
from collections.abc import Iterable

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.repositories.orders import OrderChange
from alphapulse.domain import order_states
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, ExchangeOrderId, Symbol
from alphapulse.domain.order import Order, OrderStatus
from alphapulse.errors import InstrumentUnavailable, NotFound
from alphapulse.exchanges.port import Exchange
from alphapulse.pipeline.execution.context import announce
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.runtime.bus import EventBus

# A venue's list and its single look-up lag behind each other; one "not found" proves nothing.
LOOKS_UNTIL_UNKNOWN = 2

OrderKey = tuple[Symbol, ExchangeOrderId | None]
"""Binance numbers orders per symbol."""


class OrderSync:
    """Keeps one account's orders.

    The list of open orders is complete, but absence alone never closes an order here: it is looked
    up, and its final state is what the venue says. One the venue denies twice becomes UNKNOWN,
    which keeps it in sight; no state is invented.
    """

    def __init__(
        self,
        account_id: AccountId,
        exchange: Exchange,
        database: Database,
        bus: EventBus,
        clock: Clock,
        settings: SyncSettings,
    ) -> None:
        self._account_id = account_id
        self._exchange = exchange
        self._database = database
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._denials: Counter[OrderKey] = Counter()
        self.listed = 0
        """How many the venue listed as open at last."""
        self.external = 0
        """How many orders of others were seen for the first time."""

    async def read(self) -> frozenset[Symbol]:
        """Bring every open order up to date; the symbols in which an order changed."""
        listed = await self._exchange.fetch_open_orders()
        self.listed = len(listed)
        changed = await self.take(listed)
        for order in await self._vanished({_key(order) for order in listed}):
            changed |= await self._look_up(order)
        return changed

    async def take(self, orders: Iterable[Order]) -> frozenset[Symbol]:
        """Store what the venue said of these orders; the symbols in which one changed."""
        async with self._database.begin() as tx:
            changed = await tx.orders.record(tuple(orders), self._clock.now())
        announce(self._bus, changed)
        self.external += sum(c.before is None and not c.after.is_ours for c in changed)
        return frozenset(change.after.symbol for change in changed)

    async def _vanished(self, listed: set[OrderKey]) -> list[Order]:
        """Those that are open here and not listed, longest known first; the young are left alone.

        Then those of others that the venue denied: nobody else looks for them.
        """
        async with self._database.read() as tx:
            known = await tx.orders.open(self._account_id)
            denied = await tx.orders.external_in_doubt(self._account_id)
        now = self._clock.now()
        vanished = [
            order
            for order in known
            if _key(order) not in listed
            and (now - order.updated_at).total_seconds() >= self._settings.order_grace_s
        ]
        vanished.sort(key=lambda order: order.updated_at)
        return [*vanished, *denied][: self._settings.order_lookups_per_read]

    async def _look_up(self, order: Order) -> frozenset[Symbol]:
        key = _key(order)
        try:
            found = await self._exchange.fetch_order(
                order.symbol,
                exchange_order_id=order.exchange_order_id,
                client_order_id=order.client_order_id,
            )
        except (NotFound, InstrumentUnavailable):
            self._denials[key] += 1
            if self._denials[key] < LOOKS_UNTIL_UNKNOWN:
                return frozenset()
            logger.bind(account_id=self._account_id, order=key).warning(
                "the exchange denies an order it listed as open; its state is unknown"
            )
            del self._denials[key]
            return await self._doubt(order)
        self._denials.pop(key, None)
        return await self.take((found,))

    async def _doubt(self, order: Order) -> frozenset[Symbol]:
        async with self._database.begin() as tx:
            known = await tx.orders.load(order.account_id, order.key)
            if not known.status.is_open:
                return frozenset()
            reason = "the exchange denies an order it listed as open"
            after = order_states.moved(known, OrderStatus.UNKNOWN, self._clock.now(), reason)
            await tx.orders.save(after)
        announce(self._bus, [OrderChange(known, after)])
        return frozenset({order.symbol})


def _key(order: Order) -> OrderKey:
    return (order.symbol, order.exchange_order_id)
