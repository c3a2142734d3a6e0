"""The summary beside a long history: 100,000 fills against 1,000.

CPU per request of the server, through the route and not the fast path, with all that the summary
says of the past: the 95th percentile of the rounds with many fills is at most 1.5 times the one
with few. Both servers run in this process, in turn.

    python -m bench.summary
"""

import gc
import statistics
import sys
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

import uvloop
from loguru import logger
from tests.builders import make_fill
from tests.fixtures.api import RunningApi

from alphapulse.domain.account import Account
from alphapulse.domain.order import Fill
from bench.http import SUMMARY, portfolio_of, read
from bench.load import keep_apart, load_process
from bench.measure import interleave, report

ASSETS = 20
FEW, MANY = 1000, 100_000
AT_ONCE = 5000
REQUESTS = 32
"""A round: as many as there are connections."""
ROUNDS = 60
ROUTE = f"{SUMMARY}?currency=USD"


async def trade(api: RunningApi, fills: int) -> None:
    """Give the account of ``api`` a past of that many fills, one a minute."""
    (account,) = api.services.live.accounts.values()
    now = api.clock.now()
    for start in range(0, fills, AT_ONCE):
        async with api.services.accounts._database.begin() as unit:
            numbers = range(start, min(start + AT_ONCE, fills))
            await unit.fills.record([_fill(number, account, now) for number in numbers], now)
    await api.services.facts.refresh()


def _fill(number: int, account: Account, now: datetime) -> Fill:
    at = now - timedelta(minutes=number + 1)
    return make_fill(number, account_id=account.id, occurred_at=at)


async def measure() -> bool:
    """Compare the two in one run; whether the goal is met."""
    async with AsyncExitStack() as stack:
        few = await stack.enter_async_context(portfolio_of(ASSETS))
        many = await stack.enter_async_context(portfolio_of(ASSETS))
        load = await stack.enter_async_context(load_process())
        await trade(few, FEW)
        await trade(many, MANY)
        keep_apart(load)
        gc.collect()
        gc.freeze()
        ports = {api.token: int(api.url.rpartition(":")[2]) for api in (few, many)}
        rounds = await interleave(
            {
                "few": lambda: read(load, ports[few.token], few.token, ROUTE, REQUESTS),
                "many": lambda: read(load, ports[many.token], many.token, ROUTE, REQUESTS),
            },
            rounds=ROUNDS,
        )
    p95 = {side: statistics.quantiles(each, n=20)[-1] for side, each in rounds.cpu_us.items()}
    return report(
        "summary.p95_few_vs_many_fills",
        ratio=p95["few"] / p95["many"],
        floor=1 / 1.5,
        n=rounds.operations,
        few_p95_us=p95["few"],
        many_p95_us=p95["many"],
        many_to_few_median=rounds.ratio("many", "few"),
    )


def main() -> int:
    logger.remove()
    return int(not uvloop.run(measure()))


if __name__ == "__main__":
    sys.exit(main())
