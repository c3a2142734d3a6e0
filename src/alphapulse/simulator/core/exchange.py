"""Exchange: one simulated venue's world. Markets, accounts, orders, and the passing of time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from alphapulse.domain.money import EXACT
from alphapulse.domain.order import Side
from alphapulse.simulator.core import margin
from alphapulse.simulator.core.account import Account, ApiKey, FeeRates, Wallet
from alphapulse.simulator.core.candles import HOUR_MS, MINUTE_MS
from alphapulse.simulator.core.clock import MarketClock
from alphapulse.simulator.core.desk import OrderDesk
from alphapulse.simulator.core.entry import Change, Entry
from alphapulse.simulator.core.events import (
    CandleClosed,
    CoreEvent,
    FundingCharged,
    MarketStatusChanged,
    Pulse,
)
from alphapulse.simulator.core.execution import Execution
from alphapulse.simulator.core.feed import Feed, Listener
from alphapulse.simulator.core.funding import Funding
from alphapulse.simulator.core.funds import Funds
from alphapulse.simulator.core.instrument import (
    Category,
    Instrument,
    MarketStatus,
    atoms_of,
)
from alphapulse.simulator.core.ledger import Ledger
from alphapulse.simulator.core.liquidation import Liquidator
from alphapulse.simulator.core.listing import DOLLAR
from alphapulse.simulator.core.maker import LiquidityMaker, MakerSettings
from alphapulse.simulator.core.market import Bar, Market
from alphapulse.simulator.core.order import Order, OrderRequest
from alphapulse.simulator.core.position import Position
from alphapulse.simulator.core.profile import ClientIds, VenueProfile
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.core.settlement import Settlement
from alphapulse.simulator.core.sight import Sight, find
from alphapulse.simulator.core.teller import Teller
from alphapulse.simulator.core.terms import Terms
from alphapulse.simulator.core.treasury import Treasury
from alphapulse.simulator.core.trigger import TriggerRequest

FUNDING_INTERVAL_MS = 8 * HOUR_MS
"""Charged at 00:00, 08:00 and 16:00 UTC of the market's clock."""

DEFAULT_FEES = {
    Category.SPOT: FeeRates(Decimal("0.001"), Decimal("0.001")),
    Category.LINEAR: FeeRates(Decimal("0.0002"), Decimal("0.00055")),
}
"""What both real venues charge a customer of the lowest tier, checked 2026-11."""

_USD_LIKE = frozenset({"USD", "USDT", "USDC"})

Key = tuple[Category, str]

Judge = Callable[[Account, Market], RefusalReason | str | None]
"""Refuses an order with a reason, lets it be rejected afterwards with a text, or says nothing."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where a venue's numbering is, so that no number is given twice."""

    next_order_id: int
    last_funding_id: int
    tape: dict[str, tuple[int, int]]
    """Last trade and last aggregate trade of each market that has traded."""
    last_movement_id: int = 0


