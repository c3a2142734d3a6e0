"""Cash flows of any exchange: its deposits and withdrawals, as CCXT's unified methods tell them.

Nothing else is read. What else moves an account's money is told by few exchanges through CCXT, and
where there is a whole ledger it has the fills in it, too; books of such an account are never called
exact. Only what is final is told, so that nothing told has to be taken back.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from alphapulse.domain.cash_flow import CashFlow, FlowCursor, FlowKind
from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.domain.money import EXACT
from alphapulse.errors import InvalidInput
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.session import ExchangeSession, moment_of_ms, ms_of
from alphapulse.exchanges.port import FlowPage

APART, TOGETHER = ("deposits", "withdrawals"), "crossings"

# CCXT's methods by what the cursor calls them.
METHODS = {
    "deposits": "fetchDeposits",
    "withdrawals": "fetchWithdrawals",
    TOGETHER: "fetchDepositsWithdrawals",
}

# Exchanges allow 30 days or more at a time; some of them less by a moment.
WINDOW = timedelta(days=29)

# What is under way is read again for so long.
OVERLAP = timedelta(days=7)

# No exchange tells fewer at a time; a list of so many may have been cut off, at either end.
ROWS_SURELY_WHOLE = 9

# Not everything at one moment can be told apart.
SHORTEST = timedelta(seconds=1)

_KINDS = {"deposit": FlowKind.DEPOSIT, "withdrawal": FlowKind.WITHDRAWAL}

_DONE = "ok"


class GenericFlows:
    """Reads deposits and withdrawals of one account."""

    def __init__(
        self, exchange: ExchangeId, session: ExchangeSession, market_type: MarketType
    ) -> None:
        self._id = exchange
        self._session = session
        self._market_type = market_type

    def first_cursors(self, since: datetime) -> tuple[FlowCursor, ...]:
        """None where CCXT reads neither deposits nor withdrawals of this exchange."""
        there = {name for name, method in METHODS.items() if self._has(method)}
        # Both together are the same again.
        apart = [name for name in APART if name in there]
        sources = [TOGETHER] if TOGETHER in there and len(apart) < len(APART) else apart
        return tuple(FlowCursor(name, str(ms_of(since))) for name in sources)

    async def page(self, account_id: AccountId, cursor: FlowCursor) -> FlowPage:
        """What was final of one window."""
        method = METHODS.get(cursor.source)
        if method is None or not cursor.position.isdecimal():
            raise InvalidInput("not a cash flow cursor of this exchange", field="cursor")
        now = self._session.venue_now()
        start = min(moment_of_ms(int(cursor.position)), now)
        end = min(start + WINDOW, now)
        rows = await self._rows(method, start, end)
        flows = [flow for row in rows for flow in flows_of(row, account_id, self._id, now)]
        is_last = end >= now
        resume_at = max(start, end - OVERLAP) if is_last else end
        return FlowPage(
            flows=parse.unique_flows(flows),
            next_cursor=FlowCursor(cursor.source, str(ms_of(resume_at))),
            is_last=is_last,
            read_until=end,
        )

    async def _rows(self, method: str, start: datetime, end: datetime) -> list[parse.Raw]:
        """Every row of a time: halves of it are asked for until none can have been cut off."""
        rows = await self._ask(method, start, end)
        if len(rows) <= ROWS_SURELY_WHOLE or end - start < SHORTEST:
            return rows
        middle = start + (end - start) / 2
        return [
            *await self._rows(method, start, middle),
            *await self._rows(method, middle, end),
        ]

    async def _ask(self, method: str, start: datetime, end: datetime) -> list[parse.Raw]:
        limited = {} if end >= self._session.venue_now() else {"until": ms_of(end)}

        async def ask(client: Any) -> Any:
            read = getattr(client, _python_name(method))
            return await read(None, ms_of(start), None, limited)

        rows = await self._session.call(self._market_type, ask, list_is_good=True)
        # Not every exchange knows an end.
        return [row for row in rows if (row.get("timestamp") or 0) <= ms_of(end)]

    def _has(self, method: str) -> bool:
        return bool(self._session.client(self._market_type).has.get(method))


def flows_of(
    row: parse.Raw, account_id: AccountId, exchange: ExchangeId, now: datetime
) -> list[CashFlow]:
    """A deposit or a withdrawal that is done, and its fee; nothing before."""
    kind = _KINDS.get(row.get("type") or "")
    if kind is None or row.get("status") != _DONE:
        return []
    amount, coin = parse.decimal(row, "amount"), parse.asset_of(parse.text(row, "currency"))
    name = row.get("id") or row.get("txid") or f"{row.get('timestamp')}:{coin}:{amount}"
    paid = row.get("fee") or {}
    fee = parse.optional_decimal(paid, "cost") or None
    fee_coin = coin if fee is None else parse.asset_of(paid.get("currency") or coin)
    moved = CashFlow(
        account_id=account_id,
        exchange=exchange,
        id=f"{kind}:{name}",
        kind=kind,
        asset=coin,
        quantity=amount if kind is FlowKind.DEPOSIT else EXACT.minus(amount),
        occurred_at=parse.moment(row, "timestamp", now),
        fee=fee if fee_coin == coin else None,
        reference=row.get("txid") or None,
    )
    if fee is None or fee_coin == coin:
        return [moved]
    # Paid in another coin it is a movement of its own.
    charged = replace(
        moved, id=f"{moved.id}:fee", kind=FlowKind.FEE, asset=fee_coin, quantity=EXACT.minus(fee)
    )
    return [moved, charged]


def _python_name(method: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in method)
