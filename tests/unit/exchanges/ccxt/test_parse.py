"""Parsing: exact values of ours, or a broken answer; nothing between."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.domain.instrument import InstrumentType
from alphapulse.domain.market import Timeframe
from alphapulse.domain.order import OrderStatus, OrderType, Side, TimeInForce
from alphapulse.domain.position import MarginMode, PositionSide
from alphapulse.errors import ExchangeUnavailable, InstrumentUnavailable
from alphapulse.exchanges.ccxt import parse

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)
ME, BINANCE = AccountId("me"), ExchangeId("binance")

TICK_SIZE, DECIMAL_PLACES, SIGNIFICANT_DIGITS = 4, 2, 3


def make_order(**other: Any) -> dict[str, Any]:
    return {
        "id": "7",
        "clientOrderId": "mine",
        "symbol": "BTC/USDT",
        "timestamp": MS - 1000,
        "lastUpdateTimestamp": MS,
        "type": "limit",
        "timeInForce": "GTC",
        "side": "buy",
        "price": Decimal("0.123456789012345678901"),
        "amount": Decimal("2"),
        "filled": Decimal("0.5"),
        "average": Decimal("0.12"),
        "status": "open",
    } | other


def make_fill(**other: Any) -> dict[str, Any]:
    return {
        "id": "9",
        "order": "7",
        "symbol": "BTC/USDT",
        "timestamp": MS,
        "side": "sell",
        "price": Decimal("96000.123456789012345678"),
        "amount": Decimal("0.00000001"),
        "takerOrMaker": "maker",
        "fee": {"cost": Decimal("0.000000000000000001"), "currency": "BNB"},
    } | other


def make_market(**other: Any) -> dict[str, Any]:
    return {
        "id": "BTCUSDT",
        "symbol": "BTC/USDT",
        "base": "BTC",
        "quote": "USDT",
        "settle": None,
        "type": "spot",
        "active": True,
        "contractSize": None,
        "precision": {"price": Decimal("0.01"), "amount": Decimal("0.00001")},
        "limits": {
            "amount": {"min": Decimal("0.0001"), "max": None},
            "cost": {"min": Decimal("5"), "max": None},
        },
    } | other


def order(**other: Any) -> Any:
    return parse.order(make_order(**other), ME, BINANCE, NOW)


def test_an_order_keeps_every_digit() -> None:
    found = order()

    assert found.limit_price == Decimal("0.123456789012345678901")
    assert found.status is OrderStatus.PARTIALLY_FILLED
    assert found.remaining_quantity == Decimal("1.5")
    assert found.time_in_force is TimeInForce.GTC
    assert (found.created_at, found.updated_at) == (NOW.replace(hour=11, minute=59, second=59), NOW)


@pytest.mark.parametrize("missing", ["id", "symbol", "timestamp", "side", "status"])
@pytest.mark.parametrize("nothing", [None, ""])
def test_an_order_without_what_makes_it_one_is_a_broken_answer(
    missing: str, nothing: str | None
) -> None:
    with pytest.raises(ExchangeUnavailable):
        order(**{missing: nothing})


@pytest.mark.parametrize("timestamp", [1, 1795435200, MS + 2 * 86_400_000, 10**18, "soon"])
def test_a_time_that_cannot_be_is_a_broken_answer(timestamp: object) -> None:
    with pytest.raises(ExchangeUnavailable):
        order(timestamp=timestamp)


def test_an_order_of_an_instrument_we_do_not_know_says_so() -> None:
    with pytest.raises(InstrumentUnavailable):
        order(symbol="BTCUSDT")


@pytest.mark.parametrize(
    ("status", "amount", "filled", "expected"),
    [
        ("open", "2", "0", OrderStatus.OPEN),
        ("open", "2", "1", OrderStatus.PARTIALLY_FILLED),
        ("closed", "2", "2", OrderStatus.FILLED),
        ("closed", "2", "1", OrderStatus.CANCELED),
        ("closed", None, "1", OrderStatus.FILLED),
        ("canceled", "2", "1", OrderStatus.CANCELED),
        ("expired", "2", "0", OrderStatus.EXPIRED),
        ("rejected", "2", "0", OrderStatus.REJECTED),
    ],
)
def test_an_order_has_the_status_of_what_was_filled(
    status: str, amount: str | None, filled: str, expected: OrderStatus
) -> None:
    found = order(status=status, amount=amount and Decimal(amount), filled=Decimal(filled))

    assert found.status is expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"type": "market", "price": Decimal("96000")}, OrderType.MARKET),
        ({"type": "limit"}, OrderType.LIMIT),
        ({"type": "limit_maker"}, OrderType.LIMIT),
        ({"type": "limit", "triggerPrice": Decimal("1")}, OrderType.STOP_LIMIT),
        ({"type": "market", "triggerPrice": Decimal("1"), "price": None}, OrderType.STOP),
        ({"type": "stop_loss_limit", "stopPrice": Decimal("1")}, OrderType.STOP_LIMIT),
        ({"type": "stop_market", "price": None}, OrderType.STOP),
        ({"type": "take_profit", "price": None}, OrderType.STOP),
        ({"type": "trailing_stop_market", "price": None}, OrderType.TRAILING_STOP),
        ({"type": None, "price": None}, OrderType.OTHER),
    ],
)
def test_an_order_has_the_type_its_prices_say(raw: dict[str, Any], expected: OrderType) -> None:
    found = order(**raw)

    assert found.type is expected
    assert (found.limit_price is not None) is (expected in {OrderType.LIMIT, OrderType.STOP_LIMIT})


def test_a_fill_keeps_every_digit_and_its_fee() -> None:
    found = parse.fill(make_fill(), ME, BINANCE, NOW)

    assert found.price == Decimal("96000.123456789012345678")
    assert (found.fee, found.fee_asset) == (Decimal("1E-18"), "BNB")
    assert found.side is Side.SELL
    assert found.is_maker


def test_a_fee_that_is_not_told_is_unknown_not_zero() -> None:
    for fee in (None, {}, {"cost": None, "currency": None}, {"cost": Decimal(1)}):
        found = parse.fill(make_fill(fee=fee), ME, BINANCE, NOW)
        assert (found.fee, found.fee_asset) == (None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": None},
        {"order": None},
        {"price": None},
        {"amount": Decimal(0)},
        {"price": Decimal("-1")},
        {"timestamp": None},
        {"side": None},
        {"price": Decimal("NaN")},
        {"price": "a lot"},
    ],
)
def test_a_fill_without_what_makes_it_one_is_a_broken_answer(wrong: dict[str, Any]) -> None:
    with pytest.raises(ExchangeUnavailable):
        parse.fill(make_fill(**wrong), ME, BINANCE, NOW)


def test_the_same_fill_twice_is_one_and_two_with_one_id_are_none() -> None:
    one = parse.fill(make_fill(), ME, BINANCE, NOW)
    later = parse.fill(make_fill(id="10", timestamp=MS + 5), ME, BINANCE, NOW)
    other = parse.fill(make_fill(amount=Decimal(5)), ME, BINANCE, NOW)

    assert parse.unique_fills([later, one, one]) == (one, later)
    with pytest.raises(ExchangeUnavailable):
        parse.unique_fills([one, other])


def test_an_order_listed_twice_is_told_as_it_is_newest() -> None:
    older, newer = order(filled=Decimal(0)), order(filled=Decimal(1))

    assert parse.unique_orders([newer, older]) == (newer,)
    assert parse.unique_orders([older, newer]) == (newer,)


def test_an_instrument_has_the_steps_of_its_market() -> None:
    found = parse.instrument(make_market(), BINANCE, TICK_SIZE)

    assert found is not None
    assert (found.tick_size, found.lot_size) == (Decimal("0.01"), Decimal("0.00001"))
    assert (found.min_quantity, found.max_quantity) == (Decimal("0.0001"), None)
    assert found.type is InstrumentType.SPOT


def test_digits_after_the_point_are_a_step_too() -> None:
    market = make_market(precision={"price": 2, "amount": 0})

    found = parse.instrument(market, BINANCE, DECIMAL_PLACES)

    assert found is not None
    assert (found.tick_size, found.lot_size) == (Decimal("0.01"), Decimal(1))


@pytest.mark.parametrize(
    ("market", "mode"),
    [
        (make_market(type="option"), TICK_SIZE),
        (make_market(symbol="币安人生/USDT", base="币安人生"), TICK_SIZE),
        (make_market(precision={"price": None, "amount": Decimal(1)}), TICK_SIZE),
        (make_market(), SIGNIFICANT_DIGITS),
    ],
    ids=["an option", "a name of no known form", "no step told", "no fixed step"],
)
def test_what_cannot_be_expressed_is_left_out(market: dict[str, Any], mode: int) -> None:
    assert parse.instruments([market, make_market()], BINANCE, mode) == (
        () if mode == SIGNIFICANT_DIGITS else (parse.instrument(make_market(), BINANCE, mode),)
    )


def test_a_candle_is_closed_when_the_venues_clock_is_past_its_end() -> None:
    row = [MS, "1", "3", "0.5", "2", "0.000000000000000001"]
    ends = NOW.replace(minute=1)

    def candle(at: datetime) -> Any:
        return parse.candle(row, BINANCE, "BTC/USDT", Timeframe.M1, at)  # type: ignore[arg-type]

    assert not candle(ends.replace(minute=0, second=59)).is_closed
    assert candle(ends).is_closed
    assert candle(ends).volume == Decimal("1E-18")


def test_a_candle_with_a_missing_column_is_a_broken_answer() -> None:
    for row in ([MS, "1", "2", "0.5", "1.5"], [MS, "1", None, "0.5", "1.5", "3"]):
        with pytest.raises(ExchangeUnavailable):
            parse.candle(row, BINANCE, "BTC/USDT", Timeframe.M1, NOW)  # type: ignore[arg-type]


def test_a_ticker_without_any_price_is_a_broken_answer() -> None:
    raw = {"symbol": "BTC/USDT", "timestamp": MS, "bid": Decimal(1)}
    with pytest.raises(ExchangeUnavailable):
        parse.ticker(raw, BINANCE, NOW)

    assert parse.ticker(raw | {"ask": Decimal(2)}, BINANCE, NOW).price == Decimal("1.5")
    # Venues write "no price" as zero.
    assert parse.ticker(raw | {"last": Decimal(3), "ask": Decimal(0)}, BINANCE, NOW).ask is None


def test_a_flat_position_is_none_and_a_short_one_has_a_positive_quantity() -> None:
    raw = {
        "symbol": "BTC/USDT:USDT",
        "side": "short",
        "contracts": Decimal("0.25"),
        "contractSize": Decimal(1),
        "entryPrice": Decimal("96000"),
        "marginMode": "cross",
        "timestamp": MS - 5000,
        "lastUpdateTimestamp": MS,
    }
    found = parse.position(raw, ME, BINANCE, NOW)

    assert found is not None
    assert (found.side, found.signed_quantity) == (PositionSide.SHORT, Decimal("-0.25"))
    assert found.margin_mode is MarginMode.CROSS
    assert found.leverage is None
    assert found.occurred_at == NOW
    assert parse.position(raw | {"contracts": Decimal(0), "side": None}, ME, BINANCE, NOW) is None
    with pytest.raises(ExchangeUnavailable):
        parse.position(raw | {"side": None}, ME, BINANCE, NOW)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, None),
        (None, None),
        ("", None),
        ("0", None),
        ("1970-01-01T00:00:00Z", None),
        (MS, NOW),
        (str(MS), NOW),
        ("2026-11-23T12:00:00Z", NOW),
    ],
)
def test_a_key_ends_when_the_venue_says_or_never(value: object, expected: datetime | None) -> None:
    assert parse.optional_expiry({"end": value}, "end") == expected


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=0, max_value=10**20))
def test_any_number_a_venue_can_send_comes_through_exactly(number: Decimal) -> None:
    assert parse.decimal({"n": format(number, "f")}, "n") == number
    assert parse.decimal({"n": number}, "n") == number


def test_a_float_is_never_taken_for_money() -> None:
    with pytest.raises(ExchangeUnavailable):
        parse.decimal({"n": 0.1}, "n")
