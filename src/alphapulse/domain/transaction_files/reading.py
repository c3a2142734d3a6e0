"""Reading: a file of any known format as entries of one account, all of them or none. Pure."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.transaction_files.ghostfolio import read_ghostfolio
from alphapulse.domain.transaction_files.known_formats import COINTRACKING, KOINLY
from alphapulse.domain.transaction_files.mapping import ColumnMapping, read_mapped
from alphapulse.domain.transaction_files.own_format import OwnFile
from alphapulse.domain.transaction_files.rows import ENTRIES_MAX, Flaws, ReadEntry
from alphapulse.errors import InvalidInput

_UNNAMED = ColumnMapping(columns={})


class FileFormat(StrEnum):
    """What is in a file."""

    CSV = "csv"
    """Our own."""
    JSON = "json"
    """Our own."""
    KOINLY = "koinly"
    COINTRACKING = "cointracking"
    GHOSTFOLIO = "ghostfolio"
    MAPPED = "mapped"
    """CSV of any other program, by the mapping in the request."""


MAPPINGS = {FileFormat.KOINLY: KOINLY, FileFormat.COINTRACKING: COINTRACKING}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and how it is to be read; ``from_account`` is whose rows, where it has several."""

    account_id: AccountId
    name: str
    content: str
    format: FileFormat
    mapping: ColumnMapping = field(default=_UNNAMED)
    from_account: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ReadFile:
    """``skipped`` is how many entries belong to other accounts."""

    digest: str
    entries: tuple[ReadEntry, ...]
    skipped: int = 0


def read_file(upload: Upload, latest: datetime) -> ReadFile:
    """All entries of a file, none later than ``latest``.

    Raises:
        BadRows: rows that cannot be read, each with its line, column and reason.
        InvalidInput: too many rows.
    """
    if not upload.content.isascii() and _has_surrogate(upload.content):
        raise InvalidInput("the file holds a character that cannot be stored", field="content")
    flaws = Flaws()
    own = OwnFile(upload.account_id, upload.from_account, latest, flaws)
    entries = []
    for entry in _read(upload, own, flaws, latest):
        entries.append(entry)
        if len(entries) > ENTRIES_MAX:
            raise InvalidInput(
                f"a file may have {ENTRIES_MAX} transactions at most; send it in parts",
                field="content",
            )
    flaws.refuse()
    return ReadFile(upload.digest, tuple(entries), own.skipped)


def _read(upload: Upload, own: OwnFile, flaws: Flaws, latest: datetime) -> Iterator[ReadEntry]:
    content, mapping, account_id = upload.content, upload.mapping, upload.account_id
    match upload.format:
        case FileFormat.CSV:
            return own.read_csv(content)
        case FileFormat.JSON:
            return own.read_json(content)
        case FileFormat.GHOSTFOLIO:
            return read_ghostfolio(content, mapping, account_id, latest, flaws)
        case _:
            return read_mapped(content, mapping, account_id, latest, flaws)


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
