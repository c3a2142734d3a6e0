"""Settlement: moves money for each fill. Nothing is made or lost on the way."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from alphapulse.domain.money import EXACT
from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account, Wallet
from alphapulse.simulator.core.instrument import ATOM_DECIMALS, Category, Instrument
from alphapulse.simulator.core.order import Fill, Order, OrderKind
from alphapulse.simulator.core.position import (
    Position,
    PositionSide,
    after_fill,
    isolated_atoms_after,
    position_key,
)

# Venues book commissions with eight decimals.
_FEE_GRAIN: int = 10 ** (ATOM_DECIMALS - 8)

# Binance takes a quarter off for fees paid in BNB.
FEE_ASSET_DISCOUNT = Decimal("0.75")

Convert = Callable[[str, str], Decimal | None]
"""Price of one unit of the first asset in the second; ``None`` when no market says."""


class Settlement:
    """Knows the two pockets beside the customers' wallets: the house's and the fees'."""

    def __init__(self, fees: Wallet, convert: Convert) -> None:
        self._fees = fees
        self._convert = convert

    def lock(self, account: Account, order: Order, atoms: int) -> None:
        """Set aside what a spot order may need: quote currency to buy, base to sell."""
        instrument = order.instrument
        order.locked_asset = instrument.quote if order.side is Side.BUY else instrument.base
        order.locked_atoms += atoms
        account.wallet.lock(order.locked_asset, atoms)

    def release(self, account: Account, order: Order, *, keep_atoms: int = 0) -> None:
        """Give back what is set aside beyond ``keep_atoms``."""
        excess = order.locked_atoms - keep_atoms
        if excess:
            order.locked_atoms = keep_atoms
            account.wallet.unlock(order.locked_asset, excess)

    def settle(
        self, account: Account, order: Order, ticks: int, lots: int, trade_id: int, at_ms: int,
        *, is_maker: bool,
    ) -> Fill:  # fmt: skip
        """Book one execution of a customer's order; the order itself is advanced, too."""
        instrument = order.instrument
        rates = account.fees[instrument.category]
        rate = rates.maker if is_maker else rates.taker
        order.filled_lots += lots
        order.filled_quote_atoms += instrument.notional_atoms(ticks, lots)
        order.updated_ms = at_ms
        if instrument.category is Category.SPOT:
            realized, closed = 0, 0
            fee_asset, fee = self._settle_spot(account, order, ticks, lots, rate)
        else:
            fee_asset = instrument.quote
            fee = _fee(instrument.notional_atoms(ticks, lots), rate)
            realized, closed = settle_linear(
                account, instrument, order.side, ticks, lots, at_ms, order.position_side
            )
            account.wallet_of(Category.LINEAR).settle(fee_asset, -fee)
            self._fees.add(fee_asset, fee)
        fill = Fill(
            trade_id, order.id, order.client_order_id, instrument, order.side, ticks, lots, fee,
            fee_asset, rate, is_maker, realized, closed, at_ms, order.position_side,
            order.origin,
        )  # fmt: skip
        order.fills.append(fill)
        account.fills.append(fill)
        return fill

    def _settle_spot(
        self, account: Account, order: Order, ticks: int, lots: int, rate: Decimal
    ) -> tuple[str, int]:
        instrument = order.instrument
        quote = instrument.notional_atoms(ticks, lots)
        base = lots * instrument.lot_atoms
        is_buy = order.side is Side.BUY
        paid, received = (quote, base) if is_buy else (base, quote)
        asset = instrument.base if is_buy else instrument.quote
        account.wallet.spend_locked(order.locked_asset, paid)
        order.locked_atoms -= paid
        self.release(account, order, keep_atoms=_still_needed(order))
        fee_asset, fee = self._fee(account, asset, received, rate)
        if fee_asset == asset:
            received -= fee
        else:
            account.wallet.add(fee_asset, -fee)
        account.wallet.add(asset, received)
        self._fees.add(fee_asset, fee)
        return fee_asset, fee

    def _fee(self, account: Account, asset: str, received: int, rate: Decimal) -> tuple[str, int]:
        """Fee in the account's chosen asset if there is enough of it, else in what was received."""
        fee_asset, fee = asset, _fee(received, rate)
        if account.fee_asset is not None:
            price = self._convert(asset, account.fee_asset)
            if price is not None:
                other = _fee(
                    received, EXACT.multiply(EXACT.multiply(rate, price), FEE_ASSET_DISCOUNT)
                )
                if account.wallet[account.fee_asset].free >= other:
                    fee_asset, fee = account.fee_asset, other
        return fee_asset, fee


def settle_house(
    house: Account, instrument: Instrument, side: Side, ticks: int, lots: int, at_ms: int
) -> None:
    """Book the house's side of a customer's trade; it pays no fees."""
    if instrument.category is Category.LINEAR:
        settle_linear(house, instrument, side, ticks, lots, at_ms)
        return
    sign = 1 if side is Side.BUY else -1
    house.wallet.add(instrument.base, sign * lots * instrument.lot_atoms)
    house.wallet.add(instrument.quote, -sign * instrument.notional_atoms(ticks, lots))


def settle_linear(
    account: Account,
    instrument: Instrument,
    side: Side,
    ticks: int,
    lots: int,
    at_ms: int,
    position_side: PositionSide = PositionSide.BOTH,
) -> tuple[int, int]:
    """Move a position and book the profit this realizes; the profit, and the lots it closed."""
    signed = lots if side is Side.BUY else -lots
    before = account.position(instrument.name, position_side)
    change = after_fill(before, instrument, signed, ticks, at_ms)
    key = position_key(instrument.name, position_side)
    if change.position is None:
        del account.positions[key]
    else:
        account.positions[key] = _held(account, before, change.position, position_side)
    account.wallet_of(Category.LINEAR).settle(instrument.quote, change.realized_atoms)
    return change.realized_atoms, change.closed_lots


def _held(
    account: Account, before: Position | None, after: Position, side: PositionSide
) -> Position:
    name = after.instrument.name
    if name not in account.isolated:
        return replace(after, side=side, isolated_atoms=None)
    atoms = isolated_atoms_after(before, after, account.leverage_of(name))
    return replace(after, side=side, isolated_atoms=atoms)


def _still_needed(order: Order) -> int:
    """Atoms that what is still open of a spot order may cost."""
    instrument = order.instrument
    if order.side is Side.SELL:
        return order.open_lots * instrument.lot_atoms
    if order.kind is OrderKind.MARKET:
        return order.locked_atoms
    return instrument.notional_atoms(order.ticks, order.open_lots)


def _fee(atoms: int, rate: Decimal) -> int:
    exact = int(EXACT.multiply(Decimal(atoms), rate))
    return exact // _FEE_GRAIN * _FEE_GRAIN
