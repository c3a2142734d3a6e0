"""Perpetuals in a wallet of their own: tiers, modes, isolated margin, both sides at once."""

from decimal import Decimal

import pytest

from alphapulse.domain.order import Side
from alphapulse.simulator.core import margin
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.clock import VirtualMarketClock
from alphapulse.simulator.core.events import BalancesChanged, CoreEvent, LeverageChanged
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.listing import usdm_instruments
from alphapulse.simulator.core.order import Order, OrderKind, OrderRequest, OrderState
from alphapulse.simulator.core.position import PositionSide
from alphapulse.simulator.core.refusal import RefusalReason, Refused

PRICE = Decimal(30_000)
LONG, SHORT, BOTH = PositionSide.LONG, PositionSide.SHORT, PositionSide.BOTH


class Bench:
    """One customer with two wallets on a venue with one perpetual."""

    def __init__(self) -> None:
        self.venue = Venue("test", usdm_instruments()[:1], VirtualMarketClock(1_700_000_000_000))
        self.market = self.venue.market(Category.LINEAR, "BTCUSDT")
        self.instrument = self.market.instrument
        self.events: list[CoreEvent] = []
        self.venue.set_price(self.market, PRICE)
        self.ann: Account = self.venue.open_account(
            "ann", {"USDT": Decimal(5_000)}, futures={"USDT": Decimal(10_000)}
        )
        self.venue.subscribe(self.events.append)

    @property
    def wallet(self) -> Decimal:
        return self.ann.wallet_of(Category.LINEAR).total("USDT")

    @property
    def available(self) -> Decimal:
        return self.venue.margin(self.ann, "USDT").available

    def trade(self, side: Side, quantity: str, slot: PositionSide = BOTH) -> Order:
        request = OrderRequest(side, OrderKind.MARKET, Decimal(quantity), position_side=slot)
        return self.venue.place(self.ann, self.market, request)

    def rest(self, side: Side, quantity: str, price: str, *, reduces: bool = False) -> Order:
        request = OrderRequest(
            side,
            OrderKind.LIMIT,
            Decimal(quantity),
            limit_price=Decimal(price),
            reduce_only=reduces,
        )
        return self.venue.place(self.ann, self.market, request)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def refusal(bench: Bench, quantity: str) -> RefusalReason:
    with pytest.raises(Refused) as caught:
        bench.trade(Side.BUY, quantity)
    return caught.value.reason


def test_perpetuals_settle_in_the_futures_wallet_alone(bench: Bench) -> None:
    bench.trade(Side.BUY, "0.1")
    bench.venue.set_price(bench.market, Decimal(31_000))
    bench.trade(Side.SELL, "0.1")

    fees = sum((fill.fee for fill in bench.ann.fills), Decimal(0))
    profit = sum((fill.realized_pnl for fill in bench.ann.fills), Decimal(0))
    assert profit > 0
    assert bench.wallet == 10_000 + profit - fees
    assert bench.ann.wallet.total("USDT") == 5_000
    changed = [e for e in bench.events if isinstance(e, BalancesChanged)]
    assert {e.category for e in changed} == {Category.LINEAR}


def test_money_that_a_position_needs_cannot_be_moved_away(bench: Bench) -> None:
    bench.trade(Side.BUY, "1")
    free = bench.available

    with pytest.raises(Refused):
        bench.venue.treasury.transfer(bench.ann, "USDT", free + 1, Category.SPOT)
    bench.venue.treasury.transfer(bench.ann, "USDT", free - 1, Category.SPOT)
    assert bench.ann.wallet.total("USDT") == 5_000 + free - 1


def test_maintenance_margin_grows_without_a_step_from_tier_to_tier(bench: Bench) -> None:
    position = None
    bench.trade(Side.BUY, "1.5")
    position = bench.ann.positions["BTCUSDT"]

    # 50,000 is the end of the first tier.
    below = position.maintenance_margin(Decimal("33333.3"))
    above = position.maintenance_margin(Decimal("33333.4"))
    assert below == Decimal("49999.95") * Decimal("0.004")
    assert above == Decimal("50000.10") * Decimal("0.005") - 50
    assert 0 < above - below < Decimal("0.01")


def test_position_is_bound_by_the_tier_of_its_leverage(bench: Bench) -> None:
    bench.venue.treasury.deposit(bench.ann, "USDT", Decimal(1_000_000), Category.LINEAR)
    bench.venue.terms.set_leverage(bench.ann, bench.instrument, Decimal(125))

    assert refusal(bench, "1.7") is RefusalReason.LEVERAGE_TOO_HIGH
    bench.venue.terms.set_leverage(bench.ann, bench.instrument, Decimal(20))
    bench.trade(Side.BUY, "1.7")
    with pytest.raises(Refused) as caught:
        bench.venue.terms.set_leverage(bench.ann, bench.instrument, Decimal(125))
    assert caught.value.reason is RefusalReason.LEVERAGE_TOO_HIGH
    assert [e.leverage for e in bench.events if isinstance(e, LeverageChanged)] == [125, 20]


