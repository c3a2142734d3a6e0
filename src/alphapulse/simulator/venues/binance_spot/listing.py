"""exchangeInfo: every symbol with its filters, as the venue describes them."""

from decimal import Decimal

from alphapulse.domain.money import EXACT, plain
from alphapulse.simulator.core.instrument import Instrument, MarketStatus
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import OrderRequest
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.venues.binance.market_rows import ZERO, Row, text
from alphapulse.simulator.venues.binance_spot.limits import QUOTA, RAW_REQUESTS

PRECISION = 8

ORDER_TYPES = (
    *("LIMIT", "LIMIT_MAKER", "MARKET"),
    *("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"),
)

MAX_STOPS = 5
"""Untriggered orders of one symbol."""

# Basis points that a trailing order may stay behind the price.
SMALLEST_TRAIL, LARGEST_TRAIL = 10, 2_000

_STATUS = {
    MarketStatus.TRADING: "TRADING",
    MarketStatus.HALT: "HALT",
    MarketStatus.BREAK: "BREAK",
    MarketStatus.DELISTED: "BREAK",
}

_HIGHEST_PRICE = Decimal(1_000_000)
_HIGHEST_NOTIONAL = Decimal(9_000_000)


def exchange_info(markets: list[Market], now_ms: int) -> Row:
    """The whole answer for these markets."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [*QUOTA.rows, RAW_REQUESTS],
        "exchangeFilters": [],
        "symbols": [_symbol(market) for market in markets],
        "sors": [],
    }


def check_ceilings(request: OrderRequest) -> None:
    """The upper ends of the filters, which no listed market gets near, and a trail's both ends.

    Raises:
        Refused: PRICE_FILTER, NOTIONAL or TRIGGER_INVALID.
    """
    trail = request.trigger.trail if request.trigger else None
    if trail is not None and not SMALLEST_TRAIL <= trail.bips <= LARGEST_TRAIL:
        raise Refused(RefusalReason.TRIGGER_INVALID)
    price, quantity = request.limit_price, request.quantity
    if price is None or quantity is None:
        return
    if price > _HIGHEST_PRICE:
        raise Refused(RefusalReason.PRICE_FILTER)
    if EXACT.multiply(price, quantity) > _HIGHEST_NOTIONAL:
        raise Refused(RefusalReason.NOTIONAL)


def _symbol(market: Market) -> Row:
    instrument = market.instrument
    return {
        "symbol": instrument.name,
        "status": _STATUS[market.status],
        "baseAsset": instrument.base,
        "baseAssetPrecision": PRECISION,
        "quoteAsset": instrument.quote,
        "quotePrecision": PRECISION,
        "quoteAssetPrecision": PRECISION,
        "baseCommissionPrecision": PRECISION,
        "quoteCommissionPrecision": PRECISION,
        "orderTypes": list(ORDER_TYPES),
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(market.rules),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def _filters(instrument: Instrument) -> list[Row]:
    band_up = plain(instrument.price_band)
    band_down = plain(EXACT.divide(Decimal(1), instrument.price_band).quantize(Decimal("0.0001")))
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": text(instrument.tick_size),
            "maxPrice": text(_HIGHEST_PRICE),
            "tickSize": text(instrument.tick_size),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": text(instrument.min_quantity),
            "maxQty": text(instrument.max_quantity),
            "stepSize": text(instrument.lot_size),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": ZERO,
            "maxQty": text(instrument.max_market_quantity),
            "stepSize": ZERO,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": band_up,
            "bidMultiplierDown": band_down,
            "askMultiplierUp": band_up,
            "askMultiplierDown": band_down,
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": text(instrument.min_notional),
            "applyMinToMarket": True,
            "maxNotional": text(_HIGHEST_NOTIONAL),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": SMALLEST_TRAIL,
            "maxTrailingAboveDelta": LARGEST_TRAIL,
            "minTrailingBelowDelta": SMALLEST_TRAIL,
            "maxTrailingBelowDelta": LARGEST_TRAIL,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": instrument.max_open_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": MAX_STOPS},
    ]
