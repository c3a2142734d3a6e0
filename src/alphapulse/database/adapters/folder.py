"""Database Adapters (SQLite): the folder on disk, and this process's claim on it.

SQLite allows one writer at a time, whoever it is. Within the process the writers take turns; a
second process is refused outright, because its turns would not be ours.
"""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import make_url

from alphapulse.database.adapters.adapter import Store
from alphapulse.errors import ConfigurationInvalid, DatabaseBusy, DatabaseUnavailable
from alphapulse.runtime.turn import Turn

# Their locks and shared memory do not do what a write-ahead log needs (sqlite.org/wal.html).
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "fuse.sshfs"}
MOUNTS = Path("/proc/self/mounts")


@dataclass(frozen=True, slots=True)
class SqliteFiles:
    """Where the two stores and the claim lie."""

    money: Path
    market: Path
    claim: Path

    @classmethod
    def of(cls, url: str) -> "SqliteFiles":
        """A folder, or the money file itself, which then names the others."""
        path = Path(make_url(url).database or "").expanduser().resolve()
        if path.suffix:
            return cls(path, path.with_suffix(f".market{path.suffix}"), path.with_suffix(".lock"))
        return cls(path / "money.db", path / "market.db", path / "alphapulse.lock")

    def path(self, store: Store) -> Path:
        return self.money if store is Store.MONEY else self.market

    def backup(self, store: Store, revision: str) -> Path:
        """Where the copy of a store lies that was made before its schema left ``revision``."""
        path = self.path(store)
        return path.with_name(f"{path.stem}-{revision}.backup{path.suffix}")

    def create(self) -> None:
        """Make what is missing, for nobody but us to read.

        Raises:
            DatabaseUnavailable: the folder may not be written.
        """
        try:
            self.money.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.money.touch(mode=0o600)
            self.market.touch(mode=0o600)
        except OSError as error:
            raise DatabaseUnavailable(
                "the database folder cannot be created; check its owner and the free space",
                folder=str(self.money.parent),
                cause=error.strerror,
            ) from error


def keep(part: Path, whole: Path) -> None:
    """Give a finished file its name; after that not even a power cut takes it away."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(whole)


@dataclass(slots=True)
class Folder:
    """Shared by every loop of the process that has the database open."""

    claim: sqlite3.Connection
    turns: dict[Store, Turn] = field(default_factory=lambda: {s: Turn() for s in Store})
    users: int = 0


_opening = Turn()
_folders: dict[Path, Folder] = {}


@asynccontextmanager
async def open_folder(files: SqliteFiles) -> AsyncIterator[Folder]:
    """Claim the folder for this process; the last loop that leaves gives it up.

    Raises:
        DatabaseBusy: another process has it.
        DatabaseUnavailable: it is missing, or may not be written.
        ConfigurationInvalid: it lies on a network file system.
    """
    async with _opening:
        folder = _folders.get(files.claim) or Folder(_claim(files.claim))
        _folders[files.claim] = folder
        folder.users += 1
    try:
        yield folder
    finally:
        async with _opening:
            folder.users -= 1
            if not folder.users:
                del _folders[files.claim]
                folder.claim.close()


def _claim(path: Path) -> sqlite3.Connection:
    folder = str(path.parent)
    if not path.parent.exists():
        raise DatabaseUnavailable(
            "the database folder is missing; upgrade creates it", folder=folder
        )
    if not os.access(path.parent, os.W_OK):
        raise DatabaseUnavailable(
            "the database folder may not be written; check its owner, permissions and mount",
            folder=folder,
        )
    _refuse_network(path.parent)
    # SQLite's own lock on a file of its own: the same on every system, and gone with the process.
    # The last loop to leave closes it, whichever thread that is on.
    claim = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        claim.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        claim.close()
        raise DatabaseBusy(
            "another process has this database open; stop it, or use another folder",
            folder=folder,
            cause=error.sqlite_errorname,
        ) from error
    return claim


def _refuse_network(folder: Path) -> None:
    kind = _file_system(folder)
    if kind in NETWORK_FILE_SYSTEMS:
        raise ConfigurationInvalid(
            "SQLite cannot be trusted on a network file system; use a local folder or PostgreSQL",
            folder=str(folder),
            file_system=kind,
        )


def _file_system(folder: Path) -> str | None:
    """The kind of the mount that holds ``folder``, where the system tells (Linux)."""
    if not MOUNTS.exists():
        return None
    mounts = [line.split()[1:3] for line in MOUNTS.read_text().splitlines()]
    # Of two on one point the later one covers the earlier.
    holding = [(point, kind) for point, kind in reversed(mounts) if folder.is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]))[1] if holding else None
