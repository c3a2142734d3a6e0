"""What the orders of Binance's two products have in common: ids, listings by symbol, the book.

CCXT signs and names; requests are made here, because CCXT rounds what it is given and asks more
than once for some orders, and what is sent must be what was checked.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

from alphapulse.domain.identifiers import ClientOrderId, ExchangeOrderId, Symbol
from alphapulse.domain.money import EXACT
from alphapulse.domain.order import Fill, Order, OrderRequest, OrderType, Side, Trigger
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.exchange import CcxtExchange, require_listed
from alphapulse.exchanges.ccxt.paging import rows_since
from alphapulse.exchanges.ccxt.session import ExchangeSession
from alphapulse.exchanges.ccxt.trading import asked_for, book_side
from alphapulse.exchanges.port import OrderBook, OrderProfile

# The venue's own limits; the weight is the same for less.
ROWS_PER_PAGE = 1000

# What CCXT calls them; others are a broken answer.
_STATUS = {
    "NEW": "open",
    "PARTIALLY_FILLED": "open",
    "FILLED": "closed",
    "CANCELED": "canceled",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
}

_EIGHTEEN_PLACES = Decimal("1e-18")

Raw = dict[str, Any]
Call = Callable[[Raw], Awaitable[Any]]


class BinanceDesk(ABC):
    """One product of Binance, for one account."""

    profile: OrderProfile
    api: str
    """How CCXT names this product's signed requests."""
    fills_path: str
    window: timedelta
    """The longest range of time a listing takes."""
    book_depths: Sequence[int]
    types: Mapping[str, str]
    """How an order ends that is neither a plain limit nor market order."""

    def __init__(self, exchange: CcxtExchange, session: ExchangeSession) -> None:
        self._exchange = exchange
        self._session = session

    def signed(self, client: Any, request: str) -> Call:
        """CCXT's method for a signed request of this product, like ``post_order``."""
        call: Call = getattr(client, f"{self.api}_{request}")
        return call

    def order(self, client: Any, row: Raw) -> Order:
        """One order of the matching engine's."""
        return self._exchange.orders_of([self._unified(client, row) | self.more(row)])[0]

    def _unified(self, client: Any, row: Raw) -> Raw:
        """What CCXT's `parse_order` makes of an order, as far as `parse.order` reads it.

        CCXT works out fees, costs and dates besides, and takes longer for it than all that is read
        here. Its moment of an order is when that began to work, -1 while it waits for its price.
        """
        kind, updated_ms = row.get("type") or "", row.get("updateTime") or row.get("transactTime")
        is_maker = row.get("timeInForce") == "GTX"
        return {
            "id": row["orderId"],
            "clientOrderId": row["clientOrderId"],
            "symbol": _market(client, row)["symbol"],
            "timestamp": row.get("time") or updated_ms,
            "lastUpdateTimestamp": updated_ms,
            "side": parse.text(row, "side").lower(),
            "type": self.types.get(kind, kind.lower()),
            "timeInForce": "PO" if is_maker else row.get("timeInForce"),
            "postOnly": is_maker or kind == "LIMIT_MAKER",
            "reduceOnly": row.get("reduceOnly"),
            "amount": row["origQty"],
            "filled": row["executedQty"],
            "price": row.get("price"),
            "triggerPrice": row.get("stopPrice"),
            "average": average_price(row),
            "status": _STATUS.get(row["status"], row["status"]),
        }

    @abstractmethod
    def more(self, row: Raw) -> Raw:
        """What of an order the two products tell differently; see `parse.order`."""

    async def open_orders(self, client: Any) -> list[Order]:
        rows = await self.signed(client, "get_openorders")({})
        return [self.order(client, row) for row in rows]

    async def fetch(
        self,
        client: Any,
        symbol: Symbol,
        exchange_order_id: ExchangeOrderId | None,
        client_order_id: ClientOrderId | None,
    ) -> Order:
        """One order by either id. Raises `NotFound`."""
        named = named_order(exchange_order_id, client_order_id)
        row = await self.signed(client, "get_order")({"symbol": market_id(client, symbol), **named})
        return asked_for(self.order(client, row), exchange_order_id, client_order_id)

    async def cancel(self, client: Any, order: Order) -> None:
        named = named_order(order.exchange_order_id, order.client_order_id)
        request = {"symbol": market_id(client, order.symbol), **named}
        await self.signed(client, "delete_order")(request)

    async def orders_since(self, client: Any, symbol: Symbol, since: datetime) -> list[Order]:
        rows = await self._rows(client, "get_allorders", symbol, since, "orderId")
        return [self.order(client, row) for row in rows]

    async def fills_since(self, client: Any, symbol: Symbol, since: datetime) -> list[Fill]:
        rows = await self._rows(client, f"get_{self.fills_path}", symbol, since, "id")
        return list(self.fills_of(client, rows))

    async def fills_from(self, client: Any, symbol: Symbol, first_id: int) -> tuple[Fill, ...]:
        """One page of a symbol's fills from a trade id on."""
        asked = {"symbol": market_id(client, symbol), "fromId": first_id, "limit": ROWS_PER_PAGE}
        return self.fills_of(client, await self.signed(client, f"get_{self.fills_path}")(asked))

    def fills_of(self, client: Any, rows: Sequence[Raw]) -> tuple[Fill, ...]:
        """Oldest first, each once."""
        return parse.unique_fills(
            self._exchange.fill_of(client.parse_trade(row, _market(client, row))) for row in rows
        )

    async def _rows(
        self, client: Any, path: str, symbol: Symbol, since: datetime, id_key: str
    ) -> list[Raw]:
        return await rows_since(
            self.signed(client, path),
            {"symbol": market_id(client, symbol)},
            since,
            self._session.venue_now(),
            window=self.window,
            rows_per_page=ROWS_PER_PAGE,
            id_key=id_key,
            time_key="time",
        )

    async def book(self, client: Any, symbol: Symbol, depth: int) -> OrderBook:
        asked = next((size for size in self.book_depths if size >= depth), self.book_depths[-1])
        ask = client.public_get_depth if self.api == "private" else client.fapipublic_get_depth
        raw = await ask({"symbol": market_id(client, symbol), "limit": asked})
        return OrderBook(
            symbol=symbol,
            bids=book_side(raw["bids"], depth),
            asks=book_side(raw["asks"], depth),
            received_at=self._session.now(),
        )


