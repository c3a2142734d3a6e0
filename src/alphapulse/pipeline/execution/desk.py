"""Order Desk: everything that is done to the orders of one account at its venue."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from decimal import Decimal

from alphapulse.domain.identifiers import ClientOrderId, Symbol
from alphapulse.domain.order import Order, OrderStatus
from alphapulse.errors import DatabaseError
from alphapulse.pipeline.execution.canceler import OrderCanceler
from alphapulse.pipeline.execution.context import ExecutionContext
from alphapulse.pipeline.execution.resolver import OrderResolver
from alphapulse.pipeline.execution.sender import OrderSender


class OrderDesk:
    """Places, cancels and amends; resolves what is uncertain before anything new is sent.

    Until `open_for_orders` was called, orders wait a moment and are then withdrawn: after a crash
    the account is reconciled first.

    Args:
        on_sent: told of each order after something was sent for it, whatever came of it.
        on_failed: told when the database failed a send: its claim may have been written.
    """

    def __init__(
        self,
        context: ExecutionContext,
        *,
        on_sent: Callable[[Order], None],
        on_failed: Callable[[], None],
    ) -> None:
        self._context = context
        self._on_sent = on_sent
        self._on_failed = on_failed
        self._sender = OrderSender(context)
        self.resolver = OrderResolver(context, lambda name: name in self._sends)
        self._canceler = OrderCanceler(context, self.resolver)
        self._sends: dict[ClientOrderId, asyncio.Task[Order]] = {}
        self._slots = asyncio.Semaphore(context.settings.sends_at_once)
        self._is_open = asyncio.Event()
        self._held: frozenset[Symbol] = frozenset()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Until the block ends; sends that are under way are given a moment to end."""
        try:
            yield
        finally:
            self._is_open.clear()
            sends = set(self._sends.values())
            if sends:
                _, sends = await asyncio.wait(sends, timeout=self._context.settings.stop_s)
            for send in sends:
                send.cancel()
            await asyncio.gather(*sends, return_exceptions=True)
            await self._give_lease_back()

    @property
    def is_open(self) -> bool:
        return self._is_open.is_set()

    async def open_for_orders(self) -> None:
        """After the first reconciliation: send, but for symbols with an order still in doubt."""
        self._held = await self._doubted()
        self._is_open.set()

    async def place(self, name: ClientOrderId) -> Order:
        """Send a prepared order, once, however often it is asked; the order as recorded.

        Whoever waits here may go away: the send goes on.
        """
        if name not in self._sends:
            send = asyncio.create_task(self._send(name), name=f"order {name}")
            self._sends[name] = send
            send.add_done_callback(lambda send: self._ended(name, send))
        return await asyncio.shield(self._sends[name])

    async def cancel(self, key: str) -> Order:
        """As `OrderCanceler.cancel`."""
        order = await self._canceler.cancel(key)
        self._on_sent(order)
        return order

    async def cancel_all(self, symbol: Symbol | None) -> tuple[Order, ...]:
        """Cancel every order of ours or others that is open; each as it then is."""
        async with self._context.database.read() as tx:
            known = await tx.orders.open(self._context.account_id)
        wanted = [order.key for order in known if symbol in {None, order.symbol}]
        return tuple(await asyncio.gather(*(self._canceler.cancel(key) for key in wanted)))

    async def amend(self, key: str, quantity: Decimal | None, limit_price: Decimal | None) -> Order:
        """As `OrderCanceler.amend`."""
        return await self._canceler.amend(key, quantity=quantity, limit_price=limit_price)

    async def settle(self) -> int:
        """Finish what is undone and look for what is in doubt; how many orders stay so."""
        await self._withdraw_forgotten()
        left = await self._canceler.resume() + await self.resolver.resolve()
        if self._held:
            self._held &= await self._doubted()
        return left

    async def _withdraw_forgotten(self) -> None:
        """What was prepared, and could neither be sent nor withdrawn: the database was away."""
        context = self._context
        too_old = context.clock.now() - timedelta(seconds=context.settings.prepared_max_s)
        async with context.database.read() as tx:
            unsettled = await tx.orders.unsettled(context.account_id)
        for order in unsettled:
            name = ClientOrderId(order.key)
            is_old = order.status is OrderStatus.PREPARED and order.created_at < too_old
            if is_old and name not in self._sends:
                await self._sender.withdraw(name, "it could not be sent in time")

    async def _give_lease_back(self) -> None:
        """So that the next run need not wait for it; if the database is away, it will."""
        context = self._context
        with suppress(DatabaseError):
            async with context.database.begin() as tx:
                now = context.clock.now()
                await tx.leases.give_back(context.account_id, context.process, now)

    async def _doubted(self) -> frozenset[Symbol]:
        async with self._context.database.read() as tx:
            unsettled = await tx.orders.unsettled(self._context.account_id)
        return frozenset(one.symbol for one in unsettled if one.status.is_uncertain)

    async def _send(self, name: ClientOrderId) -> Order:
        if not await self._opens():
            reason = "the account is not reconciled with its exchange yet"
            return await self._sender.withdraw(name, reason)
        async with self._context.database.read() as tx:
            intent = await tx.intents.load(name)
        if intent.request.symbol in self._held:
            reason = "the fate of an earlier order of this symbol is unknown"
            return await self._sender.withdraw(name, reason)
        async with self._slots:
            return await self._sender.send(intent)

    def _ended(self, name: ClientOrderId, send: asyncio.Task[Order]) -> None:
        del self._sends[name]
        if send.cancelled():
            return
        if send.exception() is None:
            self._on_sent(send.result())
        else:
            self._on_failed()

    async def _opens(self) -> bool:
        """Whether orders may be sent, or may so in a moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._context.settings.ready_within_s):
                await self._is_open.wait()
        return self.is_open
