"""What a portfolio is worth: collateral once, debt as debt, and nothing guessed."""

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
    holdings: list[Holding], positions: list[Position] | None = None, *, mark: str | None = None
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
    return value_portfolio(holdings, positions or [], book, marks, Asset("USDT"), NOW)


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
    assert valuation.accounts == {}  # unknown, which is not zero


def test_weights_share_out_the_total() -> None:
    valuation = valued([holding("BTC", "1"), holding("USDT", "64000")])

    assert valuation.weight(valuation.holdings[0].value) == Decimal("0.5")


def test_an_empty_portfolio_has_no_weights() -> None:
    assert valued([]).weight(Decimal(1)) is None
