"""The numbered cards: what every adapter does, whatever the venue, over real sockets.

A card is laid on a `Bench`. Its number is stable: documents and issues name it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from alphapulse.domain.balance import Wallet
from alphapulse.domain.cash_flow import CashFlow, FlowKind
from alphapulse.domain.identifiers import Asset, ClientOrderId, ExchangeOrderId, Symbol
from alphapulse.domain.instrument import InstrumentType
from alphapulse.domain.ledger import Book, entry_of_fill, entry_of_flow, sums_of
from alphapulse.domain.market import MarketSubscription, Timeframe
from alphapulse.domain.order import Fill, OrderStatus, Side
from alphapulse.domain.position import PositionSide
from alphapulse.errors import (
    AuthenticationFailed,
    ExchangeUnavailable,
    InstrumentUnavailable,
    InvalidInput,
    NotFound,
    PermissionMissing,
)
from alphapulse.exchanges.port import Credentials, PrivateUpdate
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.treasury import Route
from alphapulse.simulator.faults import requests as faults
from alphapulse.simulator.faults.script import Fault
from tests.contract.bench import Bench
from tests.eventually import LIMIT_S, eventually
from tests.fixtures.streams import KeepingSink

Work = Callable[[Bench], Awaitable[None]]

BTC = Symbol("BTC/USDT")
PERPETUAL = Symbol("BTC/USDT:USDT")

# Longer than any card takes.
LONG_MS = 86_400_000


@dataclass(frozen=True)
class Card:
    """``number`` like ``E-07``, what it shows, and the work of showing it.

    ``has_weeks``: the account must have a past of weeks, which takes a while to make up.
    """

    number: str
    claim: str
    work: Work
    has_weeks: bool


CARDS: list[Card] = []


def card(number: str, claim: str, *, has_weeks: bool = False) -> Callable[[Work], Work]:
    def add(work: Work) -> Work:
        CARDS.append(Card(number, claim, work, has_weeks))
        return work

    return add


@card("E-01", "instruments are loaded with exact steps and limits")
async def load_instruments(bench: Bench) -> None:
    found = {one.symbol: one for one in await bench.exchange.load_instruments()}

    btc = found[BTC]
    assert (btc.base, btc.quote, btc.settle) == ("BTC", "USDT", None)
    assert btc.type is InstrumentType.SPOT
    assert btc.exchange_symbol == "BTCUSDT"
    assert isinstance(btc.tick_size, Decimal)
    assert btc.tick_size > 0
    assert btc.lot_size > 0
    assert btc.is_active
    kinds = {one.type for one in found.values()}
    assert (InstrumentType.PERPETUAL in kinds) is bench.exchange.capabilities.perpetual
    assert all(one.exchange == bench.exchange.id for one in found.values())


@card("E-02", "the venue's clock is measured")
async def measure_clock(bench: Bench) -> None:
    assert bench.exchange.clock_offset_ms is None
    assert abs(await bench.exchange.measure_clock()) < 500
    assert bench.exchange.clock_offset_ms is not None


@card("E-03", "a clock that is 30 s off is measured when a request is refused, and it is repeated")
async def clock_off(bench: Bench) -> None:
    await bench.exchange.fetch_balances()
    bench.simulator.world.skew_clock(bench.venue, -30_000)

    report = await bench.exchange.fetch_balances()

    assert report.balances
    offset_ms = bench.exchange.clock_offset_ms
    assert offset_ms is not None
    assert abs(offset_ms + 30_000) < 500


@card("E-04", "permissions are told, or said to be unknown")
async def permissions(bench: Bench) -> None:
    found = await bench.exchange.fetch_permissions()

    if not bench.exchange.capabilities.permissions:
        assert (found.read, found.trade, found.withdraw) == (None, None, None)
        return
    assert (found.read, found.trade, found.withdraw) == (True, True, False)
    assert found.expires_at is None


@card("E-05", "a key that may withdraw is recognised")
async def withdrawal(bench: Bench) -> None:
    bench.simulator.world.permit(bench.label, withdraw=True)

    found = await bench.exchange.fetch_permissions()

    if bench.exchange.capabilities.permissions:
        assert (found.withdraw, found.trade) == (True, True)
    else:
        assert found.withdraw is None


@card("E-06", "balances are those of the account, to the last digit")
async def balances(bench: Bench) -> None:
    report = await bench.exchange.fetch_balances()

    truth = {key: book.total for key, book in bench.wallets.items()}
    assert {(one.wallet, one.asset): one.total for one in report.balances} == truth
    assert report.wallets == {wallet for wallet, _ in truth}
    assert not report.is_partial
    for one in report.balances:
        assert one.free >= 0
        assert one.locked >= 0


@card("E-07", "what an open order locks is locked, and no more than the account has is free")
async def locked(bench: Bench) -> None:
    report = await bench.exchange.fetch_balances()

    for one in report.balances:
        book = bench.wallets[one.wallet, one.asset]
        # Margin of positions counts as locked too, where there are any.
        assert one.locked >= book.locked
        if one.wallet is Wallet.SPOT:
            assert (one.free, one.locked) == (book.free, book.locked)


@card("E-08", "an asset that is gone is absent from the next report")
async def spent(bench: Bench) -> None:
    pepe, amount = Asset("PEPE"), Decimal("12.000000000001")
    bench.simulator.world.deposit(bench.label, pepe, amount)
    before = await bench.exchange.fetch_balances()
    bench.simulator.world.deposit(bench.label, pepe, -amount)

    after = await bench.exchange.fetch_balances()

    assert {one.asset: one.total for one in before.balances}[pepe] == amount
    assert pepe not in {one.asset for one in after.balances}


@card("E-09", "positions are those of the account; a spot exchange has none")
async def positions(bench: Bench) -> None:
    found = await bench.exchange.fetch_positions()

    truth = {one.symbol: one for one in bench.positions}
    if not bench.exchange.capabilities.positions:
        assert found == ()
        return
    assert {one.symbol for one in found} == set(truth)
    for one in found:
        assert one.signed_quantity == truth[one.symbol].quantity
        assert one.side is (PositionSide.LONG if one.signed_quantity > 0 else PositionSide.SHORT)
        assert abs(one.entry_price - truth[one.symbol].entry_price) < Decimal("0.01")
        assert one.leverage == truth[one.symbol].leverage


@card("E-10", "open orders are all of them, once")
async def open_orders(bench: Bench) -> None:
    found = await bench.exchange.fetch_open_orders()

    assert len(found) == bench.open_orders
    assert len({one.exchange_order_id for one in found}) == len(found)
    for one in found:
        assert one.status.is_open
        assert one.quantity is not None
        assert one.quantity > one.filled_quantity
        assert one.created_at.tzinfo is UTC


@card("E-11", "an order is found by its id, open or filled")
async def order_by_id(bench: Bench) -> None:
    for open_order in await bench.exchange.fetch_open_orders():
        found = await bench.exchange.fetch_order(
            open_order.symbol, exchange_order_id=open_order.exchange_order_id
        )
        assert found.exchange_order_id == open_order.exchange_order_id
        assert (found.quantity, found.side) == (open_order.quantity, open_order.side)
    placed = bench.simulator.world.trade(bench.label, BTC, Side.BUY, Decimal("0.01"))

    filled = await bench.exchange.fetch_order(
        BTC, exchange_order_id=ExchangeOrderId(bench.order_id(placed))
    )

    assert filled.status is OrderStatus.FILLED
    assert filled.filled_quantity == filled.quantity == Decimal("0.01")
    assert filled.average_price is not None


@card("E-12", "an order is found by its client id")
async def order_by_client_id(bench: Bench) -> None:
    placed = bench.place_limit(BTC, Side.BUY, client_order_id="card-e-12")

    found = await bench.exchange.fetch_order(BTC, client_order_id=ClientOrderId("card-e-12"))

    assert found.exchange_order_id == bench.order_id(placed)
    assert found.client_order_id == "card-e-12"
    assert found.status is OrderStatus.OPEN


@card("E-13", "an order that is not there is not found, and nothing else is said")
async def order_absent(bench: Bench) -> None:
    with pytest.raises(NotFound):
        await bench.exchange.fetch_order(BTC, exchange_order_id=ExchangeOrderId("999999999999"))


@card(
    "E-14", "every fill is read, each once, oldest first on its page, with its fee", has_weeks=True
)
async def fills(bench: Bench) -> None:
    found, _ = await bench.fills()

    keys = [(one.symbol, one.trade_id) for one in found]
    assert len(set(keys)) == bench.fills_made
    for one in found:
        assert one.price > 0
        assert one.quantity > 0
        assert one.fee is not None
        assert one.fee_asset is not None
        assert one.is_maker is not None


@card("E-15", "reading resumes where it ended, and misses nothing that came since", has_weeks=True)
async def fills_resume(bench: Bench) -> None:
    before, ends = await bench.fills()
    known = {(one.symbol, one.trade_id) for one in before}
    for _ in range(3):
        bench.simulator.world.trade(bench.label, BTC, Side.BUY, Decimal("0.002"))

    found = []
    for cursor in ends:
        more, _ = await bench.fills(cursor)
        found += more

    new = {(one.symbol, one.trade_id) for one in found} - known
    assert len(known | new) == bench.fills_made
    assert {symbol for symbol, _ in new} == {BTC}


@card("E-16", "tickers are the market's, one for each symbol asked for")
async def tickers(bench: Bench) -> None:
    asked = [BTC, Symbol("ETH/USDT")]
    if bench.exchange.capabilities.perpetual:
        asked.append(Symbol("BTC/USDT:USDT"))
    bench.simulator.pause()

    found = {one.symbol: one for one in await bench.exchange.fetch_tickers(asked)}

    assert set(found) == set(asked)
    for symbol, one in found.items():
        truth = bench.simulator.world.prices(bench.venue)[symbol]
        assert (one.last, one.bid, one.ask) == (truth.last, truth.bid, truth.ask)
        assert one.price is not None


@card("E-17", "candles come oldest first, and only the last may be open")
async def candles(bench: Bench) -> None:
    since = datetime.now(UTC) - timedelta(minutes=4)

    found = await bench.exchange.fetch_candles(BTC, Timeframe.M1, since, 10)

    times = [one.open_time for one in found]
    assert times == sorted(set(times))
    assert all(at >= since for at in times)
    assert all(one.is_closed for one in found[:-1])
    for one in found:
        assert one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high


@card("E-18", "a wrong key is a wrong key")
async def wrong_key(bench: Bench) -> None:
    good = bench.credentials
    for bad in (
        Credentials("sim-nobody-has-this-key", good.api_secret),
        Credentials(good.api_key, "this is not its secret"),
    ):
        with pytest.raises(AuthenticationFailed) as caught:
            await bench.open(bad).fetch_balances()
        assert good.api_secret not in str(caught.value)
        assert bad.api_key not in str(caught.value)


@card("E-19", "a key that is revoked after it worked is no good any more")
async def revoked_key(bench: Bench) -> None:
    await bench.exchange.fetch_balances()
    bench.simulator.world.revoke_key(bench.label)

    with pytest.raises((AuthenticationFailed, PermissionMissing)):
        await bench.exchange.fetch_balances()


@card("E-20", "the public side needs no key")
async def public_side(bench: Bench) -> None:
    public = bench.open(None)

    assert await public.load_instruments()
    assert await public.fetch_tickers([BTC])


BROKEN: list[tuple[str, dict[str, object]]] = [
    ("garbled", {"body": "html"}),
    ("garbled", {"body": "empty"}),
    ("garbled", {"body": "null"}),
    ("garbled", {"body": "object"}),
    ("garbled", {"body": "html", "status": 503}),
    ("truncated", {}),
    ("status", {"status": 502}),
]


@card("E-21", "a broken answer is no answer: HTML, nothing, null, {}, cut off, 5xx")
async def broken_answers(bench: Bench) -> None:
    await bench.exchange.load_instruments()
    makers = {
        "garbled": faults.Garbled,
        "truncated": faults.Truncated,
        "status": faults.Status,
    }
    for kind, facts in BROKEN:
        for call in (
            bench.exchange.fetch_balances,
            bench.exchange.fetch_open_orders,
            bench.exchange.measure_clock,
        ):
            bench.strike(makers[kind], facts)
            with pytest.raises(ExchangeUnavailable):
                await call()
    assert (await bench.exchange.fetch_balances()).balances


@card("E-22", "an answer that does not come ends in time")
async def timeout(bench: Bench) -> None:
    impatient = bench.open(bench.credentials, request_timeout_s=0.5)
    bench.strike(faults.Timeout, {"hold_s": 600, "count": None})

    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(ExchangeUnavailable):
            await impatient.fetch_balances()


@card("E-23", "a connection that is reset is no answer, and the next one works")
async def reset(bench: Bench) -> None:
    await bench.exchange.load_instruments()
    # Twice, for the HTTP client repeats a read once on a connection it kept.
    bench.strike(faults.Reset, {"count": 2})

    with pytest.raises(ExchangeUnavailable):
        await bench.exchange.fetch_balances()

    bench.simulator.faults.clear()
    assert (await bench.exchange.fetch_balances()).balances


@card("E-24", "after 429 with Retry-After nothing is sent until then")
async def rate_limited(bench: Bench) -> None:
    await bench.wait_out_a_limit(429)


@card("E-25", "after 418, a ban, nothing is sent until then")
async def banned(bench: Bench) -> None:
    await bench.wait_out_a_limit(418)


@card("E-26", "a venue that is gone is unavailable, and back when it is back")
async def gone(bench: Bench) -> None:
    await bench.exchange.load_instruments()
    bench.simulator.stop_venue(bench.venue)
    with pytest.raises(ExchangeUnavailable):
        await bench.exchange.fetch_balances()

    bench.simulator.start_venue(bench.venue)

    assert (await bench.exchange.fetch_balances()).balances


@card("E-27", "a symbol that does not exist is said to be unavailable")
async def unknown_symbol(bench: Bench) -> None:
    await bench.exchange.load_instruments()

    with pytest.raises(InstrumentUnavailable):
        await bench.exchange.fetch_tickers([Symbol("NOSUCH/USDT")])


@card("E-28", "a symbol that is delisted becomes inactive or absent")
async def delisted(bench: Bench) -> None:
    gone = Symbol("XLM/USDT")
    assert {one.symbol: one for one in await bench.exchange.load_instruments()}[gone].is_active
    bench.delist(gone)

    after = {one.symbol: one for one in await bench.exchange.load_instruments()}

    assert gone not in after or not after[gone].is_active


@card("E-29", "numbers with 21 digits come through unchanged")
async def exact(bench: Bench) -> None:
    bench.simulator.world.deposit(bench.label, "PEPE", Decimal("123456789012.123456789012"))

    report = await bench.exchange.fetch_balances()

    pepe = next(one for one in report.balances if one.asset == "PEPE")
    assert pepe.total == bench.books.balances["PEPE"].total
    assert len(pepe.total.normalize().as_tuple().digits) >= 20


@card("E-30", "the market stream hands over tickers, trades and candles")
async def market_stream(bench: Bench) -> None:
    if not bench.exchange.capabilities.market_stream:
        pytest.skip("this adapter polls")
    await bench.exchange.load_instruments()
    sink, connected = KeepingSink(), asyncio.Event()
    kinds = {BTC, PERPETUAL} if bench.exchange.capabilities.perpetual else {BTC}
    wanted = MarketSubscription(
        tickers=frozenset(kinds),
        trades=frozenset(kinds),
        candles=frozenset((one, Timeframe.M1) for one in kinds),
    )
    watching = asyncio.create_task(
        bench.exchange.watch_market(wanted, sink, on_connected=connected.set)
    )
    try:
        await asyncio.wait_for(connected.wait(), LIMIT_S)
        bench.simulator.world.trade(bench.label, BTC, Side.BUY, Decimal("0.003"))
        await eventually(lambda: sink.trades and sink.candles)
        await eventually(lambda: {one.symbol for one in sink.tickers if one.price} == kinds)
        if PERPETUAL in kinds:
            await eventually(lambda: any(one.mark and one.funding_rate for one in sink.tickers))
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    assert {one.symbol for one in sink.tickers} == kinds
    assert {one.symbol for one in sink.candles} <= kinds


@card("E-31", "the private stream hands over orders, fills and balances of the account")
async def private_stream(bench: Bench) -> None:
    if not bench.exchange.capabilities.private_stream:
        pytest.skip("this adapter polls")
    await bench.exchange.load_instruments()
    updates: list[PrivateUpdate] = []
    connected = asyncio.Event()

    async def keep(update: PrivateUpdate) -> None:
        updates.append(update)

    async def note() -> None:
        connected.set()

    watching = asyncio.create_task(bench.exchange.watch_private(keep, on_connected=note))
    try:
        await asyncio.wait_for(connected.wait(), LIMIT_S)
        placed = bench.simulator.world.trade(bench.label, BTC, Side.BUY, Decimal("0.004"))
        await eventually(lambda: any(update.fills for update in updates))
        await eventually(lambda: any(update.orders for update in updates))
        await eventually(lambda: any(update.balances for update in updates))
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    fills = [one for update in updates for one in update.fills]
    assert sum(one.quantity for one in fills) == Decimal("0.004")
    assert {one.exchange_order_id for one in fills} == {bench.order_id(placed)}


@card("E-32", "one dead exchange object does not touch another")
async def bulkhead(bench: Bench) -> None:
    other = bench.open(bench.credentials)
    await other.load_instruments()
    await bench.exchange.load_instruments()
    bench.strike(faults.Timeout, {"hold_s": 600})
    stuck = asyncio.create_task(bench.exchange.fetch_balances())
    await eventually(lambda: bench.simulator.faults.entries[-1].is_spent)

    assert (await other.fetch_balances()).balances

    assert not stuck.done()
    stuck.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stuck


@card("E-33", "closing leaves nothing, and may be done twice")
async def closed(bench: Bench) -> None:
    await bench.exchange.fetch_balances()

    await bench.exchange.close()
    await bench.exchange.close()


@card(
    "E-34",
    "a history of years is read at full speed, and the venue never has to slow it down",
    has_weeks=True,
)
async def long_history(bench: Bench) -> None:
    await bench.exchange.load_instruments()
    starts = bench.exchange.first_fill_cursors([BTC], datetime(2017, 7, 1, tzinfo=UTC))
    page = await bench.exchange.fetch_fills(starts[0])
    read = 1
    while not page.is_last and read < 60:
        page = await bench.exchange.fetch_fills(page.next_cursor)
        read += 1

    assert page.is_last or read == 60
    assert bench.simulator.refusals(bench.venue) == 0


def live_through(bench: Bench) -> None:
    """Whatever can move an account's money, in amounts of many digits."""
    world, label = bench.simulator.world, bench.label
    bench.simulator.pause()
    world.trade(label, BTC, Side.BUY, Decimal("0.01234"))
    world.trade(label, Symbol("XRP/USDT"), Side.SELL, Decimal("31.4"))
    world.trade(label, PERPETUAL, Side.BUY, Decimal("0.02"))
    dearer = world.prices(bench.venue)[PERPETUAL].last * Decimal("1.01")
    world.set_price(bench.venue, PERPETUAL, dearer)
    world.trade(label, PERPETUAL, Side.SELL, Decimal("0.008"))
    world.settle_funding(bench.venue)
    world.liquidate(label, Symbol("ETH/USDT:USDT"))
    world.deposit(label, "SOL", Decimal("3.14159265"), Route("SOL"))
    world.withdraw(label, "USDT", Decimal("17.654321"), Route("TRX"), fee=Decimal("0.8"))
    world.send(label, "binance-second", "XRP", Decimal("9.87654321"), fee=Decimal("0.2"))
    refused = world.withdraw(
        label, "USDT", Decimal(100), Route(after_ms=LONG_MS), fee=Decimal("0.8")
    )
    world.fail(label, refused.id)
    world.withdraw(label, "ETH", Decimal("0.1"), Route(after_ms=LONG_MS), fee=Decimal("0.001"))
    world.deposit(label, "BTC", Decimal(1), Route(after_ms=LONG_MS))
    world.convert(label, {"XRP": Decimal("1.234567"), "USDT": Decimal("0.57721566")}, "BNB")
    world.reward(label, "USDC", Decimal("1.61803398"), note="Airdrop")
    world.reward(label, "USDT", Decimal("0.00012345"), note="Interest", is_interest=True)
    world.reward(label, "USDT", Decimal("-0.00000067"), note="Interest", is_interest=True)
    if bench.futures is not None:
        world.transfer(label, "USDT", Decimal("12.34567891"), Category.LINEAR)
        world.transfer(label, "USDT", Decimal("5.00000001"), Category.SPOT)