def test_isolated_position_takes_its_margin_along_and_gives_a_share_back(bench: Bench) -> None:
    bench.venue.terms.set_isolated(bench.ann, bench.instrument, is_isolated=True)
    bench.trade(Side.BUY, "0.2")
    opened = bench.ann.positions["BTCUSDT"]
    bench.trade(Side.SELL, "0.05")
    reduced = bench.ann.positions["BTCUSDT"]

    assert opened.isolated_margin == opened.entry_notional / 10
    assert reduced.isolated_margin == opened.isolated_margin * 3 / 4
    report = bench.venue.margin(bench.ann, "USDT")
    assert report.cross_wallet == report.wallet - reduced.isolated_margin == report.available
    price = margin.liquidation_price(bench.ann, reduced, bench.venue.mark_price)
    assert price is not None
    left = reduced.isolated_margin + reduced.unrealized_pnl(price)
    assert abs(left - reduced.maintenance_margin(price)) < Decimal("1e-20")


def test_margin_is_added_to_an_isolated_position_and_taken_back(bench: Bench) -> None:
    bench.venue.terms.set_isolated(bench.ann, bench.instrument, is_isolated=True)
    bench.trade(Side.BUY, "0.2")
    first = bench.ann.positions["BTCUSDT"].isolated_margin
    wallet = bench.wallet

    bench.venue.terms.add_margin(bench.ann, bench.ann.positions["BTCUSDT"], Decimal(100))
    assert bench.ann.positions["BTCUSDT"].isolated_margin == first + 100
    with pytest.raises(Refused):
        bench.venue.terms.add_margin(bench.ann, bench.ann.positions["BTCUSDT"], Decimal(-101))
    bench.venue.terms.add_margin(bench.ann, bench.ann.positions["BTCUSDT"], Decimal(-100))
    assert bench.ann.positions["BTCUSDT"].isolated_margin == first
    assert bench.wallet == wallet


def test_cross_liquidation_price_counts_the_other_positions(bench: Bench) -> None:
    bench.venue.terms.set_hedged(bench.ann, is_hedged=True)
    bench.trade(Side.BUY, "2", LONG)
    alone = margin.liquidation_price(
        bench.ann, bench.ann.positions["BTCUSDT long"], bench.venue.mark_price
    )
    bench.trade(Side.SELL, "0.5", SHORT)
    together = margin.liquidation_price(
        bench.ann, bench.ann.positions["BTCUSDT long"], bench.venue.mark_price
    )

    assert alone is not None
    assert together is not None
    # The short needs maintenance margin, too.
    assert alone < together < PRICE


def test_hedged_account_holds_long_and_short_and_pays_funding_on_both(bench: Bench) -> None:
    bench.venue.terms.set_hedged(bench.ann, is_hedged=True)
    bench.trade(Side.BUY, "0.3", LONG)
    bench.trade(Side.SELL, "0.1", SHORT)
    before = bench.wallet
    bench.market.funding_rate = Decimal("0.001")
    bench.venue.settle_funding(bench.market)

    assert {p.side: p.quantity for p in bench.ann.positions.values()} == {
        LONG: Decimal("0.3"),
        SHORT: Decimal("-0.1"),
    }
    assert before - bench.wallet == Decimal("0.2") * PRICE * Decimal("0.001")
    paid = bench.venue.ledger.entries("ann", Category.LINEAR)[-2:]
    assert [entry.amount for entry in paid] == [Decimal(-9), Decimal(3)]


def test_modes_do_not_change_under_orders_or_positions(bench: Bench) -> None:
    order = bench.rest(Side.BUY, "0.01", "20000")
    with pytest.raises(Refused, match="has_open_orders"):
        bench.venue.terms.set_hedged(bench.ann, is_hedged=True)
    bench.venue.cancel(bench.ann, order)
    bench.trade(Side.BUY, "0.01")
    with pytest.raises(Refused, match="has_position"):
        bench.venue.terms.set_hedged(bench.ann, is_hedged=True)
    with pytest.raises(Refused, match="has_position"):
        bench.venue.terms.set_isolated(bench.ann, bench.instrument, is_isolated=True)
    with pytest.raises(Refused, match="unchanged"):
        bench.venue.terms.set_isolated(bench.ann, bench.instrument, is_isolated=False)


def test_reduce_only_order_ends_with_the_position(bench: Bench) -> None:
    bench.trade(Side.BUY, "0.1")
    order = bench.rest(Side.SELL, "0.1", "33000", reduces=True)
    bench.trade(Side.SELL, "0.1")

    known = bench.ann.orders_by_id[order.id]
    assert known.state in {OrderState.CANCELED, OrderState.EXPIRED}
    assert bench.ann.positions == {}
