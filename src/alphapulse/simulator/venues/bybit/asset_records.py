"""Asset records: deposits, withdrawals, and transfers between the account's wallets.

Source: https://bybit-exchange.github.io/docs/v5/asset/deposit/deposit-record,
/v5/asset/withdraw/withdraw-record and /v5/asset/transfer/inter-transfer-list, 2026-11. What comes
from outside reaches the funding wallet, and the venue moves it on at once.
"""

from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256

from alphapulse.domain.money import plain
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.candles import DAY_MS
from alphapulse.simulator.core.events import Cause
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.ledger import LedgerEntry
from alphapulse.simulator.venues.bybit.call import Caller, Private
from alphapulse.simulator.venues.bybit.ids import event_id
from alphapulse.simulator.venues.bybit.params import WINDOW_MS, Params, page, window
from alphapulse.simulator.venues.bybit.rows import Row

ROWS_PER_PAGE_MAX = 50
RECORDS_MS = 30 * DAY_MS

ON_CHAIN, OFF_CHAIN, BOTH = "0", "1", "2"

Render = Callable[[Account, LedgerEntry], Row]


class AssetRecordRoutes:
    """Reads of ``/v5/asset``."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.routes: dict[str, Private] = {
            "/v5/asset/deposit/query-record": self._deposits,
            "/v5/asset/withdraw/query-record": self._withdrawals,
            "/v5/asset/transfer/query-inter-transfer-list": self._transfers,
        }

    def _deposits(self, params: Params, caller: Caller) -> Row:
        found = self._entries(params, caller, RECORDS_MS, Cause.DEPOSIT)
        wanted = {"id": params.optional("id"), "txID": params.optional("txID")}
        return _page(params, caller, found, "rows", deposit_row, wanted)

    def _withdrawals(self, params: Params, caller: Caller) -> Row:
        found = self._entries(params, caller, RECORDS_MS, Cause.WITHDRAWAL)
        if params.optional("withdrawType") == OFF_CHAIN:
            found = []
        wanted = {"withdrawId": params.optional("withdrawID"), "txID": params.optional("txID")}
        return _page(params, caller, found, "rows", withdrawal_row, wanted)

    def _transfers(self, params: Params, caller: Caller) -> Row:
        causes = (Cause.DEPOSIT, Cause.WITHDRAWAL)
        found = self._entries(params, caller, WINDOW_MS, *causes)
        wanted = {"transferId": params.optional("transferId"), "status": params.optional("status")}
        return _page(params, caller, found, "list", transfer_row, wanted)

    def _entries(
        self, params: Params, caller: Caller, longest_ms: int, *causes: Cause
    ) -> list[LedgerEntry]:
        now_ms = self._venue.clock.now_ms()
        start, end = window(params, now_ms, default_ms=longest_ms, longest_ms=longest_ms)
        coin = params.optional("coin")
        return [
            entry
            for entry in self._venue.ledger.all_entries(caller.account.id)
            if entry.cause in causes and start <= entry.at_ms <= end and coin in {None, entry.asset}
        ]


def _page(
    params: Params,
    caller: Caller,
    entries: list[LedgerEntry],
    name: str,
    render: Render,
    wanted: dict[str, str | None],
) -> Row:
    rows = [((entry.at_ms, entry.id), render(caller.account, entry)) for entry in entries]
    named = [
        keyed
        for keyed in rows
        if all(value in {None, keyed[1][field]} for field, value in wanted.items())
    ]
    chosen, cursor = page(
        named, params.optional("cursor"), params.limit(ROWS_PER_PAGE_MAX, ROWS_PER_PAGE_MAX)
    )
    return {name: chosen, "nextPageCursor": cursor}


def deposit_row(account: Account, entry: LedgerEntry) -> Row:
    txid = txid_of(account, entry)
    return {
        "coin": entry.asset,
        "chain": entry.asset,
        "amount": plain(entry.amount),
        "txID": txid,
        "status": 3,
        "toAddress": f"sim-{account.uid}-{entry.asset}",
        "tag": "",
        "depositFee": "",
        "successAt": str(entry.at_ms),
        "confirmations": "50",
        "txIndex": "0",
        "blockHash": sha256(txid.encode()).hexdigest(),
        "batchReleaseLimit": "-1",
        "depositType": "0",
        "fromAddress": "",
        "taxDepositRecordsId": "0",
        "taxStatus": 0,
        "id": str(entry.id),
    }


def withdrawal_row(account: Account, entry: LedgerEntry) -> Row:
    return {
        "coin": entry.asset,
        "chain": entry.asset,
        "amount": plain(-entry.amount),
        "txID": txid_of(account, entry),
        "status": "success",
        "toAddress": f"sim-outside-{entry.asset}",
        "tag": "",
        "withdrawFee": plain(Decimal(0)),
        "createTime": str(entry.at_ms),
        "updateTime": str(entry.at_ms),
        "withdrawId": str(entry.id),
        "withdrawType": int(ON_CHAIN),
        "tax": "0",
        "taxRate": "0",
        "taxType": "",
    }


def transfer_row(account: Account, entry: LedgerEntry) -> Row:
    wallets = ("FUND", "UNIFIED") if entry.amount > 0 else ("UNIFIED", "FUND")
    return {
        "transferId": f"selfTransfer_{event_id('transfer', account.id, entry.id)}",
        "coin": entry.asset,
        "amount": plain(abs(entry.amount)),
        "fromAccountType": wallets[0],
        "toAccountType": wallets[1],
        "timestamp": str(entry.at_ms),
        "status": "SUCCESS",
    }


def txid_of(account: Account, entry: LedgerEntry) -> str:
    """What the chain would call it."""
    return sha256(f"{account.id}:{entry.id}".encode()).hexdigest()
