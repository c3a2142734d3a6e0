"""Listing: what the simulated venues trade, on the real ones' grids.

Source: tick sizes, lot sizes and limits of Binance spot as recorded on 2021-10-12
(exchangeInfo; minimum notional as of 2026), Bybit's linear instruments and Binance's USD-M
exchangeInfo and leverageBracket of 2025 for the perpetuals (the larger sizes rounded).
"""

from decimal import Decimal

from alphapulse.simulator.core.instrument import Category, Instrument, RiskTier

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


# base, tick, lot, largest order, largest market order, minimum notional
_USDM = """
BTC  0.10    0.001 1000     120      100
ETH  0.01    0.001 10000    2000     20
SOL  0.0100  0.01  1000000  5000     5
XRP  0.0001  0.1   10000000 2000000  5
BNB  0.010   0.01  100000   2000     5
DOGE 0.000010 1    50000000 30000000 5
ADA  0.00010 1     2000000  300000   5
LINK 0.001   0.01  200000   20000    20
"""

# Notional up to, largest leverage, maintenance rate: Binance's brackets of its largest contracts,
# and of the others.
_LARGE_TIERS = """
50000     125 0.004
600000    100 0.005
3000000   75  0.0065
12000000  50  0.01
70000000  25  0.02
100000000 20  0.025
230000000 10  0.05
480000000 5   0.1
600000000 4   0.125
800000000 3   0.15
1200000000 2  0.25
1800000000 1  0.5
"""
_OTHER_TIERS = """
10000     75  0.005
50000     50  0.01
400000    40  0.015
1000000   25  0.02
4000000   20  0.025
16000000  10  0.05
40000000  5   0.1
80000000  4   0.125
150000000 2   0.25
300000000 1   0.5
"""


DOLLAR = Instrument(
    name="USDTUSD",
    category=Category.SPOT,
    base="USDT",
    quote="USD",
    settle=None,
    tick_size=Decimal("0.000001"),
    lot_size=Decimal("0.000001"),
    min_quantity=Decimal(1),
    max_quantity=Decimal(1),
    max_market_quantity=Decimal(1),
    min_notional=Decimal(1),
)
"""What a US dollar is, on a grid; nobody can trade it."""


def spot_instruments() -> tuple[Instrument, ...]:
    """Twenty-four spot pairs."""
    return tuple(_spot(*line.split()) for line in _SPOT.strip().splitlines())


def linear_instruments() -> tuple[Instrument, ...]:
    """USDT perpetuals of the largest coins."""
    return tuple(_linear(*line.split()) for line in _LINEAR.strip().splitlines())


def usdm_instruments() -> tuple[Instrument, ...]:
    """Binance's USDT perpetuals of the same coins, with the tiers of their leverage."""
    return tuple(_usdm(*line.split()) for line in _USDM.strip().splitlines())


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


def _usdm(base: str, tick: str, lot: str, most: str, market: str, notional: str) -> Instrument:
    tiers = _tiers(_LARGE_TIERS if base in {"BTC", "ETH"} else _OTHER_TIERS)
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
        min_notional=Decimal(notional),
        max_leverage=tiers[0].max_leverage,
        risk_tiers=tiers,
    )


def _tiers(table: str) -> tuple[RiskTier, ...]:
    tiers: list[RiskTier] = []
    for line in table.strip().splitlines():
        cap, leverage, rate = map(Decimal, line.split())
        last = tiers[-1] if tiers else RiskTier(Decimal(0), Decimal(0), leverage, rate)
        deduction = last.deduction + last.cap * (rate - last.maintenance_rate)
        tiers.append(RiskTier(last.cap, cap, leverage, rate, deduction))
    return tuple(tiers)
