"""Instrument: what can be traded, and the steps and limits it is traded in."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from alphapulse.domain.identifiers import Asset, ExchangeId, Symbol


class InstrumentType(StrEnum):
    SPOT = "spot"
    PERPETUAL = "perp"
    FUTURE = "future"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One market of one exchange.

    ``tick_size`` is in quote currency, ``lot_size`` in base units or contracts, ``min_notional``
    in quote currency; ``None`` where the venue states no limit. ``contract_size`` is base units
    per contract, 1 on spot. ``settle`` is ``None`` on spot.
    """

    exchange: ExchangeId
    symbol: Symbol
    exchange_symbol: str
    type: InstrumentType
    base: Asset
    quote: Asset
    settle: Asset | None
    tick_size: Decimal
    lot_size: Decimal
    min_quantity: Decimal | None
    max_quantity: Decimal | None
    min_notional: Decimal | None
    contract_size: Decimal
    is_active: bool
