"""Movements: everything that changed a unified wallet, one asset at a time, newest first.

What is told besides trades and funding is what the core's ledger keeps. The balance after each is
counted back from what is there now.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from heapq import merge

from alphapulse.domain.money import EXACT
from alphapulse.domain.order import Side
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.events import Cause, FundingCharged
from alphapulse.simulator.core.exchange import Venue
from alphapulse.simulator.core.instrument import Category, Instrument, amount_of
from alphapulse.simulator.core.ledger import LedgerEntry
from alphapulse.simulator.core.order import Fill, Origin

ZERO = Decimal(0)

CROSSES_WALLETS = frozenset({Cause.DEPOSIT, Cause.WITHDRAWAL, Cause.GIVEN_BACK})
"""The venue moves deposits on from the funding wallet by itself, and fetches what is withdrawn for
it: the unified wallet sees transfers."""

_CAME = {
    **dict.fromkeys(CROSSES_WALLETS, "TRANSFER_IN"),
    Cause.CONVERSION: "CURRENCY_BUY",
    Cause.REWARD: "AIRDROP",
    Cause.INTEREST: "INTEREST",
    Cause.INSURANCE: "LIQUIDATION",
}
_WENT = {
    **_CAME,
    **dict.fromkeys(CROSSES_WALLETS, "TRANSFER_OUT"),
    Cause.CONVERSION: "CURRENCY_SELL",
    Cause.REWARD: "BONUS_RECOLLECT",
    Cause.LIQUIDATION: "LIQUIDATION",
}
"""What the core's ledger keeps; trades and funding are told by those who know more of them."""

_TYPES_OF_ORIGINS = {
    Origin.CLIENT: "TRADE",
    Origin.LIQUIDATION: "LIQUIDATION",
    Origin.ADL: "ADL",
}

# At one moment trades come before charges, and those before everything else.
_CHARGES_FROM = 10**12
_ENTRIES_FROM = 2 * 10**12

# A trade moves up to three assets.
_PARTS = 4


@dataclass(frozen=True, slots=True)
class WalletMovement:
    """``cash`` came into the wallet, ``funding`` too; ``fee`` went out of it on top.

    ``number`` tells those of one moment apart. ``cause`` is what the row is about.
    """

    at_ms: int
    number: int
    type: str
    asset: str
    cause: Fill | FundingCharged | LedgerEntry
    cash: Decimal = ZERO
    fee: Decimal = ZERO
    funding: Decimal = ZERO

    @property
    def key(self) -> tuple[int, int]:
        return self.at_ms, self.number

    @property
    def change(self) -> Decimal:
        return EXACT.subtract(EXACT.add(self.cash, self.funding), self.fee)

    @property
    def instrument(self) -> Instrument | None:
        return self.cause.instrument


@dataclass(frozen=True, slots=True)
class Logged:
    """A movement and what was there after it: ``balance`` of its asset, ``size`` of its position
    (signed; zero where it is about none)."""

    movement: WalletMovement
    balance: Decimal
    size: Decimal


def logged_since(venue: Venue, account: Account, since_ms: int) -> Iterator[Logged]:
    """Newest first."""
    moved: dict[str, Decimal] = defaultdict(Decimal)
    traded: dict[str, Decimal] = defaultdict(Decimal)
    every = merge(
        _of_fills(account),
        _of_charges(venue, account),
        _of_entries(venue, account),
        key=lambda movement: movement.key,
        reverse=True,
    )
    for movement in every:
        if movement.at_ms < since_ms:
            return
        asset, cause = movement.asset, movement.cause
        balance = EXACT.subtract(account.wallet.total(asset), moved[asset])
        yield Logged(movement, balance, _size(account, movement, traded))
        moved[asset] = EXACT.add(moved[asset], movement.change)
        if isinstance(cause, Fill):
            signed = cause.quantity if cause.side is Side.BUY else -cause.quantity
            traded[cause.instrument.name] += signed


def _size(account: Account, movement: WalletMovement, traded: dict[str, Decimal]) -> Decimal:
    instrument = movement.instrument
    if instrument is None or instrument.category is Category.SPOT:
        return ZERO
    position = account.position(instrument.name)
    now = ZERO if position is None else position.quantity
    return EXACT.subtract(now, traded[instrument.name])


def _of_fills(account: Account) -> Iterator[WalletMovement]:
    for index in range(len(account.fills) - 1, -1, -1):
        fill = account.fills[index]
        parts = _linear(fill) if fill.instrument.category is Category.LINEAR else _spot(fill)
        kind = _TYPES_OF_ORIGINS[fill.origin]
        for part, (asset, (cash, fee)) in reversed(list(enumerate(parts.items()))):
            number = index * _PARTS + part
            yield WalletMovement(fill.at_ms, number, kind, asset, fill, cash=cash, fee=fee)


def _linear(fill: Fill) -> dict[str, tuple[Decimal, Decimal]]:
    return {fill.fee_asset: (amount_of(fill.realized_atoms), fill.fee)}


def _spot(fill: Fill) -> dict[str, tuple[Decimal, Decimal]]:
    """Cash and fee by asset; the fee may be in a third one."""
    instrument = fill.instrument
    sign = 1 if fill.side is Side.BUY else -1
    parts = {
        instrument.base: (sign * fill.quantity, ZERO),
        instrument.quote: (-sign * fill.notional, ZERO),
    }
    cash, _ = parts.get(fill.fee_asset, (ZERO, ZERO))
    return parts | {fill.fee_asset: (cash, fill.fee)}


def _of_charges(venue: Venue, account: Account) -> Iterator[WalletMovement]:
    for charge in reversed(venue.funding_charges(account)):
        number = _CHARGES_FROM + charge.trade_id
        asset = charge.instrument.quote
        yield WalletMovement(
            charge.at_ms, number, "SETTLEMENT", asset, charge, funding=charge.amount
        )


def _of_entries(venue: Venue, account: Account) -> Iterator[WalletMovement]:
    for entry in reversed(venue.ledger.all_entries(account.id)):
        kind = (_CAME if entry.amount > 0 else _WENT).get(entry.cause)
        if kind is not None:
            fee = _fee(entry)
            number = _ENTRIES_FROM + entry.id
            cash = EXACT.add(entry.amount, fee)
            yield WalletMovement(entry.at_ms, number, kind, entry.asset, entry, cash=cash, fee=fee)


def _fee(entry: LedgerEntry) -> Decimal:
    """What of an amount is told as a fee; a withdrawal's is in its record."""
    if entry.cause is Cause.LIQUIDATION:
        return -entry.amount
    if entry.cause is Cause.CONVERSION and entry.movement is not None:
        return entry.movement.fee
    return ZERO
