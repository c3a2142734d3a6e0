"""The port to the venue, as one run of the program has it: what is asked, and how that goes wrong.

A request is on its own once it left: it arrives whether or not anybody still waits for its answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NoReturn, TypeVar, cast

from alphapulse.domain.balance import Balance, BalanceReport, Wallet
from alphapulse.domain.cash_flow import FlowCursor
from alphapulse.domain.identifiers import Asset, ClientOrderId, ExchangeOrderId, Symbol
from alphapulse.domain.order import Fill, Order, OrderRequest
from alphapulse.domain.position import MarginMode, Position, PositionSide
from alphapulse.errors import (
    AlphaPulseError,
    ExchangeUnavailable,
    NotFound,
    OrderNotSent,
    OrderNotSupported,
    OrderOutcomeUnknown,
    OrderRejected,
    RateLimited,
    StreamLost,
)
from alphapulse.exchanges.port import (
    Capabilities,
    FillCursor,
    FillPage,
    OrderProfile,
    PrivateUpdate,
    TradingExchange,
)
from tests.simulation.loop import others_turn
from tests.simulation.venue import ACCOUNT, PRICE, VENUE, Listener, Venue

T = TypeVar("T")

PAGE = 3
"""Fills on a page: few, so that histories have several."""


class SimulatedExchange:
    """One connection to a `Venue`.

    Args:
        on_send: told of each create before a byte of it leaves.
    """

    def __init__(self, venue: Venue, on_send: Callable[[ClientOrderId], None]) -> None:
        self._venue = venue
        self._on_send = on_send
        self.id = VENUE
        self.clock_offset_ms: int | None = 0
        self.budget_used = Decimal(0)
        self.order_profile = venue.knobs.profile
        self.capabilities = Capabilities(
            spot=True,
            perpetual=True,
            market_stream=False,
            private_stream=True,
            positions=venue.knobs.is_perpetual,
            fills_without_symbol=venue.knobs.fills_without_symbol,
            orders_without_symbol=True,
            permissions=False,
            trading=True,
        )

    def as_port(self) -> TradingExchange:
        """For code that names the protocol; the public side is not simulated."""
        return cast(TradingExchange, self)

    def order_profile_of(self, symbol: Symbol) -> OrderProfile:
        return self.order_profile

    # Orders.

    async def prepare_order(self, request: OrderRequest) -> None:
        await self._ask(lambda: None)

    async def create_order(self, request: OrderRequest, client_order_id: ClientOrderId) -> Order:
        venue, knobs = self._venue, self._venue.knobs
        self._on_send(client_order_id)
        if venue.chance(knobs.not_sent):
            raise OrderNotSent("connection refused")
        signed_s = venue.now_s

        def arrive() -> Order:
            if (refusal := venue.refusal()) is not None:
                raise refusal
            return venue.create(request, client_order_id, signed_s)

        return await self._send(arrive)

    async def cancel_order(self, order: Order) -> None:
        venue = self._venue

        def arrive() -> None:
            placed = venue.find(order.symbol, order.exchange_order_id, order.client_order_id)
            if (refusal := venue.refusal()) is not None:
                raise refusal
            if placed is None or not venue.end(placed.truth, order.status.CANCELED):
                raise NotFound("no such open order")

        await self._send(arrive)

    async def amend_order(
        self, order: Order, *, quantity: Decimal | None, limit_price: Decimal | None
    ) -> None:
        venue = self._venue
        if not venue.knobs.amends_in_place:
            raise OrderNotSupported("nothing is amended here")

        def arrive() -> None:
            placed = venue.find(order.symbol, order.exchange_order_id, order.client_order_id)
            if placed is None or not venue.amend(placed.truth, quantity, limit_price):
                raise OrderRejected("not amended")

        await self._send(arrive)

    async def _send(self, arrive: Callable[[], T]) -> T:
        """Let it arrive, now or late or never; hear what came of it, or not."""
        venue, knobs = self._venue, self._venue.knobs
        if venue.chance(knobs.lost_request):
            return await self._nothing()
        heard: asyncio.Future[T] = venue.loop.create_future()
        venue.later(self._way_s(), lambda: self._arrives(arrive, heard))
        return await heard

    def _arrives(self, arrive: Callable[[], T], heard: "asyncio.Future[T]") -> None:
        venue, knobs = self._venue, self._venue.knobs
        if venue.down_until_s > venue.now_s:
            return
        answer: T | AlphaPulseError
        try:
            answer = arrive()
        except AlphaPulseError as refusal:
            answer = refusal
        if venue.chance(knobs.lost_answer) or venue.down_until_s > venue.now_s:
            return
        if venue.chance(knobs.broken_answer):
            answer = OrderOutcomeUnknown("the answer makes no sense")
        if not heard.done():  # somebody still waits for it
            _answer(heard, answer)

    def _way_s(self) -> float:
        venue, knobs = self._venue, self._venue.knobs
        if venue.chance(knobs.late):
            return venue.random.random() * knobs.late_arrival_s
        return venue.random.random() * 2 if venue.chance(knobs.slow) else 0.0

    async def _nothing(self) -> NoReturn:
        """No answer: either the connection breaks, or nothing ever comes."""
        if self._venue.random.random() < 0.5:
            await asyncio.sleep(self._venue.random.random() * 5)
            raise OrderOutcomeUnknown("the connection broke")
        await asyncio.Event().wait()
        raise AssertionError("nothing came of nothing")

    # Reads.

    async def fetch_balances(self) -> BalanceReport:
        return await self._ask(self._balances)

    def _balances(self) -> BalanceReport:
        now = self._venue.now()
        zero = Decimal(0)
        balances = tuple(
            Balance(Wallet.UNIFIED, Asset(asset), amount, zero, zero)
            for asset, amount in self._venue.totals.items()
            if ":" not in asset
        )
        return BalanceReport(ACCOUNT, frozenset({Wallet.UNIFIED}), balances, now, now)

    async def fetch_positions(self) -> tuple[Position, ...]:
        return await self._ask(self._positions)

    def _positions(self) -> tuple[Position, ...]:
        now = self._venue.now()
        return tuple(
            Position(
                account_id=ACCOUNT,
                exchange=VENUE,
                symbol=Symbol(symbol),
                side=PositionSide.LONG if amount > 0 else PositionSide.SHORT,
                quantity=abs(amount),
                contract_size=Decimal(1),
                entry_price=PRICE,
                mark_price=PRICE,
                unrealized_pnl=Decimal(0),
                realized_pnl=None,
                leverage=None,
                margin_mode=MarginMode.CROSS,
                initial_margin=None,
                maintenance_margin=None,
                liquidation_price=None,
                occurred_at=now,
                received_at=now,
            )
            for symbol, amount in self._venue.totals.items()
            if ":" in symbol and amount
        )

    async def fetch_open_orders(self) -> tuple[Order, ...]:
        return await self._ask(lambda: self._listed(o for o in self._seen() if o.status.is_open))

    async def fetch_orders_since(self, symbol: Symbol, since: datetime) -> tuple[Order, ...]:
        return await self._ask(
            lambda: self._listed(
                o for o in self._seen() if o.symbol == symbol and o.created_at >= since
            )
        )

    async def fetch_order(
        self,
        symbol: Symbol,
        *,
        exchange_order_id: ExchangeOrderId | None = None,
        client_order_id: ClientOrderId | None = None,
    ) -> Order:
        venue = self._venue

        def look() -> Order:
            placed = venue.find(symbol, exchange_order_id, client_order_id)
            order = None if placed is None else placed.seen_at(venue.now_s)
            if order is None or (venue.knobs.is_liar and venue.chance(0.3)):
                raise NotFound("no such order")
            return order

        return await self._ask(look)

    async def fetch_fills_since(self, symbol: Symbol, since: datetime) -> tuple[Fill, ...]:
        return await self._ask(
            lambda: self._listed(
                f for f in self._fills() if f.symbol == symbol and f.occurred_at >= since
            )
        )

    async def fetch_fills(self, cursor: FillCursor) -> FillPage:
        def look() -> FillPage:
            mine = [f for f in self._fills() if cursor.symbol in {None, f.symbol}]
            start = int(cursor.position)
            if start and self._venue.chance(0.2):
                start -= 1  # a page may repeat what the one before ended with
            end = max(start + PAGE, int(cursor.position))
            end = min(end, len(mine))
            return FillPage(
                fills=tuple(mine[start:end]),
                next_cursor=FillCursor(cursor.symbol, str(end)),
                is_last=end == len(mine),
            )

        return await self._ask(look)

    def first_fill_cursors(
        self, symbols: Sequence[Symbol], since: datetime
    ) -> tuple[FillCursor, ...]:
        if self.capabilities.fills_without_symbol:
            return (FillCursor(None, "0"),)
        return tuple(FillCursor(symbol, "0") for symbol in symbols)

    def first_flow_cursors(self, since: datetime) -> tuple[FlowCursor, ...]:
        return ()

    async def measure_clock(self) -> int:
        return await self._ask(lambda: 0)

    async def close(self) -> None:
        """There is nothing to close."""

    async def watch_private(
        self,
        sink: Callable[[PrivateUpdate], Awaitable[None]],
        *,
        on_connected: Callable[[], Awaitable[None]],
    ) -> None:
        listener = await self._ask(Listener)
        self._venue.listeners.append(listener)
        try:
            await on_connected()
            while (update := await listener.updates.get()) is not None:
                await sink(update)
        finally:
            self._venue.listeners.remove(listener)
        raise StreamLost("the connection ended")

    async def _ask(self, look: Callable[[], T]) -> T:
        """Ask, be answered by what readers see at that moment, hear it a little later."""
        venue = self._venue
        await self._travel()
        if venue.down_until_s > venue.now_s or venue.chance(venue.knobs.failed_read):
            raise ExchangeUnavailable("no answer")
        if venue.banned_until_s > venue.now_s:
            raise RateLimited("banned", retry_after_s=venue.banned_until_s - venue.now_s)
        answer = look()
        await self._travel()
        return answer

    async def _travel(self) -> None:
        venue = self._venue
        slow = venue.chance(venue.knobs.slow)
        await (asyncio.sleep(venue.random.random() * 2) if slow else others_turn(venue.random))

    def _seen(self) -> Iterable[Order]:
        now_s = self._venue.now_s
        for placed in self._venue.placed.values():
            if (order := placed.seen_at(now_s)) is not None:
                yield order

    def _fills(self) -> list[Fill]:
        now_s = self._venue.now_s
        return [fill for visible_s, fill in self._venue.fills if visible_s <= now_s]

    def _listed(self, rows: Iterable[T]) -> tuple[T, ...]:
        if not self._venue.knobs.is_liar:
            return tuple(rows)
        return tuple(row for row in rows if not self._venue.chance(0.2))


def _answer(heard: "asyncio.Future[T]", answer: T | AlphaPulseError) -> None:
    if isinstance(answer, AlphaPulseError):
        heard.set_exception(answer)
        heard.exception()  # a caller that goes away now need not ask for it
    else:
        heard.set_result(answer)
