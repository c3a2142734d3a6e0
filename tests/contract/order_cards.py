"""The numbered cards of the trading half: what every adapter that trades does, over real sockets.

A card is laid on a `Dealer`, in one kind of market; its number is stable.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from alphapulse.domain.identifiers import ClientOrderId, Symbol
from alphapulse.domain.money import round_down
from alphapulse.domain.order import (
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    Trigger,
)
from alphapulse.domain.position import MarginMode
from alphapulse.errors import (
    ExchangeUnavailable,
    InsufficientFunds,
    NotFound,
    OrderNotSent,
    OrderNotSupported,
    OrderOutcomeUnknown,
    OrderRejected,
)
from alphapulse.exchanges.port import Credentials, OrderProfile, PrivateUpdate, TradingExchange
from alphapulse.simulator.faults import requests as faults
from alphapulse.simulator.faults.answers import RepeatedAnswer
from alphapulse.simulator.faults.fault import Match, When
from alphapulse.simulator.faults.script import Fault
from tests.contract.bench import ME, Bench
from tests.eventually import LIMIT_S, eventually

Work = Callable[["Dealer"], Awaitable[None]]


@dataclass(frozen=True)
class Card:
    """``number`` like ``O-07``, what it shows, and the work of showing it."""

    number: str
    claim: str
    work: Work


CARDS: list[Card] = []


def card(number: str, claim: str) -> Callable[[Work], Work]:
    def add(work: Work) -> Work:
        CARDS.append(Card(number, claim, work))
        return work

    return add


class Dealer:
    """Makes orders of the account under test and names them."""

    def __init__(self, bench: Bench, symbol: Symbol) -> None:
        self.bench = bench
        self.symbol = symbol
        self._count = 0

    @property
    def exchange(self) -> TradingExchange:
        return self.bench.exchange

    @property
    def profile(self) -> OrderProfile:
        return self.exchange.order_profile_of(self.symbol)

    @property
    def is_perpetual(self) -> bool:
        return ":" in self.symbol

    @property
    def orders_at_venue(self) -> int:
        """How many the venue took since it opened."""
        return self.bench.simulator.orders_seen

    def needs(self, kind: OrderType) -> None:
        """Skip where the venue has no such order."""
        if kind not in self.profile.types:
            pytest.skip("the venue has no such order")

    def name(self) -> ClientOrderId:
        self._count += 1
        return ClientOrderId(f"ap{self._count:026d}".replace("0", "a").replace("1", "b"))

    @property
    def last(self) -> Decimal:
        price = self.bench.simulator.world.market(self.bench.venue, self.symbol).last_price
        assert price is not None
        return price

    def price(self, times: str) -> Decimal:
        """So many times the market's price, on its grid."""
        tick = self.bench.simulator.world.market(self.bench.venue, self.symbol).instrument.tick_size
        return round_down(self.last * Decimal(times), tick)

    def market(self, side: Side = Side.BUY, quantity: str = "0.002") -> OrderRequest:
        return OrderRequest(
            account_id=ME,
            symbol=self.symbol,
            side=side,
            type=OrderType.MARKET,
            quantity=Decimal(quantity),
        )

    def limit(self, side: Side = Side.BUY, times: str = "0.95") -> OrderRequest:
        return replace(
            self.market(side),
            type=OrderType.LIMIT,
            limit_price=self.price(times),
            time_in_force=TimeInForce.GTC,
        )

    def stop(self, side: Side, times: str, trigger: Trigger) -> OrderRequest:
        return replace(
            self.market(side), type=OrderType.STOP, stop_price=self.price(times), trigger=trigger
        )

    async def place(self, request: OrderRequest) -> tuple[ClientOrderId, Order]:
        name = self.name()
        return name, await self.exchange.create_order(request, name)

    async def found(self, name: ClientOrderId) -> Order:
        return await self.exchange.fetch_order(self.symbol, client_order_id=name)

    async def is_open(self, name: ClientOrderId) -> bool:
        """Whether it is among the open orders."""
        return name in {one.client_order_id for one in await self.exchange.fetch_open_orders()}

    def strike(self, make: Callable[..., Fault], **facts: object) -> None:
        """Put a fault in force for what is posted to this venue."""
        match = Match(venue=self.bench.venue, path="*", method="POST")
        self.bench.simulator.faults.add(make(match=match, **facts))


