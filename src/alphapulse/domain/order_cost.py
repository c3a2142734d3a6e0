"""Order Cost: what an order is worth, what it needs, and what the book would make of it. Pure.

Money is in quote currency; on a linear contract that is the settle currency too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from alphapulse.domain.identifiers import Asset
from alphapulse.domain.instrument import Instrument
from alphapulse.domain.market import Ticker
from alphapulse.domain.money import EXACT, ZERO, multiply
from alphapulse.domain.order import OrderRequest, Side

_HUNDRED = Decimal(100)
_PCT_STEP = Decimal("0.0001")

Level = tuple[Decimal, Decimal]
"""Price in quote currency, quantity in base units or contracts."""


@dataclass(frozen=True, slots=True)
class OrderCost:
    """What an order is worth and needs, as far as it can be known before.

    ``needed`` of ``asset`` must be free for it, the fee included where it is paid on top;
    ``None`` where only the venue knows: margin without a known leverage.
    """

    price: Decimal | None
    notional: Decimal | None
    asset: Asset
    needed: Decimal | None


@dataclass(frozen=True, slots=True)
class Execution:
    """What a market order would become in a book; ``is_whole`` is false when the book as far as
    it was read is too thin for it."""

    quantity: Decimal
    notional: Decimal
    average_price: Decimal
    is_whole: bool


def _expected_price(request: OrderRequest, ticker: Ticker | None) -> Decimal | None:
    """At which price it is to be expected, in the worst case that it allows."""
    if request.limit_price is not None:
        return request.limit_price
    if request.stop_price is not None:
        return request.stop_price
    if ticker is None:
        return None
    touch = ticker.ask if request.side is Side.BUY else ticker.bid
    return ticker.price if touch is None else touch


def cost_of(
    request: OrderRequest,
    instrument: Instrument,
    ticker: Ticker | None,
    *,
    leverage: Decimal | None,
    fee_rate: Decimal,
) -> OrderCost:
    """What ``request`` costs at the price it is expected to get.

    On spot, Binance and Bybit take the fee out of what is received, so nothing comes on top:
    https://www.binance.com/en/support/faq/360002033171, seen 2026-11. A contract pays it in its
    settle currency.

    Args:
        leverage: of the position, where it is known.
        fee_rate: share of the notional.
    """
    price = _expected_price(request, ticker)
    notional = _notional(request, instrument, price)
    if instrument.settle is not None:
        needed = _margin(request, notional, leverage, fee_rate)
        return OrderCost(price, notional, instrument.settle, needed)
    if request.side is Side.BUY:
        return OrderCost(price, notional, instrument.quote, notional)
    sold = request.quantity
    if sold is None and notional is not None and price is not None:
        sold = EXACT.divide(notional, price)
    return OrderCost(price, notional, instrument.base, sold)


def _notional(
    request: OrderRequest, instrument: Instrument, price: Decimal | None
) -> Decimal | None:
    if request.quote_quantity is not None:
        return request.quote_quantity
    if price is None or request.quantity is None:
        return None
    return multiply(multiply(request.quantity, price), instrument.contract_size)


def _margin(
    request: OrderRequest, notional: Decimal | None, leverage: Decimal | None, fee_rate: Decimal
) -> Decimal | None:
    if notional is None:
        return None
    fee = multiply(notional, fee_rate)
    if request.reduce_only:
        return fee
    return None if leverage is None else EXACT.add(EXACT.divide(notional, leverage), fee)


def execution_in(
    levels: Iterable[Level], request: OrderRequest, instrument: Instrument
) -> Execution | None:
    """Walk down one side of a book; ``None`` when it is empty.

    Args:
        levels: of the side it meets, best first.
    """
    size = instrument.contract_size
    left, quantity, notional = request.quantity or request.quote_quantity or ZERO, ZERO, ZERO
    is_by_quote = request.quantity is None
    for price, offered in levels:
        unit = multiply(price, size) if is_by_quote else Decimal(1)
        taken = min(offered, EXACT.divide(left, unit))
        quantity = EXACT.add(quantity, taken)
        notional = EXACT.add(notional, multiply(multiply(taken, price), size))
        left = EXACT.subtract(left, multiply(taken, unit))
        if taken < offered:
            left = ZERO
            break
    if not quantity:
        return None
    average = EXACT.divide(notional, multiply(quantity, size))
    return Execution(quantity, notional, average, is_whole=left <= ZERO)


def slippage_pct(side: Side, best: Decimal, average: Decimal) -> Decimal:
    """How much worse than the best price, per cent of it, to four places."""
    worse = EXACT.subtract(average, best) if side is Side.BUY else EXACT.subtract(best, average)
    return EXACT.quantize(multiply(EXACT.divide(worse, best), _HUNDRED), _PCT_STEP)
