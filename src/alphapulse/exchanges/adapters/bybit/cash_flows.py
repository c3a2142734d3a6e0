"""Bybit cash flows: what moved the unified wallet besides fills.

The transaction log has a row for every movement of the wallet, and only what it shows is told, so
nothing is counted twice. The records of deposits and withdrawals move nothing here: what comes from
outside passes through the funding wallet, and the log shows a transfer from there. They say of such
a transfer that it was a deposit or a withdrawal, its fee, and the chain's name of it.

Two cursors read the log: one for transfers, a day back each time, because a withdrawal gets its
name on the chain late; the other for everything else.

Source: https://bybit-exchange.github.io/docs/v5/account/transaction-log, /v5/asset/deposit and
/v5/asset/withdraw, read 2026-11.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from alphapulse.domain.cash_flow import CashFlow, FlowCursor
from alphapulse.errors import InvalidInput, PermissionMissing
from alphapulse.exchanges.adapters.bybit.log_rows import TRANSFER_TYPES, LogRows, name_of
from alphapulse.exchanges.adapters.bybit.rows import Raw, rows_if_few, whole_window
from alphapulse.exchanges.adapters.bybit.transfers import (
    NEAR,
    Record,
    deposits_of,
    explained,
    withdrawals_of,
)
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.session import ExchangeSession, moment_of_ms, ms_of
from alphapulse.exchanges.port import FlowPage

LOG, TRANSFERS = "log", "transfers"

ROWS_PER_PAGE = 50

# The longest range of the log; of records it is longer.
WINDOW = timedelta(days=7)

# The venue keeps its log for two years.
LOG_KEPT = timedelta(days=729)

# In a storm of trading the log is late, by minutes.
OVERLAPS = {LOG: timedelta(minutes=10), TRANSFERS: timedelta(days=1)}

# A withdrawal may fail so long after it was asked for, and the money comes back.
RECORDS_BACK = timedelta(days=3)

# A transfer that no record explains is told after this: its record may be on the way.
PATIENCE = timedelta(minutes=2)


class BybitFlows:
    """Reads the cash flows of one account."""

    def __init__(self, rows: LogRows, session: ExchangeSession) -> None:
        self._rows = rows
        self._session = session
        self._reads = {LOG: self._log, TRANSFERS: self._transfers}

    def first_cursors(self, since: datetime) -> tuple[FlowCursor, ...]:
        begin = max(since, self._session.venue_now() - LOG_KEPT)
        return tuple(FlowCursor(source, str(ms_of(begin))) for source in self._reads)

    async def page(self, cursor: FlowCursor) -> FlowPage:
        """One window, complete."""
        read = self._reads.get(cursor.source)
        if read is None or not cursor.position.isdecimal():
            raise InvalidInput("not a Bybit cash flow cursor", field="cursor")
        now = self._session.venue_now()
        start = min(moment_of_ms(int(cursor.position)), now)
        flows, end = await whole_window(read, start, now, WINDOW)
        is_last = end >= now
        resume_at = max(start, end - OVERLAPS[cursor.source]) if is_last else end
        return FlowPage(
            flows=parse.unique_flows(flows),
            next_cursor=FlowCursor(cursor.source, str(ms_of(resume_at))),
            is_last=is_last,
            read_until=end,
        )

    async def _log(self, start: datetime, end: datetime) -> list[CashFlow] | None:
        rows = await self._logged(start, end)
        if rows is None:
            return None
        others = [row for row in rows if row.get("type") not in TRANSFER_TYPES]
        client = await self._knowing(others)
        return [flow for row in others for flow in self._rows.flows(client, row)]

    async def _transfers(self, start: datetime, end: datetime) -> list[CashFlow] | None:
        rows: dict[str, Raw] = {}
        for kind in TRANSFER_TYPES:
            found = await self._logged(start, end, type=kind)
            if found is None:
                return None
            # One told twice must not take the records of two.
            rows |= {name_of(row): row for row in found}
        if not rows:
            return []
        # After the rows: what they are explained by was there before them.
        now = self._session.venue_now()
        records = await self._records(start - RECORDS_BACK, min(end + NEAR, now))
        if records is None:
            return None
        client = await self._session.loaded(MarketType.SWAP)
        return [
            self._rows.transfer(client, row, record)
            for row, record in explained(list(rows.values()), records, now)
            if record is not None or now - parse.moment(row, "transactionTime", now) >= PATIENCE
        ]

    async def _logged(self, start: datetime, end: datetime, **asked: str) -> list[Raw] | None:
        """Rows of the log; ``None`` when they are too many for one call."""
        request = {"accountType": "UNIFIED", **asked, **_window(start, end)}

        async def read(client: Any) -> list[Raw] | None:
            return await rows_if_few(client.private_get_v5_account_transaction_log, request)

        return await self._session.call(MarketType.SWAP, read, list_is_good=True)

    async def _records(self, start: datetime, end: datetime) -> list[Record] | None:
        """What may explain transfers; none where the key may not see it."""
        request = _window(start, end)
        found: list[Record] = []

        async def deposits(client: Any) -> list[Raw] | None:
            return await rows_if_few(
                client.private_get_v5_asset_deposit_query_record, request, name="rows"
            )

        async def withdrawals(client: Any) -> list[Raw] | None:
            return await rows_if_few(
                client.private_get_v5_asset_withdraw_query_record, request, name="rows"
            )

        for read, records_of in ((deposits, deposits_of), (withdrawals, withdrawals_of)):
            # A subaccount's key sees no withdrawals: it has none.
            with suppress(PermissionMissing):
                rows = await self._session.call(MarketType.SWAP, read, list_is_good=True)
                if rows is None:
                    return None
                now = self._session.venue_now()
                found += [record for row in rows for record in records_of(row, now)]
        return found

    async def _knowing(self, rows: Sequence[Raw]) -> Any:
        """CCXT's instance that knows the contracts of some rows, as far as they are listed."""
        client = await self._session.loaded(MarketType.SWAP)
        if self._rows.has_unknown(client, rows):
            client = await self._session.reload_markets(MarketType.SWAP)
            self._rows.give_up(client, rows)
        return client


def _window(start: datetime, end: datetime) -> Raw:
    return {"startTime": ms_of(start), "endTime": ms_of(end), "limit": ROWS_PER_PAGE}
