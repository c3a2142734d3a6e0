"""World: the simulated venues and their accounts, and the hands that may reach into them.

What a test or a person does to the market from outside, and what is exactly true in it.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from alphapulse.domain.money import ZERO
from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account, ApiKey, Wallet
from alphapulse.simulator.core.candles import MINUTE_MS
from alphapulse.simulator.core.clock import AuthClock, milliseconds
from alphapulse.simulator.core.events import Cause, CoreEvent, Happening, OrderChanged
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category, MarketStatus
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import Order, OrderKind, OrderRequest
from alphapulse.simulator.core.position import Position, PositionSide
from alphapulse.simulator.core.profile import VenueProfile
from alphapulse.simulator.core.treasury import AT_ONCE, Crossing, Route
from alphapulse.simulator.core.usd_index import usd_minutes
from alphapulse.simulator.far_past import Walk


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    """What a client needs to connect; fake."""

    venue: str
    label: str
    api_key: str
    api_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AssetBook:
    """In units of the asset."""

    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


@dataclass(frozen=True, slots=True)
class PositionBook:
    """``quantity`` is signed; prices and profit in the settle asset."""

    symbol: str
    quantity: Decimal
    entry_price: Decimal
    mark_price: Decimal
    unrealized_pnl: Decimal
    leverage: Decimal
    side: PositionSide = PositionSide.BOTH


@dataclass(frozen=True, slots=True)
class PriceBook:
    """``mark`` is ``None`` on spot; ``last`` is the driver's price before the first trade."""

    last: Decimal
    bid: Decimal | None
    ask: Decimal | None
    mark: Decimal | None


@dataclass(frozen=True, slots=True)
class FuturesBooks:
    """What an account has in its futures wallet."""

    balances: dict[str, AssetBook]
    positions: tuple[PositionBook, ...]
    open_orders: int
    fills: int


@dataclass(frozen=True, slots=True)
class Books:
    """Exactly what one account has, to recompute a portfolio from. Keys: asset, unified symbol."""

    venue: str
    account: str
    balances: dict[str, AssetBook]
    positions: tuple[PositionBook, ...]
    open_orders: int
    fills: int
    prices: dict[str, PriceBook]
    futures: FuturesBooks | None = None
    """What is kept apart from the rest; ``None`` on a unified account, where nothing is."""


