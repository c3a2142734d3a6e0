"""Treasury: money that moves without an order: over the border, between wallets, as income.

What the venue itself gives or takes comes out of the house and goes into it; what it charges goes
to the fees. Only what crosses the border is made or lost.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

from alphapulse.domain.money import EXACT, ZERO, round_down
from alphapulse.simulator.core.account import Account, Wallet
from alphapulse.simulator.core.events import Cause, Movement
from alphapulse.simulator.core.instrument import Category, amount_of, atoms_of
from alphapulse.simulator.core.refusal import RefusalReason, Refused
from alphapulse.simulator.core.settlement import Convert
from alphapulse.simulator.core.teller import Teller

CONVERSION_CHARGE = Decimal("0.02")
"""Share of what a conversion brings.

Source: ``dribbletPercentage`` in
https://developers.binance.com/docs/wallet/asset/dust-convertible-assets, read 2026-11.
"""

# Venues credit with eight decimals.
_GRAIN = Decimal("1e-8")

Movable = Callable[[Account, str, Category], int]
"""Atoms of an asset that may leave a wallet."""


class CrossingState(StrEnum):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    """A deposit never came; a withdrawal was given back."""


@dataclass(frozen=True, slots=True)
class Route:
    """How money crosses the border. What is empty the venue fills in."""

    network: str = ""
    txid: str = ""
    after_ms: int = 0
    """How long it takes."""


AT_ONCE = Route()


@dataclass(slots=True)
class Crossing:
    """A deposit or a withdrawal: money that crosses the venue's border.

    A deposit is in the wallet when it is done. A withdrawal leaves it, with its fee, when it is
    asked for. ``txid`` is the chain's name, the same at both ends.
    """

    id: int
    account_id: str
    is_deposit: bool
    category: Category
    asset: str
    amount: Decimal
    fee: Decimal
    network: str
    txid: str
    created_ms: int
    due_ms: int
    """When it ends by itself."""
    state: CrossingState = CrossingState.PENDING
    ended_ms: int = 0
    """0 while it is pending."""


class Treasury:
    """Moves money by hand and by the clock. Raises `Refused`, and then nothing has moved."""

    def __init__(
        self,
        venue: str,
        house: Account,
        fees: Wallet,
        accounts: Mapping[str, Account],
        teller: Teller,
        movable: Movable,
        convert: Convert,
        now_ms: Callable[[], int],
    ) -> None:
        self._venue = venue
        self._house = house
        self._fees = fees
        self._accounts = accounts
        self._teller = teller
        self._movable = movable
        self._convert = convert
        self._now_ms = now_ms
        self._crossings: dict[str, list[Crossing]] = {}
        self._pending: list[Crossing] = []
        self.last_id = 0
        """Number of the last crossing, transfer or conversion."""

    def crossings(self, account_id: str) -> Sequence[Crossing]:
        """Deposits and withdrawals of an account, oldest first."""
        return self._crossings.get(account_id, ())

    def resume(self, account_id: str, crossings: Iterable[Crossing]) -> None:
        """Remember what crossed the border before, and go on with what is under way."""
        known = self._crossings[account_id] = list(crossings)
        self._pending += [one for one in known if one.state is CrossingState.PENDING]

    def advance(self) -> None:
        """End what is due by now."""
        now_ms = self._now_ms()
        for crossing in [one for one in self._pending if one.due_ms <= now_ms]:
            self._complete(crossing)

    def deposit(
        self,
        account: Account,
        asset: str,
        amount: Decimal,
        category: Category = Category.SPOT,
        route: Route = AT_ONCE,
    ) -> Crossing:
        """Money from outside, in the wallet when it has crossed."""
        crossing = self._cross(account, asset, amount, category, route, fee=None)
        self.advance()
        return crossing

    def withdraw(
        self,
        account: Account,
        asset: str,
        amount: Decimal,
        category: Category = Category.SPOT,
        route: Route = AT_ONCE,
        *,
        fee: Decimal = ZERO,
    ) -> Crossing:
        """Send money out; ``fee`` is the network's, on top.

        Raises:
            Refused: INSUFFICIENT_BALANCE, for more than is free.
        """
        gone = atoms_of(amount) + atoms_of(fee)
        self._require(account, asset, gone, category)
        crossing = self._cross(account, asset, amount, category, route, fee=fee)
        self._fees.add(asset, atoms_of(fee))
        movement = Movement(crossing.txid, fee=crossing.fee)
        self._move(account, asset, -gone, category, Cause.WITHDRAWAL, movement)
        self.advance()
        return crossing

    def fail(self, crossing: Crossing) -> None:
        """End what is under way: a deposit does not come, a withdrawal is given back whole.

        Raises:
            Refused: CROSSING_ENDED.
        """
        if crossing.state is not CrossingState.PENDING:
            raise Refused(RefusalReason.CROSSING_ENDED)
        self._end(crossing, CrossingState.FAILED)
        if not crossing.is_deposit:
            fee = atoms_of(crossing.fee)
            self._fees.add(crossing.asset, -fee)
            self._move(
                self._accounts[crossing.account_id],
                crossing.asset,
                atoms_of(crossing.amount) + fee,
                crossing.category,
                Cause.GIVEN_BACK,
                Movement(crossing.txid, fee=EXACT.minus(crossing.fee)),
            )

    def transfer(self, account: Account, asset: str, amount: Decimal, into: Category) -> str:
        """Move money between the two wallets of an account that has two; the reference of it.

        Raises:
            Refused: INSUFFICIENT_BALANCE, for more than is free.
        """
        out = Category.SPOT if into is Category.LINEAR else Category.LINEAR
        atoms = atoms_of(amount)
        self._require(account, asset, atoms, out)
        movement = Movement(str(self._next_id()))
        self._move(account, asset, -atoms, out, Cause.TRANSFER, movement)
        self._move(account, asset, atoms, into, Cause.TRANSFER, movement)
        return movement.reference

    def reward(
        self,
        account: Account,
        asset: str,
        amount: Decimal,
        *,
        note: str = "",
        cause: Cause = Cause.REWARD,
        category: Category = Category.SPOT,
    ) -> str:
        """The venue gives, or takes where the amount is negative; the reference of it.

        Raises:
            Refused: INSUFFICIENT_BALANCE, where more would be taken than is free.
        """
        atoms = atoms_of(amount)
        self._require(account, asset, -atoms, category)
        self._house.wallet.add(asset, -atoms)
        movement = Movement(str(self._next_id()), note)
        self._move(account, asset, atoms, category, cause, movement)
        return movement.reference

    def convert(self, account: Account, spent: Mapping[str, Decimal], into: str) -> str:
        """Turn amounts of some assets into another at the market's prices, less the charge; the
        reference they share.

        Raises:
            Refused: INSUFFICIENT_BALANCE; UNKNOWN_SYMBOL, where no market prices it; NOTIONAL,
                where it is worth nothing.
        """
        brought = {asset: self._worth(asset, amount, into) for asset, amount in spent.items()}
        for asset, amount in spent.items():
            self._require(account, asset, atoms_of(amount), Category.SPOT)
        reference = str(self._next_id())
        for asset, amount in spent.items():
            self._exchange(account, asset, atoms_of(amount), into, brought[asset], reference)
        return reference

    def _exchange(
        self, account: Account, asset: str, atoms: int, into: str, worth: Decimal, reference: str
    ) -> None:
        charge = round_down(EXACT.multiply(worth, CONVERSION_CHARGE), _GRAIN)
        self._house.wallet.add(asset, atoms)
        self._house.wallet.add(into, -atoms_of(worth))
        self._fees.add(into, atoms_of(charge))
        spot, cause, net = Category.SPOT, Cause.CONVERSION, atoms_of(worth) - atoms_of(charge)
        self._move(account, asset, -atoms, spot, cause, Movement(reference, into))
        self._move(account, into, net, spot, cause, Movement(reference, asset, charge))

    def _worth(self, asset: str, amount: Decimal, into: str) -> Decimal:
        price = self._convert(asset, into)
        if price is None or asset == into:
            raise Refused(RefusalReason.UNKNOWN_SYMBOL, asset)
        worth = round_down(EXACT.multiply(amount, price), _GRAIN)
        if not worth:
            raise Refused(RefusalReason.NOTIONAL, asset)
        return worth

    def _cross(
        self,
        account: Account,
        asset: str,
        amount: Decimal,
        category: Category,
        route: Route,
        *,
        fee: Decimal | None,
    ) -> Crossing:
        """Write it down; only a withdrawal has a fee."""
        number, now_ms = self._next_id(), self._now_ms()
        crossing = Crossing(
            id=number,
            account_id=account.id,
            is_deposit=fee is None,
            category=category,
            asset=asset,
            amount=amount_of(atoms_of(amount)),
            fee=amount_of(atoms_of(fee or ZERO)),
            network=route.network or asset,
            txid=route.txid or sha256(f"{self._venue} {number}".encode()).hexdigest(),
            created_ms=now_ms,
            due_ms=now_ms + route.after_ms,
        )
        self._crossings.setdefault(account.id, []).append(crossing)
        self._pending.append(crossing)
        self._teller.crossing(account.id)
        return crossing

    def _complete(self, crossing: Crossing) -> None:
        self._end(crossing, CrossingState.DONE)
        if crossing.is_deposit:
            self._move(
                self._accounts[crossing.account_id],
                crossing.asset,
                atoms_of(crossing.amount),
                crossing.category,
                Cause.DEPOSIT,
                Movement(crossing.txid),
            )

    def _end(self, crossing: Crossing, state: CrossingState) -> None:
        crossing.state, crossing.ended_ms = state, self._now_ms()
        self._pending.remove(crossing)
        self._teller.crossing(crossing.account_id)

    def _require(self, account: Account, asset: str, atoms: int, category: Category) -> None:
        if atoms > 0 and self._movable(account, asset, category) < atoms:
            raise Refused(RefusalReason.INSUFFICIENT_BALANCE, asset)

    def _move(
        self,
        account: Account,
        asset: str,
        atoms: int,
        category: Category,
        cause: Cause,
        movement: Movement,
    ) -> None:
        account.wallet_of(category).add(asset, atoms)
        self._teller.movement(account, asset, category, cause, amount_of(atoms), movement)

    def _next_id(self) -> int:
        self.last_id += 1
        return self.last_id
