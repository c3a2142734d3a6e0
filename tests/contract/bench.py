"""The bench that each card is laid on: one adapter, one simulated account, real sockets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from alphapulse.domain.balance import Wallet
from alphapulse.domain.cash_flow import CashFlow, FlowCursor
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, ExchangeId, Symbol
from alphapulse.domain.money import round_down
from alphapulse.domain.order import Fill, Side
from alphapulse.errors import RateLimited
from alphapulse.exchanges.adapters.generic import exchange as generic
from alphapulse.exchanges.budget import Budgets
from alphapulse.exchanges.ccxt.client import Surroundings
from alphapulse.exchanges.ccxt.session import ExchangeSession, MarketCatalog
from alphapulse.exchanges.ccxt.transport import Transport
from alphapulse.exchanges.factory import ExchangeFactory
from alphapulse.exchanges.port import Credentials, FillCursor, TradingExchange
from alphapulse.exchanges.settings import ExchangesSettings
from alphapulse.runtime.clock import SystemClock
from alphapulse.simulator.core.candles import MINUTE_MS
from alphapulse.simulator.core.instrument import MarketStatus
from alphapulse.simulator.core.order import Order, OrderKind, OrderRequest
from alphapulse.simulator.faults.fault import Match
from alphapulse.simulator.faults.requests import Latency, Status
from alphapulse.simulator.faults.script import Fault
from alphapulse.simulator.simulator import Simulator
from alphapulse.simulator.venues.bybit.ids import order_id as bybit_order_id
from alphapulse.simulator.world import AssetBook, Books, FuturesBooks, PositionBook
from tests.eventually import LIMIT_S

ME = AccountId("account-under-test")

# Longer than the simulated accounts have a past.
HISTORY = timedelta(days=14)

# Which venue each adapter is laid on.
ADAPTERS = {"binance": "binance", "bybit": "bybit", "generic": "binance"}

# The simulated account of each.
LABELS = {"binance": "binance-main", "bybit": "bybit-unified", "generic": "binance-main"}

# How long the venue asks to be left alone: no stop of this machine is as long.
BAN_S = 60


class SkippingClock(SystemClock):
    """The machine's clock, whose durations may be skipped."""

    def __init__(self) -> None:
        self.skipped_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.skipped_s


