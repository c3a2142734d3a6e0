"""Trading Desk: what the exchange worker does with orders, as the services see it.

It lives on the worker's loop and is only ever called through `Worker.call`.
"""

from decimal import Decimal
from typing import Protocol

from alphapulse.domain.identifiers import AccountId, ClientOrderId, Symbol
from alphapulse.domain.order import Order
from alphapulse.domain.trading import CycleReport
from alphapulse.exchanges.port import FeeRates, OrderBook


class TradingDesk(Protocol):
    """Each method raises `Conflict` when the account is not being synchronized: then nothing was
    sent."""

    async def place_order(self, account_id: AccountId, name: ClientOrderId) -> Order: ...

    async def cancel_order(self, account_id: AccountId, key: str) -> Order: ...

    async def cancel_all(
        self, account_id: AccountId, symbol: Symbol | None
    ) -> tuple[Order, ...]: ...

    async def amend_order(
        self,
        account_id: AccountId,
        key: str,
        quantity: Decimal | None,
        limit_price: Decimal | None,
    ) -> Order: ...

    async def market_view(
        self, account_id: AccountId, symbol: Symbol, depth: int
    ) -> tuple[OrderBook, FeeRates]: ...

    async def reconcile(self, account_id: AccountId) -> CycleReport: ...
