"""Planted bugs: mistakes that a hurried person would make in the order path, one at a time.

Each replaces one piece of production code while its block runs. The simulation must find every one
of them, or it is blind (``reliability.md`` S-2).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from alphapulse.database.repositories.orders import OrderChange, Orders
from alphapulse.domain import absence, order_states
from alphapulse.domain import intent as intents
from alphapulse.domain.absence import AbsenceProof
from alphapulse.domain.identifiers import ClientOrderId
from alphapulse.domain.order import Fill, Order, OrderStatus
from alphapulse.errors import (
    ExchangeError,
    NotFound,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRejected,
)
from alphapulse.pipeline.execution.canceler import OrderCanceler
from alphapulse.pipeline.execution.desk import OrderDesk
from alphapulse.pipeline.execution.resolver import OrderResolver
from alphapulse.pipeline.execution.sender import Answer, OrderSender
from alphapulse.pipeline.execution.settings import ExecutionSettings
from alphapulse.pipeline.sync.history import FillSync
from alphapulse.pipeline.sync.orders import OrderSync
from alphapulse.services import order_placing
from alphapulse.services.idempotency import IdempotentRequests

_S = OrderStatus

Bug = Callable[[ExitStack], None]
BUGS: dict[str, Bug] = {}


def bug(plant: Bug) -> Bug:
    """Register a bug under the name of its function."""
    BUGS[plant.__name__] = plant
    return plant


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Production code with one bug in it."""
    with ExitStack() as stack:
        BUGS[name](stack)
        yield


def _swap(stack: ExitStack, where: object, name: str, other: object) -> None:
    stack.enter_context(patch.object(where, name, other))


# Sending.


@bug
def send_before_the_claim_is_durable(stack: ExitStack) -> None:
    async def send(self: Any, intent: intents.Intent) -> Order:
        answer = await self._answer(intent)
        order, claimed = await self._claim(intent.client_order_id)
        sent: Order = order if claimed is None else await self._record(order, answer)
        return sent

    _swap(stack, OrderSender, "send", send)


@bug
def send_again_when_no_answer_came(stack: ExitStack) -> None:
    once = OrderSender._answer

    async def answer(self: Any, intent: Any) -> Answer:
        first = await once(self, intent)
        return await once(self, intent) if isinstance(first.error, OrderOutcomeUnknown) else first

    _swap(stack, OrderSender, "_answer", answer)


@bug
def take_silence_for_a_refusal(stack: ExitStack) -> None:
    once = OrderSender._answer

    async def answer(self: Any, intent: Any) -> Answer:
        first = await once(self, intent)
        unknown = isinstance(first.error, OrderOutcomeUnknown)
        return Answer(error=OrderRejected("no answer")) if unknown else first

    _swap(stack, OrderSender, "_answer", answer)


@bug
def take_silence_for_not_sent(stack: ExitStack) -> None:
    once = OrderSender._answer

    async def answer(self: Any, intent: Any) -> Answer:
        first = await once(self, intent)
        unknown = isinstance(first.error, OrderOutcomeUnknown)
        return Answer(error=OrderNotSent("no answer")) if unknown else first

    _swap(stack, OrderSender, "_answer", answer)


@bug
def claim_whatever_its_state_is(stack: ExitStack) -> None:
    async def claim(self: Any, name: ClientOrderId) -> tuple[Order, Any]:
        context = self._context
        async with context.database.begin() as tx:
            order = await tx.orders.load(context.account_id, name)
            intent = await tx.intents.load(name)
            now, lease = context.clock.now(), await context.take_lease(tx)
            if lease is None:
                return order, None
            after = replace(order, status=_S.SENDING, sent_at=now)
            doubt = context.settings.doubt(context.exchange.order_profile)
            claimed = intent.claimed(lease.fence, now, now + doubt)
            await tx.intents.save(claimed)
            await tx.orders.save(after)
        return after, claimed

    _swap(stack, OrderSender, "_claim", claim)


@bug
def claim_without_a_look_at_the_switch(stack: ExitStack) -> None:
    async def refusal(self: Any, tx: Any, order: Order, intent: Any) -> None:
        return None

    _swap(stack, OrderSender, "_refusal", refusal)


