"""Portfolio: what is held and owed, valued asset by asset, with what could not be valued named.

Identities that hold to the last digit: a value is quantity times price, an account is the sum of
its lines, the total is the sum of the accounts. Each sums up what is known; where nothing is known
of what is there, it is ``None``.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain

from alphapulse.domain.balance import Balance
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, Symbol
from alphapulse.domain.money import EXACT, total
from alphapulse.domain.position import Position
from alphapulse.domain.valuation import Price, Prices, settle_of

# Money that is kept to pay with, not to gain from. A label for a subtotal: every one of these is
# still priced by its markets.
FIAT = frozenset({"USD", "EUR", "GBP", "CHF", "JPY", "AUD", "CAD", "BRL", "TRY", "PLN"})
STABLECOINS = frozenset(
    {"USDT", "USDC", "DAI", "TUSD", "FDUSD", "PYUSD", "USDE", "USDS", "EURC", "EURT"}
)
CASH = FIAT | STABLECOINS

_SHARE_STEP = Decimal("1e-8")


@dataclass(frozen=True, slots=True)
class Holding:
    """One asset in one wallet of one account."""

    account_id: AccountId
    exchange: ExchangeId
    balance: Balance
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class HoldingValue:
    """``value`` of what is there, ``debt`` of what is owed on it; ``None`` without a price."""

    holding: Holding
    price: Price | None
    value: Decimal | None
    debt: Decimal | None

    @property
    def net(self) -> Decimal | None:
        if self.value is None or self.debt is None:
            return None
        return EXACT.subtract(self.value, self.debt)


@dataclass(frozen=True, slots=True)
class PositionValue:
    """An open derivative. ``value`` is its unrealized profit: the collateral is in the balances.

    ``price`` converts the settle currency; ``notional`` is the exposure, in that currency.
    """

    position: Position
    mark_price: Decimal | None
    unrealized_pnl: Decimal | None
    notional: Decimal | None
    price: Price | None
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class Unpriced:
    """What is held and not in any total, and where.

    Of a contract it is the profit, in settle currency; ``None`` when nobody knows it.
    """

    asset: Asset
    quantity: Decimal | None
    accounts: tuple[AccountId, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Valuation:
    """A portfolio in one currency at one moment.

    ``accounts`` has those that hold something or were never read: any other is worth nothing.
    """

    currency: Asset
    as_of: datetime
    holdings: tuple[HoldingValue, ...]
    positions: tuple[PositionValue, ...]
    accounts: Mapping[AccountId, Decimal | None]
    unpriced: tuple[Unpriced, ...]
    total_assets: Decimal | None
    total_debt: Decimal | None
    cash: Decimal | None
    unrealized_pnl: Decimal | None

    @property
    def total(self) -> Decimal | None:
        return _difference(self.total_assets, self.total_debt)

    @property
    def invested(self) -> Decimal | None:
        """All but the cash."""
        return _difference(self.total, self.cash)

    def weight(self, value: Decimal | None) -> Decimal | None:
        """Share of the total, to 8 places; ``None`` where there is nothing to share."""
        if value is None or self.total is None or self.total <= 0:
            return None
        return EXACT.quantize(EXACT.divide(value, self.total), _SHARE_STEP)


def value_portfolio(
    holdings: Iterable[Holding],
    positions: Iterable[Position],
    book: Prices,
    marks: Mapping[tuple[ExchangeId, Symbol], Decimal],
    currency: Asset,
    now: datetime,
    *,
    unread: Collection[AccountId] = (),
) -> Valuation:
    """Value everything at the newest prices.

    Args:
        marks: mark prices of derivatives, newest first choice before the position's own.
        unread: accounts of which nobody knows yet what they hold.
    """
    held = tuple(value_holding(holding, book, currency, now) for holding in holdings)
    opened = tuple(value_position(position, book, marks, currency, now) for position in positions)
    nets: dict[AccountId, list[Decimal | None]] = {account: [None] for account in unread}
    for line in held:
        if not line.holding.balance.is_empty:
            nets.setdefault(line.holding.account_id, []).append(line.net)
    for open_line in opened:
        nets.setdefault(open_line.position.account_id, []).append(open_line.value)
    is_known = _worth(chain.from_iterable(nets.values())) is not None

    def figure(numbers: Iterable[Decimal | None]) -> Decimal | None:
        return _sum_of_known(numbers) if is_known else None

    profits = [line.value for line in opened]
    return Valuation(
        currency=currency,
        as_of=now,
        holdings=held,
        positions=opened,
        accounts={account: _worth(numbers) for account, numbers in nets.items()},
        unpriced=_unpriced(held, opened, currency),
        total_assets=figure([*(line.value for line in held), *profits]),
        total_debt=figure(line.debt for line in held),
        cash=figure(line.net for line in held if line.holding.balance.asset in CASH),
        unrealized_pnl=_sum_if_known(profits) if is_known else None,
    )


def value_holding(holding: Holding, book: Prices, currency: Asset, now: datetime) -> HoldingValue:
    """Total times price, and borrowed times price."""
    balance = holding.balance
    price = book.price(balance.asset, currency, now=now, near=holding.exchange)
    if price is None:
        return HoldingValue(holding, None, None, None)
    return HoldingValue(
        holding,
        price,
        EXACT.multiply(balance.total, price.value),
        EXACT.multiply(balance.borrowed, price.value),
    )


def value_position(
    position: Position,
    book: Prices,
    marks: Mapping[tuple[ExchangeId, Symbol], Decimal],
    currency: Asset,
    now: datetime,
) -> PositionValue:
    """Profit at the live mark price; at the venue's own mark or figure where no mark is live."""
    mark = marks.get((position.exchange, position.symbol), position.mark_price)
    pnl = position.unrealized_pnl if mark is None else exact_pnl(position, mark)
    price = book.price(settle_of(position.symbol), currency, now=now, near=position.exchange)
    size = EXACT.multiply(position.quantity, position.contract_size)
    return PositionValue(
        position=position,
        mark_price=mark,
        unrealized_pnl=pnl,
        notional=None if mark is None else EXACT.multiply(size, mark),
        price=price,
        value=None if pnl is None or price is None else EXACT.multiply(pnl, price.value),
    )


