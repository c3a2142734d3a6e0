"""Order Grid: the steps in which a venue takes quantities and prices. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from alphapulse.domain.instrument import Instrument
from alphapulse.domain.money import is_multiple, round_down, round_up
from alphapulse.domain.order import OrderRequest, Side

_PRICES = ("limit_price", "stop_price", "take_profit", "stop_loss")


@dataclass(frozen=True, slots=True)
class OffGrid:
    """A value between two steps; ``below`` and ``above`` are the nearest that are allowed."""

    field: str
    value: Decimal
    step: Decimal
    below: Decimal
    above: Decimal


def on_grid(request: OrderRequest, instrument: Instrument) -> OrderRequest:
    """The request with every value on a step: never more is ordered, never at a worse price.

    Quantities go down, prices down for a buy and up for a sell.
    """
    changes: dict[str, Decimal] = {}
    for flaw in off_grid(request, instrument):
        is_raised = flaw.field in _PRICES and request.side is Side.SELL
        changes[flaw.field] = flaw.above if is_raised else flaw.below
    return replace(request, **changes)  # type: ignore[arg-type]


def off_grid(request: OrderRequest, instrument: Instrument) -> Iterator[OffGrid]:
    """What does not lie on a step. What is spent by quote quantity has none."""
    steps = {"quantity": instrument.lot_size} | dict.fromkeys(_PRICES, instrument.tick_size)
    for field, step in steps.items():
        value: Decimal | None = getattr(request, field)
        if value is not None and not is_multiple(value, step):
            yield OffGrid(field, value, step, round_down(value, step), round_up(value, step))
