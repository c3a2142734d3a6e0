"""Order Amending: an open order of ours becomes another one, and nothing is bought twice by it."""

from dataclasses import replace
from decimal import Decimal

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.domain.identifiers import ClientOrderId
from alphapulse.domain.intent import Intent
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.order import Order, OrderStatus
from alphapulse.domain.order_checks.check import Check
from alphapulse.domain.order_checks.run import require, run_checks
from alphapulse.domain.order_checks.situation import OrderSituation
from alphapulse.errors import AlphaPulseError, Conflict, OrderNotSupported
from alphapulse.runtime.worker import Worker
from alphapulse.services.idempotency import RequestKey
from alphapulse.services.order_facts import Asked, OrderFacts, day_of, profile_of
from alphapulse.services.order_placing import NewOrder, OrderPlacer, PlacedOrder
from alphapulse.services.trading_desk import TradingDesk
from alphapulse.services.viewer import Caller

_OPEN = frozenset({OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED})


class OrderAmender:
    """In place where the exchange can; else it cancels, and places what is left anew."""

    def __init__(
        self,
        database: Database,
        facts: OrderFacts,
        placer: OrderPlacer,
        desk: TradingDesk,
        worker: Worker,
    ) -> None:
        self._database = database
        self._facts = facts
        self._placer = placer
        self._desk = desk
        self._worker = worker

    async def amend(
        self,
        caller: Caller,
        order: Order,
        quantity: Decimal | None,
        limit_price: Decimal | None,
        key: RequestKey,
    ) -> PlacedOrder:
        """Change an open order; ``quantity`` is the new total, what was filled of it included.

        Raises:
            Conflict: it is not open, or ended before it could be changed.
            OrderNotSupported: somebody else placed it.
            AlphaPulseError: a check failed, or the exchange refused; it is as it was.
        """
        if order.status not in _OPEN:
            raise Conflict("only an open order can be changed", status=order.status.value)
        intent = await self._intent_of(order)
        asked = await self._asked_anew(caller, order, intent, quantity, limit_price)
        profile = profile_of(asked.account.exchange, asked.instrument.type)
        if profile is not None and profile.amends_in_place:
            try:
                return await self._change(order, asked, quantity, limit_price)
            except OrderNotSupported:
                # Not orders of every kind: Binance changes no stop in place.
                logger.bind(order=order.key).info("not changed in place, so placed anew")
        return await self._replace(order, asked, key)

    async def _intent_of(self, order: Order) -> Intent:
        name = ClientOrderId(order.key)
        async with self._database.read() as tx:
            intents = await tx.intents.named([name])
        if name not in intents:
            raise OrderNotSupported("only orders that were placed here can be changed here")
        return intents[name]

    async def _asked_anew(
        self,
        caller: Caller,
        order: Order,
        intent: Intent,
        quantity: Decimal | None,
        limit_price: Decimal | None,
    ) -> Asked:
        """The changed order as if it were new, less what it holds and counts already."""
        request = replace(
            intent.request,
            quantity=quantity or order.quantity,
            limit_price=limit_price or order.limit_price,
        )
        asked = await self._placer.asked(caller, NewOrder(request))
        return replace(asked, held=intent.reserved, counted=intent.value or ZERO)

    async def _change(
        self,
        order: Order,
        asked: Asked,
        quantity: Decimal | None,
        limit_price: Decimal | None,
    ) -> PlacedOrder:
        checks, before, situation = await self._reserve(order, asked)
        try:
            after = await self._worker.call(
                lambda: self._desk.amend_order(order.account_id, order.key, quantity, limit_price)
            )
        except AlphaPulseError:
            await self._give_back(situation, before)
            raise
        return PlacedOrder(after, checks)

    async def _reserve(
        self, order: Order, asked: Asked
    ) -> tuple[tuple[Check, ...], Intent, OrderSituation]:
        """Hold back what the changed order needs before the exchange is asked to change it."""
        async with self._database.begin() as tx:
            situation = await self._facts.situation(tx, asked)
            checks = run_checks(asked.request, situation)
            require(checks)
            before = await tx.intents.load(ClientOrderId(order.key))
            added = situation.added_value or ZERO
            more = situation.cost.needed or ZERO
            after = replace(
                before,
                reserved=EXACT.add(before.reserved, more),
                value=EXACT.add(before.value or ZERO, added),
            )
            await tx.intents.save(after)
            await self._placer.use(tx, situation)
        return checks, before, situation

    async def _give_back(self, situation: OrderSituation, before: Intent) -> None:
        day, added = day_of(situation.now), situation.added_value or ZERO
        async with self._database.begin() as tx:
            await tx.intents.save(before)
            for one in situation.allowances:
                counted = await tx.limits.used(one.subject, day)
                await tx.limits.use(one.subject, day, EXACT.subtract(counted, added))

    async def _replace(self, order: Order, asked: Asked, key: RequestKey) -> PlacedOrder:
        async with self._database.read() as tx:
            situation = await self._facts.situation(tx, asked)
        # Nothing is canceled that could not be placed anew.
        require(run_checks(asked.request, situation))
        ended = await self._worker.call(
            lambda: self._desk.cancel_order(order.account_id, order.key)
        )
        if ended.status not in {OrderStatus.CANCELED, OrderStatus.EXPIRED}:
            raise Conflict(
                f"it is {ended.status} and could not be changed; nothing new was placed",
                status=ended.status.value,
            )
        wanted = asked.request.quantity or ZERO
        # What was filled meanwhile is not ordered again.
        left = EXACT.subtract(wanted, ended.filled_quantity)
        if left <= ZERO:
            return PlacedOrder(ended)
        request = replace(asked.request, quantity=left)
        share = EXACT.divide(left, wanted)
        anew = replace(
            asked,
            request=request,
            held=EXACT.multiply(asked.held, share),
            counted=EXACT.multiply(asked.counted, share),
        )
        placed = await self._placer.place(anew, NewOrder(request, allow_duplicate=True), key)
        return replace(placed, replaced=ended)
