"""One venue's world: orders, money, positions, funding and time."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.candles import HOUR_MS, MINUTE_MS
from alphapulse.simulator.core.clock import VirtualMarketClock
from alphapulse.simulator.core.events import (
    BalancesChanged,
    BestChanged,
    CandleClosed,
    CoreEvent,
    DepthChanged,
    FundingCharged,
    OrderChanged,
    PositionChanged,
    TradePrinted,
)
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category, MarketStatus
from alphapulse.simulator.core.listing import linear_instruments, spot_instruments
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import OrderKind, OrderRequest, OrderState, TimeInForce
from alphapulse.simulator.core.refusal import RefusalReason, Refused

START_MS = 1_700_000_000_000 // (8 * HOUR_MS) * 8 * HOUR_MS


class World:
    """A venue with two spot markets and a perpetual, one customer, and what was told."""

    def __init__(self) -> None:
        self.clock = VirtualMarketClock(START_MS)
        spot = [i for i in spot_instruments() if i.name in {"BTCUSDT", "BNBUSDT", "ETHBTC"}]
        self.venue = Venue("test", [*spot, linear_instruments()[0]], self.clock)
        self.btc = self.venue.market(Category.SPOT, "BTCUSDT")
        self.bnb = self.venue.market(Category.SPOT, "BNBUSDT")
        self.perpetual = self.venue.market(Category.LINEAR, "BTCUSDT")
        self.ann = self.account("ann")
        self.events: list[CoreEvent] = []
        self.move(30_000)
        self.venue.set_price(self.bnb, Decimal(300))
        self.venue.subscribe(self.events.append)

    def account(self, name: str) -> Account:
        return self.venue.open_account(name, {"USDT": Decimal(10_000), "BTC": Decimal(1)})

    def move(self, price: int) -> None:
        self.venue.set_price(self.btc, Decimal(price))
        self.venue.set_price(self.perpetual, Decimal(price))

    def wait(self, minutes: int) -> None:
        for _ in range(minutes):
            self.clock.move_to(self.clock.now_ms() + MINUTE_MS)
            self.venue.advance()

    def told(self, kind: type[CoreEvent]) -> list[CoreEvent]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def world() -> World:
    return World()


def limit(side: Side, quantity: str, price: str, **more: Any) -> OrderRequest:
    return OrderRequest(
        side, OrderKind.LIMIT, Decimal(quantity), limit_price=Decimal(price), **more
    )


def market(side: Side, quantity: str) -> OrderRequest:
    return OrderRequest(side, OrderKind.MARKET, Decimal(quantity))


def refusal(act: Callable[[], object]) -> RefusalReason:
    with pytest.raises(Refused) as refused:
        act()
    return refused.value.reason


def test_resting_buy_locks_its_cost_and_cancel_gives_it_back(world: World) -> None:
    wallet = world.ann.wallet
    order = world.venue.place(world.ann, world.btc, limit(Side.BUY, "0.1", "29000"))
    locked = wallet.free("USDT"), wallet.locked("USDT")
    canceled = world.venue.cancel(world.ann, order)

    assert locked == (Decimal(7_100), Decimal(2_900))
    assert (wallet.free("USDT"), wallet.locked("USDT")) == (Decimal(10_000), Decimal(0))
    assert (order.state, canceled.state) == (OrderState.NEW, OrderState.CANCELED)
    assert refusal(lambda: world.venue.cancel(world.ann, order)) is RefusalReason.ORDER_FINAL


def test_market_buy_pays_the_asks_and_a_fee_in_what_it_received(world: World) -> None:
    order = world.venue.place(world.ann, world.btc, market(Side.BUY, "0.1"))
    wallet = world.ann.wallet

    assert order.state is OrderState.FILLED
    assert wallet.total("USDT") == 10_000 - order.filled_notional
    assert wallet.total("BTC") == Decimal("1.1") - Decimal("0.0001")
    assert world.venue.fees.total("BTC") == Decimal("0.0001")


def test_fee_in_bnb_is_a_quarter_cheaper_while_there_is_some(world: World) -> None:
    rich = world.venue.open_account(
        "rich", {"USDT": Decimal(10_000), "BNB": Decimal(1)}, fee_asset="BNB"
    )
    order = world.venue.place(rich, world.btc, market(Side.BUY, "0.1"))
    poor = world.venue.open_account("poor", {"USDT": Decimal(10_000)}, fee_asset="BNB")
    other = world.venue.place(poor, world.btc, market(Side.BUY, "0.01"))

    paid = sum(fill.fee for fill in order.fills)
    worth = paid * world.bnb.last_price if world.bnb.last_price else Decimal(0)
    assert {fill.fee_asset for fill in order.fills} == {"BNB"}
    assert worth == pytest.approx(order.filled_notional * Decimal("0.00075"), rel=Decimal("0.001"))
    assert {fill.fee_asset for fill in other.fills} == {"BTC"}


def test_maker_trades_at_his_price_when_the_market_comes_to_him(world: World) -> None:
    order = world.venue.place(world.ann, world.btc, limit(Side.SELL, "0.2", "30500"))
    world.move(30_600)
    filled = world.venue.order(world.ann, world.btc, order_id=order.id)

    assert filled.state is OrderState.FILLED
    assert [(fill.price, fill.is_maker) for fill in filled.fills] == [(Decimal(30_500), True)]
    assert world.ann.wallet.locked("BTC") == 0


def test_quote_quantity_is_spent_to_the_last_lot(world: World) -> None:
    request = OrderRequest(Side.BUY, OrderKind.MARKET, quote_quantity=Decimal(1_000))
    order = world.venue.place(world.ann, world.btc, request)

    assert 0 <= 1_000 - order.filled_notional < Decimal("0.4")
    assert order.quote_quantity == 1_000


def test_ioc_keeps_what_it_got_and_fok_gets_all_or_nothing(world: World) -> None:
    ask = world.btc.book.best(Side.SELL)
    price = str(world.btc.instrument.price(ask[0]))
    more = str(world.btc.instrument.quantity(ask[1] + 1))
    rich = world.venue.open_account("rich", {"USDT": Decimal(10_000_000)})
    fok = world.venue.place(
        rich, world.btc, limit(Side.BUY, more, price, time_in_force=TimeInForce.FOK)
    )
    ioc = world.venue.place(
        rich, world.btc, limit(Side.BUY, more, price, time_in_force=TimeInForce.IOC)
    )

    assert (fok.state, fok.filled_lots) == (OrderState.EXPIRED, 0)
    assert (ioc.state, ioc.filled_lots) == (OrderState.EXPIRED, ask[1])
    assert rich.wallet.locked("USDT") == 0


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (limit(Side.BUY, "0.1", "29000.001"), RefusalReason.PRICE_FILTER),
        (limit(Side.BUY, "0.1", "200000"), RefusalReason.PERCENT_PRICE),
        (limit(Side.BUY, "0.1000001", "29000"), RefusalReason.LOT_SIZE),
        (limit(Side.BUY, "0.0001", "29000"), RefusalReason.NOTIONAL),
        (limit(Side.BUY, "1", "29000"), RefusalReason.INSUFFICIENT_BALANCE),
        (market(Side.SELL, "2"), RefusalReason.INSUFFICIENT_BALANCE),
        (market(Side.SELL, "121"), RefusalReason.MARKET_LOT_SIZE),
        (
            limit(Side.BUY, "0.1", "31000", time_in_force=TimeInForce.POST_ONLY),
            RefusalReason.WOULD_MATCH,
        ),
    ],
)
def test_what_breaks_a_rule_is_refused_and_changes_nothing(
    request_: OrderRequest, reason: RefusalReason, world: World
) -> None:
    assert refusal(lambda: world.venue.place(world.ann, world.btc, request_)) is reason
    assert world.ann.wallet.total("USDT") == world.ann.wallet.free("USDT") == 10_000
    assert not world.ann.orders
    assert not world.events


def test_client_id_may_be_used_again_once_the_order_is_over(world: World) -> None:
    request = limit(Side.BUY, "0.1", "29000", client_order_id="mine")
    first = world.venue.place(world.ann, world.btc, request)
    again = refusal(lambda: world.venue.place(world.ann, world.btc, request))
    world.venue.cancel(world.ann, first)
    second = world.venue.place(world.ann, world.btc, request)

    assert again is RefusalReason.DUPLICATE_CLIENT_ID
    assert world.venue.order(world.ann, world.btc, client_order_id="mine").id == second.id


def test_amended_order_locks_what_it_needs_now(world: World) -> None:
    order = world.venue.place(world.ann, world.btc, limit(Side.BUY, "0.1", "29000"))
    amended = world.venue.amend(
        world.ann, order, quantity=Decimal("0.2"), limit_price=Decimal(28_000)
    )
    unchanged = refusal(lambda: world.venue.amend(world.ann, order, quantity=Decimal("0.2")))
    too_much = refusal(lambda: world.venue.amend(world.ann, order, quantity=Decimal(1)))

    assert amended.id == order.id
    assert world.ann.wallet.locked("USDT") == 5_600
    assert (unchanged, too_much) == (
        RefusalReason.ORDER_UNCHANGED,
        RefusalReason.INSUFFICIENT_BALANCE,
    )


def test_halted_market_takes_no_orders_and_shows_no_quotes(world: World) -> None:
    world.venue.set_status(world.btc, MarketStatus.HALT)
    halted = refusal(lambda: world.venue.place(world.ann, world.btc, market(Side.BUY, "0.1")))
    quotes = world.btc.book.levels(Side.BUY, 5)
    world.venue.set_status(world.btc, MarketStatus.TRADING)
    world.move(30_000)

    assert (halted, quotes) == (RefusalReason.MARKET_CLOSED, [])
    assert world.btc.book.levels(Side.BUY, 5)


def test_position_profit_is_booked_when_it_is_closed(world: World) -> None:
    opened = world.venue.place(world.ann, world.perpetual, market(Side.BUY, "0.1"))
    position = world.ann.positions["BTCUSDT"]
    world.move(31_000)
    closed = world.venue.place(world.ann, world.perpetual, market(Side.SELL, "0.1"))

    profit = closed.filled_notional - opened.filled_notional
    fees = sum(fill.fee for fill in (*opened.fills, *closed.fills))
    assert position.entry_price == opened.average_price
    assert position.unrealized_pnl(Decimal(31_000)) == Decimal(3_100) - opened.filled_notional
    assert world.ann.positions == {}
    assert world.ann.wallet.total("USDT") == 10_000 + profit - fees


def test_margin_bounds_what_can_be_opened(world: World) -> None:
    refused = refusal(lambda: world.venue.place(world.ann, world.perpetual, market(Side.BUY, "5")))
    world.venue.terms.set_leverage(world.ann, world.perpetual.instrument, Decimal(50))
    order = world.venue.place(world.ann, world.perpetual, market(Side.BUY, "5"))
    report = world.venue.margin(world.ann, "USDT")

    assert refused is RefusalReason.INSUFFICIENT_MARGIN
    assert order.state is OrderState.FILLED
    assert report.position_initial == order.filled_notional / 50
    liquidation = world.ann.positions["BTCUSDT"].liquidation_price(report.wallet)
    assert liquidation is not None
    assert 27_000 < liquidation < 30_000


def test_reduce_only_never_opens(world: World) -> None:
    def reduce(quantity: str) -> OrderRequest:
        return OrderRequest(Side.SELL, OrderKind.MARKET, Decimal(quantity), reduce_only=True)

    nothing = refusal(lambda: world.venue.place(world.ann, world.perpetual, reduce("0.1")))
    world.venue.place(world.ann, world.perpetual, market(Side.BUY, "0.1"))
    order = world.venue.place(world.ann, world.perpetual, reduce("0.5"))

    assert nothing is RefusalReason.REDUCE_ONLY
    assert order.filled_quantity == Decimal("0.1")
    assert world.ann.positions == {}


def test_funding_is_paid_by_longs_at_the_hour_and_reaches_the_shorts(world: World) -> None:
    bob = world.account("bob")
    world.venue.place(world.ann, world.perpetual, market(Side.BUY, "0.1"))
    world.venue.place(bob, world.perpetual, market(Side.SELL, "0.1"))
    before = world.ann.wallet.total("USDT"), bob.wallet.total("USDT")
    world.perpetual.funding_rate = Decimal("0.0005")
    world.wait(8 * 60)

    charged = {e.account_id: e for e in world.told(FundingCharged)}  # type: ignore[attr-defined]
    assert world.ann.wallet.total("USDT") - before[0] == -Decimal("1.5")
    assert bob.wallet.total("USDT") - before[1] == Decimal("1.5")
    assert set(charged) == {"ann", "bob"}
    assert charged["ann"].at_ms == START_MS + 8 * HOUR_MS


def test_minutes_close_on_the_minute_even_when_nothing_was_traded(world: World) -> None:
    world.wait(3)
    closed = [
        event
        for event in world.told(CandleClosed)
        if isinstance(event, CandleClosed)
        and event.instrument is world.btc.instrument
        and event.interval == "1m"
    ]

    assert [event.at_ms for event in closed] == [START_MS + i * MINUTE_MS for i in (1, 2, 3)]
    assert [event.candle.volume for event in closed] == [0, 0, 0]
    assert all(event.candle.close_ms == event.at_ms - 1 for event in closed)


def test_day_statistics_follow_the_trades(world: World) -> None:
    world.venue.place(world.ann, world.btc, market(Side.BUY, "0.1"))
    world.move(33_000)
    world.venue.place(world.ann, world.btc, market(Side.SELL, "0.2"))
    day = world.btc.day(world.clock.now_ms())

    assert day is not None
    assert day.volume == Decimal("0.3")
    assert (day.open, day.high, day.last) == (day.low, day.last, world.btc.last_price)
    assert Decimal("0.09") < day.change_share < Decimal("0.1")


def test_events_of_one_order_come_in_order(world: World) -> None:
    world.venue.place(world.ann, world.btc, market(Side.BUY, "0.01"))

    kinds = [type(event) for event in world.events]
    assert [kind for kind in kinds if kind in {OrderChanged, BalancesChanged, TradePrinted}] == [
        OrderChanged,
        BalancesChanged,
        TradePrinted,
        OrderChanged,
        BalancesChanged,
    ]
    assert kinds.index(DepthChanged) < kinds.index(BestChanged)
    assert PositionChanged not in kinds


def test_unsubscribed_listener_hears_no_more(world: World) -> None:
    heard: list[CoreEvent] = []
    stop = world.venue.subscribe(heard.append)
    world.move(30_100)
    count = len(heard)
    stop()
    world.move(30_200)

    assert len(heard) == count > 0


def test_usd_prices_follow_the_hidden_reference(world: World) -> None:
    world.venue.usd_per_usdt = Decimal("0.999")
    last: Market = world.btc

    assert last.last_price is not None
    assert world.venue.usd_price("BTC") == last.last_price * Decimal("0.999")
    assert world.venue.usd_price("NOPE") is None
