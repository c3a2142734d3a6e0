"""Money: exact in, exact out."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.money import decimal_of, is_multiple, plain, round_down, round_up
from alphapulse.errors import InvalidInput

amounts = st.decimals(
    allow_nan=False, allow_infinity=False, places=18, min_value=-(10**18), max_value=10**18
)
steps = st.sampled_from([Decimal("0.00000001"), Decimal("0.01"), Decimal("0.5"), Decimal(5)])


@given(amounts)
def test_a_decimal_survives_print_and_parse(amount: Decimal) -> None:
    assert decimal_of(plain(amount)) == amount


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1E-8", "0.00000001"),
        ("1E+3", "1000"),
        ("-0.0", "0"),
        ("10.500", "10.5"),
        ("0", "0"),
    ],
)
def test_plain_has_no_exponent_and_no_padding(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


BAD = [0.1, True, "abc", "", "NaN", "sNaN", "-Infinity", "1e400", "1e-61", "0e999", None, "1" * 61]


@pytest.mark.parametrize("bad", [*BAD, 10**60, Decimal("NaN"), Decimal("1." + "0" * 60)])
def test_decimal_of_refuses_what_is_not_an_exact_finite_number(bad: object) -> None:
    with pytest.raises(InvalidInput):
        decimal_of(bad)


@pytest.mark.parametrize("text", ["9" * 60, "1e60", "1e-60", "-0." + "0" * 58 + "1", "1.50", "0"])
def test_decimal_of_keeps_every_digit_of_what_it_reads(text: str) -> None:
    assert str(decimal_of(text)) == str(decimal_of(Decimal(text))) == str(Decimal(text))


@given(amounts.map(abs), steps)
def test_rounding_lands_on_the_step_and_brackets_the_amount(amount: Decimal, step: Decimal) -> None:
    down, up = round_down(amount, step), round_up(amount, step)
    assert is_multiple(down, step)
    assert is_multiple(up, step)
    assert down <= amount <= up
    assert up - down <= step