@bug
def forget_the_claim(stack: ExitStack) -> None:
    """The claim is made in memory, and the send goes on without it."""

    async def claim(self: Any, name: ClientOrderId) -> tuple[Order, Any]:
        context = self._context
        async with context.database.begin() as tx:
            order = await tx.orders.load(context.account_id, name)
            if order.status is not _S.PREPARED:
                return order, None
            intent = await tx.intents.load(name)
            lease = await context.take_lease(tx)
        if lease is None:
            return order, None
        now = context.clock.now()
        return order, intent.claimed(lease.fence, now, now)

    _swap(stack, OrderSender, "_claim", claim)


@bug
def write_the_answer_over_what_the_stream_said(stack: ExitStack) -> None:
    async def recorded(self: Any, order: Order, answer: Answer) -> Order:
        context = self._context
        now = context.clock.now()
        if answer.described is not None:
            after = order_states.told(order, answer.described, now)
        else:
            after = self._after_error(order, answer.error)
        async with context.database.begin() as tx:
            await tx.orders.save(after)
        return after

    _swap(stack, OrderSender, "_recorded", recorded)


# After a crash.


@bug
def send_again_after_a_crash(stack: ExitStack) -> None:
    """What was being sent is prepared anew at the start, and sent."""

    async def doubted(self: Any, tx: Any, order: Order, now: Any) -> Order:
        return replace(order, status=_S.PREPARED)

    _swap(stack, OrderResolver, "_doubted", doubted)


@bug
def name_the_order_anew_at_each_try(stack: ExitStack) -> None:
    made = intents.client_order_id
    tries = iter(range(10**9))

    def name(account: Any, user: Any, key: str) -> ClientOrderId:
        return made(account, user, f"{key} {next(tries)}")

    stored = IdempotentRequests.row

    def row(self: Any, request: Any, subject: str, at: Any) -> Any:
        return replace(stored(self, request, subject, at), key=subject)

    _swap(stack, order_placing, "client_order_id", name)
    _swap(stack, IdempotentRequests, "row", row)


@bug
def open_the_desk_before_anything_is_known(stack: ExitStack) -> None:
    async def open_for_orders(self: Any) -> None:
        self._is_open.set()

    _swap(stack, OrderDesk, "open_for_orders", open_for_orders)


@bug
def leave_what_was_prepared_before_a_crash(stack: ExitStack) -> None:
    async def adopt(self: Any) -> bool:
        return True

    async def forgotten(self: Any) -> None:
        return None

    _swap(stack, OrderResolver, "adopt", adopt)
    _swap(stack, OrderDesk, "_withdraw_forgotten", forgotten)


@bug
def leave_a_cancel_that_was_not_answered(stack: ExitStack) -> None:
    async def resume(self: Any) -> int:
        return 0

    _swap(stack, OrderCanceler, "resume", resume)


# Finding out.


@bug
def take_a_failed_look_for_absence(stack: ExitStack) -> None:
    asked = OrderResolver.look_up

    async def look_up(self: Any, order: Order) -> Order | None:
        try:
            return await asked(self, order)
        except ExchangeError:
            return None

    async def everywhere(self: Any, symbol: Any, absent: Sequence[Order], began_at: Any) -> None:
        intents = await self._intents(absent)
        for order in absent:
            await self._conclude(order, intents[ClientOrderId(order.key)], began_at, {})

    _swap(stack, OrderResolver, "look_up", look_up)
    _swap(stack, OrderResolver, "_look_everywhere", everywhere)


@bug
def believe_in_absence_at_once(stack: ExitStack) -> None:
    def absent(self: AbsenceProof, kinds: Any, began_at: Any) -> None:
        self.looks += 1
        self.kinds |= kinds

    _swap(stack, AbsenceProof, "absent", absent)


@bug
def doubt_for_no_longer_than_the_clocks_differ(stack: ExitStack) -> None:
    def doubt(self: ExecutionSettings, profile: Any) -> timedelta:
        return timedelta(seconds=self.clock_error_s)

    _swap(stack, ExecutionSettings, "doubt", doubt)
    _swap(stack, absence, "CLEAN_LOOKS", 1)


