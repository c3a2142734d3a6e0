"""Valid objects of the domain; override what a test is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from alphapulse.domain import order_states
from alphapulse.domain.account import UNKNOWN_PERMISSIONS, Account, AccountState
from alphapulse.domain.alert import Alert, Severity
from alphapulse.domain.balance import Balance, BalanceReport, Wallet
from alphapulse.domain.identifiers import (
    AccountId,
    Asset,
    ExchangeId,
    ExchangeOrderId,
    Symbol,
    UserId,
)
from alphapulse.domain.instrument import Instrument, InstrumentType
from alphapulse.domain.intent import Intent, client_order_id
from alphapulse.domain.market import Candle, Ticker, Timeframe
from alphapulse.domain.order import (
    Fill,
    Order,
    OrderOrigin,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from alphapulse.domain.position import MarginMode, Position, PositionSide
from alphapulse.domain.session import Session, SessionKind
from alphapulse.domain.user import Role, User

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
USER = UserId("user-1")
ACCOUNT = AccountId("account-1")
BINANCE = ExchangeId("binance")
BTC = Symbol("BTC/USDT")


def make_user(**changes: Any) -> User:
    user = User(USER, "Anna", Role.ADMIN, "USD", "Europe/Berlin", 1, False, NOW, None)
    return replace(user, **changes)


def make_account(account_id: str = ACCOUNT, **changes: Any) -> Account:
    account = Account(
        id=AccountId(account_id),
        owner_id=None,
        exchange=BINANCE,
        label="Main",
        state=AccountState.ACTIVE,
        state_reason=None,
        is_simulated=True,
        permissions=UNKNOWN_PERMISSIONS,
        permissions_checked_at=None,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(account, **changes)


def make_balance(asset: str = "BTC", free: str = "1.5", **changes: Any) -> Balance:
    balance = Balance(Wallet.SPOT, Asset(asset), Decimal(free), Decimal("0.25"), Decimal(0))
    return replace(balance, **changes)


def make_report(*balances: Balance, **changes: Any) -> BalanceReport:
    report = BalanceReport(ACCOUNT, frozenset({Wallet.SPOT}), balances, NOW, NOW)
    return replace(report, **changes)


def make_position(**changes: Any) -> Position:
    position = Position(
        account_id=ACCOUNT,
        exchange=BINANCE,
        symbol=Symbol("BTC/USDT:USDT"),
        side=PositionSide.LONG,
        quantity=Decimal("0.5"),
        contract_size=Decimal(1),
        entry_price=Decimal("64000.1"),
        mark_price=Decimal("64100.25"),
        unrealized_pnl=Decimal("50.075"),
        realized_pnl=None,
        leverage=Decimal(10),
        margin_mode=MarginMode.CROSS,
        initial_margin=None,
        maintenance_margin=None,
        liquidation_price=None,
        occurred_at=NOW,
        received_at=NOW,
    )
    return replace(position, **changes)


def make_order(number: int = 1, **changes: Any) -> Order:
    order = Order(
        account_id=ACCOUNT,
        exchange=BINANCE,
        symbol=BTC,
        exchange_order_id=ExchangeOrderId(str(number)),
        client_order_id=None,
        side=Side.BUY,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        post_only=False,
        reduce_only=False,
        quantity=Decimal(2),
        filled_quantity=Decimal(0),
        limit_price=Decimal("64000.10"),
        stop_price=None,
        average_price=None,
        status=OrderStatus.OPEN,
        origin=OrderOrigin.EXTERNAL,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(order, **changes)


def make_request(**changes: Any) -> OrderRequest:
    request = OrderRequest(
        account_id=ACCOUNT,
        symbol=BTC,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(2),
        limit_price=Decimal("64000.10"),
        time_in_force=TimeInForce.GTC,
    )
    return replace(request, **changes)


def make_intent(key: str = "key-1", **changes: Any) -> Intent:
    intent = Intent(
        client_order_id=client_order_id(ACCOUNT, USER, key),
        account_id=ACCOUNT,
        user_id=USER,
        request=make_request(),
        reserved_asset=Asset("USDT"),
        reserved=Decimal("128000.20"),
        value=Decimal("128000.20"),
        created_at=NOW,
    )
    return replace(intent, **changes)


def make_own_order(key: str = "key-1", **changes: Any) -> Order:
    """The order of `make_intent`, prepared and nothing more."""
    request, name = make_request(), client_order_id(ACCOUNT, USER, key)
    return replace(order_states.prepared(request, BINANCE, name, NOW), **changes)


def make_fill(number: int = 1, **changes: Any) -> Fill:
    fill = Fill(
        account_id=ACCOUNT,
        exchange=BINANCE,
        symbol=BTC,
        trade_id=str(number),
        exchange_order_id=ExchangeOrderId("1"),
        client_order_id=None,
        side=Side.BUY,
        price=Decimal("64000.1"),
        quantity=Decimal("0.00000001"),
        fee=Decimal("-0.0000000001"),
        fee_asset=Asset("BNB"),
        is_maker=True,
        occurred_at=NOW + timedelta(seconds=number),
    )
    return replace(fill, **changes)


def make_instrument(symbol: str = BTC, **changes: Any) -> Instrument:
    """Spot, or a linear perpetual where the symbol names a settle currency."""
    pair, _, settle = symbol.partition(":")
    base, quote = pair.split("/")
    instrument = Instrument(
        exchange=BINANCE,
        symbol=Symbol(symbol),
        exchange_symbol=base + quote,
        type=InstrumentType.PERPETUAL if settle else InstrumentType.SPOT,
        base=Asset(base),
        quote=Asset(quote),
        settle=Asset(settle) if settle else None,
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.00001"),
        min_quantity=None,
        max_quantity=Decimal(9000),
        min_notional=Decimal(5),
        contract_size=Decimal(1),
        is_active=True,
    )
    return replace(instrument, **changes)


def make_ticker(symbol: str = BTC, **changes: Any) -> Ticker:
    ticker = Ticker(
        exchange=BINANCE,
        symbol=Symbol(symbol),
        occurred_at=NOW,
        received_at=NOW,
        last=Decimal("64000.10"),
        bid=Decimal("64000.0"),
        index=Decimal("63999.123456789"),
        next_funding_at=NOW,
    )
    return msgspec.structs.replace(ticker, **changes)


def make_candle(minute: int = 0, **changes: Any) -> Candle:
    candle = Candle(
        exchange=BINANCE,
        symbol=BTC,
        timeframe=Timeframe.M1,
        open_time=datetime(2026, 11, 23, 12, tzinfo=UTC) + timedelta(minutes=minute),
        open=Decimal("64000.1"),
        high=Decimal("64010.2"),
        low=Decimal("63990.3"),
        close=Decimal("64005.4"),
        volume=Decimal("12.345678"),
        is_closed=True,
        trades=321,
    )
    return msgspec.structs.replace(candle, **changes)


def make_alert(key: str = "sync:binance:prices", **changes: Any) -> Alert:
    alert = Alert(
        id=f"{key}@{NOW}",
        key=key,
        severity=Severity.WARNING,
        title="Prices are stale",
        detail=None,
        fix="Check your network.",
        code="exchange_unavailable",
        exchange=BINANCE,
        account_id=None,
        started_at=NOW,
    )
    return replace(alert, **changes)


def make_session(session_id: str = "session-1", **changes: Any) -> Session:
    session = Session(
        id=session_id,
        user_id=USER,
        kind=SessionKind.API,
        created_at=NOW,
        last_seen_at=NOW,
        expires_at=NOW + timedelta(days=30),
        ip="192.0.2.1",
        agent="curl",
    )
    return replace(session, **changes)
