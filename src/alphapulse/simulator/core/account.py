"""Accounts of the simulated exchange: keys, a wallet in whole atoms, positions and own orders."""

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from alphapulse.simulator.core.instrument import Category, amount_of
from alphapulse.simulator.core.order import Fill, Order
from alphapulse.simulator.core.position import Position, PositionSide, position_key

# A year of a busy trader; older ones leave the venue's listings, as on the real ones.
FILLS_KEPT = 100_000
FINAL_ORDERS_KEPT = 20_000


@dataclass(slots=True)
class ApiKey:
    """One key of an account and what it may do. Fake: it opens nothing but the simulator."""

    key: str
    secret: str = field(repr=False)
    account_id: str = ""
    label: str = ""
    created_ms: int = 0
    can_read: bool = True
    can_trade: bool = True
    can_withdraw: bool = False
    is_ip_restricted: bool = False
    is_ip_refused: bool = False
    """The caller's address has left the key's list."""


@dataclass(frozen=True, slots=True)
class FeeRates:
    """Shares of the notional; a negative maker rate is a rebate."""

    maker: Decimal
    taker: Decimal


@dataclass(slots=True)
class Holding:
    """One asset in a wallet, in atoms."""

    free: int = 0
    locked: int = 0

    @property
    def total(self) -> int:
        return self.free + self.locked


class Wallet:
    """What an account holds. Only a perpetual's loss and the house, which lends without end, may
    take it below zero."""

    def __init__(self, *, may_owe: bool = False) -> None:
        self._may_owe = may_owe
        self._holdings: dict[str, Holding] = {}

    def __getitem__(self, asset: str) -> Holding:
        holding = self._holdings.get(asset)
        if holding is None:
            holding = self._holdings[asset] = Holding()
        return holding

    @property
    def assets(self) -> tuple[str, ...]:
        """Every asset it ever held, in the order of first sight."""
        return tuple(self._holdings)

    def free(self, asset: str) -> Decimal:
        return amount_of(self[asset].free)

    def locked(self, asset: str) -> Decimal:
        """Set aside for open spot orders."""
        return amount_of(self[asset].locked)

    def total(self, asset: str) -> Decimal:
        return amount_of(self[asset].total)

    def add(self, asset: str, atoms: int) -> None:
        """Change the free part; ``atoms`` may be negative."""
        self._change(asset, atoms, 0)

    def lock(self, asset: str, atoms: int) -> None:
        self._change(asset, -atoms, atoms)

    def unlock(self, asset: str, atoms: int) -> None:
        self._change(asset, atoms, -atoms)

    def spend_locked(self, asset: str, atoms: int) -> None:
        self._change(asset, 0, -atoms)

    def settle(self, asset: str, atoms: int) -> None:
        """Book profit, loss or funding of a perpetual: a loss may exceed what is there."""
        self[asset].free += atoms

    def _change(self, asset: str, free: int, locked: int) -> None:
        holding = self[asset]
        before = holding.free
        holding.free += free
        holding.locked += locked
        is_overdrawn = holding.locked < 0 or holding.free < min(0, before)
        if is_overdrawn and not self._may_owe:
            raise AssertionError(f"{asset} overdrawn: {holding}")


@dataclass(slots=True)
class Account:
    """One customer of the venue."""

    id: str
    label: str
    uid: int
    """The number the venue knows the customer by."""
    fees: dict[Category, FeeRates]
    fee_asset: str | None = None
    """Pay spot fees in this asset, at the venue's discount, while there is enough of it."""
    can_trade: bool = True
    wallet: Wallet = field(default_factory=Wallet)
    futures_wallet: Wallet | None = None
    """Where perpetuals settle; ``None``: in the one wallet of a unified account."""
    positions: dict[str, Position] = field(default_factory=dict)
    """By `position_key`; flat ones are absent."""
    is_hedged: bool = False
    """Long and short of one perpetual may be held side by side."""
    leverage: dict[str, Decimal] = field(default_factory=dict)
    """By instrument name, where it was set."""
    isolated: set[str] = field(default_factory=set)
    """Names of the instruments whose margin is isolated; cross elsewhere."""
    open_orders: dict[int, Order] = field(default_factory=dict)
    final_orders: deque[Order] = field(default_factory=lambda: deque(maxlen=FINAL_ORDERS_KEPT))
    fills: deque[Fill] = field(default_factory=lambda: deque(maxlen=FILLS_KEPT))
    orders_by_id: dict[int, Order] = field(default_factory=dict)
    orders_by_client_id: dict[str, Order] = field(default_factory=dict)
    """The latest order of each client id."""
    client_ids: dict[str, int] = field(default_factory=dict)
    """When each client id was used last, ms; also those of orders that are not kept any more."""

    def wallet_of(self, category: Category) -> Wallet:
        """Which wallet a category trades from."""
        if category is Category.LINEAR and self.futures_wallet is not None:
            return self.futures_wallet
        return self.wallet

    def position(self, name: str, side: PositionSide = PositionSide.BOTH) -> Position | None:
        """``None`` when flat."""
        return self.positions.get(position_key(name, side))

    def enter(self, order: Order) -> None:
        """Take a new order into the account's lists."""
        self.orders_by_id[order.id] = order
        self.open_orders[order.id] = order
        self._name(order)

    def rename(self, order: Order, name: str) -> None:
        """Let an order be found by another client id from now on."""
        if self.orders_by_client_id.get(order.client_order_id) is order:
            del self.orders_by_client_id[order.client_order_id]
        order.client_order_id = name
        self._name(order)

    def _name(self, order: Order) -> None:
        self.orders_by_client_id[order.client_order_id] = order
        self.client_ids[order.client_order_id] = order.created_ms

    def archive(self, order: Order) -> None:
        """Keep a final order among those that can be asked for; the oldest makes room."""
        self.open_orders.pop(order.id, None)
        if len(self.final_orders) == self.final_orders.maxlen:
            oldest = self.final_orders.popleft()
            del self.orders_by_id[oldest.id]
            if self.orders_by_client_id.get(oldest.client_order_id) is oldest:
                del self.orders_by_client_id[oldest.client_order_id]
        self.final_orders.append(order)

    @property
    def orders(self) -> list[Order]:
        """All that are kept, oldest first."""
        return sorted((*self.final_orders, *self.open_orders.values()), key=lambda o: o.id)

    def leverage_of(self, name: str) -> Decimal:
        return self.leverage.get(name, DEFAULT_LEVERAGE)


DEFAULT_LEVERAGE = Decimal(10)
