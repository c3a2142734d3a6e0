"""Names of things, as types, so that one cannot pass for another."""

import re
from typing import NewType

from alphapulse.errors import InvalidInput

AccountId = NewType("AccountId", str)
"""Ours: one set of credentials on one exchange."""

UserId = NewType("UserId", str)

ExchangeId = NewType("ExchangeId", str)
"""Lower-case CCXT id: ``binance``, ``bybit``."""

Symbol = NewType("Symbol", str)
"""CCXT's unified form: ``BTC/USDT``, ``BTC/USDT:USDT``."""

Asset = NewType("Asset", str)
"""Unified upper-case code: ``BTC``."""

ClientOrderId = NewType("ClientOrderId", str)
ExchangeOrderId = NewType("ExchangeOrderId", str)

# Digits lead some codes (1INCH), a few carry dots or dashes; 40 covers every symbol of CCXT 4.5.90.
_SYMBOL = re.compile(
    r"[A-Z0-9][A-Z0-9.\-]{0,39}/[A-Z0-9]{1,20}(:[A-Z0-9]{1,20}(-[A-Z0-9\-]{1,30})?)?"
)
_ASSET = re.compile(r"[A-Z0-9][A-Z0-9.\-]{0,39}")
_EXCHANGE = re.compile(r"[a-z0-9]{2,30}")


def symbol(text: str, field: str = "symbol") -> Symbol:
    """Accept a unified symbol, or say what one looks like and in which ``field`` it came."""
    if not _SYMBOL.fullmatch(text):
        raise InvalidInput(
            "not a symbol; expected a form like BTC/USDT or BTC/USDT:USDT",
            field=field,
            value=text[:60],
        )
    return Symbol(text)


def asset(text: str, field: str = "asset") -> Asset:
    """Accept a unified asset code, or say what one looks like and in which ``field`` it came."""
    if not _ASSET.fullmatch(text):
        raise InvalidInput(
            "not an asset code; expected a form like BTC", field=field, value=text[:60]
        )
    return Asset(text)


def exchange_id(text: str) -> ExchangeId:
    """Accept the form of an exchange id; whether the exchange exists is the factory's to say."""
    if not _EXCHANGE.fullmatch(text):
        raise InvalidInput(
            "not an exchange id; expected lower case, like binance",
            field="exchange",
            value=text[:60],
        )
    return ExchangeId(text)
