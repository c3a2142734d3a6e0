"""Repository Pattern Implementation: frozen objects whose fields are columns of the same names."""

from dataclasses import fields, is_dataclass
from operator import attrgetter
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Row, Table

T = TypeVar("T")


class Rows(Generic[T]):
    """Turns a ``kind`` (a dataclass or a struct) into the values of a row, and a row into it.

    A field without a column fails when the program starts, not when the row is written.
    """

    def __init__(self, kind: type[T], table: Table) -> None:
        self._kind = kind
        self._names = _field_names(kind)
        self._get = attrgetter(*self._names)
        self.columns: tuple[ColumnElement[Any], ...] = tuple(table.c[n] for n in self._names)

    def values(self, thing: T, **more: object) -> dict[str, object]:
        """The row of ``thing``, and ``more`` columns of it."""
        return {**dict(zip(self._names, self._get(thing), strict=True)), **more}

    def read(self, row: Row[Any]) -> T:
        """The thing whose columns come first in ``row``."""
        return self._kind(**dict(zip(self._names, row, strict=False)))


def _field_names(kind: type) -> tuple[str, ...]:
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    assert is_dataclass(kind), "only dataclasses and structs name their fields"
    return tuple(field.name for field in fields(kind))
