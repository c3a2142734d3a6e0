"""Tickers of Bybit: the same numbers over REST and the public stream."""

from decimal import Decimal

from alphapulse.domain.money import EXACT, plain
from alphapulse.domain.order import Side
from alphapulse.simulator.core.candles import HOUR_MS
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.venues.bybit.rows import Row

FUNDING_MS = 8 * HOUR_MS

# A made-up depth of interest; the simulator holds only its customers' positions.
OPEN_INTEREST_HOURS = Decimal("3.5")


def ticker_row(market: Market, index_usd: Decimal | None, now_ms: int) -> Row:
    """One row of ``/v5/market/tickers``.

    Args:
        index_usd: US dollars per unit of the base asset; ``None`` when nothing says.
    """
    if market.instrument.category is Category.SPOT:
        row = _spot(market, now_ms) | _best(market)
        return row if index_usd is None else row | {"usdIndexPrice": plain(index_usd)}
    return _linear(market, now_ms) | _extras()


def stream_ticker(market: Market, index_usd: Decimal | None, now_ms: int) -> Row:
    """The data of a ``tickers`` frame: spot has no best quotes there, and must name an index."""
    if market.instrument.category is Category.SPOT:
        return _spot(market, now_ms) | {"usdIndexPrice": plain(index_usd or Decimal(0))}
    return _linear(market, now_ms)


def _spot(market: Market, now_ms: int) -> Row:
    day = market.day(now_ms)
    last = market.last_price or Decimal(0)
    return {
        "symbol": market.instrument.name,
        "lastPrice": plain(last),
        "highPrice24h": plain(day.high if day else last),
        "lowPrice24h": plain(day.low if day else last),
        "prevPrice24h": plain(day.open if day else last),
        "volume24h": plain(day.volume if day else Decimal(0)),
        "turnover24h": plain(day.quote_volume if day else Decimal(0)),
        "price24hPcnt": _share(day.change_share if day else Decimal(0)),
    }


def _linear(market: Market, now_ms: int) -> Row:
    row = _spot(market, now_ms)
    hour = market.candles.open_candle("1h")
    day = market.day(now_ms)
    interest = EXACT.multiply(
        market.instrument.lot_size,
        int(EXACT.divide(_hourly(day.volume if day else Decimal(0)), market.instrument.lot_size)),
    )
    return (
        row
        | _best(market)
        | {
            "tickDirection": "PlusTick",
            "prevPrice1h": plain(hour.open) if hour else row["lastPrice"],
            "markPrice": plain(market.mark_price),
            "indexPrice": plain(market.mark_price),
            "openInterest": plain(interest),
            "openInterestValue": plain(
                EXACT.multiply(interest, market.mark_price).quantize(Decimal("0.01"), context=EXACT)
            ),
            "nextFundingTime": str((now_ms // FUNDING_MS + 1) * FUNDING_MS),
            "fundingRate": plain(market.funding_rate),
            "fundingIntervalHour": str(FUNDING_MS // HOUR_MS),
        }
    )


def _hourly(volume: Decimal) -> Decimal:
    return EXACT.divide(EXACT.multiply(volume, OPEN_INTEREST_HOURS), 24)


def _extras() -> Row:
    """What REST has beyond the stream, empty for a perpetual."""
    return {
        "predictedDeliveryPrice": "",
        "basisRate": "",
        "basis": "",
        "deliveryFeeRate": "",
        "deliveryTime": "0",
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
    }


def _best(market: Market) -> Row:
    instrument = market.instrument
    bid_ticks, bid_lots = market.book.best(Side.BUY)
    ask_ticks, ask_lots = market.book.best(Side.SELL)
    return {
        "bid1Price": plain(instrument.price(bid_ticks)) if bid_ticks else "",
        "bid1Size": plain(instrument.quantity(bid_lots)) if bid_ticks else "",
        "ask1Price": plain(instrument.price(ask_ticks)) if ask_ticks else "",
        "ask1Size": plain(instrument.quantity(ask_lots)) if ask_ticks else "",
    }


def _share(share: Decimal) -> str:
    return plain(share.quantize(Decimal("0.0001"), context=EXACT))


def changes(before: Row, after: Row) -> Row:
    """What a delta carries: the symbol and every field that differs."""
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    return {"symbol": after["symbol"], **changed}
