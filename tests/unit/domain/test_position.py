"""Since when a position is open, by the moves that led to it."""

from datetime import datetime
from decimal import Decimal

import pytest

from alphapulse.domain.position import opened_at
from tests.ledgers import day


@pytest.mark.parametrize(
    ("held", "moves", "expected"),
    [
        ("3", ["1", "2"], 0),
        ("3", ["1", "-1", "2", "1"], 2),  # closed on day 1
        ("3", ["-2", "5"], 1),  # turned from short to long
        ("-2", ["-1", "-1"], 0),
        ("-2", ["4", "-6"], 1),
        ("3", ["2"], None),  # one contract was there before
        ("3", ["-1", "3"], 1),  # what was there before was closed on day 0
        ("3", [], None),
    ],
)
def test_a_position_is_open_since_it_last_left_zero(
    held: str, moves: list[str], expected: int | None
) -> None:
    told: list[tuple[datetime, Decimal]] = [(day(n), Decimal(m)) for n, m in enumerate(moves)]

    assert opened_at(Decimal(held), reversed(told)) == (None if expected is None else day(expected))
