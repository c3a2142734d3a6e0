"""exchangeInfo and leverageBracket: every perpetual with its filters and tiers."""

from decimal import Decimal

from alphapulse.simulator.core.instrument import Instrument, MarketStatus
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.venues.binance.market_rows import Row
from alphapulse.simulator.venues.binance_usdm.limits import QUOTA

NEVER_MS = 4_133_404_800_000
"""A perpetual's delivery date: Christmas 2100."""

LISTED_MS = 1_569_398_400_000

# How far beyond the mark price a limit order may reach.
PERCENT_UP = Decimal("1.05")
PERCENT_DOWN = Decimal("0.95")

HIGHEST_PRICE = Decimal(4_529_764)

ORDER_TYPES = (
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)
TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTX", "GTD")

_STATUS = {
    MarketStatus.TRADING: "TRADING",
    MarketStatus.HALT: "PENDING_TRADING",
    MarketStatus.BREAK: "PENDING_TRADING",
    MarketStatus.DELISTED: "CLOSE",
}


def exchange_info(markets: list[Market], now_ms: int) -> Row:
    """The whole answer for these markets."""
    assets = dict.fromkeys(market.instrument.quote for market in markets)
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": QUOTA.rows,
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "0"} for asset in assets
        ],
        "symbols": [_symbol(market) for market in markets],
    }


def _symbol(market: Market) -> Row:
    instrument = market.instrument
    return {
        "symbol": instrument.name,
        "pair": instrument.name,
        "contractType": "PERPETUAL",
        "deliveryDate": NEVER_MS,
        "onboardDate": LISTED_MS,
        "status": _STATUS[market.status],
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.settle,
        "pricePrecision": instrument.price_decimals,
        "quantityPrecision": _decimals(instrument.lot_size),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": _filters(instrument),
        "orderTypes": list(ORDER_TYPES),
        "timeInForce": list(TIMES_IN_FORCE),
    }


def _filters(instrument: Instrument) -> list[Row]:
    lots = {"minQty": str(instrument.min_quantity), "stepSize": str(instrument.lot_size)}
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": str(instrument.tick_size),
            "maxPrice": str(HIGHEST_PRICE),
            "tickSize": str(instrument.tick_size),
        },
        {"filterType": "LOT_SIZE", **lots, "maxQty": str(instrument.max_quantity)},
        {"filterType": "MARKET_LOT_SIZE", **lots, "maxQty": str(instrument.max_market_quantity)},
        {"filterType": "MAX_NUM_ORDERS", "limit": instrument.max_open_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": instrument.max_open_orders},
        {"filterType": "MIN_NOTIONAL", "notional": str(instrument.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": str(PERCENT_UP),
            "multiplierDown": str(PERCENT_DOWN),
            "multiplierDecimal": "4",
        },
    ]


def brackets(instrument: Instrument) -> Row:
    """The tiers of one perpetual; here the venue sends numbers, not texts."""
    return {
        "symbol": instrument.name,
        "notionalCoef": 1.0,
        "brackets": [
            {
                "bracket": number,
                "initialLeverage": int(tier.max_leverage),
                "notionalCap": int(tier.cap),
                "notionalFloor": int(tier.floor),
                "maintMarginRatio": float(tier.maintenance_rate),
                "cum": float(tier.deduction),
            }
            for number, tier in enumerate(instrument.risk_tiers, start=1)
        ],
    }


def _decimals(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))
