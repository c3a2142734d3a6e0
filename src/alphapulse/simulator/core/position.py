"""Positions: linear perpetuals, one-way or hedged, cross or isolated, exact in atoms."""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.money import EXACT
from alphapulse.simulator.core.instrument import Instrument, amount_of


class PositionSide(StrEnum):
    """Which of an account's positions in a perpetual is meant."""

    BOTH = "both"
    """The only one, in one-way mode."""
    LONG = "long"
    SHORT = "short"


def position_key(name: str, side: PositionSide) -> str:
    """What an account files a position under: ``BTCUSDT``, hedged ``BTCUSDT long``."""
    return name if side is PositionSide.BOTH else f"{name} {side}"


@dataclass(frozen=True, slots=True)
class Position:
    """``lots`` is signed: short is negative. ``entry_atoms`` is what the open part cost, unsigned.

    ``realized_atoms`` is the profit realized since it was opened, fees not included.
    ``isolated_atoms`` are what of the wallet stands behind it alone; ``None``: cross margin.
    """

    instrument: Instrument
    lots: int
    entry_atoms: int
    realized_atoms: int
    opened_ms: int
    updated_ms: int
    side: PositionSide = PositionSide.BOTH
    isolated_atoms: int | None = None

    @property
    def key(self) -> str:
        return position_key(self.instrument.name, self.side)

    @property
    def isolated_margin(self) -> Decimal:
        """Zero with cross margin."""
        return amount_of(self.isolated_atoms or 0)

    @property
    def quantity(self) -> Decimal:
        """Signed, in base units."""
        return self.instrument.quantity(self.lots)

    @property
    def entry_price(self) -> Decimal:
        return EXACT.divide(amount_of(self.entry_atoms), abs(self.quantity))

    @property
    def entry_notional(self) -> Decimal:
        return amount_of(self.entry_atoms)

    @property
    def realized_pnl(self) -> Decimal:
        return amount_of(self.realized_atoms)

    def notional_at(self, price: Decimal) -> Decimal:
        """Unsigned value at ``price``, settle currency."""
        return EXACT.multiply(abs(self.quantity), price)

    def unrealized_pnl(self, mark_price: Decimal) -> Decimal:
        value = EXACT.subtract(self.notional_at(mark_price), self.entry_notional)
        return value if self.lots > 0 else -value

    def initial_margin(self, leverage: Decimal) -> Decimal:
        return EXACT.divide(self.entry_notional, leverage)

    def maintenance_margin(self, mark_price: Decimal) -> Decimal:
        notional = self.notional_at(mark_price)
        tier = self.instrument.tier_of(notional)
        return EXACT.subtract(EXACT.multiply(notional, tier.maintenance_rate), tier.deduction)

    def liquidation_price(self, collateral: Decimal) -> Decimal | None:
        """Where maintenance margin eats ``collateral`` (settle currency).

        An estimate as the venues show it: other positions are taken as unchanged. ``None`` when no
        positive price would do.
        """
        quantity, sign = abs(self.quantity), 1 if self.lots > 0 else -1
        for tier in self.instrument.risk_tiers:
            money = EXACT.subtract(
                self.entry_notional, sign * EXACT.add(collateral, tier.deduction)
            )
            share = EXACT.multiply(quantity, 1 - sign * tier.maintenance_rate)
            price = EXACT.divide(money, share)
            if price <= 0:
                return None
            if tier.floor <= self.notional_at(price) <= tier.cap:
                return price
        return None


@dataclass(frozen=True, slots=True)
class Change:
    """What a fill did: the position after it (``None``: flat) and the profit it realized."""

    position: Position | None
    realized_atoms: int
    closed_lots: int


def after_fill(
    position: Position | None, instrument: Instrument, signed_lots: int, ticks: int, at_ms: int
) -> Change:
    """Apply a fill of ``signed_lots`` (bought is positive) at ``ticks``.

    Wallet changes by the realized profit are exact: what rounding a partial close leaves stays in
    the entry value of the rest. Side and isolated margin of the position are the caller's.
    """
    if position is None:
        return Change(_opened(instrument, signed_lots, ticks, at_ms), 0, 0)
    if (position.lots > 0) == (signed_lots > 0):
        grown = replace(
            position,
            lots=position.lots + signed_lots,
            entry_atoms=position.entry_atoms + instrument.notional_atoms(ticks, abs(signed_lots)),
            updated_ms=at_ms,
        )
        return Change(grown, 0, 0)
    return _reduced(position, signed_lots, ticks, at_ms)


def _opened(instrument: Instrument, signed_lots: int, ticks: int, at_ms: int) -> Position:
    cost = instrument.notional_atoms(ticks, abs(signed_lots))
    return Position(instrument, signed_lots, cost, 0, at_ms, at_ms)


def _reduced(position: Position, signed_lots: int, ticks: int, at_ms: int) -> Change:
    instrument = position.instrument
    closed = min(abs(signed_lots), abs(position.lots))
    cost = position.entry_atoms * closed // abs(position.lots)
    proceeds = instrument.notional_atoms(ticks, closed)
    realized = proceeds - cost if position.lots > 0 else cost - proceeds
    left = position.lots + signed_lots
    if left == 0:
        return Change(None, realized, closed)
    if (left > 0) != (position.lots > 0):
        return Change(_opened(instrument, left, ticks, at_ms), realized, closed)
    rest = replace(
        position,
        lots=left,
        entry_atoms=position.entry_atoms - cost,
        realized_atoms=position.realized_atoms + realized,
        updated_ms=at_ms,
    )
    return Change(rest, realized, closed)


def isolated_atoms_after(before: Position | None, after: Position, leverage: Decimal) -> int:
    """What of the wallet stands behind an isolated position after a fill: what was added brings
    its initial margin along, what was closed takes its share away."""
    is_same = before is not None and (before.lots > 0) == (after.lots > 0)
    if before is None or not is_same:
        return _margin_atoms(after.entry_atoms, leverage)
    kept = before.isolated_atoms or 0
    if abs(after.lots) < abs(before.lots):
        return kept * after.lots // before.lots
    return kept + _margin_atoms(after.entry_atoms - before.entry_atoms, leverage)


def _margin_atoms(notional_atoms: int, leverage: Decimal) -> int:
    return int(EXACT.divide(Decimal(notional_atoms), leverage))
