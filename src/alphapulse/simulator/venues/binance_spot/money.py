"""Money routes: what moved an account's spot wallet without an order, to be read window by window.

Sources: https://developers.binance.com/docs/wallet/capital/deposite-history, /withdraw-history,
/docs/wallet/asset/query-user-universal-transfer, /dust-log and /assets-divided-record, 2026-11.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from alphapulse.domain.money import EXACT, total
from alphapulse.simulator.core.candles import DAY_MS
from alphapulse.simulator.core.events import Cause, Movement
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.ledger import LedgerEntry
from alphapulse.simulator.core.treasury import Crossing, CrossingState
from alphapulse.simulator.venues.binance.codes import BinanceError
from alphapulse.simulator.venues.binance.market_rows import Row, text
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.binance.routes import Caller, Private
from alphapulse.simulator.venues.binance.transfers import INTO, transfer_id

CROSSINGS_MAX = 1_000
TRANSFERS_MAX = 100
DUST_MAX = 100
DIVIDENDS_MAX = 500

_DEPOSIT_STATUS = {
    CrossingState.PENDING: 0,
    CrossingState.DONE: 1,
    CrossingState.FAILED: 2,
}
_WITHDRAWAL_STATUS = {
    CrossingState.PENDING: 4,
    CrossingState.DONE: 6,
    CrossingState.FAILED: 5,
}


@dataclass(frozen=True, slots=True)
class Span:
    """A range of time, ms, both ends included."""

    start_ms: int
    end_ms: int

    def __contains__(self, at_ms: int) -> bool:
        return self.start_ms <= at_ms <= self.end_ms


class MoneyRoutes:
    """Newest first, as the venue lists all of it."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    @property
    def reads(self) -> dict[tuple[str, str], Private]:
        """By method and path."""
        return {
            ("GET", "/sapi/v1/capital/deposit/hisrec"): self._deposits,
            ("GET", "/sapi/v1/capital/withdraw/history"): self._withdrawals,
            ("GET", "/sapi/v1/asset/transfer"): self._transfers,
            ("GET", "/sapi/v1/asset/dribblet"): self._dust,
            ("GET", "/sapi/v1/asset/assetDividend"): self._dividends,
        }

    def _deposits(self, params: Params, caller: Caller) -> list[Row]:
        picked = self._crossings(params, caller, is_deposit=True)
        return [_deposit(one) for one in picked]

    def _withdrawals(self, params: Params, caller: Caller) -> list[Row]:
        picked = self._crossings(params, caller, is_deposit=False)
        return [_withdrawal(one) for one in picked]

    def _crossings(self, params: Params, caller: Caller, *, is_deposit: bool) -> list[Crossing]:
        span, coin, wanted = (
            self._span(params, 90),
            params.optional("coin"),
            params.integer("status"),
        )
        statuses = _DEPOSIT_STATUS if is_deposit else _WITHDRAWAL_STATUS
        found = [
            one
            for one in self._venue.treasury.crossings(caller.account.id)
            if one.is_deposit is is_deposit
            and one.category is Category.SPOT
            and one.created_ms in span
            and coin in (None, one.asset)
            and wanted in (None, statuses[one.state])
        ]
        first = params.integer("offset") or 0
        return found[::-1][first : first + params.limit(CROSSINGS_MAX, CROSSINGS_MAX)]

    def _transfers(self, params: Params, caller: Caller) -> Row:
        into = INTO.get(params.text("type"))
        span = self._span(params, 180, default_days=7)
        found = [
            one
            for one in self._entries(caller, span, Cause.TRANSFER)
            if (one.amount > 0) is (into is Category.SPOT)
        ]
        # Of the many kinds of wallets only two are simulated.
        known = [] if into is None else found
        size = min(params.integer("size") or 10, TRANSFERS_MAX)
        first = ((params.integer("current") or 1) - 1) * size
        rows = [_transfer(one, params.text("type")) for one in known[first : first + size]]
        return {"total": len(known)} if not known else {"total": len(known), "rows": rows}

    def _dust(self, params: Params, caller: Caller) -> Row:
        span = self._span(params, 90)
        by_reference = groupby(
            self._entries(caller, span, Cause.CONVERSION), lambda one: _of(one).reference
        )
        # Of each pair the half that came in is the newer one.
        found = [_conversion(list(entries)[::-1]) for _, entries in by_reference][:DUST_MAX]
        return {"total": len(found), "userAssetDribblets": found}

    def _dividends(self, params: Params, caller: Caller) -> Row:
        span, asset = self._span(params, 180), params.optional("asset")
        entries = self._entries(caller, span, Cause.REWARD, Cause.INTEREST)
        found = [one for one in entries if asset in (None, one.asset)]
        rows = [_dividend(one) for one in found[: params.limit(20, DIVIDENDS_MAX)]]
        return {"rows": rows, "total": len(found)}

    def _entries(self, caller: Caller, span: Span, *causes: Cause) -> list[LedgerEntry]:
        entries = self._venue.ledger.entries(caller.account.id, Category.SPOT)
        return [one for one in reversed(entries) if one.cause in causes and one.at_ms in span]

    def _span(self, params: Params, days: int, *, default_days: int | None = None) -> Span:
        longest_ms = days * DAY_MS
        usual_ms = longest_ms if default_days is None else default_days * DAY_MS
        end_ms = params.integer("endTime") or self._venue.clock.now_ms()
        start_ms = params.integer("startTime")
        start_ms = end_ms - usual_ms if start_ms is None else start_ms
        if start_ms > end_ms:
            raise BinanceError(-1100, "Start time is greater than end time.")
        if end_ms - start_ms > longest_ms:
            raise BinanceError(
                -1127,
                f"Lookup interval is too big. More than {days * 24} hours between startTime and "
                "endTime.",
            )
        return Span(start_ms, end_ms)


