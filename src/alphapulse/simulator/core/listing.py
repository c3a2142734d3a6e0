"""Listing: what the simulated venues trade, on the real ones' grids.

Source: tick sizes, lot sizes and limits of Binance spot as recorded on 2021-10-12
(exchangeInfo; minimum notional as of 2026), Bybit's linear instruments for the perpetuals.
"""

from decimal import Decimal

from alphapulse.simulator.core.instrument import Category, Instrument

# base, quote, tick, lot, largest order, largest market order, minimum notional, price band
_SPOT = """
BTC  USDT 0.01     0.00001 9000     120      5      5
ETH  USDT 0.01     0.0001  9000     2000     5      5
BNB  USDT 0.01     0.001   9000     2000     5      5
SOL  USDT 0.01     0.001   90000    20000    5      5
XRP  USDT 0.0001   0.1     9222449  3000000  5      5
ADA  USDT 0.0001   0.1     900000   900000   5      5
DOGE USDT 0.00001  1       9000000  9000000  1      5
AVAX USDT 0.01     0.01    90000    60000    5      5
LINK USDT 0.01     0.01    90000    60000    5      5
LTC  USDT 0.01     0.001   90000    9000     5      5
DOT  USDT 0.001    0.01    90000    90000    5      5
TRX  USDT 0.0001   0.1     9000000  9000000  5      5
BCH  USDT 0.1      0.001   90000    3000     5      5
ATOM USDT 0.001    0.01    90000    90000    5      5
UNI  USDT 0.001    0.01    90000    90000    5      5
XLM  USDT 0.0001   1       9000000  9000000  5      5
NEAR USDT 0.001    0.1     900000   900000   5      5
ETC  USDT 0.01     0.01    90000    60000    5      5
FIL  USDT 0.001    0.01    90000    90000    5      5
AAVE USDT 0.01     0.001   90000    9000     5      5
ETH  BTC  0.00001  0.0001  100000   2000     0.0001 5
BNB  BTC  0.000001 0.001   100000   9000     0.0001 5
USDC USDT 0.0001   1       9000000  9000000  5      1.2
EUR  USDT 0.0001   0.1     900000   900000   5      1.2
"""

# base, tick, lot, largest order, largest market order, largest leverage
_LINEAR = """
BTC  0.10    0.001 1190     119     100
ETH  0.01    0.01  7240     724     100
SOL  0.01    0.1   79770    7977    100
XRP  0.0001  0.1   6000000  600000  75
BNB  0.10    0.01  6000     1600    75
DOGE 0.00001 1     40000000 8000000 75
ADA  0.0001  1     5000000  900000  75
LINK 0.001   0.1   180000   20000   75
"""

# Bybit's minNotionalValue for every USDT perpetual.
_LINEAR_MIN_NOTIONAL = Decimal(5)


def spot_instruments() -> tuple[Instrument, ...]:
    """Twenty-four spot pairs."""
    return tuple(_spot(*line.split()) for line in _SPOT.strip().splitlines())


def linear_instruments() -> tuple[Instrument, ...]:
    """USDT perpetuals of the largest coins."""
    return tuple(_linear(*line.split()) for line in _LINEAR.strip().splitlines())


def recorded_instrument(unified: str, tick_size: Decimal) -> Instrument:
    """An instrument for a recording of something that is not listed.

    Args:
        unified: CCXT's name, ``ADA/BTC`` or ``BTC/USDT:USDT``.
        tick_size: the grid its prices lie on.
    """
    pair, _, settle = unified.partition(":")
    base, _, quote = pair.partition("/")
    return Instrument(
        name=f"{base}{quote}",
        category=Category.LINEAR if settle else Category.SPOT,
        base=base,
        quote=quote,
        settle=settle or None,
        tick_size=tick_size,
        lot_size=Decimal("0.001"),
        min_quantity=Decimal("0.001"),
        max_quantity=Decimal(90_000_000),
        max_market_quantity=Decimal(9_000_000),
        min_notional=Decimal("0.0001") if quote == "BTC" else Decimal(5),
        max_leverage=Decimal(50) if settle else Decimal(1),
    )


def _spot(
    base: str, quote: str, tick: str, lot: str, most: str, market: str, notional: str, band: str
) -> Instrument:
    return Instrument(
        name=f"{base}{quote}",
        category=Category.SPOT,
        base=base,
        quote=quote,
        settle=None,
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        min_quantity=Decimal(lot),
        max_quantity=Decimal(most),
        max_market_quantity=Decimal(market),
        min_notional=Decimal(notional),
        price_band=Decimal(band),
    )


def _linear(base: str, tick: str, lot: str, most: str, market: str, leverage: str) -> Instrument:
    return Instrument(
        name=f"{base}USDT",
        category=Category.LINEAR,
        base=base,
        quote="USDT",
        settle="USDT",
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        min_quantity=Decimal(lot),
        max_quantity=Decimal(most),
        max_market_quantity=Decimal(market),
        min_notional=_LINEAR_MIN_NOTIONAL,
        max_leverage=Decimal(leverage),
    )