def explained(fills: Sequence[Fill], flows: Iterable[CashFlow]) -> dict[str, Decimal]:
    """What an account must have by its fills and cash flows, since its first day."""
    entries = [*map(entry_of_fill, fills), *map(entry_of_flow, flows)]
    sums = sums_of(entries).items()
    return {name: total for (book, name), total in sums if book is Book.VENUE and total}


@card(
    "E-35",
    "fills and cash flows add up to all that the account has, to the last unit, and every list of "
    "them is needed",
)
async def everything_adds_up(bench: Bench) -> None:
    if not bench.exchange.capabilities.cash_flows:
        return
    live_through(bench)
    held: dict[str, Decimal] = {}
    # Once more where funding fell due meanwhile.
    while held != bench.holdings:
        held = bench.holdings
        fills, _ = await bench.fills()
        flows, _ = await bench.flows()

    every = [flow for known in flows.values() for flow in known]
    assert explained(fills, every) == held
    for source, known in flows.items():
        others = [flow for flow in every if flow not in known]
        assert explained(fills, others) != held, f"nothing was in {source}"
    assert len({flow.id for flow in every}) == len(every)
    kinds = {flow.kind for flow in every}
    assert {FlowKind.DEPOSIT, FlowKind.WITHDRAWAL, FlowKind.FUNDING, FlowKind.PROFIT} <= kinds
    assert {FlowKind.CONVERSION, FlowKind.REWARD, FlowKind.INTEREST, FlowKind.FEE} <= kinds
    assert FlowKind.OTHER not in kinds


