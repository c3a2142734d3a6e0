"""Which transfers of the unified wallet were deposits and withdrawals.

The venue names no link between a transfer and the record behind it. They belong together when the
coin and the amount are the same to the last digit, and the times are near; of several the nearest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from alphapulse.domain.cash_flow import FlowKind
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.exchanges.adapters.bybit.rows import Raw
from alphapulse.exchanges.ccxt import parse

# The venue moves money between its wallets by itself, within seconds as a rule.
NEAR = timedelta(hours=1)

_DEPOSITED = "3"
_FAILED = {"CancelByUser", "Reject", "Fail"}


@dataclass(frozen=True, slots=True)
class Record:
    """Something from or to outside. ``quantity`` and ``fee`` as of `CashFlow`; a withdrawal that
    was given back is the same with the other signs."""

    kind: FlowKind
    coin: str
    quantity: Decimal
    fee: Decimal
    at: datetime
    txid: str | None

    @property
    def change(self) -> Decimal:
        """Of the wallet."""
        return EXACT.subtract(self.quantity, self.fee)


def deposits_of(row: Raw, now: datetime) -> list[Record]:
    """A deposit, once it is there."""
    if str(row.get("status")) != _DEPOSITED:
        return []
    return [
        Record(
            FlowKind.DEPOSIT,
            parse.text(row, "coin"),
            parse.decimal(row, "amount"),
            parse.optional_decimal(row, "depositFee") or ZERO,
            parse.moment(row, "successAt", now),
            row.get("txID") or None,
        )
    ]


def withdrawals_of(row: Raw, now: datetime) -> list[Record]:
    """A withdrawal, and its way back where it failed."""
    amount, fee = parse.decimal(row, "amount"), parse.optional_decimal(row, "withdrawFee") or ZERO
    coin, txid = parse.text(row, "coin"), row.get("txID") or None
    created = parse.moment(row, "createTime", now)
    found = [Record(FlowKind.WITHDRAWAL, coin, EXACT.minus(amount), fee, created, txid)]
    if row.get("status") in _FAILED:
        ended = parse.moment(row, "updateTime", now)
        found.append(Record(FlowKind.WITHDRAWAL, coin, amount, EXACT.minus(fee), ended, txid))
    return found


def explained(
    rows: Sequence[Raw], records: Sequence[Record], now: datetime
) -> list[tuple[Raw, Record | None]]:
    """Each row of a transfer with the record behind it, each record at most once."""
    pairs = [
        (distance, number, place, record)
        for number, row in enumerate(rows)
        for place, record in enumerate(records)
        if _fits(row, record)
        and (distance := abs(parse.moment(row, "transactionTime", now) - record.at)) <= NEAR
    ]
    by_row: dict[int, Record] = {}
    taken: set[int] = set()
    for _, number, place, record in sorted(pairs, key=lambda pair: pair[:3]):
        if number not in by_row and place not in taken:
            by_row[number] = record
            taken.add(place)
    return [(row, by_row.get(number)) for number, row in enumerate(rows)]


def _fits(row: Raw, record: Record) -> bool:
    return row.get("currency") == record.coin and parse.decimal(row, "change") == record.change
