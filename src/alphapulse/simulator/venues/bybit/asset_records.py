"""Asset records: deposits, withdrawals, and transfers between the account's wallets.

What comes from outside reaches the funding wallet, and the venue moves it on at once; what goes out
it fetches from the unified wallet first. Source: https://bybit-exchange.github.io/docs/v5, pages
asset/deposit/deposit-record, asset/withdraw/withdraw-record, asset/transfer/inter-transfer-list and
enum, 2026-11. That transfers of the venue's own making are listed is not documented.
"""

from collections.abc import Iterable
from hashlib import sha256

from alphapulse.domain.money import plain
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.candles import DAY_MS
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.ledger import LedgerEntry
from alphapulse.simulator.core.treasury import Crossing, CrossingState
from alphapulse.simulator.venues.bybit.call import Caller, Private
from alphapulse.simulator.venues.bybit.ids import event_id
from alphapulse.simulator.venues.bybit.movements import CROSSES_WALLETS
from alphapulse.simulator.venues.bybit.params import WINDOW_MS, Keyed, Params, page, window
from alphapulse.simulator.venues.bybit.rows import Row

ROWS_PER_PAGE_MAX = 50
RECORDS_MS = 30 * DAY_MS

ON_CHAIN, OFF_CHAIN = 0, 1

_DEPOSITS = {CrossingState.PENDING: 1, CrossingState.DONE: 3, CrossingState.FAILED: 4}
_WITHDRAWALS = {
    CrossingState.PENDING: "Pending",
    CrossingState.DONE: "success",
    CrossingState.FAILED: "Fail",
}


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
        rows = [
            ((one.created_ms, one.id), deposit_row(caller.account, one))
            for one in self._venue.treasury.crossings(caller.account.id)
            if one.is_deposit
        ]
        return self._page(params, rows, RECORDS_MS, id="id", txID="txID")

    def _withdrawals(self, params: Params, caller: Caller) -> Row:
        # Everything crosses over a chain here.
        is_asked_for = params.optional("withdrawType") != str(OFF_CHAIN)
        rows = [
            ((one.created_ms, one.id), withdrawal_row(one))
            for one in self._venue.treasury.crossings(caller.account.id)
            if not one.is_deposit and is_asked_for
        ]
        return self._page(params, rows, RECORDS_MS, withdrawID="withdrawId", txID="txID")

    def _transfers(self, params: Params, caller: Caller) -> Row:
        rows = [
            ((entry.at_ms, entry.id), transfer_row(caller.account, entry))
            for entry in self._venue.ledger.all_entries(caller.account.id)
            if entry.cause in CROSSES_WALLETS
        ]
        told = self._page(params, rows, WINDOW_MS, transferId="transferId", status="status")
        return {"list": told["rows"], "nextPageCursor": told["nextPageCursor"]}

    def _page(
        self, params: Params, rows: Iterable[Keyed[Row]], longest_ms: int, **fields: str
    ) -> Row:
        """Rows of the time asked for; ``fields`` are parameters and what of a row they name."""
        now_ms = self._venue.clock.now_ms()
        start, end = window(params, now_ms, default_ms=longest_ms, longest_ms=longest_ms)
        wanted = {
            field: value
            for name, field in {"coin": "coin", **fields}.items()
            if (value := params.optional(name)) is not None
        }
        found = [
            keyed
            for keyed in rows
            if start <= keyed[0][0] <= end and wanted.items() <= keyed[1].items()
        ]
        limit = params.limit(ROWS_PER_PAGE_MAX, ROWS_PER_PAGE_MAX)
        chosen, cursor = page(found, params.optional("cursor"), limit)
        return {"rows": chosen, "nextPageCursor": cursor}


def deposit_row(account: Account, crossing: Crossing) -> Row:
    return {
        "coin": crossing.asset,
        "chain": crossing.network,
        "amount": plain(crossing.amount),
        "txID": crossing.txid,
        "status": _DEPOSITS[crossing.state],
        "toAddress": f"sim-{account.uid}-{crossing.asset}",
        "tag": "",
        "depositFee": "",
        "successAt": str(crossing.ended_ms or crossing.created_ms),
        "confirmations": "50",
        "txIndex": "0",
        "blockHash": sha256(crossing.txid.encode()).hexdigest(),
        "batchReleaseLimit": "-1",
        "depositType": "0",
        "fromAddress": "",
        "taxDepositRecordsId": "0",
        "taxStatus": 0,
        "id": str(crossing.id),
    }


def withdrawal_row(crossing: Crossing) -> Row:
    is_done = crossing.state is CrossingState.DONE
    return {
        "coin": crossing.asset,
        "chain": crossing.network,
        "amount": plain(crossing.amount),
        "txID": crossing.txid if is_done else "",
        "status": _WITHDRAWALS[crossing.state],
        "toAddress": f"sim-outside-{crossing.asset}",
        "tag": "",
        "withdrawFee": plain(crossing.fee),
        "createTime": str(crossing.created_ms),
        "updateTime": str(crossing.ended_ms or crossing.created_ms),
        "withdrawId": str(crossing.id),
        "withdrawType": ON_CHAIN,
        "tax": "0",
        "taxRate": "0",
        "taxType": "",
    }


def transfer_row(account: Account, entry: LedgerEntry) -> Row:
    source, target = ("FUND", "UNIFIED") if entry.amount > 0 else ("UNIFIED", "FUND")
    return {
        "transferId": f"selfTransfer_{event_id('transfer', account.id, entry.id)}",
        "coin": entry.asset,
        "amount": plain(abs(entry.amount)),
        "fromAccountType": source,
        "toAccountType": target,
        "timestamp": str(entry.at_ms),
        "status": "SUCCESS",
    }
