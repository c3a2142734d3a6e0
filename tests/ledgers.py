"""Ledgers for tests: what happened, in words that can be told as entries or recounted by hand."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from alphapulse.domain.cash_flow import CashFlow, FlowKind
from alphapulse.domain.cost_basis.disposals import Disposal
from alphapulse.domain.cost_basis.engine import CostBasis
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, ExchangeOrderId, Symbol
from alphapulse.domain.ledger import Entry, entry_of_fill, entry_of_flow
from alphapulse.domain.order import Fill, Side
from alphapulse.domain.rates import Rate, RateQuality

START = datetime(2026, 1, 1, tzinfo=UTC)
USD = Asset("USD")
EXCHANGE = ExchangeId("binance")


def day(number: int) -> datetime:
    return START + timedelta(days=number)


@dataclass
class RateTable:
    """The same rate at any time, or one for each day; what is not in it is unknown."""

    values: Mapping[str, str | Mapping[int, str]]
    currency: Asset = USD
    quality: RateQuality = RateQuality.CLOSE

    def rate(self, asset: Asset, at: datetime) -> Rate | None:
        known = self.values.get(asset)
        if known is not None and not isinstance(known, str):
            known = known.get((at - START).days)
        if known is None:
            return None
        return Rate(asset, Decimal(known), self.currency, at, "table", self.quality)


def trade(
    number: int,
    side: Side,
    symbol: str,
    quantity: str | Decimal,
    price: str | Decimal,
    fee: tuple[str | Decimal, str] | None = None,
    account: str = "a",
) -> Fill:
    return Fill(
        account_id=AccountId(account),
        exchange=EXCHANGE,
        symbol=Symbol(symbol),
        trade_id=str(number),
        exchange_order_id=ExchangeOrderId(str(number)),
        client_order_id=None,
        side=side,
        price=Decimal(price),
        quantity=Decimal(quantity),
        fee=None if fee is None else Decimal(fee[0]),
        fee_asset=None if fee is None else Asset(fee[1]),
        is_maker=None,
        occurred_at=day(number),
    )


def bought(
    number: int,
    symbol: str,
    quantity: str | Decimal,
    price: str | Decimal,
    fee: tuple[str | Decimal, str] | None = None,
    account: str = "a",
) -> Entry:
    """On day ``number``."""
    return entry_of_fill(trade(number, Side.BUY, symbol, quantity, price, fee, account))


def sold(
    number: int,
    symbol: str,
    quantity: str | Decimal,
    price: str | Decimal,
    fee: tuple[str | Decimal, str] | None = None,
    account: str = "a",
) -> Entry:
    return entry_of_fill(trade(number, Side.SELL, symbol, quantity, price, fee, account))


def flowed(
    number: int,
    kind: FlowKind,
    asset: str,
    quantity: str | Decimal,
    *,
    fee: str | Decimal | None = None,
    account: str = "a",
    reference: str | None = None,
    symbol: str | None = None,
    name: str = "",
    at: datetime | None = None,
) -> Entry:
    return entry_of_flow(
        CashFlow(
            account_id=AccountId(account),
            exchange=EXCHANGE,
            id=f"{kind}:{number}{name}",
            kind=kind,
            asset=Asset(asset),
            quantity=Decimal(quantity),
            occurred_at=at or day(number),
            fee=None if fee is None else Decimal(fee),
            symbol=None if symbol is None else Symbol(symbol),
            reference=reference,
        )
    )


def taken(basis: CostBasis, entries: Iterable[Entry]) -> list[Disposal]:
    return [disposal for entry in entries for disposal in basis.take(entry)]
