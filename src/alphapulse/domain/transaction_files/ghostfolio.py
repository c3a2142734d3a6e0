"""Ghostfolio: the activities that it exports as JSON. Pure.

Each names an asset by the symbol of a data source. Yahoo's end with the currency (``BTCUSD``); any
other needs a name in the mapping's ``assets``, for a guess would be another asset.

Source: test/import/ok/sample.json and btcusd.json in ghostfolio/ghostfolio (2026-11-23).
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.ledger import EntryKind
from alphapulse.domain.money import EXACT
from alphapulse.domain.transaction_files.cells import text_of, within
from alphapulse.domain.transaction_files.mapping import (
    ColumnMapping,
    Entries,
    Side,
    Statement,
    mapped_asset,
    mapped_number,
)
from alphapulse.domain.transaction_files.rows import Flaws, ReadEntry, json_items
from alphapulse.errors import InvalidInput

_TRADES = ("BUY", "SELL")
_INCOME = {"DIVIDEND": EntryKind.REWARD, "INTEREST": EntryKind.INTEREST}
_FIELDS = ("type", "date", "currency", "symbol", "quantity", "unitPrice", "fee")


def read_ghostfolio(
    content: str, mapping: ColumnMapping, account_id: AccountId, latest: datetime, flaws: Flaws
) -> Iterator[ReadEntry]:
    """The activities as entries; a line is the number of the activity.

    Of ``mapping`` only the names of assets count.
    """
    entries = Entries(account_id)
    for number, item in json_items(content, flaws, name="activities"):
        try:
            activity = _texts(item)
            told = _Activity(activity, mapping).statement(latest)
            yield ReadEntry(number, entries.entry_of(told))
        except InvalidInput as error:
            flaws.add(number, error)


class _Activity:
    def __init__(self, fields: Mapping[str, str], mapping: ColumnMapping) -> None:
        self._fields = fields
        self._mapping = mapping

    def statement(self, latest: datetime) -> Statement:
        word = self._fields["type"]
        currency = mapped_asset(self._fields["currency"], self._mapping, "currency")
        paid = self._side(
            EXACT.multiply(self._number("quantity"), self._number("unitPrice")), currency
        )
        received, sent, kind = None, None, EntryKind.FEE
        if word in _TRADES:
            kind, bought = EntryKind.FILL, Side(self._number("quantity"), self._asset(currency))
            received, sent = (bought, paid) if word == "BUY" else (paid, bought)
        elif word in _INCOME:
            kind, received = _INCOME[word], paid
        elif word != "FEE":
            raise InvalidInput("is a type that moves nothing of an account", field="type")
        return Statement(
            at=self._moment(latest),
            kind=kind,
            received=received,
            sent=sent,
            fee=self._side(self._number("fee"), currency),
            symbol=None,
            reference=None,
            note=text_of(self._fields.get("comment", ""), "comment"),
        )

    def _side(self, quantity: Decimal, asset: Asset) -> Side | None:
        return Side(quantity, asset) if quantity else None

    def _number(self, name: str) -> Decimal:
        number = mapped_number(self._fields[name], self._mapping, name)
        if number < 0:
            raise InvalidInput("is negative", field=name)
        return number

    def _moment(self, latest: datetime) -> datetime:
        try:
            moment = datetime.fromisoformat(self._fields["date"])
        except ValueError:
            raise InvalidInput("is not a time of the form ISO 8601", field="date") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._mapping.timezone)
        return within(moment, "date", latest)

    def _asset(self, currency: Asset) -> Asset:
        symbol = self._fields["symbol"]
        is_named = symbol.casefold() in {name.casefold() for name in self._mapping.assets}
        if not is_named:
            base = symbol.removesuffix(currency).removesuffix("-")
            if self._fields.get("dataSource") != "YAHOO" or base == symbol:
                raise InvalidInput("is no asset of ours; name it in assets", field="symbol")
            symbol = base
        return mapped_asset(symbol, self._mapping, "symbol")


def _texts(item: object) -> dict[str, str]:
    if not isinstance(item, dict):
        raise InvalidInput("is not an activity")
    found = {name: value for name, value in item.items() if isinstance(value, str)}
    for name in _FIELDS:
        if name not in found:
            raise InvalidInput("is missing", field=name)
    return found
