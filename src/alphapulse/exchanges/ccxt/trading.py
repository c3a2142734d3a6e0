"""What every adapter's orders have in common: checks before, one request, the verdict after.

An adapter adds the request itself and the reading of its answer. Whatever happens after the
request may have left ends in `OrderOutcomeUnknown` unless the venue's table proves more.
"""

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from alphapulse.domain.identifiers import ClientOrderId, ExchangeId, ExchangeOrderId, Symbol
from alphapulse.domain.money import plain
from alphapulse.domain.order import Fill, Order, OrderRequest, OrderStatus, TimeInForce
from alphapulse.domain.order_states import prepared
from alphapulse.errors import (
    AlphaPulseError,
    ExchangeError,
    InstrumentUnavailable,
    InvalidInput,
    OrderNotSent,
    OrderNotSupported,
    OrderOutcomeUnknown,
    OrderRejected,
)
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.client import Attempt, MarketType
from alphapulse.exchanges.ccxt.errors import Intent
from alphapulse.exchanges.ccxt.exchange import CcxtExchange
from alphapulse.exchanges.order_profiles import common
from alphapulse.exchanges.port import BookSide, FeeRates, OrderBook, OrderProfile
from alphapulse.exchanges.rule import Reaction


class Desk(Protocol):
    """Orders of one kind of market on one venue: one request each, nothing decided.

    ``client`` is CCXT's instance of that market type, with its markets.
    """

    profile: OrderProfile

    async def prepare(self, client: Any, request: OrderRequest) -> None:
        """See `OrderGateway.prepare_order`."""
        ...

    async def place(self, client: Any, request: OrderRequest, name: ClientOrderId) -> Order:
        """Send one order; what the answer says, checked for its form only."""
        ...

    async def cancel(self, client: Any, order: Order) -> None: ...

    async def amend(
        self, client: Any, order: Order, quantity: Decimal | None, limit_price: Decimal | None
    ) -> None:
        """Raises `OrderNotSupported`, before anything is sent, where the venue cannot."""
        ...

    async def orders_since(self, client: Any, symbol: Symbol, since: datetime) -> list[Order]: ...

    async def fills_since(self, client: Any, symbol: Symbol, since: datetime) -> list[Fill]: ...

    async def book(self, client: Any, symbol: Symbol, depth: int) -> OrderBook: ...

    async def fee_rates(self, client: Any, symbol: Symbol) -> FeeRates: ...


class CcxtTrader(CcxtExchange):
    """The trading half of an adapter, over a desk for each kind of market."""

    _desks: dict[MarketType, Desk]

    @property
    def order_profile(self) -> OrderProfile:
        return common([desk.profile for desk in self._desks.values()])

    def order_profile_of(self, symbol: Symbol) -> OrderProfile:
        return self._desk_of(symbol).profile

    async def prepare_order(self, request: OrderRequest) -> None:
        if request.leverage is None and request.margin_mode is None:
            return
        desk = self._desk_of(request.symbol)
        await self._session.call(
            self.market_type_of(request.symbol),
            lambda client: desk.prepare(client, request),
            intent=Intent.CONFIGURE,
        )

    async def create_order(self, request: OrderRequest, client_order_id: ClientOrderId) -> Order:
        attempt = Attempt()
        try:
            desk = self._desk_of(request.symbol)
            require_supported(request, desk.profile)
            order = await self._session.call(
                self.market_type_of(request.symbol),
                lambda client: desk.place(client, request, client_order_id),
                intent=Intent.PLACE,
                attempt=attempt,
            )
        except AlphaPulseError as error:
            raise verdict(error, attempt, self._id) from None
        return echoed(order, request, client_order_id)

    async def cancel_order(self, order: Order) -> None:
        desk = self._desk_of(order.symbol)
        await self._session.call(
            self.market_type_of(order.symbol),
            lambda client: desk.cancel(client, order),
            intent=Intent.CANCEL,
        )

    async def amend_order(
        self, order: Order, *, quantity: Decimal | None, limit_price: Decimal | None
    ) -> None:
        desk = self._desk_of(order.symbol)
        await self._session.call(
            self.market_type_of(order.symbol),
            lambda client: desk.amend(client, order, quantity, limit_price),
            intent=Intent.AMEND,
        )

    async def fetch_orders_since(self, symbol: Symbol, since: datetime) -> tuple[Order, ...]:
        desk = self._desk_of(symbol)
        found = await self._session.call(
            self.market_type_of(symbol),
            lambda client: desk.orders_since(client, symbol, since),
            list_is_good=True,
        )
        return tuple(found)

    async def fetch_fills_since(self, symbol: Symbol, since: datetime) -> tuple[Fill, ...]:
        desk = self._desk_of(symbol)
        found = await self._session.call(
            self.market_type_of(symbol),
            lambda client: desk.fills_since(client, symbol, since),
            list_is_good=True,
        )
        return tuple(found)

    async def fetch_order_book(self, symbol: Symbol, depth: int) -> OrderBook:
        desk = self._desk_of(symbol)
        return await self._session.call(
            self.market_type_of(symbol), lambda client: desk.book(client, symbol, depth)
        )

    async def fetch_fee_rates(self, symbol: Symbol) -> FeeRates:
        desk = self._desk_of(symbol)
        return await self._session.call(
            self.market_type_of(symbol), lambda client: desk.fee_rates(client, symbol)
        )

    def _desk_of(self, symbol: Symbol) -> Desk:
        desk = self._desks.get(self.market_type_of(symbol))
        if desk is None:
            raise OrderNotSupported(
                "orders are not sent to this exchange: the form of its client ids is not known",
                exchange=self._id,
                symbol=symbol,
            )
        return desk


