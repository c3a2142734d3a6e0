"""Numbers and times of frames are exact."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.errors import InvalidInput
from alphapulse.exchanges.streams.fields import amount, moment, price

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_2100_MS = 4_102_444_800_000


@given(st.integers(min_value=0, max_value=YEAR_2100_MS))
def test_moment_is_exact_to_the_millisecond(milliseconds: int) -> None:
    assert moment(milliseconds) == EPOCH + timedelta(milliseconds=milliseconds)


@given(st.decimals(min_value="0.00000001", max_value="99999999999.99999999", places=8))
def test_numbers_keep_every_digit(value: Decimal) -> None:
    text = format(value, "f")

    assert str(price(text)) == str(amount(text)) == str(Decimal(text))


def test_zero_is_no_price_but_an_amount() -> None:
    assert price("0.00000000") is None
    assert price("") is None
    assert amount("0.000") == 0
    assert amount("") is None


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1E+99", "0x10", "1" * 80])
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    for read in (price, amount):
        with pytest.raises(InvalidInput):
            read(text)
