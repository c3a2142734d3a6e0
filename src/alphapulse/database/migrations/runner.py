"""Migration Management: Alembic at work.

Loaded only when there is something to migrate, which is rare, for it takes 0.2 s and 9 MB.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from alphapulse.database.adapters.adapter import Store
from alphapulse.errors import ConfigurationInvalid


def upgrade(folder: Path, store: Store, connection: Connection) -> None:
    """Bring one store to the newest revision, in the transaction of ``connection``.

    Raises:
        ConfigurationInvalid: the database was made by a newer version of AlphaPulse.
    """
    try:
        command.upgrade(config_of(folder, store, connection), "head")
    except CommandError as error:
        raise _made_by_another(store) from error


def downgrade(folder: Path, store: Store, revision: str, connection: Connection) -> None:
    """Take one store back to ``revision``, in the transaction of ``connection``."""
    try:
        command.downgrade(config_of(folder, store, connection), revision)
    except CommandError as error:
        raise _made_by_another(store) from error


def config_of(folder: Path, store: Store, connection: Connection | None = None) -> Config:
    """What Alembic needs to know of one store's line."""
    config = Config()
    place = str(folder).replace("%", "%%")  # the option parser's own escape
    config.set_main_option("script_location", place)
    config.set_main_option("version_locations", f"{place}/{store}")
    config.set_main_option("path_separator", "newline")
    config.attributes["store"] = store
    config.attributes["connection"] = connection
    return config


def _made_by_another(store: Store) -> ConfigurationInvalid:
    return ConfigurationInvalid(
        "another version of AlphaPulse made this database; start that one, or a newer",
        store=store.value,
    )