def exact_pnl(position: Position, mark: Decimal) -> Decimal:
    """Unrealized profit of a linear contract at ``mark``, in settle currency, unrounded."""
    size = EXACT.multiply(position.signed_quantity, position.contract_size)
    return EXACT.multiply(EXACT.subtract(mark, position.entry_price), size)


def _unpriced(
    held: tuple[HoldingValue, ...], opened: tuple[PositionValue, ...], currency: Asset
) -> tuple[Unpriced, ...]:
    """One line per asset and reason, sorted, so that the order of arrival never shows."""
    missing: dict[tuple[Asset, str], list[tuple[AccountId, Decimal | None]]] = {}
    no_path = f"no market leads to {currency}"
    for line in held:
        balance = line.holding.balance
        if line.price is None and not balance.is_empty:
            quantity = EXACT.subtract(balance.total, balance.borrowed)
            missing.setdefault((balance.asset, no_path), []).append(
                (line.holding.account_id, quantity)
            )
    for open_line in opened:
        if open_line.value is None:
            position, pnl = open_line.position, open_line.unrealized_pnl
            reason = f"no mark price of {position.symbol}" if pnl is None else no_path
            missing.setdefault((settle_of(position.symbol), reason), []).append(
                (position.account_id, pnl)
            )
    return tuple(
        Unpriced(
            asset,
            _sum_if_known([quantity for _, quantity in lines]),
            tuple(sorted({account for account, _ in lines})),
            reason,
        )
        for (asset, reason), lines in sorted(missing.items())
    )


def _worth(nets: Iterable[Decimal | None]) -> Decimal | None:
    """The sum of what is known; ``None`` when that is nothing, and not all there is."""
    numbers = list(nets)
    return _sum_of_known(numbers) if any(numbers) or None not in numbers else None


def _difference(left: Decimal | None, right: Decimal | None) -> Decimal | None:
    return None if left is None or right is None else EXACT.subtract(left, right)


def _sum_of_known(numbers: Iterable[Decimal | None]) -> Decimal:
    return total([number for number in numbers if number is not None])


def _sum_if_known(numbers: list[Decimal | None]) -> Decimal | None:
    return None if None in numbers else _sum_of_known(numbers)