class World:
    """Every call takes effect at once, and is told to the streams as the venue would tell it.

    Raises:
        KeyError: no such venue, account or symbol.
        Refused: what the core does not allow.
    """

    def __init__(self, venues: Mapping[str, Venue], auth_clocks: Mapping[str, AuthClock]) -> None:
        self.venues = venues
        self.auth_clocks = auth_clocks
        self._accounts: dict[str, SimulatedAccount] = {}
        self.restored: frozenset[str] = frozenset()
        """Labels of the accounts that were there before this run."""
        self.walk: Walk | None = None
        """The prices of the accounts' history; ``None`` where they have none."""
        self._random = random.Random(0)
        self.orders_seen = 0
        """Orders that a venue acknowledged since `open_doors`."""

    def open_doors(self) -> None:
        """The past and the preparations are over: what is ordered from now on counts."""
        for venue in self.venues.values():
            venue.subscribe(self._count)

    def _count(self, event: CoreEvent) -> None:
        is_new = {Happening.PLACED, Happening.REJECTED}
        if isinstance(event, OrderChanged) and event.happening in is_new:
            self.orders_seen += 1

    @property
    def accounts(self) -> tuple[SimulatedAccount, ...]:
        return tuple(self._accounts.values())

    def add(self, account: SimulatedAccount, key: ApiKey) -> None:
        """Let ``key`` open an account that the venue already has."""
        self._accounts[account.label] = account
        self.venues[account.venue].add_key(key)

    def market(self, venue: str, symbol: str) -> Market:
        """By unified symbol: ``BTC/USDT``, ``BTC/USDT:USDT``."""
        market = self.venues[venue].find_market(symbol)
        if market is None:
            raise KeyError(symbol)
        return market

    def books(self, label: str) -> Books:
        """What an account has at this moment, with the prices of its venue."""
        simulated = self._accounts[label]
        venue = self.venues[simulated.venue]
        account = venue.accounts[label]
        # Of an account with two wallets the futures are told apart.
        is_split = account.futures_wallet is not None
        futures = _futures(venue, account) if is_split else None
        return Books(
            venue=venue.name,
            account=label,
            balances=_balances(account.wallet),
            positions=() if is_split else _positions(venue, account),
            open_orders=len(account.open_orders) - (futures.open_orders if futures else 0),
            fills=len(account.fills) - (futures.fills if futures else 0),
            prices=self.prices(venue.name),
            futures=futures,
        )

    def prices(self, venue: str) -> dict[str, PriceBook]:
        """Every market that has a price."""
        return {
            market.instrument.unified: _price(market, market.last_price)
            for market in self.venues[venue].markets.values()
            if market.last_price is not None
        }

    def usd_then(self, venue: str, asset: str, at: datetime) -> Decimal | None:
        """US dollars for one ``asset`` at the end of the minute of ``at``, as the venue's candles
        and index have it; ``None`` before the accounts' history, and in a minute to come.

        Raises:
            Refused: nothing says what the asset was worth.
        """
        at_ms = milliseconds(at)
        minute_ms = at_ms - at_ms % MINUTE_MS
        found = usd_minutes(self.venues[venue], asset, minute_ms, at_ms, 1, is_from_start=True)
        return found[0].close if found else None

    def deposit(self, label: str, asset: str, amount: Decimal, route: Route = AT_ONCE) -> Crossing:
        """Money from outside; a negative amount is a withdrawal without a fee."""
        if amount < 0:
            return self.withdraw(label, asset, -amount, route)
        venue, account = self._account(label)
        return venue.treasury.deposit(account, asset, amount, route=route)

    def withdraw(
        self,
        label: str,
        asset: str,
        amount: Decimal,
        route: Route = AT_ONCE,
        *,
        fee: Decimal = ZERO,
    ) -> Crossing:
        """Money to outside; the network's ``fee`` leaves on top."""
        venue, account = self._account(label)
        return venue.treasury.withdraw(account, asset, amount, route=route, fee=fee)

    def send(
        self,
        label: str,
        to: str,
        asset: str,
        amount: Decimal,
        route: Route = AT_ONCE,
        *,
        fee: Decimal = ZERO,
    ) -> tuple[Crossing, Crossing]:
        """Withdraw from one account and deposit to another, as their owner would; both ends show
        the same txid."""
        venue, account = self._account(to)
        out = self.withdraw(label, asset, amount, route, fee=fee)
        arriving = Route(out.network, out.txid, route.after_ms)
        return out, venue.treasury.deposit(account, asset, amount, route=arriving)

    def crossings(self, label: str) -> Sequence[Crossing]:
        """An account's deposits and withdrawals, oldest first."""
        venue, account = self._account(label)
        return venue.treasury.crossings(account.id)

    def fail(self, label: str, crossing_id: int) -> None:
        """Let a deposit not come, or give a withdrawal back."""
        venue, _ = self._account(label)
        found = (one for one in self.crossings(label) if one.id == crossing_id)
        crossing = next(found, None)
        if crossing is None:
            raise KeyError(f"{label} has no deposit or withdrawal {crossing_id}")
        venue.treasury.fail(crossing)

    def transfer(self, label: str, asset: str, amount: Decimal, into: Category) -> None:
        """Between the spot and the futures wallet of an account that has both."""
        venue, account = self._account(label)
        if account.futures_wallet is None:
            raise KeyError(f"{label} has one wallet")
        venue.treasury.transfer(account, asset, amount, into)

    def reward(
        self, label: str, asset: str, amount: Decimal, *, note: str = "", is_interest: bool = False
    ) -> None:
        """The venue gives something, or takes interest where the amount is negative."""
        venue, account = self._account(label)
        cause = Cause.INTEREST if is_interest else Cause.REWARD
        venue.treasury.reward(account, asset, amount, note=note, cause=cause)

    def convert(self, label: str, spent: Mapping[str, Decimal], into: str) -> None:
        """Turn amounts of assets, usually dust, into another without an order."""
        venue, account = self._account(label)
        venue.treasury.convert(account, spent, into)

    def trade(
        self,
        label: str,
        symbol: str,
        side: Side,
        quantity: Decimal,
        *,
        limit_price: Decimal | None = None,
        client_order_id: str | None = None,
    ) -> Order:
        """An order by hand, from another client of the same account; at the market without a
        limit."""
        venue, account = self._account(label)
        request = OrderRequest(
            side=side,
            kind=OrderKind.MARKET if limit_price is None else OrderKind.LIMIT,
            quantity=quantity,
            limit_price=limit_price,
            client_order_id=client_order_id,
        )
        return venue.place(account, self.market(venue.name, symbol), request)

    def cancel(self, label: str, symbol: str, order_id: int) -> Order:
        """Cancel an order by hand, from another client of the same account."""
        venue, account = self._account(label)
        order = venue.order(account, self.market(venue.name, symbol), order_id=order_id)
        return venue.cancel(account, order)

    def liquidate(self, label: str, symbol: str, side: PositionSide = PositionSide.BOTH) -> Order:
        """Close a position as if its margin were used up."""
        venue, account = self._account(label)
        return venue.liquidate(account, self._held(label, symbol, side))

    def deleverage(
        self,
        label: str,
        symbol: str,
        quantity: Decimal,
        side: PositionSide = PositionSide.BOTH,
    ) -> Order:
        """Close a part of a position at the mark price, as for somebody who went bankrupt."""
        venue, account = self._account(label)
        return venue.deleverage(account, self._held(label, symbol, side), quantity)

    def set_profile(self, venue: str, profile: VenueProfile) -> None:
        """Change a venue's habits from now on."""
        self.venues[venue].profile = profile
        self.auth_clocks[venue].checks_windows = profile.checks_window

    def late_s(self, venue: str) -> float:
        """How late the next request that changes something arrives, in seconds."""
        profile = self.venues[venue].profile
        if not profile.late_s or self._random.random() >= profile.late_share:
            return 0.0
        return self._random.uniform(0, profile.late_s)

    def set_price(self, venue: str, symbol: str, price: Decimal) -> None:
        """Move one market; a running driver moves it back."""
        self.venues[venue].set_price(self.market(venue, symbol), price)

    def set_status(self, venue: str, symbol: str, status: MarketStatus) -> None:
        """Halt, resume or delist one market."""
        self.venues[venue].set_status(self.market(venue, symbol), status)

    def settle_funding(self, venue: str) -> None:
        """Charge one funding of every perpetual now."""
        for (category, _), market in self.venues[venue].markets.items():
            if category is Category.LINEAR and market.reference_price is not None:
                self.venues[venue].settle_funding(market)

    def skew_clock(self, venue: str, offset_ms: int) -> None:
        """Let the venue's clock be off; positive is ahead."""
        self.auth_clocks[venue].skew_ms = offset_ms

    def revoke_key(self, label: str) -> None:
        """The account's key stops existing."""
        account = self._accounts[label]
        self.venues[account.venue].revoke_key(account.api_key)

    def permit(
        self,
        label: str,
        *,
        read: bool | None = None,
        trade: bool | None = None,
        withdraw: bool | None = None,
        ip_refused: bool | None = None,
    ) -> None:
        """Change what the account's key may do; ``None`` leaves a permission as it is."""
        account = self._accounts[label]
        key = self.venues[account.venue].key(account.api_key)
        if key is None:
            raise KeyError(label)
        key.can_read = key.can_read if read is None else read
        key.can_trade = key.can_trade if trade is None else trade
        key.can_withdraw = key.can_withdraw if withdraw is None else withdraw
        key.is_ip_refused = key.is_ip_refused if ip_refused is None else ip_refused

    def _held(self, label: str, symbol: str, side: PositionSide) -> Position:
        venue, account = self._account(label)
        position = account.position(self.market(venue.name, symbol).instrument.name, side)
        if position is None:
            raise KeyError(f"{label} holds no {symbol}")
        return position

    def _account(self, label: str) -> tuple[Venue, Account]:
        venue = self.venues[self._accounts[label].venue]
        return venue, venue.accounts[label]


