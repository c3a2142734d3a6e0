"""Liquidation: closes positions that their margin does not carry any more."""

from collections.abc import Callable, Mapping
from decimal import Decimal

from alphapulse.domain.money import EXACT
from alphapulse.simulator.core import margin
from alphapulse.simulator.core.account import Account, Wallet
from alphapulse.simulator.core.desk import OrderDesk
from alphapulse.simulator.core.events import Cause, ForcedClose
from alphapulse.simulator.core.feed import Feed
from alphapulse.simulator.core.instrument import Category, amount_of, atoms_of
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.order import Order, Origin
from alphapulse.simulator.core.position import Position
from alphapulse.simulator.core.teller import Teller

LIQUIDATION_FEE = Decimal("0.0125")
"""Share of the notional that the insurance fund takes, while there is margin left.

Source: ``liquidationFee`` in Binance's futures exchangeInfo of BTCUSDT, 2026-11.
"""

Key = tuple[Category, str]


class Liquidator:
    """Watches mark prices for the venue. The house is its insurance fund: it takes what the book
    does not, and pays what a bankrupt position owes."""

    def __init__(
        self,
        house: Account,
        fees: Wallet,
        accounts: Mapping[str, Account],
        markets: Mapping[Key, Market],
        desk: OrderDesk,
        teller: Teller,
        feed: Feed,
        mark_price: margin.MarkPrice,
        now_ms: Callable[[], int],
    ) -> None:
        self._house = house
        self._fees = fees
        self._accounts = accounts
        self._markets = markets
        self._desk = desk
        self._teller = teller
        self._feed = feed
        self._mark_price = mark_price
        self._now_ms = now_ms

    def look(self, market: Market) -> None:
        """Liquidate whom the mark price of this market has brought below maintenance margin."""
        instrument = market.instrument
        for account in self._accounts.values():
            if any(p.instrument is instrument for p in account.positions.values()):
                self._look_at_isolated(account, market)
                self._look_at_cross(account, instrument.quote)

    def liquidate(self, account: Account, position: Position) -> Order:
        """Close a whole position at the market, for a fee; a loss beyond its margin is not the
        customer's."""
        asset = position.instrument.quote
        wallet = account.wallet_of(Category.LINEAR)
        before = wallet[asset].total
        order = self._close(account, position, abs(position.lots), Origin.LIQUIDATION)
        lost = before - wallet[asset].total
        at_risk = before if position.isolated_atoms is None else position.isolated_atoms
        wanted = EXACT.multiply(order.filled_notional, LIQUIDATION_FEE)
        fee = min(atoms_of(wanted), max(0, at_risk - lost))
        wallet.settle(asset, -fee)
        self._fees.add(asset, fee)
        self._tell(account, position, order, amount_of(fee))
        self._teller.balances(
            account, asset, category=Category.LINEAR, cause=Cause.LIQUIDATION, delta=amount_of(-fee)
        )
        self._cover(account, asset, lost - at_risk)
        return order

    def deleverage(self, account: Account, position: Position, lots: int) -> Order:
        """Close a part of a position against the house at the mark price, as the venue does with
        winners when its insurance fund runs dry."""
        order = self._close(account, position, min(lots, abs(position.lots)), Origin.ADL)
        self._tell(account, position, order, Decimal(0))
        return order

    def _look_at_isolated(self, account: Account, market: Market) -> None:
        mark = market.mark_price
        for position in tuple(account.positions.values()):
            if position.instrument is market.instrument and position.isolated_atoms is not None:
                left = EXACT.add(position.isolated_margin, position.unrealized_pnl(mark))
                if left <= position.maintenance_margin(mark):
                    self.liquidate(account, position)

    def _look_at_cross(self, account: Account, asset: str) -> None:
        """First the orders go, which may be enough; then the positions, the worst one first."""
        if self._is_carried(account, asset):
            return
        self._cancel_orders(account, asset)
        crossed = [
            p
            for p in account.positions.values()
            if p.isolated_atoms is None and p.instrument.quote == asset
        ]
        crossed.sort(key=lambda p: p.unrealized_pnl(self._mark_price(p.instrument)))
        for position in crossed:
            if self._is_carried(account, asset):
                return
            self.liquidate(account, position)

    def _is_carried(self, account: Account, asset: str) -> bool:
        report = margin.report(account, asset, self._mark_price)
        return not report.cross_maintenance or report.cross_equity > report.cross_maintenance

    def _cancel_orders(self, account: Account, asset: str) -> None:
        for order in tuple(account.open_orders.values()):
            instrument = order.instrument
            is_meant = instrument.category is Category.LINEAR and instrument.quote == asset
            if is_meant and order.state.is_open:
                self._desk.cancel(account, self._markets[instrument.key], order)

    def _close(self, account: Account, position: Position, lots: int, origin: Origin) -> Order:
        market = self._markets[position.instrument.key]
        return self._desk.force(account, market, position, lots, origin)

    def _cover(self, account: Account, asset: str, shortfall: int) -> None:
        if shortfall > 0:
            account.wallet_of(Category.LINEAR).settle(asset, shortfall)
            self._house.wallet.settle(asset, -shortfall)
            self._teller.balances(
                account,
                asset,
                category=Category.LINEAR,
                cause=Cause.INSURANCE,
                delta=amount_of(shortfall),
            )

    def _tell(self, account: Account, position: Position, order: Order, fee: Decimal) -> None:
        self._feed.emit(ForcedClose(self._now_ms(), account.id, position, order, fee))
