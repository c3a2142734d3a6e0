"""Step: what a driver says happens next. Drivers only say; the conductor does."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from alphapulse.domain.order import Side
from alphapulse.simulator.core.market import Bar, Past

USDT_USD = "USDT/USD"
"""The hidden reference: moves no market, only what a US dollar is."""


@dataclass(frozen=True, slots=True)
class Move:
    """One market's new price and what was traded on the way.

    ``symbol`` is CCXT's name; venues that do not list it take no notice. ``trades`` are taker side
    and quantity in base units. ``bar`` is the recorded minute so far, in a replay.
    """

    symbol: str
    price: Decimal
    trades: tuple[tuple[Side, Decimal], ...] = ()
    bar: Bar | None = None
    funding_rate: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A recorded WebSocket message of a combined stream, byte for byte."""

    stream: str
    text: bytes
    """The whole message, ``{"stream":..,"data":..}``."""
    data: bytes
    """The part under ``data``."""


@dataclass(frozen=True, slots=True)
class DepthSnapshot:
    """A recorded REST answer to a depth request."""

    symbol: str
    """The venue's own."""
    text: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """Everything that happens at one moment of the market's clock."""

    at_ms: int
    moves: tuple[Move, ...] = ()
    frames: tuple[RawFrame, ...] = ()
    snapshot: DepthSnapshot | None = None


class Driver(Protocol):
    """Where prices come from."""

    @property
    def start_ms(self) -> int:
        """Where a virtual clock should start: the moment of the first step."""
        ...

    @property
    def past(self) -> Past | None:
        """What charts and day statistics begin with; ``None``: nothing."""
        ...

    def steps(self) -> Iterator[Step]:
        """In order of time; endless for a generator."""
        ...
