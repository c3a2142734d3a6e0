"""The numbered cards of the trading half: what every adapter that trades does, over real sockets.

A card is laid on a `Bench`, like those of `cards`; its number is stable.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal

import pytest

from alphapulse.domain.identifiers import ClientOrderId, Symbol
from alphapulse.domain.money import round_down
from alphapulse.domain.order import Order, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from alphapulse.errors import NotFound
from alphapulse.exchanges.port import TradingExchange
from tests.contract.bench import ME, Bench

Work = Callable[["Dealer"], Awaitable[None]]


@dataclass(frozen=True)
class Card:
    """``number`` like ``O-07``, what it shows, and the work of showing it."""

    number: str
    claim: str
    work: Work


CARDS: list[Card] = []


def card(number: str, claim: str) -> Callable[[Work], Work]:
    def add(work: Work) -> Work:
        CARDS.append(Card(number, claim, work))
        return work

    return add


class Dealer:
    """Makes orders of the account under test and names them."""

    def __init__(self, bench: Bench, symbol: Symbol) -> None:
        self.bench = bench
        self.symbol = symbol
        self._count = 0

    @property
    def exchange(self) -> TradingExchange:
        return self.bench.exchange

    def name(self) -> ClientOrderId:
        self._count += 1
        return ClientOrderId(f"ap{self._count:026d}".replace("0", "a").replace("1", "b"))

    @property
    def last(self) -> Decimal:
        price = self.bench.simulator.world.market(self.bench.venue, self.symbol).last_price
        assert price is not None
        return price

    def price(self, times: str) -> Decimal:
        """So many times the market's price, on its grid."""
        tick = self.bench.simulator.world.market(self.bench.venue, self.symbol).instrument.tick_size
        return round_down(self.last * Decimal(times), tick)

    def limit(self, side: Side = Side.BUY, times: str = "0.9") -> OrderRequest:
        return OrderRequest(
            account_id=ME,
            symbol=self.symbol,
            side=side,
            type=OrderType.LIMIT,
            quantity=Decimal("0.002"),
            limit_price=self.price(times),
            time_in_force=TimeInForce.GTC,
        )

    def market(self, side: Side = Side.BUY, quantity: str = "0.002") -> OrderRequest:
        return OrderRequest(
            account_id=ME,
            symbol=self.symbol,
            side=side,
            type=OrderType.MARKET,
            quantity=Decimal(quantity),
        )

    async def found(self, name: ClientOrderId) -> Order:
        return await self.exchange.fetch_order(self.symbol, client_order_id=name)


@card("O-01", "a limit order is acknowledged under our name, found by it, canceled, and then gone")
async def limit_order(dealer: Dealer) -> None:
    request, name = dealer.limit(), dealer.name()

    placed = await dealer.exchange.create_order(request, name)

    assert placed.status is OrderStatus.OPEN
    assert placed.client_order_id == name
    assert (placed.quantity, placed.limit_price) == (request.quantity, request.limit_price)
    found = await dealer.found(name)
    assert found.exchange_order_id == placed.exchange_order_id
    await dealer.exchange.cancel_order(found)
    assert (await dealer.found(name)).status is OrderStatus.CANCELED
    with pytest.raises(NotFound):
        await dealer.exchange.cancel_order(found)