@bug
def look_only_at_open_orders(stack: ExitStack) -> None:
    async def look_up(self: Any, order: Order) -> None:
        return None

    async def everywhere(self: Any, symbol: Any, absent: Sequence[Order], began_at: Any) -> None:
        listed = await self._context.exchange.fetch_open_orders()
        names = {order.client_order_id for order in absent}
        await self._record([one for one in listed if one.client_order_id in names], [])
        intents, still = await self._intents(absent), await self._uncertain()
        for order in absent:
            if order.key in still:
                intent = intents[ClientOrderId(order.key)]
                await self._conclude(still[order.key], intent, began_at, {})

    _swap(stack, OrderResolver, "look_up", look_up)
    _swap(stack, OrderResolver, "_look_everywhere", everywhere)


@bug
def never_look_for_what_is_unknown(stack: ExitStack) -> None:
    async def resolve(self: Any) -> int:
        return 0

    _swap(stack, OrderResolver, "resolve", resolve)


# Canceling.


@bug
def call_it_canceled_when_the_request_was_taken(stack: ExitStack) -> None:
    async def finish(self: Any, order: Order) -> Order:
        try:
            await self._context.exchange.cancel_order(order)
        except (ExchangeError, NotFound):
            return order
        after = replace(order, status=_S.CANCELED)
        async with self._context.database.begin() as tx:
            await tx.orders.save(after)
        return after

    _swap(stack, OrderCanceler, "finish", finish)


@bug
def call_it_canceled_when_it_is_not_found(stack: ExitStack) -> None:
    async def finish(self: Any, order: Order) -> Order:
        try:
            await self._context.exchange.cancel_order(order)
        except NotFound:
            async with self._context.database.begin() as tx:
                await tx.orders.save(replace(order, status=_S.CANCELED))
        except ExchangeError:
            pass
        found: Order = await self._read(order)
        return found

    _swap(stack, OrderCanceler, "finish", finish)


@bug
def call_it_canceled_when_it_is_not_listed(stack: ExitStack) -> None:
    async def look_up(self: Any, order: Order) -> frozenset[Any]:
        async with self._database.begin() as tx:
            known = await tx.orders.load(order.account_id, order.key)
            await tx.orders.save(replace(known, status=_S.CANCELED))
        return frozenset({order.symbol})

    _swap(stack, OrderSync, "_look_up", look_up)


# States and fills.


@bug
def believe_whatever_was_told_last(stack: ExitStack) -> None:
    def told(known: Order, by_venue: Order, at: Any) -> Order:
        return replace(
            known,
            exchange_order_id=by_venue.exchange_order_id,
            status=by_venue.status,
            filled_quantity=by_venue.filled_quantity,
        )

    _swap(stack, order_states, "told", told)


@bug
def count_a_fill_twice(stack: ExitStack) -> None:
    """A fill adds to what the order has, whoever told that before."""

    def filled(order: Order, fills: Sequence[Fill], at: Any) -> Order:
        quantity = order.filled_quantity + sum((one.quantity for one in fills), Decimal(0))
        return replace(order, filled_quantity=quantity)

    _swap(stack, order_states, "filled", filled)


@bug
def call_every_filled_order_whole(stack: ExitStack) -> None:
    _swap(stack, order_states, "_status_when_filled", lambda order, quantity: _S.FILLED)


@bug
def forget_that_an_amendment_is_under_way(stack: ExitStack) -> None:
    _swap(stack, order_states, "amending", lambda order, quantity: order)


@bug
def ignore_names_that_we_gave(stack: ExitStack) -> None:
    """What the venue tells under a name of ours is taken for somebody else's order."""

    async def record(self: Orders, described: Sequence[Order], at: Any) -> Any:
        stored = await self._stored(described)
        known = {order.key for _, order in stored.values()}
        changes = [OrderChange(None, order) for order in described if order.key not in known]
        await self._write(changes, {})
        return tuple(changes)

    _swap(stack, Orders, "record", record)


@bug
def read_fills_from_the_stream_alone(stack: ExitStack) -> None:
    async def nothing(self: Any) -> None:
        return None

    async def take(self: Any, told: Sequence[Fill]) -> int:
        return 0

    _swap(stack, FillSync, "read", nothing)
    _swap(stack, FillSync, "take", take)
