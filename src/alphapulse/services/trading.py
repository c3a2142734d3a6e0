"""Trading: everything a caller can do to orders, each thing done once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

from alphapulse.database.connection import Database
from alphapulse.domain.account import Account, AccountState
from alphapulse.domain.identifiers import AccountId, Symbol
from alphapulse.domain.order import Order
from alphapulse.domain.order_checks.run import run_checks
from alphapulse.errors import NotFound
from alphapulse.runtime.worker import Worker
from alphapulse.services.idempotency import Answer, IdempotentRequests, RequestKey
from alphapulse.services.order_amending import OrderAmender
from alphapulse.services.order_facts import OrderFacts
from alphapulse.services.order_placing import NewOrder, OrderPlacer, PlacedOrder
from alphapulse.services.order_preview import OrderPreview, Previewer
from alphapulse.services.orders import load_order
from alphapulse.services.trading_desk import TradingDesk
from alphapulse.services.viewer import Caller, Viewer, load_account

Compose = Callable[[PlacedOrder], Answer]
"""Puts what came of an order into the words of the API."""


class TradingService:
    """Each method refuses orders and accounts that the caller may not see."""

    def __init__(
        self,
        database: Database,
        facts: OrderFacts,
        placer: OrderPlacer,
        amender: OrderAmender,
        previewer: Previewer,
        requests: IdempotentRequests,
        desk: TradingDesk,
        worker: Worker,
    ) -> None:
        self._database = database
        self._facts = facts
        self._placer = placer
        self._amender = amender
        self._previewer = previewer
        self._requests = requests
        self._desk = desk
        self._worker = worker

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Until the block ends; orders that are being placed then are answered first."""
        async with self._requests.running():
            yield

    async def preview(self, caller: Caller, wanted: NewOrder) -> OrderPreview:
        """What the order would be, cost and change, and every check; nothing is stored or sent.

        Raises:
            InvalidInput: it does not say one thing.
            NotFound: no such account or symbol.
        """
        asked = await self._placer.asked(caller, wanted)
        async with self._database.read() as tx:
            situation = await self._facts.situation(tx, asked)
        checks = run_checks(asked.request, situation)
        return await self._previewer.preview(
            caller.viewer, asked, situation, checks, wanted.max_slippage_pct
        )

    async def place(
        self, caller: Caller, wanted: NewOrder, key: RequestKey, compose: Compose
    ) -> Answer:
        """Check an order, make it durable, send it once, and say what came of it.

        Raises:
            IdempotencyKeyReused: the key came with another body before.
            InProgress: the same request is still under way.
            DuplicateSuspected: an equal order was placed moments ago.
            AlphaPulseError: a check failed; nothing was stored or sent.
        """

        async def work() -> Answer:
            return compose(
                await self._placer.place(await self._placer.asked(caller, wanted), wanted, key)
            )

        return await self._requests.once(key, work, self._resuming(compose))

    async def cancel(self, caller: Caller, order_id: str) -> Order:
        """Ask the exchange to end an order; the order as it then is. One that has ended stays so.

        Raises:
            NotFound: no such order.
            OrderRejected: the exchange refused to cancel it.
            Conflict: the account is not being synchronized.
        """
        order = await self.find(caller.viewer, order_id)
        return await self._worker.call(lambda: self._desk.cancel_order(order.account_id, order.key))

    async def cancel_all(
        self, caller: Caller, account_id: AccountId | None, symbol: Symbol | None
    ) -> tuple[Order, ...]:
        """Cancel every open order of one account, or of all that the caller may see.

        Raises:
            NotFound: no such account.
            AlphaPulseError: of the first account where one was not canceled; all were tried.
        """
        accounts = await self._accounts(caller.viewer, account_id)
        ended = await asyncio.gather(
            *(self._cancel_all(one.id, symbol) for one in accounts), return_exceptions=True
        )
        for one in ended:
            if isinstance(one, BaseException):
                raise one
        return tuple(order for orders in ended if isinstance(orders, tuple) for order in orders)

    async def amend(
        self,
        caller: Caller,
        order_id: str,
        *,
        quantity: Decimal | None,
        limit_price: Decimal | None,
        key: RequestKey,
        compose: Compose,
    ) -> Answer:
        """Change an open order of ours.

        In place where the exchange can; else it is canceled, and when that is certain, what is left
        of it becomes a new order. ``quantity`` is the new total, the filled part included.

        Raises:
            Conflict: it is not open, or was filled meanwhile.
            OrderNotSupported: an order that others placed.
            AlphaPulseError: a check failed; the order is as it was.
        """

        async def work() -> Answer:
            order = await self.find(caller.viewer, order_id)
            return compose(await self._amender.amend(caller, order, quantity, limit_price, key))

        return await self._requests.once(key, work, self._resuming(compose))

    async def find(self, viewer: Viewer, order_id: str) -> Order:
        """One order by its API id; `NotFound` also for somebody else's."""
        async with self._database.read() as tx:
            order = await load_order(tx, order_id)
            account = await tx.accounts.load(order.account_id)
        if not viewer.may_see(account):
            raise NotFound("no such order", order=order_id)
        return order

    def _resuming(self, compose: Compose) -> Callable[[str], Awaitable[Answer]]:
        async def resume(subject: str) -> Answer:
            async with self._database.read() as tx:
                order = await load_order(tx, subject)
            return compose(PlacedOrder(await self._placer.sent(order)))

        return resume

    async def _accounts(self, viewer: Viewer, account_id: AccountId | None) -> list[Account]:
        async with self._database.read() as tx:
            if account_id is not None:
                return [await load_account(tx, viewer, account_id)]
            every = await tx.accounts.list()
        return [one for one in every if one.state is AccountState.ACTIVE and viewer.may_see(one)]

    async def _cancel_all(self, account_id: AccountId, symbol: Symbol | None) -> tuple[Order, ...]:
        return await self._worker.call(lambda: self._desk.cancel_all(account_id, symbol))
