"""Binance's rows about money, each read into the cash flows it stands for.

Each wallet tells its own side of a transfer: spot's is in the list of transfers, the futures' in
the income, so a transfer between the two is told twice and cancels out.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from alphapulse.domain.cash_flow import CashFlow, FlowKind
from alphapulse.domain.identifiers import AccountId, ExchangeId, Symbol
from alphapulse.domain.money import EXACT
from alphapulse.errors import InstrumentUnavailable
from alphapulse.exchanges.ccxt import parse

EXCHANGE = ExchangeId("binance")

Raw = dict[str, Any]

# 1 is done, 2 rejected; 6 is credited, but cannot be withdrawn yet.
_CREDITED = {"1", "6"}
_DEPOSIT_ENDS = {"1", "2"}
# Canceled, rejected, failed: the venue has given everything back.
_GIVEN_BACK = {"1", "3", "5"}
_WITHDRAWAL_ENDS = _GIVEN_BACK | {"6"}

# Of an older one nothing is said: then it is the spot wallet's.
_FUNDING_WALLET = "1"

_COMMISSION = "COMMISSION"
"""Told with the fills."""
_INCOME = {
    "REALIZED_PNL": FlowKind.PROFIT,
    "OPTIONS_SETTLE_PROFIT": FlowKind.PROFIT,
    "DELIVERED_SETTELMENT": FlowKind.PROFIT,  # their spelling
    "FUNDING_FEE": FlowKind.FUNDING,
    "SPECIAL_FUNDING_FEE": FlowKind.FUNDING,
    "TRANSFER": FlowKind.TRANSFER,
    "INTERNAL_TRANSFER": FlowKind.TRANSFER,
    "CROSS_COLLATERAL_TRANSFER": FlowKind.TRANSFER,
    "STRATEGY_UMFUTURES_TRANSFER": FlowKind.TRANSFER,
    "INSURANCE_CLEAR": FlowKind.FEE,
    "OPTIONS_PREMIUM_FEE": FlowKind.FEE,
    "POSITION_LIMIT_INCREASE_FEE": FlowKind.FEE,
    "AUTO_EXCHANGE": FlowKind.CONVERSION,
    "COIN_SWAP_DEPOSIT": FlowKind.CONVERSION,
    "COIN_SWAP_WITHDRAW": FlowKind.CONVERSION,
    "WELCOME_BONUS": FlowKind.REWARD,
    "REFERRAL_KICKBACK": FlowKind.REWARD,
    "COMMISSION_REBATE": FlowKind.REWARD,
    "API_REBATE": FlowKind.REWARD,
    "FEE_RETURN": FlowKind.REWARD,
    "CONTEST_REWARD": FlowKind.REWARD,
    "BFUSD_REWARD": FlowKind.REWARD,
}


INCOME_KEPT = timedelta(days=90) - timedelta(milliseconds=1)
"""How long the futures tell what moved their wallet."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one row says. ``listed_at`` is the time by which the venue picks it; while it
    ``may_change`` it must be read again."""

    listed_at: datetime
    flows: tuple[CashFlow, ...]
    may_change: bool = False


class FlowReader:
    """Reads the rows of one account. ``now`` is the venue's time, for what cannot be."""

    def __init__(self, client: Any, account_id: AccountId, now: datetime) -> None:
        self._client = client
        self._account_id = account_id
        self._now = now

    def deposit(self, row: Raw) -> Told:
        status, at = parse.text(row, "status"), parse.moment(row, "insertTime", self._now)
        flow = self._flow(
            f"deposit:{parse.text(row, 'id')}",
            FlowKind.DEPOSIT,
            row,
            "coin",
            "amount",
            parse.optional_moment(row, "completeTime", self._now) or at,
            reference=_txid(row),
        )
        is_here = status in _CREDITED and not _is_elsewhere(row)
        return Told(at, (flow,) if is_here else (), status not in _DEPOSIT_ENDS)

    def withdrawal(self, row: Raw) -> Told:
        """What failed is told as gone and given back: it may have been told as gone before. When
        it came back the venue does not say, so both are told at the time of the request."""
        name, status = f"withdrawal:{parse.text(row, 'id')}", parse.text(row, "status")
        at = _applied_at(row)
        came = self._flow(
            name, FlowKind.WITHDRAWAL, row, "coin", "amount", at, reference=_txid(row)
        )
        fee = parse.decimal(row, "transactionFee")
        flows = [replace(came, quantity=EXACT.minus(came.quantity), fee=fee)]
        if status in _GIVEN_BACK:
            flows.append(replace(came, id=f"{name}:back"))
            flows.append(replace(came, id=f"{name}:fee-back", kind=FlowKind.FEE, quantity=fee))
        told = () if _is_elsewhere(row) else tuple(flows)
        return Told(at, told, status not in _WITHDRAWAL_ENDS)

    def transfer(self, row: Raw) -> Told:
        """Spot's side of one."""
        name, status = parse.text(row, "tranId"), parse.text(row, "status")
        flow = self._flow(
            f"transfer:{name}",
            FlowKind.TRANSFER,
            row,
            "asset",
            "amount",
            parse.moment(row, "timestamp", self._now),
            reference=name,
            note=parse.text(row, "type"),
        )
        if flow.note is not None and flow.note.startswith("MAIN_"):
            flow = replace(flow, quantity=EXACT.minus(flow.quantity))
        is_told = status == "CONFIRMED" and not self._is_half(flow)
        told = (flow,) if is_told else ()
        return Told(flow.occurred_at, told, status not in {"CONFIRMED", "FAILED"})

    def _is_half(self, flow: CashFlow) -> bool:
        """Whether the futures have forgotten their side of it, so that spot's would look like money
        that was lost or made."""
        is_of_futures = flow.note is not None and "UMFUTURE" in flow.note
        return is_of_futures and flow.occurred_at < self._now - INCOME_KEPT

    def dust(self, row: Raw) -> Told:
        """A conversion of several assets into one. What is said to be transferred is what came,
        after the charge."""
        name, at = parse.text(row, "transId"), parse.moment(row, "operateTime", self._now)
        flows: list[CashFlow] = []
        for one in row["userAssetDribbletDetails"]:
            detail = {"targetAsset": "BNB", **one}
            key = f"dust:{name}:{parse.text(detail, 'fromAsset')}"
            kind, charge = FlowKind.CONVERSION, parse.decimal(detail, "serviceChargeAmount")
            went = self._flow(f"{key}:out", kind, detail, "fromAsset", "amount", at, reference=name)
            came = self._flow(
                f"{key}:in", kind, detail, "targetAsset", "transferedAmount", at, reference=name
            )
            flows += [
                replace(went, quantity=EXACT.minus(went.quantity), note="dust"),
                replace(came, quantity=EXACT.add(came.quantity, charge), fee=charge, note="dust"),
            ]
        return Told(at, tuple(flows))

    def dividend(self, row: Raw) -> Told:
        """Whatever the venue distributes, and takes back where the direction says so."""
        what = parse.text(row, "enInfo")
        flow = self._flow(
            f"dividend:{parse.text(row, 'id')}",
            FlowKind.INTEREST if "interest" in what.lower() else FlowKind.REWARD,
            row,
            "asset",
            "amount",
            parse.moment(row, "divTime", self._now),
            reference=parse.text(row, "tranId"),
            note=what,
        )
        if str(row.get("direction")) == "-1":
            flow = replace(flow, quantity=EXACT.minus(flow.quantity))
        return Told(flow.occurred_at, (flow,))

    def income(self, row: Raw) -> Told:
        """What moved the futures wallet. A number is unique among those of its type only."""
        what, number = parse.text(row, "incomeType"), parse.text(row, "tranId")
        name = str(row.get("symbol") or "")
        symbol = self._symbol(name)
        flow = self._flow(
            f"income:{what}:{number}:{name or parse.text(row, 'asset')}",
            _INCOME.get(what, FlowKind.OTHER),
            row,
            "asset",
            "income",
            parse.moment(row, "time", self._now),
            reference=number,
            note=what if symbol or not name else f"{what} {name}",
            symbol=symbol,
        )
        is_told = what != _COMMISSION and flow.quantity != 0
        return Told(flow.occurred_at, (flow,) if is_told else ())

    def _flow(
        self,
        name: str,
        kind: FlowKind,
        row: Raw,
        asset_key: str,
        amount_key: str,
        at: datetime,
        *,
        reference: str | None = None,
        note: str | None = None,
        symbol: Symbol | None = None,
    ) -> CashFlow:
        code = self._client.safe_currency_code(parse.text(row, asset_key))
        return CashFlow(
            account_id=self._account_id,
            exchange=EXCHANGE,
            id=name,
            kind=kind,
            asset=parse.asset_of(code),
            quantity=parse.decimal(row, amount_key),
            occurred_at=at,
            symbol=symbol,
            reference=reference,
            note=note,
        )

    def _symbol(self, name: str) -> Symbol | None:
        """``None`` of what is no longer listed: the money moved all the same."""
        if not name:
            return None
        try:
            return parse.symbol_of(self._client.safe_market(name, None, None, "swap"))
        except InstrumentUnavailable:
            return None


def _is_elsewhere(row: Raw) -> bool:
    """In the funding wallet, which is none of ours."""
    return str(row.get("walletType")) == _FUNDING_WALLET


def _txid(row: Raw) -> str | None:
    """The chain's name, or the venue's own where it never left the venue."""
    return str(row.get("txId") or "").removeprefix("Internal transfer ") or None


def _applied_at(row: Raw) -> datetime:
    try:
        return datetime.fromisoformat(parse.text(row, "applyTime")).replace(tzinfo=UTC)
    except ValueError as wrong:
        raise parse.broken("not a time", field="applyTime") from wrong
