"""Whatever customers do, no asset is made or lost, and the book is never crossed."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.candles import HOUR_MS
from alphapulse.simulator.core.clock import VirtualMarketClock
from alphapulse.simulator.core.events import CoreEvent, DepthChanged
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category, atoms_of
from alphapulse.simulator.core.listing import linear_instruments, spot_instruments
from alphapulse.simulator.core.order import OrderKind, OrderRequest, TimeInForce
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.core.treasury import CrossingState, Route
from alphapulse.simulator.core.trigger import PriceKind, Trail, TriggerRequest

DEPOSITS = {"USDT": Decimal(50_000), "BTC": Decimal(2), "BNB": Decimal("0.5")}
START_MS = 1_700_000_000_000
PRICES = st.integers(29_000, 31_000)
LOTS = st.integers(1, 40_000)

orders = st.tuples(
    st.just("place"),
    st.integers(0, 1),
    st.sampled_from([Category.SPOT, Category.LINEAR]),
    st.sampled_from(Side),
    st.sampled_from([*TimeInForce, "market", "quote"]),
    LOTS,
    PRICES,
)
cancels = st.tuples(st.just("cancel"), st.integers(0, 1), st.integers(0, 5))
amends = st.tuples(st.just("amend"), st.integers(0, 1), st.integers(0, 5), LOTS, PRICES)
waits = st.tuples(
    st.just("await"),
    st.integers(0, 1),
    st.sampled_from([Category.SPOT, Category.LINEAR]),
    st.sampled_from(Side),
    st.sampled_from(["stop", "stop limit", "trail", "close", "reduce"]),
    LOTS,
    PRICES,
    st.booleans(),
)
moves = st.tuples(st.just("move"), PRICES)
crashes = st.tuples(st.just("move"), st.integers(20_000, 45_000))
flows = st.tuples(st.just("flow"), st.sampled_from(Side), st.integers(1, 200))
hours = st.tuples(st.just("wait"), st.integers(1, 9))
amounts = st.decimals("0.00000001", "3", places=12)
assets = st.sampled_from(["USDT", "BTC", "BNB"])
routes = st.sampled_from([Route(), Route(after_ms=HOUR_MS)])
whos = st.integers(0, 1)
treasury = st.one_of(
    st.tuples(st.just("deposit"), whos, assets, amounts, routes),
    st.tuples(st.just("withdraw"), whos, assets, amounts, amounts, routes),
    st.tuples(st.just("fail"), whos, st.integers(0, 5)),
    st.tuples(st.just("reward"), whos, assets, st.decimals("-1", "1", places=12)),
    st.tuples(st.just("convert"), whos, assets, assets, amounts),
)


class Scene:
    """Two customers on one venue with a spot market and a perpetual."""

    def __init__(self) -> None:
        self.clock = VirtualMarketClock(START_MS)
        wanted = [i for i in spot_instruments() if i.name in {"BTCUSDT", "BNBUSDT"}]
        self.venue = Venue("test", [*wanted, linear_instruments()[0]], self.clock)
        self.spot = self.venue.market(Category.SPOT, "BTCUSDT")
        self.linear = self.venue.market(Category.LINEAR, "BTCUSDT")
        self.accounts = [
            self.venue.open_account("ann", DEPOSITS, fee_asset="BNB"),
            self.venue.open_account("bob", DEPOSITS),
        ]
        self.venue.set_price(self.venue.market(Category.SPOT, "BNBUSDT"), Decimal(300))
        self.move(30_000)

    def move(self, price: int) -> None:
        self.venue.set_price(self.spot, Decimal(price))
        self.venue.set_price(self.linear, Decimal(price))

    def do(self, step: tuple) -> None:  # type: ignore[type-arg]
        try:
            getattr(self, f"_{step[0]}")(*step[1:])
        except Refused:
            return

    def _place(self, who, category, side, how, lots, price) -> None:  # type: ignore[no-untyped-def]
        market = self.spot if category is Category.SPOT else self.linear
        quantity = market.instrument.quantity(lots)
        if how == "quote":
            request = OrderRequest(side, OrderKind.MARKET, quote_quantity=quantity * 10_000)
        elif how == "market":
            request = OrderRequest(side, OrderKind.MARKET, quantity)
        else:
            request = OrderRequest(
                side, OrderKind.LIMIT, quantity, None, Decimal(price), time_in_force=how
            )
        if how == "quote" and category is Category.LINEAR:
            return
        self.venue.place(self.accounts[who], market, request)

    def _await(self, who, category, side, how, lots, price, flag) -> None:  # type: ignore[no-untyped-def]
        market = self.spot if category is Category.SPOT else self.linear
        quantity = market.instrument.quantity(lots)
        trigger = TriggerRequest(
            None if how == "trail" else Decimal(price),
            by=PriceKind.MARK if flag else PriceKind.LAST,
            trail=Trail(bips=100) if how == "trail" else None,
            locks_funds=flag,
            ends_with_position=flag and how == "close",
        )
        is_linear = category is Category.LINEAR
        self.venue.place(
            self.accounts[who],
            market,
            OrderRequest(
                side,
                OrderKind.LIMIT if how == "stop limit" else OrderKind.MARKET,
                None if how == "close" and is_linear else quantity,
                limit_price=Decimal(price) if how == "stop limit" else None,
                trigger=trigger,
                close_position=how == "close" and is_linear,
                reduce_only=how == "reduce" and is_linear,
            ),
        )

    def _cancel(self, who: int, which: int) -> None:
        order = self._nth(self.accounts[who], which)
        if order is not None:
            self.venue.cancel(self.accounts[who], order)

    def _amend(self, who: int, which: int, lots: int, price: int) -> None:
        order = self._nth(self.accounts[who], which)
        if order is not None:
            self.venue.amend(
                self.accounts[who],
                order,
                quantity=order.instrument.quantity(lots),
                limit_price=Decimal(price),
            )

    def _deposit(self, who: int, asset: str, amount: Decimal, route: Route) -> None:
        self.venue.treasury.deposit(self.accounts[who], asset, amount, route=route)

    def _withdraw(self, who: int, asset: str, amount: Decimal, fee: Decimal, route: Route) -> None:
        self.venue.treasury.withdraw(self.accounts[who], asset, amount, route=route, fee=fee)

    def _fail(self, who: int, which: int) -> None:
        known = self.venue.treasury.crossings(self.accounts[who].id)
        self.venue.treasury.fail(known[which % len(known)])

    def _reward(self, who: int, asset: str, amount: Decimal) -> None:
        self.venue.treasury.reward(self.accounts[who], asset, amount)

    def _convert(self, who: int, asset: str, into: str, amount: Decimal) -> None:
        self.venue.treasury.convert(self.accounts[who], {asset: amount}, into)

    def _move(self, price: int) -> None:
        self.move(price)

    def _flow(self, side: Side, lots: int) -> None:
        self.venue.trade_flow(self.spot, side, self.spot.instrument.quantity(lots))

    def _wait(self, hours: int) -> None:
        for _ in range(hours * 60):
            self.clock.move_to(self.clock.now_ms() + 60_000)
            self.venue.advance()

    def _nth(self, account: Account, which: int):  # type: ignore[no-untyped-def]
        opened = list(account.open_orders.values())
        return opened[which % len(opened)] if opened else None


def crossed(venue: Venue, asset: str) -> int:
    """What came over the border and did not leave; the fee of a withdrawal stays."""
    total = 0
    for account in venue.accounts.values():
        for one in venue.treasury.crossings(account.id):
            if one.asset == asset and one.is_deposit and one.state is CrossingState.DONE:
                total += atoms_of(one.amount)
            if one.asset == asset and not one.is_deposit and one.state is not CrossingState.FAILED:
                total -= atoms_of(one.amount)
    return total


def told(venue: Venue, account: Account, asset: str) -> int:
    """What the ledger and the fills say that an account must have."""
    entries = venue.ledger.all_entries(account.id)
    total = sum(atoms_of(one.amount) for one in entries if one.asset == asset)
    for fill in account.fills:
        instrument, sign = fill.instrument, 1 if fill.side is Side.BUY else -1
        if fill.fee_asset == asset:
            total -= fill.fee_atoms
        if instrument.category is Category.LINEAR:
            total += fill.realized_atoms if instrument.quote == asset else 0
        elif instrument.base == asset:
            total += sign * fill.lots * instrument.lot_atoms
        elif instrument.quote == asset:
            total -= sign * instrument.notional_atoms(fill.ticks, fill.lots)
    return total


def in_circulation(venue: Venue, asset: str) -> int:
    """Everything of an asset, with the profit that perpetuals have not realized yet."""
    everybody = [*venue.accounts.values(), venue.house]
    total = sum(account.wallet[asset].total for account in everybody) + venue.fees[asset].total
    for account in everybody:
        for position in account.positions.values():
            if position.instrument.quote == asset:
                # At a price of zero: since all positions add up to none, any price does.
                sign = 1 if position.lots > 0 else -1
                total -= sign * position.entry_atoms
    return total


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            *(orders, orders, orders, waits, waits, cancels, amends, moves, flows, crashes),
            *(hours, treasury, treasury),
        ),
        max_size=25,
    )
)
def test_every_atom_is_accounted_for_whatever_happens(steps) -> None:  # type: ignore[no-untyped-def]
    scene = Scene()
    for step in steps:
        scene.do(step)

        for asset in DEPOSITS:
            assert in_circulation(scene.venue, asset) == crossed(scene.venue, asset), asset
            for account in scene.accounts:
                assert account.wallet[asset].total == told(scene.venue, account, asset), asset
        everybody = [*scene.accounts, scene.venue.house]
        assert sum(a.positions["BTCUSDT"].lots for a in everybody if a.positions) == 0
        for account in scene.accounts:
            for asset in ("BTC", "BNB"):
                assert account.wallet[asset].free >= 0
                assert account.wallet[asset].locked >= 0
            locked = {
                asset: sum(
                    o.locked_atoms for o in account.open_orders.values() if o.locked_asset == asset
                )
                for asset in DEPOSITS
            }
            assert locked == {a: account.wallet[a].locked for a in DEPOSITS}
        for market in (scene.spot, scene.linear):
            bid, ask = market.book.best(Side.BUY)[0], market.book.best(Side.SELL)[0]
            assert bid < ask


@settings(max_examples=40)
@given(st.lists(st.one_of(orders, cancels, amends, moves, flows), max_size=25))
def test_depth_events_rebuild_the_book(steps) -> None:  # type: ignore[no-untyped-def]
    scene = Scene()
    book = scene.spot.book
    known = {side: dict(book.levels(side, 10_000)) for side in Side}
    heard: list[CoreEvent] = []
    scene.venue.subscribe(heard.append)
    last_id = book.update_id
    for step in steps:
        scene.do(step)

    for event in heard:
        if isinstance(event, DepthChanged) and event.instrument is scene.spot.instrument:
            assert event.first_id == last_id + 1
            last_id = event.last_id
            for side, changes in ((Side.BUY, event.bids), (Side.SELL, event.asks)):
                known[side].update(changes)
    assert {
        side: {ticks: lots for ticks, lots in levels.items() if lots}
        for side, levels in known.items()
    } == {side: dict(book.levels(side, 10_000)) for side in Side}
