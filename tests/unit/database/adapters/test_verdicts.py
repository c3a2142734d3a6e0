"""Verdicts: the codes we read exist, and the most specific reading wins."""

import sqlite3

import asyncpg
import pytest

from alphapulse.database.adapters import postgresql, sqlite
from alphapulse.errors import (
    Conflict,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
)

SQLSTATES = {
    str(state)
    for error in vars(asyncpg.exceptions).values()
    if (state := getattr(error, "sqlstate", None))
}


@pytest.mark.parametrize("code", [*postgresql.BUSY, *postgresql.UNAVAILABLE])
def test_postgresql_knows_every_code_we_read(code: str) -> None:
    assert any(state.startswith(code) for state in SQLSTATES)


@pytest.mark.parametrize("name", sqlite.UNAVAILABLE)
def test_sqlite_knows_every_name_we_read(name: str) -> None:
    assert hasattr(sqlite3, name)


@pytest.mark.parametrize(
    ("state", "verdict", "words"),
    [
        ("40001", DatabaseBusy, "collided"),
        ("40P01", DatabaseBusy, "waited for each other"),
        ("55P03", DatabaseBusy, "locked"),
        ("23505", Conflict, "rule"),
        ("53100", DatabaseUnavailable, "disk is full"),
        ("53300", DatabaseUnavailable, "no connection"),
        ("57014", DatabaseBusy, "took too long"),
        ("57P01", DatabaseUnavailable, "stopping"),
        ("28P01", DatabaseUnavailable, "login"),
        ("3D000", DatabaseUnavailable, "no such database"),
        ("42601", DatabaseError, "refused a statement"),
    ],
)
def test_a_code_of_postgresql_is_read_most_specific_first(
    state: str, verdict: type[Exception], words: str
) -> None:
    error = postgresql.verdict(state, "uq_users_username_key")
    assert type(error) is verdict
    assert words in error.message