def _futures(venue: Venue, account: Account) -> FuturesBooks:
    opened = [o for o in account.open_orders.values() if o.instrument.category is Category.LINEAR]
    fills = [f for f in account.fills if f.instrument.category is Category.LINEAR]
    return FuturesBooks(
        balances=_balances(account.wallet_of(Category.LINEAR)),
        positions=_positions(venue, account),
        open_orders=len(opened),
        fills=len(fills),
    )


def _positions(venue: Venue, account: Account) -> tuple[PositionBook, ...]:
    return tuple(_position(venue, account, position) for position in account.positions.values())


def _balances(wallet: Wallet) -> dict[str, AssetBook]:
    return {
        asset: AssetBook(wallet.free(asset), wallet.locked(asset))
        for asset in wallet.assets
        if wallet[asset].total
    }


def _position(venue: Venue, account: Account, position: Position) -> PositionBook:
    mark = venue.mark_price(position.instrument)
    return PositionBook(
        symbol=position.instrument.unified,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=mark,
        unrealized_pnl=position.unrealized_pnl(mark),
        leverage=account.leverage_of(position.instrument.name),
        side=position.side,
    )


def _price(market: Market, last: Decimal | None) -> PriceBook:
    bid, _ = market.book.best(Side.BUY)
    ask, _ = market.book.best(Side.SELL)
    is_spot = market.instrument.category is Category.SPOT
    return PriceBook(
        last=last or Decimal(0),
        bid=market.instrument.price(bid) if bid else None,
        ask=market.instrument.price(ask) if ask else None,
        mark=None if is_spot else market.mark_price,
    )
