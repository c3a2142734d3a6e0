"""The unit of work: all of a block, or nothing of it, on both engines."""

from alphapulse.database.connection import Database


async def test_a_fresh_database_has_no_users(database: Database) -> None:
    async with database.read() as tx:
        assert await tx.users.count() == 0
