"""Money that moves without an order: over the border, between wallets, as income."""

from decimal import Decimal

import pytest

from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.clock import VirtualMarketClock
from alphapulse.simulator.core.events import Cause
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.ledger import LedgerEntry
from alphapulse.simulator.core.listing import spot_instruments
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.core.treasury import CrossingState, Route

MINUTE_MS = 60_000
LATER = Route(network="ETH", txid="0xabc", after_ms=MINUTE_MS)


class Bench:
    """One customer with two wallets, and prices for what dust is turned into."""

    def __init__(self) -> None:
        self.clock = VirtualMarketClock(1_700_000_000_000)
        wanted = [i for i in spot_instruments() if i.name in {"LTCUSDT", "BNBUSDT"}]
        self.venue = Venue("test", wanted, self.clock)
        for name, price in (("LTCUSDT", "80"), ("BNBUSDT", "400")):
            self.venue.set_price(self.venue.market(Category.SPOT, name), Decimal(price))
        self.treasury = self.venue.treasury
        self.ann: Account = self.venue.open_account("ann", {"USDT": Decimal(1_000)}, futures={})

    def has(self, asset: str) -> Decimal:
        return self.ann.wallet.total(asset)

    def wait(self, milliseconds: int) -> None:
        self.clock.move_to(self.clock.now_ms() + milliseconds)
        self.venue.advance()

    def entries(self) -> list[LedgerEntry]:
        return list(self.venue.ledger.all_entries("ann"))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_deposit_is_announced_and_credited_when_it_has_crossed(bench: Bench) -> None:
    deposit = bench.treasury.deposit(bench.ann, "LTC", Decimal(3), route=LATER)

    assert (deposit.ended_ms, deposit.txid) == (0, "0xabc")
    bench.wait(MINUTE_MS - 1)
    assert bench.has("LTC") == 0
    bench.wait(1)
    assert bench.has("LTC") == 3
    assert deposit.state is CrossingState.DONE
    bench.wait(MINUTE_MS)
    assert bench.has("LTC") == 3


def test_withdrawal_leaves_with_its_fee_when_it_is_asked_for(bench: Bench) -> None:
    withdrawal = bench.treasury.withdraw(
        bench.ann, "USDT", Decimal(100), route=LATER, fee=Decimal("1.5")
    )

    assert bench.has("USDT") == Decimal("898.5")
    assert bench.venue.fees.total("USDT") == Decimal("1.5")
    assert withdrawal.ended_ms == 0
    bench.wait(MINUTE_MS)
    assert bench.has("USDT") == Decimal("898.5")
    assert withdrawal.state is CrossingState.DONE
    last = bench.entries()[-1]
    assert (last.cause, last.amount) == (Cause.WITHDRAWAL, Decimal("-101.5"))
    assert last.movement is not None
    assert (last.movement.reference, last.movement.fee) == ("0xabc", Decimal("1.5"))


def test_withdrawal_that_fails_is_given_back_whole(bench: Bench) -> None:
    withdrawal = bench.treasury.withdraw(
        bench.ann, "USDT", Decimal(100), route=LATER, fee=Decimal("1.5")
    )
    bench.treasury.fail(withdrawal)

    assert bench.has("USDT") == 1_000
    assert bench.venue.fees.total("USDT") == 0
    bench.wait(MINUTE_MS)
    assert withdrawal.state is CrossingState.FAILED
    with pytest.raises(Refused, match="crossing_ended"):
        bench.treasury.fail(withdrawal)


def test_deposit_that_fails_never_comes(bench: Bench) -> None:
    deposit = bench.treasury.deposit(bench.ann, "LTC", Decimal(3), route=LATER)
    bench.treasury.fail(deposit)
    bench.wait(MINUTE_MS)

    assert bench.has("LTC") == 0


def test_dust_becomes_another_asset_at_the_market_less_the_charge(bench: Bench) -> None:
    bench.treasury.deposit(bench.ann, "LTC", Decimal("0.05"))
    bench.treasury.convert(bench.ann, {"LTC": Decimal("0.05"), "USDT": Decimal(8)}, "BNB")

    assert bench.has("LTC") == 0
    assert bench.has("USDT") == 992
    assert bench.has("BNB") == Decimal("0.0098") + Decimal("0.0196")
    assert bench.venue.fees.total("BNB") == Decimal("0.0006")
    made = bench.entries()[-4:]
    assert [(e.asset, e.cause) for e in made] == [
        (asset, Cause.CONVERSION) for asset in ("LTC", "BNB", "USDT", "BNB")
    ]
    assert len({e.movement.reference for e in made if e.movement}) == 1


def test_nothing_is_converted_when_one_of_it_cannot_be(bench: Bench) -> None:
    for spent in ({"ETHW": Decimal(1)}, {"USDT": Decimal(1_001)}, {"USDT": Decimal("0.000000001")}):
        with pytest.raises(Refused):
            bench.treasury.convert(bench.ann, {"USDT": Decimal(5), **spent}, "BNB")
    assert bench.has("USDT") == 1_000


def test_venue_gives_and_takes_what_the_house_has(bench: Bench) -> None:
    bench.treasury.reward(bench.ann, "BNB", Decimal("0.1"), note="Launchpool")
    bench.treasury.reward(bench.ann, "USDT", Decimal("-0.25"), cause=Cause.INTEREST)

    assert (bench.has("BNB"), bench.has("USDT")) == (Decimal("0.1"), Decimal("999.75"))
    assert bench.venue.house.wallet.total("USDT") == Decimal("0.25")
    with pytest.raises(Refused):
        bench.treasury.reward(bench.ann, "USDT", Decimal(-1_000), cause=Cause.INTEREST)


def test_both_halves_of_a_transfer_have_one_reference(bench: Bench) -> None:
    bench.treasury.transfer(bench.ann, "USDT", Decimal(10), Category.LINEAR)

    out, into = bench.entries()[-2:]
    assert (out.amount, out.category) == (Decimal(-10), Category.SPOT)
    assert (into.amount, into.category) == (Decimal(10), Category.LINEAR)
    assert out.movement == into.movement
