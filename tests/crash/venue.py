"""The venue: its memory is the truth. It answers on real sockets, as badly as it is told to."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.balance import Balance, Wallet
from alphapulse.domain.identifiers import Asset, ClientOrderId, ExchangeId
from alphapulse.domain.money import ZERO
from alphapulse.domain.order import Order, OrderStatus
from alphapulse.errors import AlphaPulseError
from tests.builders import ACCOUNT, BTC, make_fill, make_instrument, make_ticker
from tests.crash.wire import PROFILE, Reply, Request, frame, read_frame
from tests.effects import effects_of
from tests.fixtures.scripted_exchange import ScriptedExchange, Venue

assert PROFILE.receive_window_s is not None
WINDOW_S = PROFILE.receive_window_s
OPENING = {Asset("USDT"): Decimal(10_000_000), Asset("BTC"): Decimal(100)}


class Fault(StrEnum):
    """How one request goes wrong."""

    LOST = "done, and the answer never comes"
    CUT = "done, and the connection breaks"
    FAILED = "done, and an error is answered"
    LATE = "done later, and the answer never comes"
    SWALLOWED = "not done, and the answer never comes"
    CUT_BEFORE = "not done, and the connection breaks"
    FAILED_BEFORE = "not done, and an error is answered"
    REFUSED = "not done, and refused for good"
    NOT_SENT = "not done: it is proved that it never left"


IS_DONE = {Fault.LOST, Fault.CUT, Fault.FAILED}
IS_SILENT = {Fault.LOST, Fault.LATE, Fault.SWALLOWED}
IS_CUT = {Fault.CUT, Fault.CUT_BEFORE}

_FOR_ORDERS = tuple(Fault)
_FOR_CHANGES = tuple(set(Fault) - {Fault.LATE, Fault.NOT_SENT})
MENU: dict[str, tuple[Fault, ...]] = {
    "create_order": _FOR_ORDERS,
    "cancel_order": _FOR_CHANGES,
    "amend_order": _FOR_CHANGES,
}
FOR_READS = (Fault.FAILED_BEFORE, Fault.CUT_BEFORE)

ERRORS = {
    Fault.REFUSED: "OrderRejected",
    Fault.NOT_SENT: "OrderNotSent",
}


@dataclass
class Weather:
    """Which requests go wrong. ``next`` decides the next one of a method; then chance does."""

    chance: random.Random
    share: float = 0.0
    share_of_reads: float = 0.0
    next: dict[str, Fault] = field(default_factory=dict)

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self.share = self.share_of_reads = 0.0
        self.next.clear()

    def fault(self, method: str) -> Fault | None:
        if method in self.next:
            return self.next.pop(method)
        share = self.share if method in MENU else self.share_of_reads
        if self.chance.random() >= share:
            return None
        return self.chance.choice(sorted(MENU.get(method, FOR_READS)))


class VenueServer:
    """One venue on the loopback, with a log of every order that arrived.

    Args:
        is_durable: whether the intent of that name is committed, and claimed.
    """

    def __init__(
        self,
        exchange: ExchangeId,
        weather: Weather,
        is_durable: Callable[[ClientOrderId], Awaitable[bool]],
    ) -> None:
        self.venue = Venue(exchange)
        self.venue.instruments = (make_instrument(exchange=exchange),)
        self.venue.tickers = {BTC: make_ticker(exchange=exchange)}
        self.venue.fills_per_page = 100
        self.weather = weather
        self.arrived: Counter[ClientOrderId] = Counter()
        """Every request to place an order, whatever came of it."""
        self.premature: list[ClientOrderId] = []
        """Those that arrived before their intent was durable."""
        self.refused: set[ClientOrderId] = set()
        self.port = 0
        self._is_durable = is_durable
        self._exchange = ScriptedExchange(self.venue, ACCOUNT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._settle()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="venue")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request: Request = await read_frame(reader)
            fault = self.weather.fault(request.method)
            reply = await self._handle(request, fault)
            if fault in IS_SILENT:
                await reader.read()  # until whoever asked has gone
            elif fault not in IS_CUT:
                writer.write(frame(reply))
                await writer.drain()
        except (EOFError, OSError):
            pass  # whoever asked has been killed
        finally:
            writer.close()

    async def _handle(self, request: Request, fault: Fault | None) -> Reply:
        if request.method == "create_order":
            await self._log(request.arguments[1])
        if fault is Fault.LATE:
            await asyncio.sleep(self.weather.chance.uniform(0, 1.2 * WINDOW_S))
        if fault is None or fault in IS_DONE or fault is Fault.LATE:
            reply = await self._done(request)
        else:
            reply = Reply()
        if fault is Fault.REFUSED and request.method == "create_order":
            self.refused.add(request.arguments[1])
        if fault in {Fault.FAILED, Fault.FAILED_BEFORE}:
            is_order = request.method == "create_order"
            name = "OrderOutcomeUnknown" if is_order else "ExchangeUnavailable"
            return Reply(error=(name, fault))
        return Reply(error=(ERRORS[fault], fault)) if fault in ERRORS else reply

    async def _done(self, request: Request) -> Reply:
        age_s = time.time() - request.sent_at_s
        if request.method in MENU and age_s > WINDOW_S:
            return Reply(error=("OrderOutcomeUnknown", "it came too late and was not looked at"))
        try:
            method = getattr(self._exchange, request.method)
            result = await method(*request.arguments, **request.named)
        except AlphaPulseError as error:
            return Reply(error=(type(error).__name__, error.message))
        if request.method == "create_order":
            result = self._trade(result)
        return Reply(result)

    async def _log(self, name: ClientOrderId) -> None:
        self.arrived[name] += 1
        if not await self._is_durable(name):
            self.premature.append(name)

    def _trade(self, order: Order) -> Order:
        """Some orders meet the market, wholly or in part."""
        share = self.weather.chance.choice([ZERO, ZERO, Decimal("0.25"), Decimal(1)])
        return self.fill(order, share * (order.quantity or ZERO)) if share else order

    def fill(self, order: Order, quantity: Decimal) -> Order:
        """Execute so much of an order."""
        filled = order.filled_quantity + quantity
        is_whole = filled == order.quantity
        after = replace(
            order,
            filled_quantity=filled,
            average_price=order.limit_price,
            status=OrderStatus.FILLED if is_whole else OrderStatus.PARTIALLY_FILLED,
            updated_at=datetime.now(UTC),
        )
        self.venue.put(after)
        self.venue.fills.append(
            make_fill(
                len(self.venue.fills) + 1,
                exchange=self.venue.exchange,
                exchange_order_id=order.exchange_order_id,
                client_order_id=order.client_order_id,
                side=order.side,
                price=order.limit_price,
                quantity=quantity,
                fee=Decimal("0.01"),
                fee_asset=Asset("USDT"),
                occurred_at=datetime.now(UTC),
            )
        )
        self._settle()
        return after

    def _settle(self) -> None:
        moved = effects_of(self.venue.fills)
        self.venue.balances = tuple(
            Balance(Wallet.SPOT, asset, total + moved.get(asset, ZERO), ZERO, ZERO)
            for asset, total in OPENING.items()
        )
