"""Errands: what the accounts of a history do with their money besides trading.

Salaries come in, rent goes out, coins move from one account to another, interest is paid, dust is
swept. Played by the same treasury as everything else.
"""

import random
from collections.abc import Callable, Sequence
from decimal import Decimal

from alphapulse.domain.money import EXACT, round_down
from alphapulse.simulator.core.instrument import Category
from alphapulse.simulator.core.refusal import Refused
from alphapulse.simulator.world import SimulatedAccount, World

CHANCE = 0.03
"""That an account runs one errand of a kind in one step of its history."""

CASH, SWEPT_INTO = "USDT", "BNB"
NETWORK_FEE = Decimal("0.0001")
"""Share of what is sent; real networks ask for a sum, which no price of ours would keep small."""

_GRAIN = Decimal("1e-8")


class Errands:
    """Runs some of them each time it is asked, by chances of its own."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._random = random.Random(f"{seed} errands")

    def run(self) -> None:
        """Some errands of some accounts, now."""
        kinds: Sequence[Callable[[SimulatedAccount], None]] = (
            self._deposit,
            self._withdraw,
            self._send,
            self._shift,
            self._earn,
            self._sweep,
        )
        for account in self._world.accounts:
            for kind in kinds:
                if self._random.random() < CHANCE:
                    try:
                        kind(account)
                    except Refused:
                        continue  # not enough there, or worth nothing

    def _deposit(self, account: SimulatedAccount) -> None:
        amount = Decimal(self._random.randrange(100, 3_000))
        self._world.deposit(account.label, CASH, amount)

    def _withdraw(self, account: SimulatedAccount) -> None:
        amount = self._part_of(account, CASH, 0.02, 0.1)
        self._world.withdraw(account.label, CASH, amount, fee=Decimal(1))

    def _send(self, account: SimulatedAccount) -> None:
        """To another account of the same owner."""
        others = [other for other in self._world.accounts if other.label != account.label]
        if not others:
            return
        asset = self._any_coin(account)
        amount = self._part_of(account, asset, 0.01, 0.1)
        fee = round_down(EXACT.multiply(amount, NETWORK_FEE), _GRAIN)
        to = self._random.choice(others).label
        self._world.send(account.label, to, asset, amount, fee=fee)

    def _shift(self, account: SimulatedAccount) -> None:
        """Between the two wallets of an account that has two."""
        if self._world.books(account.label).futures is None:
            return
        amount = self._part_of(account, CASH, 0.01, 0.03)
        self._world.transfer(account.label, CASH, amount, Category.LINEAR)

    def _earn(self, account: SimulatedAccount) -> None:
        asset = self._any_coin(account)
        amount = self._part_of(account, asset, 0.0005, 0.002)
        is_interest = self._random.random() < 0.5
        self._world.reward(account.label, asset, amount, note="Earn", is_interest=is_interest)

    def _sweep(self, account: SimulatedAccount) -> None:
        """Turn a crumb of a coin into the venue's own."""
        asset = self._any_coin(account)
        amount = self._part_of(account, asset, 0.0005, 0.002)
        self._world.convert(account.label, {asset: amount}, SWEPT_INTO)

    def _any_coin(self, account: SimulatedAccount) -> str:
        held = self._world.books(account.label).balances
        return self._random.choice(sorted(a for a, book in held.items() if book.free))

    def _part_of(self, account: SimulatedAccount, asset: str, least: float, most: float) -> Decimal:
        book = self._world.books(account.label).balances.get(asset)
        share = Decimal(f"{self._random.uniform(least, most):.6f}")
        free = Decimal(0) if book is None else book.free
        return round_down(EXACT.multiply(free, share), _GRAIN)
