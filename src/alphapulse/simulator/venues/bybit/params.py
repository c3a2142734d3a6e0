"""Params: a request's parameters, read exactly, refused in Bybit's words."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TypeVar
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from alphapulse.domain.money import decimal_of
from alphapulse.errors import InvalidInput
from alphapulse.simulator.core.candles import DAY_MS
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.venues.bybit import codes
from alphapulse.simulator.venues.bybit.codes import BybitError
from alphapulse.simulator.venues.face import Request

WINDOW_MS = 7 * DAY_MS
"""The longest range of most histories, and what they tell without one."""

# JSON numbers become decimals, never floats: quantities arrive both as text and as numbers.
_JSON = msgspec.json.Decoder(float_hook=Decimal)

T = TypeVar("T")


class Params:
    """Parameters of one request, from its query or its JSON body."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    @classmethod
    def of(cls, request: Request) -> "Params":
        """Read them where the method puts them.

        Raises:
            BybitError: 10001, the body is no JSON object.
        """
        if request.method != "POST":
            return cls(dict(parse_qsl(request.query, keep_blank_values=True)))
        return cls(json_object(request.body or b"{}"))

    def text(self, name: str) -> str:
        value = self.optional(name)
        if value is None:
            raise _bad(name)
        return value

    def optional(self, name: str) -> str | None:
        """``None`` when absent or empty; the venue takes both for "not given"."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
            return str(value)
        raise _bad(name)

    def flag(self, name: str) -> bool:
        return self._values.get(name) in (True, "true", "True", "1")

    def decimal(self, name: str) -> Decimal | None:
        text = self.optional(name)
        try:
            return None if text is None else decimal_of(text, field=name)
        except InvalidInput:
            raise _bad(name) from None

    def integer(self, name: str) -> int | None:
        text = self.optional(name)
        if text is None:
            return None
        if not text.isdigit() or len(text) > 18:
            raise _bad(name)
        return int(text)

    def limit(self, default: int, maximum: int) -> int:
        """A page's size; beyond the maximum is the maximum."""
        limit = self.integer("limit")
        return default if limit is None else max(1, min(limit, maximum))

    def objects(self, name: str, most: int) -> list[dict[str, object]]:
        """A list of JSON objects, not more than ``most`` and not empty."""
        value = self._values.get(name)
        if not isinstance(value, list) or not 0 < len(value) <= most:
            raise _bad(name)
        if not all(isinstance(one, dict) for one in value):
            raise _bad(name)
        return value

    def choice(self, name: str, choices: Mapping[str, T]) -> T:
        value = choices.get(self.text(name))
        if value is None:
            raise _bad(name)
        return value

    def category(self) -> Category | None:
        """``None`` for the venue's other categories, which hold nothing here."""
        text = self.text("category")
        if text in {"inverse", "option"}:
            return None
        if text not in set(Category):
            raise BybitError(codes.PARAMS, "params error: Category is invalid")
        return Category(text)


def json_object(body: bytes | str) -> dict[str, object]:
    """A JSON object.

    Raises:
        BybitError: 10001, it is none.
    """
    try:
        value = _JSON.decode(body)
    except msgspec.DecodeError:
        value = None
    if not isinstance(value, dict):
        raise BybitError(codes.PARAMS, "params error: request body is not a JSON object")
    return value


def window(
    params: Params,
    now_ms: int,
    *,
    default_ms: int = WINDOW_MS,
    longest_ms: int = WINDOW_MS,
) -> tuple[int, int]:
    """The time range of a history request; without both ends it is the default long.

    Raises:
        BybitError: 10001, longer than the longest or the wrong way round.
    """
    start, end = params.integer("startTime"), params.integer("endTime")
    if start is None:
        end = now_ms if end is None else end
        return end - default_ms, end
    if end is None:
        return start, start + default_ms
    if end < start:
        raise BybitError(codes.PARAMS, "params error: startTime is later than endTime")
    if end - start > longest_ms:
        days = longest_ms // DAY_MS
        raise BybitError(
            codes.PARAMS,
            f"The time range between startTime and endTime cannot exceed {days} days.",
        )
    return start, end


def _bad(name: str) -> BybitError:
    return BybitError(codes.PARAMS, f"params error: {name} invalid")


Keyed = tuple[tuple[int, int], T]
"""A row and what it is sorted by: a time in ms, and a number that tells equals apart."""


def page(rows: Iterable[Keyed[T]], cursor: str | None, limit: int) -> tuple[list[T], str]:
    """One page, newest first, and where the next begins.

    The mark is the last row's own key, so that rows that appear meanwhile move nothing. As on the
    venue a full page has one even when nothing follows.
    """
    ordered = sorted(rows, key=lambda keyed: keyed[0], reverse=True)
    mark = None if cursor is None else _key_of(cursor)
    if mark is not None:
        ordered = [keyed for keyed in ordered if keyed[0] < mark]
    chosen = ordered[:limit]
    following = _cursor_of(chosen[-1][0]) if len(chosen) == limit else ""
    return [row for _, row in chosen], following


def _cursor_of(key: tuple[int, int]) -> str:
    return quote(f"{key[0]}:{key[1]},{key[0]}:{key[1]}", safe="")


def _key_of(cursor: str) -> tuple[int, int]:
    parts = unquote(cursor).split(",")[0].split(":")
    if len(parts) != 2 or not all(part.isdigit() and len(part) <= 18 for part in parts):
        raise BybitError(codes.PARAMS, "params error: cursor invalid")
    return int(parts[0]), int(parts[1])