@card("E-36", "reading of cash flows resumes where it ended, tells the same again, misses nothing")
async def flows_resume(bench: Bench) -> None:
    if not bench.exchange.capabilities.cash_flows:
        return
    before, ends = await bench.flows()
    again, ends = await bench.flows(ends)
    bench.simulator.world.deposit(bench.label, "SOL", Decimal("0.12345678"))
    bench.simulator.world.settle_funding(bench.venue)
    after, _ = await bench.flows(ends)

    known = {flow.id: flow for flows in before.values() for flow in flows}
    assert all(known[flow.id] == flow for flows in again.values() for flow in flows)
    told = {flow.id: flow for flows in after.values() for flow in flows}
    new = [flow for name, flow in told.items() if name not in known]
    assert {flow.kind for flow in new} == {FlowKind.DEPOSIT, FlowKind.FUNDING}
    deposited = [flow.quantity for flow in new if flow.kind is FlowKind.DEPOSIT]
    assert deposited == [Decimal("0.12345678")]
    assert all(known[name] == flow for name, flow in told.items() if name in known)


@card(
    "E-37", "a deposit counts when it is there, a withdrawal when it is gone, until it comes back"
)
async def money_under_way(bench: Bench) -> None:
    if not bench.exchange.capabilities.cash_flows:
        return
    world, under_way = bench.simulator.world, Route(after_ms=LONG_MS)
    deposit = world.deposit(bench.label, "SOL", Decimal(3), under_way)
    withdrawal = world.withdraw(bench.label, "USDT", Decimal(40), under_way, fee=Decimal("0.5"))

    def moved(flows: dict[str, list[CashFlow]]) -> dict[str, Decimal]:
        every = [flow for known in flows.values() for flow in known if flow.id not in old]
        return explained((), every)

    old: set[str] = set()
    before, ends = await bench.flows()
    gone = [f for known in before.values() for f in known if f.quantity == -40]
    assert [(flow.kind, flow.fee) for flow in gone] == [(FlowKind.WITHDRAWAL, Decimal("0.5"))]
    assert not [f for known in before.values() for f in known if f.quantity == 3]
    old = {flow.id for known in before.values() for flow in known}

    unchanged, ends = await bench.flows(ends)
    assert moved(unchanged) == {}
    deposit.due_ms = 0
    world.venues[bench.venue].advance()
    world.fail(bench.label, withdrawal.id)
    after, _ = await bench.flows(ends)

    assert moved(after) == {"SOL": Decimal(3), "USDT": Decimal("40.5")}
    came = [flow for known in after.values() for flow in known if flow.quantity == 3]
    assert [flow.reference for flow in came] == [deposit.txid]


