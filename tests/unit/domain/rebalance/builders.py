"""Small worlds to plan in: prices, markets, accounts and what they hold."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from alphapulse.domain.balance import Balance, Wallet
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, Symbol
from alphapulse.domain.instrument import Instrument, InstrumentType
from alphapulse.domain.market import Ticker
from alphapulse.domain.portfolio import Holding
from alphapulse.domain.rebalance.constraints import Constraints, Style, Tolerance
from alphapulse.domain.rebalance.plan import Plan, PlanRequest, Refused, make_plan
from alphapulse.domain.rebalance.situation import AccountFacts, Market, Situation
from alphapulse.domain.valuation import Price, Quality

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
USDT = Asset("USDT")
BTC = Asset("BTC")
ETH = Asset("ETH")
SOL = Asset("SOL")
FEE = Decimal("0.001")

Numbers = Mapping[str, str]


def price(value: str | Decimal, **changes: Any) -> Price:
    made = Price(Decimal(value), USDT, NOW - timedelta(seconds=1), "binance:X/USDT", Quality.LIVE)
    return replace(made, **changes)


def market(symbol: str, middle: Decimal, exchange: str = "binance", **changes: Any) -> Market:
    """Spot, 0.02 % between bid and ask; steps of 1e-5 and 1e-4, at least 5 units of quote."""
    base, _, quote = symbol.partition("/")
    instrument = Instrument(
        exchange=ExchangeId(exchange),
        symbol=Symbol(symbol),
        exchange_symbol=symbol.replace("/", ""),
        type=InstrumentType.SPOT,
        base=Asset(base),
        quote=Asset(quote),
        settle=None,
        tick_size=Decimal("0.0001"),
        lot_size=Decimal("0.00001"),
        min_quantity=Decimal("0.00001"),
        max_quantity=None,
        min_notional=Decimal(5),
        contract_size=Decimal(1),
        is_active=True,
    )
    ticker = Ticker(
        exchange=ExchangeId(exchange),
        symbol=Symbol(symbol),
        occurred_at=NOW - timedelta(seconds=1),
        received_at=NOW - timedelta(seconds=1),
        bid=middle * Decimal("0.9999"),
        ask=middle * Decimal("1.0001"),
    )
    return Market(replace(instrument, **changes), ticker)


def account(account_id: str = "a", exchange: str = "binance", **changes: Any) -> AccountFacts:
    made = AccountFacts(
        AccountId(account_id), ExchangeId(exchange), NOW - timedelta(seconds=2), FEE, quote=USDT
    )
    return replace(made, **changes)


def holding(
    asset: str,
    free: str | Decimal,
    locked: str | Decimal = "0",
    *,
    of: AccountFacts | None = None,
    wallet: Wallet = Wallet.SPOT,
    borrowed: str = "0",
) -> Holding:
    owner = of or account()
    balance = Balance(wallet, Asset(asset), Decimal(free), Decimal(locked), Decimal(borrowed))
    return Holding(owner.id, owner.exchange, balance, NOW)


def situation(prices: Numbers, held: Numbers | None = None, **changes: Any) -> Situation:
    """One account, one exchange, every asset against USDT, which is the base currency."""
    made = Situation(
        now=NOW,
        currency=USDT,
        accounts=(account(),),
        holdings=tuple(holding(asset, free) for asset, free in (held or {}).items()),
        prices={Asset(asset): price(value) for asset, value in prices.items()},
        markets=tuple(market(f"{asset}/USDT", Decimal(value)) for asset, value in prices.items()),
    )
    return replace(made, **changes)


def plan(
    world: Situation,
    weights: Numbers,
    *,
    tolerance: str | Tolerance = "0.5",
    constraints: Constraints | None = None,
    style: Style | None = None,
) -> Plan:
    """The plan that must exist; ``tolerance`` is in points of weight."""
    made = answer(world, weights, tolerance=tolerance, constraints=constraints, style=style)
    assert isinstance(made, Plan), made
    return made


def answer(
    world: Situation,
    weights: Numbers,
    *,
    tolerance: str | Tolerance = "0.5",
    constraints: Constraints | None = None,
    style: Style | None = None,
) -> Plan | Refused:
    band = tolerance if isinstance(tolerance, Tolerance) else Tolerance(Decimal(tolerance))
    request = PlanRequest(
        {Asset(asset): Decimal(weight) for asset, weight in weights.items()},
        band,
        constraints or Constraints(),
        style or Style(),
    )
    return make_plan(request, world)
