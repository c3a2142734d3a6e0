"""Binance spot: orders, fills and balances of the spot wallet.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints and
https://developers.binance.com/docs/binance-spot-api-docs/faqs/trailing-stop-faq, read 2026-11.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from alphapulse.domain.balance import Balance, Wallet
from alphapulse.domain.identifiers import ClientOrderId, Symbol
from alphapulse.domain.money import ZERO
from alphapulse.domain.order import Order, OrderRequest, OrderType
from alphapulse.errors import InvalidInput, OrderNotSupported
from alphapulse.exchanges.adapters.binance.desk import (
    BinanceDesk,
    Raw,
    is_by_limit,
    is_stop_loss,
    market_id,
    named_order,
)
from alphapulse.exchanges.ccxt import parse
from alphapulse.exchanges.ccxt.trading import given
from alphapulse.exchanges.order_profiles import ORDER_PROFILES
from alphapulse.exchanges.port import FeeRates

_TYPES = {
    "LIMIT_MAKER": "limit",
    "STOP_LOSS": "market",
    "STOP_LOSS_LIMIT": "limit",
    "TAKE_PROFIT": "market",
    "TAKE_PROFIT_LIMIT": "limit",
}

# A trailing delta is a whole number of these: a hundredth of a per cent.
BIPS_PER_PCT = 100


class BinanceSpotDesk(BinanceDesk):
    """Orders on spot markets."""

    profile = ORDER_PROFILES["binance", "spot"]
    api = "private"
    fills_path = "mytrades"
    window = timedelta(hours=24)
    book_depths = (5, 10, 20, 50, 100, 500, 1000, 5000)
    types = _TYPES

    async def prepare(self, client: Any, request: OrderRequest) -> None:
        raise OrderNotSupported("spot has no leverage", field="leverage")

    async def place(self, client: Any, request: OrderRequest, name: ClientOrderId) -> Order:
        asked = new_order(market_id(client, request.symbol), request, name)
        return self.order(client, await self.signed(client, "post_order")(asked))

    async def amend(
        self, client: Any, order: Order, quantity: Decimal | None, limit_price: Decimal | None
    ) -> None:
        is_less = quantity is not None and order.quantity is not None and quantity < order.quantity
        if not is_less or limit_price not in {None, order.limit_price}:
            raise OrderNotSupported("only less of an order is changed in place", field="quantity")
        await client.private_put_order_amend_keeppriority(
            given(
                symbol=market_id(client, order.symbol),
                newQty=quantity,
                # Without it the venue gives the order another name, and ours is lost.
                newClientOrderId=order.client_order_id,
                **named_order(order.exchange_order_id, order.client_order_id),
            )
        )

    async def fee_rates(self, client: Any, symbol: Symbol) -> FeeRates:
        rows = await client.sapi_get_asset_tradefee({"symbol": market_id(client, symbol)})
        row = next(row for row in rows if row["symbol"] == market_id(client, symbol))
        return FeeRates(
            parse.decimal(row, "makerCommission"), parse.decimal(row, "takerCommission")
        )

    async def balances(self, client: Any) -> list[Balance]:
        raw = await client.private_get_account()
        return [balance(row, client) for row in raw["balances"]]

    def more(self, row: Raw) -> Raw:
        return {
            "quoteAmount": row.get("origQuoteOrderQty"),
            "isTrailing": row.get("trailingDelta") is not None,
        }


def new_order(symbol_id: str, request: OrderRequest, name: ClientOrderId) -> Raw:
    """What is posted: the numbers exactly as they were checked.

    Raises:
        InvalidInput: a trailing distance that is no whole number of hundredths of a per cent.
    """
    by_limit = is_by_limit(request)
    is_maker = request.type is OrderType.LIMIT and request.post_only
    return given(
        symbol=symbol_id,
        side=request.side.value.upper(),
        type=_type(request, by_limit=by_limit),
        timeInForce=request.time_in_force.value.upper()
        if by_limit and request.time_in_force and not is_maker
        else None,
        quantity=request.quantity,
        quoteOrderQty=request.quote_quantity,
        price=request.limit_price if by_limit else None,
        stopPrice=request.stop_price,
        trailingDelta=_bips(request.trailing_pct),
        newClientOrderId=name,
        # The state of the order; its fills come with their own ids.
        newOrderRespType="RESULT",
    )


def _type(request: OrderRequest, *, by_limit: bool) -> str:
    if request.type is OrderType.MARKET:
        return "MARKET"
    if request.type is OrderType.LIMIT:
        return "LIMIT_MAKER" if request.post_only else "LIMIT"
    kind = "STOP_LOSS" if is_stop_loss(request) else "TAKE_PROFIT"
    return f"{kind}_LIMIT" if by_limit else kind


def _bips(pct: Decimal | None) -> str | None:
    if pct is None:
        return None
    bips = pct * BIPS_PER_PCT
    if bips != bips.to_integral_value():
        raise InvalidInput("a trailing distance in steps of 0.01 %", field="trailing_pct")
    return str(int(bips))


def balance(row: parse.Raw, client: Any) -> Balance:
    """One asset of the spot wallet."""
    return Balance(
        wallet=Wallet.SPOT,
        asset=parse.asset_of(client.safe_currency_code(parse.text(row, "asset"))),
        free=parse.decimal(row, "free"),
        locked=parse.decimal(row, "locked"),
        borrowed=ZERO,
    )
