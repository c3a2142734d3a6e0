"""Needs: which assets are outside their bands, and which could help them back. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.money import ZERO
from alphapulse.domain.rebalance.constraints import Constraints, Tolerance
from alphapulse.domain.rebalance.matching import Amounts, Desk
from alphapulse.domain.rebalance.targets import Weights
from alphapulse.domain.rebalance.ways import Unreached

# Who trades to the edge of a band wants to be inside it, also after fees and steps.
_EDGE = Decimal("0.95")


@dataclass(frozen=True, slots=True)
class Needs:
    """Values in base currency. ``surplus`` and ``shortage`` are of assets outside their bands.

    ``spare`` and ``room`` are within the bands: they move only where what is outside has no other
    counterpart, and at most to the targets. ``notes`` says what a rule keeps from moving.
    """

    surplus: Amounts = field(default_factory=dict)
    shortage: Amounts = field(default_factory=dict)
    spare: Amounts = field(default_factory=dict)
    room: Amounts = field(default_factory=dict)
    notes: dict[Asset, Unreached] = field(default_factory=dict)

    @property
    def off_band(self) -> frozenset[Asset]:
        return frozenset(self.surplus) | frozenset(self.shortage) | frozenset(self.notes)


def needs_of(
    values: Amounts,
    weights: Weights,
    tolerance: Tolerance,
    constraints: Constraints,
    desks: list[Desk],
    prices: Mapping[Asset, Decimal],
) -> Needs:
    """What is over and what is short, as far as the constraints let it move.

    Args:
        values: of each asset that counts; together the base value.
    """
    needs = Needs()
    base = sum(values.values(), ZERO)
    money = {desk.money for desk in desks}
    for asset, value in values.items():
        target = weights.get(asset, ZERO)
        excess, band = value - target * base, tolerance.band(target) * base
        urgent = _urgent(abs(excess), band, tolerance)
        if excess > 0:
            above_kept = max(ZERO, value - constraints.keep.get(asset, ZERO) * prices[asset])
            movable = min(excess, _spendable(asset, desks), above_kept)
            _put(asset, movable, urgent, needs.surplus, needs.spare)
            if movable < urgent:
                needs.notes[asset] = _held_back(asset, urgent, above_kept, constraints, money)
        elif constraints.allow_buy or asset in money:
            _put(asset, -excess, urgent, needs.shortage, needs.room)
        elif urgent:
            needs.notes[asset] = Unreached.CONSTRAINT
    return needs


def _urgent(off: Decimal, band: Decimal, tolerance: Tolerance) -> Decimal:
    """How much has to move of what an asset is off its target."""
    if off <= band:
        return ZERO
    return off - band * _EDGE if tolerance.to_edge else off


def _put(
    asset: Asset, movable: Decimal, urgent: Decimal, outside: Amounts, inside: Amounts
) -> None:
    """Split what can move into what has to, and what could as the counterpart of others."""
    if (must := min(movable, urgent)) > 0:
        outside[asset] = must
    if (could := movable - must) > 0:
        inside[asset] = could


def _spendable(asset: Asset, desks: list[Desk]) -> Decimal:
    return sum((desk.stock.get(asset, ZERO) for desk in desks), ZERO)


def _held_back(
    asset: Asset, amount: Decimal, above_kept: Decimal, constraints: Constraints, money: set[Asset]
) -> Unreached:
    is_rule = above_kept < amount or (not constraints.allow_sell and asset not in money)
    return Unreached.CONSTRAINT if is_rule else Unreached.LOCKED
