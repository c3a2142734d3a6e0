"""Authorization: what may be done, as scopes, and the roles that bundle them."""

from collections.abc import Iterable
from enum import StrEnum

from alphapulse.domain.user import Role
from alphapulse.errors import Forbidden


class Scope(StrEnum):
    """Every route declares one of these; a route without one is not served."""

    PORTFOLIO_READ = "portfolio:read"
    PORTFOLIO_WRITE = "portfolio:write"
    EXCHANGE_READ = "exchange:read"
    EXCHANGE_WRITE = "exchange:write"
    """Accounts and their keys."""
    TRADE_WRITE = "trade:write"
    ALERTS_READ = "alerts:read"
    ALERTS_WRITE = "alerts:write"
    MARKET_READ = "market:read"
    PROFILE_READ = "profile:read"
    PROFILE_WRITE = "profile:write"
    SYSTEM_READ = "system:read"
    SYSTEM_ADMIN = "system:admin"


_VIEWER = frozenset(
    {
        Scope.PORTFOLIO_READ,
        Scope.EXCHANGE_READ,
        Scope.ALERTS_READ,
        Scope.MARKET_READ,
        Scope.PROFILE_READ,
        Scope.PROFILE_WRITE,
        Scope.SYSTEM_READ,
    }
)
_TRADER = _VIEWER | {Scope.PORTFOLIO_WRITE, Scope.TRADE_WRITE, Scope.ALERTS_WRITE}
_BUNDLES = {
    Role.VIEWER: _VIEWER,
    Role.TRADER: _TRADER,
    Role.ADMIN: frozenset(Scope),
}


def scopes_of(role: Role) -> frozenset[Scope]:
    """What a role may do. Keys and the system itself are the admin's alone."""
    return _BUNDLES[role]


def require(held: Iterable[Scope], needed: Scope) -> None:
    """Let pass who holds the scope.

    Raises:
        Forbidden: It is not held.
    """
    if needed not in held:
        raise Forbidden("this needs a scope that you do not have", scope=needed.value)
