"""Market data that cannot be true."""

from decimal import Decimal
from typing import Any

import pytest

from alphapulse.pipeline.processors.validation import TickerCheck, is_plausible
from tests.builders import make_candle, make_ticker


def ticker(last: str | None = "100", **changes: Any) -> Any:
    prices = {"bid": None, "ask": None, "index": None}
    return make_ticker(last=None if last is None else Decimal(last), **{**prices, **changes})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bid": Decimal(99), "ask": Decimal(101)}, None),
        ({"bid": Decimal(100), "ask": Decimal(100)}, None),
        ({"bid": Decimal(101), "ask": Decimal(100)}, "crossed"),
        ({"bid": Decimal(0)}, "not_positive"),
        ({"mark": Decimal(-1)}, "not_positive"),
        ({"last": None}, None),
    ],
)
def test_a_ticker_that_contradicts_itself_is_refused(
    changes: dict[str, Any], reason: str | None
) -> None:
    assert TickerCheck().refusal(ticker(**changes)) == reason


@pytest.mark.parametrize("factor", ["10", "0.1", "1000"])
def test_an_absurd_jump_is_taken_only_when_a_second_message_agrees(factor: str) -> None:
    check = TickerCheck()
    jumped = str(Decimal(100) * Decimal(factor))
    assert check.refusal(ticker("100")) is None
    assert check.refusal(ticker(jumped)) == "jump"
    assert check.refusal(ticker(jumped)) is None
    assert check.refusal(ticker(jumped)) is None


def test_one_absurd_message_among_good_ones_leaves_no_trace() -> None:
    check = TickerCheck()
    assert check.refusal(ticker("100")) is None
    assert check.refusal(ticker("100000")) == "jump"
    assert check.refusal(ticker("101")) is None
    assert check.refusal(ticker("100000")) == "jump"


def test_symbols_do_not_confirm_each_other() -> None:
    check = TickerCheck()
    for symbol in ("BTC/USDT", "ETH/USDT"):
        assert check.refusal(ticker("100", symbol=symbol)) is None
    assert check.refusal(ticker("5000", symbol="BTC/USDT")) == "jump"
    assert check.refusal(ticker("5000", symbol="ETH/USDT")) == "jump"


@pytest.mark.parametrize(
    ("changes", "plausible"),
    [
        ({}, True),
        ({"volume": Decimal(0)}, True),
        ({"low": Decimal(65000)}, False),
        ({"high": Decimal(1)}, False),
        ({"low": Decimal(0)}, False),
        ({"volume": Decimal(-1)}, False),
        ({"open_time": make_candle().open_time.replace(second=1)}, False),
    ],
)
def test_a_candle_must_fit_together(changes: dict[str, Any], plausible: bool) -> None:
    assert is_plausible(make_candle(**changes)) is plausible
