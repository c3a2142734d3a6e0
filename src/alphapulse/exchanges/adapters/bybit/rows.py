"""Bybit rows: how REST and the private stream describe orders, executions, positions, wallets.

CCXT's parsers read them; what those leave out or take for something else is put right here.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from alphapulse.domain.balance import Balance, Wallet
from alphapulse.domain.identifiers import ExchangeId, Symbol
from alphapulse.domain.money import ZERO
from alphapulse.domain.order import Fill, Order
from alphapulse.domain.position import Position
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.exchange import CcxtExchange

EXCHANGE = ExchangeId("bybit")

CATEGORIES = {MarketType.SPOT: "spot", MarketType.SWAP: "linear"}

# Linear contracts are listed by the coin they settle in.
SETTLE_COINS = ("USDT", "USDC")

# Of spot, conditional orders are listed apart.
ORDER_FILTERS = ("Order", "StopOrder", "tpslOrder")

ROWS_PER_PAGE = 50

# A listing with more pages than this is read in smaller parts, so that one call stays short.
PAGES_MAX = 40

# Executions that move a position: the rest are funding and settlements.
_FILL_TYPES = {"Trade", "AdlTrade", "BustTrade", ""}

# What says that nothing was wrong.
_NO_REASON = {"", "EC_NoError"}

Raw = dict[str, Any]

T = TypeVar("T")


class BybitRows:
    """Readers of rows for one account; ``client`` is CCXT's instance of the row's category."""

    exchange = EXCHANGE

    def __init__(self, exchange: CcxtExchange) -> None:
        self._exchange = exchange

    def orders(self, client: Any, rows: Sequence[parse.Raw]) -> list[Order]:
        return self._exchange.orders_of([_order(client, row) for row in rows])

    def fill(self, client: Any, row: parse.Raw) -> Fill | None:
        """``None`` for funding and settlements, which are listed among the executions."""
        if row.get("execType", "") not in _FILL_TYPES:
            return None
        return self._exchange.fill_of(_trade(client, row), row.get("orderLinkId"))

    def position(self, client: Any, row: parse.Raw) -> Position | None:
        """``None`` where nothing is open."""
        return self._exchange.position_of(client.parse_position(row, _market(client, row)))


def symbol(client: Any, row: parse.Raw) -> Symbol:
    """The unified symbol of a row."""
    return parse.symbol_of(_market(client, row))


def balance(row: parse.Raw, client: Any) -> Balance:
    """One coin of a unified wallet."""
    total = parse.decimal(row, "walletBalance")
    # Locked by spot orders, and margin held for orders and positions.
    held = sum(
        (
            parse.optional_decimal(row, key) or ZERO
            for key in ("locked", "totalOrderIM", "totalPositionIM")
        ),
        ZERO,
    )
    free = min(max(ZERO, total - held), total)
    return Balance(
        wallet=Wallet.UNIFIED,
        asset=parse.asset_of(client.safe_currency_code(parse.text(row, "coin"))),
        free=free,
        locked=total - free,
        borrowed=parse.optional_decimal(row, "borrowAmount") or ZERO,
    )


async def all_rows(ask: Callable[[Raw], Awaitable[Any]], request: Raw) -> list[Raw]:
    """Every row of a listing, or an error."""
    rows = await rows_if_few(ask, request)
    if rows is None:
        raise parse.broken("a listing without end", exchange=EXCHANGE)
    return rows


async def rows_if_few(
    ask: Callable[[Raw], Awaitable[Any]], request: Raw, *, name: str = "list"
) -> list[Raw] | None:
    """Every row, page after page until the venue names no next one; ``None`` of too many pages.

    ``name`` is what the answer calls its rows.
    """
    rows: list[Raw] = []
    mark, seen = "", set[str]()
    for _ in range(PAGES_MAX):
        result = (await ask({**request, "cursor": mark} if mark else request))["result"]
        rows += result[name]
        mark = result.get("nextPageCursor") or ""
        if not mark or not result[name]:
            return rows
        if mark in seen:
            raise parse.broken("a page mark that comes again", exchange=EXCHANGE)
        seen.add(mark)
    return None


async def whole_window(
    read: Callable[[datetime, datetime], Awaitable[T | None]],
    start: datetime,
    now: datetime,
    longest: timedelta,
) -> tuple[T, datetime]:
    """What is found from ``start`` on, and until when: the longest range that ``read`` can read to
    its end. It answers ``None`` where that is too much."""
    width = longest
    while True:
        end = min(start + width, now)
        found = await read(start, end)
        if found is not None:
            return found, end
        width /= 8
        if width < timedelta(milliseconds=1):
            raise parse.broken("more rows at one moment than can be", exchange=EXCHANGE)


def _order(client: Any, row: parse.Raw) -> Raw:
    raw: Raw = client.parse_order(row, _market(client, row))
    reason = row.get("rejectReason") or ""
    # Without a unit, a spot market order to buy is for quote currency.
    is_by_quote = "tpslMode" not in row and row.get("orderType") == "Market"
    unit = row.get("marketUnit") or ("quoteCoin" if row.get("side") == "Buy" else "")
    return raw | {
        "quoteAmount": row.get("qty") if is_by_quote and unit == "quoteCoin" else None,
        "isTrailing": row.get("stopOrderType") == "TrailingStop",
        "reason": None if reason in _NO_REASON else reason,
    }


def _market(client: Any, row: parse.Raw) -> Any:
    """CCXT's market of a row; by the category, for spot and linear share their names."""
    kind = "spot" if client.options["defaultType"] == "spot" else "swap"
    return client.safe_market(parse.text(row, "symbol"), None, None, kind)


def _trade(client: Any, row: parse.Raw) -> Raw:
    """CCXT's trade of an execution, with the fee in the coin the venue names: it may be a third."""
    trade: Raw = client.parse_trade(row, _market(client, row))
    coin = row.get("feeCurrency")
    if coin:
        trade["fee"] = {"cost": row.get("execFee"), "currency": client.safe_currency_code(coin)}
    return trade
