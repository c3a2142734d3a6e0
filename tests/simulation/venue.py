"""The venue: the only truth about what was placed and executed."""

import asyncio
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from alphapulse.domain import order_states
from alphapulse.domain.identifiers import (
    AccountId,
    Asset,
    ClientOrderId,
    ExchangeId,
    ExchangeOrderId,
    Symbol,
)
from alphapulse.domain.money import ZERO
from alphapulse.domain.order import Fill, Order, OrderOrigin, OrderRequest, OrderStatus, OrderType
from alphapulse.errors import AlphaPulseError, OrderOutcomeUnknown, OrderRejected
from alphapulse.exchanges.port import IdUniqueness, PrivateUpdate
from tests.effects import Effects, effects_of
from tests.simulation.knobs import CLOCK_ERROR_S, Knobs

ACCOUNT = AccountId("account-1")
VENUE = ExchangeId("venue")
SPOT = Symbol("BTC/USDT")
PERPETUAL = Symbol("ETH/USDT:USDT")
EPOCH = datetime(2026, 11, 23, 12, tzinfo=UTC)
PRICE = Decimal(100)
OPENING: Effects = {"USDT": Decimal(100_000), "BTC": Decimal(10), "BNB": Decimal(5)}

_S = OrderStatus


@dataclass(slots=True)
class Placed:
    """One order at the venue, as it was from each moment on that readers may know of it."""

    versions: list[tuple[float, Order]]

    @property
    def truth(self) -> Order:
        return self.versions[-1][1]

    def seen_at(self, now_s: float) -> Order | None:
        for visible_s, order in reversed(self.versions):
            if visible_s <= now_s:
                return order
        return None


@dataclass(slots=True)
class Listener:
    """One connection of the private stream; ``None`` in it is its end."""

    updates: "asyncio.Queue[PrivateUpdate | None]" = field(default_factory=asyncio.Queue)


