"""Listings: instruments in Bybit's words, for spot and for linear perpetuals."""

from decimal import Decimal

from alphapulse.domain.money import EXACT, plain
from alphapulse.simulator.core.instrument import Category, Instrument, MarketStatus
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.venues.bybit.rows import Row

# Long before any history; the simulator's contracts have no beginning.
LAUNCHED_MS = 1_585_526_400_000

FUNDING_INTERVAL_MINUTES = 480


def instrument_row(market: Market) -> Row:
    """One row of instruments-info."""
    instrument = market.instrument
    row: Row = {
        "symbol": instrument.name,
        "status": "Trading" if market.status is MarketStatus.TRADING else "Closed",
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "symbolType": "",
    }
    return row | (_spot(market.rules) if instrument.category is Category.SPOT else _linear(market))


def _spot(instrument: Instrument) -> Row:
    return {
        "innovation": "0",
        "marginTrading": "none",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": plain(instrument.lot_size),
            "quotePrecision": plain(EXACT.multiply(instrument.tick_size, instrument.lot_size)),
            "minOrderQty": plain(instrument.min_quantity),
            "maxOrderQty": plain(instrument.max_quantity),
            "minOrderAmt": plain(instrument.min_notional),
            "maxOrderAmt": "4000000",
            "maxLimitOrderQty": plain(instrument.max_quantity),
            "maxMarketOrderQty": plain(instrument.max_market_quantity),
        },
        "priceFilter": {"tickSize": plain(instrument.tick_size)},
        "riskParameters": _risk(instrument),
    }


def _linear(market: Market) -> Row:
    instrument = market.rules
    price = market.mark_price or instrument.tick_size
    return {
        "contractType": "LinearPerpetual",
        "launchTime": str(LAUNCHED_MS),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(instrument.price_decimals),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": plain(instrument.max_leverage),
            "leverageStep": "0.01",
        },
        "priceFilter": {
            "minPrice": plain(instrument.tick_size),
            "maxPrice": plain(EXACT.multiply(price, instrument.price_band)),
            "tickSize": plain(instrument.tick_size),
        },
        "lotSizeFilter": {
            "maxOrderQty": plain(instrument.max_quantity),
            "minOrderQty": plain(instrument.min_quantity),
            "qtyStep": plain(instrument.lot_size),
            "postOnlyMaxOrderQty": plain(instrument.max_quantity),
            "maxMktOrderQty": plain(instrument.max_market_quantity),
            "minNotionalValue": plain(instrument.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": FUNDING_INTERVAL_MINUTES,
        "settleCoin": instrument.settle,
        "copyTrading": "none",
        "upperFundingRate": "0.005",
        "lowerFundingRate": "-0.005",
        "isPreListing": False,
        "preListingInfo": None,
        "displayName": "",
        "riskParameters": _risk(instrument),
    }


def _risk(instrument: Instrument) -> Row:
    share = plain(EXACT.subtract(instrument.price_band, Decimal(1)))
    return {"priceLimitRatioX": share, "priceLimitRatioY": share}
