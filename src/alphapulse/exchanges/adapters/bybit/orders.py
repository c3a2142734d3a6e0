"""Bybit orders: spot and linear perpetuals, placed, amended, canceled and listed.

A create, amend or cancel is acknowledged with ids only; what became of it is told on the private
stream and by the listings. Source: https://bybit-exchange.github.io/docs/v5/order/create-order and
its siblings, read 2026-11.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from alphapulse.domain.identifiers import ClientOrderId, ExchangeOrderId, Symbol
from alphapulse.domain.money import plain
from alphapulse.domain.order import Fill, Order, OrderRequest, OrderType, Trigger
from alphapulse.domain.position import MarginMode
from alphapulse.errors import NotFound, OrderNotSupported
from alphapulse.exchanges.adapters.bybit.rows import (
    CATEGORIES,
    ORDER_FILTERS,
    ROWS_PER_PAGE,
    SETTLE_COINS,
    BybitRows,
    Raw,
    all_rows,
)
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.client import MarketType
from alphapulse.exchanges.ccxt.exchange import require_listed
from alphapulse.exchanges.ccxt.session import ExchangeSession, ms_of
from alphapulse.exchanges.ccxt.trading import acknowledged, asked_for, book_side, given, unless_done
from alphapulse.exchanges.order_profiles import ORDER_PROFILES
from alphapulse.exchanges.port import FeeRates, OrderBook

# The longest range of time a listing takes.
WINDOW = timedelta(days=7)

FILLS_PER_PAGE = 100

BOOK_DEPTH_MAX = {MarketType.SPOT: 200, MarketType.SWAP: 500}

_STOPS = {OrderType.STOP, OrderType.STOP_LIMIT}

_DIRECTIONS = {Trigger.RISES: 1, Trigger.FALLS: 2}

_MARGIN_MODES = {MarginMode.CROSS: "REGULAR_MARGIN", MarginMode.ISOLATED: "ISOLATED_MARGIN"}


class BybitDesk:
    """Orders of one category of a unified account."""

    def __init__(self, market_type: MarketType, rows: BybitRows, session: ExchangeSession) -> None:
        self.profile = ORDER_PROFILES["bybit", market_type.value]
        self._market_type = market_type
        self._category = CATEGORIES[market_type]
        self._rows = rows
        self._session = session

    async def prepare(self, client: Any, request: OrderRequest) -> None:
        if self._market_type is MarketType.SPOT:
            raise OrderNotSupported("spot has no leverage", field="leverage")
        # The margin mode is the whole account's here, and refused while a position is open.
        if request.margin_mode is not None:
            asked = {"setMarginMode": _MARGIN_MODES[request.margin_mode]}
            await unless_done(client.private_post_v5_account_set_margin_mode(asked))
        if request.leverage is not None:
            leverage = plain(request.leverage)
            asked = self._of(client, request.symbol)
            asked |= {"buyLeverage": leverage, "sellLeverage": leverage}
            await unless_done(client.private_post_v5_position_set_leverage(asked))

    async def place(self, client: Any, request: OrderRequest, name: ClientOrderId) -> Order:
        asked = self._of(client, request.symbol) | new_order(self._market_type, request, name)
        answer = await client.private_post_v5_order_create(asked)
        result = answer["result"]
        return acknowledged(
            request,
            self._rows.exchange,
            ClientOrderId(parse.text(result, "orderLinkId")),
            ExchangeOrderId(parse.text(result, "orderId")),
            parse.moment(answer, "time", self._session.venue_now()),
        )

    async def cancel(self, client: Any, order: Order) -> None:
        asked = self._of(client, order.symbol) | _named(order)
        if self._market_type is MarketType.SPOT and order.type in _STOPS:
            # While it waits it is in a list of its own, and then no longer.
            with suppress(NotFound):
                await client.private_post_v5_order_cancel(asked | {"orderFilter": "StopOrder"})
                return
        await client.private_post_v5_order_cancel(asked)

    async def amend(
        self, client: Any, order: Order, quantity: Decimal | None, limit_price: Decimal | None
    ) -> None:
        changed = given(qty=quantity, price=limit_price)
        await client.private_post_v5_order_amend(
            self._of(client, order.symbol) | _named(order) | changed
        )

    async def open_orders(self, client: Any) -> list[Order]:
        kinds: list[Raw] = (
            [{"orderFilter": kind} for kind in ORDER_FILTERS]
            if self._market_type is MarketType.SPOT
            else [{"settleCoin": coin} for coin in SETTLE_COINS]
        )
        rows: list[Raw] = []
        for kind in kinds:
            rows += await all_rows(
                client.private_get_v5_order_realtime,
                {"category": self._category, "openOnly": 0, "limit": ROWS_PER_PAGE, **kind},
            )
        return self._rows.orders(client, rows)

    async def fetch(
        self,
        client: Any,
        symbol: Symbol,
        exchange_order_id: ExchangeOrderId | None,
        client_order_id: ClientOrderId | None,
    ) -> Order:
        """One order by either id. Raises `NotFound`."""
        asked = self._of(client, symbol)
        asked |= given(
            orderId=exchange_order_id,
            orderLinkId=client_order_id if exchange_order_id is None else None,
        )
        # Open and just closed orders are in the one list, older ones in the other.
        for ask in (client.private_get_v5_order_realtime, client.private_get_v5_order_history):
            rows = (await ask(asked))["result"]["list"]
            if rows:
                found = self._rows.orders(client, rows)[0]
                return asked_for(found, exchange_order_id, client_order_id)
        raise NotFound("the exchange has no such order", exchange="bybit", symbol=symbol)

    async def orders_since(self, client: Any, symbol: Symbol, since: datetime) -> list[Order]:
        # Open ones first: one that ends meanwhile is then in a list that is read later.
        rows: list[Raw] = []
        of_symbol = self._of(client, symbol) | {"limit": ROWS_PER_PAGE}
        filters = ORDER_FILTERS if self._market_type is MarketType.SPOT else (None,)
        for kind in filters:
            for state in (0, 1):
                asked = of_symbol | given(openOnly=state, orderFilter=kind)
                rows += await all_rows(client.private_get_v5_order_realtime, asked)
        rows += await self._windows(client.private_get_v5_order_history, of_symbol, since)
        orders = parse.unique_orders(self._rows.orders(client, rows))
        return [one for one in orders if one.created_at >= since]

    async def fills_since(self, client: Any, symbol: Symbol, since: datetime) -> list[Fill]:
        asked = self._of(client, symbol) | {"limit": FILLS_PER_PAGE}
        rows = await self._windows(client.private_get_v5_execution_list, asked, since)
        found = (self._rows.fill(client, row) for row in rows)
        return list(parse.unique_fills(fill for fill in found if fill is not None))

    async def _windows(
        self, ask: Callable[[Raw], Awaitable[Any]], asked: Raw, since: datetime
    ) -> list[Raw]:
        """Every row since then; page marks hold one window together."""
        rows: list[Raw] = []
        start, until = since, self._session.venue_now()
        while start <= until:
            end = start + WINDOW
            rows += await all_rows(ask, asked | {"startTime": ms_of(start), "endTime": ms_of(end)})
            start = end
        return rows

    async def book(self, client: Any, symbol: Symbol, depth: int) -> OrderBook:
        asked = self._of(client, symbol) | {"limit": min(depth, BOOK_DEPTH_MAX[self._market_type])}
        result = (await client.public_get_v5_market_orderbook(asked))["result"]
        return OrderBook(
            symbol=symbol,
            bids=book_side(result["b"], depth),
            asks=book_side(result["a"], depth),
            received_at=self._session.now(),
        )

    async def fee_rates(self, client: Any, symbol: Symbol) -> FeeRates:
        asked = self._of(client, symbol)
        rows: Sequence[Raw] = (await client.private_get_v5_account_fee_rate(asked))["result"][
            "list"
        ]
        row = next((row for row in rows if row["symbol"] == asked["symbol"]), {})
        return FeeRates(parse.decimal(row, "makerFeeRate"), parse.decimal(row, "takerFeeRate"))

    def _of(self, client: Any, symbol: Symbol) -> Raw:
        return {"category": self._category, "symbol": require_listed(client, symbol)["id"]}


def new_order(market_type: MarketType, request: OrderRequest, name: ClientOrderId) -> Raw:
    """What is posted beside category and symbol: the numbers exactly as they were checked."""
    is_spot = market_type is MarketType.SPOT
    by_limit = request.type in {OrderType.LIMIT, OrderType.STOP_LIMIT}
    is_stop = request.type in _STOPS
    return given(
        side=request.side.value.capitalize(),
        orderType="Limit" if by_limit else "Market",
        qty=request.quantity if request.quote_quantity is None else request.quote_quantity,
        # Without it a spot market order to buy is for quote currency.
        marketUnit=_unit(request) if is_spot and not by_limit else None,
        price=request.limit_price if by_limit else None,
        timeInForce=_time_in_force(request) if by_limit else None,
        orderLinkId=name,
        reduceOnly=True if request.reduce_only else None,
        orderFilter="StopOrder" if is_spot and is_stop else None,
        triggerPrice=request.stop_price,
        # Spot finds the direction by itself, from the price when the order arrives.
        triggerDirection=None
        if is_spot or request.trigger is None
        else _DIRECTIONS[request.trigger],
        takeProfit=request.take_profit,
        stopLoss=request.stop_loss,
        tpOrderType="Market" if is_spot and request.take_profit is not None else None,
        slOrderType="Market" if is_spot and request.stop_loss is not None else None,
    )


def _unit(request: OrderRequest) -> str:
    return "baseCoin" if request.quote_quantity is None else "quoteCoin"


def _time_in_force(request: OrderRequest) -> str | None:
    if request.post_only:
        return "PostOnly"
    return None if request.time_in_force is None else request.time_in_force.value.upper()


def _named(order: Order) -> Raw:
    """Which order is meant; the venue's own id goes first."""
    if order.exchange_order_id is not None:
        return {"orderId": order.exchange_order_id}
    return {"orderLinkId": order.client_order_id}
