"""A disk whose power can be cut: what was not synced by then is dropped, kept or torn at random.

It lies under SQLite as a VFS. Of a write that the power ended, any number of sectors may be there,
and a later write may be there without an earlier one; what was synced is there
(sqlite.org/atomiccommit.html, section 2).
"""

import random
from dataclasses import dataclass, field

import apsw

SECTOR = 512
UNIX_SECTOR = 4096  # what SQLite's own unix VFS says


class PowerCut(Exception):
    """Nothing can be read or written any more."""


@dataclass(frozen=True, slots=True)
class Change:
    """A write at ``offset``, or, without data, a cut to that length."""

    offset: int
    data: bytes | None

    def apply(self, content: bytearray) -> None:
        end = self.offset + len(self.data or b"")
        content.extend(bytes(max(0, end - len(content))))
        if self.data is None:
            del content[self.offset :]
        else:
            content[self.offset : end] = self.data

    def torn(self, chance: random.Random) -> "Change":
        """Some sectors from its beginning."""
        if self.data is None:
            return self
        return Change(
            self.offset, self.data[: SECTOR * chance.randint(0, len(self.data) // SECTOR)]
        )


@dataclass
class Content:
    """One file: as programs see it, as it is on the platter, and the changes between the two."""

    seen: bytearray = field(default_factory=bytearray)
    platter: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)


class Disk(apsw.VFS):
    """Every file of one SQLite database, in memory."""

    def __init__(self, name: str, chance: random.Random) -> None:
        self.files: dict[str, Content] = {}
        self.left: int | None = None
        """How many more writes and syncs until the power is cut."""
        self.worked = 0
        self.vfs_name = name
        self._chance = chance
        super().__init__(name, base="")

    def put(self, name: str, data: bytes) -> None:
        """A file that has been there for long."""
        self.files[name] = Content(bytearray(data), bytearray(data))

    @property
    def is_off(self) -> bool:
        return self.left is not None and self.left < 0

    def work(self) -> None:
        """One write or sync, which the cut may end. Raises `PowerCut`."""
        self.worked += 1
        if self.left is not None:
            self.left -= 1
        if self.is_off:
            raise PowerCut

    def cut(self, connection: apsw.Connection) -> dict[str, bytes]:
        """What is found when the power is back, and whoever held the files open is gone."""
        found = {name: self._found(content) for name, content in self.files.items()}
        self.left = None  # what closing still writes, into nowhere, must not fail
        connection.close()
        self.unregister()
        return found

    def _found(self, content: Content) -> bytes:
        platter = bytearray(content.platter)
        for change in content.pending:
            fate = self._chance.choice(("drop", "keep", "tear"))
            if fate != "drop":
                (change if fate == "keep" else change.torn(self._chance)).apply(platter)
        return bytes(platter)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "OpenFile":
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        flags[1] = flags[0]
        return OpenFile(self, self.files.setdefault(path, Content()))

    def xAccess(self, pathname: str, flags: int) -> bool:
        return pathname in self.files

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.work()
        self.files.pop(filename, None)

    def xFullPathname(self, name: str) -> str:
        return name


class OpenFile(apsw.VFSFile):
    """A handle; each SQLite has the file to itself, so locks are always free."""

    # Of the files of another VFS the base class would make one of its own.
    def __new__(cls, disk: Disk, content: Content) -> "OpenFile":
        return super().__new__(cls)

    def __init__(self, disk: Disk, content: Content) -> None:
        self._disk = disk
        self._content = content

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._content.seen[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._change(Change(offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        self._change(Change(newsize, None))

    def xSync(self, flags: int) -> None:
        self._disk.work()
        self._content.platter[:] = self._content.seen
        self._content.pending.clear()

    def xFileSize(self) -> int:
        return len(self._content.seen)

    def xLock(self, level: int) -> None:
        """Granted."""

    def xUnlock(self, level: int) -> None:
        """Gone."""

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return UNIX_SECTOR

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xClose(self) -> None:
        """Nothing is written by it."""

    def _change(self, change: Change) -> None:
        if self._disk.is_off:
            raise PowerCut
        # The write that the cut falls into is pending, as those before it.
        self._content.pending.append(change)
        self._disk.work()
        change.apply(self._content.seen)
