"""Rows of Bybit's transaction log as cash flows.

A row's ``change`` is what the balance moved by; it is taken apart into what was moved, funding and
the fee, so that the parts are the change whatever the venue calls the row.

Source of the types: https://bybit-exchange.github.io/docs/v5/enum#typeuta-translog, read 2026-11.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from alphapulse.domain.cash_flow import CashFlow, FlowKind
from alphapulse.domain.identifiers import AccountId, Symbol
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.exchanges.adapters.bybit.rows import CATEGORIES, EXCHANGE, Raw
from alphapulse.exchanges.adapters.bybit.transfers import Record
from alphapulse.exchanges.ccxt import parse

TRANSFER_TYPES = ("TRANSFER_IN", "TRANSFER_OUT")

_TRADE_TYPES = {"TRADE", "LIQUIDATION", "ADL"}

_KINDS = {
    "TRADE": FlowKind.PROFIT,
    "LIQUIDATION": FlowKind.PROFIT,
    "ADL": FlowKind.PROFIT,
    "DELIVERY": FlowKind.PROFIT,
    # What is not funding: the profit of a session, of contracts in USDC.
    "SETTLEMENT": FlowKind.PROFIT,
    "AIRDROP": FlowKind.REWARD,
    "BONUS": FlowKind.REWARD,
    "BONUS_RECOLLECT": FlowKind.REWARD,
    "FEE_REFUND": FlowKind.FEE,
    "INTEREST": FlowKind.INTEREST,
    "CURRENCY_BUY": FlowKind.CONVERSION,
    "CURRENCY_SELL": FlowKind.CONVERSION,
    "SPOT_REPAYMENT_BUY": FlowKind.CONVERSION,
    "SPOT_REPAYMENT_SELL": FlowKind.CONVERSION,
    "IDN_CONVERT_IN": FlowKind.CONVERSION,
    "IDN_CONVERT_OUT": FlowKind.CONVERSION,
    "FLEXIBLE_STAKING_SUBSCRIPTION": FlowKind.TRANSFER,
    "FLEXIBLE_STAKING_REDEMPTION": FlowKind.TRANSFER,
    "FIXED_STAKING_SUBSCRIPTION": FlowKind.TRANSFER,
    "ONCHAINEARN_SUBSCRIPTION": FlowKind.TRANSFER,
    "ONCHAINEARN_REDEMPTION": FlowKind.TRANSFER,
    "ONCHAINEARN_REFUND": FlowKind.TRANSFER,
}


class LogRows:
    """Reads rows for one account; ``client`` is CCXT's instance of linear contracts."""

    def __init__(self, account_id: Callable[[], AccountId], now: Callable[[], datetime]) -> None:
        self._account_id = account_id
        self._now = now
        self._unlisted: set[str] = set()

    def flows(self, client: Any, row: Raw) -> list[CashFlow]:
        """What a row tells that no fill does; nothing where it is all of a fill."""
        kind = _KINDS.get(parse.text(row, "type"), FlowKind.OTHER)
        fee, funding = _amount(row, "fee"), _amount(row, "funding")
        moved = EXACT.subtract(EXACT.add(_change(row), fee), funding)
        if _is_of_fill(row):
            if row["category"] == "spot":
                return []
            fee = ZERO  # told with the fill
        if row["category"] == "option":
            kind = FlowKind.OTHER  # a premium is no profit yet
        found: list[CashFlow] = []
        if funding:
            found.append(self._flow(client, row, FlowKind.FUNDING, funding, part=":funding"))
        if moved:
            found.append(self._flow(client, row, kind, moved, fee=fee))
        elif fee:
            found.append(self._flow(client, row, FlowKind.FEE, EXACT.minus(fee)))
        return found

    def transfer(self, client: Any, row: Raw, record: Record | None) -> CashFlow:
        """A transfer, or the deposit or withdrawal that it was."""
        if record is None:
            return self._flow(client, row, FlowKind.TRANSFER, _change(row))
        return self._flow(
            client, row, record.kind, record.quantity, fee=record.fee, reference=record.txid
        )

    def has_unknown(self, client: Any, rows: Sequence[Raw]) -> bool:
        """Whether one names a contract that is not listed, as far as we know."""
        return bool(_unlisted(client, rows) - self._unlisted)

    def give_up(self, client: Any, rows: Sequence[Raw]) -> None:
        """What is unknown now is listed no more; it is not looked for again."""
        self._unlisted |= _unlisted(client, rows)

    def _flow(
        self,
        client: Any,
        row: Raw,
        kind: FlowKind,
        quantity: Decimal,
        *,
        fee: Decimal = ZERO,
        part: str = "",
        reference: str | None = None,
    ) -> CashFlow:
        word, coin = parse.text(row, "type"), parse.text(row, "currency")
        at = parse.moment(row, "transactionTime", self._now())
        symbol = _symbol(client, row)
        if kind is FlowKind.CONVERSION:
            # Nothing else says which halves belong together.
            reference = f"conversion:{row['transactionTime']}"
        return CashFlow(
            account_id=self._account_id(),
            exchange=EXCHANGE,
            id=name_of(row) + part,
            kind=kind,
            asset=parse.asset_of(client.safe_currency_code(coin)),
            quantity=quantity,
            occurred_at=at,
            fee=fee or None,
            symbol=symbol,
            reference=reference or row.get("tradeId") or None,
            note=word if symbol or not row.get("symbol") else f"{word} {row['symbol']}",
        )


def name_of(row: Raw) -> str:
    """What names a row: the documentation's own example shows one id twice, for two movements."""
    parts = [parse.text(row, key) for key in ("type", "id", "currency")]
    return ":".join([*parts, row.get("tradeId") or ""])


def _is_of_fill(row: Raw) -> bool:
    """Whether this adapter reads the execution that the row is of."""
    return (
        row["type"] in _TRADE_TYPES
        and row.get("category") in CATEGORIES.values()
        and bool(row.get("tradeId"))
        and not row.get("transSubType")
    )


def _change(row: Raw) -> Decimal:
    return parse.decimal(row, "change")


def _amount(row: Raw, key: str) -> Decimal:
    return parse.optional_decimal(row, key) or ZERO


def _unlisted(client: Any, rows: Sequence[Raw]) -> set[str]:
    return {row["symbol"] for row in rows if _is_linear(row) and _symbol(client, row) is None}


def _is_linear(row: Raw) -> bool:
    return row.get("category") == "linear" and bool(row.get("symbol"))


def _symbol(client: Any, row: Raw) -> Symbol | None:
    """Of a linear contract that is listed."""
    if not _is_linear(row):
        return None
    known = [m for m in client.markets_by_id.get(row["symbol"], ()) if m["linear"]]
    return parse.symbol_of(known[0]) if known else None