@dataclass
class Bench:
    """What a card works with. ``exchange`` is the account's, made when first used."""

    adapter: str
    simulator: Simulator
    label: str
    clock: SkippingClock = field(default_factory=SkippingClock)
    opened: list[TradingExchange] = field(default_factory=list)
    _exchange: TradingExchange | None = None

    @property
    def venue(self) -> str:
        return ADAPTERS[self.adapter]

    @property
    def exchange(self) -> TradingExchange:
        if self._exchange is None:
            self._exchange = self.open(self.credentials)
        return self._exchange

    @property
    def credentials(self) -> Credentials:
        account = self.simulator.account(self.label)
        return Credentials(account.api_key, account.api_secret)

    @property
    def books(self) -> Books:
        """What is exactly true of the account."""
        return self.simulator.books(self.label)

    @property
    def futures(self) -> FuturesBooks | None:
        """What is in a futures wallet that the adapter serves."""
        return self.books.futures if self.adapter == "binance" else None

    @property
    def wallets(self) -> dict[tuple[Wallet, str], AssetBook]:
        """What is exactly in each wallet that the adapter serves, by asset."""
        main = Wallet.UNIFIED if self.venue == "bybit" else Wallet.SPOT
        found = {(main, asset): book for asset, book in self.books.balances.items()}
        if self.futures is not None:
            held = self.futures.balances.items()
            found |= {(Wallet.FUTURES, asset): book for asset, book in held}
        return found

    @property
    def positions(self) -> tuple[PositionBook, ...]:
        return self.books.positions if self.futures is None else self.futures.positions

    @property
    def open_orders(self) -> int:
        return self.books.open_orders + (self.futures.open_orders if self.futures else 0)

    @property
    def born(self) -> datetime:
        """The first full minute of the accounts' history."""
        walk = self.simulator.world.walk
        assert walk is not None
        minute_ms = (walk.span.start_ms // MINUTE_MS + 1) * MINUTE_MS
        return datetime.fromtimestamp(minute_ms / 1000, UTC)

    @property
    def fills_made(self) -> int:
        return self.books.fills + (self.futures.fills if self.futures else 0)

    def open(
        self, credentials: Credentials | None, *, request_timeout_s: float = LIMIT_S
    ) -> TradingExchange:
        """The adapter with those credentials; closed when the bench is cleared."""
        settings = ExchangesSettings(
            simulator_url=self.simulator.url,
            request_timeout_s=request_timeout_s,
            connect_timeout_s=LIMIT_S,
            max_budget_wait_s=0.2,
        )
        exchange = (
            open_generic(settings, credentials, self.clock)
            if self.adapter == "generic"
            else ExchangeFactory(settings, self.clock).open(
                ExchangeId(self.adapter), ME, credentials
            )
        )
        self.opened.append(exchange)
        return exchange

    def other(self) -> "Bench":
        """An account at another venue, cleared together with this one."""
        adapter = "bybit" if self.venue == "binance" else "binance"
        return Bench(adapter, self.simulator, LABELS[adapter], opened=self.opened)

    def strike(
        self, make: Callable[..., Fault], facts: Mapping[str, object], path: str = "*"
    ) -> None:
        """Put a fault in force for this venue's REST requests to ``path``."""
        match = Match(venue=self.venue, path=path, method="GET")
        self.simulator.faults.add(make(match=match, **facts))

    def order_id(self, placed: Order) -> str:
        """The venue's spelling of a simulated order's id."""
        return bybit_order_id(placed) if self.venue == "bybit" else str(placed.id)

    def place_limit(self, symbol: Symbol, side: Side, *, client_order_id: str) -> Order:
        """A small order far from the market, placed by another client of the account."""
        venue = self.simulator.world.venues[self.venue]
        market = self.simulator.world.market(self.venue, symbol)
        assert market.last_price is not None
        price = round_down(market.last_price * Decimal("0.9"), market.instrument.tick_size)
        request = OrderRequest(
            side=side,
            kind=OrderKind.LIMIT,
            quantity=Decimal("0.001"),
            limit_price=price,
            client_order_id=client_order_id,
        )
        return venue.place(venue.accounts[self.label], market, request)

    def delist(self, symbol: Symbol) -> None:
        """The venue takes a symbol off for good."""
        self.simulator.world.set_status(self.venue, symbol, MarketStatus.DELISTED)

    async def wait_out_a_limit(self, status: int) -> None:
        """The venue answers once with ``status`` and `BAN_S`; see that nothing goes out."""
        await self.exchange.load_instruments()
        path = {"binance": "/api/v3/account", "bybit": "/v5/account/wallet-balance"}[self.venue]
        self.strike(Status, {"status": status, "retry_after_s": BAN_S}, path)
        # Never spent: it counts what reaches the venue afterwards.
        self.strike(Latency, {"delay_s": 0, "count": None})
        reached = self.simulator.faults.entries[-1]
        with pytest.raises(RateLimited) as caught:
            await self.exchange.fetch_balances()
        seen = reached.seen
        assert caught.value.retry_after_s == pytest.approx(BAN_S, abs=BAN_S / 2)
        assert self.exchange.budget_used == 1

        for _ in range(3):
            with pytest.raises(RateLimited):
                await self.exchange.fetch_open_orders()
        assert reached.seen == seen

        self.clock.skipped_s += BAN_S
        assert self.exchange.budget_used < 1
        assert (await self.exchange.fetch_balances()).balances

    async def fills(self, since: FillCursor | None = None) -> tuple[list[Fill], list[FillCursor]]:
        """Every fill of the markets the account traded, and where each reading ended."""
        listed = {one.symbol for one in await self.exchange.load_instruments()}
        account = self.simulator.world.venues[self.venue].accounts[self.label]
        symbols = sorted({Symbol(fill.instrument.unified) for fill in account.fills} & listed)
        start = datetime.now(UTC) - HISTORY
        starts = [since] if since else self.exchange.first_fill_cursors(symbols, start)
        found: list[Fill] = []
        ends: list[FillCursor] = []
        for cursor in starts:
            for _ in range(1000):
                page = await self.exchange.fetch_fills(cursor)
                found += page.fills
                cursor = page.next_cursor
                if page.is_last:
                    break
            ends.append(cursor)
        return found, ends

    async def flows(
        self, cursors: Sequence[FlowCursor] | None = None
    ) -> tuple[dict[str, list[CashFlow]], list[FlowCursor]]:
        """Every cash flow by its list, each once, and where each reading ended."""
        start = datetime.now(UTC) - HISTORY
        if cursors is None:
            cursors = self.exchange.first_flow_cursors(start)
        found: dict[str, list[CashFlow]] = {}
        ends: list[FlowCursor] = []
        for cursor in cursors:
            by_id: dict[str, CashFlow] = {}
            for _ in range(1000):
                page = await self.exchange.fetch_cash_flows(cursor)
                for flow in page.flows:
                    assert by_id.setdefault(flow.id, flow) == flow
                cursor = page.next_cursor
                if page.is_last:
                    break
            found[cursor.source] = list(by_id.values())
            ends.append(cursor)
        return found, ends

    @property
    def holdings(self) -> dict[str, Decimal]:
        """What the account exactly has of each asset, whichever wallet, and of each contract."""
        held: dict[str, Decimal] = {}
        for (_, asset), book in self.wallets.items():
            held[asset] = held.get(asset, Decimal(0)) + book.total
        held |= {one.symbol: one.quantity for one in self.positions}
        return {name: quantity for name, quantity in held.items() if quantity}


def open_generic(
    settings: ExchangesSettings, credentials: Credentials | None, clock: Clock
) -> TradingExchange:
    """The generic adapter over CCXT's Binance, as if it had no adapter of its own."""
    around = Surroundings(
        exchange="binance",
        settings=settings,
        transport=Transport(settings),
        budgets=Budgets("binance", clock, max_wait_s=settings.max_budget_wait_s),
        clock=clock,
    )
    session = ExchangeSession(around, MarketCatalog(), credentials)
    name = ExchangeId("binance")
    spot_only = replace(generic.capabilities(name), perpetual=False, positions=False)
    return generic.GenericExchange(name, ME, session, spot_only)
