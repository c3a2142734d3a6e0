"""Fingerprint: whether what a plan was made from is still so when it is executed. Pure.

Balances, orders' holds, the rules of the markets and the request are compared exactly, by a hash.
Prices always move a little: of them it is said how far.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from decimal import Decimal

from alphapulse.domain.balance import Wallet
from alphapulse.domain.identifiers import Asset
from alphapulse.domain.money import EXACT, plain
from alphapulse.domain.rebalance.constraints import Constraints, Style, Tolerance
from alphapulse.domain.rebalance.situation import Situation
from alphapulse.domain.rebalance.targets import Weights

_HUNDRED = Decimal(100)
# What is free there moves with the prices of open contracts, while what is there stays.
_MARGINED = {Wallet.FUTURES, Wallet.UNIFIED, Wallet.MARGIN}
_PCT_STEP = Decimal("0.0001")


def plan_hash(
    weights: Weights,
    tolerance: Tolerance,
    constraints: Constraints,
    style: Style,
    situation: Situation,
) -> str:
    """The same 64 hex digits for the same inputs, in whatever order and spelling they come."""
    lines = [
        _line("currency", situation.currency),
        *(_line("weight", asset, weight) for asset, weight in weights.items()),
        *_settings(tolerance),
        *_settings(constraints),
        *_settings(style),
        *_facts(situation, constraints.exclude),
        *(() if constraints.avoid_gain_above is None else _lots(situation)),
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def moved_pct(
    planned: Mapping[Asset, Decimal], current: Mapping[Asset, Decimal]
) -> Mapping[Asset, Decimal | None]:
    """How far each price of a plan is from what it was, per cent to four places, unsigned;
    ``None`` where there is no price now."""
    return {asset: _moved(price, current.get(asset)) for asset, price in planned.items()}


def _moved(planned: Decimal, current: Decimal | None) -> Decimal | None:
    if current is None:
        return None
    share = EXACT.divide(abs(EXACT.subtract(current, planned)), planned)
    return EXACT.quantize(EXACT.multiply(share, _HUNDRED), _PCT_STEP)


def _settings(of: Tolerance | Constraints | Style) -> Iterator[str]:
    for field in fields(of):
        value = getattr(of, field.name)
        name = f"{type(of).__name__}.{field.name}"
        if isinstance(value, Mapping):
            yield from (_line(name, key, value[key]) for key in value)
        elif isinstance(value, frozenset):
            yield from (_line(name, item) for item in value)
        else:
            yield _line(name, value)


def _facts(situation: Situation, excluded: frozenset[Asset]) -> Iterator[str]:
    ours = {account.id for account in situation.accounts}
    for account in situation.accounts:
        yield _line("account", account.id, account.exchange, account.fee_rate, account.quote)
        for hold in account.holds:
            yield _line("hold", account.id, hold.symbol, hold.asset, hold.amount, hold.is_at_venue)
    for holding in situation.holdings:
        one = holding.balance
        if holding.account_id in ours and one.asset not in excluded and not one.is_empty:
            parts = (one.total,) if one.wallet in _MARGINED else (one.free, one.locked)
            yield _line("balance", holding.account_id, one.wallet, one.asset, *parts, one.borrowed)
    for market in situation.markets:
        rules = market.instrument
        yield _line(
            "market", rules.exchange, rules.symbol, rules.tick_size, rules.lot_size,
            rules.min_quantity, rules.max_quantity, rules.min_notional, rules.is_active,
        )  # fmt: skip


def _lots(situation: Situation) -> Iterator[str]:
    """What decides which sales a limit of the gain allows."""
    if situation.lots is None:
        return
    yield _line("method", situation.lots.method)
    for place, lots in situation.lots.lots.items():
        for one in lots:
            yield _line("lot", *place, one.lot_id, one.left, one.cost)


def _line(*parts: object) -> str:
    return "\t".join(plain(one) if isinstance(one, Decimal) else str(one) for one in parts)