@card("O-01", "a limit order is acknowledged under our name, found by it, canceled, and then gone")
async def limit_order(dealer: Dealer) -> None:
    request, name = dealer.limit(), dealer.name()

    placed = await dealer.exchange.create_order(request, name)

    assert placed.status is OrderStatus.OPEN
    assert placed.client_order_id == name
    assert (placed.quantity, placed.limit_price) == (request.quantity, request.limit_price)
    found = await dealer.found(name)
    assert found.exchange_order_id == placed.exchange_order_id
    await dealer.exchange.cancel_order(found)
    assert (await dealer.found(name)).status is OrderStatus.CANCELED
    with pytest.raises(NotFound):
        await dealer.exchange.cancel_order(found)


@card("O-02", "a market order is done, and found with what it cost")
async def market_order(dealer: Dealer) -> None:
    name, placed = await dealer.place(dealer.market())

    assert placed.client_order_id == name
    found = await dealer.found(name)
    assert found.status is OrderStatus.FILLED
    assert found.filled_quantity == found.quantity == Decimal("0.002")
    assert found.average_price is not None
    assert found.limit_price is None


@card("O-03", "an order beyond the account's means is refused for that, and is not there")
async def no_funds(dealer: Dealer) -> None:
    request = replace(dealer.limit(), quantity=Decimal(60))
    before = dealer.orders_at_venue

    with pytest.raises(InsufficientFunds) as refused:
        await dealer.place(request)

    assert refused.value.facts["venue_code"]
    assert dealer.orders_at_venue == before


@card("O-04", "a price or quantity off the grid is refused, and is not there")
async def off_the_grid(dealer: Dealer) -> None:
    before = dealer.orders_at_venue
    wrong = [
        replace(dealer.limit(), quantity=Decimal("0.0020000001")),
        replace(dealer.limit(), limit_price=dealer.price("0.95") + Decimal("0.0000001")),
        replace(dealer.limit(), quantity=Decimal("0.00000001")),
    ]
    for request in wrong:
        with pytest.raises(OrderRejected):
            await dealer.place(request)
    assert dealer.orders_at_venue == before


@card("O-05", "a second order of the name of an open one is no refusal: it says look it up")
async def same_name(dealer: Dealer) -> None:
    name, placed = await dealer.place(dealer.limit())

    with pytest.raises(OrderOutcomeUnknown) as refused:
        await dealer.exchange.create_order(dealer.limit(), name)

    assert refused.value.facts["is_duplicate"] is True
    assert (await dealer.found(name)).exchange_order_id == placed.exchange_order_id


STOPS = [
    (Side.BUY, "1.02", Trigger.RISES),
    (Side.SELL, "0.98", Trigger.FALLS),
    (Side.SELL, "1.02", Trigger.RISES),
    (Side.BUY, "0.98", Trigger.FALLS),
]


@card("O-06", "stops wait on the side that is meant, are open meanwhile, and can be canceled")
async def stop_orders(dealer: Dealer) -> None:
    dealer.needs(OrderType.STOP)
    for side, times, trigger in STOPS:
        request = dealer.stop(side, times, trigger)
        name, placed = await dealer.place(request)
        assert placed.status is OrderStatus.OPEN
        found = await dealer.found(name)
        assert (found.status, found.type) == (OrderStatus.OPEN, OrderType.STOP)
        assert found.stop_price == request.stop_price
        assert await dealer.is_open(name)
        await dealer.exchange.cancel_order(found)
        assert (await dealer.found(name)).status is OrderStatus.CANCELED


@card("O-07", "a stop whose price comes is done, under our name, with its fill")
async def triggered(dealer: Dealer) -> None:
    dealer.needs(OrderType.STOP)
    since = datetime.now(UTC) - timedelta(minutes=1)
    name, _ = await dealer.place(dealer.stop(Side.BUY, "1.001", Trigger.RISES))

    dealer.bench.simulator.world.set_price(dealer.bench.venue, dealer.symbol, dealer.price("1.01"))

    async def ended() -> bool:
        return (await dealer.found(name)).status is OrderStatus.FILLED

    await eventually(ended)
    found = await dealer.found(name)
    assert found.client_order_id == name
    fills = await dealer.exchange.fetch_fills_since(dealer.symbol, since)
    mine = [one for one in fills if one.exchange_order_id == found.exchange_order_id]
    assert sum(one.quantity for one in mine) == Decimal("0.002")
    assert not await dealer.is_open(name)
    listed = await dealer.exchange.fetch_orders_since(dealer.symbol, since)
    assert [one.client_order_id for one in listed].count(name) == 1


