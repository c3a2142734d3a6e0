"""Budgets: the value and the pace that are allowed, and the funds that are free."""

from alphapulse.domain.money import ZERO, add, plain
from alphapulse.domain.order import OrderRequest
from alphapulse.domain.order_checks.check import Check, at_most, in_words, plainly
from alphapulse.domain.order_checks.situation import OrderSituation
from alphapulse.errors import NotEnoughFree, OrderBudgetSpent, PriceNotGood


def check_value(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    """Of the order and of the day, for each subject with a limit."""
    checks = []
    for one in situation.allowances:
        limits, value, currency = one.limits, situation.value, situation.currency
        is_limited = limits.max_order_value is not None or limits.max_daily_value is not None
        if value is None and is_limited:
            unknown = PriceNotGood(
                f"what it is worth in {currency} is not known, so no limit can be kept",
                check="max_order_value",
            )
            return [Check("max_order_value", failure=unknown)]
        if value is None:
            continue
        who = in_words(one.subject)
        today = add(one.used_today, situation.added_value or ZERO)
        checks += [
            at_most("max_order_value", limits.max_order_value, value,
                     f"it is worth more {currency} than {who} may order at once"),
            at_most("max_daily_value", limits.max_daily_value, today,
                     f"with it {who} would order more {currency} than allowed in a day"),
        ]  # fmt: skip
    return [check for check in checks if check.limit is not None]


def check_pace(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    """Orders in the last minute, for each subject with a limit."""
    checks = []
    for one in situation.allowances:
        limit = one.limits.orders_per_minute
        if limit is None:
            continue
        failure = None
        if one.orders >= limit:
            failure = OrderBudgetSpent(
                f"{in_words(one.subject)} may place {limit} orders in a minute",
                check="orders_per_minute", limit=limit, value=one.orders,
                retry_after_s=one.oldest_in_s,
            )  # fmt: skip
        checks.append(Check("orders_per_minute", str(limit), str(one.orders), failure))
    return checks


def check_funds(request: OrderRequest, situation: OrderSituation) -> list[Check]:
    """What it needs is free."""
    needed, asset = situation.cost.needed, situation.cost.asset
    available = situation.available
    failure = None
    if needed is not None and (available is None or available < needed):
        free = "an unknown amount" if available is None else plain(available)
        failure = NotEnoughFree(
            f"it needs {plain(needed)} {asset}, and {free} is free",
            check="funds", limit=available, value=needed, asset=asset,
        )  # fmt: skip
    return [Check("funds", plainly(available), plainly(needed), failure)]
