"""Matching: which surplus pays for which shortage, account by account. Pure.

Money does not move between accounts, so each flow lies within one. Flows are values in the base
currency at the prices of the portfolio; fees and steps come later, when they become orders.

The fewest orders exactly would be a bin-packing problem. This is greedy instead: first what can be
bought in the fewest accounts, from the account with the most to give; within it a direct market
first, then money that is there already, then the largest surplus. Each step uses up a surplus, a
stock, a shortage or the budget, so the work grows with assets x accounts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.money import ZERO
from alphapulse.domain.rebalance.situation import AccountFacts
from alphapulse.domain.rebalance.ways import Unreached, Way, Ways

Amounts = dict[Asset, Decimal]
"""Values in base currency."""

# Above the minimum, so that fees, spread and steps do not push an order below it.
_MARGIN = Decimal("1.02")


@dataclass(frozen=True, slots=True)
class Desk:
    """An account, the money it trades in, and the value of each asset that it may spend."""

    account: AccountFacts
    money: Asset
    stock: Amounts

    @property
    def id(self) -> AccountId:
        return self.account.id


@dataclass(frozen=True, slots=True)
class Flow:
    """What one asset of an account gives to another: through one market where ``is_direct``, else
    over the account's money."""

    account_id: AccountId
    spent: Asset
    got: Asset
    value: Decimal
    is_direct: bool