@card("E-38", "a list of cash flows that is broken or cut off is no list, and the cursor stays")
async def broken_flows(bench: Bench) -> None:
    if not bench.exchange.capabilities.cash_flows:
        return
    await bench.flows()
    # Few, because a venue may allow few questions about some lists.
    broken: tuple[tuple[Callable[..., Fault], dict[str, object]], ...] = (
        (faults.Garbled, {"body": "object"}),
        (faults.Truncated, {}),
        (faults.Status, {"status": 502}),
    )
    for cursor in bench.exchange.first_flow_cursors(datetime.now(UTC) - timedelta(days=1)):
        for make, facts in broken:
            bench.strike(make, facts)
            with pytest.raises(ExchangeUnavailable):
                await bench.exchange.fetch_cash_flows(cursor)
        bench.simulator.faults.clear()


@card(
    "E-39", "deposits and withdrawals are told with the fee and the chain's name, by every adapter"
)
async def crossings(bench: Bench) -> None:
    world = bench.simulator.world
    deposit = world.deposit(bench.label, "SOL", Decimal("3.14159265"), Route("SOL"))
    withdrawal = world.withdraw(
        bench.label, "USDT", Decimal("17.654321"), Route("TRX"), fee=Decimal("0.8")
    )

    lists, _ = await bench.flows()

    found = [flow for flows in lists.values() for flow in flows]
    (came,) = [flow for flow in found if flow.reference == deposit.txid]
    (went,) = [flow for flow in found if flow.reference == withdrawal.txid]
    assert (came.kind, came.asset, came.fee) == (FlowKind.DEPOSIT, "SOL", None)
    assert came.quantity == Decimal("3.14159265")
    assert (went.kind, went.asset, went.fee) == (FlowKind.WITHDRAWAL, "USDT", Decimal("0.8"))
    assert went.quantity == Decimal("-17.654321")


