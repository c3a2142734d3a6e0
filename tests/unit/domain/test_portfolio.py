"""What a portfolio is worth: collateral once, debt as debt, and nothing guessed."""

from collections.abc import Collection
from datetime import UTC, datetime
from decimal import Decimal

from alphapulse.domain.balance import Balance, Wallet
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, Symbol
from alphapulse.domain.market import Ticker
from alphapulse.domain.portfolio import Holding, Valuation, value_portfolio
from alphapulse.domain.position import Position, PositionSide
from alphapulse.domain.valuation import PriceBook
from tests.builders import make_position

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BYBIT = ExchangeId("bybit")
BTC_PERPETUAL = Symbol("BTC/USDT:USDT")


def holding(asset: str, free: str, *, borrowed: str = "0", account: str = "main") -> Holding:
    balance = Balance(Wallet.UNIFIED, Asset(asset), Decimal(free), Decimal(0), Decimal(borrowed))
    return Holding(AccountId(account), BYBIT, balance, NOW)


def position(side: PositionSide, *, mark: str | None, pnl: str | None = None) -> Position:
    return make_position(
        account_id=AccountId("main"),
        exchange=BYBIT,
        symbol=BTC_PERPETUAL,
        side=side,
        entry_price=Decimal(60000),
        mark_price=None if mark is None else Decimal(mark),
        unrealized_pnl=None if pnl is None else Decimal(pnl),
    )


def valued(
    holdings: list[Holding],
    positions: list[Position] | None = None,
    *,
    mark: str | None = None,
    unread: Collection[AccountId] = (),
) -> Valuation:
    book = PriceBook()
    book.put(
        Ticker(
            exchange=BYBIT,
            symbol=Symbol("BTC/USDT"),
            occurred_at=NOW,
            received_at=NOW,
            last=Decimal(64000),
        )
    )
    marks = {} if mark is None else {(BYBIT, BTC_PERPETUAL): Decimal(mark)}
    return value_portfolio(
        holdings, positions or [], book, marks, Asset("USDT"), NOW, unread=unread
    )


def test_a_position_adds_its_profit_and_not_its_size() -> None:
    valuation = valued([holding("USDT", "1000")], [position(PositionSide.LONG, mark="62000")])

    assert valuation.total == 1000 + Decimal("0.5") * 2000
    assert valuation.positions[0].notional == 31000


def test_a_short_position_loses_when_the_mark_rises() -> None:
    valuation = valued([holding("USDT", "1000")], [position(PositionSide.SHORT, mark="62000")])

    assert valuation.total == 0
    assert valuation.unrealized_pnl == -1000


def test_the_live_mark_goes_before_the_one_the_position_came_with() -> None:
    valuation = valued([], [position(PositionSide.LONG, mark="62000")], mark="63000")

    assert valuation.positions[0].mark_price == 63000
    assert valuation.total == 1500


def test_without_any_mark_the_venues_own_figure_counts() -> None:
    assert valued([], [position(PositionSide.LONG, mark=None, pnl="12.5")]).total == Decimal("12.5")


def test_a_position_nobody_can_value_is_listed_and_its_profit_is_unknown() -> None:
    valuation = valued([], [position(PositionSide.LONG, mark=None)])

    assert valuation.unrealized_pnl is None
    assert [line.reason for line in valuation.unpriced] == ["no mark price of BTC/USDT:USDT"]


def test_a_profit_that_nobody_knows_is_no_quantity_of_the_settle_currency() -> None:
    held, opened = [holding("USDT", "1000")], [position(PositionSide.LONG, mark=None)]

    (line,) = valued(held, opened).unpriced

    assert (line.asset, line.quantity) == (Asset("USDT"), None)


def test_what_is_unpriced_for_two_reasons_is_listed_under_each() -> None:
    held, opened = [holding("USDT", "1000")], [position(PositionSide.LONG, mark=None)]

    valuation = value_portfolio(held, opened, PriceBook(), {}, Asset("EUR"), NOW)

    assert [(line.quantity, line.reason) for line in valuation.unpriced] == [
        (None, "no mark price of BTC/USDT:USDT"),
        (Decimal(1000), "no market leads to EUR"),
    ]


def test_what_is_borrowed_is_debt_and_not_a_smaller_asset() -> None:
    valuation = valued([holding("BTC", "2", borrowed="0.5")])

    assert valuation.total_assets == 128000
    assert valuation.total_debt == 32000
    assert valuation.total == 96000


def test_cash_is_what_is_kept_to_pay_with() -> None:
    assert valued([holding("BTC", "1"), holding("USDT", "250")]).cash == 250


def test_an_unpriced_asset_names_its_accounts() -> None:
    valuation = valued([holding("XYZ", "1", account="b"), holding("XYZ", "2", account="a")])

    (line,) = valuation.unpriced
    assert (line.asset, line.quantity) == (Asset("XYZ"), Decimal(3))
    assert line.accounts == (AccountId("a"), AccountId("b"))
    assert valuation.accounts == {"a": None, "b": None}  # unknown, which is not zero


def test_a_portfolio_of_which_nothing_is_priced_has_no_figure_at_all() -> None:
    valuation = valued([holding("XYZ", "1"), holding("USDT", "0")])

    assert (valuation.total, valuation.invested) == (None, None)
    assert (valuation.total_assets, valuation.total_debt, valuation.cash) == (None, None, None)
    assert valuation.weight(Decimal(1)) is None


def test_what_is_priced_is_summed_beside_what_is_not() -> None:
    valuation = valued([holding("XYZ", "1", account="a"), holding("BTC", "1", account="b")])

    assert valuation.total == 64000
    assert valuation.accounts == {"a": None, "b": 64000}


def test_an_account_that_was_never_read_is_not_known_to_be_empty() -> None:
    never_read = AccountId("never")

    alone = valued([], unread=[never_read])
    beside = valued([holding("BTC", "1")], unread=[never_read])

    assert alone.total is None
    assert alone.accounts == {never_read: None}
    assert beside.total == 64000
    assert beside.accounts == {"main": 64000, never_read: None}


def test_weights_share_out_the_total() -> None:
    valuation = valued([holding("BTC", "1"), holding("USDT", "64000")])

    assert valuation.weight(valuation.holdings[0].value) == Decimal("0.5")


def test_an_empty_portfolio_is_worth_nothing_and_has_no_weights() -> None:
    valuation = valued([])

    assert valuation.total == valuation.total_assets == valuation.total_debt == 0
    assert valuation.weight(Decimal(1)) is None
