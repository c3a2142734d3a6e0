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

# What the core takes today; stop and trailing orders are not among it, so they are not offered.
ORDER_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET")

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
    """The upper ends of the filters, which no listed market gets near.

    Raises:
        Refused: PRICE_FILTER or NOTIONAL.
    """
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
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": False,
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
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": instrument.max_open_orders},
    ]
