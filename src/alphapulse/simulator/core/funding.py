"""Funding: what the holders of a perpetual pay each other."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from alphapulse.domain.money import EXACT
from alphapulse.simulator.core.account import Account
from alphapulse.simulator.core.events import Cause, FundingCharged, FundingSettled
from alphapulse.simulator.core.feed import Feed
from alphapulse.simulator.core.instrument import Category, amount_of, atoms_of
from alphapulse.simulator.core.market import Market
from alphapulse.simulator.core.position import Position
from alphapulse.simulator.core.teller import Teller

# A year of charges every eight hours on ten contracts.
CHARGES_KEPT = 10_000


class Funding:
    """Charges everybody for the house, which is the other side."""

    def __init__(
        self,
        house: Account,
        accounts: Mapping[str, Account],
        teller: Teller,
        feed: Feed,
        now_ms: Callable[[], int],
    ) -> None:
        self._house = house
        self._accounts = accounts
        self._teller = teller
        self._feed = feed
        self._now_ms = now_ms
        self.last_id = 0
        """Number of the last charge."""
        self._charges: dict[str, deque[FundingCharged]] = {}

    def settle(self, market: Market) -> None:
        """Charge one funding of a perpetual now: longs pay shorts while the rate is positive."""
        for account in self._accounts.values():
            for position in tuple(account.positions.values()):
                if position.instrument is market.instrument:
                    self._charge(account, market, position)
        now_ms, rate, mark = self._now_ms(), market.funding_rate, market.mark_price
        self._feed.emit(FundingSettled(now_ms, market.instrument, rate, mark))

    def charges_of(self, account_id: str) -> Sequence[FundingCharged]:
        """Oldest first."""
        return self._charges.get(account_id, ())

    def resume(self, account_id: str, charges: Iterable[FundingCharged]) -> None:
        """Remember what was charged before."""
        self._charges[account_id] = deque(charges, maxlen=CHARGES_KEPT)

    def _charge(self, account: Account, market: Market, position: Position) -> None:
        instrument = market.instrument
        value = EXACT.multiply(position.quantity, market.mark_price)
        paid = atoms_of(EXACT.multiply(value, market.funding_rate))
        account.wallet_of(Category.LINEAR).settle(instrument.quote, -paid)
        if position.isolated_atoms is not None:
            left = position.isolated_atoms - paid
            account.positions[position.key] = replace(position, isolated_atoms=left)
        # What one pays the house gets, to the atom.
        self._house.wallet.settle(instrument.quote, paid)
        amount = amount_of(-paid)
        self.last_id += 1
        charge = FundingCharged(
            self._now_ms(),
            account.id,
            instrument,
            position.quantity,
            market.mark_price,
            market.funding_rate,
            amount,
            self.last_id,
        )
        self._charges.setdefault(account.id, deque(maxlen=CHARGES_KEPT)).append(charge)
        self._feed.emit(charge)
        self._teller.balances(
            account, instrument.quote, category=Category.LINEAR, cause=Cause.FUNDING, delta=amount
        )