class Venue:
    """One exchange. Synchronous and without I/O; all of it belongs to one thread.

    ``clock`` is the market's. Whoever moves it calls `advance`; whoever drives prices calls
    `set_price`; a timer calls `pulse`. Customers' calls raise `Refused` and nothing else.
    """

    def __init__(
        self,
        name: str,
        instruments: Iterable[Instrument],
        clock: MarketClock,
        *,
        maker: MakerSettings | None = None,
        client_ids: ClientIds = ClientIds.OPEN,
    ) -> None:
        self.name = name
        self.clock = clock
        self.profile = VenueProfile()
        self.sight = Sight(lambda: self.profile, clock.now_ms, name)
        """For every question of a customer about his orders."""
        self.dollar = Market(DOLLAR)
        """The hidden reference, what a USDT is worth in US dollars: nobody can trade it."""
        self.dollar.reference_price = Decimal(1)
        self.house = Account("", "house", 0, DEFAULT_FEES, wallet=Wallet(may_owe=True))
        """Owns the liquidity maker's quotes; the other side of what customers do with them."""
        self.fees = Wallet(may_owe=True)
        """What customers paid; below zero where rebates were higher."""
        self._markets: dict[Key, Market] = {}
        # Those that a driver spoke of: only they have candles, and perpetuals' funding.
        self._priced: dict[Key, Market] = {}
        self._makers: dict[Key, LiquidityMaker] = {}
        self._accounts: dict[str, Account] = {}
        self._keys: dict[str, ApiKey] = {}
        self.ledger = Ledger()
        self._feed = Feed()
        self._feed.subscribe(self.ledger.hear)
        self._teller = Teller(self._feed, clock.now_ms)
        settlement = Settlement(self.fees, self.convert)
        self._entry = Entry(client_ids, lambda: self.profile, clock.now_ms)
        self._desk = OrderDesk(
            self._accounts,
            self._entry,
            Funds(settlement, self.mark_price),
            Execution(self.house, self._accounts, settlement, self._teller, clock.now_ms),
            self._teller,
            clock.now_ms,
        )
        self.terms = Terms(self._teller, self._feed, self.mark_price, clock.now_ms)
        """Leverage and modes of the customers' perpetuals."""
        self._funding = Funding(self.house, self._accounts, self._teller, self._feed, clock.now_ms)
        self.treasury = Treasury(
            name,
            self.house,
            self.fees,
            self._accounts,
            self._teller,
            self._movable,
            self.convert,
            clock.now_ms,
        )
        """Whatever moves money without an order."""
        self._liquidator = Liquidator(
            self.house,
            self.fees,
            self._accounts,
            self._markets,
            self._desk,
            self._teller,
            self._feed,
            self.mark_price,
            clock.now_ms,
        )
        self._maker_settings = maker or MakerSettings()
        self._minute_ms = clock.now_ms() // MINUTE_MS * MINUTE_MS
        self._pulses = 0
        self.judge: Judge | None = None
        """Asked before each order by whoever wants some to fail."""
        for instrument in instruments:
            self.list_instrument(instrument)

    # Who hears what, and when.

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Hear every event from now on, until the returned function is called."""
        return self._feed.subscribe(listener)

    def pulse(self) -> None:
        """Tell venues to send what they gather; ten times a real second, whatever the speed."""
        self._pulses += 1
        self._feed.emit(Pulse(self.clock.now_ms(), self._pulses))

    def announce(self, event: CoreEvent) -> None:
        """Tell every subscriber what no customer caused."""
        self._feed.emit(event)

    def advance(self) -> None:
        """Catch up with the clock: close every minute that ended, charge funding that fell due,
        let money arrive, end orders whose time is over.

        Candles close exactly on the minute when the clock is moved from minute to minute.
        """
        now_minute_ms = self.clock.now_ms() // MINUTE_MS * MINUTE_MS
        while self._minute_ms < now_minute_ms:
            self._minute_ms += MINUTE_MS
            # A recording may jump over months; nothing happens in a gap.
            if now_minute_ms - self._minute_ms > FUNDING_INTERVAL_MS:
                self._minute_ms = now_minute_ms
            self._close_minute(self._minute_ms)
        self.treasury.advance()
        self._desk.expire(lambda order: self._markets[order.instrument.key])

    # Markets.

    @property
    def markets(self) -> Mapping[Key, Market]:
        return self._markets

    def market(self, category: Category, name: str) -> Market:
        """By the venue's own symbol.

        Raises:
            Refused: UNKNOWN_SYMBOL.
        """
        market = self._markets.get((category, name))
        if market is None or market.status is MarketStatus.DELISTED:
            raise Refused(RefusalReason.UNKNOWN_SYMBOL, name)
        return market

    def find_market(self, unified: str) -> Market | None:
        """By CCXT's name, ``BTC/USDT`` or ``BTC/USDT:USDT``."""
        found = (m for m in self._markets.values() if m.instrument.unified == unified)
        return next(found, None)

    def list_instrument(self, instrument: Instrument) -> Market:
        """Open a market; its book is empty until a driver speaks."""
        market = self._markets[instrument.key] = Market(instrument)
        self._makers[instrument.key] = LiquidityMaker(instrument, self._maker_settings)
        return market

    def set_status(self, market: Market, status: MarketStatus) -> None:
        """Halt, resume or delist. Resting orders stay where they are."""
        market.status = status
        if status is not MarketStatus.TRADING:
            self._makers[market.instrument.key].withdraw(market.book)
            self._teller.book(market)
        self._feed.emit(MarketStatusChanged(self.clock.now_ms(), market.instrument))

    def set_price(self, market: Market, price: Decimal) -> None:
        """Move the market's middle to ``price``: quotes follow, and trade with whom they meet."""
        self.advance()
        market.reference_price = price
        self._priced[market.instrument.key] = market
        if market.candles.minute is None:
            market.open_minute(self.clock.now_ms())
        if market.status is not MarketStatus.TRADING:
            return
        maker, book = self._makers[market.instrument.key], market.book
        bid, ask = best = maker.withdraw_crossed(book, price)
        self._meet(market, Side.BUY, bid)
        self._meet(market, Side.SELL, ask)
        if maker.must_resize(price):
            maker.resize(price, self.usd_price(market.instrument.quote) or Decimal(1))
        maker.quote(book, price, best, is_replay=market.is_recorded)
        market.arrive()
        self._desk.follow_up(market)
        if market.instrument.category is Category.LINEAR:
            self._liquidator.look(market)

    def trade_flow(self, market: Market, side: Side, quantity: Decimal) -> None:
        """Somebody unnamed takes a little at the best price."""
        lots = market.instrument.lots(quantity)
        if lots and market.status is MarketStatus.TRADING:
            self.advance()
            other = Side.SELL if side is Side.BUY else Side.BUY
            self._desk.take(market, side, market.book.best(other)[0], lots)
            self._desk.follow_up(market)

    def print_cross(self, market: Market, side: Side, quantity: Decimal) -> None:
        """A recorded trade: exactly at the driver's price, past the book."""
        lots = market.instrument.lots(quantity)
        if lots and market.reference_price is not None:
            ticks = market.instrument.ticks(market.reference_price)
            printed = market.print_trades(side, [(ticks, lots, 0)], 0, self.clock.now_ms())
            self._teller.trades(market, *printed)
            self._desk.follow_up(market)

    def record_minute(self, market: Market, bar: Bar) -> None:
        """Put a recording's minute, as far as it is known, in place of the market's own candle.

        From then on all candles of the market are the recording's; trades do not change them.
        """
        self.advance()
        market.record_minute(bar)

    @property
    def charted(self) -> tuple[Market, ...]:
        """All that has candles: every market, and the hidden reference."""
        return (*self._markets.values(), self.dollar)

    @property
    def usd_per_usdt(self) -> Decimal:
        """By the hidden reference."""
        return self.dollar.reference_price or Decimal(1)

    @usd_per_usdt.setter
    def usd_per_usdt(self, price: Decimal) -> None:
        self.advance()
        self.dollar.drift(price, self.clock.now_ms())

    def mark_price(self, instrument: Instrument) -> Decimal:
        return self._markets[instrument.key].mark_price

    def convert(self, asset: str, into: str) -> Decimal | None:
        """Price of one ``asset`` in ``into`` over at most one spot market or USDT between."""
        direct = self._spot_price(asset, into)
        if direct is not None:
            return direct
        first, second = self._spot_price(asset, "USDT"), self._spot_price("USDT", into)
        return EXACT.multiply(first, second) if first and second else None

    def usd_price(self, asset: str) -> Decimal | None:
        """US dollars for one ``asset``, by the hidden reference."""
        in_usdt = Decimal(1) if asset in _USD_LIKE else self.convert(asset, "USDT")
        return None if in_usdt is None else EXACT.multiply(in_usdt, self.usd_per_usdt)

    def _spot_price(self, asset: str, into: str) -> Decimal | None:
        if asset == into:
            return Decimal(1)
        straight = self._markets.get((Category.SPOT, f"{asset}{into}"))
        if straight is not None and straight.last_price:
            return straight.last_price
        inverse = self._markets.get((Category.SPOT, f"{into}{asset}"))
        if inverse is not None and inverse.last_price:
            return EXACT.divide(Decimal(1), inverse.last_price)
        return None

    # Accounts.

    @property
    def accounts(self) -> Mapping[str, Account]:
        return self._accounts

    def open_account(
        self,
        account_id: str,
        deposits: Mapping[str, Decimal],
        *,
        label: str = "",
        fees: Mapping[Category, FeeRates] | None = None,
        fee_asset: str | None = None,
        futures: Mapping[str, Decimal] | None = None,
    ) -> Account:
        """A new customer with some money; with ``futures`` in a wallet of its own beside it."""
        account = Account(
            id=account_id,
            label=label or account_id,
            uid=354_937_868 + len(self._accounts),
            fees={**DEFAULT_FEES, **(fees or {})},
            fee_asset=fee_asset,
            futures_wallet=None if futures is None else Wallet(),
        )
        self._accounts[account_id] = account
        for asset, amount in deposits.items():
            self.treasury.deposit(account, asset, amount)
        for asset, amount in (futures or {}).items():
            self.treasury.deposit(account, asset, amount, Category.LINEAR)
        return account

    def adopt(self, account: Account, charges: Iterable[FundingCharged] = ()) -> None:
        """Take in a customer who has been here before, with his open orders and what funding he
        was charged. Before the first price."""
        self._accounts[account.id] = account
        self._funding.resume(account.id, charges)
        for order in sorted(account.open_orders.values(), key=lambda order: order.id):
            self._desk.adopt(self._markets[order.instrument.key], order)

    @property
    def numbers(self) -> Numbers:
        """Where the numbering is."""
        tape = {
            f"{category} {name}": market.tape_ids
            for (category, name), market in self._markets.items()
            if any(market.tape_ids)
        }
        return Numbers(
            self._entry.next_order_id, self._funding.last_id, tape, self.treasury.last_id
        )

    def resume(self, numbers: Numbers) -> None:
        """Go on numbering from there."""
        self._entry.next_order_id = numbers.next_order_id
        self._funding.last_id = numbers.last_funding_id
        self.treasury.last_id = numbers.last_movement_id
        for (category, name), market in self._markets.items():
            market.resume(*numbers.tape.get(f"{category} {name}", (0, 0)))

    def funding_charges(self, account: Account) -> Sequence[FundingCharged]:
        """What an account was charged, oldest first."""
        return self._funding.charges_of(account.id)

    def add_key(self, key: ApiKey) -> None:
        """Let a key sign for ``key.account_id``."""
        self._keys[key.key] = key

    def revoke_key(self, api_key: str) -> None:
        """Forget a key; unknown ones are ignored."""
        self._keys.pop(api_key, None)

    def key(self, api_key: str) -> ApiKey | None:
        return self._keys.get(api_key)

    @property
    def keys(self) -> tuple[ApiKey, ...]:
        return tuple(self._keys.values())

    def _movable(self, account: Account, asset: str, category: Category) -> int:
        """Atoms that may leave a wallet: of a futures wallet only what no position needs."""
        free = account.wallet_of(category)[asset].free
        if category is Category.SPOT:
            return free
        return min(free, atoms_of(self.margin(account, asset).available))

    def margin(self, account: Account, asset: str) -> margin.MarginReport:
        """What perpetuals that settle in ``asset`` tie up."""
        return margin.report(account, asset, self.mark_price)

    # Orders. Each raises `Refused`, and then nothing has changed.

    def place(self, account: Account, market: Market, request: OrderRequest) -> Order:
        """Accept an order and match it; a copy of it as it is afterwards."""
        self.advance()
        verdict = None if self.judge is None else self.judge(account, market)
        if isinstance(verdict, RefusalReason):
            raise Refused(verdict)
        if verdict is not None:
            return self.reject(account, market, request, verdict)
        return self._desk.place(account, market, request)

    def check(self, account: Account, market: Market, request: OrderRequest) -> None:
        """What `place` would refuse, funds aside; places nothing."""
        self._desk.check(account, market, request)

    def reject(self, account: Account, market: Market, request: OrderRequest, why: str) -> Order:
        """Record an order that was acknowledged and then rejected, as asynchronous venues do."""
        return self._desk.reject(account, market, request, why)

    def order(
        self,
        account: Account,
        market: Market,
        *,
        order_id: int | None = None,
        client_order_id: str | None = None,
    ) -> Order:
        """One order to be changed, open or final; the venue's id counts before the client's.

        Raises:
            Refused: UNKNOWN_ORDER.
        """
        return find(account, market, order_id=order_id, client_order_id=client_order_id)

    def cancel(self, account: Account, order: Order, *, cancel_id: str | None = None) -> Order:
        """Cancel an open order; ORDER_FINAL when it is not."""
        self.advance()
        market = self._markets[order.instrument.key]
        return self._desk.cancel(account, market, order, cancel_id=cancel_id)

    def amend(
        self,
        account: Account,
        order: Order,
        *,
        quantity: Decimal | None = None,
        limit_price: Decimal | None = None,
        trigger: TriggerRequest | None = None,
        client_order_id: str | None = None,
    ) -> Order:
        """Change an open order in place; ``quantity`` is the new total, ``trigger`` takes the
        place of the one that has not been reached yet."""
        self.advance()
        market = self._markets[order.instrument.key]
        change = Change(quantity, limit_price, trigger, client_order_id)
        return self._desk.amend(account, market, order, change)

    # Time.

    def settle_funding(self, market: Market) -> None:
        """Charge one funding of a perpetual now: longs pay shorts while the rate is positive."""
        self._funding.settle(market)
        self._liquidator.look(market)

    def liquidate(self, account: Account, position: Position) -> Order:
        """Close a position as if its margin were used up; a copy of the order that did."""
        return self._liquidator.liquidate(account, position)

    def deleverage(self, account: Account, position: Position, quantity: Decimal) -> Order:
        """Close a part of a position at the mark price, as for somebody who went bankrupt."""
        lots = position.instrument.lots(quantity)
        return self._liquidator.deleverage(account, position, lots)

    def _close_minute(self, boundary_ms: int) -> None:
        for market in self._priced.values():
            for interval, candle in market.candles.close_until(boundary_ms):
                self._feed.emit(CandleClosed(boundary_ms, market.instrument, interval, candle))
            market.open_minute(boundary_ms)
        self.dollar.candles.close_until(boundary_ms)
        self.dollar.open_minute(boundary_ms)
        if boundary_ms % FUNDING_INTERVAL_MS == 0:
            for (category, _), market in self._priced.items():
                if category is Category.LINEAR:
                    self.settle_funding(market)

    def _meet(self, market: Market, side: Side, best_ticks: int) -> None:
        """The house takes customers' orders that its new best quote would cross."""
        lots, _ = market.book.fillable(side, best_ticks, 1 << 62)
        if lots:
            self._desk.take(market, side, best_ticks, lots)