class Venue:
    """Matches nothing: chance fills and ends its orders, while the storm lasts.

    Args:
        on_accept: told of each order, before anybody else can know of it.
    """

    def __init__(
        self,
        knobs: Knobs,
        random: Random,
        loop: asyncio.AbstractEventLoop,
        on_accept: Callable[[Order], None],
    ) -> None:
        self.knobs = knobs
        self.random = random
        self.loop = loop
        self.context: Context = copy_context()
        """In which its own doings run: those of no run of the program."""
        self._on_accept = on_accept
        self.is_stormy = True
        self.down_until_s = 0.0
        self.banned_until_s = 0.0
        self.placed: dict[tuple[Symbol, str], Placed] = {}
        self.fills: list[tuple[float, Fill]] = []
        """With the moment from which readers see it."""
        self.totals: Effects = dict(OPENING)
        self.listeners: list[Listener] = []
        self.changed_s = 0.0
        """When something happened here at last."""

    @property
    def now_s(self) -> float:
        return self.loop.time()

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.loop.time())

    def chance(self, probability: float) -> bool:
        """Whether something goes wrong now; never after the storm."""
        return self.is_stormy and probability > 0 and self.random.random() < probability

    def later(self, delay_s: float, do: Callable[[], object]) -> None:
        self.loop.call_later(delay_s, do, context=self.context)

    # What orders do.

    def create(self, request: OrderRequest, name: ClientOrderId | None, signed_s: float) -> Order:
        """A request that has arrived.

        Raises:
            OrderRejected: it came too late, or its kind is refused.
            OrderOutcomeUnknown: of a name that is taken.
        """
        window_s = self.knobs.receive_window_s
        error_s = self.random.uniform(-1.0, 1.0) * CLOCK_ERROR_S / 2
        if window_s is not None and self.now_s > signed_s + window_s + error_s:
            raise OrderRejected("the request is too old")
        if name is not None and self._is_taken(name):
            raise OrderOutcomeUnknown("an order of this name exists")
        order = self._accepted(request, name)
        self._on_accept(order)
        if self.chance(self.knobs.ambush):
            self.go_down(self.random.uniform(20, 40))
        self._show(order)
        self.later(0.0, lambda: self._live(order))
        return order

    def _is_taken(self, name: ClientOrderId) -> bool:
        if self.knobs.uniqueness is IdUniqueness.NONE:
            return False
        same = [one.truth for one in self.placed.values() if one.truth.client_order_id == name]
        if self.knobs.uniqueness is IdUniqueness.OPEN:
            return any(order.status.is_open for order in same)
        return bool(same)

    def _accepted(self, request: OrderRequest, name: ClientOrderId | None) -> Order:
        # Numbered per symbol: two markets use the same numbers.
        number = 1 + sum(symbol == request.symbol for symbol, _ in self.placed)
        order = order_states.prepared(request, VENUE, ClientOrderId(""), self.now())
        return replace(
            order,
            client_order_id=name,
            exchange_order_id=ExchangeOrderId(str(number)),
            status=_S.OPEN,
            origin=OrderOrigin.EXTERNAL,
        )

    def _live(self, order: Order) -> None:
        """Decide what becomes of it, by chance."""
        draw = self.random.random
        if order.type is OrderType.MARKET:
            part = order.quantity if draw() < 0.7 else self._part(order)
            self.fill(order, part or ZERO)
            self.end(order, _S.CANCELED)
            return
        if draw() < self.knobs.fill:
            for _ in range(self.random.randint(1, 3)):
                self.later(draw() * 15, lambda: self.fill(order, self._part(order)))
        if draw() < self.knobs.self_cancel:
            status = self.random.choice([_S.CANCELED, _S.EXPIRED])
            self.later(draw() * 15, lambda: self.end(order, status))

    def _part(self, order: Order) -> Decimal:
        left = self.truth(order).remaining_quantity or ZERO
        if left <= 1 or self.random.random() < 0.4:
            return left
        return Decimal(self.random.randint(1, int(left) - 1))

    def fill(self, order: Order, quantity: Decimal) -> None:
        """Execute so much of it; nothing when it has ended."""
        truth = self.truth(order)
        quantity = min(quantity, truth.remaining_quantity or ZERO)
        if not truth.status.is_open or quantity <= 0:
            return
        fill = self._fill_of(truth, quantity)
        filled = truth.filled_quantity + quantity
        status = _S.FILLED if filled == truth.quantity else _S.PARTIALLY_FILLED
        after = replace(
            truth,
            filled_quantity=filled,
            average_price=PRICE,
            status=status,
            updated_at=self.now(),
        )
        for subject, amount in effects_of([fill]).items():
            self.totals[subject] = self.totals.get(subject, ZERO) + amount
        last_s = max((seen_s for seen_s, one in self.fills), default=0.0)
        self.fills.append((max(last_s, self._visible_s()), fill))
        self._show(after, fill)

    def _fill_of(self, order: Order, quantity: Decimal) -> Fill:
        # Trades are numbered per symbol, too, and paid for in a third asset.
        number = 1 + sum(one.symbol == order.symbol for _, one in self.fills)
        return Fill(
            account_id=ACCOUNT,
            exchange=VENUE,
            symbol=order.symbol,
            trade_id=str(number),
            exchange_order_id=ExchangeOrderId(order.exchange_order_id or ""),
            client_order_id=order.client_order_id if self.knobs.names_in_fills else None,
            side=order.side,
            price=PRICE,
            quantity=quantity,
            fee=quantity / 1000,
            fee_asset=Asset("BNB"),
            is_maker=True,
            occurred_at=self.now(),
        )

    def end(self, order: Order, status: OrderStatus) -> bool:
        """Whether it was open until now."""
        truth = self.truth(order)
        if not truth.status.is_open:
            return False
        self._show(replace(truth, status=status, updated_at=self.now()))
        return True

    def amend(self, order: Order, quantity: Decimal | None, limit_price: Decimal | None) -> bool:
        """Whether it was open, and the new quantity is not below what was filled."""
        truth = self.truth(order)
        if not truth.status.is_open or (quantity or PRICE) <= truth.filled_quantity:
            return False
        amended = replace(
            truth,
            quantity=quantity or truth.quantity,
            limit_price=limit_price or truth.limit_price,
            updated_at=self.now(),
        )
        self._show(amended)
        # Another price, another match.
        if self.chance(0.7):
            delay_s = self.random.random() * 2
            self.later(delay_s, lambda: self.fill(order, self._part(order)))
        return True

    def truth(self, order: Order) -> Order:
        return self.placed[order.symbol, order.exchange_order_id or ""].truth

    def find(
        self, symbol: Symbol, number: ExchangeOrderId | None, name: ClientOrderId | None
    ) -> Placed | None:
        """As its look-up finds it: by number, else the newest of that name."""
        if number is not None:
            return self.placed.get((symbol, number))
        for (market, _), one in reversed(self.placed.items()):
            if market == symbol and one.truth.client_order_id == name:
                return one
        return None

    # Who hears of it.

    def _show(self, order: Order, *fills: Fill) -> None:
        key = (order.symbol, order.exchange_order_id or "")
        self.changed_s = self.now_s
        visible_s = self._visible_s()
        if (known := self.placed.get(key)) is None:
            self.placed[key] = Placed([(visible_s, order)])
        else:
            known.versions.append((max(known.versions[-1][0], visible_s), order))
        for update in self._told(order, fills):
            for listener in self.listeners:
                self._tell(listener, update)

    def _told(self, order: Order, fills: tuple[Fill, ...]) -> Iterator[PrivateUpdate]:
        how = self.random.random()
        if how < 0.5:
            yield PrivateUpdate(orders=(order,), fills=fills)
            return
        # Some have a channel for each, and neither waits for the other.
        apart = [PrivateUpdate(orders=(order,))]
        if fills:
            apart.insert(0 if how < 0.75 else 1, PrivateUpdate(fills=fills))
        yield from apart

    def _tell(self, listener: Listener, update: PrivateUpdate) -> None:
        knobs = self.knobs
        if self.chance(knobs.stream_lost):
            return
        for _ in range(2 if self.chance(knobs.stream_doubled) else 1):
            if self.chance(knobs.stream_reordered):
                delay_s = self.random.random() * 3
                self.later(delay_s, lambda: listener.updates.put_nowait(update))
            else:
                listener.updates.put_nowait(update)

    def _visible_s(self) -> float:
        lag_s = self.knobs.lag_s
        return self.now_s + (self.random.random() * lag_s if lag_s and self.is_stormy else 0.0)

    # How it fails.

    def go_down(self, seconds: float) -> None:
        """Answer nobody for so long, and drop the streams."""
        self.down_until_s = max(self.down_until_s, self.now_s + seconds)
        self.cut_streams()

    def cut_streams(self) -> None:
        for listener in self.listeners:
            listener.updates.put_nowait(None)

    def calm_down(self) -> None:
        """Nothing new goes wrong; what is on its way still arrives, who is down comes back in his
        time, and the quiet begins after that."""
        self.is_stormy = False
        self.changed_s = max(self.changed_s, self.down_until_s, self.banned_until_s)

    def refusal(self) -> AlphaPulseError | None:
        """Why a create is refused for good, by chance."""
        return OrderRejected("not now") if self.chance(self.knobs.refused) else None
