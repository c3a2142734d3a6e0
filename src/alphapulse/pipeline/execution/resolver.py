"""Resolver: finds out what became of orders whose fate is unknown.

It asks and never sends again. *Found* is adopted; *absent* must be proved
(`alphapulse.domain.absence`); a look that failed counts for nothing. Source: ``reliability.md``
1.4 (6).
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from loguru import logger

from alphapulse.database.repositories.orders import OrderChange
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain import order_states
from alphapulse.domain.absence import AbsenceProof, Look
from alphapulse.domain.events import LedgerChanged, OrderAlarm, OrderAlarmed
from alphapulse.domain.identifiers import ClientOrderId, Symbol
from alphapulse.domain.intent import Intent
from alphapulse.domain.ledger import Book, Subject, entry_of_fill, sums_of
from alphapulse.domain.order import Fill, Order, OrderStatus
from alphapulse.errors import ExchangeError, NotFound
from alphapulse.pipeline.execution.context import ExecutionContext

_S = OrderStatus

EVERYWHERE = frozenset(Look)


@dataclass(slots=True)
class _Case:
    """One order that is being looked for."""

    proof: AbsenceProof
    unexplained: dict[Subject, Decimal] | None = None
    """Balances less the fills that are known, as of the last look: what moves here without a
    fill may be the order."""


class OrderResolver:
    """Looks for every order of one account that is UNKNOWN, or SENDING in no hand of ours.

    Args:
        is_in_flight: whether this process is sending that order right now.
    """

    def __init__(
        self, context: ExecutionContext, is_in_flight: Callable[[ClientOrderId], bool]
    ) -> None:
        self._context = context
        self._is_in_flight = is_in_flight
        self._cases: dict[str, _Case] = {}
        self._alarmed: set[str] = set()
        self.uncertain: tuple[Order, ...] = ()
        """Whose fate was unknown at the last look."""
        self._began_at = context.clock.now()
        self._has_adopted = False

    async def adopt(self) -> bool:
        """At the start: what an earlier process left behind is not under way any more.

        Prepared orders were never sent, and are withdrawn; those that were being sent may have
        been sent until now. False: another process sends for this account, and nothing was done.
        """
        context, now = self._context, self._context.clock.now()
        changes = []
        async with context.database.begin() as tx:
            if await context.take_lease(tx) is None:
                return False
            for order in await tx.orders.unsettled(context.account_id):
                if order.updated_at >= self._began_at:
                    continue  # it is being placed right now
                if order.status is _S.PREPARED:
                    after = order_states.moved(order, _S.WITHDRAWN, now, "the program was ended")
                elif order.status is _S.SENDING:
                    after = await self._doubted(tx, order, now)
                else:
                    continue
                await tx.orders.save(after)
                changes.append(OrderChange(order, after))
        self._has_adopted = True
        context.publish(changes)
        return True

    async def resolve(self) -> int:
        """One round of looks; how many orders stay unknown.

        Before `adopt`, and while another process has the lease, nobody is looked for: it may be
        sending them.

        Raises:
            DatabaseError: what is to be looked for cannot be read, or what was found not written.
        """
        if self._has_adopted and await self._uncertain() and await self._has_lease():
            await self._look_for_all()
        left = tuple((await self._uncertain()).values())
        self.uncertain = left
        self._alarm(left)
        return len(left)

    async def _has_lease(self) -> bool:
        async with self._context.database.begin() as tx:
            return await self._context.take_lease(tx) is not None

    async def _look_for_all(self) -> None:
        await self._doubt_orphans()
        # One that is claimed this moment is nobody's to look for before it was doubted.
        doubted = (await self._uncertain()).items()
        cases = {key: one for key, one in doubted if one.status is _S.UNKNOWN}
        self._cases = {key: one for key, one in self._cases.items() if key in cases}
        by_symbol: dict[Symbol, list[Order]] = {}
        for order in cases.values():
            by_symbol.setdefault(order.symbol, []).append(order)
        for symbol, orders in by_symbol.items():
            await self._look(symbol, orders)

    async def look_up(self, order: Order) -> Order | None:
        """Ask for one order by its names and record what the venue says; ``None``: it has none.

        Raises:
            ExchangeError: it did not say.
        """
        try:
            found = await self._context.exchange.fetch_order(
                order.symbol,
                exchange_order_id=order.exchange_order_id,
                client_order_id=order.client_order_id if order.is_ours else None,
            )
        except NotFound:
            return None
        if order.is_ours:
            found = replace(found, client_order_id=order.client_order_id)
        await self._record([found], [])
        async with self._context.database.read() as tx:
            return await tx.orders.load(order.account_id, order.key)

    async def _uncertain(self) -> dict[str, Order]:
        async with self._context.database.read() as tx:
            unsettled = await tx.orders.unsettled(self._context.account_id)
        return {
            order.key: order
            for order in unsettled
            if order.status.is_uncertain and not self._is_in_flight(ClientOrderId(order.key))
        }

    async def _doubt_orphans(self) -> None:
        """A claim whose commit was never acknowledged has no sender; it may be written all the
        same."""
        sending = [o for o in (await self._uncertain()).values() if o.status is _S.SENDING]
        context, now, changes = self._context, self._context.clock.now(), []
        for order in sending:
            async with context.database.begin() as tx:
                known = await tx.orders.load(order.account_id, order.key)
                if known.status is not _S.SENDING or await context.take_lease(tx) is None:
                    continue  # the stream brought it this moment, or another process has it
                after = await self._doubted(tx, known, now)
                await tx.orders.save(after)
            changes.append(OrderChange(known, after))
        context.publish(changes)

    async def _doubted(self, tx: UnitOfWork, order: Order, now: datetime) -> Order:
        """An order whose sender is gone: it may have been sent until this moment."""
        intent = await tx.intents.load(ClientOrderId(order.key))
        doubt = self._context.settings.doubt(self._context.exchange.order_profile)
        await tx.intents.save(replace(intent, arrives_before=now + doubt))
        return order_states.moved(order, _S.UNKNOWN, now, "its sender ended before the answer")

    async def _look(self, symbol: Symbol, orders: list[Order]) -> None:
        """By name first, then in every list; only what nobody shows is absent."""
        began_at = self._context.clock.now()
        try:
            async with asyncio.timeout(self._context.settings.look_timeout_s):
                absent = [order for order in orders if await self.look_up(order) is None]
                if absent:
                    await self._look_everywhere(symbol, absent, began_at)
        except (ExchangeError, TimeoutError) as error:
            if isinstance(error, ExchangeError):
                self._context.on_error(error)
            logger.bind(symbol=symbol, error=str(error)).debug("a look for orders failed")

    async def _look_everywhere(
        self, symbol: Symbol, absent: list[Order], began_at: datetime
    ) -> None:
        context = self._context
        intents = await self._intents(absent)
        since = min(one.sent_after or one.created_at for one in intents.values())
        since -= timedelta(seconds=context.settings.look_overlap_s)
        listed = [
            *await context.exchange.fetch_open_orders(),
            *await context.exchange.fetch_orders_since(symbol, since),
        ]
        fills = await context.exchange.fetch_fills_since(symbol, since)
        wanted = {order.client_order_id for order in absent}
        await self._record([one for one in listed if one.client_order_id in wanted], fills)
        unexplained = await self._unexplained(symbol, since)
        still = await self._uncertain()
        for order in absent:
            if order.key in still:
                await self._conclude(
                    still[order.key], intents[ClientOrderId(order.key)], began_at, unexplained
                )

    async def _intents(self, orders: Iterable[Order]) -> dict[ClientOrderId, Intent]:
        async with self._context.database.read() as tx:
            return await tx.intents.named(ClientOrderId(order.key) for order in orders)

    async def _record(self, told: Collection[Order], fills: Collection[Fill]) -> None:
        context = self._context
        now = context.clock.now()
        async with context.database.begin() as tx:
            recorded = await tx.fills.record(tuple(fills), now)
            changes = [
                *await tx.orders.record(tuple(told), now),
                *await tx.orders.count_in(recorded, now),
            ]
        if recorded.new:
            context.bus.publish(LedgerChanged(context.account_id))
        context.publish(changes)

    async def _unexplained(self, symbol: Symbol, since: datetime) -> dict[Subject, Decimal]:
        """What is in the assets, or the position, of ``symbol`` beyond the fills since then."""
        context = self._context
        totals: dict[str, Decimal] = {}
        if ":" in symbol:
            for position in await context.exchange.fetch_positions():
                if position.symbol == symbol:
                    totals[symbol] = totals.get(symbol, Decimal(0)) + position.signed_quantity
        else:
            for balance in (await context.exchange.fetch_balances()).balances:
                if balance.asset in symbol.split("/"):
                    totals[balance.asset] = totals.get(balance.asset, Decimal(0)) + balance.total
        async with context.database.read() as tx:
            known = await tx.fills.since(context.account_id, since)
        subjects = {symbol} if ":" in symbol else set(symbol.split("/"))
        moved = sums_of(map(entry_of_fill, known))
        return {
            one: totals.get(one, Decimal(0)) - moved.get((Book.VENUE, one), Decimal(0))
            for one in subjects
        }

    async def _conclude(
        self, order: Order, intent: Intent, began_at: datetime, unexplained: dict[Subject, Decimal]
    ) -> None:
        if order.acknowledged_at is not None:
            return  # the venue had it: no absence can be proved, a person must look
        not_before = intent.arrives_before or began_at
        case = self._cases.setdefault(order.key, _Case(AbsenceProof(not_before)))
        if case.unexplained is not None and case.unexplained != unexplained:
            case.proof.doubt()
        case.unexplained = unexplained
        case.proof.absent(EVERYWHERE, began_at)
        if case.proof.is_complete:
            await self._give_up(order, intent)

    async def _give_up(self, order: Order, intent: Intent) -> None:
        context, now = self._context, self._context.clock.now()
        watched_until = now + timedelta(seconds=context.settings.watch_absent_s)
        async with context.database.begin() as tx:
            known = await tx.orders.load(order.account_id, order.key)
            if not known.status.is_uncertain or await context.take_lease(tx) is None:
                return  # the stream brought it this moment, or another process has it
            after = order_states.moved(known, _S.NOT_PLACED, now, "proved absent at the exchange")
            await tx.orders.save(after)
            await tx.intents.save(replace(intent, watched_until=watched_until))
        context.publish_step(known, after)

    def _alarm(self, left: Collection[Order]) -> None:
        """Say once of each order that it stays unknown, and once that it does no more."""
        bus, now = self._context.bus, self._context.clock.now()
        for order in left:
            since = order.uncertain_since or order.updated_at
            age_s = (now - since).total_seconds()
            if age_s > self._context.settings.unresolved_alarm_s and order.key not in self._alarmed:
                self._alarmed.add(order.key)
                detail = f"the fate of this order has been unknown for {age_s:.0f} s"
                bus.publish(
                    OrderAlarmed(OrderAlarm.UNRESOLVED, order.account_id, order.key, detail)
                )
        for key in self._alarmed - {order.key for order in left}:
            self._alarmed.discard(key)
            account_id, alarm = self._context.account_id, OrderAlarm.UNRESOLVED
            bus.publish(OrderAlarmed(alarm, account_id, key, "its fate is known", is_over=True))