def require_supported(request: OrderRequest, profile: OrderProfile) -> None:
    """Refuse what the venue does not have, before anything is sent.

    Raises:
        OrderNotSupported: names what is missing.
    """
    missing = {
        "type": request.type not in profile.types,
        "quote_quantity": request.quote_quantity is not None and not profile.has_quote_quantity,
        "time_in_force": request.time_in_force is TimeInForce.GTD and not profile.has_gtd,
        "take_profit": request.take_profit is not None and not profile.has_attached_exits,
        "stop_loss": request.stop_loss is not None and not profile.has_attached_exits,
        "reduce_only": request.reduce_only and ":" not in request.symbol,
        "leverage": request.leverage is not None and ":" not in request.symbol,
        "margin_mode": request.margin_mode is not None and ":" not in request.symbol,
    }
    for field, is_missing in missing.items():
        if is_missing:
            raise OrderNotSupported("the exchange has no such order", field=field)


def verdict(error: AlphaPulseError, attempt: Attempt, exchange: ExchangeId) -> ExchangeError:
    """What a failed attempt to place an order proves of it: one of the three that may be raised.

    Nothing that could place it left: what is wrong with it is a refusal, everything else means
    that it was not sent. One request left: the venue's table has decided. Two: a second one's
    refusal says nothing of the first.
    """
    facts = {"exchange": exchange, "cause": error.code} | error.facts
    if attempt.writes == 0:
        is_wrong = isinstance(error, InvalidInput | InstrumentUnavailable)
        kind = OrderRejected if is_wrong else OrderNotSent
        return kind(error.message, **facts)
    if isinstance(error, OrderOutcomeUnknown):
        return error
    if isinstance(error, OrderRejected) and attempt.writes == 1:
        return error
    return OrderOutcomeUnknown(error.message, **facts)


def echoed(order: Order, request: OrderRequest, client_order_id: ClientOrderId) -> Order:
    """The order of an answer, where the answer is about the one that was sent.

    That it names the order with an id of its own is seen where it is read.

    Raises:
        OrderOutcomeUnknown: it is about another one; ``contradicts`` names by what.
    """
    wrong = {
        "client_order_id": order.client_order_id != client_order_id,
        "symbol": order.symbol != request.symbol,
        "side": order.side is not request.side,
        "quantity": request.quantity is not None and order.quantity != request.quantity,
    }
    for field, is_wrong in wrong.items():
        if is_wrong:
            raise OrderOutcomeUnknown(
                "the answer is about another order",
                exchange=order.exchange,
                symbol=request.symbol,
                contradicts=field,
            )
    return order


def asked_for(
    order: Order,
    exchange_order_id: ExchangeOrderId | None,
    client_order_id: ClientOrderId | None,
) -> Order:
    """The order that a question by id was answered with, if it is the one.

    Raises:
        ExchangeUnavailable: it is another one; taken for ours, it would hide what became of ours.
    """
    is_it = (
        order.client_order_id == client_order_id
        if exchange_order_id is None
        else order.exchange_order_id == exchange_order_id
    )
    if not is_it:
        raise parse.broken("another order than was asked for", exchange=order.exchange)
    return order


def acknowledged(
    request: OrderRequest,
    exchange: ExchangeId,
    client_order_id: ClientOrderId,
    exchange_order_id: ExchangeOrderId,
    at: datetime,
) -> Order:
    """The order of an answer that names it and says no more."""
    return replace(
        prepared(request, exchange, client_order_id, at),
        exchange_order_id=exchange_order_id,
        status=OrderStatus.OPEN,
    )


async def unless_done(change: Awaitable[object]) -> None:
    """Await a change of a setting; that it was so already is fine."""
    try:
        await change
    except ExchangeError as refused:
        if refused.facts.get("reaction") is not Reaction.DONE:
            raise


def given(**fields: object) -> dict[str, Any]:
    """The fields of a request that have a value; numbers as venues write them, digit for digit."""
    return {
        name: plain(value) if isinstance(value, Decimal) else value
        for name, value in fields.items()
        if value is not None
    }


def book_side(levels: Sequence[Sequence[str]], depth: int) -> BookSide:
    """The best levels of one side, from pairs of price and quantity."""
    return BookSide(
        tuple(
            (parse.decimal({"price": price}, "price"), parse.decimal({"size": size}, "size"))
            for price, size, *_ in levels[:depth]
        )
    )
