"""Binance USD-M futures: orders of both families, positions and balances of the futures wallet.

Plain orders go to the matching engine. Orders that wait for a price go to the algo service, which
names them itself; once triggered, one becomes an order of the engine with an id of that. So an algo
order of ours is known by its client id alone until it is triggered; from then on, what the engine
says of it is told. Others' are told apart by an id that begins with `ALGO`.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api,
read 2026-11.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from alphapulse.domain.identifiers import ClientOrderId, ExchangeOrderId, Symbol
from alphapulse.domain.intent import is_our_name
from alphapulse.domain.order import Order, OrderRequest, OrderStatus, OrderType, TimeInForce
from alphapulse.domain.position import MarginMode
from alphapulse.errors import NotFound, OrderNotSupported
from alphapulse.exchanges.adapters.binance.desk import (
    ROWS_PER_PAGE,
    BinanceDesk,
    Raw,
    is_by_limit,
    is_stop_loss,
    market_id,
    named_order,
)
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.exchange import CcxtExchange
from alphapulse.exchanges.ccxt.paging import rows_since
from alphapulse.exchanges.ccxt.session import ExchangeSession, ms_of
from alphapulse.exchanges.ccxt.trading import asked_for, given, unless_done
from alphapulse.exchanges.order_profiles import ORDER_PROFILES
from alphapulse.exchanges.port import FeeRates

ALGO = "algo-"

_ALGO_TYPES = {OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP}

_TYPES = {
    "STOP": "limit",
    "STOP_MARKET": "market",
    "TAKE_PROFIT": "limit",
    "TAKE_PROFIT_MARKET": "market",
    "TRAILING_STOP_MARKET": "market",
}

# What CCXT takes for an end, and is on its way to the engine.
_ON_ITS_WAY = {"TRIGGERING", "TRIGGERED", "FINISHED"}

_MARGIN_TYPES = {MarginMode.CROSS: "CROSSED", MarginMode.ISOLATED: "ISOLATED"}


class BinanceUsdmDesk(BinanceDesk):
    """Orders on linear perpetuals."""

    profile = ORDER_PROFILES["binanceusdm", "swap"]
    api = "fapiprivate"
    fills_path = "usertrades"
    window = timedelta(days=7)
    book_depths = (5, 10, 20, 50, 100, 500, 1000)
    types = _TYPES

    def __init__(self, exchange: CcxtExchange, session: ExchangeSession) -> None:
        super().__init__(exchange, session)
        # The names of algo orders by the engine's ids of what became of them.
        self._names: dict[str, str] = {}

    def order(self, client: Any, row: Raw) -> Order:
        name = self._names.get(str(row["orderId"]))
        return super().order(client, row if name is None else row | {"clientOrderId": name})

    async def prepare(self, client: Any, request: OrderRequest) -> None:
        symbol = {"symbol": market_id(client, request.symbol)}
        if request.margin_mode is not None:
            asked = symbol | {"marginType": _MARGIN_TYPES[request.margin_mode]}
            await unless_done(client.fapiprivate_post_margintype(asked))
        if request.leverage is not None:
            asked = given(**symbol, leverage=request.leverage)
            answer = await client.fapiprivate_post_leverage(asked)
            if parse.decimal(answer, "leverage") != request.leverage:
                raise parse.broken("another leverage than was asked for")

    async def place(self, client: Any, request: OrderRequest, name: ClientOrderId) -> Order:
        if request.type in _ALGO_TYPES:
            asked = new_algo_order(market_id(client, request.symbol), request, name)
            return self.algo_order(client, await client.fapiprivate_post_algoorder(asked))
        asked = new_order(market_id(client, request.symbol), request, name)
        return self.order(client, await client.fapiprivate_post_order(asked))

    async def cancel(self, client: Any, order: Order) -> None:
        named = _named_algo(order.exchange_order_id, order.client_order_id)
        if named is None or order.type not in _ALGO_TYPES:
            await super().cancel(client, order)
            return
        try:
            await client.fapiprivate_delete_algoorder(named)
        except NotFound:
            # Triggered meanwhile: then the engine has it.
            if order.exchange_order_id is not None:
                raise
            await super().cancel(client, order)

    async def amend(
        self, client: Any, order: Order, quantity: Decimal | None, limit_price: Decimal | None
    ) -> None:
        if order.type is not OrderType.LIMIT:
            raise OrderNotSupported("only limit orders are changed in place", field="type")
        # The venue wants both, and takes what is absent for a mistake.
        changed = given(
            symbol=market_id(client, order.symbol),
            side=order.side.value.upper(),
            quantity=quantity or order.quantity,
            price=limit_price or order.limit_price,
            **named_order(order.exchange_order_id, order.client_order_id),
        )
        # Both are whole values: aiohttp may repeat a PUT, and the second one changes nothing.
        await unless_done(client.fapiprivate_put_order(changed))

    async def fetch(
        self,
        client: Any,
        symbol: Symbol,
        exchange_order_id: ExchangeOrderId | None,
        client_order_id: ClientOrderId | None,
    ) -> Order:
        named = _named_algo(exchange_order_id, client_order_id)
        if named is None:
            return await super().fetch(client, symbol, exchange_order_id, client_order_id)
        if exchange_order_id is None:
            try:
                return await super().fetch(client, symbol, None, client_order_id)
            except NotFound:
                pass  # not in the engine, or not yet
        row = await client.fapiprivate_get_algoorder(named)
        asked_for(self.algo_order(client, row), exchange_order_id, client_order_id)
        return await self._followed(client, row)

    async def open_orders(self, client: Any) -> list[Order]:
        waiting = await client.fapiprivate_get_openalgoorders({})
        # The engine's later: one that is triggered meanwhile is then told by it.
        working = await super().open_orders(client)
        names = {one.client_order_id for one in working}
        found = [self.algo_order(client, row) for row in waiting]
        return working + [one for one in found if one.client_order_id not in names]

    async def orders_since(self, client: Any, symbol: Symbol, since: datetime) -> list[Order]:
        rows = await rows_since(
            client.fapiprivate_get_allalgoorders,
            {"symbol": market_id(client, symbol)},
            since,
            self._session.venue_now(),
            window=self.window,
            rows_per_page=ROWS_PER_PAGE,
            id_key="algoId",
            time_key="createTime",
        )
        algo = [await self._followed(client, row) for row in rows]
        engine = await super().orders_since(client, symbol, since)
        return list(parse.unique_orders(algo + engine))

    async def _followed(self, client: Any, row: Raw) -> Order:
        """An algo order, or what became of it in the engine."""
        waited = self.algo_order(client, row)
        actual = row.get("actualOrderId")
        if not actual:
            return waited
        if not is_our_name(waited.client_order_id):
            # Of others', the two are two orders: each has an id, and neither is a name of ours.
            reason = f"triggered; now order {actual}"
            return replace(waited, status=OrderStatus.EXPIRED, status_reason=reason)
        order = await super().fetch(client, waited.symbol, ExchangeOrderId(str(actual)), None)
        return replace(
            order,
            client_order_id=waited.client_order_id,
            type=waited.type,
            stop_price=waited.stop_price,
            created_at=waited.created_at,
        )

    def algo_order(self, client: Any, row: Raw) -> Order:
        """One order of the algo service that the engine does not know."""
        raw = client.parse_order(row)
        name = ClientOrderId(parse.text(row, "clientAlgoId"))
        algo_id = parse.text(row, "algoId")
        if row.get("algoStatus") in _ON_ITS_WAY:
            raw["status"] = "open"
        raw["timestamp"] = row.get("createTime")
        raw["id"] = f"{ALGO}{algo_id}"
        if row.get("actualOrderId"):
            self._names[str(row["actualOrderId"])] = name
        order = self._exchange.orders_of([raw | self.more(row)])[0]
        return replace(order, exchange_order_id=None) if is_our_name(name) else order

    def more(self, row: Raw) -> Raw:
        time_in_force = row.get("timeInForce")
        kind = row.get("origType") or row.get("orderType")
        return {
            "isTrailing": kind == "TRAILING_STOP_MARKET",
            "expireTimestamp": row.get("goodTillDate") if time_in_force == "GTD" else None,
            "reason": row.get("rejectReason"),
        }

    async def fee_rates(self, client: Any, symbol: Symbol) -> FeeRates:
        asked = {"symbol": market_id(client, symbol)}
        row = await client.fapiprivate_get_commissionrate(asked)
        return FeeRates(
            parse.decimal(row, "makerCommissionRate"), parse.decimal(row, "takerCommissionRate")
        )


def new_order(symbol_id: str, request: OrderRequest, name: ClientOrderId) -> Raw:
    """What is posted to the engine: the numbers exactly as they were checked."""
    by_limit = is_by_limit(request)
    return given(
        symbol=symbol_id,
        side=request.side.value.upper(),
        type="LIMIT" if by_limit else "MARKET",
        quantity=request.quantity,
        price=request.limit_price if by_limit else None,
        newClientOrderId=name,
        newOrderRespType="RESULT",
        **_modifiers(request, by_limit=by_limit),
    )


def new_algo_order(symbol_id: str, request: OrderRequest, name: ClientOrderId) -> Raw:
    """What is posted to the algo service."""
    by_limit = request.type is OrderType.STOP_LIMIT
    is_trailing = request.type is OrderType.TRAILING_STOP
    return given(
        algoType="CONDITIONAL",
        symbol=symbol_id,
        side=request.side.value.upper(),
        type="TRAILING_STOP_MARKET" if is_trailing else _stop_type(request, by_limit=by_limit),
        quantity=request.quantity,
        price=request.limit_price if by_limit else None,
        triggerPrice=None if is_trailing else request.stop_price,
        activatePrice=request.stop_price if is_trailing else None,
        callbackRate=request.trailing_pct,
        clientAlgoId=name,
        **_modifiers(request, by_limit=by_limit),
    )


def _stop_type(request: OrderRequest, *, by_limit: bool) -> str:
    kind = "STOP" if is_stop_loss(request) else "TAKE_PROFIT"
    return kind if by_limit else f"{kind}_MARKET"


def _modifiers(request: OrderRequest, *, by_limit: bool) -> Raw:
    time_in_force = request.time_in_force
    is_gtd = time_in_force is TimeInForce.GTD
    return given(
        timeInForce=None if not by_limit else _time_in_force(request),
        goodTillDate=ms_of(request.expires_at) if is_gtd and request.expires_at else None,
        reduceOnly="true" if request.reduce_only else None,
    )


def _time_in_force(request: OrderRequest) -> str:
    if request.post_only:
        return "GTX"
    return "GTC" if request.time_in_force is None else request.time_in_force.value.upper()


def _named_algo(
    exchange_order_id: ExchangeOrderId | None, client_order_id: ClientOrderId | None
) -> Raw | None:
    """How the algo service would know an order; ``None`` for one that only the engine has."""
    if exchange_order_id is None:
        return {"clientAlgoId": client_order_id}
    if exchange_order_id.startswith(ALGO):
        return {"algoId": exchange_order_id.removeprefix(ALGO)}
    return None
