"""Params: what a request says, from its query, its form body or both, with the venue's checks."""

import re
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import parse_qsl

import msgspec

from alphapulse.simulator.venues.binance.codes import BinanceError, illegal, missing
from alphapulse.simulator.venues.face import Request

NUMBER = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
INTEGER = r"^[0-9]{1,20}$"
SYMBOL = r"^[A-Z0-9-_.]{1,20}$"
CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"

# Every asset is kept with this many decimals.
PRECISION = 8


class Params:
    """Named texts; a parameter that is absent or empty counts as not sent."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    @classmethod
    def of(cls, request: Request) -> "Params":
        """Query first, then the body; a name given twice keeps its last value."""
        body = request.body.decode("utf-8", "replace")
        pairs = parse_qsl(request.query, keep_blank_values=True)
        return cls(dict(pairs + parse_qsl(body, keep_blank_values=True)))

    def has(self, name: str) -> bool:
        return bool(self._values.get(name))

    def optional(self, name: str) -> str | None:
        return self._values.get(name) or None

    def text(self, name: str) -> str:
        """A mandatory parameter."""
        value = self.optional(name)
        if value is None:
            raise missing(name)
        return value

    def matching(self, name: str, pattern: str) -> str | None:
        """An optional parameter of a certain form."""
        value = self.optional(name)
        if value is not None and not re.fullmatch(pattern, value):
            raise illegal(name, pattern)
        return value

    def integer(self, name: str) -> int | None:
        value = self.matching(name, INTEGER)
        return None if value is None else int(value)

    def limit(self, default: int, most: int) -> int:
        """How many rows are wanted; more than ``most`` is cut, as the venue does."""
        limit = self.integer("limit")
        if limit is None:
            return default
        return min(max(limit, 1), most)

    def decimal(self, name: str) -> Decimal | None:
        value = self.matching(name, NUMBER)
        if value is None:
            return None
        number = Decimal(value)
        exponent = number.normalize().as_tuple().exponent
        if isinstance(exponent, int) and -exponent > PRECISION:
            raise BinanceError(-1111, f"Parameter '{name}' has too much precision.")
        return number

    def symbol(self) -> str:
        """The mandatory symbol, well formed; whether it exists is the venue's to say."""
        self.text("symbol")
        return self.matching("symbol", SYMBOL) or ""

    def symbols(self) -> list[str] | None:
        """``symbol``, or the JSON list ``symbols``; ``None`` when neither was sent."""
        if self.has("symbols"):
            if self.has("symbol"):
                raise BinanceError(-1128, "Combination of optional parameters invalid.")
            return self._list("symbols")
        return [self.symbol()] if self.has("symbol") else None

    def _list(self, name: str) -> list[str]:
        pattern = r"^\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\"){0,}){0,1}\]$"
        try:
            return msgspec.json.decode(self.text(name), type=list[str])
        except msgspec.MsgspecError:
            raise illegal(name, pattern) from None
