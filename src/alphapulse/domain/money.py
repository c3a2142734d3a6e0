"""Exact decimals: parse, print and round without ever passing through a float."""

from decimal import (
    ROUND_DOWN,
    ROUND_UP,
    Clamped,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    Rounded,
    Subnormal,
)

from alphapulse.errors import InvalidInput

ZERO = Decimal(0)

# 38 digits is what NUMERIC(38, 18) and the largest token supplies need; 60 leaves room for the
# product of two of them before a display rounds.
MAX_DIGITS = 60

EXACT = Context(prec=MAX_DIGITS, traps=[InvalidOperation, DivisionByZero, Overflow])

# Refuses by itself what it could not keep digit for digit: a market message has two numbers or
# more, and any check of ours costs as much as the reading.
_read = Context(
    prec=MAX_DIGITS,
    Emin=-MAX_DIGITS,
    Emax=MAX_DIGITS,
    traps=[InvalidOperation, Rounded, Overflow, Subnormal, Clamped],
).create_decimal


def decimal_of(value: object, *, field: str = "value") -> Decimal:
    """Read an exact, finite decimal from text, an int or a Decimal.

    Raises:
        InvalidInput: a float, not a number, not finite, or beyond 60 digits.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise InvalidInput("a decimal must come as text", field=field, value=type(value).__name__)
    return exact(value, field)


def exact(value: str | int | Decimal, field: str = "value") -> Decimal:
    """`decimal_of` what can only be text, an int or a Decimal: a quarter sooner read.

    Raises:
        InvalidInput: not a number, not finite, or beyond 60 digits.
    """
    try:
        number = _read(value)
    except InvalidOperation:
        raise InvalidInput("not a decimal number", field=field, value=str(value)[:60]) from None
    except ArithmeticError:
        raise InvalidInput("too many digits", field=field, value=str(value)[:60]) from None
    if not number.is_finite():
        raise InvalidInput("not a finite number", field=field, value=str(value)[:60])
    return number


def plain(number: Decimal) -> str:
    """Print without exponent and without padding zeros: ``0.00000001``, never ``1E-8``."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def multiply(left: Decimal, right: Decimal) -> Decimal:
    """Product at 60 digits: exact for any price times quantity a venue can send."""
    return EXACT.multiply(left, right)


def divide(left: Decimal, right: Decimal) -> Decimal:
    """Quotient at 60 digits."""
    return EXACT.divide(left, right)


def add(left: Decimal, right: Decimal) -> Decimal:
    """Sum at 60 digits; the default context would round beyond 28."""
    return EXACT.add(left, right)


def total(numbers: "list[Decimal] | tuple[Decimal, ...]") -> Decimal:
    """Sum at 60 digits."""
    result = ZERO
    for number in numbers:
        result = EXACT.add(result, number)
    return result


def round_down(number: Decimal, step: Decimal) -> Decimal:
    """The nearest multiple of ``step`` towards zero: amounts and buy prices."""
    return _to_step(number, step, ROUND_DOWN)


def round_up(number: Decimal, step: Decimal) -> Decimal:
    """The nearest multiple of ``step`` away from zero: sell prices."""
    return _to_step(number, step, ROUND_UP)


def is_multiple(number: Decimal, step: Decimal) -> bool:
    """Whether ``number`` lies on the grid of ``step``."""
    return EXACT.remainder(number, step) == 0


def _to_step(number: Decimal, step: Decimal, rounding: str) -> Decimal:
    steps = EXACT.divide(number, step).to_integral_value(rounding=rounding)
    return EXACT.multiply(steps, step)