@card("O-08", "a stop limit order keeps both of its prices")
async def stop_limit(dealer: Dealer) -> None:
    dealer.needs(OrderType.STOP_LIMIT)
    request = replace(
        dealer.stop(Side.BUY, "1.02", Trigger.RISES),
        type=OrderType.STOP_LIMIT,
        limit_price=dealer.price("1.025"),
        time_in_force=TimeInForce.GTC,
    )

    name, _ = await dealer.place(request)

    found = await dealer.found(name)
    assert (found.type, found.status) == (OrderType.STOP_LIMIT, OrderStatus.OPEN)
    assert (found.stop_price, found.limit_price) == (request.stop_price, request.limit_price)
    await dealer.exchange.cancel_order(found)


@card("O-09", "a trailing stop is one, where the venue has it")
async def trailing_stop(dealer: Dealer) -> None:
    dealer.needs(OrderType.TRAILING_STOP)
    request = replace(
        dealer.market(Side.SELL), type=OrderType.TRAILING_STOP, trailing_pct=Decimal("1.5")
    )

    name, _ = await dealer.place(request)

    found = await dealer.found(name)
    assert (found.type, found.status) == (OrderType.TRAILING_STOP, OrderStatus.OPEN)
    assert await dealer.is_open(name)
    await dealer.exchange.cancel_order(found)


@card("O-10", "a post-only order that would take is rejected, at once or soon after")
async def post_only(dealer: Dealer) -> None:
    crossing = replace(dealer.limit(times="1.03"), post_only=True)
    resting = replace(dealer.limit(), post_only=True)
    name, _ = await dealer.place(resting)
    assert (await dealer.found(name)).post_only

    name = dealer.name()
    try:
        await dealer.exchange.create_order(crossing, name)
    except OrderRejected:
        return

    found = await dealer.found(name)
    assert found.status is OrderStatus.REJECTED
    assert found.status_reason


@card("O-11", "what cannot be filled at once ends without a fill when it may not wait")
async def immediate(dealer: Dealer) -> None:
    for time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
        name = dealer.name()
        request = replace(dealer.limit(), time_in_force=time_in_force)
        try:
            await dealer.exchange.create_order(request, name)
        except OrderRejected:
            continue  # the futures refuse a fill-or-kill order that cannot be filled
        found = await dealer.found(name)
        assert found.status in {OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED}
        assert found.filled_quantity == 0


@card("O-12", "an order lives until its time, where the venue has that")
async def good_till_date(dealer: Dealer) -> None:
    until = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    request = replace(dealer.limit(), time_in_force=TimeInForce.GTD, expires_at=until)
    if not dealer.profile.has_gtd:
        with pytest.raises(OrderRejected):
            await dealer.place(request)
        return

    name, _ = await dealer.place(request)

    found = await dealer.found(name)
    assert found.time_in_force is TimeInForce.GTD
    assert found.expires_at == until


@card("O-13", "a market order for an amount of quote currency spends no more, where there is one")
async def quote_quantity(dealer: Dealer) -> None:
    for side in (Side.BUY, Side.SELL):
        request = replace(dealer.market(side), quantity=None, quote_quantity=Decimal(150))
        if not dealer.profile.has_quote_quantity:
            with pytest.raises(OrderRejected):
                await dealer.place(request)
            continue

        name, _ = await dealer.place(request)

        found = await dealer.found(name)
        assert found.status is OrderStatus.FILLED
        assert found.quote_quantity == 150
        assert found.quantity == found.filled_quantity > 0
        assert found.average_price is not None
        assert found.filled_quantity * found.average_price <= Decimal("150.01")


@card("O-14", "an order is changed in place and keeps its name, or it is said that it cannot be")
async def amend(dealer: Dealer) -> None:
    name, placed = await dealer.place(dealer.limit())
    price = dealer.price("0.96")
    if not dealer.profile.amends_in_place:
        with pytest.raises(OrderNotSupported):
            await dealer.exchange.amend_order(placed, quantity=None, limit_price=price)
        assert (await dealer.found(name)).limit_price == placed.limit_price
        return

    await dealer.exchange.amend_order(placed, quantity=Decimal("0.003"), limit_price=price)

    found = await dealer.found(name)
    assert (found.quantity, found.limit_price) == (Decimal("0.003"), price)
    assert found.exchange_order_id == placed.exchange_order_id


@card("O-15", "leverage and margin mode are set, and set again without complaint")
async def leverage(dealer: Dealer) -> None:
    request = replace(dealer.limit(), leverage=Decimal(7), margin_mode=MarginMode.CROSS)
    if not dealer.is_perpetual:
        with pytest.raises(OrderNotSupported):
            await dealer.exchange.prepare_order(request)
        return

    await dealer.exchange.prepare_order(request)
    await dealer.exchange.prepare_order(request)

    venue = dealer.bench.simulator.world.venues[dealer.bench.venue]
    account = venue.accounts[dealer.bench.label]
    assert account.leverage_of("BTCUSDT") == 7


