"""Export of transactions: the ledger as a file, a part at a time, however long it is."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from enum import StrEnum

from alphapulse.database.connection import Database
from alphapulse.database.queries.ledger import EntryFilter, entries_in_order
from alphapulse.domain.account import Account
from alphapulse.domain.ledger import Entry
from alphapulse.domain.transaction_files import own_format
from alphapulse.runtime.beside import beside
from alphapulse.services.parquet import ParquetFile, require_parquet

ENTRIES_AT_ONCE = 100
"""Some 10 ms of the loop; a file of any length is never in memory."""

ROW_GROUP_ENTRIES = 10_000
"""Parquet is read and packed by such groups."""


class ExportFormat(StrEnum):
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


class ExportService:
    """Reads the database; whose accounts they are is the caller's to know."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def file(
        self, accounts: Sequence[Account], wanted: EntryFilter, form: ExportFormat
    ) -> AsyncIterator[bytes]:
        """The parts of a file with the entries that are there now, the earliest first.

        Raises:
            ExtraMissing: Parquet, and its library is not installed.
        """
        wanted = replace(wanted, account_ids={account.id for account in accounts})
        pages = self._pages(wanted)
        if form is ExportFormat.PARQUET:
            await beside(require_parquet)
            return _parquet(pages)
        return _csv(pages) if form is ExportFormat.CSV else _json(pages)

    async def _pages(self, wanted: EntryFilter) -> AsyncIterator[Sequence[Entry]]:
        """Each from a snapshot of its own: a slow reader must not hold the database."""
        async with self._database.read() as unit:
            newest_id = await unit.ledger.newest_id()
        last = None
        while True:
            async with self._database.read() as unit:
                page = await entries_in_order(
                    unit, wanted, newest_id=newest_id, after=last, limit=ENTRIES_AT_ONCE
                )
            if not page:
                return
            yield [one.entry for one in page]
            last = page[-1]


async def _csv(pages: AsyncIterator[Sequence[Entry]]) -> AsyncIterator[bytes]:
    yield own_format.csv_header().encode()
    async for entries in pages:
        yield own_format.csv_text(entries).encode()


async def _json(pages: AsyncIterator[Sequence[Entry]]) -> AsyncIterator[bytes]:
    yield own_format.JSON_BEGIN.encode()
    count = 0
    async for entries in pages:
        before = ",\n" if count else ""
        yield (before + own_format.json_text(entries)).encode()
        count += len(entries)
    yield (own_format.JSON_END % count).encode()


async def _parquet(pages: AsyncIterator[Sequence[Entry]]) -> AsyncIterator[bytes]:
    file = await beside(ParquetFile)
    group: list[Entry] = []
    async for entries in pages:
        group += entries
        if len(group) >= ROW_GROUP_ENTRIES:
            yield await beside(file.add, group)
            group = []
    yield await beside(file.end, group)
