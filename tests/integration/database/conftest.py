"""Databases that already hold something."""

import pytest

from alphapulse.database.connection import Database
from tests.builders import make_account


@pytest.fixture
async def account_database(database: Database) -> Database:
    """With one account, which most rows belong to."""
    async with database.begin() as tx:
        await tx.accounts.add(make_account())
    return database
