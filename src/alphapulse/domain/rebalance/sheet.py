"""Sheet: what is owned of each asset, and what of it each account may spend. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from alphapulse.domain.balance import Balance
from alphapulse.domain.funds import Hold, available
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.money import EXACT, ZERO
from alphapulse.domain.rebalance.situation import Situation


@dataclass(frozen=True, slots=True)
class Sheet:
    """In units of the assets: ``owned`` over all accounts and wallets with debts off, ``free`` of
    each account for an order in a spot market."""

    owned: Mapping[Asset, Decimal]
    free: Mapping[AccountId, Mapping[Asset, Decimal]]


def sheet_of(situation: Situation) -> Sheet:
    """Add up the holdings of the accounts of ``situation``; those of others do not count."""
    balances: dict[tuple[AccountId, Asset], list[Balance]] = defaultdict(list)
    accounts = {account.id for account in situation.accounts}
    for holding in situation.holdings:
        if holding.account_id in accounts and not holding.balance.is_empty:
            balances[holding.account_id, holding.balance.asset].append(holding.balance)
    holds: dict[tuple[AccountId, Asset], list[Hold]] = defaultdict(list)
    for account in situation.accounts:
        for hold in account.holds:
            holds[account.id, hold.asset].append(hold)
    owned: dict[Asset, Decimal] = defaultdict(Decimal)
    free: dict[AccountId, dict[Asset, Decimal]] = {account: {} for account in accounts}
    for (account_id, asset), found in balances.items():
        for one in found:
            owned[asset] = EXACT.add(owned[asset], EXACT.subtract(one.total, one.borrowed))
        left = available(found, holds[account_id, asset], asset, for_contract=False)
        free[account_id][asset] = max(ZERO, left)
    return Sheet(owned, free)
