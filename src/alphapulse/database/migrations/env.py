"""Migration Management: what Alembic runs for each of its commands."""

from alembic import context
from sqlalchemy import MetaData

from alphapulse.database.migrations.schema import version_table
from alphapulse.database.tables.base import NAMING


def run() -> None:
    """Go through the revisions in the transaction that the caller has begun."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"],
        target_metadata=MetaData(naming_convention=NAMING),
        version_table=version_table(attributes["store"]),
    )
    context.run_migrations()


# Alembic loads this file under this name; an ordinary import does nothing.
if __name__ == "env_py":
    run()
