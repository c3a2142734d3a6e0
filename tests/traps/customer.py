"""A customer of the simulated exchange who trades through us: the real adapters, execution and
database, over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal
from typing import Any

from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain import order_states
from alphapulse.domain.events import OrderAlarm, OrderAlarmed
from alphapulse.domain.identifiers import AccountId, ClientOrderId, ExchangeId, Symbol
from alphapulse.domain.intent import Intent, client_order_id, is_our_name
from alphapulse.domain.order import (
    Fill,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from alphapulse.domain.trading import CycleReport
from alphapulse.pipeline.execution.settings import ExecutionSettings
from alphapulse.pipeline.sync.settings import SyncSettings
from alphapulse.simulator.core.instrument import Instrument
from alphapulse.simulator.core.order import Fill as VenueFill
from alphapulse.simulator.core.order import Order as VenueOrder
from alphapulse.simulator.faults.fault import Match
from alphapulse.simulator.faults.script import Fault
from alphapulse.simulator.faults.streams import LostFrame
from alphapulse.simulator.settings import (
    GeneratorSettings,
    SimulatedAccountSettings,
    SimulatorSettings,
)
from alphapulse.simulator.simulator import Simulator
from alphapulse.simulator.venues.bybit.ids import execution_id
from tests.builders import USER, make_user
from tests.eventually import LIMIT_S, eventually
from tests.fixtures.sync import SIMULATED, Sync, simulated_sync

LABELS = {"binance": "binance-main", "bybit": "bybit-unified"}

BTC = Symbol("BTC/USDT")

CREATE_PATHS = {"binance": "*/order", "bybit": "*/v5/order/create"}

# Prices stand still, so that what rests in the book stays there until a test moves the market.
# Few assets: each costs requests at every start.
STILL = SimulatorSettings(
    seed=7,
    history_days=0,
    driver=GeneratorSettings(history_minutes=2),
    is_paused=True,
    accounts=(
        SimulatedAccountSettings(
            venue="binance",
            label="binance-main",
            deposits={"USDT": Decimal(200_000), "BTC": Decimal(1), "BNB": Decimal(2)},
            futures_deposits={"USDT": Decimal(100_000)},
            fee_asset="BNB",
        ),
        SimulatedAccountSettings(
            venue="bybit",
            label="bybit-unified",
            deposits={"USDT": Decimal(200_000), "BTC": Decimal(1)},
            positions={"BTCUSDT": Decimal("0.25")},
        ),
    ),
)

# A market that stands still is no stream that fell silent, and ten starts within a minute must
# not use up what the venue allows: what a test waits for it asks for.
QUIET = SIMULATED.model_copy(
    update={"price_silence_s": 3600.0, "orders_interval_s": 30.0, "balances_interval_s": 30.0}
)

# Nothing here ends because the machine is slow: an answer is late only where a fault makes it so.
PATIENT = ExecutionSettings(
    send_timeout_s=LIMIT_S,
    look_interval_s=0.2,
    look_timeout_s=LIMIT_S,
    ready_within_s=LIMIT_S,
    prepared_max_s=LIMIT_S,
    stop_s=0.2,
)


@dataclass
class Customer:
    """One account, as we know it and as the venue does. Orders go by the caller's key."""

    venue: str
    simulator: Simulator
    sync: Sync
    names: dict[str, ClientOrderId] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return LABELS[self.venue]

    @property
    def account(self) -> AccountId:
        return AccountId(self.label)

    # What is done.

    async def prepare(self, key: str = "key", **changes: Any) -> ClientOrderId:
        """T1: the intent is durable, and nothing is sent."""
        name = self.names[key] = client_order_id(self.account, USER, key)
        request, now = self.request(**changes), self.sync.clock.now()
        order = order_states.prepared(request, ExchangeId(self.venue), name, now)
        intent = Intent(
            client_order_id=name,
            account_id=self.account,
            user_id=USER,
            request=request,
            reserved_asset=None,
            reserved=Decimal(0),
            value=None,
            created_at=now,
        )
        async with self.sync.database.begin() as tx:
            await tx.orders.add(order)
            await tx.intents.add(intent)
        return name

    async def place(self, key: str = "key", **changes: Any) -> Order:
        name = await self.prepare(key, **changes)
        return await self.sync.synchronizer.place_order(self.account, name)

    def request(self, **changes: Any) -> OrderRequest:
        """A limit buy of BTC that rests in the book, but for what is said."""
        symbol = changes.get("symbol", BTC)
        request = OrderRequest(
            account_id=self.account,
            symbol=symbol,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Decimal("0.001"),
            limit_price=self.price("0.97", symbol),
            time_in_force=TimeInForce.GTC,
        )
        return replace(request, **changes)

    def fault(self, fault: Fault) -> None:
        self.simulator.faults.add(fault)

    def silence_stream(self) -> None:
        """From now on the private stream lives, and tells nothing of what happens."""
        told = Match(venue=self.venue, method="WS", account=self.label, topic="?*")
        self.fault(LostFrame(match=told, count=None))

    def trade(self, side: Side, quantity: str, symbol: Symbol = BTC) -> VenueOrder:
        """Another client of the same account trades at the market."""
        return self.simulator.world.trade(self.label, symbol, side, Decimal(quantity))

    def move_price(self, share: str, symbol: Symbol = BTC) -> None:
        """The market goes to a share of its last price."""
        self.simulator.world.set_price(self.venue, symbol, self.price(share, symbol))

    async def reconcile(self) -> CycleReport:
        return await self.sync.synchronizer.reconcile(self.account)

    # What we know.

    async def order(self, key: str = "key") -> Order:
        async with self.sync.database.read() as tx:
            return await tx.orders.load(self.account, self.names[key])

    async def becomes(self, status: OrderStatus, key: str = "key") -> Order:
        async def is_so() -> bool:
            order = await self.order(key)
            assert order.status is status, order
            return True

        await eventually(is_so)
        return await self.order(key)

    async def fills(self) -> list[Fill]:
        async with self.sync.database.read() as tx:
            return list(await tx.fills.since(self.account, SIMULATED.history_start))

    def alarms(self) -> list[OrderAlarm]:
        return [event.alarm for event in self.sync.bus.of(OrderAlarmed) if not event.is_over]

    # What is true.

    def at_venue(self, key: str = "key") -> list[VenueOrder]:
        """Every order that ever carried the name."""
        return [one for one in self.orders_at_venue if one.client_order_id == self.names[key]]

    @property
    def orders_at_venue(self) -> list[VenueOrder]:
        return self.simulator.world.venues[self.venue].accounts[self.label].orders

    @property
    def fills_at_venue(self) -> list[VenueFill]:
        return list(self.simulator.world.venues[self.venue].accounts[self.label].fills)

    def price(self, share: str, symbol: Symbol = BTC) -> Decimal:
        """A share of the last price, on the grid of the market."""
        last = self.simulator.books(self.label).prices[symbol].last
        tick = self.instrument(symbol).tick_size
        return (last * Decimal(share) / tick).to_integral_value(ROUND_DOWN) * tick

    def instrument(self, symbol: Symbol = BTC) -> Instrument:
        return self.simulator.world.market(self.venue, symbol).instrument

    # What must hold whatever happened.

    async def is_even(self) -> bool:
        """Whether every fill of the venue is stored, once and exactly, and nothing else is."""
        mine = sorted((f.symbol, f.trade_id, f.quantity, f.price) for f in await self.fills())
        true = sorted(
            (Symbol(f.instrument.unified), self._trade_id(f), f.quantity, f.price)
            for f in self.fills_at_venue
        )
        assert mine == true
        return True

    async def is_sound(self) -> None:
        """No name is at the venue twice, none without its intent, and every fill is stored."""
        names = [o.client_order_id for o in self.orders_at_venue if is_our_name(o.client_order_id)]
        assert len(names) == len(set(names))
        assert set(names) <= set(self.names.values())
        await eventually(self.is_even)
        assert OrderAlarm.LOST_INTENT not in self.alarms()
        assert OrderAlarm.QUARANTINED not in self.alarms()

    def _trade_id(self, fill: VenueFill) -> str:
        return str(fill.trade_id) if self.venue == "binance" else execution_id(fill)


@asynccontextmanager
async def customer_of(
    venue: str,
    simulator: Simulator,
    database: DatabaseSettings,
    *,
    settings: SyncSettings = QUIET,
    execution: ExecutionSettings = PATIENT,
    until_ready: bool = True,
) -> AsyncIterator[Customer]:
    """One whose account is read and compared, so that it may trade, unless that is not awaited."""
    label = LABELS[venue]
    async with simulated_sync(
        simulator, database, label, settings=settings, execution=execution
    ) as sync:
        async with sync.database.begin() as tx:
            if not await tx.users.count():
                await tx.users.add(make_user(), "hash")
        customer = Customer(venue, simulator, sync)
        if until_ready:
            await eventually(lambda: sync.synchronizer.takes_orders(customer.account))
        yield customer