class Matcher:
    """Matches what is over with what is short; the most urgent is matched first.

    ``flows`` is the result. ``notes`` says what stood in the way of an asset, the first thing that
    did. Surplus and shortage are used up in place.

    Args:
        budget: the value that may flow, ``None`` for any.
        may_buy: whether anything but money may be got.
    """

    def __init__(
        self, desks: list[Desk], ways: Ways, budget: Decimal | None, *, may_buy: bool
    ) -> None:
        self.flows: list[Flow] = []
        self.notes: dict[Asset, Unreached] = {}
        self._desks, self._ways, self._budget, self._may_buy = desks, ways, budget, may_buy
        self._stock = {desk.id: dict(desk.stock) for desk in desks}
        self._surplus: Amounts = {}
        self._shortage: Amounts = {}
        self._open: dict[AccountId, dict[Asset, None]] = {}
        self._potential: dict[AccountId, Decimal] = {}
        self._bought: set[tuple[AccountId, Asset]] = set()

    def match(self, surplus: Amounts, shortage: Amounts) -> None:
        """Let value flow from ``surplus`` to ``shortage``, and take it off both."""
        if not any(surplus.values()) or not any(shortage.values()):
            return  # and no market is asked for a quote that nothing needs
        self._surplus, self._shortage = surplus, shortage
        self._open = {desk.id: self._opened(desk) for desk in self._desks}
        self._potential = {
            desk.id: sum((self._left(desk, one) for one in self._open[desk.id]), ZERO)
            for desk in self._desks
        }
        for asset in sorted(shortage, key=self._urgency):
            for desk in sorted(self._desks, key=self._rank):
                self._serve(desk, asset)
                if not shortage[asset]:
                    break

    def explain(self, surplus: Amounts, over: Amounts, short: Amounts) -> None:
        """Note why the rest of ``surplus`` was not matched, and of all that is short: what is over
        stays because of what stands in the way of the largest shortage.

        Args:
            over: all that could still be given, the rest of ``surplus`` included.
            short: all that could still be taken.
        """
        self._surplus, self._shortage = over, short
        rich = [desk for desk in self._desks if short and self._opened(desk)]
        # Nothing to be bought at all: either nothing may, or steps kept the last of it.
        missed = Unreached.BELOW_MIN_NOTIONAL if self._may_buy else Unreached.CONSTRAINT
        for asset in sorted(short, key=lambda one: (short[one], one)):
            self.note(asset, self._why_short(asset, rich))
            missed = self.notes[asset]
        for asset, value in surplus.items():
            if value > 0:
                self.note(asset, self._why_over(asset, missed))

    def note(self, asset: Asset, reason: Unreached) -> None:
        """What stands in the way of an asset; the first reason stays."""
        self.notes.setdefault(asset, reason)

    def _urgency(self, asset: Asset) -> tuple[object, ...]:
        """What few accounts can get goes first, then what is shortest."""
        markets = sum(
            self._ways.exists(desk.account.exchange, desk.money, asset) for desk in self._desks
        )
        return (markets, -self._shortage[asset], asset)

    def _rank(self, desk: Desk) -> tuple[Decimal, str]:
        return (-self._potential[desk.id], desk.id)

    def _opened(self, desk: Desk) -> dict[Asset, None]:
        """What of an account can be turned into its money, that money first."""
        found = [
            one for one in self._surplus if self._left(desk, one) > 0 and self._sells(desk, one)
        ]
        found.sort(key=lambda one: (one != desk.money, -self._left(desk, one), one))
        return dict.fromkeys(found)

    def _sells(self, desk: Desk, asset: Asset) -> bool:
        if asset == desk.money:
            return True
        way = self._ways.find(desk.account.exchange, asset, desk.money)
        if not isinstance(way, Way):
            return False
        is_enough = self._left(desk, asset) >= self._ways.least(way)
        if not is_enough:
            self.note(asset, Unreached.BELOW_MIN_NOTIONAL)
        return is_enough

    def _left(self, desk: Desk, asset: Asset) -> Decimal:
        """What an account may still give of an asset."""
        return min(self._surplus[asset], self._stock[desk.id].get(asset, ZERO))

    def _serve(self, desk: Desk, asset: Asset) -> None:
        if not self._may_buy and asset != desk.money:
            return
        for spent in self._partners(desk, asset):
            self._take(desk, spent, asset, is_direct=True)
        if self._buys(desk, asset):
            for spent in self._still_open(desk):
                self._take(desk, spent, asset, is_direct=False)
                if not self._shortage[asset]:
                    break

    def _partners(self, desk: Desk, asset: Asset) -> list[Asset]:
        """What is over here and has a market with ``asset`` of its own, the most first."""
        exchange = desk.account.exchange
        found = []
        for other in self._ways.partners(exchange, asset):
            if other == desk.money or other not in self._surplus or asset == desk.money:
                continue
            way = self._ways.direct(exchange, other, asset)
            value = min(self._left(desk, other), self._shortage[asset])
            if way is not None and value >= self._ways.least(way) * _MARGIN:
                found.append(other)
        return sorted(found, key=lambda one: (-self._left(desk, one), one))

    def _buys(self, desk: Desk, asset: Asset) -> bool:
        """Whether the account's money can become ``asset``, and there is enough of it."""
        obtainable = min(self._potential[desk.id], self._shortage[asset])
        if obtainable <= 0:
            return False
        if asset == desk.money:
            return True
        way = self._ways.find(desk.account.exchange, desk.money, asset)
        if not isinstance(way, Way):
            return False
        is_opened = (desk.id, asset) in self._bought
        return is_opened or obtainable >= self._ways.least(way) * _MARGIN

    def _still_open(self, desk: Desk) -> Iterator[Asset]:
        """What can still be turned into money; what is used up is not looked at again."""
        opened = self._open[desk.id]
        while opened:
            asset = next(iter(opened))
            if self._left(desk, asset) > 0:
                yield asset
            if self._left(desk, asset) > 0:
                return
            del opened[asset]

    def _take(self, desk: Desk, spent: Asset, got: Asset, *, is_direct: bool) -> None:
        value = min(self._left(desk, spent), self._shortage[got])
        if self._budget is not None:
            value = min(value, self._budget)
            self._budget -= value
        if value <= 0:
            return
        holders = [one for one in self._desks if spent in self._stock[one.id]]
        before = [self._left(one, spent) for one in holders]
        self._surplus[spent] -= value
        self._shortage[got] -= value
        self._stock[desk.id][spent] -= value
        for one, had in zip(holders, before, strict=True):
            if spent in self._open[one.id]:
                self._potential[one.id] -= had - self._left(one, spent)
        if not is_direct:
            self._bought.add((desk.id, got))
        self.flows.append(Flow(desk.id, spent, got, value, is_direct))

    def _why_short(self, asset: Asset, rich: list[Desk]) -> Unreached:
        """``rich`` are the accounts with something left to give."""
        if self._budget == 0 or not self._may_buy:
            return Unreached.CONSTRAINT
        found = {
            desk.id: self._ways.find(desk.account.exchange, desk.money, asset)
            for desk in self._desks
            if desk.money != asset
        }
        if Unreached.CONSTRAINT in found.values():
            return Unreached.CONSTRAINT
        ways = [one for one in found.values() if isinstance(one, Way)]
        if found and not ways:
            return Unreached.NO_MARKET
        if ways and self._shortage[asset] < min(map(self._ways.least, ways)) * _MARGIN:
            return Unreached.BELOW_MIN_NOTIONAL
        if not rich:
            return Unreached.NO_FUNDS
        has_little = any(isinstance(found.get(desk.id), Way) for desk in rich)
        return Unreached.BELOW_MIN_NOTIONAL if has_little else Unreached.WRONG_EXCHANGE

    def _why_over(self, asset: Asset, missed: Unreached) -> Unreached:
        if self._budget == 0:
            return Unreached.CONSTRAINT
        holders = [d for d in self._desks if d.stock.get(asset, ZERO) > 0 and d.money != asset]
        found = [self._ways.find(d.account.exchange, asset, d.money) for d in holders]
        if Unreached.CONSTRAINT in found:
            return Unreached.CONSTRAINT
        if found and not any(isinstance(one, Way) for one in found):
            traded = any(
                self._ways.exists(desk.account.exchange, asset, desk.money) for desk in self._desks
            )
            return Unreached.WRONG_EXCHANGE if traded else Unreached.NO_MARKET
        return missed
