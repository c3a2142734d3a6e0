"""All-known or nothing: T-15 and O-8 of reliability.md."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.order import OrderType
from alphapulse.domain.rebalance.constraints import Constraints, Style
from alphapulse.domain.rebalance.plan import Plan, Refused
from alphapulse.domain.rebalance.situation import Market, RefusalReason, Situation
from alphapulse.domain.valuation import Quality
from tests.unit.domain.rebalance.builders import BTC, ETH, NOW, account, answer, price, situation

HALVES = {"BTC": "0.5", "ETH": "0.5"}
OLD = NOW - timedelta(seconds=11)


def world() -> Situation:
    return situation({"BTC": "50000", "ETH": "2500"}, {"BTC": "0.12", "ETH": "1.6"})


def priced(asset: Asset, **changes: object) -> Callable[[Situation], Situation]:
    def changed(of: Situation) -> Situation:
        return replace(of, prices={**of.prices, asset: replace(of.prices[asset], **changes)})  # type: ignore[arg-type]

    return changed


def quoted(index: int, **changes: object) -> Callable[[Situation], Situation]:
    def changed(of: Situation) -> Situation:
        markets = list(of.markets)
        ticker = markets[index].ticker
        assert ticker is not None
        markets[index] = replace(markets[index], ticker=msgspec.structs.replace(ticker, **changes))
        return replace(of, markets=tuple(markets))

    return changed


def owned(**changes: Any) -> Callable[[Situation], Situation]:
    return lambda of: replace(of, accounts=(account(**changes),))


@pytest.mark.parametrize(
    ("spoil", "reason", "subject"),
    [
        (owned(read_at=None), RefusalReason.BALANCES_MISSING, "a"),
        (owned(read_at=OLD), RefusalReason.BALANCES_STALE, "a"),
        (owned(is_in_doubt=True), RefusalReason.ORDER_UNKNOWN, "a"),
        (owned(fee_rate=None), RefusalReason.FEE_UNKNOWN, "a"),
        (lambda of: replace(of, accounts=()), RefusalReason.NO_ACCOUNT, ""),
        (lambda of: replace(of, holdings=()), RefusalReason.BALANCES_EMPTY, "a"),
        (lambda of: replace(of, prices={BTC: price("50000")}), RefusalReason.PRICE_MISSING, "ETH"),
        (priced(ETH, as_of=OLD), RefusalReason.PRICE_STALE, "ETH"),
        (priced(ETH, quality=Quality.STALE), RefusalReason.PRICE_STALE, "ETH"),
        (priced(ETH, value=Decimal(0)), RefusalReason.PRICE_MISSING, "ETH"),
        (
            priced(ETH, currency=Asset("EUR")),
            RefusalReason.PRICE_IN_OTHER_CURRENCY,
            "ETH",
        ),
        (quoted(1, ask=None), RefusalReason.QUOTE_MISSING, "binance:ETH/USDT"),
        (quoted(0, bid=Decimal(0)), RefusalReason.QUOTE_MISSING, "binance:BTC/USDT"),
        (quoted(0, bid=Decimal(60000)), RefusalReason.QUOTE_MISSING, "binance:BTC/USDT"),
        (quoted(1, received_at=OLD), RefusalReason.QUOTE_STALE, "binance:ETH/USDT"),
        (
            lambda of: replace(of, markets=(of.markets[0], Market(of.markets[1].instrument, None))),
            RefusalReason.QUOTE_MISSING,
            "binance:ETH/USDT",
        ),
    ],
)
def test_one_bad_input_refuses_the_whole_plan(
    spoil: Callable[[Situation], Situation], reason: RefusalReason, subject: str
) -> None:
    assert isinstance(answer(world(), HALVES), Plan)
    refused = answer(spoil(world()), HALVES)
    assert isinstance(refused, Refused)
    assert (reason, subject) in {(one.reason, one.subject) for one in refused.reasons}


def test_every_reason_is_told_at_once_with_its_age() -> None:
    spoiled = priced(ETH, as_of=OLD)(owned(read_at=OLD, is_in_doubt=True)(world()))
    refused = answer(spoiled, HALVES)
    assert isinstance(refused, Refused)
    assert [(one.reason.value, one.subject, one.age_ms) for one in refused.reasons] == [
        ("balances_stale", "a", 11_000),
        ("order_unknown", "a", None),
        ("price_stale", "ETH", 11_000),
    ]


def test_an_account_that_says_it_is_empty_beside_a_full_one_refuses() -> None:
    """A 502 that looked like no balances made a rebalancer sell without buying: MCRBot#17."""
    refused = answer(replace(world(), accounts=(account(), account("b"))), HALVES)
    assert isinstance(refused, Refused)
    assert [one.subject for one in refused.reasons] == ["b"]


def test_a_market_order_within_a_slippage_needs_a_book() -> None:
    refused = answer(
        world(),
        HALVES,
        style=Style(OrderType.MARKET),
        constraints=Constraints(max_slippage_pct=Decimal(1)),
    )
    assert isinstance(refused, Refused)
    assert {one.reason for one in refused.reasons} == {RefusalReason.BOOK_MISSING}


def test_ten_seconds_old_is_still_good() -> None:
    just = NOW - timedelta(seconds=10)
    assert isinstance(answer(priced(ETH, as_of=just)(owned(read_at=just)(world())), HALVES), Plan)


def test_a_quote_that_no_trade_needs_refuses_nothing() -> None:
    inside = {"BTC": "0.599", "ETH": "0.401"}
    made = answer(quoted(0, received_at=OLD)(quoted(1, received_at=OLD)(world())), inside)
    assert isinstance(made, Plan)
    assert not made.trades
