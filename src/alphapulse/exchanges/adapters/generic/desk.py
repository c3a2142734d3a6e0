"""Orders on any other exchange: limit and market orders on spot, through CCXT's unified methods.

CCXT may ask for an account's number before it sends the order, and some exchanges do not repeat
our name in their answer: such an order is looked up by it at once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from alphapulse.domain.identifiers import ClientOrderId, ExchangeId, ExchangeOrderId, Symbol
from alphapulse.domain.order import Fill, Order, OrderRequest, TimeInForce
from alphapulse.errors import InvalidInput, OrderNotSupported
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.exchange import require_listed
from alphapulse.exchanges.ccxt.session import ms_of
from alphapulse.exchanges.ccxt.trading import acknowledged, book_side, given
from alphapulse.exchanges.port import FeeRates, FillCursor, FillPage, OrderBook, OrderProfile

# A listing with fewer rows than any exchange gives at once is complete; one with more may not be.
ROWS_SURE = 50

# The shortest range of time that an exchange answers at once is 48 h (HTX).
LOOK_BACK = timedelta(hours=47)

FILL_PAGES_MAX = 100


class Reader(Protocol):
    """What the desk needs of its exchange."""

    @property
    def id(self) -> ExchangeId: ...

    def now(self) -> datetime: ...

    def ours(self, name: str) -> ClientOrderId: ...

    def orders_of(self, raw: Sequence[Any]) -> list[Order]: ...

    async def fetch_order(self, symbol: Symbol, *, client_order_id: ClientOrderId) -> Order: ...

    async def fetch_fills(self, cursor: FillCursor) -> FillPage: ...


class GenericDesk:
    """Spot orders of one account."""

    def __init__(self, exchange: Reader, profile: OrderProfile) -> None:
        self.profile = profile
        self._exchange = exchange

    async def prepare(self, client: Any, request: OrderRequest) -> None:
        raise OrderNotSupported("spot has no leverage", field="leverage")

    async def place(self, client: Any, request: OrderRequest, name: ClientOrderId) -> Order:
        # Before CCXT asks for anything: then it is proved that nothing left.
        require_listed(client, request.symbol)
        _require_on_grid(client, request)
        raw = await client.create_order(
            request.symbol,
            request.type.value,
            request.side.value,
            request.quantity,
            request.limit_price,
            _params(request, name),
        )
        exchange_order_id = ExchangeOrderId(parse.text(raw, "id"))
        echo = raw.get("clientOrderId")
        if echo is None:
            return await self._exchange.fetch_order(request.symbol, client_order_id=name)
        if raw.get("symbol") not in {None, request.symbol}:
            raise parse.broken("an order of another symbol")
        # What else an answer says differs from exchange to exchange; the listings tell it.
        return acknowledged(
            request,
            self._exchange.id,
            self._exchange.ours(str(echo)),
            exchange_order_id,
            self._exchange.now(),
        )

    async def cancel(self, client: Any, order: Order) -> None:
        if order.exchange_order_id is None:
            raise InvalidInput("this exchange cancels by its own id", field="order_id")
        await client.cancel_order(order.exchange_order_id, order.symbol)

    async def amend(
        self, client: Any, order: Order, quantity: Decimal | None, limit_price: Decimal | None
    ) -> None:
        raise OrderNotSupported("orders are not changed in place here", field="order_id")

    async def orders_since(self, client: Any, symbol: Symbol, since: datetime) -> list[Order]:
        if self._exchange.now() - since > LOOK_BACK:
            raise parse.broken("too long ago to be read completely", exchange=self._exchange.id)
        ended = [ask for name, ask in _ENDED.items() if client.has.get(name)]
        if not ended:
            raise OrderNotSupported("this exchange lists no ended orders", symbol=symbol)
        # Open ones first: one that ends meanwhile is then in a list that is read later.
        lists = [await client.fetch_open_orders(symbol)]
        lists += [await getattr(client, ask)(symbol, ms_of(since), ROWS_SURE) for ask in ended]
        if any(len(rows) >= ROWS_SURE for rows in lists):
            raise parse.broken("more orders than are surely listed", exchange=self._exchange.id)
        found = self._exchange.orders_of([row for rows in lists for row in rows])
        return [one for one in parse.unique_orders(found) if one.created_at >= since]

    async def fills_since(self, client: Any, symbol: Symbol, since: datetime) -> list[Fill]:
        cursor = FillCursor(symbol, str(ms_of(since)))
        fills: list[Fill] = []
        for _ in range(FILL_PAGES_MAX):
            page = await self._exchange.fetch_fills(cursor)
            fills += page.fills
            if page.is_last:
                return list(parse.unique_fills(fills))
            cursor = page.next_cursor
        raise parse.broken("a listing without end", exchange=self._exchange.id)

    async def book(self, client: Any, symbol: Symbol, depth: int) -> OrderBook:
        require_listed(client, symbol)
        raw = await client.fetch_order_book(symbol)
        return OrderBook(
            symbol=symbol,
            bids=book_side(_as_text(raw["bids"]), depth),
            asks=book_side(_as_text(raw["asks"]), depth),
            received_at=self._exchange.now(),
        )

    async def fee_rates(self, client: Any, symbol: Symbol) -> FeeRates:
        listed = require_listed(client, symbol)
        rates = (
            await client.fetch_trading_fee(symbol) if client.has.get("fetchTradingFee") else listed
        )
        return FeeRates(_rate(rates, "maker"), _rate(rates, "taker"))


# What lists ended orders, by CCXT's name of the ability.
_ENDED = {
    "fetchOrders": "fetch_orders",
    "fetchClosedOrders": "fetch_closed_orders",
    "fetchCanceledOrders": "fetch_canceled_orders",
}


def _require_on_grid(client: Any, request: OrderRequest) -> None:
    """CCXT would round in silence, and another order would be sent than was checked."""
    for number, shaped, field in (
        (request.quantity, client.amount_to_precision, "quantity"),
        (request.limit_price, client.price_to_precision, "limit_price"),
    ):
        if number is not None and Decimal(shaped(request.symbol, number)) != number:
            raise InvalidInput("not on the exchange's grid", field=field)


def _params(request: OrderRequest, name: ClientOrderId) -> dict[str, Any]:
    # Until canceled is what every exchange understands where nothing is said.
    is_brief = request.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}
    return given(
        clientOrderId=name,
        timeInForce=str(request.time_in_force).upper() if is_brief else None,
        postOnly=True if request.post_only else None,
    )


def _as_text(levels: Sequence[Sequence[float]]) -> list[list[str]]:
    """CCXT reads books into floats; their shortest text is what the exchange wrote."""
    return [[str(number) for number in level[:2]] for level in levels]


def _rate(rates: parse.Raw, key: str) -> Decimal:
    # CCXT's own tables of fees are floats; their text is what they were written as.
    value = rates.get(key)
    return parse.decimal({key: str(value) if isinstance(value, float) else value}, key)