@card("E-40", "a payment between accounts has one name at both ends as soon as the chain has it")
async def payment_between_accounts(bench: Bench) -> None:
    if not bench.exchange.capabilities.cash_flows:
        return
    world, there = bench.simulator.world, bench.other()
    out, into = world.send(
        bench.label,
        there.label,
        "XRP",
        Decimal("21.5"),
        Route(after_ms=LONG_MS),
        fee=Decimal("0.25"),
    )

    async def told(one: Bench) -> list[CashFlow]:
        flows, _ = await one.flows()
        return [f for known in flows.values() for f in known if abs(f.quantity) == out.amount]

    (under_way,) = await told(bench)
    assert await told(there) == []
    for crossing, venue in ((out, bench.venue), (into, there.venue)):
        crossing.due_ms = 0
        world.venues[venue].advance()

    (sent,), (received,) = await told(bench), await told(there)
    assert sent.id == under_way.id
    assert sent.reference == received.reference == out.txid
    assert (sent.quantity, received.quantity) == (Decimal("-21.5"), Decimal("21.5"))


@card("E-41", "candles of the past are exactly those of the minutes that were asked for")
async def candles_of_the_past(bench: Bench) -> None:
    since = bench.born + timedelta(hours=5)

    found = await bench.exchange.fetch_candles(BTC, Timeframe.M1, since, 7)

    assert [one.open_time for one in found] == [since + timedelta(minutes=n) for n in range(7)]
    assert all(one.is_closed for one in found)
    for one in found:
        dollars = bench.simulator.usd_then("USDT", one.open_time, bench.venue)
        assert dollars is not None
        assert one.close * dollars == bench.simulator.usd_then("BTC", one.open_time, bench.venue)


@card("E-42", "the past in US dollars is told, exactly and closed, of the assets named, or refused")
async def past_in_dollars(bench: Bench) -> None:
    since, minutes = bench.born + timedelta(hours=5), timedelta(minutes=1)
    told = bench.exchange.capabilities.usd_index
    assert bool(told) is (bench.venue == "bybit")

    for asset in told:
        found = await bench.exchange.fetch_usd_index(asset, since, 1000)
        assert [one.open_time for one in found] == [since + n * minutes for n in range(1000)]
        for one in found[::100]:
            assert one.close == bench.simulator.usd_then(asset, one.open_time, bench.venue)
        now = datetime.now(UTC)
        newest = await bench.exchange.fetch_usd_index(asset, now - 3 * minutes, 10)
        assert newest
        assert all(one.open_time + minutes <= datetime.now(UTC) for one in newest)
    with pytest.raises(InvalidInput):
        await bench.exchange.fetch_usd_index(Asset("DOGE"), since, 1)
