"""Packing: dataclasses of the core as JSON and back, decimals as text.

What a thing refers to (an instrument, an order's fills) is left out here and given again there.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar, get_type_hints

import msgspec

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


def packed(thing: "DataclassInstance", *, without: tuple[str, ...] = ()) -> dict[str, object]:
    """Every field but those named, as JSON has it."""
    return {
        field.name: msgspec.to_builtins(getattr(thing, field.name))
        for field in fields(thing)
        if field.name not in without
    }


def unpacked(kind: type[T], row: Mapping[str, object], **given: object) -> T:
    """The thing that `packed` made a row of, with what was left out.

    Raises:
        msgspec.ValidationError: the row is of something else.
    """
    hints = _hints(kind)
    unknown = row.keys() - hints.keys()
    if unknown:
        raise msgspec.ValidationError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    values = {name: msgspec.convert(value, hints[name]) for name, value in row.items()}
    try:
        return kind(**values, **given)
    except TypeError as missing:
        raise msgspec.ValidationError(str(missing)) from missing


_HINTS: dict[type[object], dict[str, object]] = {}


def _hints(kind: type[object]) -> dict[str, object]:
    if kind not in _HINTS:
        _HINTS[kind] = get_type_hints(kind)
    return _HINTS[kind]
