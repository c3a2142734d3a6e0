"""Canceler: ends and changes orders at the venue, and reads what became of them.

Asking twice to cancel is harmless, so a cancel whose fate is unknown is asked again after a look;
CANCEL_PENDING is durable before the first request.
"""

import asyncio
from dataclasses import replace
from decimal import Decimal

from loguru import logger

from alphapulse.domain import order_states
from alphapulse.domain.order import Order, OrderStatus
from alphapulse.errors import (
    Conflict,
    ExchangeError,
    NotFound,
    OrderNotSent,
    OrderNotSupported,
    OrderOutcomeUnknown,
    OrderRejected,
)
from alphapulse.pipeline.execution.context import ExecutionContext
from alphapulse.pipeline.execution.resolver import OrderResolver

_S = OrderStatus


class OrderCanceler:
    """Cancels and amends the orders of one account."""

    def __init__(self, context: ExecutionContext, resolver: OrderResolver) -> None:
        self._context = context
        self._resolver = resolver

    async def cancel(self, key: str) -> Order:
        """Ask the venue to end an order; the order as the venue then shows it.

        One that has ended already stays as it is. One whose fate is unknown stays unknown, and the
        cancel is sent all the same: if it is there, it ends.

        Raises:
            NotFound: no such order.
            OrderRejected: the venue refused to cancel; the order is as it was.
        """
        order = await self._marked(key)
        if order.status.is_final:
            return order
        return await self.finish(order)

    async def finish(self, order: Order) -> Order:
        """Send the cancel of a marked order, and read what became of it."""
        refusal = None
        try:
            async with asyncio.timeout(self._context.settings.send_timeout_s):
                await self._context.exchange.cancel_order(order)
        except (OrderRejected, NotFound) as answer:
            refusal = answer
        except (ExchangeError, TimeoutError) as error:
            logger.bind(order=order.key, error=str(error)).info("the fate of a cancel is unknown")
        found = await self._read(order)
        if isinstance(refusal, OrderRejected) and not found.status.is_final:
            await self._unmark(found)
            raise refusal
        return found

    async def amend(
        self, key: str, *, quantity: Decimal | None, limit_price: Decimal | None
    ) -> Order:
        """Change an open order in place; the order as the venue then shows it.

        Raises:
            NotFound: no such order.
            Conflict: it is not open.
            OrderNotSupported: this venue changes no order in place.
            OrderRejected: refused; the order is as it was.
        """
        context = self._context
        async with context.database.begin() as tx:
            order = await tx.orders.load(context.account_id, key)
            if order.status not in {_S.OPEN, _S.PARTIALLY_FILLED}:
                raise Conflict("only an open order can be amended", status=order.status.value)
            asked = [str(number) for number in (quantity, limit_price) if number is not None]
            marked = order_states.amending(order, quantity)
            await tx.orders.save(marked, detail=f"amend asked: {' at '.join(asked)}")
        try:
            async with asyncio.timeout(context.settings.send_timeout_s):
                await context.exchange.amend_order(
                    order, quantity=quantity, limit_price=limit_price
                )
        except (OrderRejected, OrderNotSent, OrderNotSupported):
            if marked is not order:
                await self._not_amended(marked, order.amending_to)
            raise
        except (OrderOutcomeUnknown, TimeoutError) as error:
            logger.bind(order=key, error=str(error)).info("the fate of an amendment is unknown")
        return await self._read(order)

    async def _not_amended(self, marked: Order, before: Decimal | None) -> None:
        context = self._context
        async with context.database.begin() as tx:
            known = await tx.orders.load(context.account_id, marked.key)
            if known.amending_to != marked.amending_to:
                return  # another amendment was asked for meanwhile, or the venue has said more
            after = order_states.not_amended(known, before)
            await tx.orders.save(after)
        context.publish_step(known, after)

    async def resume(self) -> int:
        """Finish what an earlier cancel left undone; how many are not done yet."""
        context, left = self._context, 0
        async with context.database.read() as tx:
            known = await tx.orders.open(context.account_id)
        for order in known:
            if order.status is _S.CANCEL_PENDING:
                left += not (await self._resumed(order)).status.is_final
        return left

    async def _resumed(self, order: Order) -> Order:
        found = await self._read(order)
        if found.status is not _S.CANCEL_PENDING:
            return found
        try:
            return await self.finish(found)
        except OrderRejected as refusal:
            logger.bind(order=order.key, reason=str(refusal)).warning("the exchange cancels it not")
            return found

    async def _marked(self, key: str) -> Order:
        context, now = self._context, self._context.clock.now()
        async with context.database.begin() as tx:
            order = await tx.orders.load(context.account_id, key)
            if order.status is _S.PREPARED:
                after = order_states.moved(order, _S.WITHDRAWN, now, "canceled before it was sent")
            elif order.status in {_S.OPEN, _S.PARTIALLY_FILLED}:
                after = order_states.moved(order, _S.CANCEL_PENDING, now)
            else:
                return order
            await tx.orders.save(after)
        context.publish_step(order, after)
        return after

    async def _unmark(self, order: Order) -> None:
        context = self._context
        status = _S.PARTIALLY_FILLED if order.filled_quantity else _S.OPEN
        async with context.database.begin() as tx:
            known = await tx.orders.load(context.account_id, order.key)
            if known.status is not _S.CANCEL_PENDING:
                return
            after = order_states.moved(known, status, context.clock.now(), "not canceled")
            # What the venue said last may be older than our asking, and counts all the same.
            after = replace(after, updated_at=known.created_at)
            await tx.orders.save(after)
        context.publish_step(known, after)

    async def _read(self, order: Order) -> Order:
        """The order as the venue shows it now; as it is known where the venue does not say."""
        try:
            found = await self._resolver.look_up(order)
        except ExchangeError:
            found = None
        if found is not None:
            return found
        async with self._context.database.read() as tx:
            return await tx.orders.load(order.account_id, order.key)