def _deposit(one: Crossing) -> Row:
    return {
        "id": str(one.id),
        "amount": text(one.amount),
        "coin": one.asset,
        "network": one.network,
        "status": _DEPOSIT_STATUS[one.state],
        "address": _address(one),
        "addressTag": "",
        "txId": one.txid,
        "insertTime": one.created_ms,
        "completeTime": one.ended_ms,
        "transferType": 0,
        "confirmTimes": "0/1" if one.state is CrossingState.PENDING else "1/1",
        "unlockConfirm": 2,
        "walletType": 0,
        "travelRuleStatus": 0,
    }


def _withdrawal(one: Crossing) -> Row:
    is_done = one.state is CrossingState.DONE
    return {
        "id": f"{one.id:032x}",
        "amount": text(one.amount),
        "transactionFee": text(one.fee),
        "coin": one.asset,
        "status": _WITHDRAWAL_STATUS[one.state],
        "address": _address(one),
        # The chain has no name for what has not reached it.
        "txId": one.txid if is_done else "",
        "applyTime": _said(one.created_ms),
        "network": one.network,
        "transferType": 0,
        "info": "",
        "confirmNo": 3 if is_done else 0,
        "walletType": 0,
        "txKey": "",
        **({"completeTime": _said(one.ended_ms)} if is_done else {}),
    }


def _transfer(entry: LedgerEntry, kind: str) -> Row:
    return {
        "asset": entry.asset,
        "amount": text(abs(entry.amount)),
        "type": kind,
        "status": "CONFIRMED",
        "tranId": transfer_id(_of(entry).reference),
        "timestamp": entry.at_ms,
    }


def _conversion(entries: Sequence[LedgerEntry]) -> Row:
    """One conversion: what went and what came for it alternate."""
    pairs = list(zip(entries[::2], entries[1::2], strict=True))
    return {
        "operateTime": entries[0].at_ms,
        "totalTransferedAmount": text(total([came.amount for _, came in pairs])),
        "totalServiceChargeAmount": text(total([_of(came).fee for _, came in pairs])),
        "transId": 45_000_000_000 + int(_of(entries[0]).reference),
        "userAssetDribbletDetails": [
            {
                "transId": 45_000_000_000 + int(_of(went).reference),
                "serviceChargeAmount": text(_of(came).fee),
                "amount": text(EXACT.minus(went.amount)),
                "operateTime": went.at_ms,
                "transferedAmount": text(came.amount),
                "fromAsset": went.asset,
                "targetAsset": came.asset,
            }
            for went, came in pairs
        ],
    }


def _dividend(entry: LedgerEntry) -> Row:
    movement = _of(entry)
    return {
        "id": 1_600_000_000 + entry.id,
        "amount": text(abs(entry.amount)),
        "asset": entry.asset,
        "divTime": entry.at_ms,
        "enInfo": movement.note
        or ("Interest" if entry.cause is Cause.INTEREST else "Distribution"),
        "tranId": 14_000_000_000 + int(movement.reference),
        "direction": 1 if entry.amount > 0 else -1,
    }


def _of(entry: LedgerEntry) -> Movement:
    """What every entry of the treasury has."""
    if entry.movement is None:
        raise AssertionError(f"entry {entry.id} was not made by the treasury")
    return entry.movement


def _address(one: Crossing) -> str:
    return f"simulated-{one.account_id}-{one.network}".lower()


def _said(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
