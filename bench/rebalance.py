"""A plan for 500 assets in 10 accounts: how long it takes to make one, all trades included.

python -m bench.rebalance
"""

import statistics
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal

from alphapulse.domain.balance import Balance, Wallet
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, Symbol
from alphapulse.domain.instrument import Instrument, InstrumentType
from alphapulse.domain.market import Ticker
from alphapulse.domain.portfolio import Holding
from alphapulse.domain.rebalance.plan import Plan, PlanRequest, make_plan
from alphapulse.domain.rebalance.situation import AccountFacts, Market, Situation
from alphapulse.domain.rebalance.targets import equal_weights
from alphapulse.domain.valuation import Price, Quality

ASSETS, ACCOUNTS, ROUNDS = 500, 10, 5
NOW = datetime(2026, 11, 23, tzinfo=UTC)
EXCHANGE, MONEY = ExchangeId("binance"), Asset("USDT")


def market(number: int) -> Market:
    base = Asset(f"A{number}")
    symbol, middle = Symbol(f"{base}/{MONEY}"), Decimal(number % 97 + 1)
    instrument = Instrument(
        exchange=EXCHANGE,
        symbol=symbol,
        exchange_symbol=f"{base}{MONEY}",
        type=InstrumentType.SPOT,
        base=base,
        quote=MONEY,
        settle=None,
        tick_size=Decimal("0.0001"),
        lot_size=Decimal("0.001"),
        min_quantity=Decimal("0.001"),
        max_quantity=None,
        min_notional=Decimal(5),
        contract_size=Decimal(1),
        is_active=True,
    )
    spread = Decimal("0.0005")
    ticker = Ticker(EXCHANGE, symbol, NOW, NOW, bid=middle - spread, ask=middle + spread)
    return Market(instrument, ticker)


def situation() -> Situation:
    """Every account holds every asset, some of them far too much."""
    markets = tuple(map(market, range(ASSETS)))
    prices = {
        one.instrument.base: Price(Decimal(number % 97 + 1), MONEY, NOW, "bench", Quality.LIVE)
        for number, one in enumerate(markets)
    }
    accounts = tuple(AccountId(f"account-{number}") for number in range(ACCOUNTS))
    nothing = Decimal(0)
    return Situation(
        now=NOW,
        currency=MONEY,
        accounts=tuple(AccountFacts(one, EXCHANGE, NOW, Decimal("0.001")) for one in accounts),
        holdings=tuple(
            Holding(
                account,
                EXCHANGE,
                Balance(Wallet.SPOT, asset, Decimal(number % 13 + 1) * 10, nothing, nothing),
                NOW,
            )
            for account in accounts
            for number, asset in enumerate(prices)
        ),
        prices=prices,
        markets=markets,
    )


def main() -> int:
    world = situation()
    assets = [one.instrument.base for one in world.markets]
    request = PlanRequest(equal_weights(assets, world.known_assets))
    took_ms, trades = [], 0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        plan = make_plan(request, world)
        took_ms.append((time.perf_counter() - began) * 1000)
        assert isinstance(plan, Plan), plan
        trades = len(plan.trades)
    print(
        f"plan for {ASSETS} assets x {ACCOUNTS} accounts, {trades} trades:"
        f" {statistics.median(took_ms):.0f} ms (median of {ROUNDS})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
