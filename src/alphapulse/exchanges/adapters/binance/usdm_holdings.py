"""Binance USD-M holdings: the futures wallet and its positions, from REST.

A position's row carries neither leverage nor margin mode since v3; a symbol's settings do.
Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api,
read 2026-11.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from alphapulse.domain.balance import Balance, Wallet
from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.position import MarginMode, Position, PositionSide
from alphapulse.exchanges.ccxt import parse

EXCHANGE = ExchangeId("binance")

_MARGIN_MODES = {"CROSSED": MarginMode.CROSS, "ISOLATED": MarginMode.ISOLATED}


async def balances(client: Any) -> list[Balance]:
    """Every asset of the futures wallet."""
    raw = await client.fapiprivatev3_get_account()
    return [_balance(row, client) for row in raw["assets"]]


def _balance(row: parse.Raw, client: Any) -> Balance:
    total = parse.decimal(row, "walletBalance")
    # What is available counts profit that is not in the wallet yet.
    free = min(max(ZERO, parse.decimal(row, "availableBalance")), total)
    return Balance(
        wallet=Wallet.FUTURES,
        asset=parse.asset_of(client.safe_currency_code(parse.text(row, "asset"))),
        free=free,
        locked=EXACT.subtract(total, free),
        borrowed=ZERO,
    )


async def positions(client: Any, account_id: AccountId, now: datetime) -> list[Position]:
    """Every open position; one that is absent is flat."""
    rows = await client.fapiprivatev3_get_positionrisk()
    open_rows = [row for row in rows if parse.decimal(row, "positionAmt") != 0]
    if not open_rows:
        return []
    settings = {row["symbol"]: row for row in await client.fapiprivate_get_symbolconfig()}
    return [
        position(client, row, settings.get(row["symbol"], {}), account_id, now) for row in open_rows
    ]


def position(
    client: Any, row: parse.Raw, setting: parse.Raw, account_id: AccountId, now: datetime
) -> Position:
    """One open position of REST's."""
    signed = parse.decimal(row, "positionAmt")
    return Position(
        account_id=account_id,
        exchange=EXCHANGE,
        symbol=parse.symbol_of(client.safe_market(parse.text(row, "symbol"), None, None, "swap")),
        side=side_of(row.get("positionSide"), signed),
        quantity=abs(signed),
        contract_size=Decimal(1),
        entry_price=parse.decimal(row, "entryPrice"),
        mark_price=parse.positive_decimal(row, "markPrice"),
        unrealized_pnl=parse.optional_decimal(row, "unRealizedProfit"),
        realized_pnl=None,
        leverage=parse.positive_decimal(setting, "leverage"),
        margin_mode=_MARGIN_MODES.get(str(setting.get("marginType"))),
        initial_margin=parse.optional_decimal(row, "initialMargin"),
        maintenance_margin=parse.optional_decimal(row, "maintMargin"),
        liquidation_price=parse.positive_decimal(row, "liquidationPrice"),
        occurred_at=parse.optional_moment(row, "updateTime", now) or now,
        received_at=now,
    )


def side_of(position_side: object, signed: Decimal) -> PositionSide:
    """Long or short: said in hedge mode, else by the sign."""
    if position_side in {"LONG", "SHORT"}:
        return PositionSide(str(position_side).lower())
    return PositionSide.LONG if signed > 0 else PositionSide.SHORT
