"""Instruments of the simulated exchange: grid, limits, and exact integers for what they trade."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from alphapulse.domain.money import EXACT

ATOM_DECIMALS = 12
"""Amounts of any asset are counted in 1e-12. Every tick times lot of the listings is a whole number
of them, so that balances add up to the last one."""


def atoms_of(amount: Decimal) -> int:
    """Whole atoms of an amount; what is finer than an atom is cut off."""
    return int(EXACT.scaleb(amount, ATOM_DECIMALS))


def amount_of(atoms: int) -> Decimal:
    """The amount that so many atoms are."""
    return EXACT.scaleb(Decimal(atoms), -ATOM_DECIMALS)


class Category(StrEnum):
    SPOT = "spot"
    LINEAR = "linear"
    """Perpetual, quoted and settled in the same asset; contract size 1."""


class MarketStatus(StrEnum):
    TRADING = "trading"
    HALT = "halt"
    """Stands still for everybody; orders stay."""
    BREAK = "break"
    DELISTED = "delisted"


@dataclass(frozen=True, slots=True)
class RiskTier:
    """How large a position may be at which leverage, and what of it must stay as margin.

    ``floor`` and ``cap`` are notionals in the settle asset. ``deduction`` lets the maintenance
    margin grow without a step where one tier follows another.
    """

    floor: Decimal
    cap: Decimal
    max_leverage: Decimal
    maintenance_rate: Decimal
    deduction: Decimal = Decimal(0)


ONE_TIER = (RiskTier(Decimal(0), Decimal("Infinity"), Decimal(1000), Decimal("0.005")),)
"""The first tier of the real venues' large contracts, without an end."""


@dataclass(frozen=True)
class Instrument:
    """What can be traded. Prices count in ticks and quantities in lots wherever they are ``int``.

    Args:
        name: the venue's spelling, ``BTCUSDT``.
        settle: asset of profit and margin; ``None`` on spot.
        min_quantity, max_quantity, max_market_quantity: base units.
        min_notional: quote currency.
        price_band: a limit price must lie within reference / band .. reference x band.
        max_leverage: 1 on spot.
        risk_tiers: of a perpetual, from the smallest notional up.
    """

    name: str
    category: Category
    base: str
    quote: str
    settle: str | None
    tick_size: Decimal
    lot_size: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    max_market_quantity: Decimal
    min_notional: Decimal
    price_band: Decimal = Decimal(5)
    max_leverage: Decimal = Decimal(1)
    max_open_orders: int = 200
    risk_tiers: tuple[RiskTier, ...] = ONE_TIER

    def __post_init__(self) -> None:
        product = EXACT.multiply(self.tick_size, self.lot_size)
        if amount_of(atoms_of(product)) != product:
            raise ValueError(f"{self.name}: tick times lot is finer than an atom")

    @cached_property
    def key(self) -> tuple[Category, str]:
        return (self.category, self.name)

    @cached_property
    def unified(self) -> str:
        """CCXT's name: ``BTC/USDT`` or ``BTC/USDT:USDT``."""
        pair = f"{self.base}/{self.quote}"
        return pair if self.settle is None else f"{pair}:{self.settle}"

    @cached_property
    def lot_atoms(self) -> int:
        """Atoms of base asset in one lot."""
        return atoms_of(self.lot_size)

    @cached_property
    def tick_lot_atoms(self) -> int:
        """Atoms of quote asset that one lot costs at a price of one tick."""
        return atoms_of(EXACT.multiply(self.tick_size, self.lot_size))

    @cached_property
    def price_decimals(self) -> int:
        """How many a price on the grid has."""
        exponent = self.tick_size.normalize().as_tuple().exponent
        return max(0, -int(exponent))

    def price(self, ticks: int) -> Decimal:
        return EXACT.multiply(self.tick_size, Decimal(ticks))

    def quantity(self, lots: int) -> Decimal:
        return EXACT.multiply(self.lot_size, Decimal(lots))

    def ticks(self, price: Decimal) -> int:
        """Nearest tick, at least one: prices of a driver need not lie on the grid."""
        return max(1, round(EXACT.divide(price, self.tick_size)))

    def lots(self, quantity: Decimal) -> int:
        """Whole lots in a quantity, rounded down."""
        return int(EXACT.divide_int(quantity, self.lot_size))

    def tier_of(self, notional: Decimal) -> RiskTier:
        """The risk tier of a position worth so much; the last one beyond its end."""
        within = (tier for tier in self.risk_tiers if notional <= tier.cap)
        return next(within, self.risk_tiers[-1])

    def largest_notional(self, leverage: Decimal) -> Decimal:
        """What a position may be worth at a leverage, settle asset."""
        return max(t.cap for t in self.risk_tiers if leverage <= t.max_leverage)

    def notional_atoms(self, ticks: int, lots: int) -> int:
        return ticks * lots * self.tick_lot_atoms
