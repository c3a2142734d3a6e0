"""Whatever is done with perpetuals in a wallet of their own, nothing is made or lost."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.clock import VirtualMarketClock
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category, atoms_of
from alphapulse.simulator.core.listing import usdm_instruments
from alphapulse.simulator.core.order import OrderKind, OrderRequest, TimeInForce
from alphapulse.simulator.core.position import PositionSide
from alphapulse.simulator.core.refusal import Refused

SPOT, FUTURES = Decimal(5_000), Decimal(3_000)
START_MS = 1_700_000_000_000
PRICES = st.integers(24_000, 36_000)

orders = st.tuples(
    st.just("place"),
    st.integers(0, 1),
    st.sampled_from(Side),
    st.sampled_from([PositionSide.LONG, PositionSide.SHORT]),
    st.sampled_from([*(t for t in TimeInForce if t is not TimeInForce.GTD), "market"]),
    st.integers(4, 900),
    PRICES,
    st.booleans(),
)
cancels = st.tuples(st.just("cancel"), st.integers(0, 1), st.integers(0, 5))
transfers = st.tuples(
    st.just("transfer"), st.integers(0, 1), st.sampled_from(Category), st.integers(1, 4_000)
)
margins = st.tuples(st.just("margin"), st.integers(-500, 500))
leverages = st.tuples(st.just("leverage"), st.integers(0, 1), st.integers(1, 125))
moves = st.tuples(st.just("move"), PRICES)
hours = st.tuples(st.just("wait"), st.integers(1, 9))


class Scene:
    """A hedged account with cross margin and a one-way account with isolated margin."""

    def __init__(self) -> None:
        self.clock = VirtualMarketClock(START_MS)
        self.venue = Venue("test", usdm_instruments()[:1], self.clock)
        self.market = self.venue.market(Category.LINEAR, "BTCUSDT")
        self.accounts = [self._open("ann"), self._open("bob")]
        self.venue.terms.set_hedged(self.accounts[0], is_hedged=True)
        self.venue.terms.set_isolated(self.accounts[1], self.market.instrument, is_isolated=True)
        self._move(30_000)

    def _open(self, name: str) -> Account:
        return self.venue.open_account(name, {"USDT": SPOT}, futures={"USDT": FUTURES})

    def do(self, step: tuple) -> None:  # type: ignore[type-arg]
        try:
            getattr(self, f"_{step[0]}")(*step[1:])
        except Refused:
            return

    def _place(self, who, side, slot, how, lots, price, reduces) -> None:  # type: ignore[no-untyped-def]
        account = self.accounts[who]
        closes = account.is_hedged and (slot is PositionSide.LONG) == (side is Side.SELL)
        is_market = how == "market"
        request = OrderRequest(
            side,
            OrderKind.MARKET if is_market else OrderKind.LIMIT,
            self.market.instrument.quantity(lots),
            limit_price=None if is_market else Decimal(price),
            time_in_force=TimeInForce.GTC if is_market else how,
            reduce_only=closes or reduces,
            position_side=slot if account.is_hedged else PositionSide.BOTH,
        )
        self.venue.place(account, self.market, request)

    def _cancel(self, who: int, which: int) -> None:
        opened = list(self.accounts[who].open_orders.values())
        if opened:
            self.venue.cancel(self.accounts[who], opened[which % len(opened)])

    def _transfer(self, who: int, into: Category, amount: int) -> None:
        self.venue.treasury.transfer(self.accounts[who], "USDT", Decimal(amount), into)

    def _margin(self, amount: int) -> None:
        for position in tuple(self.accounts[1].positions.values()):
            self.venue.terms.add_margin(self.accounts[1], position, Decimal(amount))

    def _leverage(self, who: int, leverage: int) -> None:
        instrument = self.market.instrument
        self.venue.terms.set_leverage(self.accounts[who], instrument, Decimal(leverage))

    def _move(self, price: int) -> None:
        self.venue.set_price(self.market, Decimal(price))

    def _wait(self, hours: int) -> None:
        for _ in range(hours * 60):
            self.clock.move_to(self.clock.now_ms() + 60_000)
            self.venue.advance()


def total_equity(venue: Venue) -> int:
    """All wallets and all profit that is not realized. Positions add up to none, so the price
    they are valued at does not matter; it is zero here."""
    everybody = [*venue.accounts.values(), venue.house]
    held = [a.wallet_of(category)["USDT"].total for a in everybody for category in Category]
    # The house has one wallet for both.
    total = sum(held) - venue.house.wallet["USDT"].total + venue.fees["USDT"].total
    for account in everybody:
        for position in account.positions.values():
            total -= position.entry_atoms if position.lots > 0 else -position.entry_atoms
    return total


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(orders, orders, orders, cancels, transfers, margins, leverages, moves, hours),
        max_size=25,
    )
)
def test_wallets_and_unrealized_profit_are_conserved(steps) -> None:  # type: ignore[no-untyped-def]
    scene = Scene()
    venue = scene.venue
    for step in steps:
        scene.do(step)

        assert total_equity(venue) == 2 * atoms_of(SPOT + FUTURES)
        everybody = [*scene.accounts, venue.house]
        assert sum(p.lots for a in everybody for p in a.positions.values()) == 0
        for account in scene.accounts:
            assert account.wallet["USDT"].free >= 0
            for position in account.positions.values():
                # What only reduces never turns a hedged position around.
                if position.side is not PositionSide.BOTH:
                    assert (position.lots > 0) == (position.side is PositionSide.LONG)
                assert (position.isolated_atoms is None) == account.is_hedged


@settings(max_examples=60)
@given(st.lists(st.one_of(orders, orders, transfers, moves, hours), max_size=25))
def test_futures_wallet_is_the_sum_of_what_its_records_say(steps) -> None:  # type: ignore[no-untyped-def]
    scene = Scene()
    for step in steps:
        scene.do(step)

    for account in scene.accounts:
        entries = scene.venue.ledger.entries(account.id, Category.LINEAR)
        traded = sum(fill.realized_atoms - fill.fee_atoms for fill in account.fills)
        told = sum(atoms_of(entry.amount) for entry in entries) + traded
        assert account.wallet_of(Category.LINEAR)["USDT"].total == told
