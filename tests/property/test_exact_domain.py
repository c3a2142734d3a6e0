"""What a domain object works out of its own numbers is exact, to the 38th digit."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.balance import Balance, Wallet
from alphapulse.domain.identifiers import Asset, ExchangeId, Symbol
from alphapulse.domain.market import Ticker
from alphapulse.domain.portfolio import Valuation
from alphapulse.domain.position import PositionSide
from tests.builders import make_order, make_position

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

# As many digits as NUMERIC(38, 18) holds; made of text, so that no context rounds them.
numbers = st.integers(0, 10**38 - 1).map(lambda units: Decimal(f"{units}E-18"))


@given(numbers, numbers)
def test_a_balance_is_what_is_free_and_what_is_locked(free: Decimal, locked: Decimal) -> None:
    balance = Balance(Wallet.SPOT, Asset("BTC"), free, locked, Decimal(0))

    assert Fraction(balance.total) == Fraction(free) + Fraction(locked)


@given(numbers, numbers)
def test_an_order_has_left_what_was_not_filled(quantity: Decimal, filled: Decimal) -> None:
    order = make_order(quantity=quantity, filled_quantity=filled)

    assert order.remaining_quantity is not None
    assert Fraction(order.remaining_quantity) == Fraction(quantity) - Fraction(filled)


@given(numbers, st.sampled_from(PositionSide))
def test_a_short_position_is_as_large_as_a_long_one(quantity: Decimal, side: PositionSide) -> None:
    position = make_position(quantity=quantity, side=side)

    assert abs(Fraction(position.signed_quantity)) == Fraction(quantity)


@given(numbers, numbers)
def test_the_middle_of_a_ticker_is_the_middle(bid: Decimal, ask: Decimal) -> None:
    ticker = Ticker(
        exchange=ExchangeId("binance"),
        symbol=Symbol("BTC/USDT"),
        occurred_at=NOW,
        received_at=NOW,
        bid=bid,
        ask=ask,
    )

    assert ticker.price is not None
    assert Fraction(ticker.price) == (Fraction(bid) + Fraction(ask)) / 2


def test_a_share_of_a_total_that_debt_made_tiny_is_still_a_number() -> None:
    debt = Decimal(10**21)
    valuation = Valuation(
        currency=Asset("USD"),
        as_of=NOW,
        holdings=(),
        positions=(),
        accounts={},
        unpriced=(),
        total_assets=Decimal("1000000000000000000000.00000001"),
        total_debt=debt,
        cash=Decimal(0),
        unrealized_pnl=None,
    )

    assert valuation.weight(debt) == Decimal(10**29)