@card("O-16", "an order that may only reduce a position opens none")
async def reduce_only(dealer: Dealer) -> None:
    if not dealer.is_perpetual:
        with pytest.raises(OrderRejected):
            await dealer.place(replace(dealer.market(), reduce_only=True))
        return
    held = {one.symbol: one for one in await dealer.exchange.fetch_positions()}
    side = Side.BUY if dealer.symbol in held else Side.SELL

    with pytest.raises(OrderRejected):
        await dealer.place(replace(dealer.market(side), reduce_only=True))

    after = {one.symbol: one for one in await dealer.exchange.fetch_positions()}
    assert (dealer.symbol in after) is (dealer.symbol in held)


@card("O-17", "every order and fill since a moment is listed, ended ones too, each once")
async def since(dealer: Dealer) -> None:
    start = datetime.now(UTC) - timedelta(seconds=2)
    waiting, _ = await dealer.place(dealer.limit())
    done, _ = await dealer.place(dealer.market())
    gone, canceled = await dealer.place(dealer.limit())
    await dealer.exchange.cancel_order(canceled)

    orders = await dealer.exchange.fetch_orders_since(dealer.symbol, start)
    fills = await dealer.exchange.fetch_fills_since(dealer.symbol, start)

    by_name = {one.client_order_id: one for one in orders}
    assert len(by_name) == len(orders)
    assert by_name[waiting].status is OrderStatus.OPEN
    assert by_name[done].status is OrderStatus.FILLED
    assert by_name[gone].status is OrderStatus.CANCELED
    mine = [f for f in fills if f.exchange_order_id == by_name[done].exchange_order_id]
    assert sum(one.quantity for one in mine) == Decimal("0.002")


@card("O-18", "a listing of thousands of milliseconds ago is empty, not an error")
async def since_now(dealer: Dealer) -> None:
    later = datetime.now(UTC) + timedelta(milliseconds=1)
    assert await dealer.exchange.fetch_orders_since(dealer.symbol, later) == ()


@card("O-19", "the book is in order, and the fee rates are the account's")
async def book_and_fees(dealer: Dealer) -> None:
    book = await dealer.exchange.fetch_order_book(dealer.symbol, 5)
    rates = await dealer.exchange.fetch_fee_rates(dealer.symbol)

    bids, asks = book.bids.levels, book.asks.levels
    assert 0 < len(bids) <= 5
    assert [price for price, _ in bids] == sorted((p for p, _ in bids), reverse=True)
    assert [price for price, _ in asks] == sorted(p for p, _ in asks)
    assert bids[0][0] < asks[0][0]
    assert all(quantity > 0 for _, quantity in (*bids, *asks))
    assert Decimal("0.00001") < rates.maker <= rates.taker < Decimal("0.01")


AFTER_EXECUTION: list[tuple[Callable[..., Fault], Mapping[str, object]]] = [
    (faults.Timeout, {"hold_s": 600}),
    (faults.Reset, {}),
    (faults.Garbled, {"body": "html"}),
    (faults.Garbled, {"body": "empty"}),
    (faults.Garbled, {"body": "object"}),
    (faults.Garbled, {"body": "html", "status": 503}),
    (faults.Status, {"status": 504}),
]


@card("O-20", "an order whose answer is lost is unknown, is there once, and is found by its name")
async def answer_lost(dealer: Dealer) -> None:
    impatient = dealer.bench.open(dealer.bench.credentials, request_timeout_s=1)
    await impatient.load_instruments()
    await impatient.fetch_balances()
    for make, facts in AFTER_EXECUTION:
        name, before = dealer.name(), dealer.orders_at_venue
        dealer.strike(make, when=When.AFTER, **facts)

        with pytest.raises(OrderOutcomeUnknown):
            await impatient.create_order(dealer.limit(), name)

        assert dealer.orders_at_venue == before + 1
        assert (await dealer.found(name)).status is OrderStatus.OPEN


@card("O-21", "an order whose answer is cut off is unknown, and is there once")
async def answer_cut(dealer: Dealer) -> None:
    name, before = dealer.name(), dealer.orders_at_venue
    dealer.strike(faults.Truncated)

    with pytest.raises(OrderOutcomeUnknown):
        await dealer.exchange.create_order(dealer.limit(), name)

    assert dealer.orders_at_venue == before + 1


