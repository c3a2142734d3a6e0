"""What every body is made of: exact decimals, UTC times, prices with age and source, pages."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from alphapulse.domain.money import decimal_of, plain
from alphapulse.domain.valuation import Price
from alphapulse.errors import InvalidInput

DECIMAL_PATTERN = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
TIME_PATTERN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"

_DECIMAL = re.compile(DECIMAL_PATTERN)


def _exact(value: object) -> Decimal:
    """A JSON number has been through a float somewhere; only text is certain to be exact."""
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str) or not _DECIMAL.match(value):
        raise ValueError('must be a decimal in a string, plain notation, like "0.00000001"')
    try:
        return decimal_of(value)
    except InvalidInput as error:
        raise ValueError(error.message) from error


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


Dec = Annotated[
    Decimal,
    BeforeValidator(_exact),
    PlainSerializer(plain, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": DECIMAL_PATTERN,
            "examples": ["0.00000001"],
            "description": "Exact decimal in plain notation.",
        }
    ),
]
"""Money, quantity, price, rate or percentage: a string both ways, never a JSON number."""

Timestamp = Annotated[
    datetime,
    PlainSerializer(stamp, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": TIME_PATTERN,
            "examples": ["2026-11-23T03:41:07.120Z"],
        }
    ),
]
"""RFC 3339, UTC, milliseconds."""


class View(BaseModel):
    """Something that goes out. Every field is always there; what is not known is null."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Input(BaseModel):
    """Something that comes in. An unknown field is an error, not a surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class WarningView(View):
    """Something the caller should know about this answer; ``subject`` says about what."""

    code: str
    message: str
    subject: tuple[str, ...] = ()


class Meta(View):
    """About this answer.

    ``as_of`` is the moment the values and ages are for; ``complete`` is false when a part of them
    is missing or stale, and ``warnings`` then say which.
    """

    # First of everything: the fast path writes the id of each request before the shared bytes.
    request_id: str
    as_of: Timestamp
    currency: str | None = None
    complete: bool = True
    warnings: tuple[WarningView, ...] = ()


class Body(View):
    """An object with what is to be known about it."""

    meta: Meta


Item = TypeVar("Item")


class Page(Body, Generic[Item]):
    """A part of a list. ``next_cursor`` asks for the part after it; null at the end."""

    items: list[Item]
    next_cursor: str | None = None


Cursor = Annotated[
    str | None, Field(max_length=200, description="Where the page before this one ended.")
]
Limit = Annotated[int, Field(ge=1, le=500, description="At most this many items.")]


class PriceView(View):
    """One unit in ``currency``; ``source`` is the path of markets it came by."""

    value: Dec
    currency: str
    as_of: Timestamp
    age_ms: int
    source: str
    quality: Literal["live", "delayed", "stale", "manual", "estimated"]

    @classmethod
    def of(cls, price: Price, now: datetime) -> "PriceView":
        return cls(
            value=price.value,
            currency=price.currency,
            as_of=price.as_of,
            age_ms=price.age_ms(now),
            source=price.source,
            quality=price.quality.value,
        )


class DayChangeView(View):
    """What is held now against the same at the prices of 24 hours ago. `abs` is in the currency of
    the answer, and `pct` 5 is five percent. Now and then are told by the same markets: by those of
    `price`, unless one of them has no past. A market says itself what it was; one that was listed
    since counts from its first trade."""

    abs: Dec
    pct: Dec | None


def not_available_yet(*subjects: str) -> WarningView:
    """The one warning that names the fields a later version fills."""
    return WarningView(
        code="not_available_yet",
        message="These fields are null because nothing computes them yet.",
        subject=subjects,
    )
