"""Scopes and roles: what the contract lists, each role within the next."""

import pytest

from alphapulse.domain.user import Role
from alphapulse.errors import Forbidden
from alphapulse.security.scopes import Scope, require, scopes_of

CONTRACT = (
    "portfolio:read portfolio:write exchange:read exchange:write trade:write alerts:read "
    "alerts:write market:read profile:read profile:write system:read system:admin"
)


def test_the_scopes_are_those_of_the_contract() -> None:
    assert {scope.value for scope in Scope} == set(CONTRACT.split())


def test_each_role_can_do_what_the_one_below_it_can() -> None:
    viewer, trader, admin = (scopes_of(role) for role in (Role.VIEWER, Role.TRADER, Role.ADMIN))
    assert viewer < trader < admin == set(Scope)


def test_a_viewer_changes_nothing_but_their_own_profile() -> None:
    may_change = {scope for scope in scopes_of(Role.VIEWER) if not scope.value.endswith(":read")}
    assert may_change == {Scope.PROFILE_WRITE}


def test_a_trader_touches_neither_keys_nor_the_system() -> None:
    assert not scopes_of(Role.TRADER) & {Scope.EXCHANGE_WRITE, Scope.SYSTEM_ADMIN}


def test_a_scope_that_is_not_held_is_refused_by_name() -> None:
    require(scopes_of(Role.TRADER), Scope.TRADE_WRITE)
    with pytest.raises(Forbidden) as refusal:
        require(scopes_of(Role.VIEWER), Scope.TRADE_WRITE)
    assert refusal.value.facts == {"scope": "trade:write"}