def average_price(row: Raw) -> Decimal | None:
    """As the venue says it, else what was paid by what was filled, to 18 places as CCXT has it."""
    stated, filled = parse.positive_decimal(row, "avgPrice"), parse.decimal(row, "executedQty")
    paid = parse.optional_decimal(row, "cummulativeQuoteQty")
    if stated is not None or not filled or paid is None:
        return stated
    return EXACT.divide(paid, filled).quantize(_EIGHTEEN_PLACES, ROUND_DOWN, EXACT)


def named_order(
    exchange_order_id: ExchangeOrderId | None, client_order_id: ClientOrderId | None
) -> Raw:
    """Which order is meant; the venue's own id is unique for ever, so it goes first."""
    if exchange_order_id is not None:
        return {"orderId": exchange_order_id}
    return {"origClientOrderId": client_order_id}


def market_id(client: Any, symbol: Symbol) -> str:
    """The venue's name of a symbol."""
    found: str = require_listed(client, symbol)["id"]
    return found


def is_stop_loss(request: OrderRequest) -> bool:
    """Whether the price it waits for goes against its side; a take profit is the other kind."""
    return request.trigger is None or (request.trigger is Trigger.RISES) == (
        request.side is Side.BUY
    )


def is_by_limit(request: OrderRequest) -> bool:
    """Whether it ends up as a limit order."""
    return request.type in {OrderType.LIMIT, OrderType.STOP_LIMIT} or (
        request.type is OrderType.TRAILING_STOP and request.limit_price is not None
    )


def _market(client: Any, row: Raw) -> Any:
    return client.safe_market(parse.text(row, "symbol"), None, None, client.options["defaultType"])