@card("O-22", "an order that never arrived is unknown all the same, and is sent once")
async def request_lost(dealer: Dealer) -> None:
    await dealer.place(dealer.limit())
    before = dealer.orders_at_venue
    # Twice, so that a repeat would be seen to be made.
    dealer.strike(faults.Reset, when=When.BEFORE, count=2)
    reached = dealer.bench.simulator.faults.entries[-1]

    name = dealer.name()
    with pytest.raises(OrderOutcomeUnknown):
        await dealer.exchange.create_order(dealer.limit(), name)

    assert reached.seen == 1
    assert dealer.orders_at_venue == before
    with pytest.raises(NotFound):
        await dealer.found(name)


@card("O-23", "an order that could not leave was not sent, and that is proved")
async def not_sent(dealer: Dealer) -> None:
    await dealer.exchange.load_instruments()
    await dealer.exchange.fetch_balances()
    fresh = dealer.bench.open(dealer.bench.credentials)
    await fresh.load_instruments()
    await fresh.close()
    before = dealer.orders_at_venue
    dealer.bench.simulator.close_port()

    with pytest.raises(OrderNotSent):
        await fresh.create_order(dealer.limit(), dealer.name())

    assert dealer.orders_at_venue == before


@card("O-24", "a refused clock is a refusal, and the order is not repeated")
async def clock_off(dealer: Dealer) -> None:
    await dealer.place(dealer.limit())
    dealer.bench.simulator.world.skew_clock(dealer.bench.venue, -30_000)
    before = dealer.orders_at_venue

    with pytest.raises(OrderRejected) as refused:
        await dealer.place(dealer.limit())

    assert refused.value.facts["reaction"] == "clock"
    assert dealer.orders_at_venue == before


@card("O-25", "a key that may not trade is refused, and so is one that is wrong")
async def no_permission(dealer: Dealer) -> None:
    await dealer.exchange.load_instruments()
    good = dealer.bench.credentials
    wrong = dealer.bench.open(Credentials(good.api_key, "this is not its secret"))
    before = dealer.orders_at_venue
    with pytest.raises(OrderRejected):
        await wrong.create_order(dealer.limit(), dealer.name())
    dealer.bench.simulator.world.permit(dealer.bench.label, trade=False)

    with pytest.raises(OrderRejected) as refused:
        await dealer.place(dealer.limit())

    assert refused.value.facts["reaction"] == "permission"
    assert dealer.orders_at_venue == before


@card("O-26", "too many requests is a refusal where the venue says so itself")
async def too_many(dealer: Dealer) -> None:
    await dealer.place(dealer.limit())
    dealer.strike(faults.Status, status=429, retry_after_s=60)

    with pytest.raises(OrderOutcomeUnknown):
        await dealer.place(dealer.limit())
    # From now on nothing goes out, so that is proved.
    with pytest.raises(OrderNotSent):
        await dealer.place(dealer.limit())


@card("O-27", "the stream tells of our order and its fills under our name, and of its end")
async def told_by_stream(dealer: Dealer) -> None:
    if not dealer.exchange.capabilities.private_stream:
        pytest.skip("this adapter polls")
    await dealer.exchange.load_instruments()
    updates: list[PrivateUpdate] = []
    connected = asyncio.Event()

    async def keep(update: PrivateUpdate) -> None:
        updates.append(update)

    async def note() -> None:
        connected.set()

    watching = asyncio.create_task(dealer.exchange.watch_private(keep, on_connected=note))
    try:
        await asyncio.wait_for(connected.wait(), LIMIT_S)
        done, _ = await dealer.place(dealer.market())
        gone, canceled = await dealer.place(dealer.limit())
        await dealer.exchange.cancel_order(canceled)
        await eventually(lambda: _statuses(updates, done) >= {OrderStatus.FILLED})
        await eventually(
            lambda: _statuses(updates, gone) >= {OrderStatus.OPEN, OrderStatus.CANCELED}
        )
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    fills = [one for update in updates for one in update.fills if one.client_order_id == done]
    assert sum(one.quantity for one in fills) == Decimal("0.002")


def _statuses(updates: list[PrivateUpdate], name: ClientOrderId) -> set[OrderStatus]:
    orders = (one for update in updates for one in update.orders)
    return {one.status for one in orders if one.client_order_id == name}


@card("O-28", "an answer about another order is no answer")
async def another_order(dealer: Dealer) -> None:
    first, _ = await dealer.place(dealer.limit())
    second, _ = await dealer.place(dealer.limit(times="0.94"))
    match = Match(venue=dealer.bench.venue, path="*/order*", method="GET")
    dealer.bench.simulator.faults.add(RepeatedAnswer(match=match, count=None))
    assert (await dealer.found(first)).client_order_id == first

    with pytest.raises(ExchangeUnavailable):
        await dealer.found(second)
