"""Order Checks: every check there is, the gravest first. Pure.

A check that fails carries the error it is refused with, and the limit it broke.
"""

from collections.abc import Callable, Iterable

from alphapulse.domain.order import OrderRequest
from alphapulse.domain.order_checks import budget, permission, price, venue
from alphapulse.domain.order_checks.check import Check
from alphapulse.domain.order_checks.situation import OrderSituation
from alphapulse.domain.order_grid import on_grid

_CHECKS: tuple[Callable[[OrderRequest, OrderSituation], list[Check]], ...] = (
    permission.check_account,
    permission.check_mode,
    permission.check_market,
    venue.check_kind,
    venue.check_steps,
    venue.check_size,
    price.check_price,
    venue.check_position,
    budget.check_value,
    budget.check_pace,
    budget.check_funds,
)


def run_checks(request: OrderRequest, situation: OrderSituation) -> tuple[Check, ...]:
    """Every check there is for this request, the gravest first.

    What is not on the venue's grid fails on the grid, and is looked at as if it were on it
    everywhere else.
    """
    found: list[Check] = []
    normal = on_grid(request, situation.instrument)
    for check in _CHECKS:
        found += check(request if check is venue.check_steps else normal, situation)
    return tuple(found)


def require(checks: Iterable[Check]) -> None:
    """Raise the failure of the first check that has one."""
    for check in checks:
        if check.failure is not None:
            raise check.failure
