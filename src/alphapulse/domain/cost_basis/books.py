"""Lot books: the lots of every account, and what came of those that are gone."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from alphapulse.domain.cost_basis.disposals import Disposal, Part, Reason, disposal_id, parts_of
from alphapulse.domain.cost_basis.lots import (
    BasisQuality,
    Lot,
    LotId,
    Method,
    Source,
    Stock,
    lot_id,
    rounded,
)
from alphapulse.domain.cost_basis.records import (
    ContractResult,
    FlowKey,
    FlowTotal,
    Place,
    Realized,
    Repair,
    State,
    Unexplained,
    UnknownBasis,
)
from alphapulse.domain.cost_basis.values import NOTHING, Value
from alphapulse.domain.identifiers import AccountId, Asset, Symbol
from alphapulse.domain.ledger import EntryKind
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.transfer_matching import EntryRef

_BY_VALUE = frozenset({Source.TRADE, Source.INCOME})


class LotBooks:
    """Never holds less than nothing: what is taken beyond that is reported as not held."""

    def __init__(self, currency: Asset, method: Method, repairs: Mapping[LotId, Repair]) -> None:
        self.currency = currency
        self.method = method
        self.acquisitions = 0
        self._repairs = repairs
        self._stocks: dict[Place, Stock] = {}
        self._flows: dict[FlowKey, FlowTotal] = {}
        self._realized: dict[Place, Realized] = {}
        self._unknown: dict[tuple[Place, LotId | None, Unexplained], UnknownBasis] = {}

    def lots(self, place: Place | None = None) -> Iterator[Lot]:
        """What is held, by place in the order it arrived."""
        if place is not None:
            yield from self._stocks.get(place, ())
            return
        for _, stock in sorted(self._stocks.items()):
            yield from stock

    def quantity(self, place: Place) -> Decimal:
        stock = self._stocks.get(place)
        return ZERO if stock is None else stock.quantity

    def held_since(self, place: Place) -> datetime | None:
        """When the earliest lot that is there was acquired; ``None`` where there is none, or nobody
        knows, as of what was there before the known history."""
        lots = list(self.lots(place))
        if any(self._is_undated(lot) for lot in lots):
            return None
        return min((lot.acquired_at for lot in lots), default=None)

    def flows(self) -> Iterator[FlowTotal]:
        """Profit, funding, fees and income in total."""
        return iter(self._flows.values())

    def contracts(self) -> list[ContractResult]:
        """What each contract brought, by account, symbol and asset."""
        results: dict[tuple[AccountId, Symbol, Asset], dict[EntryKind, Decimal]] = {}
        for key, total in self._flows.items():
            if key.symbol is not None and ":" in key.symbol:
                sums = results.setdefault((key.account_id, key.symbol, key.asset), {})
                sums[key.kind] = total.quantity
        return [
            ContractResult(
                *name,
                realized_pnl=sums.get(EntryKind.PROFIT, ZERO),
                funding_paid=EXACT.minus(sums.get(EntryKind.FUNDING, ZERO)),
                fees_paid=EXACT.minus(sums.get(EntryKind.FEE, ZERO)),
            )
            for name, sums in sorted(results.items())
        ]

    def realized(self) -> Iterator[Realized]:
        return iter(self._realized.values())

    def holes(self) -> Iterator[UnknownBasis]:
        """What was disposed of with an unknown gain."""
        return iter(self._unknown.values())

    def unknown(self) -> Iterator[UnknownBasis]:
        """All there is to repair: `holes`, and what is held and of unknown basis."""
        yield from self.holes()
        for lot in self.lots():
            if lot.cost is None:
                place, reason = Place(lot.account_id, lot.asset), reason_of(lot)
                yield UnknownBasis(place, lot.left, lot.acquired_at, reason, lot.lot_id)

    def acquire(
        self,
        ref: EntryRef,
        asset: Asset,
        quantity: Decimal,
        at: datetime,
        source: Source,
        cost: Value,
        *,
        fees: Value = NOTHING,
        part: str = "",
    ) -> None:
        """Make a lot of what came in.

        Args:
            cost: fees included.
            part: tells lots of one asset in one entry apart.
        """
        if asset == self.currency:
            return
        self.acquisitions += 1
        amount = cost.amount
        self.put(
            Lot(
                lot_id(ref, asset, part),
                ref.account_id,
                asset,
                at,
                source,
                ref,
                self.acquisitions,
                quantity,
                quantity,
                amount,
                None if amount is None else rounded(EXACT.divide(amount, quantity)),
                None if amount is None else fees.amount,
                _quality(cost),
            )
        )

    def put(self, lot: Lot) -> None:
        """Keep a lot, repaired if a person said what it cost."""
        if lot.cost is None and lot.lot_id in self._repairs:
            repair = self._repairs[lot.lot_id]
            lot.cost = rounded(repair.cost)
            lot.unit_cost = rounded(EXACT.divide(repair.cost, lot.left))
            lot.fee_share = ZERO
            lot.quality = BasisQuality.COMPLETE
            lot.acquired_at = repair.acquired_at or lot.acquired_at
        self._keep(lot)

    def restore(self, state: State) -> None:
        """Take over what other books held, as they held it."""
        for lot in state.lots:
            self._keep(lot)
        self.acquisitions = state.acquisitions
        self._flows = {flow.key: flow for flow in state.flows}
        self._realized = {gains.place: gains for gains in state.realized}
        self._unknown = {(hole.place, hole.lot_id, hole.reason): hole for hole in state.unknown}

    def take(self, place: Place, quantity: Decimal) -> tuple[list[Lot], Decimal]:
        """Take lots by the method; also what of ``quantity`` is not there."""
        stock = self._stocks.get(place)
        return ([], quantity) if stock is None else stock.take(quantity)

    def spend(
        self,
        ref: EntryRef,
        asset: Asset,
        quantity: Decimal,
        at: datetime,
        reason: Reason,
        proceeds: Value,
        fees: Value = NOTHING,
    ) -> list[Disposal]:
        """Dispose of ``quantity`` for ``proceeds``, which are after ``fees``."""
        if asset == self.currency:
            return []
        lots, missing = self.take(Place(ref.account_id, asset), quantity)
        return self.dispose(ref, asset, lots, missing, at, reason, proceeds, fees)

    def dispose(
        self,
        ref: EntryRef,
        asset: Asset,
        lots: list[Lot],
        missing: Decimal,
        at: datetime,
        reason: Reason,
        proceeds: Value,
        fees: Value = NOTHING,
    ) -> list[Disposal]:
        """Dispose of lots that were taken already."""
        if asset == self.currency:
            return []
        place = Place(ref.account_id, asset)
        quantity = missing
        for lot in lots:
            quantity = EXACT.add(quantity, lot.left)
            if lot.cost is None:
                self._hole(place, lot.left, lot.acquired_at, reason_of(lot), lot.lot_id)
        if missing:
            self._hole(place, missing, at, Unexplained.NOT_HELD)
        if proceeds.amount is None:
            self._hole(place, quantity, at, Unexplained.RATE)
        parts = parts_of(lots, missing, quantity, proceeds.amount)
        self._realize(place, parts)
        return [
            Disposal(
                id=disposal_id(ref, asset, reason),
                account_id=ref.account_id,
                entry=ref,
                asset=asset,
                reason=reason,
                disposed_at=at,
                quantity=quantity,
                proceeds=proceeds.amount,
                fees=fees.amount,
                rates=proceeds.rates,
                parts=parts,
            )
        ]

    def flow(self, key: FlowKey, quantity: Decimal, value: Decimal | None) -> None:
        """Add up profit, funding, a fee or income."""
        total = self._flows.get(key)
        if total is None:
            total = self._flows[key] = FlowTotal(key)
        total.add(quantity, value)

    def _is_undated(self, lot: Lot) -> bool:
        """The date of an opening only orders it among the lots, unless a person said it."""
        if lot.source is not Source.OPENING:
            return False
        repairs = map(self._repairs.get, (lot.lot_id, lot_id(lot.entry, lot.asset)))
        return all(one is None or one.acquired_at is None for one in repairs)

    def _keep(self, lot: Lot) -> None:
        place = Place(lot.account_id, lot.asset)
        stock = self._stocks.get(place)
        if stock is None:
            stock = self._stocks[place] = Stock(self.method)
        stock.put(lot)

    def _realize(self, place: Place, parts: tuple[Part, ...]) -> None:
        gains = self._realized.get(place)
        if gains is None:
            gains = self._realized[place] = Realized(place)
        for part in parts:
            if part.gain is None:
                gains.unknown = EXACT.add(gains.unknown, part.quantity)
            else:
                gains.gain = EXACT.add(gains.gain, part.gain)

    def _hole(
        self,
        place: Place,
        quantity: Decimal,
        since: datetime,
        reason: Unexplained,
        lot: LotId | None = None,
    ) -> None:
        hole = self._unknown.get((place, lot, reason))
        if hole is None:
            self._unknown[place, lot, reason] = UnknownBasis(place, quantity, since, reason, lot)
        else:
            hole.quantity = EXACT.add(hole.quantity, quantity)


def reason_of(lot: Lot) -> Unexplained:
    """Why a lot has no cost."""
    return Unexplained.RATE if lot.source in _BY_VALUE else Unexplained.ORIGIN


def _quality(cost: Value) -> BasisQuality:
    if cost.amount is None:
        return BasisQuality.UNKNOWN
    return BasisQuality.COMPLETE if cost.is_firm else BasisQuality.ESTIMATED
