"""Fields: numbers and times as the venues' frames write them, exact."""

from datetime import UTC, datetime
from decimal import Decimal

from alphapulse.domain.money import exact


def price(text: str) -> Decimal | None:
    """A price in quote currency; zero and empty are how venues write "there is none".

    Raises:
        InvalidInput: not a finite decimal.
    """
    return exact(text) or None if text else None


def amount(text: str) -> Decimal | None:
    """A volume or a rate: zero means zero, and only empty means "not said".

    Raises:
        InvalidInput: not a finite decimal.
    """
    return exact(text) if text else None


def moment(milliseconds: int) -> datetime:
    """Exchange milliseconds as aware UTC, to the millisecond.

    The quotient is a float, yet exact enough: until the year 2100 its error is below 0.3 us, and
    `fromtimestamp` rounds to the nearest microsecond (a property test walks the range).
    """
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
