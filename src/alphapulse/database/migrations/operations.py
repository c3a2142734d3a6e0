"""Migration Management: what revisions have in common."""

from alembic import op
from sqlalchemy.schema import SchemaItem

from alphapulse.database.tables.base import strict_items


def create_table(name: str, *items: SchemaItem, rowid: bool = True) -> None:
    """A table as `tables.base.strict_table` makes it."""
    op.create_table(name, *strict_items(*items), sqlite_strict=True, sqlite_with_rowid=rowid)
