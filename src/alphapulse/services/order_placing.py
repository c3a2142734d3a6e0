"""Order Placing: from a request to a durable intent, and from there to what the exchange says.

What is sent was committed before; the exchange worker sends it, once. Whatever fails here after
that commit, the order as it is stored says what to answer.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain import order_states
from alphapulse.domain.account import Account
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import OrderChanged
from alphapulse.domain.identifiers import AccountId, ClientOrderId, Symbol
from alphapulse.domain.instrument import Instrument
from alphapulse.domain.intent import Intent, client_order_id
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.order import Order, OrderOrigin, OrderRequest, OrderStatus
from alphapulse.domain.order_checks.check import Check
from alphapulse.domain.order_checks.price import with_trigger
from alphapulse.domain.order_checks.run import require, run_checks
from alphapulse.domain.order_checks.situation import OrderSituation
from alphapulse.domain.order_shape import require_one_meaning
from alphapulse.errors import (
    AlphaPulseError,
    DuplicateSuspected,
    InsufficientFunds,
    NotFound,
    OrderNotSent,
    OrderRejected,
)
from alphapulse.exchanges.rule import Reaction
from alphapulse.exchanges.venues import PROFILES
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.worker import Worker
from alphapulse.services.idempotency import IdempotentRequests, RequestKey
from alphapulse.services.order_facts import Asked, OrderFacts, day_of
from alphapulse.services.order_preview import slippage_check
from alphapulse.services.orders import id_of
from alphapulse.services.trading_desk import TradingDesk
from alphapulse.services.trading_settings import TradingSettings
from alphapulse.services.viewer import Caller, Viewer, load_account

_S = OrderStatus

# A rejected order keeps what the venue's answer meant, in the words of the rule it matched.
_WANT_OF_FUNDS = frozenset(
    rule.meaning
    for profile in PROFILES.values()
    for rule in profile.rules
    if rule.reaction(is_write=True) is Reaction.FUNDS
)


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a caller wants. ``is_paper`` insists on fake money, ``allow_duplicate`` on a second
    equal order; ``origin`` is on whose behalf."""

    request: OrderRequest
    is_paper: bool = False
    allow_duplicate: bool = False
    max_slippage_pct: Decimal | None = None
    origin: OrderOrigin = OrderOrigin.ALPHAPULSE


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order as recorded after it was sent, and the checks it passed; ``replaced`` is the order
    it stands in for."""

    order: Order
    checks: tuple[Check, ...] = ()
    replaced: Order | None = None

    @property
    def refusal(self) -> AlphaPulseError | None:
        """Why there is no such order at the exchange, when that is certain."""
        order, facts = self.order, {"order": id_of(self.order), "exchange": self.order.exchange}
        if order.status is _S.REJECTED:
            reason = order.status_reason or "the exchange refused the order"
            kind = InsufficientFunds if _is_for_want_of_funds(reason) else OrderRejected
            return kind(reason, venue_message=order.status_reason, **facts)
        if order.status in {_S.WITHDRAWN, _S.NOT_PLACED}:
            return OrderNotSent(order.status_reason or "the order was not sent", **facts)
        return None

    @property
    def is_certain(self) -> bool:
        """Whether it is known what became of it."""
        return self.order.status not in {_S.PREPARED, _S.SENDING, _S.UNKNOWN, _S.QUARANTINED}


class OrderPlacer:
    """Places orders; of two at once, one is stored before the other is checked."""

    def __init__(
        self,
        database: Database,
        facts: OrderFacts,
        requests: IdempotentRequests,
        desk: TradingDesk,
        worker: Worker,
        bus: EventBus,
        clock: Clock,
        settings: TradingSettings,
    ) -> None:
        self._database = database
        self._facts = facts
        self._requests = requests
        self._desk = desk
        self._worker = worker
        self._bus = bus
        self._clock = clock
        self._settings = settings

    async def asked(self, caller: Caller, wanted: NewOrder) -> Asked:
        """The order with its account, market and price.

        Raises:
            InvalidInput: it does not say one thing.
            NotFound: no such account or symbol.
        """
        request = wanted.request
        require_one_meaning(request, self._clock.now())
        account, instrument = await self._target(caller.viewer, request.account_id, request.symbol)
        ticker = await self._facts.ticker(account, request.symbol)
        return Asked(
            request=with_trigger(request, ticker),
            account=account,
            instrument=instrument,
            ticker=ticker,
            owner_id=caller.owner_id,
            is_paper=wanted.is_paper,
        )

    async def place(self, asked: Asked, wanted: NewOrder, key: RequestKey) -> PlacedOrder:
        """Check it, make it durable, have it sent.

        Raises:
            DuplicateSuspected: an equal order was placed moments ago.
            AlphaPulseError: a check failed; nothing was stored or sent.
        """
        slippage = await self._slippage(asked, wanted.max_slippage_pct)
        async with self._database.begin() as tx:
            situation = await self._facts.situation(tx, asked)
            checks = (*run_checks(asked.request, situation), *slippage)
            require(checks)
            if not wanted.allow_duplicate:
                await self._require_no_equal(tx, asked.request)
            order = await self._prepare(tx, asked, situation, key, wanted.origin)
        self._bus.publish(OrderChanged(order))
        return PlacedOrder(await self.sent(order), checks)

    async def sent(self, order: Order) -> Order:
        """The order after the exchange worker had it; as it is stored where that did not answer."""
        if order.status is not _S.PREPARED:
            return order
        name = ClientOrderId(order.key)
        try:
            async with asyncio.timeout(self._settings.answer_within_s):
                return await self._worker.call(
                    lambda: self._desk.place_order(order.account_id, name)
                )
        except TimeoutError:
            return await self._stored(order)
        except AlphaPulseError as error:
            logger.bind(order=order.key, error=str(error)).warning("the order was not sent")
            return await self._withdrawn(order, error.message)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # The worker ended, and the call with it.
            return await self._withdrawn(order, "the exchange worker ended")

    async def use(self, tx: UnitOfWork, situation: OrderSituation) -> None:
        """Count what the order adds into the day of everybody whose limits it is under."""
        day, value = day_of(situation.now), situation.added_value or ZERO
        for one in situation.allowances:
            await tx.limits.use(one.subject, day, EXACT.add(one.counted_today, value))

    async def _target(
        self, viewer: Viewer, account_id: AccountId, symbol: Symbol
    ) -> tuple[Account, Instrument]:
        async with self._database.read() as tx:
            account = await load_account(tx, viewer, account_id)
            instrument = await tx.instruments.find(account.exchange, symbol)
        if instrument is None:
            raise NotFound(f"{account.exchange} lists no {symbol}", field="symbol")
        return account, instrument

    async def _slippage(self, asked: Asked, limit_pct: Decimal | None) -> tuple[Check, ...]:
        if limit_pct is None:
            return ()
        view = await self._facts.market_view(asked.account.id, asked.request.symbol)
        return (slippage_check(asked, None if view is None else view[0], limit_pct),)

    async def _prepare(
        self,
        tx: UnitOfWork,
        asked: Asked,
        situation: OrderSituation,
        key: RequestKey,
        origin: OrderOrigin,
    ) -> Order:
        """T1: what must be durable before anything is sent."""
        request, account, now = asked.request, asked.account, situation.now
        name = client_order_id(account.id, asked.owner_id, key.key)
        order = order_states.prepared(request, account.exchange, name, now, origin=origin)
        needed = situation.cost.needed
        await tx.idempotency_keys.add(self._requests.row(key, id_of(order), now))
        await tx.orders.add(order)
        await tx.intents.add(
            Intent(
                client_order_id=name,
                account_id=account.id,
                user_id=asked.owner_id,
                request=request,
                reserved_asset=None if needed is None else situation.cost.asset,
                reserved=needed or ZERO,
                value=situation.added_value,
                created_at=now,
            )
        )
        await self.use(tx, situation)
        return order

    async def _require_no_equal(self, tx: UnitOfWork, request: OrderRequest) -> None:
        window = timedelta(seconds=self._settings.duplicate_window_s)
        since = self._clock.now() - window
        for order in await tx.orders.ours_since(request.account_id, request.symbol, since):
            is_gone = order.status.is_final and not order.filled_quantity
            if _is_equal(order, request) and not is_gone:
                raise DuplicateSuspected(
                    f"an equal order, {id_of(order)}, was placed less than"
                    f" {window.total_seconds():g} s ago",
                    order=id_of(order),
                )

    async def _stored(self, order: Order) -> Order:
        async with self._database.read() as tx:
            return await tx.orders.load(order.account_id, order.key)

    async def _withdrawn(self, order: Order, reason: str) -> Order:
        """End an order that nobody has claimed; one that was stays as it is."""
        async with self._database.begin() as tx:
            known = await tx.orders.load(order.account_id, order.key)
            if known.status is not _S.PREPARED:
                return known
            after = order_states.moved(known, _S.WITHDRAWN, self._clock.now(), reason)
            await tx.orders.save(after)
        self._bus.publish(OrderChanged(after))
        return after


def _is_equal(order: Order, request: OrderRequest) -> bool:
    return all(getattr(order, name) == getattr(request, name) for name in _SAME_IN_EQUAL)


_SAME_IN_EQUAL = (
    *("account_id", "symbol", "side", "type", "quantity", "quote_quantity"),
    *("limit_price", "stop_price"),
)


def _is_for_want_of_funds(reason: str) -> bool:
    return reason.partition(" (")[0] in _WANT_OF_FUNDS
