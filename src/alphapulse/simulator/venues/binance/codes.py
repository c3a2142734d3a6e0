"""Codes: Binance's own words for a request that it refuses, whatever it is about.

Source: https://developers.binance.com/docs/binance-spot-api-docs/errors and /filters, 2026-11;
texts as CCXT 4.5.90 matches them.
"""

UNAUTHORIZED = 401
TOO_MANY_REQUESTS = 429
BANNED = 418


class BinanceError(Exception):
    """A refusal as the client sees it: HTTP status, code and message.

    ``data`` is the venue's further word on a failed cancel-replace.
    """

    def __init__(self, code: int, message: str, *, status: int = 400, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.data = data
        self.headers: dict[str, str] = {}

    @property
    def body(self) -> dict[str, object]:
        body: dict[str, object] = {"code": self.code, "msg": self.message}
        return body if self.data is None else body | {"data": self.data}


def missing(name: str) -> BinanceError:
    return BinanceError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def illegal(name: str, pattern: str) -> BinanceError:
    return BinanceError(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'."
    )


def not_required(name: str) -> BinanceError:
    return BinanceError(-1106, f"Parameter '{name}' sent when not required.")


def bad_combination() -> BinanceError:
    return BinanceError(-1128, "Combination of optional parameters invalid.")


def bad_symbol() -> BinanceError:
    return BinanceError(-1121, "Invalid symbol.")


def bad_key() -> BinanceError:
    return BinanceError(
        -2015, "Invalid API-key, IP, or permissions for action.", status=UNAUTHORIZED
    )


def no_such_order() -> BinanceError:
    return BinanceError(-2013, "Order does not exist.")
