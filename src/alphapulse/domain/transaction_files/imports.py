"""Imports: what was brought in from files, and how the keys of what was undone are told. Pure."""

from dataclasses import dataclass
from datetime import datetime

from alphapulse.domain.identifiers import AccountId, UserId
from alphapulse.domain.transaction_files.reading import FileFormat


@dataclass(frozen=True, slots=True)
class Import:
    """One file, once brought into an account.

    ``entries`` were new; ``known`` were there before, ``contradicting`` were there with other
    amounts, ``similar`` seemed to be there under another key: none of these three was written.
    """

    id: str
    account_id: AccountId
    user_id: UserId
    imported_at: datetime
    file_name: str
    file_format: FileFormat
    digest: str
    entries: int
    known: int
    contradicting: int
    similar: int
    undone_at: datetime | None = None
    undone_by: UserId | None = None


_UNDONE, _REVERSAL = "undone:", "reversal:"


def undone_prefix(import_id: str) -> str:
    """Before the key of an entry that was taken back, so that its own key is free: what the
    exchange tells under it later, or the same file again, is new."""
    return f"{_UNDONE}{import_id}:"


def reversal_key(import_id: str, key: str) -> str:
    """Of the entry that takes back the one of ``key``."""
    return f"{_REVERSAL}{import_id}:{key}"


def is_taken_back(key: str) -> bool:
    """Whether an entry of this key was taken back, or takes one back: both together are nothing."""
    return key.startswith((_UNDONE, _REVERSAL))
