"""Sender: claims a durable intent, sends it once, and records what came back.

Three transactions (``reliability.md`` 1.4): T1, before this, made the intent durable. T2 claims it:
from then on it may be at the venue. T3 records the answer. Whatever happens between T2 and T3, a
crash included, leaves SENDING behind, and the fate of such an order is looked up, never guessed.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from loguru import logger

from alphapulse.database.repositories.orders import OrderChange
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain import order_states
from alphapulse.domain.identifiers import ClientOrderId
from alphapulse.domain.intent import Intent
from alphapulse.domain.order import Order, OrderStatus
from alphapulse.errors import (
    AlphaPulseError,
    DatabaseError,
    ExchangeError,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRejected,
)
from alphapulse.observability.metrics import ORDER_STAGE
from alphapulse.pipeline.execution.context import ExecutionContext
from alphapulse.runtime.retry import Backoff

_S = OrderStatus


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one send: the venue's description, or why there is none."""

    described: Order | None = None
    error: ExchangeError | None = None


class OrderSender:
    """Sends the orders of one account; each at most once, whoever asks how often."""

    def __init__(self, context: ExecutionContext) -> None:
        self._context = context
        self._backoff = Backoff(first_s=0.05, max_s=2.0)

    async def send(self, intent: Intent) -> Order:
        """Send a prepared order; the order as recorded. One that is not prepared stays as it is.

        Raises:
            DatabaseError: the claim was not written, so nothing was sent.
        """
        name = intent.client_order_id
        with self._stage("market"):
            refusal = await self._prepare_market(intent)
        if refusal is not None:
            return await self.withdraw(name, refusal)
        with self._stage("claim"):
            order, claimed = await self._claim(name)
        if claimed is None:
            return order
        with self._stage("send"):
            answer = await self._answer(claimed)
        with self._stage("record"):
            return await self._record(order, answer)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        began_s = self._context.clock.monotonic_s()
        try:
            yield
        finally:
            took_s = self._context.clock.monotonic_s() - began_s
            ORDER_STAGE.labels(name).observe(took_s)

    async def _prepare_market(self, intent: Intent) -> str | None:
        """Leverage and margin mode; why the order must not be sent, or ``None``."""
        if intent.fence is not None:
            return None
        try:
            async with asyncio.timeout(self._context.settings.send_timeout_s):
                await self._context.exchange.prepare_order(intent.request)
        except TimeoutError:
            return "leverage and margin mode were not confirmed in time"
        except AlphaPulseError as error:
            return f"leverage and margin mode could not be set: {error.message}"
        return None

    async def _claim(self, name: ClientOrderId) -> tuple[Order, Intent | None]:
        """T2. The intent that is to be sent now, or ``None`` with the order as it is."""
        context, settings = self._context, self._context.settings
        async with context.database.begin() as tx:
            order = await tx.orders.load(context.account_id, name)
            if order.status is not _S.PREPARED:
                return order, None
            intent = await tx.intents.load(name)
            now = context.clock.now()
            lease = await context.take_lease(tx)
            refusal = await self._refusal(tx, order, intent)
            if lease is None:
                refusal = "another process sends for this account"
            if refusal is not None or lease is None:
                after, claimed = order_states.moved(order, _S.WITHDRAWN, now, refusal), None
            else:
                after = order_states.moved(order, _S.SENDING, now)
                doubt = settings.doubt(context.exchange.order_profile)
                # Should this process end, whoever finds the claim sets a later end of its own.
                claimed = intent.claimed(lease.fence, now, now + doubt)
                await tx.intents.save(claimed)
            await tx.orders.save(after)
        context.publish_step(order, after)
        return after, claimed

    async def _refusal(self, tx: UnitOfWork, order: Order, intent: Intent) -> str | None:
        """Why it may no longer be sent: the world has moved since the checks."""
        context = self._context
        mode = await tx.switches.mode_of(context.account_id)
        if not mode.allows(intent.request):
            return f"trading is {mode}"
        age_s = (context.clock.now() - order.created_at).total_seconds()
        if age_s > context.settings.prepared_max_s:
            return "it could not be sent in time"
        return None

    async def _answer(self, intent: Intent) -> Answer:
        """Send once. Nothing in here, or below it, sends a second time."""
        try:
            async with asyncio.timeout(self._context.settings.send_timeout_s):
                described = await self._context.exchange.create_order(
                    intent.request, intent.client_order_id
                )
        except (OrderRejected, OrderNotSent, OrderOutcomeUnknown) as error:
            return Answer(error=error)
        except TimeoutError:
            return Answer(error=OrderOutcomeUnknown("no answer in time"))
        return Answer(described=replace(described, client_order_id=intent.client_order_id))

    async def _record(self, order: Order, answer: Answer) -> Order:
        """T3. A database that is away is waited for: the answer must not be lost."""
        failures = 0
        while True:
            try:
                return await self._recorded(order, answer)
            except DatabaseError as error:
                failures += 1
                if failures == 1:
                    logger.bind(order=order.key, error=str(error)).error(
                        "the answer to an order could not be written; trying on"
                    )
                await asyncio.sleep(self._backoff.delay_s(failures))

    async def _recorded(self, order: Order, answer: Answer) -> Order:
        context = self._context
        async with context.database.begin() as tx:
            if answer.described is not None:
                changes = await tx.orders.record([answer.described], context.clock.now())
            else:
                changes = await self._take_error(tx, order, answer.error)
            after = next((one.after for one in changes if one.after.key == order.key), None)
            if after is None:  # the stream had told all of it
                after = await tx.orders.load(context.account_id, order.key)
        context.publish(changes)
        return after

    async def _take_error(
        self, tx: UnitOfWork, order: Order, error: ExchangeError | None
    ) -> tuple[OrderChange, ...]:
        # The stream may have told of the order meanwhile.
        known = await tx.orders.load(order.account_id, order.key)
        after = self._after_error(known, error)
        if after == known:
            return ()
        await tx.orders.save(after)
        intent = await tx.intents.load(ClientOrderId(order.key))
        if after.status is _S.UNKNOWN:
            doubt = self._context.settings.doubt(self._context.exchange.order_profile)
            until = self._context.clock.now() + doubt
            await tx.intents.save(replace(intent, arrives_before=until))
        elif after.status is _S.WITHDRAWN:
            await tx.intents.save(intent.not_sent())
        return (OrderChange(known, after),)

    def _after_error(self, known: Order, error: ExchangeError | None) -> Order:
        now = self._context.clock.now()
        reason = None if error is None else _in_words(error)
        if isinstance(error, OrderRejected):
            if known.status in {_S.REJECTED, _S.NOT_PLACED}:
                return known
            # Another process may have doubted it while it waited for this word.
            if known.status.is_uncertain and known.acknowledged_at is None:
                return order_states.moved(known, _S.REJECTED, now, reason)
            return order_states.quarantined(known, "rejected, and yet the venue has it", now)
        if known.status is not _S.SENDING:
            return known
        if isinstance(error, OrderNotSent):
            back = order_states.moved(known, _S.PREPARED, now, reason)
            return order_states.moved(back, _S.WITHDRAWN, now, reason)
        return order_states.moved(known, _S.UNKNOWN, now, reason)

    async def withdraw(self, name: ClientOrderId, reason: str) -> Order:
        """End an order that was never claimed; one that was stays as it is."""
        context = self._context
        async with context.database.begin() as tx:
            order = await tx.orders.load(context.account_id, name)
            if order.status is not _S.PREPARED:
                return order
            after = order_states.moved(order, _S.WITHDRAWN, context.clock.now(), reason)
            await tx.orders.save(after)
        context.publish_step(order, after)
        return after


def _in_words(error: ExchangeError) -> str:
    """Why, for a person: what it means, and what the venue said."""
    said = error.facts.get("venue_message"), error.facts.get("venue_code")
    quoted = " ".join(str(part) for part in said if part)
    return f"{error.message} (the exchange: {quoted})" if quoted else error.message
